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
