"""Tables and TOML as people leave them: workbooks of Excel, words without quotation marks, commas in numbers."""

import datetime

import openpyxl
import pytest

from cathode_tf import InputError, InputWarning
from cathode_tf.texts import read_table, read_toml


def workbook(path, **sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_a_workbook_is_read_as_its_csv_file_would_be(tmp_path):
    day = datetime.datetime(2026, 3, 4)
    rows = [
        ("id", "group", "density", "day"),
        ("a, b", 7.0, 2.75, day),
        (None, None, None, None),
        ("c", 8, None, None),
    ]
    table = read_table(workbook(tmp_path / "groups.xlsx", groups=rows))
    assert table.columns == ("id", "group", "density", "day")
    assert table.rows == [
        {"id": "a, b", "group": "7", "density": "2.75", "day": "2026-03-04"},
        {"id": "c", "group": "8", "density": "", "day": ""},
    ]


def test_the_first_sheet_that_holds_something_is_read_and_another_is_told_of(tmp_path):
    path = workbook(tmp_path / "two.xlsx", empty=[], lots=[("id", "group"), ("a", "A")], notes=[("x",)])
    with pytest.warns(InputWarning, match="its sheet 'lots' is read; 'notes' is not"):
        assert read_table(path).rows == [{"id": "a", "group": "A"}]


def test_workbooks_that_cannot_be_read_say_what_to_save(tmp_path):
    (tmp_path / "old.xls").write_bytes(b"\xd0\xcf\x11\xe0")
    with pytest.raises(InputError, match=r"old.xls: must be a CSV file or an Excel workbook \(.xlsx\)"):
        read_table(tmp_path / "old.xls")
    (tmp_path / "torn.xlsx").write_bytes(b"PK\x03\x04torn")
    with pytest.raises(InputError, match=r"torn.xlsx: must be an Excel workbook"):
        read_table(tmp_path / "torn.xlsx")
    with pytest.raises(InputError, match=r"none.xlsx: cannot be read"):
        read_table(tmp_path / "none.xlsx")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[phase]]\nname = pore\nid = 0", 'words need quotation marks: name = "pore"'),
        ("size = 11,16", "numbers have a point in them, not a comma"),
        ("name = “pore”", 'quotation marks must be straight ones (")'),
    ],
)
def test_what_is_wrong_in_a_toml_file_is_said_in_words(tmp_path, text, said):
    path = tmp_path / "phases.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_toml(path)
    assert said in str(caught.value)
