"""What microscopes write beside the pixels: an open file or its sidecar in, `Metadata` out.

Only what a file states is taken. A magnification means nothing without the width of the print it was
meant for, and a resolution in dots per inch is the printer's: neither ever becomes a pixel size.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cathode_tf.errors import InputWarning
from cathode_tf.imaging.rasters import RasterFile

_NM_PER = {
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


def read_metadata(raster: RasterFile) -> Metadata:
    """The first of the vendors' places that states something; the instrument's own before an editor's."""
    for reader in _READERS:
        try:
            found = reader(raster)
        except Exception:  # a tag is parsed where it is looked at, and a damaged one says nothing
            found = None
        if found is not None and (found.acquisition or found.pixel_size_nm):
            return _plausible(found, raster)
    return Metadata()


def _plausible(found: Metadata, raster: RasterFile) -> Metadata:
    size = found.pixel_size_nm
    if size is not None and not (math.isfinite(size) and 1e-3 <= size <= 1e6):
        size = None
    acquisition = {k: v for k, v in found.acquisition.items() if v is not None and v != ""}
    rows = found.field_rows
    if rows is not None and not raster.height / 2 <= rows < raster.height:
        rows = None
    return Metadata(size, found.source if size else "", acquisition, rows)


def _number(text: Any) -> float | None:
    """The number a field begins with: `5000.0`, `"8500 um"`, `"10.00 K X"`."""
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        return float(text)
    match = re.match(r"\s*=?\s*([-+]?\d+(?:[.,]\d+)?(?:[eE][-+]?\d+)?)", str(text))
    return float(match[1].replace(",", ".")) if match else None


def _nanometres(text: str) -> float | None:
    """A length with its unit, in nm: `"100um"` gives 100000.0; None without a known unit."""
    match = re.fullmatch(r"\s*([-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)\s*([^\d\s]+)\s*", str(text))
    if not match or match[2].lower() not in _NM_PER:
        return None
    return float(match[1]) * _NM_PER[match[2].lower()]


def _scaled(value: Any, factor: float) -> float | None:
    number = _number(value)
    return None if number is None else float(f"{number * factor:.9g}")


def _width_of_field(
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


def _zeiss(raster: RasterFile) -> Metadata | None:
    tag = raster.tiff and raster.tiff.pages[0].tags.get(34118)
    if not tag or not isinstance(tag.value, Mapping):
        return None
    fields = tag.value

    def length(key: str) -> float | None:
        entry = fields.get(key)
        return _nanometres(f"{entry[1]} {entry[2]}") if entry and len(entry) == 3 else None

    def text(key: str) -> Any:
        entry = fields.get(key)
        return entry[1] if entry else None

    store = [int(n) for n in re.findall(r"\d+", str(text("dp_image_store") or ""))]
    scanned = (store[0], store[1]) if len(store) == 2 else None
    # The width of the field is right in every version; ap_pixel_size belongs to the screen, and is
    # wrong by 2 in old files that were stored larger than they were shown.
    size = _width_of_field(raster, length("ap_width"), scanned, "Zeiss tag 34118")
    source = "Zeiss tag 34118, AP_WIDTH"
    if size is None and not fields.get("ap_width"):
        size, source = length("ap_image_pixel_size"), "Zeiss tag 34118, AP_IMAGE_PIXEL_SIZE"
    wd = length("ap_wd")
    acquisition = {
        "vendor": "Zeiss",
        "instrument": text("sv_serial_number"),
        "kV": _kilovolts(fields.get("ap_actualkv") or fields.get("ap_manualkv")),
        "detector": text("dp_detector_channel") or text("dp_detector_type"),
        "working_distance_mm": wd and wd / 1e6,
        "date": _joined(text("ap_date"), text("ap_time")),
    }
    dwell = fields.get("dp_dwell_time")
    if dwell and len(dwell) == 3 and dwell[2] == "ns":
        acquisition["dwell_us"] = _scaled(dwell[1], 1e-3)
    return Metadata(size, source, acquisition)


def _kilovolts(entry: Any) -> float | None:
    if not entry or len(entry) != 3:
        return None
    return _scaled(entry[1], {"kV": 1.0, "V": 1e-3}.get(entry[2], math.nan))


def _joined(*parts: Any) -> str:
    return " ".join(str(part) for part in parts if part)


def _fei(raster: RasterFile) -> Metadata | None:
    page = raster.tiff and raster.tiff.pages[0]
    tables = [page.tags[code].value for code in (34682, 34680) if page and code in page.tags]
    fields = next((t for t in tables if isinstance(t, Mapping) and t), None)
    if fields is None:
        return None

    def section(name: str) -> Mapping[str, Any]:
        part = fields.get(name)
        return part if isinstance(part, Mapping) else {}

    beam_section = section("Beam")
    beam = section(str(beam_section.get("Beam", "EBeam")))
    scan = section(str(beam_section.get("Scan", "EScan"))) or section("Scan")
    image, user, detectors = section("Image"), section("User"), section("Detectors")
    resolution = (image.get("ResolutionX"), image.get("ResolutionY"))
    scanned = resolution if all(isinstance(n, int) and n > 0 for n in resolution) else None
    pixel = _scaled(scan.get("PixelWidth"), 1e9)
    field_nm = _scaled(scan.get("HorFieldsize"), 1e9) or _scaled(beam.get("HFW"), 1e9)
    if scanned and pixel:
        field_nm = pixel * scanned[0]
    size = _width_of_field(raster, field_nm, scanned, "Thermo tag 34682")
    height = _scaled(scan.get("PixelHeight"), 1e9)
    if size and pixel and height and not _square(raster, pixel, height):
        size = None
    rows = round(scanned[1] * raster.width / scanned[0]) if scanned else None
    acquisition = {
        "vendor": "Thermo Fisher",
        "instrument": section("System").get("SystemType") or section("System").get("Type"),
        "kV": _scaled(beam.get("HV", beam_section.get("HV")), 1e-3),
        "detector": detectors.get("Name"),
        "detector_mode": detectors.get("Mode"),
        "working_distance_mm": _scaled(beam.get("WD", section("Stage").get("WorkingDistance")), 1e3),
        "dwell_us": _scaled(scan.get("Dwell", scan.get("Dwelltime")), 1e6),
        "beam_current_nA": _scaled(beam.get("BeamCurrent"), 1e9),
        "date": _joined(user.get("Date"), user.get("Time")),
    }
    return Metadata(size, "Thermo tag 34682, PixelWidth", acquisition, rows)


def _square(raster: RasterFile, width_nm: float, height_nm: float) -> bool:
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


def _fibics(raster: RasterFile) -> Metadata | None:
    tag = raster.tiff and raster.tiff.pages[0].tags.get(51023)
    if not tag:
        return None
    value = tag.value
    root = parse_xml(value.decode("iso-8859-1") if isinstance(value, bytes) else value)

    def number(path: str) -> float | None:
        return _number(root.findtext(path, ""))

    across = math.hypot(number("Scan/Ux") or 0, number("Scan/Uy") or 0) * 1e3
    down = math.hypot(number("Scan/Vx") or 0, number("Scan/Vy") or 0) * 1e3
    width, height = number("Image/Width"), number("Image/Height")
    scanned = (int(width), int(height)) if width and height else None
    size = _width_of_field(
        raster, across * (scanned[0] if scanned else raster.width), scanned, "Fibics tag 51023"
    )
    if size and down and not _square(raster, across, down):
        size = None
    dwell = root.find("Scan/Dwell")
    items = {item.get("name"): item.text for item in root.iter("item")}
    acquisition = {
        "vendor": "Fibics Atlas",
        "instrument": root.findtext("Image/Machine"),
        "kV": _number(items.get("Ext V") or root.findtext("Scan/HV") or ""),
        "detector": root.findtext("Image/Detector"),
        "working_distance_mm": _scaled(items.get("WD") or "", 1.0),
        "dwell_us": _scaled(dwell.text, 1e-3) if dwell is not None and dwell.get("units") == "ns" else None,
        "date": root.findtext("Application/Date"),
        "slice": root.findtext("ATLAS3D/Slice/ZIndex"),
    }
    return Metadata(size, "Fibics tag 51023, Scan/Ux", acquisition)


def _tescan(raster: RasterFile) -> Metadata | None:
    tag = raster.tiff and raster.tiff.pages[0].tags.get(50431)
    text = ""
    if tag and isinstance(tag.value, (bytes, str)):
        text = tag.value.decode("utf-8", "replace") if isinstance(tag.value, bytes) else tag.value
        source = "TESCAN tag 50431"
    if "PixelSizeX" not in text:
        suffix = raster.path.suffix.lstrip(".")
        sidecar = _sidecar(raster.path, f"{raster.path.stem}.hdr", f"{raster.path.stem}-{suffix}.hdr",
                           f"{raster.path.name}.hdr")  # fmt: skip
        if sidecar is None:
            return None
        text, source = _text(sidecar), f"TESCAN {sidecar.name}"
    fields = {k.strip(): v.strip() for k, v in re.findall(r"^([\w ]+)=(.*)$", text, re.MULTILINE)}
    across, down = _scaled(fields.get("PixelSizeX"), 1e9), _scaled(fields.get("PixelSizeY"), 1e9)
    if across and down and not _square(raster, across, down):
        across = None
    acquisition = {
        "vendor": "TESCAN",
        "instrument": fields.get("Device") or fields.get("DeviceModel"),
        "kV": _scaled(fields.get("HV") or fields.get("AcceleratorVoltage"), 1e-3),
        "detector": fields.get("Detector") or fields.get("Detector0"),
        "working_distance_mm": _scaled(fields.get("WD"), 1e3),
        "dwell_us": _scaled(fields.get("DwellTime"), 1e6),
        "date": _joined(fields.get("Date"), fields.get("Time")),
    }
    return Metadata(across, f"{source}, PixelSizeX", acquisition)


def _sidecar(path: Path, *names: str) -> Path | None:
    """The first of these files beside the image, whatever the case of its suffix."""
    for name in names:
        candidate = path.with_name(name)
        for spelling in (candidate, candidate.with_suffix(candidate.suffix.upper())):
            if spelling.is_file() and spelling.stat().st_size < 1_000_000:
                return spelling
    return None


def _text(path: Path) -> str:
    content = path.read_bytes()
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("iso-8859-1")


def _jeol(raster: RasterFile) -> Metadata | None:
    sidecar = _sidecar(raster.path, f"{raster.path.stem}.txt", f"{raster.path.name}.txt")
    text = _text(sidecar) if sidecar else ""
    if "$CM_FORMAT" not in text and "$SEM_DATA_VERSION" not in text:
        return None
    assert sidecar is not None
    fields = {k: v.strip() for k, v in re.findall(r"^\${1,2}(\w+)[ \t]*(.*)$", text, re.MULTILINE)}
    full = [int(n) for n in re.findall(r"\d+", fields.get("CM_FULL_SIZE", ""))][:2]
    marker, bar = _nanometres(fields.get("SM_MICRON_MARKER", "")), _number(fields.get("SM_MICRON_BAR"))
    size = rows = None
    if len(full) == 2 and full[0] > 0 and full[1] > 0:
        rows = round(full[1] * raster.width / full[0])
        if marker and bar:
            # The bar was drawn on the full image; this one may have been saved smaller.
            field_nm = marker / bar * full[0]
            size = _width_of_field(raster, field_nm, (full[0], full[1]), sidecar.name)
    acquisition = {
        "vendor": "JEOL",
        "instrument": fields.get("CM_INSTRUMENT"),
        "kV": _number(fields.get("CM_ACCEL_VOLT")),
        "detector": fields.get("CM_DETECTOR_NAME") or fields.get("CM_SIGNAL_NAME") or fields.get("CM_SIGNAL"),
        "working_distance_mm": _number(fields.get("SM_WD")),
        "date": _joined(fields.get("CM_DATE"), fields.get("CM_TIME")),
    }
    return Metadata(size, f"JEOL {sidecar.name}, SM_MICRON_MARKER / SM_MICRON_BAR", acquisition, rows)


def _hitachi(raster: RasterFile) -> Metadata | None:
    sidecar = _sidecar(raster.path, f"{raster.path.stem}.txt", f"{raster.path.name}.txt")
    text = _text(sidecar) if sidecar else ""
    if "[SemImageFile]" not in text:
        return None
    assert sidecar is not None
    fields = {k.strip(): v.strip() for k, v in re.findall(r"^(\w+)[ \t]*=(.*)$", text, re.MULTILINE)}
    data = [int(n) for n in re.findall(r"\d+", fields.get("DataSize", ""))]
    scanned = (data[0], data[1]) if len(data) == 2 and min(data) > 0 else None
    pixel = _number(fields.get("PixelSize"))
    size = _width_of_field(raster, pixel * (scanned[0] if scanned else raster.width) if pixel else None,
                           scanned, sidecar.name)  # fmt: skip
    acquisition = {
        "vendor": "Hitachi",
        "instrument": fields.get("InstructName"),
        "kV": _scaled(fields.get("AcceleratingVoltage"), 1e-3),
        "detector": fields.get("SignalName"),
        "working_distance_mm": _scaled(fields.get("WorkingDistance"), 1e-3),
        "date": _joined(fields.get("Date"), fields.get("Time")),
    }
    rows = round(scanned[1] * raster.width / scanned[0]) if scanned else None
    return Metadata(size, f"Hitachi {sidecar.name}, PixelSize", acquisition, rows)


def _imagej(raster: RasterFile) -> Metadata | None:
    if raster.tiff is None or not raster.tiff.is_imagej:
        return None
    unit = str((raster.tiff.imagej_metadata or {}).get("unit", "")).lower()
    tags = raster.tiff.pages[0].tags
    sizes = []
    for code in (282, 283):
        up, down = tags[code].value if code in tags else (0, 0)
        # An inch is a printer's unit even in ImageJ, and its default of 1 pixel per "pixel" is no scale.
        sizes.append(down / up * _NM_PER[unit] if up and down and unit in _NM_PER else None)
    across, down_ = sizes
    if across and down_ and not _square(raster, across, down_):
        across = None
    return Metadata(across, "ImageJ XResolution with unit", {"software": "ImageJ"})


def _ome(raster: RasterFile) -> Metadata | None:
    if raster.tiff is None or not raster.tiff.is_ome:
        return None
    root = parse_xml(raster.tiff.ome_metadata)
    pixels = next((e for e in root.iter() if e.tag.endswith("}Pixels")), None)
    if pixels is None:
        return None

    def size(axis: str) -> float | None:
        value = _number(pixels.get(f"PhysicalSize{axis}", ""))
        factor = _NM_PER.get(pixels.get(f"PhysicalSize{axis}Unit", "µm").lower())
        return value * factor if value and factor else None

    across, down = size("X"), size("Y")
    if across and down and not _square(raster, across, down):
        across = None
    return Metadata(across, "OME PhysicalSizeX", {"software": "OME-TIFF"})


_READERS: tuple[Callable[[RasterFile], Metadata | None], ...] = (
    _fibics, _zeiss, _fei, _tescan, _jeol, _hitachi, _ome, _imagej,
)  # fmt: skip
