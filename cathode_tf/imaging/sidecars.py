"""Metadata in files beside an image (and in TESCAN's own tag): TESCAN, JEOL, Hitachi. Open file in, `Metadata` out."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

from cathode_tf.errors import InputWarning
from cathode_tf.imaging.metadata import (
    Metadata,
    from_field_width,
    from_pixel_size,
    image_size,
    is_square,
    joined,
    nanometres,
    number_of,
    rows_of,
    scaled,
)
from cathode_tf.imaging.rasters import RasterFile


def tescan(raster: RasterFile) -> Metadata | None:
    tag = raster.tag(50431)
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
    fields = {k: v.strip() for k, v in re.findall(r"([A-Za-z]\w*)[ \t]*=([^\r\n\0]*)", text)}
    across, down = scaled(fields.get("PixelSizeX"), 1e9), scaled(fields.get("PixelSizeY"), 1e9)
    if across and down and not is_square(raster, across, down):
        across = None
    stated = image_size(fields.get("ImageWidth"), fields.get("ImageHeight"))
    size = from_pixel_size(raster, across, stated, source)
    if size and stated is None:  # by the folder, so that a batch gives one sentence
        warnings.warn(
            f"{raster.path.parent}: TESCAN's headers state a pixel size, but not for how many pixels. If images were "
            "resized since, give --pixel-size-nm.",
            InputWarning,
            stacklevel=2,
        )
    strip = number_of(fields.get("ImageStripSize"))
    acquisition = {
        "vendor": "TESCAN",
        "instrument": fields.get("Device") or fields.get("DeviceModel"),
        "kV": scaled(fields.get("HV") or fields.get("AcceleratorVoltage"), 1e-3),
        "detector": fields.get("Detector") or fields.get("Detector0"),
        "working_distance_mm": scaled(fields.get("WD"), 1e3),
        "dwell_us": scaled(fields.get("DwellTime"), 1e6),
        "date": joined(fields.get("Date"), fields.get("Time")),
        "tilt_deg": number_of(fields.get("StageTilt")),
        "stage_z_nm": scaled(fields.get("StageZ"), 1e9),
        "slice_thickness_nm": scaled(fields.get("PixelSizeZ"), 1e9),
    }
    shrunk = raster.stored_shape[1] / stated[0] if stated else 1.0
    rows = raster.height - round(strip * shrunk) if strip else None
    return Metadata(size, f"{source}, PixelSizeX", acquisition, rows)


def jeol(raster: RasterFile) -> Metadata | None:
    sidecar = _sidecar(raster.path, f"{raster.path.stem}.txt", f"{raster.path.name}.txt")
    text = _text(sidecar) if sidecar else ""
    if not re.search(r"^\$+(CM_FORMAT|SEM_DATA_VERSION|SM_MICRON_BAR)", text, re.MULTILINE):
        return None
    assert sidecar is not None
    fields = {k: v.strip() for k, v in re.findall(r"^\${1,2}(\w+)[ \t]*(.*)$", text, re.MULTILINE)}
    full = [int(n) for n in re.findall(r"\d+", fields.get("CM_FULL_SIZE", ""))][:2]
    scanned = (full[0], full[1]) if len(full) == 2 and min(full) > 0 else None
    marker, bar = nanometres(fields.get("SM_MICRON_MARKER", "")), number_of(fields.get("SM_MICRON_BAR"))
    view = [nanometres(text) for text in fields.get("CM_FIELD_OF_VIEW", "").split()]
    size, source = None, f"JEOL {sidecar.name}, SM_MICRON_MARKER / SM_MICRON_BAR"
    if scanned and marker and bar:
        # The bar was drawn on the full image; this one may have been saved smaller.
        size = from_pixel_size(raster, marker / bar, scanned, sidecar.name)
    elif view and view[0]:
        source = f"JEOL {sidecar.name}, CM_FIELD_OF_VIEW"
        size = from_field_width(raster, view[0], scanned or _by_aspect(raster, view), sidecar.name)
    rows = rows_of(raster, scanned)
    acquisition = {
        "vendor": "JEOL",
        "instrument": fields.get("CM_INSTRUMENT"),
        "kV": number_of(fields.get("CM_ACCEL_VOLT")),
        "detector": fields.get("CM_DETECTOR_NAME") or fields.get("CM_SIGNAL_NAME") or fields.get("CM_SIGNAL"),
        "working_distance_mm": number_of(fields.get("SM_WD")),
        "date": joined(fields.get("CM_DATE"), fields.get("CM_TIME")),
    }
    position = fields.get("CM_STAGE_POS", "").split()
    if len(position) > 2:
        acquisition["stage_z_nm"] = scaled(position[2], 1e6)
    return Metadata(size, source, acquisition, rows)


def _by_aspect(raster: RasterFile, view: list[float | None]) -> tuple[int, int] | None:
    """(width, height) of an image as wide as twice the file, whose aspect is that of the field: any width would do."""
    across, down = (*view, None)[:2]
    width = 2 * raster.stored_shape[1]
    return (width, round(width * down / across)) if across and down else None


def hitachi(raster: RasterFile) -> Metadata | None:
    sidecar = _sidecar(raster.path, f"{raster.path.stem}.txt", f"{raster.path.name}.txt")
    text = _text(sidecar) if sidecar else ""
    if not re.search(r"\[[ST]emImageFile\]", text):
        return None
    assert sidecar is not None
    fields = {k.strip(): v.strip() for k, v in re.findall(r"^(\w+)[ \t]*=(.*)$", text, re.MULTILINE)}
    data = [int(n) for n in re.findall(r"\d+", fields.get("DataSize", ""))]
    scanned = (data[0], data[1]) if len(data) == 2 and min(data) > 0 else None
    size = from_pixel_size(raster, number_of(fields.get("PixelSize")), scanned, sidecar.name)
    acquisition = {
        "vendor": "Hitachi",
        "instrument": fields.get("InstructName"),
        "kV": scaled(fields.get("AcceleratingVoltage"), 1e-3),
        "detector": fields.get("SignalName"),
        "working_distance_mm": scaled(fields.get("WorkingDistance"), 1e-3),
        "date": joined(fields.get("Date"), fields.get("Time")),
    }
    rows = rows_of(raster, scanned)
    return Metadata(size, f"Hitachi {sidecar.name}, PixelSize", acquisition, rows)


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
