"""One segmentation mask in, the sums and instance tables from which every batch quantity follows, out."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from cathode_tf.analysis.counts import covariance, phase_counts
from cathode_tf.analysis.interfaces import Intercepts, intercepts
from cathode_tf.analysis.layers import DEPTH_AXES, band_counts
from cathode_tf.analysis.likeness import view_of
from cathode_tf.analysis.pores import PoreMeasures, measure_pores
from cathode_tf.errors import InputError, InputWarning
from cathode_tf.files import pixel_sha256
from cathode_tf.particles.dark_lines import dark_lines
from cathode_tf.particles.instances import DEPTH, Separation, label_instances, without_small
from cathode_tf.particles.measures import measure_instances
from cathode_tf.particles.parents import LEAST_OPENING_PX, measure_parents
from cathode_tf.phases import IGNORE, Phase, Phases
from cathode_tf.statistics.fractions import Covariance
from cathode_tf.statistics.sizes import SAMPLE_TYPES
from cathode_tf.statistics.stereology import UNFOLDINGS

MIN_AREA_PX = 20
"""Default: smaller instances are noise; they stay in the fractions and leave the lists."""

EVIDENCE = ("mask", "micrograph")
"""What may show a crack."""

OUTLINES = "outlines of the mask"
"""Touching particles are told apart by what the mask alone shows."""
LABELS = "label images beside the masks"
"""They were told apart before, by the network or by hand."""
FITS = 0.98
"""A label image is that of a mask if it covers so much of its particles, and no more of what is none."""

PORE_BACK = "pore_back"
"""Name of the phase for walls that are seen through an open pore, and so lie behind the section."""


@dataclass(frozen=True)
class Settings:
    """What an analysis was told; it is written beside the numbers.

    Attributes:
        neck_depth: Touching particles are separated at necks of at least this relative depth (0-1).
        min_area_px: Instances below this area are noise.
        instance_phases: Phases whose instances are listed; None: all.
        replicate: `"image"`, or `"group"` where images of one group (stack, electrode) are not independent.
        sample_type: `"section"` (through an electrode) or `"dispersed"` (powder spread out flat).
        unfolding: Of section profiles to spheres: `"em"` or `"saltykov"`.
        depth_axis: Where the electrode's depth runs: `"rows"` (downwards) or `"columns"`.
        fragmentation: Measure cracks and fragments of particles (definition `frag/2`).
        crack_opening_px: Widest opening of a crack; None: a share of the typical particle's diameter, found in each
            image.
        crack_evidence: `"mask"`: cracks are what the mask shows; `"micrograph"`: dark lines of the micrograph inside
            particles are cracks, too.
        fines_diameter: Free pieces below this diameter (um, or px) are fines; None: not reported.
        edge_px: Standard uncertainty of where outlines lie, common to all images, px; None: not counted in.
        pixel_size_rel: Relative standard uncertainty of the pixel size; None: not counted in.
        merge_pore_back: Count a phase named `pore_back` as pore, and say how much it was.
    """

    neck_depth: float = DEPTH
    min_area_px: int = MIN_AREA_PX
    instance_phases: tuple[str, ...] | None = None
    replicate: str = "image"
    sample_type: str = "section"
    unfolding: str = "em"
    depth_axis: str = "rows"
    fragmentation: bool = True
    crack_opening_px: float | None = None
    crack_evidence: str = "mask"
    fines_diameter: float | None = None
    edge_px: float | None = None
    pixel_size_rel: float | None = None
    merge_pore_back: bool = True

    def __post_init__(self) -> None:
        choices = {
            "replicate": ("image", "group"),
            "sample_type": SAMPLE_TYPES,
            "unfolding": UNFOLDINGS,
            "depth_axis": DEPTH_AXES,
            "crack_evidence": EVIDENCE,
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise InputError(f"{name}: must be {' or '.join(allowed)}. Received {getattr(self, name)!r}.")
        if not 0 <= self.neck_depth <= 1:
            raise InputError(f"neck_depth: must be 0 to 1. Received {self.neck_depth}.")
        if self.min_area_px < 0:
            raise InputError(f"min_area_px: must be 0 or more. Received {self.min_area_px}.")
        if self.crack_opening_px is not None and not 1 <= self.crack_opening_px < math.inf:
            raise InputError(f"crack_opening_px: must be at least 1 px. Received {self.crack_opening_px}.")
        for name in ("edge_px", "pixel_size_rel"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise InputError(f"{name}: must be 0 or more. Received {value}.")
        if self.fines_diameter is not None and not 0 < self.fines_diameter < math.inf:
            raise InputError(f"fines_diameter: must be above 0. Received {self.fines_diameter}.")


@dataclass(frozen=True)
class ImageMeasures:
    """The sums of one mask.

    Attributes:
        name, group: Of the image.
        shape: Height and width, px.
        sha256: Of the mask as it was given.
        counts: Pixels by phase.
        pore_back_px: Pixels that were `pore_back` before it was merged.
        bands: Pixels by strip, band of depth and phase.
        covariance: Two-point sums.
        intercepts: Changes of phase along test lines.
        instances: One row an instance.
        parents: One row a particle as it was before it cracked.
        wider_cracks: Crack length and particle area if cracks could open twice as wide.
        view: A small view of the mask, to find images of one place.
        faults: What could not be measured here (`"fragmentation"`, `"pores"`, `"instances of ncm"`), and why.
        pores: Sums over the pore space; None where no phase is a pore.
        neck_counts: Instances of each particle phase by neck depth, where the outlines separated them.
        separation: What told touching particles apart.
        left_out: Particles below the smallest area, by phase.
    """

    name: str
    group: str
    shape: tuple[int, int]
    sha256: str
    counts: np.ndarray
    pore_back_px: int
    bands: np.ndarray
    covariance: Covariance
    intercepts: Intercepts
    instances: pd.DataFrame
    parents: pd.DataFrame
    pores: PoreMeasures | None
    neck_counts: Mapping[str, Mapping[float, int]] = field(default_factory=dict)
    wider_cracks: tuple[float, float] = (0.0, 0.0)
    faults: Mapping[str, str] = field(default_factory=dict)
    view: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.uint8))
    separation: str = OUTLINES
    left_out: Mapping[str, int] = field(default_factory=dict)


def measure_image(
    name: str,
    mask: np.ndarray,
    phases: Phases,
    *,
    pixel_size_nm: float | None = None,
    group: str = "",
    settings: Settings | None = None,
    micrograph: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    quick: bool = False,
) -> ImageMeasures:
    """Measure one mask.

    Args:
        name: What to call it in tables.
        mask: uint8 (height, width) of phase ids; 255 is ignored.
        phases: Names and ids.
        pixel_size_nm: None = unknown.
        group: Stack, electrode or session it belongs to.
        settings: How to measure; default `Settings()`.
        micrograph: What the mask is of, (height, width); needed where it is the evidence for cracks.
        labels: Label image (height, width) of the particles, of the network or corrected; None, or one that does not
            fit the mask: the outlines tell touching particles apart.
        quick: Leave out how numbers hang on the settings (neck depth, crack opening).

    Raises:
        InputError: If the mask is no mask of these phases, or all of it is ignored, or the micrograph is needed and
            missing, or of another shape.
    """
    settings = settings or Settings()
    mask = np.asarray(mask)
    if settings.crack_evidence == "micrograph" and micrograph is None:
        raise InputError(
            f"{name}: must come with its micrograph, as crack_evidence is micrograph. Received none."
        )
    mask = checked(name, mask, phases)
    sha256 = pixel_sha256(mask)
    pore_back_px = 0
    if merges(phases, settings):
        pore_back_px = int(np.count_nonzero(mask == phases[PORE_BACK].id))
        mask, phases = merge_pore_back(mask, phases)
    counts = phase_counts(mask, phases)
    if not counts.sum():
        raise InputError(
            f"{name}: must hold pixels of a phase. All {mask.size} are ignored (255): leave this mask out."
        )
    faults: dict[str, str] = {}
    tables, necks, left_out = [], {}, {}
    given = fitting(name, labels, mask, phases)
    for phase in phases:
        if settings.instance_phases is None or phase.name in settings.instance_phases:
            with _noting(faults, f"instances of {phase.name}", name):
                table, counted, left_out[phase.name] = _instances(
                    mask, phase, pixel_size_nm, settings, given, quick
                )
                tables.append(table)
                if counted:
                    necks[phase.name] = counted
    parents = wider = pd.DataFrame()
    with _noting(faults, "fragmentation", name):
        dark = dark_evidence(mask, phases, settings, micrograph)
        parents = _parents(mask, phases, pixel_size_nm, name, settings, dark, given)
        if not quick:
            opening = float(parents["opening_px"].iloc[0]) if len(parents) else LEAST_OPENING_PX
            twice = replace(settings, crack_opening_px=2 * opening)
            wider = _parents(mask, phases, pixel_size_nm, name, twice, dark, given)
    pores = None
    with _noting(faults, "pores", name):
        pores = measure_pores(mask, phases) if phases.with_role("pore") else None
    return ImageMeasures(
        name,
        group,
        (mask.shape[0], mask.shape[1]),
        sha256,
        counts,
        pore_back_px,
        band_counts(mask, phases, settings.depth_axis),
        covariance(mask, phases),
        intercepts(mask, phases),
        _stacked(tables, name, group),
        parents,
        pores,
        necks,
        (float(wider["crack_length"].sum()), float(wider["area"].sum()))
        if len(wider.columns)
        else (0.0, 0.0),
        faults,
        view_of(mask, phases),
        OUTLINES if given is None else LABELS,
        left_out,
    )


@contextlib.contextmanager
def _noting(faults: dict[str, str], measure: str, name: str) -> Iterator[None]:
    """A measure that fails on an odd mask is noted, and fails for itself alone; an `InputError` passes."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        faults[measure] = f"{name}, {measure}: {type(error).__name__}: {error}"


def dark_evidence(
    mask: np.ndarray, phases: Phases, settings: Settings, micrograph: np.ndarray | None
) -> np.ndarray | None:
    """Dark lines in the particles of a micrograph, Boolean (height, width); None where they are no evidence."""
    if not settings.fragmentation or settings.crack_evidence != "micrograph" or micrograph is None:
        return None
    particles = [phases[name].id for name in phases.with_role("particle")]
    return dark_lines(micrograph, np.isin(mask, particles))


def checked(name: str, mask: np.ndarray, phases: Phases) -> np.ndarray:
    """The mask as an array, if it is a mask of these phases."""
    mask = np.asarray(mask)
    if mask.ndim != 2 or not mask.size:
        raise InputError(
            f"{name}: must be a mask (height, width) with at least one pixel. Received shape {mask.shape}."
        )
    phases.check_mask(mask, name)
    return mask


def merges(phases: Phases, settings: Settings) -> bool:
    """Whether `pore_back` is to be counted as pore."""
    return settings.merge_pore_back and PORE_BACK in phases and bool(_front_pores(phases))


def _front_pores(phases: Phases) -> tuple[str, ...]:
    return tuple(name for name in phases.with_role("pore") if name != PORE_BACK)


def front_pore(phases: Phases) -> str:
    """The phase that `pore_back` is counted as."""
    return _front_pores(phases)[0]


def without_pore_back(phases: Phases) -> Phases:
    """The phases that are left when `pore_back` has become pore."""
    return Phases(tuple(phase for phase in phases if phase.name != PORE_BACK), phases.ignore_values)


def merge_pore_back(mask: np.ndarray, phases: Phases) -> tuple[np.ndarray, Phases]:
    """A mask in which the walls seen through open pores are pore, and its phases.

    Example:
        >>> phases = Phases.from_names(["pore", "ncm", "pore_back"])
        >>> merged, left = merge_pore_back(np.array([[0, 1, 2]], np.uint8), phases)
        >>> merged.tolist(), left.names
        ([[0, 1, 0]], ('pore', 'ncm'))
    """
    into = phases[front_pore(phases)].id
    merged = np.where(mask == phases[PORE_BACK].id, np.uint8(into), mask)
    return merged, without_pore_back(phases)


def _instances(
    mask: np.ndarray,
    phase: Phase,
    pixel_size_nm: float | None,
    settings: Settings,
    given: np.ndarray | None,
    quick: bool = False,
) -> tuple[pd.DataFrame, dict[float, int], int]:
    """Table of one phase's instances, their number at half, once and twice the neck depth, and of those too small."""
    labels, separation = labelled(mask, phase, settings, given)
    table = measure_instances(labels, pixel_size_nm=pixel_size_nm, unknown=mask == IGNORE)
    table.insert(0, "phase", phase.name)
    if separation is None:
        every = 0 if given is None or phase.role != "particle" else len(np.unique(given[mask == phase.id]))
        return table, {}, max(every - len(table), 0)
    if quick:
        return table, {}, 0
    depths = [settings.neck_depth * factor for factor in (0.5, 1.0, 2.0) if settings.neck_depth * factor <= 1]
    counted = {depth: int(separation.labels(depth).max(initial=0)) for depth in depths}
    # Specks below the smallest area are the same at every depth, so they are taken off once.
    specks = counted[settings.neck_depth] - len(table)
    return table, {round(depth, 6): max(number - specks, 0) for depth, number in counted.items()}, specks


def fitting(name: str, labels: np.ndarray | None, mask: np.ndarray, phases: Phases) -> np.ndarray | None:
    """The label image, if it is one of this mask's particles; None, and a warning, if the mask was changed since."""
    if labels is None:
        return None
    labels = np.asarray(labels)
    if labels.shape != mask.shape or labels.dtype.kind not in "iu":
        raise InputError(
            f"{name}: its label image must be whole numbers of the mask's shape {mask.shape}. "
            f"Received {labels.dtype} {labels.shape}."
        )
    solid = np.isin(mask, [phases[each].id for each in phases.with_role("particle")])
    both, either = int((solid & (labels > 0)).sum()), int((solid | (labels > 0)).sum())
    if both < FITS * either:
        warnings.warn(
            f"{name}: its label image must show the particles of the mask. They share {both / max(either, 1):.0%}: "
            f"the mask was changed since, so its outlines tell the particles apart. Segment again, or correct them.",
            InputWarning,
            stacklevel=4,
        )
        return None
    return labels


def labelled(
    mask: np.ndarray, phase: Phase, settings: Settings, given: np.ndarray | None = None
) -> tuple[np.ndarray, Separation | None]:
    """Label image of a phase's instances with an analysis's settings; particles are separated where they touch."""
    if phase.role != "particle":
        return label_instances(mask, phase.id, separate=False, min_area_px=settings.min_area_px), None
    if given is not None:
        return without_small(np.where(mask == phase.id, given, 0), max(settings.min_area_px, 1)), None
    separation = Separation(mask == phase.id)
    return without_small(separation.labels(settings.neck_depth), settings.min_area_px), separation


def _parents(
    mask: np.ndarray,
    phases: Phases,
    pixel_size_nm: float | None,
    name: str,
    settings: Settings,
    dark: np.ndarray | None,
    given: np.ndarray | None,
) -> pd.DataFrame:
    """One row a particle as it was before it cracked; no row where that is not asked for or makes no sense."""
    if not settings.fragmentation or not (phases.with_role("particle") and phases.with_role("pore")):
        return pd.DataFrame()
    opening = settings.crack_opening_px
    table = measure_parents(
        mask,
        phases,
        pixel_size_nm=pixel_size_nm,
        opening_px=opening,
        dark=dark,
        labels=given,
        as_pieces=True,  # the separation network parts a particle along its cracks, too
    )
    table.insert(0, "image", name)
    return table


def _stacked(tables: list[pd.DataFrame], name: str, group: str) -> pd.DataFrame:
    if not tables:
        return pd.DataFrame()
    filled = [table for table in tables if len(table)]
    table = pd.concat(filled or tables[:1], ignore_index=True)
    table.insert(0, "group", group)
    table.insert(0, "image", name)
    return table
