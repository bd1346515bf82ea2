"""Label Studio: exported brushes and polygons in, tasks with pre-annotations out."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

import numpy as np

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.imaging.objects import Drawing, Undrawn, assembled, filled, outline
from cathode_tf.imaging.regions import Region, region_of
from cathode_tf.imaging.runs import decode_brush, encode_brush
from cathode_tf.imaging.vectors import box, declared, ellipse, malformed, not_drawn, pick, points, turned
from cathode_tf.phases import Phases

_IMAGE_NAME = re.compile(r"([^/\\\\=?]+\.(?:png|tiff?|bmp|jpe?g))(?=$|[?&#])", re.IGNORECASE)


def is_label_studio(content: Any) -> bool:
    """Whether parsed JSON looks like an export of Label Studio (JSON or JSON-MIN)."""
    tasks = [content] if isinstance(content, Mapping) else content
    if not isinstance(tasks, list) or not tasks or not isinstance(tasks[0], Mapping):
        return False
    task = tasks[0]
    return (bool({"annotations", "predictions", "completions"} & set(task)) and "data" in task) or bool(
        _minimal(task)
    )


def _minimal(task: Mapping) -> list:
    """The results in a task of JSON-MIN, whose keys are the names of the labelling controls."""
    return [
        entry
        for value in task.values()
        if isinstance(value, list)
        for entry in value
        if isinstance(entry, Mapping) and "original_width" in entry
    ]


def task_image(task: Mapping) -> str:
    """File name of a task's image: the last one in the first path or address of its data that holds one."""
    for value in task.get("data", task).values():
        found = _IMAGE_NAME.findall(unquote(value)) if isinstance(value, str) else []
        if found:
            return found[-1]
    raise InputError("a task must name its image.")


def read_label_studio(content: Any, source: str, image_name: str | None, max_megapixels: float) -> Drawing:
    """The annotation of the image's task that counts; predictions only where there is none.

    The ground truth counts, or else the newest that was not cancelled.
    """
    with malformed(source, "Label Studio"):
        tasks = [content] if isinstance(content, Mapping) else list(content)
        names = [task_image(t) for t in tasks]
        index = pick(names, image_name, source)
        objects = _objects(_results(tasks[index], source))
        _refuse_other_images(objects)
        sizes = {(r["original_height"], r["original_width"]) for r in objects if "original_width" in r}
        if len(sizes) > 1:
            raise InputError("all results of a task must be drawn on one image size.")
        size = declared(*sizes.pop(), max_megapixels) if sizes else None
        if size is None:
            if objects:
                raise InputError(
                    "each result must say the size of its image (original_width, original_height)."
                )
            return Drawing([], None)
        return assembled((_region(r, size) for r in objects), size, source, names[index])


def _results(task: Mapping, source: str) -> list[Mapping]:
    if "data" not in task:
        return [{"value": r, **r} for r in _minimal(task)]
    made = list(task.get("annotations") or task.get("completions") or [])
    done = [a for a in made if not a.get("was_cancelled")]
    counting = [a for a in done if a.get("ground_truth")] or done
    drafts = [d for d in task.get("drafts") or [] if _objects(list(d.get("result") or []))]
    if drafts and counting:
        _warn(
            source,
            "has a draft beside its annotation, which does not count. Submit or delete it in Label Studio",
        )
    if not counting:
        if drafts:
            raise InputError(
                "an annotation must have been submitted. Received only a draft: submit it in Label Studio."
            )
        if made:
            _warn(source, "was skipped (its annotation is cancelled), so nothing in it counts")
            return []
        counting = list(task.get("predictions") or [])
        if counting:
            _warn(source, "has no annotation; what counts is a prediction, which nobody may have checked")
    if not counting:
        return []
    newest = max(counting, key=lambda a: str(a.get("updated_at") or a.get("created_at") or ""))
    results = list(newest["result"])
    others = [a for a in counting if a is not newest and _objects(list(a["result"]))]
    if others and not _objects(results):
        raise InputError(
            f"the annotations of a task must agree. Received {len(counting)}, of which the newest is empty "
            "and another is not. Delete one in Label Studio, or mark the right one as ground truth."
        )
    if others and "annotations" in task:
        date = newest.get("updated_at", "the last date")
        _warn(source, f"has {len(counting)} annotations; that of {date} counts, the others do not")
    return results


def _warn(source: str, what: str) -> None:
    warnings.warn(f"{source}: a task {what}.", InputWarning, stacklevel=4)


def _refuse_other_images(objects: list[Mapping]) -> None:
    """Raise where the results of one task were drawn on several images: which is which, only its project knows."""
    images = {(str(r.get("to_name") or ""), int(r.get("item_index") or 0)) for r in objects}
    if len(images) > 1:
        raise InputError(
            f"each task must have one image. Received objects on {len(images)} of its images (to_name, item_index). "
            "Give each image a task of its own."
        )


_SHAPES = ("rle", "points", "radiusX", "width", "vertices")


def _objects(results: list[Mapping]) -> list[Mapping]:
    """The results that are objects on the image: each once, with its label where it has one.

    A region has a result for its shape, and where labels, texts or choices are controls of their own, one for each of
    them with the same id and shape. Relations, and what is said of the whole image, are no objects.
    """
    for result in results:
        _refuse_unread(result)
    shaped = [r for r in results if r.get("type") != "relation" and _shape_of(r)]
    labelled = [r for r in shaped if _labels_key(r["value"])]
    named = {r["id"] for r in labelled if r.get("id")}
    shapes = [_shape_of(r) for r in labelled]
    kept = {id(r) for r in labelled}
    for result in shaped:
        if id(result) not in kept and result.get("id") not in named and _shape_of(result) not in shapes:
            kept.add(id(result))
            shapes.append(_shape_of(result))
    return [r for r in shaped if id(r) in kept]


def _refuse_unread(result: Mapping) -> None:
    """Raise where a labelled object is of a kind that has no shape known here: a bit mask, a video's, a text's."""
    value = result.get("value")
    if not isinstance(value, Mapping):
        return
    key = _labels_key(value)
    if key and not _shape_of(result):
        labels = value[key] if isinstance(value[key], list) else [value[key]]
        kind = key.removesuffix("labels") or str(result.get("type") or "unknown")
        advice = (
            "Draw with BrushLabels or PolygonLabels" if kind == "bitmask" else "Draw an area, or remove it"
        )
        raise InputError(
            f"{', '.join(map(str, labels))!r} is an object of the kind {kind!r}, which is not read. {advice}."
        )


def _labels_key(value: Mapping) -> str | None:
    return next((key for key in value if key.endswith("labels")), None)


def _shape_of(result: Mapping) -> dict[str, Any]:
    """What a result says of the place; {} where it is none."""
    value = result.get("value")
    if not isinstance(value, Mapping) or not any(key in value for key in _SHAPES):
        return {}
    return {key: value[key] for key in (*_SHAPES, "x", "y", "height", "radiusY", "rotation") if key in value}


def _region(result: Mapping, size: tuple[int, int]) -> Region | Undrawn:
    value = result["value"]
    if result.get("image_rotation"):
        raise InputError("results must be drawn on the image as it is. Received a rotated one.")
    kind = _labels_key(value)
    labels = [str(label) for label in value[kind]] if kind else [""]
    if len(labels) != 1:
        raise InputError(f"each result must have one label. Received {', '.join(labels) or 'none'}.")
    label, (height, width) = labels[0], size
    percent = np.array([width, height]) / 100
    if value.get("format") == "rle" or "rle" in value:
        return filled(label, region_of(label, decode_brush(value["rle"], height, width)))
    if _in_shares(value, label):
        return Undrawn(label, "has coordinates of 0 to 1, which are shares of the image and no percent", True)
    if "points" in value:
        if value.get("closed") is False:
            raise InputError(f"{label!r} is a polygon that is not closed. Close it, or remove it.")
        ring = points(value["points"], label) * percent
    elif "radiusX" in value:
        (x, y), (rx, ry) = percent * (value["x"], value["y"]), percent * (value["radiusX"], value["radiusY"])
        ring = turned(ellipse(x, y, rx, ry), float(value.get("rotation") or 0))
    elif "height" not in value:
        raise not_drawn(kind.removesuffix("labels") if kind else str(result.get("type")), label)
    else:
        (x, y), (w, h) = percent * (value["x"], value["y"]), percent * (value["width"], value["height"])
        # Label Studio turns a box about its upper left corner.
        ring = turned(box(x, y, x + w, y + h), float(value.get("rotation") or 0), about=(x, y))
    return outline(label, [ring], size)


def _in_shares(value: Mapping, label: str) -> bool:
    """Whether all coordinates and lengths are 0 to 1: of percent, in which no object is so small."""
    if "points" in value:
        numbers = points(value["points"], label).ravel()
    else:
        keys = ("x", "y", "width", "height", "radiusX", "radiusY")
        if not {"height", "radiusX"} & set(value):
            return False
        numbers = np.array([float(value[key]) for key in keys if key in value])
    # An object without any extent is too small, and says so itself.
    return bool(len(numbers)) and numbers.min() >= 0 and 0 < numbers.max() <= 1


def label_studio_task(
    mask: np.ndarray,
    phases: Phases,
    image: str,
    *,
    score: float | None = None,
    model_version: str = "",
    controls: Sequence[str] = ("tag", "image"),
) -> dict[str, Any]:
    """A task with one pre-annotation: a brush for each phase in the mask; 255 stays bare.

    Args:
        mask: Segmentation mask, uint8 (height, width) ids.
        phases: Names and ids; the labels of the project's `<BrushLabels>` must have these names.
        image: Address of the image as Label Studio sees it: `"/data/local-files/?d=slices/07.png"`.
        score: Confidence 0-1, by which Label Studio can sort tasks.
        model_version: What made the mask.
        controls: Names of the `<BrushLabels>` and the `<Image>` in the project's configuration.
    """
    from_name, to_name = controls
    height, width = mask.shape
    results = [
        {
            "id": phase.name,
            "from_name": from_name,
            "to_name": to_name,
            "type": "brushlabels",
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "value": {"format": "rle", "rle": encode_brush(mask == phase.id), "brushlabels": [phase.name]},
        }
        for phase in phases
        if (mask == phase.id).any()
    ]
    prediction: dict[str, Any] = {"model_version": model_version, "result": results}
    if score is not None:
        prediction["score"] = float(score)
    return {"data": {to_name: image}, "predictions": [prediction]}
