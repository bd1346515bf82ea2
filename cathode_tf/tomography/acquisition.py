"""A slice's file in; where its cut lies, how it is tilted against the beam, and what was corrected already, out."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cathode_tf.imaging.lengths import nanometres, number_of
from cathode_tf.imaging.rasters import RasterFile

_Z_IN_NAME = re.compile(r"(?:^|[_\s-])z\s*=\s*(-?\d+(?:\.\d+)?)\s*(nm|um|µm)", re.IGNORECASE)


@dataclass(frozen=True)
class Cut:
    """What a file states about its slice; None where it says nothing.

    Attributes:
        angle_deg: Between the imaging beam and the cut face; 90 = straight on.
        corrected: Whether the microscope has stretched the rows for that angle.
        z_nm: Where the cut lies along its normal.
        thickness_nm: How much was cut away for it.
        view_y_nm: By how much the field of view was moved along the rows' axis.
        source: Where the angle was read.
    """

    angle_deg: float | None = None
    corrected: bool | None = None
    z_nm: float | None = None
    thickness_nm: float | None = None
    view_y_nm: float | None = None
    source: str = ""


def face_angle(angle_deg: float) -> float:
    """Angle between beam and cut face, of what a file calls the tilt correction's angle.

    Some give the angle to the face, others that to its normal, 90 degrees less: 52 and 38 mean the same cut. The
    columns of all instruments stand more than 45 degrees apart.

    Example:
        >>> face_angle(38.0), face_angle(-36.0), face_angle(52.0)
        (52.0, 54.0, 52.0)
    """
    angle = abs(angle_deg) % 180
    angle = min(angle, 180 - angle)
    return max(angle, 90 - angle)


def read_cut(raster: RasterFile, acquisition: Mapping[str, Any]) -> Cut:
    """The cut that a file describes.

    Args:
        raster: The file. Angles that a microscope states without having corrected for them, and by how much the view
            was moved, are read here: Thermo (34682), Zeiss (34118), TESCAN (.hdr); a position, also in its name.
        acquisition: Of `read_metadata`: `slice_z_nm`, `slice_thickness_nm`, `tilt_correction`, `tilt_correction_deg`.
    """
    z_nm, thickness = acquisition.get("slice_z_nm"), acquisition.get("slice_thickness_nm")
    corrected = {"on": True, "off": False}.get(str(acquisition.get("tilt_correction")))
    stated = acquisition.get("tilt_correction_deg")
    angle = face_angle(float(stated)) if stated else None
    source = f"{acquisition.get('vendor', 'metadata')}, tilt correction" if angle else ""
    view = None
    for reader in (_thermo, _zeiss, _tescan):
        try:
            found = reader(raster)
        except Exception:  # a damaged tag says nothing
            found = None
        if found is not None:
            view = found.view_y_nm
            corrected = found.corrected if corrected is None else corrected
            if found.angle_deg is not None:
                angle, source = found.angle_deg, found.source
            break
    named = _Z_IN_NAME.search(raster.path.stem)
    if z_nm is None and named:
        z_nm = nanometres(f"{named[1]}{named[2]}")
    return Cut(angle, corrected, z_nm, thickness, view, source)


def project_thickness_nm(folder: Path) -> tuple[float, str] | None:
    """Slice thickness of an Auto Slice & View project, from the project file in or above a folder of its images."""
    for place in (folder, folder.parent, folder.parent.parent):
        try:
            files = sorted(p for p in place.iterdir() if p.suffix.lower() in (".xml", ".dat", ".asv", ".ini"))
        except OSError:
            continue
        for file in files[:20]:
            if file.is_file() and file.stat().st_size < 5_000_000:
                text = file.read_text(encoding="utf-8", errors="replace")
                match = re.search(
                    r"SliceThickness\s*(?:>|=|\"?\s*:)\s*\"?([\d.]+(?:[eE][-+]?\d+)?)\s*(nm|um|µm|m)?\b", text
                )
                if match:
                    value = float(match[1])
                    unit = match[2] or ("m" if value < 1e-3 else "nm")
                    return value * {"m": 1e9, "nm": 1.0}.get(unit, 1e3), file.name
    return None


def _thermo(raster: RasterFile) -> Cut | None:
    page = raster.tiff and raster.tiff.pages[0]
    tables = [page.tags[code].value for code in (34682, 34680) if page and code in page.tags]
    fields = next((t for t in tables if isinstance(t, Mapping) and t), None)
    if fields is None:
        return None
    beam = fields.get(str(fields.get("Beam", {}).get("Beam", "EBeam")), {})
    angle = number_of(beam.get("TiltCorrectionAngle", ""))
    degrees = None if not angle else face_angle(math.degrees(angle))
    shift, position = number_of(beam.get("BeamShiftY", "")), number_of(beam.get("StageY", ""))
    view = None if shift is None else (shift + (position or 0.0)) * 1e9
    return Cut(degrees, view_y_nm=view, source="Thermo tag 34682, TiltCorrectionAngle" if degrees else "")


def _zeiss(raster: RasterFile) -> Cut | None:
    tag = raster.tiff and raster.tiff.pages[0].tags.get(34118)
    if not tag or not isinstance(tag.value, Mapping):
        return None
    fields = {str(k).lower(): v for k, v in tag.value.items()}

    def text(*keys: str) -> str:
        entry: Any = next((fields[key] for key in keys if key in fields), None)
        return str(entry[1]) if entry else ""

    angle = number_of(text("ap_tilt_angle", "ap_tilt_corrn_angle", "ap_tilt_correction_angle"))
    on = text("dp_tilt_corrn", "dp_tilt_correction").strip().lower()
    corrected = {"on": True, "off": False, "yes": True, "no": False}.get(on)
    degrees = None if not angle else face_angle(angle)
    return Cut(degrees, corrected, source="Zeiss tag 34118, AP_TILT_ANGLE" if degrees else "")


def _tescan(raster: RasterFile) -> Cut | None:
    for name in (f"{raster.path.stem}.hdr", f"{raster.path.stem}-{raster.path.suffix.lstrip('.')}.hdr"):
        sidecar = raster.path.with_name(name)
        if sidecar.is_file() and sidecar.stat().st_size < 1_000_000:
            break
    else:
        return None
    text = sidecar.read_text(encoding="utf-8", errors="replace")
    fields = {k: v.strip() for k, v in re.findall(r"([A-Za-z]\w*)[ \t]*=([^\r\n\0]*)", text)}
    angle = number_of(fields.get("CrossSectionAngle", ""))
    on = fields.get("TiltCorrection", "").lower()
    corrected = {"1": True, "0": False, "on": True, "off": False}.get(on)
    return Cut(
        angle if angle and 0 < angle <= 90 else None,
        corrected,
        source=f"TESCAN {sidecar.name}, CrossSectionAngle" if angle else "",
    )
