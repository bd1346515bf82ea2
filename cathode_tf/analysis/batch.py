"""Segmentation masks of a batch in, `Analysis` out: every quantity with its interval, and a row per instance.

`measure_image` looks at one mask and keeps sums; `Analysis` adds the sums up, over all images and over each
group, into `Estimate`s. So a mask is in memory only while it is measured.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cathode_tf.analysis.estimate import Estimate, check_pixel_size, ratio_estimate
from cathode_tf.analysis.fractions import Covariance, covariance, phase_counts, phase_fraction, sum_by_group
from cathode_tf.analysis.instances import DEPTH, label_instances
from cathode_tf.analysis.interfaces import (
    Intercepts,
    boundary_density,
    boundary_lengths,
    contact_fraction,
    intercepts,
    surface_density,
    triple_point_density,
)
from cathode_tf.analysis.measures import measure_instances
from cathode_tf.errors import InputError
from cathode_tf.files import atomic_file, atomic_folder, pixel_sha256, write_json
from cathode_tf.phases import Phases

MIN_AREA_PX = 20
"""Default: smaller instances are noise; they stay in the fractions and leave the lists."""

Summary = dict[str, dict[str, Estimate]]


@dataclass(frozen=True)
class Settings:
    """What an analysis was told; it is written beside the numbers.

    Attributes:
        neck_depth: Touching particles are separated at necks of at least this relative depth (0-1).
        min_area_px: Instances below this area are noise.
        instance_phases: Phases whose instances are listed; None: all.
        replicate: `"image"`, or `"group"` where images of one group (stack, electrode) are not independent.
    """

    neck_depth: float = DEPTH
    min_area_px: int = MIN_AREA_PX
    instance_phases: tuple[str, ...] | None = None
    replicate: str = "image"


@dataclass(frozen=True)
class ImageMeasures:
    """The sums of one mask from which every batch quantity follows."""

    name: str
    group: str
    shape: tuple[int, int]
    sha256: str
    counts: np.ndarray
    covariance: Covariance
    intercepts: Intercepts
    instances: pd.DataFrame


def measure_image(
    name: str,
    mask: np.ndarray,
    phases: Phases,
    *,
    pixel_size_nm: float | None = None,
    group: str = "",
    settings: Settings | None = None,
) -> ImageMeasures:
    """Measure one mask.

    Args:
        name: What to call it in tables.
        mask: uint8 (height, width) of phase ids; 255 is ignored.
        phases: Names and ids.
        pixel_size_nm: None = unknown.
        group: Stack, electrode or session it belongs to.
        settings: How to separate particles; default `Settings()`.

    Raises:
        InputError: If the mask is no mask of these phases, or all of it is ignored.
    """
    settings = settings or Settings()
    mask = _checked(name, mask, phases)
    counts = phase_counts(mask, phases)
    if not counts.sum():
        raise InputError(
            f"{name}: must hold pixels of a phase. All {mask.size} are ignored (255): leave this mask out."
        )
    return ImageMeasures(
        name,
        group,
        (mask.shape[0], mask.shape[1]),
        pixel_sha256(mask),
        counts,
        covariance(mask, phases),
        intercepts(mask, phases),
        _instances(name, group, mask, phases, pixel_size_nm, settings),
    )


def _checked(name: str, mask: np.ndarray, phases: Phases) -> np.ndarray:
    mask = np.asarray(mask)
    if mask.ndim != 2 or not mask.size:
        raise InputError(
            f"{name}: must be a mask (height, width) with at least one pixel. Received shape {mask.shape}."
        )
    phases.check_mask(mask, name)
    return mask


def separated(mask: np.ndarray, phase_id: int, separate: bool, settings: Settings) -> np.ndarray:
    """Label image of a phase's instances with an analysis's settings."""
    return label_instances(
        mask, phase_id, separate=separate, depth=settings.neck_depth, min_area_px=settings.min_area_px
    )


def _instances(
    name: str,
    group: str,
    mask: np.ndarray,
    phases: Phases,
    pixel_size_nm: float | None,
    settings: Settings,
) -> pd.DataFrame:
    tables = []
    for phase in phases:
        if settings.instance_phases is not None and phase.name not in settings.instance_phases:
            continue
        labels = separated(mask, phase.id, phase.role == "particle", settings)
        table = measure_instances(labels, pixel_size_nm=pixel_size_nm)
        table.insert(0, "phase", phase.name)
        tables.append(table)
    if not tables:
        return pd.DataFrame()
    table = pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)
    table.insert(0, "group", group)
    table.insert(0, "image", name)
    return table


@dataclass(frozen=True)
class Analysis:
    """What a batch of masks says.

    Attributes:
        phases: Names and ids.
        pixel_size_nm: None = unknown; then every length is in px.
        images: The sums of each image.
        settings: What the analysis was told.
    """

    phases: Phases
    pixel_size_nm: float | None
    images: tuple[ImageMeasures, ...]
    settings: Settings = field(default_factory=Settings)

    @property
    def unit(self) -> str:
        """Unit of lengths: `"um"`, or `"px"` where the pixel size is unknown."""
        return "px" if self.pixel_size_nm is None else "um"

    @cached_property
    def summary(self) -> Summary:
        """Every batch quantity: quantity -> phase (or `a|b`) -> `Estimate`."""
        return summarize(self.images, self.phases, self.pixel_size_nm, self.settings)

    @cached_property
    def by_group(self) -> dict[str, Summary]:
        """`summary` of the images of each group; empty with fewer than two groups."""
        groups = list(dict.fromkeys(image.group for image in self.images))
        if len(groups) < 2:
            return {}
        settings = Settings(**{**vars(self.settings), "replicate": "image"})
        return {
            group: summarize(
                [image for image in self.images if image.group == group],
                self.phases,
                self.pixel_size_nm,
                settings,
            )
            for group in groups
        }

    @cached_property
    def instances(self) -> pd.DataFrame:
        """One row an instance: image, group, phase, then the columns of `measure_instances`."""
        tables = [image.instances for image in self.images if len(image.instances)]
        return pd.concat(tables or [self.images[0].instances], ignore_index=True)

    @cached_property
    def per_image(self) -> pd.DataFrame:
        """One row an image: size, known share, fractions, boundary densities, numbers of instances."""
        return pd.DataFrame([_row(image, self) for image in self.images])

    @cached_property
    def methods(self) -> list[str]:
        """Every method that was used, once, with its reference: the methods paragraph of a report."""
        used: dict[str, str] = {}
        for estimates in self.summary.values():
            for estimate in estimates.values():
                used.setdefault(estimate.method, estimate.reference)
        return [f"{method} [{reference}]." for method, reference in used.items() if method]

    def labels(self, name: str, mask: np.ndarray) -> np.ndarray:
        """Label image (height, width) int32 of the particles of one mask, as this analysis separated them.

        Args:
            name: The image's name.
            mask: Its mask again, for an analysis keeps none.

        Raises:
            InputError: If the mask is not the one that was measured under this name.
        """
        known = {image.name: image.sha256 for image in self.images}
        if known.get(name) != pixel_sha256(mask):
            raise InputError(f"{name}: must be the mask that this analysis measured under that name.")
        labels = np.zeros(mask.shape, np.int32)
        for phase in self.phases.with_role("particle"):
            found = separated(mask, self.phases[phase].id, True, self.settings)
            labels[found > 0] = found[found > 0] + labels.max()
        return labels

    def to_dict(self) -> dict[str, Any]:
        """Plain values of everything but the instances: what `summary.json` holds."""
        from cathode_tf import __version__

        return {
            "version": __version__,
            "python": platform.python_version(),
            "pixel_size_nm": self.pixel_size_nm,
            "length_unit": self.unit,
            "phases": self.phases.to_list(),
            "settings": vars(self.settings),
            "images": [
                {
                    "image": image.name,
                    "group": image.group,
                    "shape": list(image.shape),
                    "mask_sha256": image.sha256,
                }
                for image in self.images
            ],
            "summary": summary_dict(self.summary),
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


def summary_dict(summary: Summary) -> dict[str, dict[str, Any]]:
    """A summary as plain values."""
    return {
        quantity: {phase: estimate.to_dict() for phase, estimate in estimates.items()}
        for quantity, estimates in summary.items()
    }


def analyze(
    masks: Mapping[str, np.ndarray] | Iterable[Any],
    phases: Phases,
    *,
    pixel_size_nm: float | None = None,
    groups: Mapping[str, str] | None = None,
    settings: Settings | None = None,
) -> Analysis:
    """Measure a batch of segmentation masks.

    Args:
        masks: Name -> mask, or masks, or (name, mask) pairs, which may be made one at a time by a generator.
            A mask is uint8 (height, width) of phase ids; 255 is ignored.
        phases: Names, ids and roles: instances of `particle` phases are separated where they touch.
        pixel_size_nm: One pixel's side, the same for all images; None = unknown: everything is in px.
        groups: Image name -> group (stack, electrode); with `Settings(replicate="group")` the groups are the
            independent units.
        settings: How to measure; default `Settings()`.

    Returns:
        The analysis; `.summary["fraction"]["ncm"]` is an `Estimate`.

    Raises:
        InputError: If there is no mask, two have the same name, one is not a mask of these phases, or the
            pixel size is not above 0.

    Example:
        >>> stripe = np.zeros((100, 100), np.uint8); stripe[:, :30] = 1
        >>> analysis = analyze({"a": stripe, "b": stripe.T}, Phases.default())
        >>> print(analysis.summary["fraction"]["ncm"].value)
        0.3
    """
    check_pixel_size(pixel_size_nm)
    settings = settings or Settings()
    _check_settings(settings, phases, groups)
    images = []
    seen = set()
    for name, mask in _named(masks):
        if name in seen:
            raise InputError(f"{name}: must occur once in a batch. Received two masks of that name.")
        seen.add(name)
        group = (groups or {}).get(name, "")
        images.append(
            measure_image(name, mask, phases, pixel_size_nm=pixel_size_nm, group=group, settings=settings)
        )
    if not images:
        raise InputError("masks: must hold at least one mask. Received none.")
    return Analysis(phases, pixel_size_nm, tuple(images), settings)


def _check_settings(settings: Settings, phases: Phases, groups: Mapping[str, str] | None) -> None:
    if settings.replicate not in ("image", "group"):
        raise InputError(f"replicate: must be image or group. Received {settings.replicate!r}.")
    if settings.replicate == "group" and not groups:
        raise InputError("replicate: group needs to know the group of each image. Received no groups.")
    for name in settings.instance_phases or ():
        phases[name]


def _named(masks: Mapping[str, np.ndarray] | Iterable[Any]) -> Iterator[tuple[str, np.ndarray]]:
    if isinstance(masks, np.ndarray) and masks.ndim == 2:
        masks = [masks]
    if isinstance(masks, Mapping):
        yield from masks.items()
        return
    for number, item in enumerate(masks):
        yield item if isinstance(item, tuple) else (f"image_{number:04d}", item)


def summarize(
    images: Sequence[ImageMeasures], phases: Phases, pixel_size_nm: float | None, settings: Settings
) -> Summary:
    """Every batch quantity of these images."""
    units = [image.group for image in images] if settings.replicate == "group" else None
    counts = np.array([image.counts for image in images])
    tables = [image.covariance for image in images]
    met = [image.intercepts for image in images]
    names = phases.names
    pairs = [(i, j) for i in range(len(names)) for j in range(i + 1, len(names))]
    length = {"pixel_size_nm": pixel_size_nm, "units": units}
    summary: Summary = {
        "fraction": {
            name: phase_fraction(counts, index, tables, units=units, name=name)
            for index, name in enumerate(names)
        },
        "boundary_density": {
            f"{names[i]}|{names[j]}": boundary_density(met, i, j, **length) for i, j in pairs
        },
        "surface_density": {name: surface_density(met, index, **length) for index, name in enumerate(names)},
        "contact_fraction": {
            f"{names[i]}|{names[j]}": contact_fraction(met, i, [j], units=units)
            for i in range(len(names))
            for j in range(len(names))
            if i != j
        },
        "coverage": _coverage(met, phases, units),
        "number_density": _number_density(images, phases, pixel_size_nm, units, settings),
    }
    if len(phases) > 2:
        summary["triple_point_density"] = {"all": triple_point_density(met, **length)}
    return {quantity: estimates for quantity, estimates in summary.items() if estimates}


def _coverage(met: Sequence[Intercepts], phases: Phases, units: Sequence[str] | None) -> dict[str, Estimate]:
    """Share of each particle phase's surface that binder, additive, or either covers."""
    covers = {role: phases.with_role(role) for role in ("binder", "additive")}
    if covers["binder"] and covers["additive"]:
        covers["binder+additive"] = covers["binder"] + covers["additive"]
    index = phases.names.index
    return {
        f"{particle}|{cover}": contact_fraction(met, index(particle), [index(n) for n in names], units=units)
        for particle in phases.with_role("particle")
        for cover, names in covers.items()
        if names
    }


def _number_density(
    images: Sequence[ImageMeasures],
    phases: Phases,
    pixel_size_nm: float | None,
    units: Sequence[str] | None,
    settings: Settings,
) -> dict[str, Estimate]:
    """Instances per area, by phase; one that touches the border counts half."""
    scale = 1.0 if pixel_size_nm is None else (1000 / pixel_size_nm) ** 2
    areas = np.array([image.counts.sum() for image in images], float)
    result = {}
    for name in settings.instance_phases or phases.names:
        numbers = np.array([_number(image.instances, name) for image in images])
        if units is None:
            y, x = numbers * scale, areas
        else:
            y, x = sum_by_group(numbers * scale, units), sum_by_group(areas, units)
        result[name] = ratio_estimate(
            y,
            x,
            unit="1/px2" if pixel_size_nm is None else "1/um2",
            unit_of_replication="image" if units is None else "group",
            method="instances per area; one that the frame cuts counts half",
            reference="Underwood, Quantitative Stereology, Addison-Wesley 1970",
            what=name,
        )
    return result


def _number(instances: pd.DataFrame, phase: str) -> float:
    if not len(instances):
        return 0.0
    mine = instances[instances["phase"] == phase]
    return float(len(mine) - 0.5 * mine["touches_border"].sum())


def _row(image: ImageMeasures, analysis: Analysis) -> dict[str, Any]:
    known = int(image.counts.sum())
    scale = 1.0 if analysis.pixel_size_nm is None else 1000 / analysis.pixel_size_nm
    lengths, areas = boundary_lengths([image.intercepts])
    row: dict[str, Any] = {
        "image": image.name,
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
    for name in analysis.settings.instance_phases or analysis.phases.names:
        table = image.instances
        row[f"count_{name}"] = int((table["phase"] == name).sum()) if len(table) else 0
    return row
