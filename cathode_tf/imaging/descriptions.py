"""Metadata as text: of a TIFF's description (OpenFIBSEM, OME, ImageJ), of CZI and EMD. Open file in, `Metadata` out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cathode_tf.imaging.lengths import nm_per, number_of
from cathode_tf.imaging.metadata import (
    Metadata,
    degrees,
    from_pixel_size,
    image_size,
    is_square,
    parse_xml,
    scaled,
)
from cathode_tf.imaging.rasters import RasterFile

OME_LENGTHS = {
    "km": 1e12, "hm": 1e11, "dam": 1e10, "dm": 1e8, "am": 1e-9, "Mm": 1e15, "Pm": 1e24,
    "thou": 25_400.0, "li": 25.4e6 / 12, "in": 25.4e6, "ft": 304.8e6,
}  # fmt: skip
"""Nanometres in those of OME's units that nobody else writes."""


def openfibsem(raster: RasterFile) -> Metadata | None:
    """The JSON that OpenFIBSEM writes: lengths in metres, angles in radians."""
    tag = raster.tag(270)
    text = str(tag.value).strip() if tag else ""
    if not text.startswith("{") or "pixel_size" not in text:
        return None
    content = json.loads(text)

    def part(*names: str) -> Mapping[str, Any]:
        found: Any = content
        for name in names:
            found = found.get(name) if isinstance(found, Mapping) else None
        return found if isinstance(found, Mapping) else {}

    image, pixel = part("image"), part("pixel_size")
    resolution = list(image.get("resolution") or ())
    stated = image_size(*resolution) if len(resolution) == 2 else None
    across, down = scaled(pixel.get("x"), 1e9), scaled(pixel.get("y"), 1e9)
    size = from_pixel_size(raster, across, stated, "OpenFIBSEM's description")
    if size and across and down and not is_square(raster, across, down):
        size = None
    ion = "ion" in str(image.get("beam_type", "")).lower()
    beam = part("microscope_state", "ion_beam" if ion else "electron_beam")
    detector = part("microscope_state", "ion_detector" if ion else "electron_detector") or part(
        "detector_settings"
    )
    stage, system = part("microscope_state", "stage_position"), part("system", "info")
    acquisition = {
        "vendor": "OpenFIBSEM",
        "instrument": system.get("model"),
        "kV": scaled(beam.get("voltage"), 1e-3),
        "detector": detector.get("type"),
        "detector_mode": detector.get("mode"),
        "working_distance_mm": scaled(beam.get("working_distance"), 1e3),
        "dwell_us": scaled(image.get("dwell_time"), 1e6),
        "beam_current_nA": scaled(beam.get("beam_current"), 1e9),
        "date": part("microscope_state").get("timestamp"),
        "tilt_deg": degrees(stage.get("t")),
        "stage_z_nm": scaled(stage.get("z"), 1e9),
    }
    return Metadata(size, "OpenFIBSEM ImageDescription, pixel_size.x", acquisition)


def ome(raster: RasterFile) -> Metadata | None:
    """OME's XML; a length without a unit is in micrometres."""
    if raster.tiff is None or not raster.tiff.is_ome:
        return None
    root = parse_xml(raster.tiff.ome_metadata)
    pixels = next((e for e in root.iter() if e.tag.endswith("}Pixels")), None)
    if pixels is None:
        return None

    def size(axis: str) -> float | None:
        value = number_of(pixels.get(f"PhysicalSize{axis}", ""))
        unit = pixels.get(f"PhysicalSize{axis}Unit", "µm")
        factor = OME_LENGTHS.get(unit) or nm_per(unit, str(raster.path))
        return value * factor if value and factor else None

    across, down = size("X"), size("Y")
    if across and down and not is_square(raster, across, down):
        across = None
    stated = image_size(pixels.get("SizeX", ""), pixels.get("SizeY", ""))
    acquisition = {"software": "OME-TIFF", "slice_thickness_nm": size("Z")}
    return Metadata(from_pixel_size(raster, across, stated, "OME's XML"), "OME PhysicalSizeX", acquisition)


def imagej(raster: RasterFile) -> Metadata | None:
    """ImageJ's scale: pixels a unit in XResolution and YResolution, and the distance of slices as `spacing`."""
    if raster.tiff is None or not raster.tiff.is_imagej:
        return None
    details = raster.tiff.imagej_metadata or {}
    tags, source = raster.page.tags, str(raster.path)
    unit = str(details.get("unit", ""))
    sizes = []
    for code, own in ((282, "xunit"), (283, "yunit")):
        up, down = tags[code].value if code in tags else (0, 0)
        # An inch is a printer's unit even in ImageJ, and its default of 1 pixel per "pixel" is no scale.
        named = str(details.get(own) or unit)
        factor = None if _is_printers(named, up, down) else nm_per(named, source)
        sizes.append(down / up * factor if up and down and factor else None)
    across, down_ = sizes
    if across and "yunit" in details and not down_:
        is_square(raster, across, 0.0)  # says that the rows have no length
        across = None
    if across and down_ and not is_square(raster, across, down_):
        across = None
    spacing, factor = number_of(details.get("spacing", "")), nm_per(str(details.get("zunit") or unit), source)
    acquisition = {
        "software": "ImageJ",
        "slice_thickness_nm": spacing * factor if spacing and factor and raster.count > 1 else None,
    }
    return Metadata(across, "ImageJ XResolution with unit", acquisition)


def _is_printers(unit: str, up: int, down: int) -> bool:
    """Whether pixels per unit are dots for a printer, which ImageJ takes over from a TIFF in inches or centimetres.

    A pixel of a microscope is smaller than 10 um, of which a centimetre holds a thousand.
    """
    return unit.strip().lower() in ("cm", "centimeter", "centimetre") and up <= 1000 * down


def czi(raster: RasterFile) -> Metadata | None:
    """The XML of a CZI: `Scaling/Items/Distance`, in metres."""
    if "czi" not in raster.texts:
        return None
    root = parse_xml(str(raster.texts["czi"]))
    edges = {
        e.get("Id"): scaled(e.findtext("Value") or "", 1e9) for e in root.iter("Distance") if e.get("Id")
    }
    across, down = edges.get("X"), edges.get("Y")
    if across and down and not is_square(raster, across, down):
        across = None
    stated = image_size(root.findtext(".//Image/SizeX") or "", root.findtext(".//Image/SizeY") or "")
    acquisition = {"vendor": "Zeiss", "slice_thickness_nm": edges.get("Z") if raster.count > 1 else None}
    return Metadata(from_pixel_size(raster, across, stated, "CZI"), "CZI Scaling, Distance X", acquisition)


def emd(raster: RasterFile) -> Metadata | None:
    """Velox' JSON (`BinaryResult.PixelSize`), or the axes of Berkeley Lab's EMD."""
    if "emd" in raster.texts:
        edges = raster.texts["emd"]
        across, down = edges["x"], edges["y"]
        if across and down and not is_square(raster, across, down):
            across = None
        return Metadata(across, "EMD axes", {"software": "EMD", "slice_thickness_nm": edges.get("z")})
    content = raster.texts.get("velox")
    if not isinstance(content, Mapping):
        return None
    result, optics = content.get("BinaryResult") or {}, content.get("Optics") or {}
    pixel = result.get("PixelSize") or {}
    factors = [nm_per(str(result.get(f"PixelUnit{axis}", "m"))) for axis in "XY"]
    edges_nm = [
        scaled(pixel.get(side), f) if f else None
        for side, f in zip(("width", "height"), factors, strict=True)
    ]
    across, down = edges_nm
    if across and down and not is_square(raster, across, down):
        across = None
    scan, stage = content.get("Scan") or {}, content.get("Stage") or {}
    image = result.get("ImageSize") or scan.get("ScanSize") or {}
    stated = image_size(image.get("width"), image.get("height"))
    acquisition = {
        "vendor": "Thermo Fisher Velox",
        "instrument": (content.get("Instrument") or {}).get("InstrumentClass"),
        "kV": scaled(optics.get("AccelerationVoltage"), 1e-3),
        "detector": result.get("Detector"),
        "dwell_us": scaled(scan.get("DwellTime"), 1e6),
        "tilt_deg": degrees(stage.get("AlphaTilt")),
        "stage_z_nm": scaled((stage.get("Position") or {}).get("z"), 1e9),
    }
    size = from_pixel_size(raster, across, stated, "Velox' metadata")
    return Metadata(size, "Velox metadata, BinaryResult.PixelSize", acquisition)
