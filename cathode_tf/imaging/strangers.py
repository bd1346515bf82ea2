"""Files that are known and not read in, one sentence that says what they are and how to export them out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cathode_tf.errors import InputError

_YOLO_LINE = rb"\d+(?: +-?[\d.]+(?:e-?\d+)?){4,}"


def refuse_yolo(path: Path, start: bytes) -> None:
    """Raise if a text begins as a YOLO label file does: a class, and coordinates as shares of the image."""
    lines = start.splitlines()[:2]
    if (
        lines
        and all(re.fullmatch(_YOLO_LINE, line.strip()) for line in lines[:1] if line.strip())
        and lines[0].strip()
    ):
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
)
_BY_SUFFIX = {
    ".elid": "a project of Phenom's ProSuite or Element Identification; export its images as TIFF there",
    ".asw": "JEOL's Analysis Station project; export its images as TIFF, with their .txt, there",
    ".img": "JEOL's Analysis Station image; export it as TIFF, with its .txt, there",
    ".map": "JEOL's Analysis Station map; export its images as TIFF there",
    ".bcf": "Bruker's BCF; export its image as TIFF in Esprit",
    ".spd": "EDAX' spectra; export the image as TIFF in its software",
    ".oip": "a project of Oxford Instruments; export its images as TIFF in AZtec",
}


def refused_format(path: Path, head: bytes) -> InputError:
    """What to say of a file that is no image that can be read; what it is where that is known."""
    what = next(
        (text for magic, text in _BY_MAGIC if head.startswith(magic)), _BY_SUFFIX.get(path.suffix.lower())
    )
    came = f"Received {what}" if what else f"Its first bytes are {head.hex(' ')}"
    return InputError(f"must be a TIFF, PNG, BMP, JPEG, CZI or EMD image. {came}.")
