"""Files that are known and not read in, one sentence that says what they are and how to export them out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cathode_tf.errors import InputError
from cathode_tf.words import some

_YOLO_LINE = rb"\d+(?: +-?[\d.]+(?:e-?\d+)?){4,}"


def refuse_yolo(path: Path, start: bytes) -> None:
    """Raise if a text begins as a YOLO label file does: a class, and coordinates as shares of the image."""
    first = next((line.strip() for line in start.splitlines() if line.strip()), b"")
    if re.fullmatch(_YOLO_LINE, first):
        raise InputError(
            f"{path}: must say what its classes are called and how large its image is. Received YOLO labels, which say "
            "neither. Export as COCO instead."
        )


def refuse_strangers(content: Any, path: Path) -> None:
    """Raise if parsed JSON is of a tool that is known, and not read."""
    what = _stranger(content)
    if what:
        raise InputError(
            f"{path}: must be LabelMe, COCO, VIA 2, CVAT for images or Label Studio. Received {what}."
        )


def _stranger(content: Any) -> str:
    first = content[0] if isinstance(content, list) and content else content
    if not isinstance(first, Mapping):
        return ""
    if first.get("type") in ("FeatureCollection", "Feature"):
        return "GeoJSON, as of QuPath; export a label image (PNG or TIFF), or COCO"
    if {"categories", "items"} <= set(first):
        return "Datumaro's JSON; convert it to COCO"
    if "data_row" in first or "Labeled Data" in first:
        return "a Labelbox export; convert it to COCO"
    if "annotations" in first and _has_any(first["annotations"], "coordinates"):
        return "CreateML's JSON, which has boxes only; export as COCO with outlines"
    if "annotations" in first and _has_any(first["annotations"], "segments_info"):
        return "a COCO panoptic file; convert it to COCO instances"
    if "labelIdx" in first and "points" in first:
        return "EISeg's own JSON; save as COCO in EISeg"
    if "_via_data_format_version" not in first and {"project", "config", "metadata"} <= set(first):
        return "a VIA 3 project; export it as COCO"
    if {"objects", "size"} <= set(first) and isinstance(first["size"], Mapping):
        return "a Supervisely annotation; export it as COCO"
    if {"metadata", "instances"} <= set(first):
        return "a SuperAnnotate annotation; export it as COCO"
    if {"item", "annotations"} <= set(first) and isinstance(first["item"], Mapping):
        return "a V7 Darwin annotation; export it as COCO"
    return ""


def _has_any(entries: Any, key: str) -> bool:
    return isinstance(entries, list) and any(isinstance(e, Mapping) and key in e for e in entries[:3])


def foreign_xml(root: str) -> str:
    """What an XML of this root element is, where that is known; else its name."""
    if root == "annotation":
        return "a Pascal VOC file, which has boxes only; export as COCO with outlines"
    return f"its root is <{root}>, not <annotations>"


_BY_MAGIC = (
    (
        b"\0\0\0\x03\0",
        "Gatan's DM3; save it as TIFF in DigitalMicrograph (File > Save As, and not Save Display As)",
    ),
    (
        b"\0\0\0\x04\0",
        "Gatan's DM4; save it as TIFF in DigitalMicrograph (File > Save As, and not Save Display As)",
    ),
    (b"AAMVHFSS", "Bruker's BCF; export its image as TIFF in Esprit"),
    (b"GIF8", "a GIF; save it as PNG"),
    (b"RIFF", "a WebP; save it as PNG"),
    (b"%PDF", "a PDF; take the original image"),
    (b"8BPS", "a Photoshop file; save it as TIFF without layers"),
    (b"\x93NUMPY", "a NumPy array; save it as TIFF (tifffile.imwrite)"),
    (b"NRRD", "an NRRD volume; save it as TIFF"),
    (b"<svg", "a drawing; take the original image"),
    (b"II\x97\x01", "an SER of TIA; export it as TIFF in TIA or Velox"),
    (b"\xda\xce\xbe\x0a", "Nikon's ND2; export it as TIFF"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000; save it as TIFF or PNG"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL; save it as TIFF or PNG"),
)
_BY_SUFFIX = {
    ".elid": "a project of Phenom's ProSuite or Element Identification; export its images as TIFF there",
    ".asw": "JEOL's Analysis Station project; export its images as TIFF, with their .txt, there",
    ".img": "JEOL's Analysis Station image; export it as TIFF, with its .txt, there",
    ".map": "JEOL's Analysis Station map; export its images as TIFF there",
    ".bcf": "Bruker's BCF; export its image as TIFF in Esprit",
    ".spd": "EDAX' spectra; export the image as TIFF in its software",
    ".oip": "a project of Oxford Instruments; export its images as TIFF in AZtec",
    ".dm3": "Gatan's DM3; save it as TIFF in DigitalMicrograph",
    ".dm4": "Gatan's DM4; save it as TIFF in DigitalMicrograph",
    ".ser": "an SER of TIA; export it as TIFF in TIA or Velox",
    ".mrc": "an MRC volume; save it as TIFF",
    ".rec": "an MRC volume; save it as TIFF",
    ".lif": "Leica's LIF; export its images as TIFF",
    ".nd2": "Nikon's ND2; export it as TIFF",
    ".vsi": "Olympus' VSI; export it as TIFF",
    ".heic": "a HEIC; save it as PNG",
    ".jp2": "a JPEG 2000; save it as TIFF or PNG",
    ".webp": "a WebP; save it as PNG",
    ".gif": "a GIF; save it as PNG",
    ".npy": "a NumPy array; save it as TIFF (tifffile.imwrite)",
    ".npz": "NumPy arrays; save each as TIFF (tifffile.imwrite)",
    ".h5": "an HDF5 file; export its image or labels as TIFF, in ilastik as Simple Segmentation",
    ".mat": "a MATLAB file; save its image as TIFF (imwrite)",
    ".nii": "a NIfTI volume; save it as TIFF",
    ".roi": "ImageJ's outlines; draw them into a label image in ImageJ (ROI Manager, More, Label Image), and save it",
    ".zip": "an archive, perhaps ImageJ's outlines; draw them into a label image in ImageJ, and save it as TIFF",
    ".geojson": "GeoJSON, as of QuPath; export a label image, or COCO",
    ".xcf": "a GIMP file; export it as PNG",
    ".psd": "a Photoshop file; save it as TIFF without layers",
    ".raw": "samples without a head that says how many; save it as TIFF",
}


MICROSCOPES = {
    ".elid", ".asw", ".bcf", ".spd", ".oip", ".dm3", ".dm4", ".ser", ".mrc", ".lif", ".nd2", ".vsi", ".jp2", ".webp",
    ".gif", ".heic",
}  # fmt: skip
"""What microscopes and their programs write, and surely is meant where micrographs are."""


def known_strangers(paths: Sequence[Path]) -> list[str]:
    """A sentence on each kind of file among these that is known, and not read: how many, the first, and what to do."""
    told: dict[str, list[str]] = {}
    for path in paths:
        what = _BY_SUFFIX.get(path.suffix.lower())
        if what is None and path.suffix.lower() == ".txt" and _is_yolo(path):
            what = "YOLO labels, which say neither what classes are called nor how large images are; export as COCO"
        if what:
            told.setdefault(what, []).append(path.name)
    return [f"{some(names, 1)}: {what}" for what, names in told.items()]


def _is_yolo(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            refuse_yolo(path, file.read(512))
    except InputError:
        return True
    except OSError:
        return False
    return False


def refused_format(path: Path, head: bytes) -> InputError:
    """What to say of a file that is no image that can be read; what it is where that is known."""
    what = next(
        (text for magic, text in _BY_MAGIC if head.startswith(magic[:8])), _BY_SUFFIX.get(path.suffix.lower())
    )
    if what is None and head.startswith(b"PK\x03\x04"):
        what = "a zip archive under another name; unpack it, and take the images in it"
    came = f"Received {what}" if what else f"Its first bytes are {head.hex(' ')}"
    return InputError(f"must be a TIFF, PNG, BMP, JPEG, CZI or EMD image. {came}.")
