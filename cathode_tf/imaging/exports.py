"""Segmentation masks in, files of annotation tools out; reading them back gives the masks to the pixel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.files import atomic_file, write_json
from cathode_tf.imaging.label_studio import label_studio_task
from cathode_tf.imaging.masks import write_mask
from cathode_tf.imaging.outlines import Outline, trace
from cathode_tf.imaging.runs import encode_coco_string, encode_runs
from cathode_tf.phases import Phases

FORMATS = ("indexed", "rgb", "labelme", "coco", "label-studio")
"""What `write_annotation` can write."""


def write_annotation(
    path: str | Path,
    mask: np.ndarray,
    phases: Phases,
    *,
    format: str = "indexed",
    image_name: str | None = None,
    force: bool = False,
) -> Path:
    """Write one segmentation mask for another tool; 255 stays unlabelled there.

    Args:
        path: Where it goes.
        mask: uint8 (height, width) of phase ids, 255 = ignored.
        phases: Names, ids, colours.
        format: One of `FORMATS`: indexed PNG, RGB PNG, LabelMe, COCO, or a Label Studio pre-annotation.
        image_name: File name (for Label Studio: address) of the micrograph; default: the stem of `path` with `.png`.
        force: Replace an existing file.

    Raises:
        InputError: If the mask holds an undefined id, the format is unknown, or the file exists.
    """
    phases.check_mask(mask, path)
    name = image_name or f"{Path(path).stem}.png"
    if format == "indexed":
        return write_mask(path, mask, phases, force=force)
    if format == "rgb":
        return write_rgb_mask(path, mask, phases, force=force)
    if format == "labelme":
        return write_json(path, labelme(mask, phases, name), force=force)
    if format == "coco":
        return write_coco(path, {name: mask}, phases, force=force)
    if format == "label-studio":
        return write_json(path, [label_studio_task(mask, phases, name)], force=force)
    raise InputError(f"format: must be one of {', '.join(FORMATS)}. Received {format!r}.")


def write_rgb_mask(path: str | Path, mask: np.ndarray, phases: Phases, *, force: bool = False) -> Path:
    """Write a segmentation mask as an RGB PNG in the phases' colours; ignored pixels are black.

    Raises:
        InputError: If two phases have one colour, or one is black: the file could not be read back.
    """
    from PIL import Image

    phases.check_mask(mask, path)
    palette = phases.palette()
    ids = [*phases.ids, phases.ignore]
    if len({tuple(palette[i].tolist()) for i in ids}) < len(ids):
        raise InputError(
            f"{path}: each phase must have its own colour, and none black. Change them in phases.toml."
        )
    with atomic_file(path, force=force) as temporary:
        Image.fromarray(palette[mask]).save(temporary, "PNG", compress_level=6)
    return Path(path)


def _parts(mask: np.ndarray, phases: Phases) -> list[tuple[str, Outline]]:
    return [(phase.name, part) for phase in phases for part in trace(mask == phase.id)]


def labelme(mask: np.ndarray, phases: Phases, image_name: str) -> dict[str, Any]:
    """The content of a LabelMe file: a polygon for each connected part; a hole is cut in by a line of no width."""
    height, width = mask.shape
    shapes = [
        {
            "label": name,
            "points": part.one_ring().astype(float).tolist(),
            "group_id": None,
            "description": "",
            "shape_type": "polygon",
            "flags": {},
        }
        for name, part in _parts(mask, phases)
    ]
    return {
        "version": "5.4.1",
        "flags": {},
        "shapes": shapes,
        "imagePath": image_name,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }


def write_coco(
    path: str | Path, masks: Mapping[str, np.ndarray], phases: Phases, *, force: bool = False
) -> Path:
    """Write segmentation masks of several images as one COCO file.

    A connected part without holes becomes a polygon; one with holes, which COCO's polygons cannot
    express, becomes a compressed mask.

    Args:
        path: Where it goes; `.json`.
        masks: uint8 (height, width) ids by image file name.
        phases: Names and ids; category ids are ids + 1, as COCO begins at 1.
        force: Replace an existing file.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (name, mask) in enumerate(masks.items(), start=1):
        phases.check_mask(mask, name)
        height, width = mask.shape
        images.append({"id": number, "file_name": name, "height": height, "width": width})
        for phase, part in _parts(mask, phases):
            (left, top), (right, bottom) = part.outer.min(axis=0).tolist(), part.outer.max(axis=0).tolist()
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": phases[phase].id + 1,
                    "segmentation": _coco_segmentation(part, mask.shape),
                    "area": part.area_px,
                    "bbox": [left, top, right - left, bottom - top],
                    "iscrowd": 0,
                }
            )
    categories = [{"id": p.id + 1, "name": p.name, "supercategory": p.role} for p in phases]
    content = {"images": images, "annotations": annotations, "categories": categories}
    return write_json(path, content, force=force)


def _coco_segmentation(part: Outline, shape: tuple[int, ...]) -> Any:
    if not part.holes:
        return [part.outer.ravel().tolist()]
    from cathode_tf.imaging.regions import fill_outline

    height, width = shape
    region = fill_outline("part", [part.outer, *part.holes], (height, width))
    # Column after column: only the part's own columns need to be coded run by run.
    block = np.zeros((height, region.inside.shape[1]), bool)
    block[region.window[0]] = region.inside
    runs = encode_runs(block.T.ravel())
    runs[0] += region.column * height
    behind = (width - region.column - region.inside.shape[1]) * height
    runs = [*runs, behind] if len(runs) % 2 == 0 else [*runs[:-1], runs[-1] + behind]
    return {"size": [height, width], "counts": encode_coco_string(runs if runs[-1] else runs[:-1])}


def write_label_studio(
    path: str | Path,
    masks: Mapping[str, np.ndarray],
    phases: Phases,
    *,
    scores: Mapping[str, float] | None = None,
    model_version: str = "",
    force: bool = False,
) -> Path:
    """Write tasks with pre-annotations for Label Studio's import.

    Args:
        path: Where it goes; `.json`.
        masks: uint8 (height, width) ids by address of the image as Label Studio sees it.
        phases: Names and ids; the labels of the project's `<BrushLabels name="tag" toName="image">`.
        scores: Confidence (0-1) by the same addresses.
        model_version: What made the masks.
        force: Replace an existing file.
    """
    for name, mask in masks.items():
        phases.check_mask(mask, name)
    tasks = [
        label_studio_task(mask, phases, name, score=(scores or {}).get(name), model_version=model_version)
        for name, mask in masks.items()
    ]
    return write_json(path, tasks, force=force)
