"""Plausible masks of a batch in; every number's interval, widened by what the masks may get wrong, out.

Each draw is measured like the masks, so that whatever is computed from them gets its uncertainty the same way: shares,
interfaces, sizes, counts, cracks. What is compared is always a draw and the mask of the same part of an image.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage

from cathode_tf.analysis.counting import size_distributions
from cathode_tf.analysis.image import LABELS, ImageMeasures, Settings, measure_image
from cathode_tf.analysis.summary import summarize
from cathode_tf.analysis.sums import Batch
from cathode_tf.errors import InputError, InputWarning
from cathode_tf.imaging.draws import Draws
from cathode_tf.phases import IGNORE, Phases
from cathode_tf.statistics.spreads import Spread, spreads_of, with_draws
from cathode_tf.statistics.summaries import Summary

Values = dict[tuple[str, str], float | None]
"""Numbers by quantity and phase."""


@dataclass(frozen=True)
class Drawn:
    """The sums of the plausible masks of one image.

    Attributes:
        base: Of the mask in the part of the image that was drawn.
        draws: Of each plausible mask of that part.
        spreads: How draws and truth relate, by `quantity/phase`, as the model's card holds it.
        images: On how many images with known masks that was learned.
    """

    base: ImageMeasures
    draws: tuple[ImageMeasures, ...]
    spreads: Mapping[str, Spread]
    images: int


def measure_draws(
    name: str,
    mask: np.ndarray,
    draws: Draws,
    phases: Phases,
    *,
    labels: np.ndarray | None = None,
    micrograph: np.ndarray | None = None,
    whole: ImageMeasures | None = None,
    pixel_size_nm: float | None = None,
    group: str = "",
    settings: Settings | None = None,
) -> Drawn:
    """Measure the plausible masks of one image like its mask.

    Args:
        name, mask, phases, labels, micrograph, pixel_size_nm, group, settings: As for `measure_image`.
        draws: Of this image.
        whole: The sums of the whole mask, where they are known already.

    Raises:
        InputError: If the draws do not lie within the mask, or hold other ids than the phases'.
    """
    top, left = draws.corner
    height, width = draws.masks.shape[1:]
    if top + height > mask.shape[0] or left + width > mask.shape[1]:
        raise InputError(
            f"{name}: its plausible masks must lie within the mask {mask.shape}. Received {height} x {width} px "
            f"from row {top}, column {left}. Segment again."
        )
    part = slice(top, top + height), slice(left, left + width)
    given: dict[str, Any] = {
        "pixel_size_nm": pixel_size_nm,
        "group": group,
        "settings": settings,
        "quick": True,
    }
    given["micrograph"] = None if micrograph is None else micrograph[part]
    cut = mask[part]
    base = whole if whole is not None and cut.shape == mask.shape else None
    numbered = None if labels is None else labels[part]
    if base is None:
        base = measure_image(name, cut, phases, labels=numbered, **given)
    fits = base.separation == LABELS
    measured = []
    with warnings.catch_warnings():
        # What is odd of a draw was told of the mask.
        warnings.simplefilter("ignore", InputWarning)
        for drawn in draws.masks:
            drawn = np.where(cut == IGNORE, cut, drawn)
            found = _carried(drawn, numbered, phases) if fits and numbered is not None else None
            measured.append(measure_image(name, drawn, phases, labels=found, **given))
    spreads = spreads_of(draws.calibration.get("spreads", {}))
    return Drawn(base, tuple(measured), spreads, int(draws.calibration["images"]) if spreads else 0)


def _carried(drawn: np.ndarray, labels: np.ndarray, phases: Phases) -> np.ndarray:
    """The label image of the mask, carried over to a plausible one: the nearest particle's number.

    What lies apart from all particles of the mask is a particle of its own.
    """
    solid = np.isin(drawn, [phases[name].id for name in phases.with_role("particle")])
    if not labels.any() or not solid.any():
        return ndimage.label(solid)[0].astype(np.int32)
    _, (rows, columns) = ndimage.distance_transform_edt(labels == 0, return_indices=True)
    found = np.where(solid, labels[rows, columns], 0).astype(np.int32)
    parts, number = ndimage.label(solid)
    met = np.zeros(number + 1, bool)
    met[parts[(labels > 0) & solid]] = True
    alone = solid & ~met[parts]
    found[alone] = parts[alone] + int(labels.max())
    return found


def values_of(batch: Batch) -> Values:
    """Every number of a batch without its interval; carbon and binder together, too."""
    tables = [image.instances for image in batch.images if len(image.instances)]
    instances = pd.concat(tables or [batch.images[0].instances], ignore_index=True)
    sizes = size_distributions(batch, instances, resamples=8)
    found: Values = {
        (quantity, phase): estimate.value
        for quantity, estimates in summarize(batch, sizes).items()
        for phase, estimate in estimates.items()
    }
    names = together(batch.phases)
    if names:
        found["fraction", "+".join(names)] = sum(found["fraction", name] or 0.0 for name in names)
    return found


def together(phases: Phases) -> tuple[str, ...]:
    """Phases whose share is told as one: carbon and binder, where there are both."""
    names = (*phases.with_role("additive"), *phases.with_role("binder"))
    return names if len(names) > 1 else ()


@dataclass(frozen=True)
class Doubt:
    """What plausible masks say of a batch's numbers.

    Attributes:
        base: Of the masks, in the parts that were drawn.
        draws: Of each draw.
        spreads: How draws and truth relate.
        images: On how many images with known masks that was learned; 0 = it was not.
    """

    base: Values
    draws: tuple[Values, ...]
    spreads: Mapping[str, Spread]
    images: int

    def join(self, summary: Summary) -> Summary:
        """The summary, the interval of every number that draws tell of widened."""
        return {
            quantity: {
                phase: with_draws(
                    quantity,
                    estimate,
                    self.base[quantity, phase],
                    [draw.get((quantity, phase)) for draw in self.draws],
                    self.spreads.get(f"{quantity}/{phase}"),
                )
                if (quantity, phase) in self.base
                else estimate
                for phase, estimate in estimates.items()
            }
            for quantity, estimates in summary.items()
        }


def doubt_of(batch: Batch, drawn: Mapping[str, Drawn]) -> Doubt | None:
    """What the plausible masks of a batch's images say together; None where there are none.

    Args:
        batch: The masks' sums.
        drawn: By image name; an image that is missing has a mask without doubt, drawn by hand say.
    """
    mine = [drawn[image.name] for image in batch.images if image.name in drawn]
    if not mine:
        return None
    count = min(len(each.draws) for each in mine)

    def of(pick: Callable[[Drawn], ImageMeasures]) -> Values:
        images = [
            _in(image, pick(drawn[image.name])) if image.name in drawn else image for image in batch.images
        ]
        return values_of(replace(batch, images=tuple(images)))

    def numbered(number: int) -> Callable[[Drawn], ImageMeasures]:
        return lambda each: each.draws[number]

    draws = tuple(of(numbered(number)) for number in range(count))
    # Images of several models: the spreads of the one that was measured on fewest images.
    least = min(mine, key=lambda each: each.images)
    return Doubt(of(lambda each: each.base), draws, least.spreads, least.images)


def _in(image: ImageMeasures, other: ImageMeasures) -> ImageMeasures:
    """Sums of another mask under the group that this image has in the batch."""
    if other.group == image.group:
        return other
    instances, parents = other.instances, other.parents
    if len(instances.columns):
        instances = instances.assign(group=image.group)
    return replace(other, group=image.group, instances=instances, parents=parents)
