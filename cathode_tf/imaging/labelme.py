"""LabelMe JSON, and that of its offspring, in; the objects on its image out."""

from __future__ import annotations

import base64
import binascii
import io
import warnings
from collections.abc import Mapping

import numpy as np

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.imaging.objects import Drawing, Size, Undrawn, assembled, filled, outline
from cathode_tf.imaging.regions import Region
from cathode_tf.imaging.vectors import (
    box,
    declared,
    ellipse,
    file_name,
    frame,
    malformed,
    not_drawn,
    pasted,
    points,
    text_of,
    without_upload_prefix,
)
from cathode_tf.texts import composed


def read_labelme(
    content: Mapping, source: str, shape: Size | None, max_megapixels: float, image_name: str | None = None
) -> Drawing:
    """LabelMe JSON and that of its offspring: polygons, rectangles (turned ones, too), circles and masks."""
    with malformed(source, "LabelMe"):
        _warn_of_other_image(str(content.get("imagePath") or ""), image_name, source)
        size = None
        if content.get("imageHeight") and content.get("imageWidth"):
            size = declared(content["imageHeight"], content["imageWidth"], max_megapixels)
        canvas = frame(size, shape, source)
        return assembled((_labelme_region(s, canvas) for s in content["shapes"]), size, source)


def _warn_of_other_image(listed: str, image_name: str | None, source: str) -> None:
    """Say it where the file was drawn on an image of another name, as where it was copied."""
    own, drawn_on = composed(image_name or ""), composed(without_upload_prefix(file_name(listed)))
    if own and drawn_on and own.rpartition(".")[0].lower() != drawn_on.rpartition(".")[0].lower():
        warnings.warn(
            f"{source}: was drawn on {drawn_on} (imagePath), and is read for {own}. If that is another image, remove "
            "the file.",
            InputWarning,
            stacklevel=4,
        )


_CORNERS = ("rectangle", "rotation", "oriented_rectangle", "quadrilateral")


def _labelme_region(entry: Mapping, canvas: Size) -> Region | Undrawn:
    label, kind = text_of(entry["label"]), entry.get("shape_type") or "polygon"
    xy = points(entry["points"], label)
    if kind == "polygon":
        return outline(label, [xy], canvas)
    if kind in _CORNERS:
        if len(xy) == 2 and kind == "rectangle":
            xy = box(*xy[0], *xy[1])
        if len(xy) == 4 and _crosses(xy):
            raise InputError(f"{label!r}, a {kind}, must have its corners in the order of a walk around it.")
        if len(xy) != 4:
            corners = "2 or 4 corners" if kind == "rectangle" else "4 corners"
            raise InputError(
                f"{label!r}, a shape of the kind {kind!r}, must have {corners}. Received {len(xy)} points."
            )
        return outline(label, [xy], canvas)
    if kind == "circle":
        if len(xy) != 2:
            raise InputError(
                f"{label!r}, a circle, must have its centre and a point on it. Received {len(xy)} points."
            )
        (x, y), edge = xy
        radius = float(np.hypot(*(edge - (x, y))))
        return outline(label, [ellipse(x, y, radius, radius)], canvas)
    if kind == "mask":
        inside = _png(entry["mask"])
        if len(xy) == 2:
            across, down = np.abs(xy[1] - xy[0])
            if abs(down + 1 - inside.shape[0]) > 1 or abs(across + 1 - inside.shape[1]) > 1:
                raise InputError(
                    f"the mask of {label!r} must be as large as the box of its corners, about {down + 1:g} x "
                    f"{across + 1:g}. Received {inside.shape}."
                )
        return filled(label, pasted(label, inside, xy, canvas))
    raise not_drawn(str(kind), label)


def _crosses(corners: np.ndarray) -> bool:
    """Whether opposite sides of a quadrilateral cross each other, as in a bow tie."""

    def side(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> float:
        return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))

    for first in (0, 1):
        a, b, c, d = (corners[(first + step) % 4] for step in range(4))
        if side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0:
            return True
    return False


def _png(text: str) -> np.ndarray:
    from PIL import PngImagePlugin

    try:
        image = PngImagePlugin.PngImageFile(io.BytesIO(base64.b64decode(text)))
        if image.size[0] * image.size[1] > 400e6:
            raise ValueError("too large")
        return np.asarray(image.convert("L")) > 0
    except (binascii.Error, OSError, SyntaxError) as error:
        raise ValueError("the mask is no PNG") from error
