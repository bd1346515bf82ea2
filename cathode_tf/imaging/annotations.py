"""An annotation file of any tool in, a segmentation mask or the objects one by one out."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.imaging.coco import coco_by_image, read_coco
from cathode_tf.imaging.databar import check_size, fit_mask_to_cut
from cathode_tf.imaging.label_images import read_labels
from cathode_tf.imaging.label_studio import is_label_studio, read_label_studio, task_image
from cathode_tf.imaging.labelme import read_labelme
from cathode_tf.imaging.masks import read_mask
from cathode_tf.imaging.objects import Drawing
from cathode_tf.imaging.rasters import MAX_MEGAPIXELS
from cathode_tf.imaging.regions import Region, phase_mask, regions_of
from cathode_tf.imaging.strangers import foreign_xml, refuse_strangers, refuse_yolo
from cathode_tf.imaging.vectors import (
    cvat_images,
    read_cvat,
    read_via,
    via_entries,
    via_field_width_nm,
)
from cathode_tf.phases import IGNORE, Phases
from cathode_tf.texts import read_text, unique_keys

Size = tuple[int, int]


def read_annotation(
    path: str | Path,
    phases: Phases,
    *,
    shape: Size | None = None,
    image_name: str | None = None,
    databar_rows: int = 0,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> np.ndarray:
    """The segmentation mask in an annotation file, uint8 (height, width) ids; unlabelled is 255.

    The content decides the format: a raster (grey values, palette, colours: see `read_mask`), LabelMe, COCO, VIA 2,
    CVAT for images, or Label Studio. Labels of objects must be names of phases; where objects overlap, the later
    one in the file (in CVAT: of the higher z-order) lies on top.

    Args:
        path: The file; or `name_{phase}.png` with `{phase}` literally, for one binary mask a phase.
        phases: Names, ids, and the values that stand for them.
        shape: (height, width) of the micrograph, after its databar was cut.
        image_name: File name of the micrograph; needed where one file annotates several.
        databar_rows: Rows that were cut from the micrograph; the annotation may be from before or after.
        max_megapixels: Files that declare more are refused before they are decoded.

    Raises:
        InputError: If the file is of no known format, is damaged, lists another image, has another size, or
            holds a value, colour or label that no phase has.
    """
    path = Path(path)
    if "{phase}" in path.name:
        mask = _read_binaries(path, phases, max_megapixels)
    elif is_text(path):
        canvas = None if shape is None else (shape[0] + databar_rows, shape[1])
        drawing = read_drawing(path, image_name, canvas, max_megapixels, phases.names)
        size = drawing.size or canvas
        if size is None:
            raise InputError(f"{path}: does not say how large its image is; give the shape.")
        mask = phase_mask(drawing.regions, phases, size, str(path))
    else:
        mask = read_mask(path, phases, max_megapixels=max_megapixels)
    return mask if shape is None else fit_mask_to_cut(mask, shape, databar_rows, str(path))


def read_instances(
    path: str | Path,
    image_name: str | None = None,
    shape: Size | None = None,
    *,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> list[Region]:
    """The objects that were drawn on one image, each with its own pixels, overlapping or not.

    Args:
        path: LabelMe, COCO, VIA 2, CVAT or Label Studio file; or a label image (TIFF, PNG), one number an object.
        image_name: File name of the image; needed where the file annotates several.
        shape: (height, width) of the image; needed for VIA, which does not record it, and else checked.
        max_megapixels: As in `read_annotation`.

    Returns:
        Regions in file order, those of a label image by number and without a label; `label_image` makes a label
        image of them, `visible.label_visible` one of what is seen of each.

    Raises:
        InputError: If the file is of no known format, is damaged, lists another image, or has another size.

    Example:
        >>> particles = read_instances("via.json", "Sc1Tile_001.png", (1024, 1536))     # doctest: +SKIP
        >>> labels = label_image(particles, (1024, 1536))                               # doctest: +SKIP
    """
    path = Path(path)
    if not is_text(path):
        labels = read_labels(path)
        if shape is not None:
            check_size(labels.shape, shape, 0, str(path))
        return regions_of(labels)
    drawing = read_drawing(path, image_name, shape, max_megapixels)
    if shape is not None and drawing.size is not None:
        check_size(drawing.size, shape, 0, str(path))
    return drawing.regions


def annotated_images(path: str | Path) -> list[str]:
    """Names of the images that a JSON or XML annotation file describes."""
    path = Path(path)
    kind, content = _parse(path)
    try:
        if kind == "cvat":
            return [image.get("name", "") for image in cvat_images(content)]
        if kind == "labelme":
            return [str(content.get("imagePath") or path.stem)]
        if kind == "coco":
            return [str(image["file_name"]) for image in content["images"]]
        if kind == "via":
            return [str(entry["filename"]) for entry in via_entries(content)]
        return [task_image(t) for t in ([content] if isinstance(content, dict) else content)]
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: must name its images. A field is missing ({error!r:.100}).") from error


def field_width_nm(path: str | Path, image_name: str) -> float | None:
    """Width of an image's field where its annotation file states it (`HFW` in VIA 2), else None.

    The value is taken as it stands; whether it is right, the file does not say.
    """
    path = Path(path)
    if "{" in path.name or not is_text(path):
        return None
    kind, content = _parse(path)
    return via_field_width_nm(content, str(path), image_name) if kind == "via" else None


def is_text(path: Path) -> bool:
    """Whether the file is JSON or XML: the content decides, not the name."""
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path}: cannot be read (it is no regular file).")
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    begin = start.lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n")[:1]  # marks of any encoding, and its empty bytes
    if begin in (b"{", b"[", b"<"):
        return True
    refuse_yolo(path, start)
    return False


def _parse(path: Path) -> tuple[str, Any]:
    """(format, parsed content) of a JSON or XML annotation file."""
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    return _parse_version(path, status.st_mtime_ns, status.st_size)


# One file may annotate thousands of images, which are asked for one by one.
@functools.lru_cache(maxsize=1)
def _parse_version(path: Path, modified_ns: int, size: int) -> tuple[str, Any]:
    from cathode_tf.imaging.metadata import parse_xml

    text = read_text(path)
    try:
        if text.lstrip().startswith("<"):
            root = parse_xml(text)
            if root.tag != "annotations":
                raise ValueError(foreign_xml(str(root.tag)))
            return "cvat", root
        content = json.loads(text, object_pairs_hook=unique_keys)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: must be whole JSON, or CVAT's XML ({str(error)[:120]}).") from error
    refuse_strangers(content, path)
    if isinstance(content, dict):
        if "shapes" in content:
            return "labelme", content
        if "images" in content and "annotations" in content:
            return "coco", coco_by_image(content, str(path))
        values = list(content.values())
        if "_via_img_metadata" in content or any(isinstance(v, dict) and "regions" in v for v in values):
            return "via", content
    if is_label_studio(content):
        return "label-studio", content
    raise InputError(
        f"{path}: must be LabelMe, COCO, VIA 2, CVAT for images or Label Studio. The JSON is none of these."
    )


def read_drawing(
    path: Path,
    image_name: str | None = None,
    shape: Size | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
    names: tuple[str, ...] = (),
) -> Drawing:
    """All objects of an image in a JSON or XML file: those that are drawn, and those that cover no pixel.

    Args:
        path: The file.
        image_name: File name of the image; needed where the file annotates several.
        shape: (height, width) of the image, for formats that do not record it.
        max_megapixels: Larger declared images are refused.
        names: Labels that are looked for where a format has several attributes.
    """
    kind, content = _parse(path)
    source = str(path)
    if kind == "labelme":
        return read_labelme(content, source, shape, max_megapixels, image_name)
    if kind == "coco":
        return read_coco(content, source, image_name, max_megapixels)
    if kind == "via":
        return read_via(content, source, image_name, shape, names)
    if kind == "cvat":
        return read_cvat(content, source, image_name, max_megapixels)
    return read_label_studio(content, source, image_name, max_megapixels)


def binary_masks(template: Path, phases: Phases) -> dict[str, Path]:
    """The files that exist of `name_{phase}.png`, by phase."""
    files = {name: template.with_name(template.name.replace("{phase}", name)) for name in phases.names}
    return {name: file for name, file in files.items() if file.is_file()}


def _read_binaries(template: Path, phases: Phases, max_megapixels: float) -> np.ndarray:
    files = binary_masks(template, phases)
    if not files:
        raise InputError(
            f"{template}: must stand for at least one file, {{phase}} replaced by a name. Received none."
        )
    mask: np.ndarray | None = None
    for name, file in files.items():
        inside = _read_binary(file, max_megapixels)
        if mask is None:
            mask = np.full(inside.shape, IGNORE, np.uint8)
        if inside.shape != mask.shape:
            raise InputError(
                f"{file}: must have the size of the other phases, {mask.shape}. Received {inside.shape}."
            )
        twice = inside & (mask != IGNORE)
        if twice.any():
            row, column = (int(i) for i in np.argwhere(twice)[0])
            other = next(p.name for p in phases if p.id == mask[row, column])
            raise InputError(
                f"{file}: a pixel must belong to one phase. {int(twice.sum())} belong to {name} and to another, the "
                f"first ({other}) at row {row}, column {column}. Correct one of the masks."
            )
        mask[inside] = phases[name].id
    assert mask is not None
    return mask


def _read_binary(path: Path, max_megapixels: float) -> np.ndarray:
    """Where a two-valued mask is not 0."""
    values = read_mask(path, _BINARY, max_megapixels=max_megapixels)
    return values == 1


# Tools write the true pixels of a binary mask as 1, 255 or 65535.
_BINARY = Phases.from_list(
    [
        {"name": "outside", "id": 0, "values": [0, "#000000"], "color": "#000000"},
        {"name": "inside", "id": 1, "values": [1, 255, 65535, "#ffffff"], "color": "#ffffff"},
    ]
)
