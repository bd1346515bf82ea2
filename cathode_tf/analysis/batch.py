"""Segmentation masks of a batch in, `Analysis` out: every quantity with its interval, and a row per instance.

A mask is in memory only while it is measured; the sums over images make every number.
"""

from __future__ import annotations

import functools
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cathode_tf.analysis.borders import with_borders
from cathode_tf.analysis.image import (
    LABELS,
    PORE_BACK,
    ImageMeasures,
    Settings,
    dark_evidence,
    front_pore,
    labelled,
    measure_image,
    merge_pore_back,
    merges,
    without_pore_back,
)
from cathode_tf.analysis.interfaces import boundary_lengths
from cathode_tf.analysis.layers import depth_profile
from cathode_tf.analysis.likeness import families
from cathode_tf.analysis.porosity import Electrode
from cathode_tf.analysis.segmentation import Doubt, Drawn, doubt_of, measure_draws, together
from cathode_tf.analysis.summary import (
    Batch,
    fitted,
    porosities,
    size_distributions,
    summarize,
    with_doubt,
    with_systematic,
)
from cathode_tf.analysis.worth import WITH_THE_MASKS, Worth
from cathode_tf.errors import InputError
from cathode_tf.files import atomic_file, atomic_folder, pixel_sha256, write_json
from cathode_tf.imaging.draws import Draws
from cathode_tf.imaging.stories import CORRECTED, HUMAN, MODEL, Story
from cathode_tf.particles.fragmentation import parent_estimates
from cathode_tf.particles.parents import find_cracks
from cathode_tf.phases import Phases
from cathode_tf.statistics.estimate import Estimate, check_pixel_size, common_pixel_size
from cathode_tf.statistics.fractions import phase_fraction
from cathode_tf.statistics.guard import attempt, guarded
from cathode_tf.statistics.planning import plan
from cathode_tf.statistics.reference_points import from_reference_points
from cathode_tf.statistics.sizes import SizeDistribution
from cathode_tf.statistics.summaries import Summary, summary_dict
from cathode_tf.statistics.transfer import TestErrors, read_evaluation
from cathode_tf.statistics.verification import Verification
from cathode_tf.version import __version__

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
        return pd.DataFrame([_row(image, self) for image in self.images])

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

        return {
            "masks": self.worth.to_dict(),
            "version": __version__,
            "python": platform.python_version(),
            "pixel_size_nm": self.pixel_size_nm,
            "pixel_size_source": self.pixel_size_source,
            "length_unit": self.unit,
            **({"pixel_sizes_nm": list(self.mixed)} if self.mixed else {}),
            **({"same_place": [list(members) for members in self.families]} if self.families else {}),
            "phases": self.phases.to_list(),
            "settings": vars(self.settings),
            "images": [
                {
                    "image": image.name,
                    "group": image.group,
                    "shape": list(image.shape),
                    "mask_sha256": image.sha256,
                    **({"mask": self.mask_files[image.name]} if image.name in self.mask_files else {}),
                    "separation": image.separation,
                }
                for image in self.images
            ],
            "summary": summary_dict(self.summary),
            "by_depth": summary_dict(self.by_depth),
            "by_image": summary_dict(self.by_image),
            "sizes": {name: sizes.to_dict() for name, sizes in self.sizes.items()},
            "planning": self.planning,
            "by_group": {group: summary_dict(summary) for group, summary in self.by_group.items()},
            "per_image": self.per_image.to_dict("records"),
            "methods": self.methods,
        }

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
        folder = Path(folder)
        write_json(folder / "summary.json", self.to_dict())
        for name, table in ("per_image", self.per_image), ("instances", self.instances):
            with atomic_file(folder / f"{name}.csv") as path:
                table.to_csv(path, index=False, float_format="%.6g")
        with atomic_file(folder / "instances.parquet") as path:
            self.instances.to_parquet(path, index=False)


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
    sized = list(pixel_size_nm) if isinstance(pixel_size_nm, Mapping) else None
    if isinstance(pixel_size_nm, Mapping):
        pixel_size_nm = common_pixel_size(pixel_size_nm)
    check_pixel_size(pixel_size_nm)
    settings = settings or Settings()
    if settings.pixel_size_rel is not None and pixel_size_nm is None:
        raise InputError(
            f"pixel_size_rel: must be left out where the pixel size is unknown. Received {settings.pixel_size_rel}."
        )
    if settings.replicate == "group" and not groups:
        raise InputError("replicate: group needs to know the group of each image. Received no groups.")
    left = without_pore_back(phases) if merges(phases, settings) else phases
    for name in settings.instance_phases or ():
        left[name]
    if isinstance(evaluation, (str, Path)):
        evaluation = read_evaluation(evaluation)
    if evaluation is not None and merges(phases, settings):
        evaluation = evaluation.merged(PORE_BACK, front_pore(phases))
    images = []
    seen = set()
    drawn = {}
    for name, mask, micrograph, labels, draws in _named(masks):
        if name in seen:
            raise InputError(f"{name}: must occur once in a batch. Received two masks of that name.")
        seen.add(name)
        if settings.replicate == "group" and name not in (groups or {}):
            raise InputError(f"groups: must give the group of every image. {name} is missing.")
        group = (groups or {}).get(name, "")
        given: dict[str, Any] = {"pixel_size_nm": pixel_size_nm, "group": group, "micrograph": micrograph}
        given["labels"] = labels
        images.append(measure_image(name, mask, phases, settings=settings, **given))
        if draws is not None and not drawn_by:
            given |= {"settings": settings, "whole": images[-1]}
            drawn[name] = measure_draws(name, np.asarray(mask), draws, phases, **given)
    if not images:
        raise InputError("masks: must hold at least one mask. Received none.")
    for name in sorted(seen.symmetric_difference(sized) if sized is not None else ()):
        what = "no mask has that name" if name not in seen else "its pixel size is missing"
        raise InputError(
            f"pixel sizes: must be given for the images of the batch and no others. {name}: {what}."
        )
    found = [] if groups else families({image.name: image.view for image in images})
    if found:
        images, settings = _as_families(images, found), replace(settings, replicate="group")
    return Analysis(
        left,
        pixel_size_nm,
        tuple(images),
        settings,
        evaluation,
        mask_phases=phases,
        drawn_by=drawn_by,
        families=tuple(map(tuple, found)),
        drawn=drawn,
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


def _row(image: ImageMeasures, analysis: Analysis) -> dict[str, Any]:
    known = int(image.counts.sum())
    scale = 1.0 if analysis.pixel_size_nm is None else 1000 / analysis.pixel_size_nm
    lengths, areas = boundary_lengths([image.intercepts])
    row: dict[str, Any] = {
        "image": image.name,
        "masks": analysis.worth.of(image.name),
        "group": image.group,
        "height_px": image.shape[0],
        "width_px": image.shape[1],
        "known_share": known / (image.shape[0] * image.shape[1]),
    }
    for index, name in enumerate(analysis.phases.names):
        row[f"fraction_{name}"] = image.counts[index] / known
    for index, name in enumerate(analysis.phases.names):
        per_area = lengths[0, index].sum() / areas[0] if areas[0] else np.nan
        row[f"boundary_density_{name}_per_{analysis.unit}"] = per_area * scale
    for name in analysis.batch.instance_phases:
        table = image.instances
        row[f"count_{name}"] = int((table["phase"] == name).sum()) if len(table) else 0
    return row | _cracks_row(image, analysis)


def _cracks_row(image: ImageMeasures, analysis: Analysis) -> dict[str, float | None]:
    """Cracks of one image, named as in the summary; None where it shows no particle."""
    if not len(image.parents.columns):
        return {}
    found = parent_estimates(image.parents, [image.name], analysis.pixel_size_nm)
    particles = "+".join(analysis.phases.with_role("particle"))
    units = {"crack_length_density": f"_per_{analysis.unit}"}
    names = ("crack_length_density", "fragments_per_particle", "cracked_particle_fraction")
    return {f"{name}_{particles}{units.get(name, '')}": found[name].value for name in names}
