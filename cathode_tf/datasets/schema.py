"""Schemas 1 and 2 of a record set: features, file names, and how an example becomes bytes and back.

Pixels and what is known about them in, one serialised record out; everything else that knows a feature's
name or a file's name asks here.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cathode_tf.datasets.instances import outlines_from_text, outlines_of, outlines_to_text
from cathode_tf.datasets.tfrecord import decode_example, encode_example
from cathode_tf.errors import InputError
from cathode_tf.files import pixel_sha256
from cathode_tf.imaging import Micrograph
from cathode_tf.imaging.png import Memory, decode_plain_png
from cathode_tf.imaging.visible import Outline
from cathode_tf.phases import IGNORE, Phases

SCHEMA_VERSIONS = 1, 2
"""Schema 2 is schema 1 with the instances of every image (`instance_labels`, `outlines`)."""
SPLITS = ("train", "validation", "test")
DATASET_NAME = "cathode"
TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"

# Run lengths pack as well as a search for matches, in half the time: those of a mask as it is, those of a smooth
# image after each row was subtracted from the next. The noise of a micrograph is most of its bytes, and packs badly
# however long one tries: an image of which less than a third would be saved is stored as it is, which reads and
# writes some 10 times faster.
_RUNS = [
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
]
_PACKED = [*_RUNS, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP]
_PACKED_MASK = [*_RUNS, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE]
_STORED = [cv2.IMWRITE_PNG_COMPRESSION, 0, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE]
_WORTH_PACKING = 0.67
_PROBES, _PROBE_ROWS = 4, 16

_TEXTS = (
    "id",
    "group",
    "pixel_size_source",
    "image_sha256",
    "mask_sha256",
    "origin",
    "annotator",
    "acquisition",
)


@dataclass(frozen=True)
class Example:
    """One micrograph with its segmentation mask.

    Attributes:
        image: uint8 or uint16 (height, width), as acquired, databar removed.
        mask: uint8 (height, width) of phase ids; 255 = ignore.
        id: Unique in the record set.
        group: Key of the split; a group never straddles two splits.
        pixel_size_nm: Edge of a pixel; NaN = unknown.
        pixel_size_source: Where the pixel size was read; "" = unknown.
        origin: `human`, `corrected` or `synthetic`.
        round: In which round of incremental learning the mask was made.
        annotator: By whom.
        acquisition: What is known of the microscope and of the conversion.
        labels: int32 (height, width), the particle seen at each pixel, 0 = none; None in sets of schema 1.
        outlines: Every particle whole, the k-th numbered k + 1 in `labels`, where some hide others; else empty.
    """

    image: np.ndarray
    mask: np.ndarray
    id: str
    group: str
    pixel_size_nm: float = math.nan
    pixel_size_source: str = ""
    origin: str = "human"
    round: int = 0
    annotator: str = ""
    acquisition: dict[str, Any] = field(default_factory=dict)
    labels: np.ndarray | None = None
    outlines: tuple[Outline, ...] = ()

    @property
    def instances(self) -> tuple[Outline, ...]:
        """Every particle with its own pixels, whole where it was drawn whole; empty where the set knows none."""
        return self.outlines or (() if self.labels is None else outlines_of(self.labels))

    @property
    def micrograph(self) -> Micrograph:
        """The image with its pixel size, as models take it."""
        size = None if math.isnan(self.pixel_size_nm) else self.pixel_size_nm
        return Micrograph(self.image, size, self.pixel_size_source)


def serialize(example: Example) -> tuple[bytes, str, str]:
    """The record of an example, and the SHA-256 of its image and of its mask."""
    image_sha256, mask_sha256 = pixel_sha256(example.image), pixel_sha256(example.mask)
    size = example.pixel_size_nm
    instances: dict[str, Any] = {}
    if example.labels is not None:
        instances = {
            "instance_labels": _png(example.labels.astype(np.uint16), _PACKED_MASK),
            "outlines": outlines_to_text(example.outlines),
        }
    message = encode_example(
        {
            "image": encode_png(example.image),
            "segmentation_mask": _png(example.mask, _PACKED_MASK),
            "id": example.id,
            "group": example.group,
            "pixel_size_nm": float("nan") if math.isnan(size) else float(size),
            "pixel_size_source": example.pixel_size_source,
            "image_sha256": image_sha256,
            "mask_sha256": mask_sha256,
            "origin": example.origin,
            "round": int(example.round),
            "annotator": example.annotator,
            "acquisition": json.dumps(example.acquisition, sort_keys=True, ensure_ascii=False),
            **instances,
        }
    )
    return message, image_sha256, mask_sha256


def deserialize(
    message: bytes | memoryview,
    source: str | Path,
    *,
    image_memory: Memory | None = None,
    mask_memory: Memory | None = None,
    with_instances: bool = True,
) -> tuple[Example, str, str]:
    """The example of a record, and the hashes that it was written with.

    Args:
        message: The record.
        source: File name for the message.
        with_instances: Decode the instances, too, where there are some.
        image_memory, mask_memory: As in `decode_plain_png`; used where the PNG is plain.

    Raises:
        InputError: If the bytes are no record of this schema, or its image or mask cannot be decoded.
    """
    values = decode_example(message, copy=False)
    try:
        texts = {name: str(values[name][0], "utf-8") for name in _TEXTS}
        image = decode_png(values["image"][0], f"{source}, image of {texts['id']!r}", image_memory)
        mask = decode_png(values["segmentation_mask"][0], f"{source}, mask of {texts['id']!r}", mask_memory)
        labels: np.ndarray | None = None
        outlines: tuple[Outline, ...] = ()
        if with_instances and "instance_labels" in values:
            where = f"{source}, instances of {texts['id']!r}"
            labels = decode_png(values["instance_labels"][0], where).astype(np.int32)
            outlines = outlines_from_text(str(values["outlines"][0], "utf-8"), where)
        example = Example(
            image=image,
            mask=mask,
            id=texts["id"],
            group=texts["group"],
            pixel_size_nm=values["pixel_size_nm"][0],
            pixel_size_source=texts["pixel_size_source"],
            origin=texts["origin"],
            round=values["round"][0],
            annotator=texts["annotator"],
            acquisition=json.loads(texts["acquisition"] or "{}"),
            labels=labels,
            outlines=outlines,
        )
    except (KeyError, IndexError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{source}: each record must have the features of schema 1 or 2. Received a record "
            f"with {', '.join(sorted(values)) or 'none'}."
        ) from error
    return example, texts["image_sha256"], texts["mask_sha256"]


def encode_png(pixels: np.ndarray) -> memoryview:
    """Lossless PNG of a uint8 or uint16 array (height, width); packed where that pays."""
    height = pixels.shape[0]
    starts = np.linspace(0, max(0, height - _PROBE_ROWS), _PROBES).astype(int)
    probes = np.concatenate([pixels[start : start + _PROBE_ROWS] for start in starts])
    if height <= len(probes) or len(_png(probes, _PACKED)) < _WORTH_PACKING * probes.nbytes:
        return _png(pixels, _PACKED)
    return _png(pixels, _STORED)


def _png(pixels: np.ndarray, options: list[int]) -> memoryview:
    ok, data = cv2.imencode(".png", pixels, options)
    if not ok:
        raise RuntimeError("OpenCV could not encode a PNG")
    return data.ravel().data


def decode_png(content: bytes | memoryview, source: str, memory: Memory | None = None) -> np.ndarray:
    """The pixels of a grey PNG."""
    pixels = decode_plain_png(content, memory=memory)
    if pixels is None and content:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 2:
        raise InputError(f"{source}: must be a grey PNG. Received bytes that are none, or damaged ones.")
    return pixels


def check_example(example: Example, phases: Phases, source: str | Path) -> tuple[int, ...]:
    """Raise `InputError` unless image and mask have one shape, allowed types, and only ids of `phases`.

    Returns:
        Pixels of each phase, in the order of the phases, then of ignored ones.
    """
    if example.image.ndim != 2 or example.image.dtype not in (np.uint8, np.uint16) or not example.image.size:
        raise InputError(
            f"{source}: the image must be uint8 or uint16 (height, width). "
            f"Received {example.image.dtype} {example.image.shape}."
        )
    if example.mask.shape != example.image.shape:
        raise InputError(
            f"{source}: image and mask must have one height and width. Received image {example.image.shape} "
            f"and mask {example.mask.shape}."
        )
    if example.labels is not None and example.labels.shape != example.mask.shape:
        raise InputError(
            f"{source}: instances must have the mask's height and width, {example.mask.shape}. "
            f"Received {example.labels.shape}."
        )
    if example.mask.dtype != np.uint8:
        phases.check_mask(example.mask, source)
    counts = _count(example.mask, (*phases.ids, IGNORE))
    if sum(counts) != example.mask.size:
        phases.check_mask(example.mask, source)
    return counts


def _count(mask: np.ndarray, ids: tuple[int, ...]) -> tuple[int, ...]:
    """Pixels of each id. Block by block, and id by id: for a handful of ids much faster than a histogram."""
    rows = max(1, (1 << 17) // mask.shape[1])
    same = np.empty((rows, mask.shape[1]), bool)
    counts = [0] * len(ids)
    for start in range(0, mask.shape[0], rows):
        block = mask[start : start + rows]
        for place, id_ in enumerate(ids):
            counts[place] += int(np.count_nonzero(np.equal(block, id_, out=same[: len(block)])))
    return tuple(counts)


def features_json(image_dtype: str, schema: int = 1) -> dict[str, Any]:
    """Content of `features.json`, as tensorflow-datasets reads and writes it."""
    core = "tensorflow_datasets.core.features"

    def image(dtype: str) -> dict[str, Any]:
        shape = {"dimensions": ["-1", "-1", "1"]}
        return {
            "image": {"dtype": dtype, "encodingFormat": "png", "shape": shape},
            "pythonClassName": f"{core}.image_feature.Image",
        }

    def scalar(dtype: str) -> dict[str, Any]:
        return {
            "pythonClassName": f"{core}.tensor_feature.Tensor",
            "tensor": {"dtype": dtype, "encoding": "none", "shape": {}},
        }

    features: dict[str, Any] = {
        name: {"pythonClassName": f"{core}.text_feature.Text", "text": {}} for name in _TEXTS
    }
    features["image"] = image(image_dtype)
    features["segmentation_mask"] = image("uint8")
    features["pixel_size_nm"] = scalar("float32")
    features["round"] = scalar("int32")
    if schema == 2:
        features["instance_labels"] = image("uint16")
        features["outlines"] = features["id"]
    return {
        "featuresDict": {"features": dict(sorted(features.items()))},
        "pythonClassName": f"{core}.features_dict.FeaturesDict",
    }


def dataset_info_json(
    version: str, shards: dict[str, list[dict[str, int]]], folder: str = ""
) -> dict[str, Any]:
    """Content of `dataset_info.json`.

    Args:
        version: `"1.0.0"`.
        shards: By split, for each shard its number of `records` and its `bytes`.
        folder: Where the shards lie relative to the file, with a slash behind.
    """
    splits = [
        {
            "filepathTemplate": folder + TEMPLATE,
            "name": split,
            # tensorflow-datasets counts the messages without their 16 bytes of frame.
            "numBytes": str(sum(shard["bytes"] - 16 * shard["records"] for shard in shards[split])),
            "shardLengths": [str(shard["records"]) for shard in shards[split]],
        }
        for split in SPLITS
        if shards.get(split)
    ]
    return {
        "description": "Electron micrographs of battery cathodes with segmentation masks (cathode_tf).",
        "fileFormat": "tfrecord",
        "moduleName": "cathode_tf.datasets",
        "name": DATASET_NAME,
        "splits": splits,
        "version": version,
    }


def shard_name(split: str, index: int, count: int) -> str:
    """File name of a shard.

    Example:
        >>> shard_name("train", 0, 2)
        'cathode-train.tfrecord-00000-of-00002'
    """
    return f"{DATASET_NAME}-{split}.tfrecord-{index:05d}-of-{count:05d}"
