"""Metadata in the tags of instruments' TIFFs: Zeiss, Thermo Fisher (FEI), Fibics. Open file in, `Metadata` out."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping
from typing import Any

from cathode_tf.errors import InputWarning
from cathode_tf.imaging.lengths import nanometres, nm_per, number_of
from cathode_tf.imaging.metadata import (
    Metadata,
    by_aspect,
    degrees,
    from_field_width,
    from_pixel_size,
    image_size,
    is_square,
    joined,
    on_or_off,
    parse_xml,
    rows_of,
    scaled,
)
from cathode_tf.imaging.rasters import RasterFile


def zeiss(raster: RasterFile) -> Metadata | None:
    """Tag 34118, or its copy in UTF-16 (34119), which newer SmartSEM writes beside it."""
    code, content = next(((c, text) for c in (34118, 34119) if (text := _text(raster, c))), (0, ""))
    if not content:
        return None
    header, fields = _zeiss_fields(content)
    where = f"Zeiss tag {code}"

    def length(key: str) -> float | None:
        return nanometres(fields.get(key, ""))

    store = [int(n) for n in re.findall(r"\d+", fields.get("DP_IMAGE_STORE", ""))]
    scanned = (store[0], store[1]) if len(store) == 2 and min(store) > 0 else None
    stored = length("AP_IMAGE_PIXEL_SIZE")
    across, down = length("AP_WIDTH"), length("AP_HEIGHT")
    if scanned is None and stored and across and down:
        scanned = (round(across / stored), round(down / stored))
    scanned = scanned or by_aspect(raster, across, down)
    # The width of the field is right in every version; AP_PIXEL_SIZE belongs to the screen, and is
    # wrong by 2 in old files that were stored larger than they were shown.
    size = from_field_width(raster, length("AP_WIDTH"), scanned, where)
    source = f"{where}, AP_WIDTH"
    if not length("AP_WIDTH"):
        size, source = from_pixel_size(raster, stored, scanned, where), f"{where}, AP_IMAGE_PIXEL_SIZE"
        if stored is None and len(header) > 3:
            # The nameless block gives the pixel size of the screen, which is 1024 pixels wide.
            field_nm = (number_of(header[3]) or 0.0) * 1e9 * 1024
            size = from_field_width(raster, field_nm, scanned, where)
            source = f"{where}, header"
    acquisition = {
        "vendor": "Zeiss",
        "instrument": fields.get("SV_SERIAL_NUMBER"),
        "kV": _kilovolts(fields.get("AP_ACTUALKV") or fields.get("AP_MANUALKV") or ""),
        "detector": fields.get("DP_DETECTOR_CHANNEL") or fields.get("DP_DETECTOR_TYPE"),
        "working_distance_mm": scaled(length("AP_WD"), 1e-6),
        "date": joined(fields.get("AP_DATE"), fields.get("AP_TIME")),
        "tilt_deg": number_of(fields.get("AP_STAGE_AT_T", "")),
        "stage_z_nm": length("AP_STAGE_AT_Z"),
        "tilt_correction": on_or_off(fields.get("DP_TILT_CORRECTION")),
    }
    if acquisition["tilt_correction"] == "on":
        acquisition["tilt_correction_deg"] = number_of(fields.get("AP_TILT_ANGLE", ""))
    dwell = fields.get("DP_DWELL_TIME", "")
    if dwell.endswith("ns"):
        acquisition["dwell_us"] = scaled(dwell, 1e-3)
    return Metadata(size, source, acquisition)


def _text(raster: RasterFile, code: int) -> str:
    """A tag's bytes as they lie in the file, decoded; "" where it has none."""
    tag = raster.tag(code)
    if tag is None:
        return ""
    raster.tiff.filehandle.seek(tag.valueoffset)
    content = raster.tiff.filehandle.read(tag.valuebytecount)
    if code == 34119 or content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode(
            "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-16-le", "replace"
        )
    return content.decode("cp1252", "replace")


def _zeiss_fields(content: str) -> tuple[list[str], dict[str, str]]:
    """The nameless numbers at the begin, and the values by name: `AP_WIDTH`, then `Width = 12.80 µm` below it."""
    lines = [line.strip().strip("\0") for line in content.splitlines()]
    fields: dict[str, str] = {}
    header: list[str] = []
    key = ""
    for line in lines:
        if re.fullmatch(r"[A-Z]{2}_[A-Z0-9_]+", line):
            key = line
        elif key:
            # "Width = 12.80 µm", but "Date :9 Dec 2019" and "Time :11:18:36".
            named = re.match(r"[^=:]*(?:=|:)(.*)", line)
            fields[key] = (named[1] if named else "").strip()
            key = ""
        elif not fields:
            header.append(line)
    return header, fields


def _kilovolts(text: str) -> float | None:
    found = re.fullmatch(r"([\d.,]+)\s*(k?)V", text.strip())
    return scaled(found[1], 1.0 if found[2] else 1e-3) if found else None


def fei(raster: RasterFile) -> Metadata | None:
    tables = [(code, tag.value) for code in (34682, 34680) if (tag := raster.tag(code))]
    code, fields = next(((c, t) for c, t in tables if isinstance(t, Mapping) and t), (0, None))
    if fields is None:
        return None
    where = f"Thermo tag {code}"

    def section(name: str) -> Mapping[str, Any]:
        part = fields.get(name)
        return part if isinstance(part, Mapping) else {}

    beam_section = section("Beam")
    beam = section(str(beam_section.get("Beam", "EBeam")))
    # What the scan of the beam leaves out, the general section may say.
    own = {k: v for k, v in section(str(beam_section.get("Scan", "EScan"))).items() if v != ""}
    scan = {**section("Scan"), **own}
    image, user, detectors = section("Image"), section("User"), section("Detectors")
    scanned = image_size(image.get("ResolutionX"), image.get("ResolutionY"))
    pixel, height = scaled(scan.get("PixelWidth"), 1e9), scaled(scan.get("PixelHeight"), 1e9)
    fields_nm = {"HorFieldsize": scaled(scan.get("HorFieldsize"), 1e9), "HFW": scaled(beam.get("HFW"), 1e9)}
    named, field_nm = next(((n, v) for n, v in fields_nm.items() if v), ("", None))
    down_nm = scaled(scan.get("VerFieldsize"), 1e9) or scaled(beam.get("VFW"), 1e9)
    if scanned is None and field_nm and down_nm:
        # What was scanned is known by its pixels, or at least by its aspect: a width over cut columns is no scale.
        edge = pixel or field_nm / raster.stored_shape[1]
        scanned = (round(field_nm / edge), round(down_nm / (height or edge)))
    if pixel:
        size, source = from_pixel_size(raster, pixel, scanned, where), f"{where}, PixelWidth"
    else:
        size, source = _whole_field(raster, field_nm, scanned, where), f"{where}, {named}"
    if size and pixel and height and not is_square(raster, pixel, height):
        size = None
    rows = rows_of(raster, scanned)
    bar = number_of(section("PrivateFei").get("DatabarHeight"))
    if rows is None and bar:
        rows = raster.height - round(bar)
    tilted = on_or_off(beam.get("TiltCorrectionIsOn"))
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
        "tilt_deg": degrees(section("Stage").get("StageT", beam.get("StageTa"))),
        "stage_z_nm": scaled(section("Stage").get("StageZ", beam.get("StageZ")), 1e9),
        "tilt_correction": tilted,
        "tilt_correction_deg": degrees(beam.get("TiltCorrectionAngle")) if tilted == "on" else None,
    }
    return Metadata(size, source, acquisition, rows)


def _whole_field(
    raster: RasterFile, field_nm: float | None, scanned: tuple[int, int] | None, where: str
) -> float | None:
    """Pixel size from the width of the field alone; None, with a warning, where rows were cut, as columns may be."""
    rows, (height, width) = rows_of(raster, scanned), raster.stored_shape
    if field_nm and rows and not rows - 1 <= height <= 1.2 * rows + 1:
        warnings.warn(
            f"{raster.path}: {where} describes a field of another shape than the {width} x {height} pixels "
            f"of the file: it "
            "was cut, so the pixel size is not known. Give --pixel-size-nm.",
            InputWarning,
            stacklevel=2,
        )
        return None
    return from_field_width(raster, field_nm, scanned, where)


def fei_xml(raster: RasterFile) -> Metadata | None:
    """Tag 34683: the XML of newer Thermo instruments, or of a Phenom."""
    tag = raster.tag(34683)
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
        source, bar = "Thermo tag 34683, pixelWidth", number("databarHeight")
        edges = [number(f"cropHint/{edge}") or 0.0 for edge in ("left", "right", "top", "bottom")]
        stated = image_size(edges[1] - edges[0], edges[3] - edges[2])
        shrunk = raster.stored_shape[1] / stated[0] if stated else 1.0
        rows = raster.height - round(bar * shrunk) if bar else None
        acquisition = {
            "vendor": "Thermo Fisher Phenom",
            "kV": number("acquisition/scan/highVoltage", -1e-3),
            "date": root.findtext("time"),
        }
    else:
        across, down = length("BinaryResult/PixelSize/X", "m"), length("BinaryResult/PixelSize/Y", "m")
        source = "Thermo tag 34683, PixelSize"
        stated = image_size(number("BinaryResult/ImageSize/X"), number("BinaryResult/ImageSize/Y"))
        rows = rows_of(raster, stated)
        tilted = on_or_off(root.findtext("Optics/SampleTiltCorrectionOn"))
        acquisition = {
            "vendor": "Thermo Fisher",
            "instrument": root.findtext("Instrument/InstrumentClass"),
            "kV": number("Optics/AccelerationVoltage", 1e-3),
            "detector": root.findtext("Detectors/ScanningDetector/DetectorName"),
            "working_distance_mm": number("Optics/WorkingDistance", 1e3),
            "dwell_us": number("ScanSettings/DwellTime", 1e6),
            "beam_current_nA": number("Optics/BeamCurrent", 1e9),
            "date": root.findtext("Acquisition/AcquisitionDatetime"),
            "tilt_deg": degrees(root.findtext("StageSettings/StagePosition/Tilt/Alpha") or ""),
            "stage_z_nm": number("StageSettings/StagePosition/Z", 1e9),
            "tilt_correction": tilted,
            "tilt_correction_deg": (
                degrees(root.findtext("Optics/SamplePreTiltAngle") or "") if tilted == "on" else None
            ),
        }
    if across and down and not is_square(raster, across, down):
        across = None
    size = from_pixel_size(raster, across, stated, "Thermo tag 34683")
    return Metadata(size, source, acquisition, rows)


def fibics(raster: RasterFile) -> Metadata | None:
    tag = raster.tag(51023)
    if not tag:
        return None
    value = tag.value
    root = parse_xml(value.decode("iso-8859-1") if isinstance(value, bytes) else value)

    def number(path: str) -> float | None:
        return number_of(root.findtext(path, ""))

    across = math.hypot(number("Scan/Ux") or 0, number("Scan/Uy") or 0) * 1e3
    down = math.hypot(number("Scan/Vx") or 0, number("Scan/Vy") or 0) * 1e3
    scanned = image_size(number("Image/Width"), number("Image/Height"))
    field, field_nm = root.find("Scan/FOV_X"), None
    if across:
        size, source = (
            from_pixel_size(raster, across, scanned, "Fibics tag 51023"),
            "Fibics tag 51023, Scan/Ux",
        )
    else:
        if field is not None:
            field_nm = nanometres(f"{field.text} {field.get('units')}")
        size, source = (
            from_field_width(raster, field_nm, scanned, "Fibics tag 51023"),
            "Fibics tag 51023, Scan/FOV_X",
        )
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
        "slice_z_nm": scaled(root.findtext("ATLAS3D/Slice/ZPos") or "", 1e3),
        "tilt_deg": number("Stage/Tilt"),
        "stage_z_nm": scaled(root.findtext("Stage/Z") or "", 1e3),
        "tilt_correction": on_or_off((items.get("Tilt Corrn.") or "").strip("= ")),
        "tilt_correction_deg": number_of(items.get("Tilt Corrn. Angle") or ""),
    }
    return Metadata(size, source, acquisition)
