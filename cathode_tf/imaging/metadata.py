"""What microscopes write beside the pixels, as one type, and the arithmetic that turns it into a pixel size."""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import dataclass, field
from typing import Any

from cathode_tf.errors import InputWarning
from cathode_tf.imaging.lengths import number_of
from cathode_tf.imaging.rasters import RasterFile


@dataclass(frozen=True)
class Metadata:
    """What a vendor's tag or sidecar says.

    Attributes:
        pixel_size_nm: Of the file's own pixels; None where it is not stated.
        source: Where the pixel size was read.
        acquisition: Vendor, kV, detector and so on; only what is stated.
        field_rows: Rows of the scanned field, where the file has more because a databar hangs below.
    """

    pixel_size_nm: float | None = None
    source: str = ""
    acquisition: dict[str, Any] = field(default_factory=dict)
    field_rows: int | None = None


def scaled(value: Any, factor: float) -> float | None:
    number = number_of(value)
    return None if number is None else float(f"{number * factor:.9g}")


def joined(*parts: Any) -> str:
    return " ".join(str(part) for part in parts if part)


def degrees(radians: Any) -> float | None:
    """An angle that a file states in radians."""
    number = number_of(radians)
    return None if number is None else float(f"{math.degrees(number):.9g}")


def on_or_off(text: Any) -> str | None:
    """What a file says of a switch, in one of two words; None where it says neither."""
    return {
        "yes": "on",
        "on": "on",
        "true": "on",
        "1": "on",
        "no": "off",
        "off": "off",
        "false": "off",
        "0": "off",
    }.get(str(text).strip().lower())


def from_field_width(
    raster: RasterFile, field_nm: float | None, scanned: tuple[int, int] | None, where: str
) -> float | None:
    """Pixel size from the width of the field; None, with a warning, where the file was cut since.

    The one place where the size of an image that a vendor describes is held against the size of the file.

    Args:
        raster: The file.
        field_nm: Width of the scanned field.
        scanned: (width, height) in pixels when scanned, where the file says so.
        where: Names the place of the metadata in a warning.
    """
    if not field_nm:
        return None
    height, width = raster.stored_shape
    if scanned and scanned[0] != width:
        expected = scanned[1] * width / scanned[0]
        # A resized image keeps its aspect (with up to a fifth more for a databar); a cut one does not.
        if not expected - 1 <= height <= 1.2 * expected + 1:
            warnings.warn(
                f"{raster.path}: {where} describes {scanned[0]} x {scanned[1]} pixels, but the file has "
                f"{width} x {height}: it was cut, so the pixel size is not known. "
                "Give --pixel-size-nm.",
                InputWarning,
                stacklevel=2,
            )
            return None
    return field_nm / width


def from_pixel_size(
    raster: RasterFile, pixel_nm: float | None, stated: tuple[int, int] | None, where: str
) -> float | None:
    """As `from_field_width`, from the size of a pixel in an image of the stated (width, height)."""
    if not pixel_nm:
        return None
    columns = stated[0] if stated else raster.stored_shape[1]
    return from_field_width(raster, pixel_nm * columns, stated, where)


def image_size(width: Any, height: Any) -> tuple[int, int] | None:
    """(width, height) of an image as a file states it; None where it does not state both."""
    across, down = number_of(width), number_of(height)
    return (round(across), round(down)) if across and down and min(across, down) >= 1 else None


def by_aspect(raster: RasterFile, across: float | None, down: float | None) -> tuple[int, int] | None:
    """(width, height) in pixels of a field of which only its edges are stated: any width of its aspect would do.

    It is twice as wide as the file, so that `from_field_width` compares the two.
    """
    width = 2 * raster.stored_shape[1]
    return (width, round(width * down / across)) if across and down else None


def rows_of(raster: RasterFile, stated: tuple[int, int] | None) -> int | None:
    """Rows of the scanned field in the file, which has more where a databar hangs below."""
    return round(stated[1] * raster.stored_shape[1] / stated[0]) if stated else None


def is_square(raster: RasterFile, width_nm: float, height_nm: float) -> bool:
    """Whether pixels are square to 1 %; lengths and areas have no single scale where they are not."""
    if abs(width_nm - height_nm) <= 0.01 * max(width_nm, height_nm):
        return True
    warnings.warn(
        f"{raster.path}: pixels must be square. They are {width_nm:.6g} nm wide and {height_nm:.6g} nm "
        "high, so no pixel size is used. Resample the image, or give --pixel-size-nm.",
        InputWarning,
        stacklevel=2,
    )
    return False


def parse_xml(text: str) -> Any:
    """The root of an XML text; entities are refused, as a small file could unfold to gigabytes."""
    from xml.etree import ElementTree

    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("XML with a document type")
    text = re.sub(r"^\s*<\?xml[^>]*\?>", "", text.strip("\0 \r\n\t\ufeff"))
    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(str(error)) from error
