"""What microscopes write beside the pixels, as one type, and the arithmetic that turns it into a pixel size."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from typing import Any

from cathode_tf.errors import InputWarning
from cathode_tf.imaging.rasters import RasterFile

NM_PER = {
    "m": 1e9, "cm": 1e7, "mm": 1e6, "um": 1e3, "µm": 1e3, "μm": 1e3, "micron": 1e3, "microns": 1e3,
    "micrometer": 1e3, "micrometre": 1e3, "\\u00b5m": 1e3, "nm": 1.0, "nanometer": 1.0, "nanometre": 1.0,
    "pm": 1e-3, "fm": 1e-6, "å": 0.1, "a": 0.1, "angstrom": 0.1,
}  # fmt: skip


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


def number_of(text: Any) -> float | None:
    """The number a field begins with: `5000.0`, `"8500 um"`, `"10.00 K X"`."""
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        return float(text)
    match = re.match(r"\s*=?\s*([-+]?\d+(?:[.,]\d+)?(?:[eE][-+]?\d+)?)", str(text))
    return float(match[1].replace(",", ".")) if match else None


def nanometres(text: str) -> float | None:
    """A length with its unit, in nm: `"100um"` gives 100000.0; None without a known unit."""
    match = re.fullmatch(r"\s*([-+]?\d+(?:[.,]\d+)?(?:[eE][-+]?\d+)?)\s*([^\d\s]+)\s*", str(text))
    factor = nm_per(match[2]) if match else None
    return float(match[1].replace(",", ".")) * factor if match and factor else None


def nm_per(unit: str) -> float | None:
    """Nanometres in a unit of length; None for any other.

    The micro sign comes in many encodings, and is the only sign before an m that is no letter of ASCII.

    Example:
        >>> nm_per("µm") == nm_per("\\\\u00B5m") == nm_per("Âµm") == 1000.0
        True
    """
    unit = unit.strip().lower()
    return 1e3 if re.fullmatch(r"[^\x00-\x7f]+m", unit) else NM_PER.get(unit)


def scaled(value: Any, factor: float) -> float | None:
    number = number_of(value)
    return None if number is None else float(f"{number * factor:.9g}")


def joined(*parts: Any) -> str:
    return " ".join(str(part) for part in parts if part)


def from_field_width(
    raster: RasterFile, field_nm: float | None, scanned: tuple[int, int] | None, where: str
) -> float | None:
    """Pixel size from the width of the field; None, with a warning, where the file was cut since.

    Args:
        field_nm: Width of the scanned field.
        scanned: (width, height) in pixels when scanned, where the file says so.
    """
    if not field_nm:
        return None
    if scanned and scanned[0] != raster.width:
        ratio = raster.width / scanned[0]
        expected = scanned[1] * ratio
        # A resized image keeps its aspect (with up to a fifth more for a databar); a cut one does not.
        if not expected - 1 <= raster.height <= 1.2 * expected + 1:
            warnings.warn(
                f"{raster.path}: {where} describes {scanned[0]} x {scanned[1]} pixels, but the file has "
                f"{raster.width} x {raster.height}: it was cut, so the pixel size is not known. "
                "Give --pixel-size-nm.",
                InputWarning,
                stacklevel=2,
            )
            return None
    return field_nm / raster.width


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
