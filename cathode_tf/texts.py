"""Text files as Windows, macOS and Excel write them in; text, TOML and rows of a table out.

They come in UTF-8 with or without a byte order mark, in UTF-16 and in Windows' own code page; tables have commas,
semicolons or tabs between their cells, and then commas in their numbers; names from a Mac have their accents apart.
"""

from __future__ import annotations

import csv
import io
import re
import tomllib
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cathode_tf.errors import InputError, InputWarning

_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


def composed(name: str) -> str:
    """A name with each accent on its letter (NFC), however the file system spells it.

    Example:
        >>> composed("Pru\\u0308fung") == "Prüfung"
        True
    """
    return unicodedata.normalize("NFC", name)


def decode(content: bytes) -> str:
    """The text of a file's bytes, without a byte order mark.

    Its mark decides, else the encoding that an XML declares, else UTF-8, else Windows-1252.

    Raises:
        UnicodeDecodeError: If it is none of these.

    Example:
        >>> decode("µm".encode("utf-16")), decode("µm".encode("cp1252")), decode("µm".encode("utf-8-sig"))
        ('µm', 'µm', 'µm')
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content.decode(encoding)
    if len(content) >= 4 and content[1] == content[3] == 0 and content[0] and content[2]:
        return content.decode("utf-16-le")
    if len(content) >= 4 and content[0] == content[2] == 0 and content[1] and content[3]:
        return content.decode("utf-16-be")
    declared = re.match(rb"\s*<\?xml[^>]*?encoding=[\"']([\w.-]+)[\"']", content)
    if declared:
        try:
            return content.decode(declared[1].decode("ascii"))
        except (LookupError, UnicodeDecodeError):
            pass
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        try:
            return content.decode("cp1252")
        except UnicodeDecodeError:
            raise error from None


def read_text(path: str | Path) -> str:
    """The text of a file in whatever encoding, and with whatever line ends, it was saved.

    Raises:
        InputError: If it cannot be read, or is no text.
    """
    path = Path(path)
    try:
        return re.sub("\r\n?", "\n", decode(path.read_bytes()))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: must be a text. Save it in UTF-8 ({error.reason}).") from error


def read_toml(path: str | Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        InputError: If it cannot be read, or is no TOML.
    """
    text = read_text(path)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: is not valid TOML ({error}){_hint(text)}.") from error


def _hint(text: str) -> str:
    """What an editor would not show, or a spreadsheet changed."""
    if re.search(r"=\s*[-+]?\d+,\d+\s*(#.*)?$", text, re.MULTILINE):
        return "; numbers have a point in them, not a comma"
    if "\u00a0" in text:
        return "; blanks must be plain ones, not those that keep words together (U+00A0)"
    if re.search("[“”„‘’]", text):
        return '; quotation marks must be straight ones (")'
    bare = re.search(
        r"^\s*([\w-]+)\s*=\s*(?!true|false|inf|nan)([^\W\d][^\s\"'#]*)\s*(#.*)?$", text, re.MULTILINE
    )
    return f'; words need quotation marks: {bare[1]} = "{bare[2]}"' if bare else ""


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, for `json.loads(..., object_pairs_hook=)`; ValueError where a key stands twice.

    JSON keeps the last of them without a word, which loses what files that were put together had.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object, as where files were put together")
    return found


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        columns: Their names.
        rows: Each with its cells by column, stripped of blanks.
        lines: The line of the file at which each row ends.
    """

    columns: tuple[str, ...]
    rows: list[dict[str, str]]
    lines: list[int]


def table_text(path: str | Path) -> str:
    """The text of a CSV file; of an Excel workbook, its first sheet that holds something, with tabs between cells.

    Raises:
        InputError: If it cannot be read.
    """
    path = Path(path)
    if path.suffix.lower() in (".xls", ".ods", ".numbers"):
        raise InputError(f"{path}: must be a CSV file or an Excel workbook (.xlsx). Save it as one of them.")
    if path.suffix.lower() not in (".xlsx", ".xlsm"):
        return read_text(path)
    import warnings

    import openpyxl

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and extensions, which hold no cells
            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
            sheets = {sheet.title: list(sheet.iter_rows(values_only=True)) for sheet in book.worksheets}
            book.close()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except Exception as error:  # whatever a damaged zip or XML makes of it
        raise InputError(f"{path}: must be an Excel workbook. It cannot be read ({error}).") from error
    filled = {
        title: rows for title, rows in sheets.items() if any(cell is not None for row in rows for cell in row)
    }
    if len(filled) > 1:
        first, other, *_ = filled
        warnings.warn(f"{path}: its sheet {first!r} is read; {other!r} is not.", InputWarning, stacklevel=2)
    out = io.StringIO()
    writer = csv.writer(out, delimiter="\t", lineterminator="\n")
    for row in next(iter(filled.values()), []):
        writer.writerow([_cell(value) for value in row])
    return out.getvalue()


def _cell(value: Any) -> str:
    """A cell of a workbook as someone would type it: a whole number without a point, a day without a time."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value).removesuffix(" 00:00:00")


def read_table(path: str | Path) -> Table:
    """The table in a CSV file or an Excel workbook: commas, semicolons or tabs between cells, whichever its head has.

    Raises:
        InputError: If it cannot be read, has no head, names a column twice, or has a row of more cells than columns.
    """
    text = table_text(path)
    lines = text.splitlines()
    begin = 0
    separator = ""
    if lines and (stated := re.fullmatch(r"sep=(.)", lines[0].strip())):  # which Excel writes and heeds
        separator, begin = stated[1], 1
    head = lines[begin] if len(lines) > begin else ""
    separator = separator or max(";\t,", key=head.count)
    reader = csv.reader(lines[begin:], delimiter=separator)
    try:
        columns = tuple(cell.strip() for cell in next(reader, []))
        if not any(columns):
            raise InputError(
                f"{path}: must be a CSV file whose first line names its columns. Received an empty file."
            )
        twice = next((name for name in columns if name and columns.count(name) > 1), None)
        if twice is not None:
            raise InputError(f"{path}: each column must have a name of its own. Received {twice!r} twice.")
        rows, places = [], []
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) > len(columns) and any(cell.strip() for cell in cells[len(columns) :]):
                raise InputError(
                    f"{path}: line {begin + reader.line_num} must have at most {len(columns)} cells. "
                    f"Received {len(cells)}; a "
                    "cell with a comma in it needs quotation marks, or semicolons between cells."
                )
            cells = [*cells, *[""] * (len(columns) - len(cells))]
            rows.append({name: cell.strip() for name, cell in zip(columns, cells, strict=False)})
            places.append(begin + reader.line_num)
    except csv.Error as error:
        raise InputError(f"{path}: must be a CSV file ({error}).") from error
    return Table(columns, rows, places)


def number(text: str, as_type: Callable[[str], Any] = float) -> Any:
    """A number as people write it, with a point or a decimal comma; ValueError where it is none.

    Example:
        >>> number("0,35"), number(" 1.5e-3 "), number("12", int)
        (0.35, 0.0015, 12)
    """
    text = text.strip().replace("\u2212", "-")  # a minus as typesetters write it
    return as_type(text.replace(",", ".") if text.count(",") == 1 and "." not in text else text)
