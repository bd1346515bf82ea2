"""A stack of slices in, a label volume out, with its drift, its flicker and its uncertainty.

Slices are read and written one at a time. Only averaging over three axes needs the volume in random order;
it works on temporary files beside the output, so that volumes may be larger than memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import tifffile

from cathode_tf.files import atomic_file, atomic_folder, refuse_overwrite, temporary_folder, write_json
from cathode_tf.imaging import Micrograph
from cathode_tf.imaging.micrographs import check_pixel_size
from cathode_tf.inference.large import resolution
from cathode_tf.inference.stacks import Edges, Volume, import_zarr, pixel_size, with_pixel_size
from cathode_tf.ownership import refuse_foreign, unlike_entry
from cathode_tf.phases import IGNORE, Phases
from cathode_tf.progress import track

if TYPE_CHECKING:
    from cathode_tf.inference.segmenter import Segmenter

DRIFT_PX = 512
"""Slices are thinned to this side to estimate drift."""

_PARTS = 20_000
"""Probabilities are added up as whole numbers of this, so that three of them fit 16 bits."""


@dataclass(frozen=True)
class VolumeSegmentation:
    """What a segmenter says about a volume.

    Attributes:
        path: The label volume.
        shape: Slices, height, width.
        voxel_nm: Edges of a voxel along z, y, x, in nm; None where the files do not say.
        pixel_size_source: Where the edges along y and x were read, or `"given by hand"`; "" = unknown.
        phase_fractions: Share of the volume (0-1) by phase name.
        score: Mean entropy, 0-1.
        drift_px: By slice, how far (rows, columns) it lies from the first.
        drift_removed: Whether the labels were shifted back; what then has no slice behind it is 255.
        flicker: By slice, the share of its pixels that differ from both neighbours, which agree.
        flicker_smoothed: Whether these pixels were given the label of the neighbours.
    """

    path: Path
    shape: tuple[int, int, int]
    voxel_nm: Edges
    pixel_size_source: str
    phase_fractions: dict[str, float]
    score: float
    drift_px: list[tuple[float, float]]
    drift_removed: bool
    flicker: list[float]
    flicker_smoothed: bool


def segment_volume(
    segmenter: Segmenter,
    volume: Volume,
    out: str | Path,
    *,
    three_axes: bool = False,
    remove_drift: bool = False,
    smooth: bool = False,
    pixel_size_nm: float | None = None,
    force: bool = False,
) -> VolumeSegmentation:
    """Write the label volume of a stack of slices.

    Slices of known pixel size are resampled to the model's, if that is known too, and the labels brought back.

    Args:
        segmenter: The segmenter; it sees one slice at a time.
        volume: The slices.
        out: `.tif` or `.zarr`; a `.json` of the same name takes drift, flicker and fractions.
        three_axes: Average the probabilities over slices along all three axes, for near-isotropic voxels.
        remove_drift: Shift the slices back by whole pixels.
        smooth: Remove flicker of single slices.
        pixel_size_nm: Edge of a slice's pixels; overrides what the files say.
        force: Replace files that exist.
    """
    out = Path(out)
    if force and out.suffix == ".zarr":
        refuse_foreign(out, unlike_entry(out, _ZARR))
    else:
        refuse_overwrite(out, force)
    refuse_overwrite(out.with_suffix(".json"), force)
    check_pixel_size(pixel_size_nm)
    if pixel_size_nm is not None:
        volume = with_pixel_size(volume, pixel_size_nm)
    drift = estimate_drift(volume)
    shifts = np.rint(drift).astype(int) if remove_drift else np.zeros((len(drift), 2), int)
    counts = np.zeros(256, np.int64)
    flicker: list[float] = []
    doubt: list[float] = []
    if three_axes:
        masks = _three_axes(segmenter, volume, shifts, out.parent, doubt)
    else:
        masks = _slice_by_slice(segmenter, volume, shifts, doubt)

    def counted() -> Iterator[np.ndarray]:
        for mask, share in _without_flicker(masks, smooth):
            flicker.append(share)
            counts[:] += np.bincount(mask.ravel(), minlength=256)
            yield mask

    _write(
        out,
        track(counted(), "Segmenting slices", total=volume.shape[0]),
        volume,
        segmenter.phases,
        force,
    )
    labelled = max(int(counts[:IGNORE].sum()), 1)
    result = VolumeSegmentation(
        out,
        volume.shape,
        volume.voxel_nm,
        volume.pixel_size_source,
        {phase.name: float(counts[phase.id] / labelled) for phase in segmenter.phases.entries},
        float(np.mean(doubt)),
        [(round(float(y), 2), round(float(x), 2)) for y, x in drift],
        remove_drift,
        flicker,
        smooth,
    )
    write_json(out.with_suffix(".json"), asdict(result) | {"path": out.name}, force=force)
    return result


def estimate_drift(volume: Volume) -> np.ndarray:
    """How far each slice lies from the first, float64 (slices, 2) in rows and columns.

    Neighbouring slices are registered by phase correlation [1] and the steps added up; where two do not look alike
    even so, no step is counted.

    Reference:
        [1] Guizar-Sicairos, Thurman, Fienup, Opt. Lett. 33 (2008) 156.
    """
    from skimage.registration import phase_cross_correlation

    step = -(-max(volume.shape[1:]) // DRIFT_PX)
    position, before, found = np.zeros(2), None, []
    for pixels in volume.slices():
        small = cv2.resize(pixels, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA).astype(
            np.float32
        )
        small -= small.mean()
        if before is not None and small.any() and before.any():
            shift, _, _ = phase_cross_correlation(before, small, upsample_factor=10)
            if _alike(before, small, shift):
                position = position - np.asarray(shift) * step
        before = small
        found.append(position.copy())
    return np.array(found)


def _alike(before: np.ndarray, after: np.ndarray, shift: np.ndarray) -> bool:
    """Whether two slices correlate by a quarter at least, where they overlap when the later is shifted."""
    back = np.rint(shift).astype(int)
    moved = shifted(after, back, 0)
    inside = shifted(np.ones(after.shape, bool), back, False)
    if inside.sum() < 2 or not (moved[inside].std() and before[inside].std()):
        return False
    return bool(np.corrcoef(moved[inside], before[inside])[0, 1] >= 0.25)


def _slice_by_slice(
    segmenter: Segmenter, volume: Volume, shifts: np.ndarray, doubt: list[float]
) -> Iterator[np.ndarray]:
    size = pixel_size(volume)
    for pixels, shift in zip(volume.slices(), shifts, strict=True):
        segmentation = segmenter.segment(Micrograph(pixels, pixel_size_nm=size))
        doubt.append(segmentation.score)
        yield shifted(segmentation.mask, -shift, IGNORE)


def shifted(image: np.ndarray, shift: np.ndarray, fill: int) -> np.ndarray:
    """`image` moved by whole rows and columns; `fill` where nothing was.

    Example:
        >>> shifted(np.array([[1, 2], [3, 4]]), np.array([0, 1]), 0)
        array([[0, 1],
               [0, 3]])
    """
    out = np.full_like(image, fill)
    source, target = [], []
    for length, by in zip(image.shape, shift, strict=True):
        by = int(np.clip(by, -length, length))
        source.append(slice(max(-by, 0), length - max(by, 0)))
        target.append(slice(max(by, 0), length - max(-by, 0)))
    out[tuple(target)] = image[tuple(source)]
    return out


def _three_axes(
    segmenter: Segmenter, volume: Volume, shifts: np.ndarray, folder: Path, doubt: list[float]
) -> Iterator[np.ndarray]:
    """Masks of the mean probabilities over slices across each axis."""
    depth, height, width = volume.shape
    n, size = len(segmenter.phases), pixel_size(volume)
    with temporary_folder(folder) as temporary:
        pixels = np.memmap(f"{temporary}/pixels", np.uint16, "w+", shape=volume.shape)
        total = np.memmap(f"{temporary}/probabilities", np.uint16, "w+", shape=(*volume.shape, n))
        for index, (values, shift) in enumerate(zip(volume.slices(), shifts, strict=True)):
            pixels[index] = shifted(values, -shift, int(np.median(values)))
        for axis, length in enumerate(volume.shape):
            view, sums = np.moveaxis(pixels, axis, 0), np.moveaxis(total, axis, 0)
            for index in track(range(length), f"Slices across axis {'zyx'[axis]}"):
                cut = Micrograph(np.ascontiguousarray(view[index]), pixel_size_nm=size)
                found = segmenter.probabilities(cut)
                sums[index] += np.rint(found * _PARTS).astype(np.uint16)
        ids = np.array(segmenter.phases.ids, np.uint8)
        inside = np.ones((height, width), np.uint8)
        for index in range(depth):
            mean = total[index].astype(np.float32) / (3 * _PARTS)
            entropy = -np.sum(mean * np.log(np.maximum(mean, 1e-12)), -1) / np.log(max(n, 2))
            doubt.append(float(entropy.mean()))
            mask = ids[mean.argmax(-1)]
            yield np.where(shifted(inside, -shifts[index], 0) == 1, mask, np.uint8(IGNORE))


def _without_flicker(masks: Iterator[np.ndarray], smooth: bool) -> Iterator[tuple[np.ndarray, float]]:
    """Each mask, smoothed if asked, and the share of its pixels that flicker."""
    before: np.ndarray | None = None
    mask: np.ndarray | None = None
    for after in masks:
        if mask is not None:
            yield _flicker(before, mask, after, smooth)
        before, mask = mask, after
    if mask is not None:
        yield mask, 0.0


def _flicker(
    before: np.ndarray | None, mask: np.ndarray, after: np.ndarray, smooth: bool
) -> tuple[np.ndarray, float]:
    if before is None:
        return mask, 0.0
    odd = (before == after) & (mask != before) & (before != IGNORE) & (mask != IGNORE)
    return (np.where(odd, before, mask) if smooth else mask), float(odd.mean())


def _write(out: Path, masks: Iterator[np.ndarray], volume: Volume, phases: Phases, force: bool) -> None:
    if out.suffix == ".zarr":
        _write_zarr(out, masks, volume, force)
        return
    colors = phases.palette().T.astype(np.uint16) * 257
    options: dict[str, Any] = {"photometric": "palette", "colormap": colors, "compression": "zlib"}
    options |= {"metadata": None, **resolution(pixel_size(volume), volume.pixel_size_source)}
    with atomic_file(out, force=force) as temporary, tifffile.TiffWriter(temporary, bigtiff=True) as writer:
        for mask in masks:
            writer.write(mask, **options)


_ZARR = re.compile(r"\.zgroup|\.zattrs|0/\.zarray|0/\.zattrs|0/\d+\.\d+\.\d+")


def _write_zarr(out: Path, masks: Iterator[np.ndarray], volume: Volume, force: bool) -> None:
    zarr, shape = import_zarr(), volume.shape
    with atomic_folder(out, force=force, manifest=False) as folder:
        group = zarr.open_group(str(folder), mode="w", zarr_format=2)
        chunks = (1, min(shape[1], 512), min(shape[2], 512))
        array = group.create_array("0", shape=shape, chunks=chunks, dtype="uint8")
        for index, mask in enumerate(masks):
            array[index] = mask
        axes = [
            {"name": name, "type": "space"} | ({"unit": "nanometer"} if edge else {})
            for name, edge in zip("zyx", volume.voxel_nm, strict=True)
        ]
        scale = [{"type": "scale", "scale": [edge or 1.0 for edge in volume.voxel_nm]}]
        datasets = [{"path": "0", "coordinateTransformations": scale}]
        group.attrs["multiscales"] = [
            {"version": "0.4", "name": out.stem, "axes": axes, "datasets": datasets, "type": "labels"}
        ]
