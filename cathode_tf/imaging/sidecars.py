"""Metadata in files beside an image (and in TESCAN's own tag): TESCAN, JEOL, Hitachi. Open file in, `Metadata` out."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Mapping
from pathlib import Path

from cathode_tf.errors import InputWarning
from cathode_tf.imaging.lengths import nanometres, number_of
from cathode_tf.imaging.metadata import (
    Metadata,
    by_aspect,
    from_field_width,
    from_pixel_size,
    image_size,
    is_square,
    joined,
    rows_of,
    scaled,
)
from cathode_tf.imaging.rasters import RasterFile
from cathode_tf.texts import decode


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
    scanned = _jeol_size(fields)
    size, source = _jeol_pixel_size(raster, fields, scanned, sidecar.name)
    rows = rows_of(raster, scanned)
    acquisition = {
        "vendor": "JEOL",
        "instrument": fields.get("CM_INSTRUMENT"),
        "kV": number_of(fields.get("CM_ACCEL_VOLT")),
        "detector": fields.get("CM_DETECTOR_NAME") or fields.get("CM_SIGNAL_NAME") or fields.get("CM_SIGNAL"),
        "working_distance_mm": number_of(fields.get("SM_WD")),
        "date": joined(fields.get("CM_DATE"), fields.get("CM_TIME")),
        **_jeol_stage(fields),
    }
    return Metadata(size, f"JEOL {sidecar.name}, {source}", acquisition, rows)


def _jeol_size(fields: Mapping[str, str]) -> tuple[int, int] | None:
    """(width, height) of the image that was scanned, as older and newer programs state it."""
    for name in ("CM_FULL_SIZE", "CM_IMAGE_SIZE"):
        full = [int(n) for n in re.findall(r"\d+", fields.get(name, ""))][:2]
        if len(full) == 2 and min(full) > 0:
            return full[0], full[1]
    return None


def _jeol_pixel_size(
    raster: RasterFile, fields: Mapping[str, str], scanned: tuple[int, int] | None, name: str
) -> tuple[float | None, str]:
    """The size of a pixel and where it stands; unknown, with a warning, where bar and field contradict each other."""
    marker, bar = nanometres(fields.get("SM_MICRON_MARKER", "")), number_of(fields.get("SM_MICRON_BAR"))
    view = [nanometres(text) for text in fields.get("CM_FIELD_OF_VIEW", "").split()]
    by_field = None
    if view and view[0]:
        by_field = from_field_width(raster, view[0], scanned or by_aspect(raster, *(*view, None)[:2]), name)
    stated = nanometres(fields.get("CM_PIXEL_SIZE", ""))
    if scanned and stated:
        return from_pixel_size(raster, stated, scanned, name), "CM_PIXEL_SIZE"
    if not (scanned and marker and bar):
        return by_field, "CM_FIELD_OF_VIEW"
    # The bar was drawn on the full image; this one may have been saved smaller.
    by_bar = from_pixel_size(raster, marker / bar, scanned, name)
    # A bar is known to the pixel at either end.
    if by_bar and by_field and abs(by_field / by_bar - 1) > 0.02 + 2 / bar:
        warnings.warn(
            f"{raster.path}: {name} must state one pixel size. Its bar gives {by_bar:.4g} nm, its field of view "
            f"{by_field:.4g} nm, so none is used. Give --pixel-size-nm.",
            InputWarning,
            stacklevel=2,
        )
        return None, ""
    return by_bar, "SM_MICRON_MARKER / SM_MICRON_BAR"


def _jeol_stage(fields: Mapping[str, str]) -> dict[str, float | None]:
    """Height and tilt: `X=.., Y=.., R=.., Z=.., T=..` in mm and degrees; older programs state x, y and z alone."""
    named = dict(
        re.findall(r"([XYZRT])\s*=\s*([-+\d.,eE]+?)(?=,?\s|,?$)", fields.get("CM_STAGE_POSITION", ""))
    )
    if named:
        return {"tilt_deg": number_of(named.get("T", "")), "stage_z_nm": scaled(named.get("Z", ""), 1e6)}
    position = fields.get("CM_STAGE_POS", "").split()
    return {"stage_z_nm": scaled(position[2], 1e6)} if len(position) > 2 else {}


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
        "stage_z_nm": number_of(fields.get("StagePositionZ", "")),
        **_hitachi_tilt(fields.get("StagePositionT", "")),
    }
    rows = rows_of(raster, scanned)
    return Metadata(size, f"Hitachi {sidecar.name}, PixelSize", acquisition, rows)


def _hitachi_tilt(text: str) -> dict[str, float | str | None]:
    """Degrees where they are written as such; a whole number, whose unit differs from model to model, as it stands."""
    if not text:
        return {}
    if number_of(text) == 0 or re.search(r"[.,]\d|°|deg", text):
        return {"tilt_deg": number_of(text)}
    return {"tilt_stated": f"StagePositionT={text}"}


def _sidecar(path: Path, *names: str) -> Path | None:
    """The first of these files beside the image, however its name is spelled: accents, and upper and lower case."""
    for name in names:
        plain = Path(name)
        spellings = (name, plain.stem + plain.suffix.upper(), unicodedata.normalize("NFC", name),
                     unicodedata.normalize("NFD", name), name.upper(), name.lower())  # fmt: skip
        for spelling in dict.fromkeys(spellings):
            candidate = path.with_name(spelling)
            if candidate.is_file() and candidate.stat().st_size < 1_000_000:
                return candidate
    return None


def _text(path: Path) -> str:
    content = path.read_bytes()
    try:
        return decode(content)
    except UnicodeDecodeError:
        return content.decode("iso-8859-1")
