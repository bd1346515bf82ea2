"""Slices in, one by one; a volume with the edges of its voxels (OME-Zarr, or TIFF for ImageJ and OME) out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from cathode_tf.files import atomic_file, atomic_folder
from cathode_tf.imaging.ome_zarr import Edges
from cathode_tf.phases import Phases

CHUNK_PX = 1024
SMALLEST_LEVEL_PX = 512
CLASSIC_TIFF_BYTES = 3_900_000_000
"""What is larger cannot be a classic TIFF, which is all that ImageJ's own stacks are."""

OURS = re.compile(r"\.zgroup|\.zattrs|\d/\.zarray|\d/\.zattrs|\d/\d+[./]\d+[./]\d+|reconstruction\.json")
"""Paths of the files in an OME-Zarr of ours."""


class OmeZarr:
    """An OME-Zarr image that is written slice by slice, in any order; each slice is a file of its own, or several.

    Args:
        folder: A new folder, or one that was begun with the same shape.
        shape: Slices, height, width.
        dtype: uint8 or uint16.
        phases: For labels: their names and colours, which viewers show.
    """

    def __init__(
        self,
        folder: str | Path,
        shape: tuple[int, int, int],
        dtype: Any,
        *,
        phases: Phases | None = None,
    ) -> None:
        import zarr

        self.folder, self.shape, self._phases = Path(folder), shape, phases
        self._group: Any = zarr.open_group(str(folder), mode="a", zarr_format=2)
        self._arrays: list[Any] = []
        height, width = shape[1:]
        while True:
            name = str(len(self._arrays))
            chunks = (1, min(height, CHUNK_PX), min(width, CHUNK_PX))
            self._arrays.append(
                self._group[name]
                if name in self._group
                else self._group.create_array(
                    name,
                    shape=(shape[0], height, width),
                    chunks=chunks,
                    dtype=np.dtype(dtype).name,
                    chunk_key_encoding={"name": "v2", "separator": "/"},  # as OME-NGFF has it
                )
            )
            if max(height, width) < 2 * SMALLEST_LEVEL_PX:
                break
            height, width = height // 2, width // 2

    def write(self, index: int, pixels: np.ndarray) -> None:
        """One slice, and its thinned copies; the full one last, so that what is there is whole."""
        levels = [pixels]
        for array in self._arrays[1:]:
            levels.append(_halved(levels[-1], array.shape[1:], labels=self._phases is not None))
        for array, level in zip(reversed(self._arrays), reversed(levels), strict=True):
            array[index] = level

    def read(self, index: int) -> np.ndarray:
        """A slice that was written."""
        return np.asarray(self._arrays[0][index])

    def finish(self, voxel_nm: Edges, name: str) -> None:
        """Write what viewers need: axes, the edges of the voxels, colours."""
        axes = [
            {"name": axis, "type": "space"} | ({"unit": "nanometer"} if edge else {})
            for axis, edge in zip("zyx", voxel_nm, strict=True)
        ]
        datasets: list[Any] = []
        for level, array in enumerate(self._arrays):
            by = [1.0, *(full / side for full, side in zip(self.shape[1:], array.shape[1:], strict=True))]
            scale = [(edge or 1.0) * factor for edge, factor in zip(voxel_nm, by, strict=True)]
            datasets.append(
                {"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": scale}]}
            )
        scales: dict[str, Any] = {"version": "0.4", "name": name, "axes": axes, "datasets": datasets}
        if self._phases is not None:
            scales["type"] = "labels"
            colors: Any = [
                {"label-value": int(phase.id), "rgba": [*_rgb(phase.color), 255]}
                for phase in self._phases.entries
            ]
            names: Any = [
                {"label-value": int(phase.id), "phase": phase.name} for phase in self._phases.entries
            ]
            self._group.attrs["image-label"] = {"version": "0.4", "colors": colors, "properties": names}
        self._group.attrs["multiscales"] = [scales]


def write_ome_zarr(
    out: str | Path,
    slices: Iterable[np.ndarray],
    shape: tuple[int, int, int],
    dtype: Any,
    voxel_nm: Edges,
    *,
    phases: Phases | None = None,
    force: bool = False,
) -> Path:
    """A whole OME-Zarr folder, which appears when it is complete."""
    out = Path(out)
    with atomic_folder(out, force=force, manifest=False) as folder:
        target = OmeZarr(folder, shape, dtype, phases=phases)
        for index, pixels in enumerate(slices):
            target.write(index, pixels)
        target.finish(voxel_nm, out.stem)
    return out


def write_tiff_volume(
    out: str | Path,
    slices: Iterable[np.ndarray],
    shape: tuple[int, int, int],
    dtype: Any,
    voxel_nm: Edges,
    *,
    source: str = "",
    phases: Phases | None = None,
    force: bool = False,
) -> Path:
    """A multi-page TIFF with the edges of the voxels: as ImageJ reads it, or, if too large, BigTIFF with OME's.

    Args:
        out: The file.
        slices: (height, width) each, in order.
        shape: Slices, height, width.
        dtype: Of the slices.
        voxel_nm: Edges along z, y, x; where x is unknown, none is written.
        source: Where the edges are from; stands in the description.
        phases: For labels: the colours they are shown in.
        force: Replace a file.
    """
    out = Path(out)
    options: dict[str, Any] = {"compression": "zlib", "photometric": "minisblack"}
    if phases is not None:
        options |= {"photometric": "palette", "colormap": phases.palette().T.astype(np.uint16) * 257}
    large = int(np.prod(shape)) * np.dtype(dtype).itemsize > CLASSIC_TIFF_BYTES
    with atomic_file(out, force=force) as temporary, tifffile.TiffWriter(temporary, bigtiff=large) as writer:
        _, y, x = voxel_nm
        if x:
            # ImageJ reads the resolution in pixels per unit of its description, whatever the tag's own unit.
            per = 1e7 if large else 1.0
            options["resolution"] = (per / x, per / (y or x))
            options["resolutionunit"] = "CENTIMETER" if large else "NONE"
        described = (
            _ome_xml(out.name, shape, dtype, voxel_nm) if large else _imagej(shape[0], voxel_nm, source)
        )
        for index, pixels in enumerate(slices):
            text = described if index == 0 else None
            writer.write(
                np.asarray(pixels, dtype), description=text, metadata=None, contiguous=False, **options
            )
    return out


def _imagej(count: int, voxel_nm: Edges, source: str) -> str:
    """What ImageJ reads: its lines, of which it takes those it knows."""
    z, _, x = voxel_nm
    lines = ["ImageJ=1.54f", f"images={count}", f"slices={count}", "loop=false"]
    if x:
        lines += ["unit=nm", f"pixel_size_nm={x:.9g}", f"pixel_size_source={source}"]
    if z:
        lines += ["unit=nm"] if not x else []
        lines += [f"spacing={z:.9g}"]
    return "\n".join(lines) + "\n"


def _ome_xml(name: str, shape: tuple[int, int, int], dtype: Any, voxel_nm: Edges) -> str:
    sizes = " ".join(
        f'PhysicalSize{axis}="{edge:.9g}" PhysicalSize{axis}Unit="nm"'
        for axis, edge in zip("ZYX", voxel_nm, strict=True)
        if edge
    )
    z, y, x = shape
    return (
        '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        f'<Image ID="Image:0" Name="volume"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="{np.dtype(dtype).name}" '
        f'SizeX="{x}" SizeY="{y}" SizeZ="{z}" SizeC="1" SizeT="1" {sizes}>'
        '<Channel ID="Channel:0" SamplesPerPixel="1"/>'
        f'<TiffData IFD="0" PlaneCount="{z}"/></Pixels></Image></OME>'
    )


def _halved(pixels: np.ndarray, shape: tuple[int, int], labels: bool) -> np.ndarray:
    height, width = shape
    part = pixels[: 2 * height, : 2 * width]
    if labels:
        return part[::2, ::2]
    sums = part.reshape(height, 2, width, 2).sum((1, 3), dtype=np.uint32)
    return ((sums + 2) // 4).astype(pixels.dtype)


def _rgb(color: str) -> list[int]:
    return [int(color[place : place + 2], 16) for place in (1, 3, 5)]


def read_back(target: OmeZarr) -> Iterator[np.ndarray]:
    """All slices of an OME-Zarr, in order."""
    for index in range(target.shape[0]):
        yield target.read(index)
