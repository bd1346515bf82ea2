"""Images in container formats in (Zeiss CZI, EMD of Velox and of Berkeley Lab), planes and metadata as text out."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.imaging.lengths import nm_per

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
    if len(packed - _CZI_KNOWN):
        raise InputError(
            f"is packed in a way that is not known ({max(packed - _CZI_KNOWN)}). Export it as TIFF."
        )
    gaps = _uncovered(czi)
    if gaps:
        warnings.warn(
            f"{path}: {gaps} pixels belong to none of its tiles, and are read as 0. Cut them away.",
            InputWarning,
            stacklevel=4,
        )
    lossy = "JPEG" if 1 in packed else "JPEG XR" if 4 in packed else ""
    return Container(height, width, slices, read, {"czi": czi.metadata()}, lossy)


_ZSTD, _ZSTD_HEADED = 5, 6
_CZI_KNOWN = {0, 1, 2, 4, _ZSTD, _ZSTD_HEADED}


def _uncovered(czi: Any) -> int:
    """How many pixels of a plane no tile covers."""
    axes = czi.axes
    rows, columns = axes.index("Y"), axes.index("X")
    covered = np.zeros((czi.shape[rows], czi.shape[columns]), bool)
    for entry in czi.filtered_subblock_directory:
        top, left = entry.start[rows] - czi.start[rows], entry.start[columns] - czi.start[columns]
        covered[top : top + entry.shape[rows], left : left + entry.shape[columns]] = True
    return int(covered.size - np.count_nonzero(covered))


def _pixels(czi: Any) -> np.ndarray:
    """All tiles in their places; those packed by Zstandard, which czifile does not know, are unpacked here."""
    out = np.zeros(czi.shape, czi.dtype)  # what no tile covers would be any bytes otherwise
    if not {int(e.compression) for e in czi.filtered_subblock_directory} & {_ZSTD, _ZSTD_HEADED}:
        return czi.asarray(max_workers=1, out=out)
    for entry in czi.filtered_subblock_directory:
        segment = entry.data_segment()
        kind = int(entry.compression)
        if kind in (_ZSTD, _ZSTD_HEADED):
            content = _unzstd(bytes(segment.data(raw=True)), headed=kind == _ZSTD_HEADED)
            tile = np.frombuffer(content, entry.dtype).reshape(entry.stored_shape)
            if entry.stored_shape[-1] == 3:
                tile = tile[..., ::-1]  # blue comes first
        else:
            tile = segment.data()
        place = tuple(
            slice(at - begin, at - begin + size)
            for at, begin, size in zip(entry.start, czi.start, entry.shape, strict=True)
        )
        out[place] = tile
    return out


def _unzstd(content: bytes, headed: bool) -> bytes:
    """A tile's bytes; a header may say that the low bytes of all samples come first, and then the high ones."""
    from imagecodecs import zstd_decode

    if not headed:
        return bytes(zstd_decode(content))
    length = content[0]
    apart = length > 1 and content[1] == 1 and bool(content[2] & 1)
    plain = bytes(zstd_decode(content[length:]))
    return np.frombuffer(plain, np.uint8).reshape(2, -1).T.tobytes() if apart else plain


def _in_order(czi: Any) -> np.ndarray:
    """The samples with axes Z, Y, X and samples at the end."""
    samples, axes = _pixels(czi), czi.axes
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
    return _berkeley(path, _only(groups))


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
        _hdf5_loss(data),
    )


_LOSSY_FILTERS = {32013: "ZFP", 32017: "SZ", 32019: "JPEG", 32024: "SZ3"}


def _hdf5_loss(data: Any) -> str:
    """Name of the filter of an HDF5 data set that pixels were lost in; "" where there is none."""
    if data.scaleoffset is not None and data.dtype.kind == "f":
        return "HDF5 scale-offset"
    pipeline = data.id.get_create_plist()
    codes = [pipeline.get_filter(index)[0] for index in range(pipeline.get_nfilters())]
    return next((_LOSSY_FILTERS[code] for code in codes if code in _LOSSY_FILTERS), "")


def _berkeley(path: Path, group: Any) -> Container:
    data = group["data"]
    if data.ndim not in (2, 3):
        raise InputError(f"must hold an image or a stack. Received an EMD of shape {data.shape}.")
    names, edges = [], []
    for axis in range(data.ndim):
        places = group.get(f"dim{axis + 1}")
        names.append(_plain(places.attrs.get("name", "")).lower() if places is not None else "")
        edges.append(_step_nm(path, places, data.shape[axis]) if places is not None else None)
    other = next((name for name in names if name and name not in _PLACES), None)
    if data.ndim == 3 and other and set("xy") <= set(names):
        raise InputError(
            f"must hold one image or a stack. Received an EMD with an axis {other!r}, which is no place. Export each "
            "image as a file of its own."
        )
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
    texts = {"emd": dict(zip("zyx"[3 - data.ndim :], by_axis, strict=True))}
    return Container(shape[-2], shape[-1], count, read, texts, _hdf5_loss(data))


_PLACES = ("x", "y", "z", "slice", "depth", "height", "width", "row", "column")


def _step_nm(path: Path, places: Any, length: int) -> float | None:
    """The distance of neighbours along an axis; None where its unit is none of length, or it is no even one."""
    values = np.asarray(places, np.float64).ravel()
    unit = _plain(places.attrs.get("units", "")).strip("[]").replace("_", "")
    factor = nm_per(unit)
    # Two places are enough to state a step; more must be as many as there are pixels, and evenly apart.
    if values.size < 2 or not factor:
        return None
    steps = np.diff(values)
    if (values.size not in (2, length)) or not np.allclose(steps, steps[0], rtol=1e-3, atol=0.0):
        warnings.warn(
            f"{path}: an axis must have a place for each of its {length} pixels, evenly apart. Received {values.size} "
            f"places, {steps.min():g} to {steps.max():g} {unit} apart, so no pixel size is used. Give --pixel-size-nm.",
            InputWarning,
            stacklevel=4,
        )
        return None
    return abs(float(steps[0])) * factor or None


def _plain(text: Any) -> str:
    return text.decode() if isinstance(text, bytes) else str(text)
