"""Segmentation masks of a batch in, measured one at a time; `Analysis` out.

A mask is in memory only while it is measured; the sums over images make every number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cathode_tf.analysis.batch import Analysis
from cathode_tf.analysis.image import (
    PORE_BACK,
    ImageMeasures,
    Settings,
    front_pore,
    measure_image,
    merges,
    without_pore_back,
)
from cathode_tf.analysis.likeness import families
from cathode_tf.analysis.segmentation import Drawn, measure_draws
from cathode_tf.errors import InputError
from cathode_tf.imaging.draws import Draws
from cathode_tf.phases import Phases
from cathode_tf.statistics.estimate import check_pixel_size, common_pixel_size
from cathode_tf.statistics.transfer import TestErrors, read_evaluation


def analyze(
    masks: Mapping[str, np.ndarray] | Iterable[Any],
    phases: Phases,
    *,
    pixel_size_nm: float | Mapping[str, float | None] | None = None,
    groups: Mapping[str, str] | None = None,
    settings: Settings | None = None,
    evaluation: str | Path | TestErrors | None = None,
    drawn_by: str = "",
) -> Analysis:
    """Measure a batch of segmentation masks.

    Args:
        masks: Name -> mask, or masks, or (name, mask) pairs, which may be made one at a time by a generator.
            A mask is uint8 (height, width) of phase ids; 255 is ignored. With
            `Settings(crack_evidence="micrograph")`: (name, mask, micrograph), all of one shape. A fourth, where it is
            known: the label image of the particles (`separate`); without one the outlines tell touching ones apart. A
            fifth: plausible masks (`imaging.draws.Draws`), which tell what a model's mask may get wrong.
        phases: Names, ids and roles: instances of `particle` phases are separated where they touch.
        pixel_size_nm: One pixel's side, or that of each image by name, which must be the same; None =
            unknown: everything is in px.
        groups: Image name -> group (stack, electrode); with `Settings(replicate="group")` the groups are the
            independent units.
        settings: How to measure; default `Settings()`.
        evaluation: `evaluation.json` of the model that made the masks: adds `fraction_corrected`.
        drawn_by: Who drew these masks by hand, or corrected and accepted each; else they are unchecked, unless
            `dataclasses.replace(analysis, stories=...)` tells their story.

    Returns:
        The analysis; `.summary["fraction"]["ncm"]` is an `Estimate`.

    Raises:
        InputError: If there is no mask, two have the same name, one is not a mask of these phases, the
            pixel size is not above 0, or it is unknown and `settings` say how uncertain it is.

    Example:
        >>> stripe = np.zeros((100, 100), np.uint8); stripe[:, :30] = 1
        >>> analysis = analyze({"a": stripe, "b": stripe.T}, Phases.default())
        >>> print(analysis.summary["fraction"]["ncm"].value)
        0.3
    """
    settings = settings or Settings()
    sized = pixel_size_nm if isinstance(pixel_size_nm, Mapping) else None
    size = common_pixel_size(pixel_size_nm) if isinstance(pixel_size_nm, Mapping) else pixel_size_nm
    left = without_pore_back(phases) if merges(phases, settings) else phases
    _check(settings, size, groups, left)
    errors = read_evaluation(evaluation) if isinstance(evaluation, (str, Path)) else evaluation
    if errors is not None and merges(phases, settings):
        errors = errors.merged(PORE_BACK, front_pore(phases))
    images, drawn = _measured(masks, phases, settings, size, groups or {}, with_draws=not drawn_by)
    if sized is not None:
        _check_sized(sized, images)
    found = [] if groups else families({image.name: image.view for image in images})
    if found:
        images, settings = _as_families(images, found), replace(settings, replicate="group")
    return Analysis(
        left,
        size,
        tuple(images),
        settings,
        errors,
        mask_phases=phases,
        drawn_by=drawn_by,
        families=tuple(map(tuple, found)),
        drawn=drawn,
    )


def _check(
    settings: Settings, pixel_size_nm: float | None, groups: Mapping[str, str] | None, phases: Phases
) -> None:
    check_pixel_size(pixel_size_nm)
    if settings.pixel_size_rel is not None and pixel_size_nm is None:
        raise InputError(
            f"pixel_size_rel: must be left out where the pixel size is unknown. Received {settings.pixel_size_rel}."
        )
    if settings.replicate == "group" and not groups:
        raise InputError("replicate: group needs to know the group of each image. Received no groups.")
    for name in settings.instance_phases or ():
        phases[name]


def _measured(
    masks: Mapping[str, np.ndarray] | Iterable[Any],
    phases: Phases,
    settings: Settings,
    pixel_size_nm: float | None,
    groups: Mapping[str, str],
    with_draws: bool,
) -> tuple[list[ImageMeasures], dict[str, Drawn]]:
    """The sums of each image, and of its plausible masks where those are wanted."""
    images: dict[str, ImageMeasures] = {}
    drawn = {}
    for name, mask, micrograph, labels, draws in _named(masks):
        if name in images:
            raise InputError(f"{name}: must occur once in a batch. Received two masks of that name.")
        if settings.replicate == "group" and name not in groups:
            raise InputError(f"groups: must give the group of every image. {name} is missing.")
        given: dict[str, Any] = {
            "settings": settings,
            "pixel_size_nm": pixel_size_nm,
            "group": groups.get(name, ""),
            "micrograph": micrograph,
            "labels": labels,
        }
        images[name] = measure_image(name, mask, phases, **given)
        if draws is not None and with_draws:
            drawn[name] = measure_draws(name, np.asarray(mask), draws, phases, whole=images[name], **given)
    if not images:
        raise InputError("masks: must hold at least one mask. Received none.")
    return list(images.values()), drawn


def _check_sized(sized: Mapping[str, float | None], images: Sequence[ImageMeasures]) -> None:
    """Whether the pixel sizes are those of these images and of no others."""
    names = {image.name for image in images}
    for name in sorted(names.symmetric_difference(sized)):
        what = "no mask has that name" if name not in names else "its pixel size is missing"
        raise InputError(
            f"pixel sizes: must be given for the images of the batch and no others. {name}: {what}."
        )


def _as_families(images: Sequence[ImageMeasures], found: Sequence[Sequence[str]]) -> list[ImageMeasures]:
    """The images, those of one place as one group, every other as a group of its own."""
    group = {name: f"place of {members[0]}" for members in found for name in members}
    return [
        replace(image, group=mine, instances=image.instances.assign(group=mine))
        if len(image.instances.columns)
        else replace(image, group=mine)
        for image in images
        for mine in [group.get(image.name, image.name)]
    ]


def _named(
    masks: Mapping[str, np.ndarray] | Iterable[Any],
) -> Iterator[tuple[str, np.ndarray, np.ndarray | None, np.ndarray | None, Draws | None]]:
    """Name, mask, and the micrograph, the label image and the plausible masks where there are any."""
    if isinstance(masks, np.ndarray) and masks.ndim == 2:
        masks = [masks]
    if isinstance(masks, Mapping):
        masks = masks.items()
    for number, item in enumerate(masks):
        name, mask, *rest = item if isinstance(item, tuple) else (f"image_{number:04d}", item)
        micrograph, labels, draws = (*rest, None, None, None)[:3]
        yield name, mask, micrograph, labels, draws
