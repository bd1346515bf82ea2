"""Files of annotation tools that hold objects (VIA, CVAT) in, regions out; and what all formats share."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.imaging.lengths import nanometres
from cathode_tf.imaging.objects import (
    Drawing,
    Undrawn,
    assembled,
    filled,
    outline,
)
from cathode_tf.imaging.regions import Region, region_of
from cathode_tf.imaging.runs import decode_runs
from cathode_tf.texts import composed
from cathode_tf.words import counted

Size = tuple[int, int]


@contextlib.contextmanager
def malformed(source: str, tool: str) -> Iterator[None]:
    """Turn what a missing or odd field raises into one sentence that names the file and the format."""
    try:
        yield
    except InputError as error:
        text = str(error)
        raise InputError(text if text.startswith(source) else f"{source}: {text}") from error
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise InputError(
            f"{source}: must be a complete {tool} file. A field is missing or malformed ({error!r:.100})."
        ) from error


def file_name(listed: str) -> str:
    """The file's own name in whatever path or address an annotation file gives for an image.

    Example:
        >>> file_name("/data/local-files/?d=slices/slice_07.png")
        'slice_07.png'
    """
    return re.split(r"[/\\=]", listed)[-1]


def without_upload_prefix(name: str) -> str:
    """`slice_07.png` of `0a1b2c3d-slice_07.png`, which is what Label Studio makes of it."""
    return re.sub(r"^[0-9a-f]{8}-(?=.)", "", name)


def pick(names: list[str], image_name: str | None, source: str) -> int:
    """Index of the image meant among those an annotation file lists: the same file name, or else the same stem."""
    if image_name is None:
        if len(names) == 1:
            return 0
        raise InputError(f"{source}: holds {len(names)} images; say which one (image_name).")
    image_name = composed(image_name)
    stem = image_name.rpartition(".")[0] or image_name
    matches: list[int] = []
    for by_name, by_stem in _places(tuple(names)):
        matches = by_name.get(image_name) or by_stem.get(stem) or []
        if len(matches) == 1:
            return matches[0]
        if matches:
            break
    some = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    raise InputError(
        f"{source}: must list {image_name} once. Received it {len(matches)} times "
        f"among {len(names)} images ({some})."
    )


@functools.lru_cache(maxsize=4)
def _places(names: tuple[str, ...]) -> list[tuple[dict[str, list[int]], dict[str, list[int]]]]:
    """Where each file name, and each stem, is listed: as it stands, and without the prefix of an upload."""
    own = [composed(file_name(name)) for name in names]
    tables = []
    for spelled in (own, [without_upload_prefix(name) for name in own]):
        by_name: dict[str, list[int]] = {}
        by_stem: dict[str, list[int]] = {}
        for index, name in enumerate(spelled):
            by_name.setdefault(name, []).append(index)
            by_stem.setdefault(name.rpartition(".")[0], []).append(index)
        tables.append((by_name, by_stem))
    return tables


def frame(size: Size | None, shape: Size | None, source: str) -> Size:
    """(height, width) to draw on: the tool's, or else the micrograph's."""
    if size is not None:
        return size
    if shape is None:
        raise InputError(f"{source}: does not say how large its image is; give the shape.")
    return shape


def points(values: Any, label: str) -> np.ndarray:
    """(n, 2) of x, y from pairs of numbers."""
    array = np.asarray(values, np.float64)
    if array.ndim != 2 or array.shape[1] != 2:
        raise InputError(f"the outline of {label!r} must be pairs of x, y.")
    return array


def box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """The outline of a rectangle."""
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)


def ellipse(x: float, y: float, rx: float, ry: float, angle_rad: float = 0.0) -> np.ndarray:
    """The outline of an ellipse, fine enough that no pixel of an image differs."""
    if not (np.isfinite([x, y, rx, ry, angle_rad]).all() and rx >= 0 and ry >= 0):
        raise InputError("an ellipse must have finite radii of at least 0.")
    t = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    dx, dy = rx * np.cos(t), ry * np.sin(t)
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    return np.stack([x + dx * cos - dy * sin, y + dx * sin + dy * cos], axis=1)


_WITHOUT_AREA = {
    "point", "points", "line", "lines", "linestrip", "polyline", "keypoint", "keypoints", "tag", "vector", "skeleton",
}  # fmt: skip


def not_drawn(kind: str, label: str) -> InputError:
    """What to say of points and lines, and of shapes that nobody here knows how to fill."""
    if kind.lower() in _WITHOUT_AREA:
        return InputError(f"{label!r} is a {kind}, which covers no pixel. Draw an area, or remove it.")
    return InputError(
        f"{label!r} is a shape of the kind {kind!r}, which is not read. Draw a polygon, or remove it."
    )


def turned(ring: np.ndarray, degrees: float, about: Sequence[float] | None = None) -> np.ndarray:
    """The outline rotated clockwise, as seen on the screen, about a point; default: about its centre."""
    if not degrees:
        return ring
    centre = (ring.min(axis=0) + ring.max(axis=0)) / 2 if about is None else np.asarray(about, np.float64)
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return (ring - centre) @ np.array([(cos, sin), (-sin, cos)]) + centre


def declared(height: Any, width: Any, max_megapixels: float) -> Size:
    """(height, width) as a file declares it, checked before an array of that size is made."""
    height, width = int(height), int(width)
    if height < 1 or width < 1 or height * width > max_megapixels * 1e6:
        raise InputError(
            f"the declared image must have 1 pixel to {max_megapixels:g} megapixels. Received {width} x {height}."
        )
    return height, width


def text_of(label: Any) -> str:
    """A label as text; "" where there is none."""
    return "" if label is None else str(label)


def pasted(label: str, inside: np.ndarray, xy: np.ndarray, canvas: Size) -> Region:
    """A mask at its place, x and y of its upper left corner, in the image."""
    left, top = (round(float(v)) for v in xy[0])
    height, width = canvas
    if left < 0 or top < 0 or top + inside.shape[0] > height or left + inside.shape[1] > width:
        raise InputError(f"the mask of {label!r} must lie within its image of {width} x {height}.")
    return region_of(label, inside, top, left)


def via_entries(content: Mapping) -> list[Mapping]:
    """The images of a VIA 2 project or of its exported annotations."""
    return list(content.get("_via_img_metadata", content).values())


def via_field_width_nm(content: Mapping, source: str, image_name: str) -> float | None:
    """What a VIA 2 file states in `HFW`, an attribute of the image, as the width of its field."""
    with malformed(source, "VIA"):
        entries = via_entries(content)
        entry = entries[pick([str(e["filename"]) for e in entries], image_name, source)]
        attributes = entry.get("file_attributes") or {}
        stated = next((text for name, text in attributes.items() if name.strip().upper() == "HFW"), "")
        return nanometres(str(stated))


def read_via(
    content: Mapping, source: str, image_name: str | None, shape: Size | None, names: tuple[str, ...] = ()
) -> Drawing:
    """VIA 2 JSON. The label is the region's attribute whose value is one of `names`, else its first text."""
    with malformed(source, "VIA"):
        entries = via_entries(content)
        entry = entries[pick([str(e["filename"]) for e in entries], image_name, source)]
        canvas = frame(None, shape, source)
        regions = entry["regions"]
        found = regions.values() if isinstance(regions, Mapping) else regions
        known = {name.lower() for name in names}
        return assembled((_via_region(r, canvas, known) for r in found), None, source, str(entry["filename"]))


def _via_region(entry: Mapping, canvas: Size, known: set[str]) -> Region | Undrawn:
    form, values = entry["shape_attributes"], []
    for value in (entry.get("region_attributes") or {}).values():
        values += [k for k, on in value.items() if on] if isinstance(value, Mapping) else [str(value)]
    label = next((v for v in values if v.strip().lower() in known), next(iter(values), ""))
    kind = form["name"]
    if kind == "polygon":
        ring = points(np.stack([form["all_points_x"], form["all_points_y"]], axis=1), label)
    elif kind == "rect":
        ring = box(form["x"], form["y"], form["x"] + form["width"], form["y"] + form["height"])
    elif kind == "circle":
        ring = ellipse(form["cx"], form["cy"], form["r"], form["r"])
    elif kind == "ellipse":
        ring = ellipse(form["cx"], form["cy"], form["rx"], form["ry"], float(form.get("theta") or 0.0))
    else:
        raise not_drawn(str(kind), label)
    return outline(label, [ring], canvas)


def cvat_images(root: Any) -> list[Any]:
    """The images of CVAT's XML; InputError where objects lie beside them, in tracks."""
    tracks = root.findall("track")
    if tracks:
        raise InputError(
            f"must hold the objects of each image in it. Received {counted(len(tracks), 'track')}, as "
            "for video. Export the task as 'CVAT for images 1.1'."
        )
    return list(root.findall("image"))


def read_cvat(root: Any, source: str, image_name: str | None, max_megapixels: float) -> Drawing:
    """CVAT for images XML 1.1: polygons, boxes, ellipses and masks, by their z-order."""
    with malformed(source, "CVAT"):
        images = cvat_images(root)
        image = images[pick([i.get("name", "") for i in images], image_name, source)]
        canvas = declared(image.get("height"), image.get("width"), max_megapixels)
        drawn = [entry for entry in image if entry.tag != "tag"]  # of the image as a whole
        shapes = sorted(drawn, key=lambda s: int(s.get("z_order", 0)))  # stable: file order within a layer
        return assembled((_cvat_region(s, canvas) for s in shapes), canvas, source, image.get("name", ""))


def _cvat_region(entry: Any, canvas: Size) -> Region | Undrawn:
    label = text_of(entry.get("label"))
    if entry.get("outside") == "1":
        return Undrawn(label, "is marked as outside of the image")

    def number(key: str) -> float:
        return float(entry.get(key, 0) if key == "rotation" else entry.get(key))

    if entry.tag == "polygon":
        pairs = [pair.split(",") for pair in entry.get("points").split(";")]
        return outline(label, [points(pairs, label)], canvas)
    if entry.tag == "box":
        ring = box(number("xtl"), number("ytl"), number("xbr"), number("ybr"))
        return outline(label, [turned(ring, number("rotation"))], canvas)
    if entry.tag == "ellipse":
        ring = ellipse(number("cx"), number("cy"), number("rx"), number("ry"))
        return outline(label, [turned(ring, number("rotation"))], canvas)
    if entry.tag == "mask":
        left, top, width, height = (int(number(k)) for k in ("left", "top", "width", "height"))
        if width < 1 or height < 1 or width > canvas[1] or height > canvas[0]:
            raise InputError(f"the mask of {label!r} must lie within its image of {canvas[1]} x {canvas[0]}.")
        runs = [int(n) for n in entry.get("rle").split(",")]
        inside = decode_runs(runs, height * width).reshape(height, width)
        return filled(label, pasted(label, inside, np.array([(left, top)]), canvas))
    raise not_drawn(entry.tag, label)
