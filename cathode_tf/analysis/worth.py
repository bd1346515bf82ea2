"""The stories of a batch's masks in; what the masks are worth, in one sentence, out.

An interval tells how far a number may lie from that of the whole material, given that the masks are right. Whether
they are, only their story tells. Masks that nobody and no test of their kind vouches for are *unchecked*: their numbers
are shown, their intervals are called those of sampling only, and nobody decides anything by them without saying so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cathode_tf.imaging.stories import CHANGED, CORRECTED, HUMAN, MODEL, Story
from cathode_tf.statistics.estimate import MODEL_DOUBT, SAMPLING_ONLY, Estimate
from cathode_tf.statistics.spreads import SEGMENTATION
from cathode_tf.words import counted, some

UNCHECKED, TESTED, VERIFIED, HAND = "unchecked", "tested", "verified", "by hand"
VERDICTS = (UNCHECKED, TESTED, VERIFIED, CORRECTED, HAND)
"""What masks can be worth, the least first."""

ONLY_SAMPLING = "the interval is that of sampling only: the error of the masks is unknown"
ONLY_DOUBT = (
    "the interval counts in what the model doubts, {how}; no test on images of this kind vouches for it"
)
WITH_THE_MASKS = ("fraction_corrected", "fraction_by_points")
"""Quantities whose intervals count in what the masks get wrong."""


@dataclass(frozen=True)
class Worth:
    """What the masks of a batch are.

    Attributes:
        stories: Of each mask, by image name; one that is missing is unknown.
        images: Names of all images.
        drawn_by: Who drew the masks by hand, if the user of the analysis says so.
        verification: What labelling random points found (`Verification.to_dict`), if that was done.
        doubt: Whether intervals count in what the model doubts: on how many images with known masks that was measured,
            0 = on none; None: they don't.
    """

    images: tuple[str, ...]
    stories: Mapping[str, Story] = field(default_factory=dict)
    drawn_by: str = ""
    verification: Mapping[str, Any] | None = None
    doubt: int | None = None

    def of(self, image: str) -> str:
        """What the mask of one image is worth: one of `VERDICTS`."""
        story = self.stories.get(image, Story())
        if story.origin == HUMAN or self.drawn_by:
            return HAND
        if story.origin == CORRECTED:
            return CORRECTED
        if self.verification is not None and image in self.verification["images"]:
            return VERIFIED
        kind = story.kind or {}
        tested = story.origin == MODEL and kind.get("test") and not kind.get("foreign")
        return TESTED if tested else UNCHECKED

    @property
    def verdict(self) -> str:
        """What the batch is worth: as much as the least of its masks."""
        return min((self.of(image) for image in self.images), key=VERDICTS.index, default=UNCHECKED)

    @property
    def checked(self) -> bool:
        """Whether somebody, or a test of their kind, vouches for every mask."""
        return self.verdict != UNCHECKED

    @property
    def foreign(self) -> dict[str, str]:
        """Images of a kind that their model does not know, and what tells so."""
        kinds = {image: self.stories[image].kind or {} for image in self.images if image in self.stories}
        return {image: str(kind.get("reason")) for image, kind in kinds.items() if kind.get("foreign")}

    @property
    def sentence(self) -> str:
        """The first line of every report, summary and table."""
        by = {verdict: [i for i in self.images if self.of(i) == verdict] for verdict in VERDICTS}
        parts = [self._told(verdict, images) for verdict, images in by.items() if images]
        if len(parts) > 1:
            parts = [
                f"{len(images)} of {len(self.images)}: {part}"
                for part, images in zip(parts, (v for v in by.values() if v), strict=True)
            ]
        text = " ".join(parts)
        return text if self.checked else f"{text} {self._intervals()}"

    def _intervals(self) -> str:
        if self.doubt is None or self.verification is not None:
            return "Intervals are those of sampling only; the error of the masks is unknown."
        return f"Intervals count in what the model itself doubts, {self._how()}."

    def _how(self) -> str:
        measured = f"as held against {counted(self.doubt or 0, 'image')} with known masks"
        return measured if self.doubt else "which was never held against known masks"

    def _told(self, verdict: str, images: list[str]) -> str:
        stories = [self.stories.get(image, Story()) for image in images]
        if verdict == HAND:
            names = self.drawn_by or _names(stories)
            return f"Masks drawn by hand{f' by {names}' if names else ''}."
        if verdict == CORRECTED:
            return _corrected(stories)
        model = _model_of(stories)
        if verdict == VERIFIED:
            assert self.verification is not None
            found, made = self.verification, model or "unknown origin"
            return f"Masks of {made}, checked at {found['points']} random points: {found['sentence']}"
        if verdict == TESTED:
            return f"Masks of {model}, {_tested(stories)}"
        return f"UNCHECKED masks: {self._why(images, stories, model)}."

    def _why(self, images: list[str], stories: list[Story], model: str) -> str:
        changed = [i for i, story in zip(images, stories, strict=True) if story.origin == CHANGED]
        if changed:
            return f"{some(changed)} changed since {model or 'they were made'}; by whom, nobody said"
        foreign = [image for image in images if image in self.foreign]
        if foreign:
            which = "all of them" if len(foreign) == len(images) > 1 else some(foreign)
            return f"{model} does not know this kind of image ({which})"
        if model:
            return f"made by {model}, which no test on images of this kind vouches for"
        return "nothing beside them tells who or what made them"

    def tell(self, estimates: Mapping[str, Estimate]) -> dict[str, Estimate]:
        """Estimates, their intervals called what they are where the masks are unchecked."""
        if self.checked:
            return dict(estimates)
        return {name: each if each.ci is None else self._called(each) for name, each in estimates.items()}

    def _called(self, estimate: Estimate) -> Estimate:
        if SEGMENTATION in estimate.components:
            return estimate.with_flag(MODEL_DOUBT, ONLY_DOUBT.format(how=self._how()))
        return estimate.with_flag(SAMPLING_ONLY, ONLY_SAMPLING)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `summary.json`; the model of many masks is told once."""
        models: list[Any] = []
        stories = {}
        for image in self.images:
            story = self.stories.get(image, Story())
            told = replace(story, model=None).to_dict()
            if story.model is not None:
                model = dict(story.model)
                if model not in models:
                    models.append(model)
                told["model"] = models.index(model)
            stories[image] = {"worth": self.of(image), **told}
        return {
            "verdict": self.verdict,
            "checked": self.checked,
            "sentence": self.sentence,
            "foreign": self.foreign,
            "models": models,
            "stories": stories,
            **({"drawn_by": self.drawn_by} if self.drawn_by else {}),
            **({"verification": dict(self.verification)} if self.verification else {}),
        }


def worth_of(content: Mapping[str, Any]) -> tuple[str, bool]:
    """What the masks of a `summary.json` are, in one sentence, and whether they are checked."""
    masks = content.get("masks")
    if not isinstance(masks, Mapping) or "sentence" not in masks:
        return "UNCHECKED masks: the summary does not tell what they are.", False
    return str(masks["sentence"]), bool(masks.get("checked"))


def _names(stories: list[Story]) -> str:
    return some(sorted({story.by for story in stories if story.by}), most=3)


def _corrected(stories: list[Story]) -> str:
    names = _names(stories)
    shares = [story.changed for story in stories if story.changed is not None]
    how = ""
    if shares:
        mean, low, high = 100 * sum(shares) / len(shares), 100 * min(shares), 100 * max(shares)
        spread = f" ({low:.2g} to {high:.2g} %)" if len(shares) > 1 else ""
        how = f"; {mean:.2g} % of the pixels changed{spread}"
    return f"Masks corrected in the review page{f' by {names}' if names else ''}{how}."


def _model_of(stories: list[Story]) -> str:
    """The models that made the masks, the commonest first."""
    found = Counter(
        f"model {story.model.get('path')}" for story in stories if story.model and story.model.get("path")
    )
    return some([name for name, _ in found.most_common()], most=2)


def _tested(stories: list[Story]) -> str:
    tests = {
        str(s.kind["test"].get("images")): s.kind["test"] for s in stories if s.kind and s.kind.get("test")
    }
    told = []
    for test in list(tests.values())[:2]:
        dice = ", ".join(f"{phase} {_interval(value)}" for phase, value in test["dice"].items() if value)
        told.append(
            f"tested on {counted(test['n'], 'image')} of the same kind ({test['records']}): Dice {dice}."
        )
    return " ".join(told)


def _interval(value: list[float]) -> str:
    return f"{value[0]:.2f}" + (f" [{value[1]:.2f}, {value[2]:.2f}]" if len(value) == 3 else "")
