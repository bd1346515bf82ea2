"""A self-contained HTML page: sections of texts, tables and figures in, one file without a network out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cathode_tf.files import atomic_file


@dataclass(frozen=True)
class Card:
    """One headline number; `trust` says how far to believe it."""

    name: str
    value: str
    detail: str = ""
    color: str = ""
    refused: bool = False
    trust: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of text; `numeric` aligns all but the first column to the right; `notes` stand below."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    numeric: bool = False
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Drawing:
    """An `<svg>` element with what it shows."""

    svg: str
    caption: str


@dataclass(frozen=True)
class Picture:
    """A `data:` address of an image with what it shows."""

    data: str
    caption: str


@dataclass
class Section:
    """A part of the page that the table of contents names; `wide` gives each picture the full width."""

    title: str
    texts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    drawings: list[Drawing] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    wide: bool = False
    open: bool = False

    @property
    def anchor(self) -> str:
        """The part of the address behind `#`."""
        return "".join(letter if letter.isalnum() else "-" for letter in self.title.lower())


@dataclass
class Page:
    """Everything that `write_page` needs.

    Attributes:
        masks: What the masks are; stands first of all, loud where they are not `checked`.
        pictures: On the first screen, side by side.
        basis: What the headline numbers rest on: images, area, pixel size.
        sections: Folded, but for those that are `open`.
    """

    title: str
    lead: str
    cards: list[Card] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    masks: str = ""
    checked: bool = True
    pictures: list[Picture] = field(default_factory=list)
    basis: str = ""


def write_page(page: Page, path: str | Path, *, force: bool = False) -> Path:
    """Write the page as one HTML file that needs no network; all texts are escaped.

    Args:
        page: What to show.
        path: Where; an existing file is replaced only with `force`.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    text = environment.get_template("page.html.j2").render(page=page)
    with atomic_file(path, force=force) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)
