"""A multi-page TIFF, a folder of slices or an OME-Zarr folder in, a volume that is read slice by slice out."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.files import read_json
from cathode_tf.imaging.folders import find_images
from cathode_tf.imaging.lengths import nm_per, number_of
from cathode_tf.imaging.metadata import (
    parse_xml,
)
from cathode_tf.imaging.micrographs import BY_HAND, Micrograph, iter_micrographs, read_micrograph
from cathode_tf.imaging.ome_zarr import Edges, voxel_edges
from cathode_tf.imaging.rasters import RasterFile, open_raster
from cathode_tf.imaging.vendors import read_metadata


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
            self.voxel_nm, self.pixel_size_source = tiff_edges(raster)
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
        import zarr

        self.path = Path(path)
        try:
            node: Any = zarr.open(str(path), mode="r")
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


def tiff_edges(raster: RasterFile) -> tuple[Edges, str]:
    """Edges of the voxels of a stack, and where those along y and x were read: ImageJ, OME, a `.json` beside, a vendor.

    What `cathode-tf` wrote beside the file counts first; then the file's own statement of three edges.
    """
    beside = sidecar_edges(raster.path)
    if beside is not None:
        return beside, f"{raster.path.with_suffix('.json').name}"
    for reader, source in ((_imagej_edges, "ImageJ"), (_ome_edges, "OME")):
        try:
            found = reader(raster)
        except (ValueError, TypeError, KeyError, ZeroDivisionError):  # a damaged description says nothing
            found = None
        if found is not None and found[0] is not None and found[2] is not None:
            return found, f"{source} voxel size"
    metadata = read_metadata(raster)
    distance = metadata.acquisition.get("slice_thickness_nm")
    return (distance, metadata.pixel_size_nm, metadata.pixel_size_nm), metadata.source


def sidecar_edges(path: Path) -> Edges | None:
    """`voxel_nm` in a `.json` of the same name, as `reconstruct` and `segment` write it; None where there is none."""
    beside = path.with_suffix(".json")
    if path.suffix == ".json" or not beside.is_file():
        return None
    try:
        edges = read_json(beside)["voxel_nm"]
    except (InputError, KeyError, TypeError):
        return None
    if not isinstance(edges, list) or len(edges) != 3:
        return None
    z, y, x = (None if edge is None else float(edge) for edge in edges)
    return (z, y, x)


def trust_beside(path: str | Path) -> dict[str, Any] | None:
    """How far a volume can be trusted, as `reconstruct` measured it; None where nothing says so.

    It stands in the reconstruction's record, and `segment` hands it on to the `.json` beside the label volume.
    """
    path = Path(path)
    for beside in (path / "reconstruction.json", path.with_suffix(".json")):
        if beside != path and beside.is_file():
            try:
                found = read_json(beside)["trust"]
            except (InputError, KeyError, TypeError):
                continue
            if isinstance(found, dict):
                return found
    return None


def _imagej_edges(raster: RasterFile) -> Edges | None:
    """What ImageJ calls spacing, and the edges of a pixel, in nm."""
    if raster.tiff is None or not raster.tiff.is_imagej:
        return None
    details = raster.tiff.imagej_metadata or {}
    unit = nm_per(str(details.get("unit", "")))
    if unit is None:
        return None
    tags = raster.tiff.pages[0].tags
    sides = []
    for code in (283, 282):
        up, down = tags[code].value if code in tags else (0, 0)
        sides.append(down / up * unit if up and down else None)
    spacing = details.get("spacing")
    return (float(spacing) * unit if spacing else None, sides[0], sides[1])


def _ome_edges(raster: RasterFile) -> Edges | None:
    if raster.tiff is None or not raster.tiff.is_ome:
        return None
    root = parse_xml(raster.tiff.ome_metadata)
    pixels = next((element for element in root.iter() if element.tag.endswith("}Pixels")), None)
    if pixels is None:
        return None
    edges = []
    for axis in "ZYX":
        value = number_of(pixels.get(f"PhysicalSize{axis}", ""))
        factor = nm_per(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        edges.append(value * factor if value and factor else None)
    return (edges[0], edges[1], edges[2])


def _single(path: Path) -> Micrograph:
    micrograph = read_micrograph(path)
    if not isinstance(micrograph, Micrograph):
        raise InputError(f"{path}: must be one slice. Received a stack of {len(micrograph)}.")
    return micrograph
