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
from cathode_tf.imaging.masks import to_mask
from cathode_tf.imaging.ome_zarr import Edges, voxel_edges
from cathode_tf.imaging.rasters import RasterFile, open_raster
from cathode_tf.imaging.volumes import sidecar_edges, tiff_edges
from cathode_tf.phases import IGNORE, Phases

VoxelSize = tuple[float, float, float]
"""Edges of a voxel along z, y, x, in nm."""

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
    with contextlib.ExitStack() as held:
        data, stored = _opened(path, phases, held)
        yield Volume(data, phases, voxel_size_nm=voxel_size_nm or stored, source=str(path))


def _opened(path: Path, phases: Phases, held: contextlib.ExitStack) -> tuple[Any, VoxelSize | None]:
    """The array in a file or folder, and the edges of its voxels where it states them."""
    try:
        if path.is_dir():
            if not any((path / name).exists() for name in (".zgroup", ".zarray", "zarr.json")):
                raise InputError(
                    f"{path}: must be a TIFF stack, a .npy file or an OME-Zarr folder. Received another folder."
                )
            return _open_zarr(path)
        if path.suffix.lower() == ".npy":
            return np.lib.format.open_memmap(path, mode="r"), _whole(sidecar_edges(path))
        if path.suffix.lower() in (".tif", ".tiff"):
            return _open_tiff(path, phases, held)
        raise InputError(
            f"{path}: must be a TIFF stack, a .npy file or an OME-Zarr folder. Received {path.suffix or 'none'}."
        )
    except InputError:
        raise
    except Exception as error:  # libraries raise anything on damaged files
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{path}: cannot be read as a volume ({reason}).") from error


def _open_tiff(path: Path, phases: Phases, held: contextlib.ExitStack) -> tuple[Any, VoxelSize | None]:
    """The slices of a TIFF as labels, and its voxel size where ImageJ, OME or an instrument states it."""
    raster = held.enter_context(open_raster(path, max_megapixels=math.inf))
    if raster.lossy:
        raise InputError(
            f"{path}: must hold labels without loss. {raster.lossy} compression invents values at every boundary."
        )
    size = _whole(tiff_edges(raster)[0])
    if raster.count == 1:
        return raster.read(0).shown, size
    return _mapped(raster) if _is_plain(raster) else _Slices(raster, phases), size


def _is_plain(raster: RasterFile) -> bool:
    """Whether the slices lie in the file one after another as the labels that they are."""
    first, series = raster.read(0), raster.tiff.series[0] if raster.tiff is not None else None
    shape = (raster.count, raster.height, raster.width)
    as_stored = (
        first.flip is None and first.colormap is None and not first.bilevel and raster.orientation == 1
    )
    return as_stored and series is not None and series.dataoffset is not None and series.shape == shape


def _mapped(raster: RasterFile) -> Any:
    series = raster.tiff.series[0]
    dtype = series.dtype.newbyteorder(raster.tiff.byteorder)
    return np.memmap(raster.path, dtype, "r", series.dataoffset, series.shape)


class _Slices:
    """The slices of a TIFF that must be decoded one by one: compressed, packed in bits, turned, or in a palette."""

    def __init__(self, raster: RasterFile, phases: Phases) -> None:
        self._raster, self._phases = raster, phases
        self.shape = (raster.count, raster.height, raster.width)
        self.dtype = self._slice(0).dtype

    def __getitem__(self, layers: slice) -> np.ndarray:
        return np.stack([self._slice(index) for index in range(*layers.indices(self.shape[0]))])

    def _slice(self, index: int) -> np.ndarray:
        page = self._raster.read(index)
        if page.colormap is None:
            return page.shown
        # What a palette shows decides what it means; each phase is then written as its first value.
        ids = to_mask(page, self._phases, self._raster.path)
        values = {p.id: next((v for v in p.values if not isinstance(v, str)), p.id) for p in self._phases}
        values[IGNORE] = next((v for v in self._phases.ignore_values if not isinstance(v, str)), IGNORE)
        return np.array([values.get(id_, IGNORE) for id_ in range(256)], np.float32)[ids]


def _whole(edges: Edges | None) -> VoxelSize | None:
    """The edges, where all three are known."""
    z, y, x = edges or (None, None, None)
    return None if z is None or y is None or x is None else (z, y, x)


def _open_zarr(path: Path) -> tuple[Any, VoxelSize | None]:
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
