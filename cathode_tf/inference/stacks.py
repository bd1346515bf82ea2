"""A multi-page TIFF, a folder of slices or an OME-Zarr folder in, a volume that is read slice by slice out."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.imaging import Micrograph, find_images, iter_micrographs, read_micrograph
from cathode_tf.imaging.micrographs import BY_HAND
from cathode_tf.imaging.ome_zarr import voxel_edges
from cathode_tf.imaging.rasters import open_raster
from cathode_tf.imaging.vendors import read_metadata

Edges = tuple[float | None, float | None, float | None]
"""Edges of a voxel along z, y, x, in nm; None = unknown."""


class Volume(Protocol):
    """Slices of one size, read in order; where the edges along y and x were read, "" if nowhere."""

    shape: tuple[int, int, int]
    voxel_nm: Edges
    pixel_size_source: str

    def slices(self) -> Iterator[np.ndarray]: ...


def pixel_size(volume: Volume) -> float | None:
    """Edge of a slice's pixels in nm, where it is known and they are square to 1 %."""
    _, y, x = volume.voxel_nm
    return x if x and y and abs(y / x - 1) <= 0.01 else None


def with_pixel_size(volume: Volume, pixel_size_nm: float) -> Volume:
    """The volume with other edges along y and x than its files say; its slices lie as far apart as before."""
    changed = copy.copy(volume)
    changed.voxel_nm = (volume.voxel_nm[0], pixel_size_nm, pixel_size_nm)
    changed.pixel_size_source = BY_HAND
    return changed


class TiffVolume:
    """The pages of a TIFF, read one by one as micrographs are."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        with open_raster(self.path, max_megapixels=math.inf) as raster:
            self.shape: tuple[int, int, int] = (raster.count, raster.height, raster.width)
            metadata = read_metadata(raster)
            size, self.pixel_size_source = metadata.pixel_size_nm, metadata.source
            self.voxel_nm: Edges = (metadata.acquisition.get("slice_thickness_nm"), size, size)
        if raster.count == 1:
            raise InputError(f"{path}: must be a stack (slices, height, width). Received one page.")

    def slices(self) -> Iterator[np.ndarray]:
        for micrograph in iter_micrographs(self.path, max_megapixels=math.inf, databar=0):
            yield micrograph.pixels


class FolderVolume:
    """Image files of one size, in the order given."""

    def __init__(self, paths: Sequence[Path]):
        if not paths:
            raise InputError("volume: must have at least one slice. Received none.")
        self.paths = list(paths)
        first = _single(self.paths[0])
        self.shape: tuple[int, int, int] = (len(self.paths), *first.pixels.shape)
        self.voxel_nm: Edges = (None, first.pixel_size_nm, first.pixel_size_nm)
        self.pixel_size_source = first.pixel_size_source

    def slices(self) -> Iterator[np.ndarray]:
        for path in self.paths:
            pixels = _single(path).pixels
            if pixels.shape != self.shape[1:]:
                raise InputError(
                    f"{path}: the slices of a volume must be of one size, {self.shape[1:]}. "
                    f"Received {pixels.shape}."
                )
            yield pixels


class ZarrVolume:
    """The finest level of an OME-Zarr image, or a Zarr array (slices, height, width)."""

    def __init__(self, path: str | Path):
        zarr = import_zarr()
        self.path = Path(path)
        try:
            node = zarr.open(str(path), mode="r")
            array = node if hasattr(node, "shape") else node["0"]
        except Exception as error:
            raise InputError(f"{path}: cannot be read as OME-Zarr ({error}).") from error
        if array.ndim < 3 or any(length != 1 for length in array.shape[:-3]):
            raise InputError(f"{path}: must be one channel (slices, height, width). Received {array.shape}.")
        self._array, self._lead = array, (0,) * (array.ndim - 3)
        self.shape: tuple[int, int, int] = array.shape[-3:]
        self.voxel_nm: Edges = voxel_edges(dict(node.attrs))
        self.pixel_size_source = "OME-Zarr multiscales" if any(self.voxel_nm[1:]) else ""

    def slices(self) -> Iterator[np.ndarray]:
        for index in range(self.shape[0]):
            yield np.asarray(self._array[(*self._lead, index)])


def open_volume(path: str | Path) -> Volume:
    """The volume in a multi-page TIFF, a folder of slices or an OME-Zarr folder."""
    path = Path(path)
    if path.is_dir() and any((path / name).exists() for name in (".zgroup", ".zarray", "zarr.json")):
        return ZarrVolume(path)
    if path.is_dir():
        return FolderVolume(find_images(path))
    return TiffVolume(path)


def _single(path: Path) -> Micrograph:
    micrograph = read_micrograph(path)
    if not isinstance(micrograph, Micrograph):
        raise InputError(f"{path}: must be one slice. Received a stack of {len(micrograph)}.")
    return micrograph


def import_zarr() -> Any:
    try:
        import zarr
    except ImportError as error:
        raise InputError(
            'zarr: is needed for OME-Zarr. Install it with: python -m pip install "cathode-tf[volumes]".'
        ) from error
    return zarr
