"""Images in container formats in (Zeiss CZI, EMD of Velox and of Berkeley Lab), planes and metadata as text out."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cathode_tf.errors import InputError

CZI_MAGIC = b"ZISRAWFI"
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True)
class Container:
    """What was found in a file.

    Attributes:
        height, width, count: Of the planes.
        read: Gives the samples of a plane, (height, width).
        texts: Metadata: `"czi"` XML, `"velox"` a mapping, `"emd"` the edges of a voxel in nm by axis.
        lossy: Name of the lossy compression, "" where there is none.
    """

    height: int
    width: int
    count: int
    read: Callable[[int], np.ndarray]
    texts: dict[str, Any]
    lossy: str = ""


def open_czi(path: Path, stack: contextlib.ExitStack) -> Container:
    """The image in a CZI: one channel, a stack where it has slices.

    Raises:
        InputError: If czifile is missing, or the file has channels, times, scenes or others.
    """
    try:
        import czifile
    except ImportError as error:
        raise InputError(
            'a CZI needs the czifile library. Install it with: python -m pip install "cathode-tf[microscopes]".'
        ) from error
    czi = stack.enter_context(czifile.CziFile(str(path)))
    sizes = dict(zip(czi.axes, czi.shape, strict=True))
    height, width, slices = sizes.pop("Y"), sizes.pop("X"), sizes.pop("Z", 1)
    samples = sizes.pop("0", 1)
    others = [f"{length} along {axis}" for axis, length in sizes.items() if length > 1 and axis != "M"]
    if others or samples not in (1, 3):
        raise InputError(
            f"must hold one image. Received a CZI of {', '.join(others) or f'{samples} samples a pixel'}. "
            "Export each as TIFF."
        )
    kept: list[np.ndarray] = []

    def read(index: int) -> np.ndarray:
        if not kept:
            shape = (slices, height, width, samples) if samples > 1 else (slices, height, width)
            kept.append(_in_order(czi).reshape(shape))
        return kept[0][index]

    packed = {int(entry.compression) for entry in czi.filtered_subblock_directory}
    lossy = "JPEG" if 1 in packed else "JPEG XR" if 4 in packed else ""
    return Container(height, width, slices, read, {"czi": czi.metadata()}, lossy)


def _in_order(czi: Any) -> np.ndarray:
    """The samples with axes Z, Y, X and samples at the end."""
    samples, axes = czi.asarray(max_workers=1), czi.axes
    order = [axes.index(axis) for axis in "ZYX0" if axis in axes]
    others = [index for index in range(samples.ndim) if index not in order]
    return np.transpose(samples, others + order)


def open_emd(path: Path, stack: contextlib.ExitStack) -> Container:
    """The image in an EMD, of Thermo Fisher's Velox or of Berkeley Lab.

    Raises:
        InputError: If the HDF5 file is no EMD, or holds several images, or frames of one place.
    """
    try:
        import h5py
    except ImportError as error:
        raise InputError(
            'an EMD needs the h5py library. Install it with: python -m pip install "cathode-tf[microscopes]".'
        ) from error
    file = stack.enter_context(h5py.File(path, "r"))
    images = file.get("Data/Image")
    if isinstance(images, h5py.Group):
        return _velox(images)
    groups: list[Any] = []
    file.visititems(lambda name, node: groups.append(node) if node.attrs.get("emd_group_type") == 1 else None)
    if not groups:
        raise InputError("must be an image. Received an HDF5 file that is no EMD. Export its image as TIFF.")
    return _berkeley(_only(groups))


def _only(found: list[Any]) -> Any:
    if len(found) != 1:
        raise InputError(
            f"must hold one image. Received an EMD of {len(found)}. Export each as a file of its own."
        )
    return found[0]


def _velox(images: Any) -> Container:
    image = _only(list(images.values()))
    data = image["Data"]
    frames = data.shape[2] if data.ndim == 3 else 1
    if data.ndim not in (2, 3) or frames != 1:
        raise InputError(
            f"must hold one image. Received an EMD of {frames} frames of one place. Sum them up in Velox."
        )
    text = (
        bytes(np.asarray(image["Metadata"])[:, 0].tobytes()).split(b"\0")[0] if "Metadata" in image else b"{}"
    )
    return Container(
        data.shape[0],
        data.shape[1],
        1,
        lambda _: np.asarray(data).reshape(data.shape[:2]),
        {"velox": json.loads(text)},
    )


_EMD_LENGTHS = {"[n_m]": 1.0, "nm": 1.0, "[u_m]": 1e3, "um": 1e3, "[m]": 1e9, "m": 1e9}


def _berkeley(group: Any) -> Container:
    data = group["data"]
    if data.ndim not in (2, 3):
        raise InputError(f"must hold an image or a stack. Received an EMD of shape {data.shape}.")
    names, edges = [], []
    for axis in range(data.ndim):
        places = group.get(f"dim{axis + 1}")
        attributes = dict(places.attrs) if places is not None else {}
        factor = _EMD_LENGTHS.get(_plain(attributes.get("units", "")))
        step = float(places[1] - places[0]) if places is not None and places.size > 1 else 0.0
        names.append(_plain(attributes.get("name", "")).lower())
        edges.append(abs(step) * factor if factor and step else None)
    # Some programs write columns first; the names of the axes say so.
    order = (
        [names.index(axis) for axis in "zyx"[3 - data.ndim :]]
        if set("zyx"[3 - data.ndim :]) == set(names)
        else None
    )
    order = order or list(range(data.ndim))
    shape, by_axis = [data.shape[axis] for axis in order], [edges[axis] for axis in order]

    def read(index: int) -> np.ndarray:
        if data.ndim == 2:
            return np.asarray(data).transpose(order)
        plane = np.asarray(np.take(data, index, axis=order[0]) if order[0] else data[index])
        return plane if order[1] < order[2] else plane.T

    count = shape[0] if data.ndim == 3 else 1
    return Container(
        shape[-2], shape[-1], count, read, {"emd": dict(zip("zyx"[3 - data.ndim :], by_axis, strict=True))}
    )


def _plain(text: Any) -> str:
    return text.decode() if isinstance(text, bytes) else str(text)
