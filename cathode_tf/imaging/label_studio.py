"""Label Studio: exported brushes and polygons in, tasks with pre-annotations out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.imaging.regions import Region, fill_outline, region_of
from cathode_tf.imaging.runs import decode_brush, encode_brush
from cathode_tf.imaging.vectors import Drawing, box, declared, ellipse, malformed, no_area, pick, points
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
    """The results in a task of JSON-MIN, whose key is the name of the labelling control."""
    for value in task.values():
        if (
            isinstance(value, list)
            and value
            and isinstance(value[0], Mapping)
            and "original_width" in value[0]
        ):
            return value
    return []


def task_image(task: Mapping) -> str:
    """File name of a task's image: the last one in the first path or address of its data that holds one."""
    for value in task.get("data", task).values():
        found = _IMAGE_NAME.findall(unquote(value)) if isinstance(value, str) else []
        if found:
            return found[-1]
    raise InputError("a task must name its image.")


def read_label_studio(content: Any, source: str, image_name: str | None, max_megapixels: float) -> Drawing:
    """The newest annotation of the image's task that was not cancelled; predictions only where there is none."""
    with malformed(source, "Label Studio"):
        tasks = [content] if isinstance(content, Mapping) else list(content)
        task = tasks[pick([task_image(t) for t in tasks], image_name, source)]
        results = _results(task)
        sizes = {(r["original_height"], r["original_width"]) for r in results if "original_width" in r}
        if len(sizes) > 1:
            raise InputError("all results of a task must be drawn on one image size.")
        size = declared(*sizes.pop(), max_megapixels) if sizes else None
        if size is None:
            return Drawing([], None)
        return Drawing([region for r in results for region in _regions(r, size)], size)


def _results(task: Mapping) -> list:
    if "data" not in task:
        return [{"value": r, **r} for r in _minimal(task)]
    done = [a for a in task.get("annotations") or task.get("completions") or [] if not a.get("was_cancelled")]
    done = done or list(task.get("predictions") or [])
    if not done:
        return []
    newest = max(done, key=lambda a: str(a.get("updated_at") or a.get("created_at") or ""))
    return list(newest["result"])


def _regions(result: Mapping, size: tuple[int, int]) -> list[Region]:
    value = result["value"]
    kind = next((k for k in value if k.endswith("labels")), None)
    if kind is None:
        return []  # choices, ratings and the like
    if result.get("image_rotation"):
        raise InputError("results must be drawn on the image as it is. Received a rotated one.")
    labels = [str(label) for label in value[kind]]
    if len(labels) != 1:
        raise InputError(f"each result must have one label. Received {', '.join(labels) or 'none'}.")
    height, width = size
    percent = np.array([width, height]) / 100
    if value.get("format") == "rle" or "rle" in value:
        return [region_of(labels[0], decode_brush(value["rle"], height, width))]
    if "points" in value:
        ring = points(value["points"], labels[0]) * percent
    elif "radiusX" in value:
        _unrotated(value)
        (x, y), (rx, ry) = percent * (value["x"], value["y"]), percent * (value["radiusX"], value["radiusY"])
        ring = ellipse(x, y, rx, ry)
    elif "height" not in value:
        raise no_area(kind.removesuffix("labels"), labels[0])
    else:
        _unrotated(value)
        (x, y), (w, h) = percent * (value["x"], value["y"]), percent * (value["width"], value["height"])
        ring = box(x, y, x + w, y + h)
    return [fill_outline(labels[0], [ring], size)]


def _unrotated(value: Mapping) -> None:
    if value.get("rotation"):
        raise InputError("rotated boxes and ellipses are not read. Draw a polygon or use the brush.")


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
