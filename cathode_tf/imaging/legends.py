"""A picture in, the picture with a strip under it out: the phases' colours, and a scale bar where one can be told.

The strip hangs below the picture, never over its pixels: row r and column c stay those of the image.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

INK = (35, 48, 61)
PAPER = (255, 255, 255)
LONGEST_BAR = 0.3
"""Of the picture's width."""

LEAST_TEXT_PX = 12
"""In a small picture; in others it is 1/36 of the side of a square as large."""


def scale_bar(width_px: int, pixel_size_nm: float) -> tuple[float, str]:
    """The longest round length (1, 2 or 5 times a power of ten) that takes at most 30 % of a picture's width.

    Args:
        width_px: Of the picture.
        pixel_size_nm: Edge of a pixel.

    Returns:
        Its length in pixels, and in words.

    Example:
        >>> scale_bar(1000, 20.0)       # 30 % are 6 um
        (250.0, '5 µm')
        >>> scale_bar(512, 1.0)
        (100.0, '100 nm')
    """
    most = LONGEST_BAR * width_px * pixel_size_nm
    power = 10.0 ** math.floor(math.log10(most))
    length_nm = max(factor * power for factor in (1, 2, 5) if factor * power <= most * (1 + 1e-9))
    return length_nm / pixel_size_nm, _words(length_nm)


def _words(length_nm: float) -> str:
    for unit, nm in (("mm", 1e6), ("µm", 1e3), ("nm", 1.0)):
        if length_nm >= nm * (1 - 1e-9):
            return f"{length_nm / nm:g} {unit}"
    return f"{length_nm:g} nm"


def text_height(height: int, width: int) -> int:
    """Height in pixels of letters that can be read in a picture of this size."""
    return max(LEAST_TEXT_PX, round(math.sqrt(height * width) / 36))


def heading(text: str, width: int, text_px: int) -> np.ndarray:
    """A white strip with a line of text, RGB, uint8 (height, width, 3); smaller letters where it is too long."""
    from PIL import Image, ImageDraw

    strip = Image.new("RGB", (width, round(1.5 * text_px)), PAPER)
    size = min(text_px, int(text_px * (width - text_px) / max(_font(text_px).getlength(text), 1)))
    place = (text_px // 2, strip.height // 2)
    ImageDraw.Draw(strip).text(place, text, fill=INK, font=_font(max(size, 5)), anchor="lm")
    return np.asarray(strip)


def with_legend(
    picture: np.ndarray, colors: Mapping[str, str], *, pixel_size_nm: float | None = None
) -> np.ndarray:
    """The picture with a white strip under it that names the colours and holds a scale bar.

    Args:
        picture: RGB, uint8 (height, width, 3).
        colors: `"#rrggbb"` by the name of the phase; empty for a scale bar alone.
        pixel_size_nm: Edge of one of the picture's pixels; None = unknown, then there is no scale bar.

    Returns:
        RGB, uint8; its first `height` rows and `width` columns are the picture. A picture that is narrower than a
        name in its legend gets white at its right. Without colours and pixel size it is the picture itself.
    """
    from PIL import Image, ImageDraw

    height, width = picture.shape[:2]
    text_px = text_height(height, width)
    items = [_Item(text_px, name, color) for name, color in colors.items()]
    if pixel_size_nm is not None:
        bar_px, words = scale_bar(width, pixel_size_nm)
        items.append(_Item(text_px, words, bar_px=max(1, round(bar_px))))
    if not items:
        return picture
    gap = text_px // 2
    rows = _rows(items, width, gap)
    across = max(width, *(item.width + 2 * gap for item in items))
    line_px = round(1.5 * text_px)
    strip = Image.new("RGB", (across, len(rows) * line_px + 2 * (gap // 2)), PAPER)
    draw = ImageDraw.Draw(strip)
    for index, row in enumerate(rows):
        middle = gap // 2 + index * line_px + line_px // 2
        for x, item in row:
            item.draw(draw, x, middle)
    above = np.pad(picture, ((0, 0), (0, across - width), (0, 0)), constant_values=255)
    return np.vstack([above, np.asarray(strip)])


@dataclass(frozen=True)
class _Item:
    """A word behind its colour, or behind a bar."""

    text_px: int
    text: str
    color: str = ""
    bar_px: int = 0

    @property
    def mark_px(self) -> int:
        return self.bar_px or self.text_px

    @property
    def width(self) -> int:
        return self.mark_px + self.text_px // 3 + math.ceil(_font(self.text_px).getlength(self.text))

    def draw(self, draw: ImageDraw, x: int, middle: int) -> None:
        half = max(self.text_px // 6, 1) if self.bar_px else self.text_px // 2
        box = (x, middle - half, x + self.mark_px - 1, middle + half)
        draw.rectangle(box, fill=self.color or INK, outline=None if self.bar_px else INK)
        place = (x + self.mark_px + self.text_px // 3, middle)
        draw.text(place, self.text, fill=INK, font=_font(self.text_px), anchor="lm")


def _rows(items: Sequence[_Item], width: int, gap: int) -> list[list[tuple[int, _Item]]]:
    """The items one behind the other, in as many rows as they need, each with where it begins; a bar ends a row."""
    rows: list[list[tuple[int, _Item]]] = [[]]
    x = gap
    for item in items:
        if rows[-1] and x + item.width + gap > width:
            rows.append([])
            x = gap
        place = max(x, width - gap - item.width) if item.bar_px else x
        rows[-1].append((place, item))
        x += item.width + 2 * gap
    return rows


@lru_cache(maxsize=8)
def _font(size: int) -> FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib, and knows Greek and Cyrillic."""
    import matplotlib as mpl
    from PIL import ImageFont

    return ImageFont.truetype(str(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)
