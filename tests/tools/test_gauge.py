"""`cathode-tf gauge`: a table in; numbers, or one sentence, out."""

import pytest
from click.testing import CliRunner

from cathode_tf import InputError
from cathode_tf.files import read_json
from cathode_tf.tools.gauge import command

ROWS = "".join(
    f"{part},{who},{trial},{'ab'.index(part)}.{trial}\n" for part in "ab" for who in "xy" for trial in (1, 2)
)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("part,appraiser,trial,value\n" + ROWS)
    return path


def run(*words):
    return CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=False)


def test_it_prints_and_writes_what_it_found(table, tmp_path):
    result = run(table, "--out", tmp_path / "gauge.json")
    assert "repeatability: " in result.output and f"Wrote {tmp_path / 'gauge.json'}" in result.output
    assert read_json(tmp_path / "gauge.json")["repeatability"]["value"] is not None
    with pytest.raises(InputError, match="exists already"):
        run(table, "--out", tmp_path / "gauge.json")


def test_the_table_is_never_replaced_by_the_result(table):
    with pytest.raises(InputError, match="must not be what is read"):
        run(table, "--out", table, "--force")


def test_what_is_no_table_is_one_sentence(table, tmp_path):
    table.write_text("part,appraiser,trial,value\n1,2,3,4,5\n")
    for path, said in (
        (tmp_path, "cannot be read"),
        (tmp_path / "none.csv", "cannot be read"),
        (table, "line 2"),
    ):
        with pytest.raises(InputError, match=rf"{said}[^\n]*$"):
            run(path)
