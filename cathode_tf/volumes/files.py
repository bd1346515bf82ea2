"""Label volumes in (TIFF, numpy, OME-Zarr; any integer labels); slabs of class indices out."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.imaging.ome_zarr import Edges, voxel_edges
from cathode_tf.imaging.rasters import open_raster
from cathode_tf.imaging.volumes import sidecar_edges, tiff_edges
from cathode_tf.phases import Phases

UNDEFINED = 254
"""Stands for labels of no phase, until they are refused; 255 stands for ignored ones."""


class Volume:
    """A label volume that is read slab by slab.

    Args:
        data: Array-like (z, y, x) of labels: numpy array, memory map, zarr array.
        phases: Their `values` say which label stands for which phase.
        voxel_size_nm: Edge lengths along z, y, x in nm; None = unknown.
        source: For messages.

    Raises:
        InputError: If it is not three-dimensional with at least two layers, does not hold numbers, or the voxel
            size is not above 0.
    """

    def __init__(
        self,
        data: Any,
        phases: Phases,
        *,
        voxel_size_nm: tuple[float, float, float] | None = None,
        source: str = "volume",
    ) -> None:
        if len(data.shape) != 3 or min(data.shape) < 2:
            raise InputError(
                f"{source}: must be a volume (z, y, x) of at least 2 x 2 x 2 voxels. "
                f"Received shape {tuple(data.shape)}."
            )
        if np.dtype(data.dtype).kind not in "buif":
            raise InputError(f"{source}: must hold numbers, one label a voxel. Received {data.dtype}.")
        if voxel_size_nm is not None and not all(math.isfinite(e) and e > 0 for e in voxel_size_nm):
            raise InputError(f"{source}: the voxel size must be above 0 nm. Received {voxel_size_nm}.")
        self._data = data
        self.phases = phases
        self.voxel_size_nm = voxel_size_nm
        self.source = source
        self.shape: tuple[int, int, int] = tuple(int(side) for side in data.shape)  # type: ignore[assignment]
        self._reading = threading.Lock()  # of files that several threads would seek in
        self._values = {
            float(value): index
            for index, phase in enumerate(phases)
            for value in phase.values
            if not isinstance(value, str)
        } | {float(value): 255 for value in phases.ignore_values if not isinstance(value, str)}

    @property
    def unit(self) -> str:
        """Unit of lengths: `"um"`, or `"px"` (voxels) where the voxel size is unknown."""
        return "px" if self.voxel_size_nm is None else "um"

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel edge lengths along z, y, x, in `unit`."""
        if self.voxel_size_nm is None:
            return (1.0, 1.0, 1.0)
        z, y, x = self.voxel_size_nm
        return (z / 1000, y / 1000, x / 1000)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Class indices (layers, y, x) uint8 of the layers from `start` to `stop`; 255 is ignored.

        Raises:
            InputError: If a label stands for no phase.
        """
        with self._reading:
            slab = np.asarray(self._data[start:stop])
        place: np.ndarray
        if slab.dtype.itemsize == 1:
            # Every label there can be is looked up once, not every voxel's.
            labels, place = np.arange(256, dtype=np.uint8).view(slab.dtype), slab.view(np.uint8)
        else:
            labels, place = np.unique(slab, return_inverse=True)
            place = place.reshape(slab.shape)
        table = np.array([self._values.get(float(label), UNDEFINED) for label in labels.tolist()], np.uint8)
        indices = table[place]
        if UNDEFINED in table and (undefined := indices == UNDEFINED).any():
            raise InputError(
                f"{self.source}: must hold only the values of phases.toml "
                f"({', '.join(f'{v:g}' for v in self._values)}). "
                f"Received {slab[undefined].min()} in layers {start}-{stop}."
            )
        return indices


@contextlib.contextmanager
def open_volume(
    path: str | Path, phases: Phases, *, voxel_size_nm: tuple[float, float, float] | None = None
) -> Iterator[Volume]:
    """A label volume in a multi-page TIFF, a `.npy` file or an OME-Zarr folder, opened without being read.

    Args:
        path: The file or folder.
        phases: Their `values` say which label stands for which phase.
        voxel_size_nm: Edge lengths along z, y, x; default: what an OME-Zarr, the metadata of ImageJ or OME in
            a TIFF, or a `.json` of the same name says; None = unknown.

    Raises:
        InputError: If it cannot be read or is no volume.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: does not exist.")
    try:
        if path.is_dir():
            if not any((path / name).exists() for name in (".zgroup", ".zarray", "zarr.json")):
                raise InputError(
                    f"{path}: must be a TIFF stack, a .npy file or an OME-Zarr folder. Received another folder."
                )
            data, stored = _open_zarr(path)
        elif path.suffix.lower() == ".npy":
            data, stored = np.lib.format.open_memmap(path, mode="r"), _whole(sidecar_edges(path))
        elif path.suffix.lower() in (".tif", ".tiff"):
            data, stored = _open_tiff(path), _tiff_voxels(path)
        else:
            raise InputError(
                f"{path}: must be a TIFF stack, a .npy file or an OME-Zarr folder. Received {path.suffix or 'none'}."
            )
    except InputError:
        raise
    except Exception as error:  # libraries raise anything on damaged files
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{path}: cannot be read as a volume ({reason}).") from error
    yield Volume(data, phases, voxel_size_nm=voxel_size_nm or stored, source=str(path))


def _open_tiff(path: Path) -> Any:
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            if file.series[0].dataoffset is not None:
                return tifffile.memmap(path, mode="r")
            return file.asarray()
    except tifffile.TiffFileError as error:
        raise InputError(f"{path}: cannot be read as TIFF ({error}).") from error


def _tiff_voxels(path: Path) -> tuple[float, float, float] | None:
    with open_raster(path, max_megapixels=math.inf) as raster:
        return _whole(tiff_edges(raster)[0])


def _whole(edges: Edges | None) -> tuple[float, float, float] | None:
    """The edges, where all three are known."""
    z, y, x = edges or (None, None, None)
    return None if z is None or y is None or x is None else (z, y, x)


def _open_zarr(path: Path) -> tuple[Any, tuple[float, float, float] | None]:
    """The finest level of an OME-Zarr image, or a bare zarr array, and its voxel size in nm."""
    import zarr

    node: Any = zarr.open(str(path), mode="r")
    if isinstance(node, zarr.Array):
        return _LastThree(node, path), None
    attributes: dict[str, Any] = dict(node.attrs)
    scales = (attributes.get("ome") or attributes).get("multiscales")
    if not scales:
        raise InputError(f"{path}: must be an OME-Zarr image (multiscales). Received a zarr group without.")
    level = scales[0]["datasets"][0]
    return _LastThree(node[level["path"]], path), _whole(voxel_edges(attributes))


class _LastThree:
    """The last three axes of an array whose other axes (time, channel) have one entry each."""

    def __init__(self, array: Any, path: Path) -> None:
        if any(side != 1 for side in array.shape[:-3]):
            raise InputError(
                f"{path}: must have one channel and one time. Received shape {tuple(array.shape)}."
            )
        self._array = array
        self.dtype = array.dtype
        self.shape = tuple(array.shape[-3:])
        self._leading = (0,) * (len(array.shape) - 3)

    def __getitem__(self, layers: slice) -> np.ndarray:
        return np.asarray(self._array[(*self._leading, layers)])
