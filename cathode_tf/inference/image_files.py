"""One image file in; its mask, overlay and maps of uncertainty, and what is known of it, out, whatever its size."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.files import atomic_file, pixel_sha256
from cathode_tf.imaging import Micrograph, read_annotation, read_micrograph, write_mask, write_overlay
from cathode_tf.imaging.draws import write_draws
from cathode_tf.imaging.label_images import write_labels
from cathode_tf.imaging.rasters import open_raster
from cathode_tf.imaging.volumes import TiffVolume
from cathode_tf.inference.large import TiffWindows, segment_large
from cathode_tf.inference.plan import Manner, Task
from cathode_tf.inference.segmentation import Segmentation
from cathode_tf.inference.segmenter import Segmenter
from cathode_tf.inference.separation import network_beside, separate
from cathode_tf.inference.strokes import check_strokes
from cathode_tf.inference.volumes import segment_volume
from cathode_tf.phases import Phases

LARGE_PX = 50_000_000
"""TIFFs of more pixels are read and written in parts."""


@dataclass(frozen=True)
class SegmentedFile:
    """What is known of an image that was segmented.

    Attributes:
        id: Of the image.
        score: Mean entropy, 0-1; higher = more uncertain.
        pixel_size_nm: Edge of a pixel; None = unknown.
        pixel_size_source: Where that was read, or `"given by hand"`; "" = unknown.
        image: What else the story of its mask tells of it: path, pixels, shape, acquisition.
        kind: How far it is from what the model learned (`Segmenter.kind`); None = the model cannot tell.
    """

    id: str
    score: float
    pixel_size_nm: float | None
    pixel_size_source: str
    image: Mapping[str, Any] = field(default_factory=dict)
    kind: Mapping[str, Any] | None = None


def segment_file(segmenter: Segmenter, task: Task, out: Path, manner: Manner) -> SegmentedFile:
    """Write the files of an image to a folder of their own; so many plausible masks among them, if that can be."""
    path, strokes, phases, pixel_size_nm = task.path, task.strokes, manner.phases, manner.pixel_size_nm
    pages, pixels = _tiff_size(path)
    if (phases or strokes) and (pages > 1 or pixels > LARGE_PX):
        raise InputError(
            f"{path}: must be one image of {LARGE_PX / 1e6:.0f} megapixels at most to follow strokes or other phases. "
            f"Received {f'{pages} pages' if pages > 1 else f'{pixels / 1e6:.0f} megapixels'}. Cut it first."
        )
    if pages > 1:
        target = out / f"{path.stem}_mask.tif"
        volume = segment_volume(segmenter, TiffVolume(path), target, pixel_size_nm=pixel_size_nm)
        facts = {"path": str(path.absolute()), "shape": list(volume.shape)}
        return SegmentedFile(path.stem, volume.score, volume.voxel_nm[2], volume.pixel_size_source, facts)
    if pixels > LARGE_PX:
        windows = TiffWindows(path, pixel_size_nm=pixel_size_nm)
        _, score = segment_large(segmenter, windows, out, path.stem, uncertainty=manner.uncertainty)
        facts = {"path": str(path.absolute()), "shape": list(windows.shape)}
        return SegmentedFile(path.stem, score, windows.pixel_size_nm, windows.pixel_size_source, facts)
    micrograph = read_micrograph(path, pixel_size_nm=pixel_size_nm)
    assert isinstance(micrograph, Micrograph)
    if micrograph.pixels.min() == micrograph.pixels.max():
        warnings.warn(
            f"{path}: must show something. All its pixels are {micrograph.pixels.flat[0]}: its mask means nothing.",
            InputWarning,
            stacklevel=2,
        )
    told = phases or segmenter.phases
    painted = _read_strokes(strokes, micrograph, told) if strokes else None
    if painted is None and phases is None:
        segmentation, plausible = segmenter.segment_with_draws(micrograph, manner.draws)
        if plausible is not None:
            write_draws(out / f"{micrograph.id}_draws.tif", plausible)
    else:
        segmentation = segmenter.segment(micrograph, strokes=painted, phases=phases)
    network = network_beside(segmenter.sources[0]) if segmenter.sources else None
    _write(out, micrograph, segmentation, told, manner.uncertainty, network)
    size, source = micrograph.pixel_size_nm, micrograph.pixel_size_source
    facts = image_facts(micrograph)
    return SegmentedFile(micrograph.id, segmentation.score, size, source, facts, segmenter.kind(micrograph))


def image_facts(micrograph: Micrograph) -> dict[str, Any]:
    """What the story of a mask tells of its micrograph."""
    return {
        "path": None if micrograph.path is None else str(micrograph.path.absolute()),
        "pixel_sha256": pixel_sha256(micrograph.pixels),
        "shape": list(micrograph.pixels.shape),
        "pixel_size_nm": micrograph.pixel_size_nm,
        "pixel_size_source": micrograph.pixel_size_source,
        "acquisition": micrograph.acquisition,
    }


def _read_strokes(path: Path, micrograph: Micrograph, phases: Phases) -> np.ndarray:
    strokes = read_annotation(
        path,
        phases,
        shape=micrograph.pixels.shape,
        image_name=None if micrograph.path is None else micrograph.path.name,
        databar_rows=micrograph.acquisition.get("databar_rows", 0),
    )
    check_strokes(strokes, micrograph.pixels.shape, phases, str(path))
    painted = [phase.name for phase in phases if (strokes == phase.id).any()]
    if len(painted) < 2:
        warnings.warn(
            f"{path}: must hold strokes of two phases to tell them apart. Received {painted[0]} alone, which teaches "
            "little of where it ends.",
            InputWarning,
            stacklevel=3,
        )
    return strokes


def _tiff_size(path: Path) -> tuple[int, int]:
    """Pages and pixels of a page of a TIFF; 1 and 0 for every other file."""
    with open_raster(path, max_megapixels=math.inf) as raster:
        return raster.count, raster.height * raster.width if raster.tiff else 0


def _write(
    out: Path,
    micrograph: Micrograph,
    segmentation: Segmentation,
    phases: Phases,
    uncertainty: bool,
    network: Path | None,
) -> None:
    import cv2

    write_mask(out / f"{micrograph.id}_mask.png", segmentation.mask, phases)
    write_overlay(
        out / f"{micrograph.id}_overlay.png",
        micrograph.pixels,
        segmentation.mask,
        phases,
        pixel_size_nm=micrograph.pixel_size_nm,
    )
    if phases.with_role("particle"):
        labels = separate(segmentation.mask, phases, micrograph, network=network)
        write_labels(out / f"{micrograph.id}_labels.tif", labels)
    for name in ("margin", "entropy") if uncertainty else ():
        with atomic_file(out / f"{micrograph.id}_{name}.png") as temporary:
            cv2.imwrite(str(temporary), getattr(segmentation, name))
