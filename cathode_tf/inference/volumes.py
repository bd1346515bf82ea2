"""A stack of slices in, a label volume out, with its voxel size, its flicker and its uncertainty.

Slices are read and written one at a time. Only averaging over three axes needs the volume in random order;
it works on temporary files beside the output, so that volumes may be larger than memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cathode_tf.files import refuse_overwrite, temporary_folder, write_json
from cathode_tf.imaging import Micrograph
from cathode_tf.imaging.micrographs import check_pixel_size
from cathode_tf.imaging.ome_zarr import Edges
from cathode_tf.imaging.stories import MODEL, Story, write_stories
from cathode_tf.imaging.volume_writing import OURS, write_ome_zarr, write_tiff_volume
from cathode_tf.imaging.volumes import Volume, pixel_size, trust_beside, with_pixel_size
from cathode_tf.inference.facts import model_facts
from cathode_tf.ownership import refuse_foreign, unlike_entry
from cathode_tf.phases import IGNORE
from cathode_tf.progress import track

if TYPE_CHECKING:
    from cathode_tf.inference.segmenter import Segmenter

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
        flicker: By slice, the share of its pixels that differ from both neighbours, which agree.
        flicker_smoothed: Whether these pixels were given the label of the neighbours.
    """

    path: Path
    shape: tuple[int, int, int]
    voxel_nm: Edges
    pixel_size_source: str
    phase_fractions: dict[str, float]
    score: float
    flicker: list[float]
    flicker_smoothed: bool


def segment_volume(
    segmenter: Segmenter,
    volume: Volume,
    out: str | Path,
    *,
    three_axes: bool = False,
    smooth: bool = False,
    pixel_size_nm: float | None = None,
    force: bool = False,
) -> VolumeSegmentation:
    """Write the label volume of a stack of slices.

    Slices of known pixel size are resampled to the model's, if that is known too, and the labels brought back.

    Args:
        segmenter: The segmenter; it sees one slice at a time.
        volume: The slices.
        out: `.tif` or `.zarr`; a `.json` of the same name takes voxel size, flicker and fractions, and
            `masks.json` beside it which model made the labels.
        three_axes: Average the probabilities over slices along all three axes, for near-isotropic voxels.
        smooth: Remove flicker of single slices.
        pixel_size_nm: Edge of a slice's pixels; overrides what the files say.
        force: Replace files that exist.
    """
    out = Path(out)
    if force and out.suffix == ".zarr":
        refuse_foreign(out, unlike_entry(out, OURS))
    else:
        refuse_overwrite(out, force)
    refuse_overwrite(out.with_suffix(".json"), force)
    check_pixel_size(pixel_size_nm)
    if pixel_size_nm is not None:
        volume = with_pixel_size(volume, pixel_size_nm)
    counts = np.zeros(256, np.int64)
    flicker: list[float] = []
    doubt: list[float] = []
    if three_axes:
        masks = _three_axes(segmenter, volume, out.parent, doubt)
    else:
        masks = _slice_by_slice(segmenter, volume, doubt)

    def counted() -> Iterator[np.ndarray]:
        for mask, share in _without_flicker(masks, smooth):
            flicker.append(share)
            counts[:] += np.bincount(mask.ravel(), minlength=256)
            yield mask

    labels = track(counted(), "Segmenting slices", total=volume.shape[0])
    phases, voxel_nm = segmenter.phases, volume.voxel_nm
    if out.suffix == ".zarr":
        write_ome_zarr(out, labels, volume.shape, np.uint8, voxel_nm, phases=phases, force=force)
    else:
        source = volume.pixel_size_source
        write_tiff_volume(
            out, labels, volume.shape, np.uint8, voxel_nm, source=source, phases=phases, force=force
        )
    labelled = max(int(counts[:IGNORE].sum()), 1)
    result = VolumeSegmentation(
        out,
        volume.shape,
        volume.voxel_nm,
        volume.pixel_size_source,
        {phase.name: float(counts[phase.id] / labelled) for phase in segmenter.phases.entries},
        float(np.mean(doubt)),
        flicker,
        smooth,
    )
    content = asdict(result) | {"path": out.name}
    path = getattr(volume, "path", None)
    trust = None if path is None else trust_beside(path)
    if trust is not None:  # of the volume's reconstruction; it goes with what is made of it
        content["trust"] = trust
    write_json(out.with_suffix(".json"), content, force=force)
    image = {
        "path": None if path is None else str(Path(path).absolute()),
        "shape": list(volume.shape),
        "pixel_size_nm": pixel_size(volume),
        "pixel_size_source": volume.pixel_size_source,
    }
    write_stories(out.parent, {out.name: Story(MODEL, model=model_facts(segmenter), image=image)})
    return result


def _slice_by_slice(segmenter: Segmenter, volume: Volume, doubt: list[float]) -> Iterator[np.ndarray]:
    size = pixel_size(volume)
    for pixels in volume.slices():
        segmentation = segmenter.segment(Micrograph(pixels, pixel_size_nm=size))
        doubt.append(segmentation.score)
        yield segmentation.mask


def _three_axes(
    segmenter: Segmenter, volume: Volume, folder: Path, doubt: list[float]
) -> Iterator[np.ndarray]:
    """Masks of the mean probabilities over slices across each axis."""
    n, size = len(segmenter.phases), pixel_size(volume)
    with temporary_folder(folder) as temporary:
        pixels = np.memmap(f"{temporary}/pixels", np.uint16, "w+", shape=volume.shape)
        total = np.memmap(f"{temporary}/probabilities", np.uint16, "w+", shape=(*volume.shape, n))
        for index, values in enumerate(volume.slices()):
            pixels[index] = values
        for axis, length in enumerate(volume.shape):
            view, sums = np.moveaxis(pixels, axis, 0), np.moveaxis(total, axis, 0)
            for index in track(range(length), f"Slices across axis {'zyx'[axis]}"):
                cut = Micrograph(np.ascontiguousarray(view[index]), pixel_size_nm=size)
                found = segmenter.probabilities(cut)
                sums[index] += np.rint(found * _PARTS).astype(np.uint16)
        ids = np.array(segmenter.phases.ids, np.uint8)
        for index in range(volume.shape[0]):
            mean = total[index].astype(np.float32) / (3 * _PARTS)
            entropy = -np.sum(mean * np.log(np.maximum(mean, 1e-12)), -1) / np.log(max(n, 2))
            doubt.append(float(entropy.mean()))
            yield ids[mean.argmax(-1)]


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
