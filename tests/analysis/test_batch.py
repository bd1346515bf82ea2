import json

import numpy as np
import pandas as pd
import pytest

from cathode_tf import InputError, Phases
from cathode_tf.analysis import Analysis, Settings, analyze
from cathode_tf.statistics import Estimate

PHASES = Phases.default()


def grid_of_squares(count: int = 3) -> np.ndarray:
    """Nine ncm squares of 20 px on 120 x 120 pore: 9 * 400 / 14400 = 0.25."""
    mask = np.zeros((120, 120), np.uint8)
    for i in range(count):
        for j in range(count):
            mask[10 + 40 * i : 30 + 40 * i, 10 + 40 * j : 30 + 40 * j] = 1
    return mask


def walk(analysis: Analysis):
    for quantity, estimates in analysis.summary.items():
        for name, estimate in estimates.items():
            yield f"{quantity} {name}", estimate


def test_measures_what_was_drawn():
    analysis = analyze([grid_of_squares(), grid_of_squares(2)], PHASES)
    # 0.25 and 4 * 400 / 14400 = 1/9: the mean is 13/72.
    assert analysis.summary["fraction"]["ncm"].value == pytest.approx(13 / 72)
    assert analysis.per_image["count_ncm"].tolist() == [9, 4]
    assert len(analysis.instances.query("phase == 'ncm'")) == 13
    assert analysis.summary["number_density"]["ncm"].value == pytest.approx(13 / (2 * 14400))


def test_without_a_pixel_size_no_physical_unit_appears():
    analysis = analyze([grid_of_squares()], PHASES)
    assert not [name for name in analysis.instances if name.split("_")[-1] in ("um", "um2", "nm")]
    assert {estimate.unit for _, estimate in walk(analysis)} <= {"", "px", "1/px", "px2", "1/px2"}


def test_a_pixel_size_scales_lengths_only():
    pixels = analyze([grid_of_squares(), grid_of_squares(2)], PHASES)
    microns = analyze([grid_of_squares(), grid_of_squares(2)], PHASES, pixel_size_nm=500)
    for (name, a), (_, b) in zip(walk(pixels), walk(microns), strict=True):
        power = {"": 0, "px": 1, "1/px": -1, "1/px2": -2}[a.unit]
        assert a.is_refused == b.is_refused, name
        if a.value is not None:
            assert b.value == pytest.approx(a.value * 0.5**power), name


def test_writes_everything_and_refuses_to_overwrite(tmp_path):
    analysis = analyze({"a": grid_of_squares(), "b": grid_of_squares(2)}, PHASES, groups={"a": "x", "b": "y"})
    out = analysis.write(tmp_path / "out")
    content = json.loads((out / "summary.json").read_text())
    assert Estimate.from_dict(content["summary"]["fraction"]["ncm"]) == analysis.summary["fraction"]["ncm"]
    assert set(content["by_group"]) == {"x", "y"}
    written = pd.read_csv(out / "instances.csv")
    assert len(written) == len(pd.read_parquet(out / "instances.parquet")) == len(analysis.instances)
    with pytest.raises(InputError, match="exists already"):
        analysis.write(out)


def test_a_crack_through_each_particle_is_measured():
    mask = grid_of_squares()
    for i in range(3):
        mask[19 + 40 * i : 21 + 40 * i] = 0
    summary = analyze([mask, grid_of_squares()], PHASES, pixel_size_nm=100).summary
    # Half the particles are in two pieces.
    assert summary["fragments_per_particle"]["ncm"].value == pytest.approx(1.5)
    assert summary["crack_length_density"]["ncm"].unit == "1/um"
    quiet = analyze([mask], PHASES, settings=Settings(fragmentation=False)).summary
    assert "crack_length_density" not in quiet


def test_groups_as_units_of_replication():
    masks = {name: grid_of_squares(count) for name, count in [("a", 3), ("b", 3), ("c", 2), ("d", 2)]}
    groups = {"a": "x", "b": "x", "c": "y", "d": "y"}
    by_image = analyze(masks, PHASES, groups=groups).summary["fraction"]["ncm"]
    by_group = analyze(masks, PHASES, groups=groups, settings=Settings(replicate="group"))
    estimate = by_group.summary["fraction"]["ncm"]
    assert (estimate.n, estimate.unit_of_replication) == (2, "group")
    assert estimate.value == pytest.approx(by_image.value)
    assert estimate.half_width > by_image.half_width
    named = {name for _, each in walk(by_group) for name in each.components if name.startswith("between_")}
    assert named <= {"between_groups", "between_particles"}


def test_labels_of_a_mask_are_those_that_were_measured():
    mask = grid_of_squares()
    analysis = analyze({"a": mask}, PHASES)
    assert analysis.labels("a", mask).max() == 9
    with pytest.raises(InputError, match="must be the mask"):
        analysis.labels("a", mask.T + 1)


BAD = {
    "undefined id": (np.full((9, 9), 7, np.uint8), "must hold only the ids"),
    "all ignored": (np.full((9, 9), 255, np.uint8), "must hold pixels of a phase"),
    "no pixel": (np.zeros((0, 5), np.uint8), "at least one pixel"),
    "colour": (np.zeros((5, 5, 3), np.uint8), "height, width"),
    "float": (np.zeros((5, 5)), "uint8"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_mask_is_one_clear_error(case):
    mask, message = BAD[case]
    with pytest.raises(InputError, match=message):
        analyze([mask], PHASES)


def test_no_mask_and_a_wrong_pixel_size_are_errors():
    with pytest.raises(InputError, match="at least one mask"):
        analyze([], PHASES)
    for size in (0, -5, float("nan"), float("inf")):
        with pytest.raises(InputError, match="above 0"):
            analyze([grid_of_squares()], PHASES, pixel_size_nm=size)
    with pytest.raises(InputError, match="occur once"):
        analyze([("a", grid_of_squares()), ("a", grid_of_squares())], PHASES)


def test_pixel_sizes_that_differ_between_images_are_an_error():
    masks = {"a": grid_of_squares(), "b": grid_of_squares()}
    for sizes in ({"a": 20.0, "b": 40.0}, {"a": 20.0, "b": None}):
        with pytest.raises(InputError, match="b: must have the pixel size of the batch"):
            analyze(masks, PHASES, pixel_size_nm=sizes)
    assert analyze(masks, PHASES, pixel_size_nm={"a": 20.0, "b": 20.0}).pixel_size_nm == 20


def two_particles() -> np.ndarray:
    mask = np.zeros((200, 200), np.uint8)
    mask[20:60, 20:60] = mask[120:150, 120:150] = 1
    return mask


POOR = {
    "one pixel": np.zeros((1, 1), np.uint8),
    "one row": np.zeros((1, 50), np.uint8),
    "one phase": np.ones((64, 64), np.uint8),
    "two particles": two_particles(),
    "nearly all ignored": np.where(np.arange(400).reshape(20, 20) == 7, 1, 255).astype(np.uint8),
    "noise": np.random.default_rng(0).integers(0, 4, (50, 50)).astype(np.uint8),
}


@pytest.mark.parametrize("size", [None, 20.0])
@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("case", POOR)
def test_poor_masks_give_flags_and_reasons_but_no_nan_and_no_warning(case, images, size, tmp_path):
    # Warnings are errors here, and an Estimate cannot hold a NaN; what is missing must say why.
    analysis = analyze([POOR[case]] * images, PHASES, pixel_size_nm=size)
    for name, estimate in walk(analysis):
        assert estimate.ci is not None or estimate.flags, name
        assert all(estimate.flags.values()), name
        str(estimate)
    analysis.write(tmp_path / "out")


@pytest.mark.parametrize(
    "wrong", [{"crack_opening_px": float("nan")}, {"fines_diameter": float("nan")}, {"fines_diameter": -1.0}]
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Settings(**wrong)


def test_groups_that_replicate_must_be_complete():
    with pytest.raises(InputError, match="b is missing"):
        masks = {"a": grid_of_squares(), "b": grid_of_squares()}
        analyze(masks, PHASES, groups={"a": "x"}, settings=Settings(replicate="group"))


def test_points_of_other_images_correct_nothing():
    analysis = analyze({"a": grid_of_squares()}, PHASES)
    points = pd.DataFrame({"image": ["z"], "mapped": ["ncm"], "reference": ["ncm"]})
    with pytest.raises(InputError, match="z is none of them"):
        analysis.with_reference_points(points)


def test_instances_that_were_not_asked_for_are_not_counted_as_none():
    analysis = analyze([grid_of_squares()], PHASES, settings=Settings(instance_phases=()))
    assert not [name for name in analysis.per_image if name.startswith("count_")]


def test_every_number_names_its_method_and_has_an_interval_or_a_reason():
    rng = np.random.default_rng(11)
    masks = {
        f"m{k}": rng.choice([0, 1, 3], (16, 16)).repeat(3, 0).repeat(3, 1).astype(np.uint8) for k in range(3)
    }
    analysis = analyze(masks, Phases.default(), groups={"m0": "a", "m1": "a", "m2": "b"})
    parts = [analysis.summary, analysis.by_depth, analysis.by_image, *analysis.by_group.values()]
    estimates = [e for part in parts for by_phase in part.values() for e in by_phase.values()]
    assert len(estimates) > 100
    for estimate in estimates:
        assert estimate.method and estimate.reference and estimate.unit_of_replication
        if estimate.ci is None:
            assert estimate.flags
        else:
            assert estimate.ci[0] <= estimate.value <= estimate.ci[1]


def test_particles_below_the_smallest_area_are_told_and_in_the_interval():
    # 40 squares of 12 to 14 px and 20 of 4 px, 16 px2 and so below the limit of 20: a third, were none of the others
    # weighted up for the frame. With them the median is the 30th of 60, which is the tenth of the 40.
    mask = np.zeros((200, 200), np.uint8)
    for number in range(60):
        row, column = 5 + 22 * (number // 9), 5 + 22 * (number % 9)
        side = 12 + number % 3 if number < 40 else 4
        mask[row : row + side, column : column + side] = 1
    analysis = analyze([mask], PHASES)
    assert analysis.images[0].left_out["ncm"] == 20
    sizes = analysis.sizes["ncm"]
    assert sizes["x50_0"].flags["BELOW_SMALLEST"].startswith("20 below 20 px were left out, 30.")
    with_them = np.sort(sizes.diameters)[9]
    reaches = (sizes["x50_0"].value - with_them) / np.sqrt(3)
    assert sizes["x50_0"].components["left_out"] == pytest.approx(reaches, rel=0.1) and reaches > 0.5
    assert "BELOW_SMALLEST" not in sizes["x50_3"].flags
    none = analyze([mask], PHASES, settings=Settings(min_area_px=0))
    assert "BELOW_SMALLEST" not in none.sizes["ncm"]["x50_0"].flags
