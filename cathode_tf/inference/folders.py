"""Image files in, mask and overlay files out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cathode_tf.errors import InputError
from cathode_tf.files import atomic_file, refuse_overwrite
from cathode_tf.imaging import Micrograph, find_images, read_micrograph, write_mask, write_overlay
from cathode_tf.inference.segmenter import Segmentation, Segmenter
from cathode_tf.inference.sources import Source
from cathode_tf.phases import Phases
from cathode_tf.progress import track


def segment_files(
    model: Segmenter | Source,
    images: Sequence[str | Path],
    out: str | Path,
    *,
    uncertainty: bool = False,
    force: bool = False,
) -> int:
    """Segment image files and folders of them; write masks and overlays to `out`.

    Args:
        model: A `Segmenter`, or what it takes.
        images: Files and folders.
        out: Folder for `<stem>_mask.png` and `<stem>_overlay.png`.
        uncertainty: Write `<stem>_margin.png` and `<stem>_entropy.png` as well.
        force: Replace files that exist.

    Returns:
        The number of images.
    """
    out, paths = Path(out), find_images(images)
    stems = [path.stem for path in paths]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise InputError(
            f"images: each stem must occur once, as masks are named by it. {twice[0]!r} occurs twice."
        )
    for stem in stems:
        refuse_overwrite(out / f"{stem}_mask.png", force)
    segmenter = model if isinstance(model, Segmenter) else Segmenter(model)
    count = 0
    for path in track(paths, "Segmenting"):
        loaded = read_micrograph(path)
        for micrograph in loaded if isinstance(loaded, list) else [loaded]:
            segmentation = segmenter.segment(micrograph)
            _write(out, micrograph, segmentation, segmenter.phases, uncertainty, force)
            count += 1
    return count


def _write(
    out: Path,
    micrograph: Micrograph,
    segmentation: Segmentation,
    phases: Phases,
    uncertainty: bool,
    force: bool,
) -> None:
    write_mask(out / f"{micrograph.id}_mask.png", segmentation.mask, phases, force=force)
    write_overlay(
        out / f"{micrograph.id}_overlay.png", micrograph.pixels, segmentation.mask, phases, force=force
    )
    if uncertainty:
        import cv2

        for name in ("margin", "entropy"):
            with atomic_file(out / f"{micrograph.id}_{name}.png", force=force) as temporary:
                cv2.imwrite(str(temporary), getattr(segmentation, name))
