"""An `Analysis` in; what a cell engineer reads first out: a sentence, five numbers with their trust, two pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from cathode_tf.analysis import Analysis
from cathode_tf.analysis.borders import BORDER
from cathode_tf.analysis.worth import CORRECTED, HAND, TESTED, UNCHECKED, VERIFIED
from cathode_tf.imaging import display
from cathode_tf.reporting.figures import phase_picture, picture_data
from cathode_tf.reporting.page import Card, Picture
from cathode_tf.reporting.tables import for_page, plain, sentence
from cathode_tf.statistics import Estimate
from cathode_tf.statistics.spreads import SEGMENTATION

PICTURE_PX = 640
TRUST = {
    HAND: "masks by hand",
    CORRECTED: "masks corrected by a person",
    TESTED: "masks of a tested model; its errors are not in the interval",
    VERIFIED: "corrected by labelled points",
    UNCHECKED: "masks unchecked: sampling only",
}
DOUBTED = {
    TESTED: "masks of a tested model: its doubt is in the interval",
    UNCHECKED: "masks unchecked: the model's own doubt only",
}
"""The same, where the interval counts in what plausible masks tell."""
BELIEVE = {
    HAND: "Believe each number as far as its interval",
    CORRECTED: "Believe each number as far as its interval",
    VERIFIED: "Believe each number as far as its interval, which counts in what the masks get wrong",
    TESTED: "Believe them as far as the model's test goes: the intervals leave its errors out",
    UNCHECKED: "Do not decide anything by these numbers yet: nobody has checked the masks",
}


@dataclass(frozen=True)
class Overview:
    """The first screen.

    Attributes:
        lead: What the cathode is like, and how far to believe it.
        cards: The headline numbers.
        pictures: The first micrograph and its overlay.
        basis: Images, area and pixel size.
    """

    lead: str
    cards: list[Card] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    basis: str = ""


def overview(
    analysis: Analysis, masks: Mapping[str, np.ndarray], micrographs: Mapping[str, np.ndarray]
) -> Overview:
    """The first screen of the report of a batch."""
    phases = analysis.phases
    parts = (
        ("Porosity", phases.with_role("pore")),
        (" + ".join(name.upper() if len(name) < 4 else name for name in phases.with_role("particle")),
         phases.with_role("particle")),
        ("Carbon-binder", (*phases.with_role("additive"), *phases.with_role("binder"))),
        *((name, (name,)) for name in phases.with_role("other")),
    )  # fmt: skip
    cards, told = [], []
    for title, names in parts:
        if names:
            estimate = _fraction(analysis, names)
            card = _card(title, estimate, _color(analysis, names), analysis, percent=True, share=True)
            cards.append(card)
            told.append(f"{title.lower() if title[1:].islower() else title} {card.value}")
    for name in phases.with_role("particle"):
        size = analysis.summary.get("x50_3", {}).get(name)
        if size is not None:
            cards.append(_card(f"D50 of {name}, by volume", size, phases[name].color, analysis))
            told += [] if size.is_refused else [f"D50 {cards[-1].value}"]
    broken = next(iter(analysis.summary.get("cracked_particle_fraction", {}).values()), None)
    if broken is not None:
        cards.append(_card("Particles with cracks", broken, "#5b6b7a", analysis, percent=True))
        told += [] if broken.is_refused else [f"{cards[-1].value} of the particles with cracks"]
    lead = f"{sentence(', '.join(told))}. {_believe(analysis)}."
    return Overview(lead, cards, _pictures(analysis, masks, micrographs), _basis(analysis))


def _believe(analysis: Analysis) -> str:
    if analysis.worth.verdict == TESTED and analysis.worth.doubt is not None:
        return "Believe each number as far as its interval, which counts in what the tested model doubts"
    return BELIEVE[analysis.worth.verdict]


def _color(analysis: Analysis, names: Sequence[str]) -> str:
    """Of the phase that there is most of."""
    fractions = analysis.summary["fraction"]
    return analysis.phases[max(names, key=lambda name: fractions[name].value or 0.0)].color


def _fraction(analysis: Analysis, names: Sequence[str]) -> Estimate:
    """Fraction of phases together; as labelled points correct it, where there are any."""
    corrected = analysis.summary.get("fraction_by_points")
    estimates = (corrected or analysis.summary["fraction"]).copy()
    if len(names) == 1:
        return estimates[names[0]]
    if corrected:
        # Errors of the parts may go together: their uncertainties add up, not their squares.
        values = [estimates[name].value or 0.0 for name in names]
        half = sum(estimates[name].half_width or 0.0 for name in names)
        total = float(sum(values))
        return Estimate(
            total,
            ci=(max(total - half, 0.0), min(total + half, 1.0)),
            n=estimates[names[0]].n,
            flags=estimates[names[0]].flags,
        )
    return analysis.share_of(names)


def _card(
    title: str, estimate: Estimate, color: str, analysis: Analysis, percent: bool = False, share: bool = False
) -> Card:
    """A number with its trust; `share`: of a phase, which labelled points correct, where others get a band."""
    if estimate.is_refused:
        reason = for_page(sentence(estimate.flags["REFUSED"]))
        return Card(title, "not estimable", reason, color, True)
    scale, unit = (100.0, "%") if percent else (1.0, for_page(estimate.unit))
    value = scale * (estimate.value or 0.0)
    verdict = analysis.worth.verdict
    trust = (DOUBTED if SEGMENTATION in estimate.components else TRUST).get(verdict, TRUST[verdict])
    if verdict == VERIFIED and not share:
        counted = BORDER in estimate.components
        trust = "masks verified; the interval counts in their borders" if counted else "masks verified"
    if estimate.ci is None:
        reason = next(iter(estimate.flags.values()), "")
        return Card(title, f"{plain(value, 3)} {unit}", f"no interval: {reason}", color, trust=trust)
    low, high = (scale * end for end in estimate.ci)
    digits = max(0, 1 - int(np.floor(np.log10(max((high - low) / 2, 1e-9)))))
    digits = min(digits, 3)
    detail = f"{low:.{digits}f} to {high:.{digits}f} {unit} (95 %)"
    return Card(title, f"{value:.{digits}f} {unit}", detail, color, trust=trust)


def _pictures(
    analysis: Analysis, masks: Mapping[str, np.ndarray], micrographs: Mapping[str, np.ndarray]
) -> list[Picture]:
    name = next((name for name in masks if name in micrographs), next(iter(masks), None))
    if name is None:
        return []
    phases = analysis.mask_phases or analysis.phases
    step = max(1, -(-max(masks[name].shape) // PICTURE_PX))
    mask = masks[name][::step, ::step]
    pixels = None if name not in micrographs else display(micrographs[name])[::step, ::step]
    size = None if analysis.pixel_size_nm is None else analysis.pixel_size_nm * step
    there = set(np.unique(mask))
    colors = {phase.name: phase.color for phase in phases if phase.id in there}
    pictures = [Picture(picture_data(phase_picture(mask, phases, pixels), colors, size), f"{name}: mask")]
    if pixels is not None:
        grey = np.repeat(pixels[..., None], 3, axis=2)
        pictures.insert(
            0, Picture(picture_data(grey, {"micrograph": "#808080"}, size), f"{name}: micrograph")
        )
    return pictures


def _basis(analysis: Analysis) -> str:
    number = len(analysis.images)
    area = sum(image.shape[0] * image.shape[1] for image in analysis.images)
    if analysis.pixel_size_nm is None or analysis.mixed:
        where = f"{plain(area / 1e6, 3)} megapixels"
        if not analysis.mixed and number > 1:
            where += ", pixel size unknown: lengths in pixels say something only if all images have one magnification"
    else:
        where = f"{plain(area * (analysis.pixel_size_nm / 1000) ** 2)} µm² at {analysis.pixel_size_nm:.5g} nm a pixel"
        where += f" ({analysis.pixel_size_source})" if analysis.pixel_size_source else ""
    estimates = [e for mine in analysis.summary.values() for e in mine.values() if not e.is_refused]
    without = any(estimate.ci is None for estimate in estimates)
    told = "Numbers carry a 95 % interval where one can be told; the others say that they have none."
    carry = told if without else "Every number carries a 95 % interval."
    return f"{number} image{'' if number == 1 else 's'}, {where}. {carry}"
