"""The sums of a batch's images in, `Analysis` out: each quantity with its interval, worked out when it is asked for."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cathode_tf.analysis.borders import with_borders
from cathode_tf.analysis.counting import size_distributions
from cathode_tf.analysis.image import (
    LABELS,
    PORE_BACK,
    ImageMeasures,
    Settings,
    dark_evidence,
    front_pore,
    labelled,
    merge_pore_back,
    merges,
)
from cathode_tf.analysis.layers import depth_profile
from cathode_tf.analysis.porosity import Electrode
from cathode_tf.analysis.segmentation import Doubt, Drawn, doubt_of, together
from cathode_tf.analysis.summary import fitted, porosities, summarize, with_doubt, with_systematic
from cathode_tf.analysis.sums import Batch
from cathode_tf.analysis.tables import image_table, plain_values, write_tables
from cathode_tf.analysis.worth import WITH_THE_MASKS, Worth
from cathode_tf.errors import InputError
from cathode_tf.files import atomic_folder, pixel_sha256
from cathode_tf.imaging.stories import CORRECTED, HUMAN, MODEL, Story
from cathode_tf.particles.parents import find_cracks
from cathode_tf.phases import Phases
from cathode_tf.statistics.estimate import Estimate
from cathode_tf.statistics.fractions import phase_fraction
from cathode_tf.statistics.guard import attempt, guarded
from cathode_tf.statistics.planning import plan
from cathode_tf.statistics.reference_points import from_reference_points
from cathode_tf.statistics.sizes import SizeDistribution
from cathode_tf.statistics.summaries import Summary
from cathode_tf.statistics.transfer import TestErrors
from cathode_tf.statistics.verification import Verification

PEOPLE = (HUMAN, CORRECTED)
"""Origins of masks that a person vouches for."""


@dataclass(frozen=True)
class Analysis:
    """What a batch of masks says.

    Attributes:
        phases: Names and ids.
        pixel_size_nm: None = unknown; then every length is in px.
        images: The sums of each image.
        settings: What the analysis was told.
        errors: Error rates of the segmentation from a test set, if they were given.
        by_points: Fractions corrected by reference points, if there are any.
        electrode: Mass and thickness of the coating, if they are known.
        mask_phases: Names and ids in the masks; with `pore_back` where that was merged.
        stories: What is known of each mask, by image name: who or what made it, of which image.
        drawn_by: Who drew the masks by hand, if the caller says so.
        families: Images that show one place, found by their likeness; each counts as one image.
        mask_files: Where the masks lie, by image name, if they came from files.
        mixed: Pixel sizes in nm where the masks have several: then lengths mean nothing here, and are left out.
        verification: What labelling random points of these masks found, if that was done.
        pixel_size_source: Where the pixel size was read, or `"given by hand"`; "" = not said.
        drawn: Sums of the plausible masks that lie beside masks of a model, by image name.
    """

    phases: Phases
    pixel_size_nm: float | None
    images: tuple[ImageMeasures, ...]
    settings: Settings = field(default_factory=Settings)
    errors: TestErrors | None = None
    by_points: Mapping[str, Estimate] = field(default_factory=dict)
    electrode: Electrode | None = None
    mask_phases: Phases | None = None
    stories: Mapping[str, Story] = field(default_factory=dict)
    drawn_by: str = ""
    verification: Verification | None = None
    families: tuple[tuple[str, ...], ...] = ()
    mask_files: Mapping[str, str] = field(default_factory=dict)
    mixed: tuple[float, ...] = ()
    pixel_size_source: str = ""
    drawn: Mapping[str, Drawn] = field(default_factory=dict)

    @property
    def unit(self) -> str:
        """Unit of lengths: `"um"`, or `"px"` where the pixel size is unknown."""
        return "px" if self.pixel_size_nm is None else "um"

    @cached_property
    def worth(self) -> Worth:
        """What the masks are: drawn by hand, corrected, verified, of a tested model, or unchecked."""
        found = None if self.verification is None else self.verification.to_dict()
        names = tuple(image.name for image in self.images)
        worth = Worth(names, self.stories, self.drawn_by, found)
        return worth if self.doubt is None else replace(worth, doubt=self.doubt.images)

    @cached_property
    def doubt(self) -> Doubt | None:
        """What plausible masks say; None unless each mask of a model has some, of a kind of image that it knows."""
        return self._doubt(self.batch)

    def _doubt(self, batch: Batch) -> Doubt | None:
        mine = [image.name for image in batch.images if self._by_model(image.name)]
        kinds = (self.stories[name].kind or {} for name in mine if name in self.stories)
        if any(name not in self.drawn for name in mine) or any(kind.get("foreign") for kind in kinds):
            return None
        return doubt_of(batch, {name: self.drawn[name] for name in mine})

    def _by_model(self, name: str) -> bool:
        """Whether nobody vouches for this mask but a model; what a person drew or corrected has no draws."""
        if self.drawn_by:
            return False
        return self.stories.get(name, Story(MODEL if name in self.drawn else "")).origin not in PEOPLE

    def share_of(self, names: Sequence[str]) -> Estimate:
        """Fraction of several phases together."""
        counts = self.batch.counts()
        columns = [self.phases.names.index(name) for name in names]
        both = np.column_stack([counts[:, columns].sum(1), counts.sum(1) - counts[:, columns].sum(1)])
        found = {"+".join(names): phase_fraction(both, 0, units=self.batch.units)}
        if self.doubt is not None and tuple(names) == together(self.phases):
            found = self.doubt.join({"fraction": found})["fraction"]
        return self.worth.tell(found)["+".join(names)]

    @property
    def batch(self) -> Batch:
        """All images, to be summed up together."""
        return Batch(self.images, self.phases, self.pixel_size_nm, self.settings, self.errors)

    @cached_property
    def summary(self) -> Summary:
        """Every batch quantity: quantity -> phase (or `a|b`) -> `Estimate`."""
        summary = with_systematic(summarize(self.batch, self.sizes) | fitted(self.sizes), self.batch)
        if self.by_points:
            summary["fraction_by_points"] = dict(self.by_points)
        if self.electrode is not None:
            found = porosities(self.batch, summary, self.electrode)
            summary |= {quantity: {"pore": estimate} for quantity, estimate in found.items()}
        return self._told(summary, self.doubt)

    def _told(self, summary: Summary, doubt: Doubt | None) -> Summary:
        """The summary, each interval called what it is, with what plausible masks and labelled points say."""
        # Labelled points tell more than a model's doubt of itself.
        if doubt is not None and self.verification is None:
            summary = doubt.join(summary)
        if self.mixed:
            summary = {q: e for q, e in summary.items() if not any(each.unit for each in e.values())}
        if self.verification is not None:
            summary = with_borders(summary, self.verification, self.phases, self.pixel_size_nm)
            summary = {**summary, "fraction_by_points": dict(self.verification.fractions)}
        return {q: dict(e) if q in WITH_THE_MASKS else self.worth.tell(e) for q, e in summary.items()}

    @cached_property
    def sizes(self) -> dict[str, SizeDistribution]:
        """Size distribution of each particle phase."""
        return size_distributions(self.batch, self.instances)

    @cached_property
    def by_group(self) -> dict[str, Summary]:
        """`summary` of the images of each group; empty with fewer than two groups."""
        groups = list(dict.fromkeys(image.group for image in self.images))
        if len(groups) < 2 or self.families:
            return {}
        settings = replace(self.settings, replicate="image")
        result = {}
        for group in groups:
            images = tuple(image for image in self.images if image.group == group)
            batch = replace(self.batch, images=images, settings=settings)
            mine = self.instances[self.instances["group"] == group] if len(self.instances) else self.instances
            found = with_systematic(summarize(batch, size_distributions(batch, mine)), batch)
            result[group] = self._told(found, self._doubt(batch))
        return result

    @cached_property
    def by_image(self) -> dict[str, dict[str, Estimate]]:
        """Fraction of each phase in each image alone, its interval from the structure inside (integral range)."""
        found: Summary = {
            image.name: {
                name: guarded(
                    functools.partial(
                        phase_fraction, image.counts[None], index, [image.covariance], name=name
                    )
                )
                for index, name in enumerate(self.phases.names)
            }
            for image in self.images
        }
        for image in self.images if self.verification is None else ():
            batch = replace(self.batch, images=(image,), settings=replace(self.settings, replicate="image"))
            doubt = self._doubt(batch)
            if doubt is not None:
                found[image.name] = doubt.join({"fraction": found[image.name]})["fraction"]
        return {name: self.worth.tell(estimates) for name, estimates in found.items()}

    @cached_property
    def by_depth(self) -> dict[str, dict[str, Estimate]]:
        """Fraction of each phase in tenths of the depth."""
        bands = np.array([image.bands for image in self.images])
        units = self.batch.units
        found = {
            name: attempt(functools.partial(depth_profile, bands, index, units=units), ("all",))
            for index, name in enumerate(self.phases.names)
        }
        return {name: self.worth.tell(estimates) for name, estimates in found.items()}

    @cached_property
    def planning(self) -> list[dict[str, Any]]:
        """How many images and particles the main numbers need: a row a number, with a `sentence`."""
        return plan(self.summary, {} if self.mixed else self.sizes)

    def with_reference_points(self, points: pd.DataFrame) -> Analysis:
        """The same analysis, its summary with `fraction_by_points`: corrected by labelled points on these images.

        Args:
            points: Of `draw_reference_points`, its column `reference` filled in.

        Raises:
            InputError: If the points lie on other images, or cannot correct these fractions
                (`from_reference_points`).
        """
        known = {image.name for image in self.images}
        foreign = sorted(set(points.get("image", pd.Series(dtype=str)).astype(str)) - known)
        if foreign:
            raise InputError(
                f"reference points: must lie on the images of this analysis. {foreign[0]} is none of them."
            )
        if self.mask_phases is not None and merges(self.mask_phases, self.settings):
            points = points.replace(
                {"mapped": PORE_BACK, "reference": PORE_BACK}, front_pore(self.mask_phases)
            )
        counts = np.array([image.counts for image in self.images])
        estimates = from_reference_points(counts, points, self.phases, units=self.batch.units)
        return replace(self, by_points=with_doubt(estimates, self.batch))

    def with_electrode(self, electrode: Electrode) -> Analysis:
        """The same analysis, its porosity held against mass and thickness: `porosity_difference` and its parts.

        Raises:
            InputError: If no phase is a pore.
        """
        if not self.phases.with_role("pore"):
            raise InputError("electrode: the masks must have a phase with the role pore. Received none.")
        return replace(self, electrode=electrode)

    @cached_property
    def instances(self) -> pd.DataFrame:
        """One row an instance: image, what its mask is worth, group, phase, then the columns of `measure_instances`."""
        tables = [image.instances for image in self.images if len(image.instances)]
        table = pd.concat(tables or [self.images[0].instances], ignore_index=True)
        if "image" in table:
            worth = {image.name: self.worth.of(image.name) for image in self.images}
            table.insert(1, "masks", table["image"].map(worth))
        return table

    @cached_property
    def per_image(self) -> pd.DataFrame:
        """One row an image: size, known share, fractions, boundary densities, numbers of instances."""
        return image_table(self)

    @cached_property
    def methods(self) -> list[str]:
        """Every method that was used, once, with its reference: the methods paragraph of a report."""
        used: dict[str, str] = {}
        for estimates in [*self.summary.values(), *self.by_depth.values()]:
            for estimate in estimates.values():
                used.setdefault(estimate.method, estimate.reference)
        return [f"{method} [{reference}]." for method, reference in used.items() if method]

    def labels(self, name: str, mask: np.ndarray, given: np.ndarray | None = None) -> np.ndarray:
        """Label image (height, width) int32 of the particles of one mask, as this analysis separated them.

        Args:
            name: The image's name.
            mask: Its mask again, for an analysis keeps none.
            given: The label image that it was measured with, if there was one.

        Raises:
            InputError: If the mask is not the one that was measured under this name.
        """
        self._check_known(name, mask)
        labels = np.zeros(mask.shape, np.int32)
        for phase in self.phases.with_role("particle"):
            found, _ = labelled(mask, self.phases[phase], self.settings, self._used(name, given))
            labels[found > 0] = found[found > 0] + labels.max()
        return labels

    def cracks(
        self,
        name: str,
        mask: np.ndarray,
        micrograph: np.ndarray | None = None,
        labels: np.ndarray | None = None,
    ) -> np.ndarray:
        """Where the cracks are that were counted in one mask, Boolean (height, width).

        Args:
            name: The image's name.
            mask: Its mask again, for an analysis keeps none.
            micrograph: Its micrograph, if that was the evidence.
            labels: The label image that it was measured with, if there was one.

        Raises:
            InputError: If the mask is not the one that was measured under this name.
        """
        self._check_known(name, mask)
        phases = self.mask_phases or self.phases
        if merges(phases, self.settings):
            mask, phases = merge_pore_back(mask, phases)
        dark = dark_evidence(mask, phases, self.settings, micrograph)
        opening = self.settings.crack_opening_px
        used = self._used(name, labels)
        return find_cracks(mask, phases, opening_px=opening, dark=dark, labels=used, as_pieces=True)

    def _used(self, name: str, labels: np.ndarray | None) -> np.ndarray | None:
        """The label image, if this analysis measured with it; one that did not fit the mask it left aside."""
        return labels if any(i.name == name and i.separation == LABELS for i in self.images) else None

    def _check_known(self, name: str, mask: np.ndarray) -> None:
        known = {image.name: image.sha256 for image in self.images}
        if known.get(name) != pixel_sha256(mask):
            raise InputError(f"{name}: must be the mask that this analysis measured under that name.")

    def to_dict(self) -> dict[str, Any]:
        """Plain values of everything but the instances: what `summary.json` holds."""
        return plain_values(self)

    def write(self, out: str | Path, *, force: bool = False) -> Path:
        """Write `summary.json`, `per_image.csv`, `instances.csv` and `instances.parquet` into folder `out`.

        Raises:
            InputError: If `out` is not empty and `force` is not set.
        """
        with atomic_folder(out, force=force) as folder:
            self.write_into(folder)
        return Path(out)

    def write_into(self, folder: str | Path) -> None:
        """Write the files of `write` into an existing folder."""
        write_tables(self, Path(folder))
