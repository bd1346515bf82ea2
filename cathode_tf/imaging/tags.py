"""Metadata in the tags of a TIFF: Zeiss, Thermo Fisher (FEI), Fibics, OME, ImageJ. Open file in, `Metadata` out."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from cathode_tf.imaging.metadata import (
    Metadata,
    from_field_width,
    is_square,
    joined,
    nanometres,
    nm_per,
    number_of,
    parse_xml,
    scaled,
)
from cathode_tf.imaging.rasters import RasterFile

OME_LENGTHS = {
    "km": 1e12, "hm": 1e11, "dam": 1e10, "dm": 1e8, "am": 1e-9, "Mm": 1e15, "Pm": 1e24,
    "thou": 25_400.0, "li": 25.4e6 / 12, "in": 25.4e6, "ft": 304.8e6,
}  # fmt: skip
"""Nanometres in those of OME's units that nobody else writes."""


def zeiss(raster: RasterFile) -> Metadata | None:
    tag = raster.tiff and raster.tiff.pages[0].tags.get(34118)
    if not tag or not isinstance(tag.value, Mapping):
        return None
    fields = tag.value

    def length(key: str) -> float | None:
        entry = fields.get(key)
        return nanometres(f"{entry[1]} {entry[2]}") if entry and len(entry) == 3 else None

    def text(key: str) -> Any:
        entry = fields.get(key)
        return entry[1] if entry else None

    store = [int(n) for n in re.findall(r"\d+", str(text("dp_image_store") or ""))]
    scanned = (store[0], store[1]) if len(store) == 2 else None
    stored = length("ap_image_pixel_size")
    if scanned is None and stored:
        across, down = length("ap_width"), length("ap_height")
        scanned = (round(across / stored), round(down / stored)) if across and down else None
    # The width of the field is right in every version; ap_pixel_size belongs to the screen, and is
    # wrong by 2 in old files that were stored larger than they were shown.
    size = from_field_width(raster, length("ap_width"), scanned, "Zeiss tag 34118")
    source = "Zeiss tag 34118, AP_WIDTH"
    if size is None and not fields.get("ap_width"):
        size, source = stored, "Zeiss tag 34118, AP_IMAGE_PIXEL_SIZE"
        header = fields.get("", ())
        if size is None and len(header) > 3:
            # The nameless block gives the pixel size of the screen, which is 1024 pixels wide.
            field_nm = (number_of(header[3]) or 0.0) * 1e9 * 1024
            size = from_field_width(raster, field_nm, scanned, "Zeiss tag 34118")
            source = "Zeiss tag 34118, header"
    wd = length("ap_wd")
    acquisition = {
        "vendor": "Zeiss",
        "instrument": text("sv_serial_number"),
        "kV": _kilovolts(raster, tag),
        "detector": text("dp_detector_channel") or text("dp_detector_type"),
        "working_distance_mm": wd and wd / 1e6,
        "date": joined(text("ap_date"), text("ap_time")),
    }
    dwell = fields.get("dp_dwell_time")
    if dwell and len(dwell) == 3 and dwell[2] == "ns":
        acquisition["dwell_us"] = scaled(dwell[1], 1e-3)
    return Metadata(size, source, acquisition)


def _kilovolts(raster: RasterFile, tag: Any) -> float | None:
    """From the text of the tag: tifffile takes "EHT = 800.00 V", all in capitals, for the name of a field."""
    raster.tiff.filehandle.seek(tag.valueoffset)
    content = raster.tiff.filehandle.read(tag.valuebytecount)
    for name in (b"AP_ACTUALKV", b"AP_MANUALKV"):
        found = re.search(name + rb"\s+[^=\r\n]*=\s*([\d.]+)\s*(k?)V\b", content)
        if found:
            return scaled(found[1].decode(), 1.0 if found[2] else 1e-3)
    return None


def fei(raster: RasterFile) -> Metadata | None:
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
    # What the scan of the beam leaves out, the general section may say.
    own = {k: v for k, v in section(str(beam_section.get("Scan", "EScan"))).items() if v != ""}
    scan = {**section("Scan"), **own}
    image, user, detectors = section("Image"), section("User"), section("Detectors")
    columns, lines = number_of(image.get("ResolutionX")), number_of(image.get("ResolutionY"))
    scanned = (int(columns), int(lines)) if columns and lines else None
    pixel = scaled(scan.get("PixelWidth"), 1e9)
    field_nm = scaled(scan.get("HorFieldsize"), 1e9) or scaled(beam.get("HFW"), 1e9)
    if pixel:
        field_nm = pixel * (scanned[0] if scanned else raster.width)
    size = from_field_width(raster, field_nm, scanned, "Thermo tag 34682")
    height = scaled(scan.get("PixelHeight"), 1e9)
    if size and pixel and height and not is_square(raster, pixel, height):
        size = None
    rows = round(scanned[1] * raster.width / scanned[0]) if scanned else None
    bar = number_of(section("PrivateFei").get("DatabarHeight"))
    if rows is None and bar:
        rows = raster.height - round(bar)
    acquisition = {
        "vendor": "Thermo Fisher",
        "instrument": section("System").get("SystemType") or section("System").get("Type"),
        "kV": scaled(beam.get("HV", beam_section.get("HV")), 1e-3),
        "detector": detectors.get("Name"),
        "detector_mode": detectors.get("Mode"),
        "working_distance_mm": scaled(beam.get("WD", section("Stage").get("WorkingDistance")), 1e3),
        "dwell_us": scaled(scan.get("Dwell", scan.get("Dwelltime")), 1e6),
        "beam_current_nA": scaled(beam.get("BeamCurrent"), 1e9),
        "date": joined(user.get("Date"), user.get("Time")),
    }
    return Metadata(size, "Thermo tag 34682, PixelWidth", acquisition, rows)


def fei_xml(raster: RasterFile) -> Metadata | None:
    """Tag 34683: the XML of newer Thermo instruments, or of a Phenom."""
    tag = raster.tiff and raster.tiff.pages[0].tags.get(34683)
    if not tag:
        return None
    root = parse_xml(tag.value.decode("utf-8", "replace") if isinstance(tag.value, bytes) else tag.value)

    def number(path: str, factor: float = 1.0) -> float | None:
        return scaled(root.findtext(path) or "", factor)

    def length(path: str, default_unit: str) -> float | None:
        entry = root.find(path)
        if entry is None or not entry.text:
            return None
        value, factor = number_of(entry.text), nm_per(entry.get("unit") or default_unit)
        return value * factor if value and factor else None

    if root.tag == "FeiImage":
        across, down = length("pixelWidth", "um"), length("pixelHeight", "um")
        bar = number("databarHeight")
        rows = raster.height - round(bar) if bar else None
        acquisition = {
            "vendor": "Thermo Fisher Phenom",
            "kV": number("acquisition/scan/highVoltage", -1e-3),
            "date": root.findtext("time"),
        }
    else:
        across, down = length("BinaryResult/PixelSize/X", "m"), length("BinaryResult/PixelSize/Y", "m")
        width, height = number("BinaryResult/ImageSize/X"), number("BinaryResult/ImageSize/Y")
        rows = round(height * raster.width / width) if width and height else None
        if across and width and height:
            across = from_field_width(raster, across * width, (int(width), int(height)), "Thermo tag 34683")
        acquisition = {
            "vendor": "Thermo Fisher",
            "instrument": root.findtext("Instrument/InstrumentClass"),
            "kV": number("Optics/AccelerationVoltage", 1e-3),
            "detector": root.findtext("Detectors/ScanningDetector/DetectorName"),
            "working_distance_mm": number("Optics/WorkingDistance", 1e3),
            "dwell_us": number("ScanSettings/DwellTime", 1e6),
            "beam_current_nA": number("Optics/BeamCurrent", 1e9),
            "date": root.findtext("Acquisition/AcquisitionDatetime"),
        }
    if across and down and not is_square(raster, across, down):
        across = None
    return Metadata(across, "Thermo tag 34683, PixelSize", acquisition, rows)


def fibics(raster: RasterFile) -> Metadata | None:
    tag = raster.tiff and raster.tiff.pages[0].tags.get(51023)
    if not tag:
        return None
    value = tag.value
    root = parse_xml(value.decode("iso-8859-1") if isinstance(value, bytes) else value)

    def number(path: str) -> float | None:
        return number_of(root.findtext(path, ""))

    across = math.hypot(number("Scan/Ux") or 0, number("Scan/Uy") or 0) * 1e3
    down = math.hypot(number("Scan/Vx") or 0, number("Scan/Vy") or 0) * 1e3
    width, height = number("Image/Width"), number("Image/Height")
    scanned = (int(width), int(height)) if width and height else None
    field_nm = across * (scanned[0] if scanned else raster.width)
    source, field = "Fibics tag 51023, Scan/Ux", root.find("Scan/FOV_X")
    if not field_nm and field is not None:
        field_nm = nanometres(f"{field.text} {field.get('units')}") or 0.0
        source = "Fibics tag 51023, Scan/FOV_X"
    size = from_field_width(raster, field_nm, scanned, "Fibics tag 51023")
    if size and across and down and not is_square(raster, across, down):
        size = None
    dwell = root.find("Scan/Dwell")
    items = {item.get("name"): item.text for item in root.iter("item")}
    # "Ext V" is the extractor's voltage, not the beam's; the aperture's name ends in "(5.0 kV)".
    beam_kv = re.search(r"\(([\d.]+) kV\)", root.findtext("Image/Aperture", ""))
    acquisition = {
        "vendor": "Fibics Atlas",
        "instrument": root.findtext("Image/Machine"),
        "kV": number_of(items.get("EHT") or (beam_kv[1] if beam_kv else "")),
        "detector": root.findtext("Image/Detector"),
        "working_distance_mm": scaled(items.get("WD") or "", 1.0),
        "dwell_us": scaled(dwell.text, 1e-3) if dwell is not None and dwell.get("units") == "ns" else None,
        "date": root.findtext("Application/Date"),
        "slice": root.findtext("ATLAS3D/Slice/ZIndex"),
    }
    return Metadata(size, source, acquisition)


def imagej(raster: RasterFile) -> Metadata | None:
    if raster.tiff is None or not raster.tiff.is_imagej:
        return None
    factor = nm_per(str((raster.tiff.imagej_metadata or {}).get("unit", "")))
    tags = raster.tiff.pages[0].tags
    sizes = []
    for code in (282, 283):
        up, down = tags[code].value if code in tags else (0, 0)
        # An inch is a printer's unit even in ImageJ, and its default of 1 pixel per "pixel" is no scale.
        sizes.append(down / up * factor if up and down and factor else None)
    across, down_ = sizes
    if across and down_ and not is_square(raster, across, down_):
        across = None
    return Metadata(across, "ImageJ XResolution with unit", {"software": "ImageJ"})


def ome(raster: RasterFile) -> Metadata | None:
    if raster.tiff is None or not raster.tiff.is_ome:
        return None
    root = parse_xml(raster.tiff.ome_metadata)
    pixels = next((e for e in root.iter() if e.tag.endswith("}Pixels")), None)
    if pixels is None:
        return None

    def size(axis: str) -> float | None:
        value = number_of(pixels.get(f"PhysicalSize{axis}", ""))
        unit = pixels.get(f"PhysicalSize{axis}Unit", "µm")
        factor = OME_LENGTHS.get(unit) or nm_per(unit)
        return value * factor if value and factor else None

    across, down = size("X"), size("Y")
    if across and down and not is_square(raster, across, down):
        across = None
    return Metadata(across, "OME PhysicalSizeX", {"software": "OME-TIFF"})
