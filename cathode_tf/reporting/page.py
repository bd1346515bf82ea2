"""A self-contained HTML page: sections of texts, tables and figures in, one file without a network out."""

from __future__ import annotations

import base64
import re
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


def write_figures(page: Page, folder: Path) -> list[Path]:
    """Write each drawing of the page as an SVG and each picture as a PNG, for slides and papers.

    Args:
        page: What `write_page` shows.
        folder: Is made; files are numbered in the order of the page and named by section and caption.
    """
    parts = [Section("first page", pictures=list(page.pictures)), *page.sections]
    written: list[Path] = []
    folder.mkdir(parents=True, exist_ok=True)
    for section in parts:
        figures: list[Drawing | Picture] = [*section.drawings, *section.pictures]
        for figure in figures:
            words = re.sub(r"[^\w]+", "-", f"{section.title} {figure.caption}".lower()).strip("-")[:60]
            stem = f"{len(written) + 1:02d}-{words.rstrip('-')}"
            if isinstance(figure, Drawing):
                path = folder / f"{stem}.svg"
                path.write_text(figure.svg, encoding="utf-8")
            else:
                path = folder / f"{stem}.png"
                path.write_bytes(_as_png(figure.data))
            written.append(path)
    return written


def _as_png(data: str) -> bytes:
    """The image of a `data:` address as PNG, which every program opens."""
    import cv2
    import numpy as np

    encoded = np.frombuffer(base64.b64decode(data.partition(",")[2]), np.uint8)
    picture = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR))
    return cv2.imencode(".png", picture)[1].tobytes()
