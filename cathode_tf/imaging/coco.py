"""COCO JSON in, its objects out: whose each is, and its pixels."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.imaging.objects import (
    Drawing,
    Size,
    Undrawn,
    assembled,
    belonging,
    filled,
    id_of,
    outline,
    unique,
)
from cathode_tf.imaging.regions import Region, fill_outline, region_of
from cathode_tf.imaging.runs import decode_coco_string, decode_runs
from cathode_tf.imaging.vectors import declared, malformed, pick, text_of
from cathode_tf.words import counted


def coco_by_image(content: Mapping, source: str) -> dict[str, Any]:
    """The content with its annotations sorted by the id of their image, so that nobody searches them for each.

    Raises:
        InputError: If images or categories share an id, or an annotation belongs to none of them.
    """
    with malformed(source, "COCO"):
        images = [id_of(image["id"]) for image in content["images"]]
        categories = [id_of(category["id"]) for category in content.get("categories", ())]
        annotations = list(content["annotations"])
        unique(images, "image", source)
        unique(categories, "category", source)
        belonging((id_of(a["image_id"]) for a in annotations), images, "an image", source)
        belonging((id_of(a["category_id"]) for a in annotations), categories, "a category", source)
        _warn_of_twins(annotations, source)
        by_image: dict[int | str, list[Mapping]] = {}
        for annotation in annotations:
            by_image.setdefault(id_of(annotation["image_id"]), []).append(annotation)
    return {**content, "annotations": by_image}


def _warn_of_twins(annotations: list[Mapping], source: str) -> None:
    ids = Counter(id_of(annotation["id"]) for annotation in annotations if annotation.get("id") is not None)
    twice = [id_ for id_, count in ids.items() if count > 1]
    if twice:
        warnings.warn(
            f"{source}: its objects share {counted(len(twice), 'id')}, {twice[0]!r} first, as where files "
            f"were put together. "
            "All are drawn.",
            InputWarning,
            stacklevel=3,
        )


def read_coco(content: Mapping, source: str, image_name: str | None, max_megapixels: float) -> Drawing:
    """COCO JSON (from `coco_by_image`): polygons, and masks as plain or compressed run lengths."""
    with malformed(source, "COCO"):
        images = list(content["images"])
        image = images[pick([str(i["file_name"]) for i in images], image_name, source)]
        canvas = declared(image["height"], image["width"], max_megapixels)
        names = {id_of(c["id"]): text_of(c["name"]) for c in content.get("categories", ())}
        own = content["annotations"].get(id_of(image["id"]), ())
        found = (_coco_region(a, names[id_of(a["category_id"])], canvas) for a in own)
        return assembled(found, canvas, source, str(image["file_name"]))


def _coco_region(entry: Mapping, label: str, canvas: Size) -> Region | Undrawn:
    segmentation = entry.get("segmentation")
    if not segmentation:
        box_only = ", only a box" if entry.get("bbox") else ""
        return Undrawn(label, f"has no outline{box_only}", systematic=True)
    if isinstance(segmentation, Mapping):
        if tuple(int(n) for n in segmentation["size"]) != canvas:
            raise InputError(f"the mask of {label!r} must have the size of its image, {canvas}.")
        counts = segmentation["counts"]
        runs = decode_coco_string(counts) if isinstance(counts, str) else counts
        inside = decode_runs(runs, canvas[0] * canvas[1]).reshape(canvas[1], canvas[0]).T
        return filled(label, region_of(label, inside))
    # The rings of one object are parts of it, and are united: COCO's polygons know no holes.
    rings = [np.reshape(np.asarray(ring, np.float64), (-1, 2)) for ring in segmentation]
    parts = [fill_outline(label, [ring], canvas) for ring in rings]
    if not any(part.area_px for part in parts):
        return outline(label, rings, canvas)
    if len(parts) == 1:
        return parts[0]
    lost = [ring for ring, part in zip(rings, parts, strict=True) if not part.area_px]
    beyond = max([part.beyond for part in parts] + [1.0 for ring in lost if _lies_outside(ring, canvas)])
    inside = np.zeros(canvas, bool)
    for part in parts:
        inside[part.window] |= part.inside
    return region_of(label, inside, beyond=beyond)


def _lies_outside(ring: np.ndarray, canvas: Size) -> bool:
    (left, top), (right, bottom) = ring.min(axis=0), ring.max(axis=0)
    return bool(left >= canvas[1] or top >= canvas[0] or right <= 0 or bottom <= 0)
