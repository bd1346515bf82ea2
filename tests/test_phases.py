"""phases.toml in; ids, look-up tables and clear refusals out."""

import numpy as np
import pytest

from cathode_tf import InputError, Phases
from cathode_tf.errors import InputWarning

TOML = """
[[phase]]
name = "pore"
id = 2
values = [255]

[[phase]]
name = "ncm"
id = 7
color = "#d95f02"
values = [128, "#ff0000", [0, 0, 255]]
"""


def write(tmp_path, text):
    path = tmp_path / "phases.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_toml_gives_names_ids_values_and_roles(tmp_path):
    phases = Phases.from_toml(write(tmp_path, TOML))
    assert phases.names == ("pore", "ncm")
    assert phases.ids == (2, 7)
    assert phases["ncm"].values == (128, "#ff0000", "#0000ff")
    assert phases["ncm"].color == "#d95f02"
    assert phases.with_role("pore") == ("pore",)
    assert phases.with_role("particle") == ("ncm",)


def test_255_is_ignored_unless_a_phase_claims_it(tmp_path):
    assert Phases.default().ignore_values == (255,)
    assert Phases.from_toml(write(tmp_path, TOML)).ignore_values == ()


def test_toml_and_lists_round_trip(tmp_path):
    phases = Phases.from_toml(write(tmp_path, TOML))
    assert Phases.from_toml(write(tmp_path, phases.to_toml())) == phases
    assert Phases.from_list(phases.to_list(), phases.ignore_values) == phases


def test_indices_and_ids_are_inverse_and_255_stays():
    phases = Phases.from_list([{"name": "a", "id": 9}, {"name": "b", "id": 0}])
    mask = np.array([[9, 0, 255]], np.uint8)
    np.testing.assert_array_equal(phases.to_indices(mask), [[0, 1, 255]])
    np.testing.assert_array_equal(phases.to_ids(phases.to_indices(mask)), mask)


def test_palette_has_each_phase_color_and_black_elsewhere():
    palette = Phases.from_list([{"name": "a", "id": 9, "color": "#010203"}]).palette()
    np.testing.assert_array_equal(palette[9], [1, 2, 3])
    assert palette[[0, 8, 255]].max() == 0


def test_a_foreign_id_is_named_with_its_count_and_the_remedy():
    mask = np.zeros((4, 4), np.uint8)
    mask[0, :3] = 7
    with pytest.raises(InputError, match=r"x\.png: .*0 pore, 1 ncm.*Received 7 in 3 pixels\. Add the phase"):
        Phases.default().check_mask(mask, "x.png")


def test_a_mask_of_another_dtype_is_refused():
    with pytest.raises(InputError, match=r"uint8.*Received float64"):
        Phases.default().check_mask(np.zeros((2, 2)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "at least one"),
        ("[[phase]\n", "not valid TOML"),
        ('[[phase]]\nname = "a"\n', "whole number"),
        ('[[phase]]\nname = "a"\nid = 255\n', "0 to 254"),
        ('[[phase]]\nname = "a"\nid = 0\n[[phase]]\nname = "a"\nid = 1\n', "'a' more than once"),
        ('[[phase]]\nname = "a"\nid = 0\n[[phase]]\nname = "b"\nid = 0\n', "0 more than once"),
        ('[[phase]]\nname = "a"\nid = 0\ncolor = "red"\n', "#d95f02"),
        ('[[phase]]\nname = "a"\nid = 0\nvalues = []\n', "list of numbers"),
        ('[[phase]]\nname = "a"\nid = 0\nvalues = [true]\n', "must be a number"),
        ('[[phase]]\nname = "a b"\nid = 0\n', "letters, digits"),
        ('[[phase]]\nname = "a"\nid = 0\nrole = "hero"\n', "must be one of"),
        ('[[phase]]\nname = "a"\nid = 0\ncolour = "#112233"\n', "'colour'"),
        ('phase = ["a"]\n', "must be a table"),
        ('ignore = 3\n[[phase]]\nname = "a"\nid = 0\n', "ignore"),
    ],
)
def test_bad_tables_get_one_clear_sentence(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as caught:
        Phases.from_toml(write(tmp_path, text))
    assert str(caught.value).startswith(str(tmp_path))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.toml: cannot be read"):
        Phases.from_toml(tmp_path / "none.toml")


def test_a_default_colour_keeps_away_from_the_given_ones(tmp_path):
    # "#d95f02" is what nobody can tell from "#d55e00", the default of the second phase.
    tables = [{"name": "pore", "id": 0}, {"name": "binder", "id": 3}, {"name": "ncm", "id": 1}]
    given = Phases.from_list([*tables[:2], tables[2] | {"color": "#d95f02"}])
    assert [phase.color for phase in given] == ["#56b4e9", "#009e73", "#d95f02"]
    assert [phase.color for phase in Phases.from_list(tables)] == ["#56b4e9", "#009e73", "#d55e00"]
    assert len({phase.color for phase in Phases.from_names("abcdefgh")}) == 8
    assert len(Phases.from_names("abcdefghij")) == 10


def test_two_given_colours_that_look_alike_are_named(tmp_path):
    text = TOML.replace("id = 2\n", 'id = 2\ncolor = "#d55e00"\n')
    with pytest.warns(InputWarning, match="'pore' .* and 'ncm' .* look alike"):
        Phases.from_toml(write(tmp_path, text))
