"""A label volume in; fractions, surfaces, contacts, instances, connectivity and thickness in 3-D, out.

The volume is read in slabs and never held as a whole, so that 1024 x 1024 x 1024 voxels need a few GB.
Intervals come from the parts of the volume: one volume cannot show how much the material varies from place to
place.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cathode_tf.files import atomic_file, atomic_folder, write_json
from cathode_tf.particles.instances import DEPTH
from cathode_tf.phases import Phases
from cathode_tf.progress import track
from cathode_tf.statistics.estimate import NO_INTERVAL, Estimate, ratio_estimate
from cathode_tf.statistics.fractions import ABSENT, Covariance, integral_range, larger_interval
from cathode_tf.statistics.fractions import METHOD as FRACTION_METHOD
from cathode_tf.statistics.sizes import size_distribution
from cathode_tf.statistics.summaries import Summary, summary_dict
from cathode_tf.version import __version__
from cathode_tf.volumes.files import Volume
from cathode_tf.volumes.fragmentation import DEFINITION as FRAGMENTATION
from cathode_tf.volumes.fragmentation import fragmentation_estimates, measure_parents
from cathode_tf.volumes.grains import (
    CoarseLabels,
    coarse_share,
    coarse_shrink,
    find_grains,
    local_thickness,
    measure_grains,
)
from cathode_tf.volumes.percolation import Connecting, Connectivity
from cathode_tf.volumes.tortuosity import tortuosity_factor
from cathode_tf.volumes.voxels import (
    SLAB_LAYERS,
    Block,
    CoarseShares,
    add_blocks,
    block_edges,
    slab_sums,
    surface_per_volume,
)

CROFTON = "Ohser and Muecklich, Statistical Analysis of Microstructures, Wiley 2000 (13 directions)"
THICKNESS = "Hildebrand and Ruegsegger, J. Microsc. 185 (1997) 67"
THICKNESS_VOXELS = 3_000_000
MIN_VOXELS = 64
THUMBNAIL = 72
ONE_VOLUME = "one volume says nothing about the spread between volumes"
AXES = "zyx"


@dataclass(frozen=True)
class VolumeAnalysis:
    """What a label volume says.

    Attributes:
        phases: Names and ids.
        shape: Voxels along z, y, x.
        voxel_size_nm: None = unknown; then every length is in voxel edges (px).
        summary: quantity -> phase (or `a|b`, `phase|axis`) -> `Estimate`.
        instances: One row an instance: phase, then the columns of `measure_grains`.
        settings: What the analysis was told.
        layer: The middle layer: uint8 (y, x) of phase ids.
        layer_labels: Its instances, numbered as in the volume: integers (y, x), 0 = none.
        thumbnail: The volume thinned to at most `THUMBNAIL` voxels a side: uint8 (z, y, x) of phase ids.
        thumbnail_spacing: Edges of its voxels, in `unit`.
        masks: What the label volume is and is worth, as `summary.json` shall tell; None: nobody said.
    """

    phases: Phases
    shape: tuple[int, int, int]
    voxel_size_nm: tuple[float, float, float] | None
    summary: Summary
    instances: pd.DataFrame
    settings: dict[str, Any] = field(default_factory=dict)
    layer: np.ndarray | None = None
    layer_labels: np.ndarray | None = None
    thumbnail: np.ndarray | None = None
    thumbnail_spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    masks: dict[str, Any] | None = None

    @property
    def unit(self) -> str:
        """Unit of lengths: `"um"`, or `"px"` where the voxel size is unknown."""
        return "px" if self.voxel_size_nm is None else "um"

    @property
    def methods(self) -> list[str]:
        """Every method that was used, once, with its reference."""
        used: dict[str, str] = {}
        for estimates in self.summary.values():
            for estimate in estimates.values():
                used.setdefault(estimate.method, estimate.reference)
        return [f"{method} [{reference}]." for method, reference in used.items() if method]

    def to_dict(self) -> dict[str, Any]:
        """What `summary.json` holds."""

        return {
            "version": __version__,
            **({} if self.masks is None else {"masks": self.masks}),
            "shape": list(self.shape),
            "voxel_size_nm": None if self.voxel_size_nm is None else list(self.voxel_size_nm),
            "length_unit": self.unit,
            "phases": self.phases.to_list(),
            "settings": self.settings,
            "summary": summary_dict(self.summary),
            "methods": self.methods,
        }

    def write(self, out: str | Path, *, force: bool = False) -> Path:
        """Write `summary.json`, `instances.csv` and `instances.parquet` into folder `out`."""
        with atomic_folder(out, force=force) as folder:
            write_json(folder / "summary.json", self.to_dict())
            with atomic_file(folder / "instances.csv") as path:
                self.instances.to_csv(path, index=False, float_format="%.6g")
            with atomic_file(folder / "instances.parquet") as path:
                self.instances.to_parquet(path, index=False)
        return Path(out)


def analyze_volume(
    volume: Volume,
    *,
    neck_depth: float = DEPTH,
    min_voxels: int = MIN_VOXELS,
    thickness: bool = True,
    fragmentation: bool = True,
    tortuosity: bool = False,
) -> VolumeAnalysis:
    """Measure a label volume.

    Args:
        volume: Of `open_volume`, or `Volume(array, phases)`.
        neck_depth: Touching particles are separated at necks of at least this relative depth.
        min_voxels: Smaller instances are noise.
        thickness: Measure the local thickness of pores and particles.
        fragmentation: Measure cracks and fragments of the particles (`volumes.fragmentation`).
        tortuosity: Solve for the tortuosity factor of the pores along each axis.

    Returns:
        The analysis.

    Raises:
        InputError: If a label stands for no phase.

    Example:
        >>> checker = (np.indices((32, 32, 32)) // 8).sum(0) % 2
        >>> volume = Volume(checker.astype(np.uint8), Phases.from_names(["pore", "ncm"]))
        >>> analyze_volume(volume, thickness=False).summary["fraction"]["ncm"].value
        0.5
    """
    phases = list(enumerate(volume.phases))
    measured = [(index, phase) for index, phase in phases if phase.role == "particle"]
    wide = [(index, phase) for index, phase in phases if thickness and phase.role in ("pore", "particle")]
    # NumPy, OpenCV and scikit-image leave the interpreter to others while they work.
    with ThreadPoolExecutor(2) as pool:
        stream = pool.submit(_stream, volume)
        found = [pool.submit(_grains, volume, index, neck_depth, min_voxels) for index, _ in measured]
        widths = [pool.submit(_thickness, volume, index) for index, _ in wide]
        broken = [
            pool.submit(_fragmentation, volume, index, neck_depth) for index, _ in measured if fragmentation
        ]
    blocks, coarse, connections = stream.result()
    summary: Summary = {
        "fraction": _fractions(volume, blocks, coarse),
        **_surfaces(volume, blocks),
        **_connectivity(volume, connections),
    }
    present = {name for name, fraction in summary["fraction"].items() if fraction.value}
    tables = []
    middle = volume.shape[0] // 2
    layer = volume.read(middle, middle + 1)
    layer_labels = np.zeros(layer.shape, np.int32)
    for (index, phase), grains_found in zip(measured, found, strict=True):
        if phase.name not in present:
            continue
        table, lost, grains = grains_found.result()
        layer_labels += grains.slab(middle, layer == index)
        summary |= _merged(summary, _sizes(table, phase.name, lost, volume.unit))
        table.insert(0, "phase", phase.name)
        tables.append(table)
    for (_, phase), pieces in zip(measured, broken, strict=False):
        if phase.name in present:
            found_pieces = {name: {phase.name: value} for name, value in pieces.result().items()}
            summary |= _merged(summary, found_pieces)
    for (_, phase), width in zip(wide, widths, strict=True):
        if phase.name in present:
            summary |= _merged(summary, {"local_thickness": {phase.name: width.result()}})
    for index, phase in phases:
        if tortuosity and phase.role == "pore" and phase.name in present:
            factors = {
                f"{phase.name}|{axis}": tortuosity_factor(
                    _solid(volume, index), volume.shape, volume.spacing, k
                )
                for k, axis in enumerate(AXES)
            }
            summary |= _merged(summary, {"tortuosity_factor": factors})
    settings: dict[str, Any] = {"neck_depth": neck_depth, "min_voxels": min_voxels}
    if fragmentation:
        settings["fragmentation"] = FRAGMENTATION
    instances = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["phase", "label"])
    return VolumeAnalysis(
        volume.phases,
        volume.shape,
        volume.voxel_size_nm,
        summary,
        instances,
        settings,
        volume.phases.to_ids(layer[0]),
        layer_labels[0],
        *_thumbnail(volume),
    )


def _thumbnail(volume: Volume) -> tuple[np.ndarray, tuple[float, float, float]]:
    """A thinned copy, to be drawn, with voxels as near to cubes as whole steps make them."""
    extent = np.array(volume.shape) * np.array(volume.spacing)
    edge = float(extent.max()) / THUMBNAIL
    steps = [max(1, round(edge / spacing)) for spacing in volume.spacing]
    layers = range(0, volume.shape[0], steps[0])
    thin = np.concatenate([volume.read(z, z + 1)[:, :: steps[1], :: steps[2]] for z in layers])
    z, y, x = (step * spacing for step, spacing in zip(steps, volume.spacing, strict=True))
    return volume.phases.to_ids(thin), (z, y, x)


def _merged(summary: Summary, more: Summary) -> Summary:
    return {quantity: summary.get(quantity, {}) | estimates for quantity, estimates in more.items()}


def _solid(volume: Volume, phase: int) -> Callable[[int, int], np.ndarray]:
    return lambda start, stop: volume.read(start, stop) == phase


def _stream(
    volume: Volume,
) -> tuple[dict[tuple[int, int, int], Block], Covariance, list[Connecting]]:
    """One pass over the volume: sums by block, two-point sums, connected parts of each phase."""
    n = len(volume.phases)
    shares = CoarseShares(volume.shape, n)
    connecting = [Connecting(volume.shape[0]) for _ in range(n)]
    blocks: dict[tuple[int, int, int], Block] = {}
    slabs = slab_sums(volume.read, volume.shape, volume.phases)
    total = sum(-(-int(layers) // SLAB_LAYERS) for layers in np.diff(block_edges(volume.shape)[0]))
    for start, slab, sums in track(slabs, "Reading the volume", total=total):
        add_blocks(blocks, sums)
        shares.add(start, slab)
        for phase, connection in enumerate(connecting):
            connection.add(start, slab == phase)
    return blocks, shares.covariance(volume.spacing), connecting


def _fractions(
    volume: Volume, blocks: dict[tuple[int, int, int], Block], coarse: Covariance
) -> dict[str, Estimate]:
    counts = np.array([block.counts for block in blocks.values()], float)
    result = {}
    for index, name in enumerate(volume.phases.names):
        estimate = ratio_estimate(
            counts[:, index],
            counts.sum(1),
            bounds=(0, 1),
            unit_of_replication="block",
            method="volume fraction, interval between blocks of the volume",
            what=name,
        )
        if estimate.value is not None and 0 < estimate.value < 1:
            inside = integral_range([coarse], index, estimate.value)
            wider = larger_interval(estimate, inside)
            method = wider.method.replace(FRACTION_METHOD, "volume fraction").replace("images", "the volume")
            estimate = replace(wider, method=method)
        elif estimate.value == 0:
            estimate = estimate.with_flag(ABSENT, f"no voxel of {name}")
        result[name] = estimate
    return result


def _surfaces(volume: Volume, blocks: dict[tuple[int, int, int], Block]) -> Summary:
    """Surface per volume of each phase, shares of it that touch each other phase."""
    whole = surface_per_volume(list(blocks.values()), volume.spacing)
    by_block = np.array([surface_per_volume([block], volume.spacing) for block in blocks.values()])
    weight = np.array([block.counts.sum() for block in blocks.values()], float)
    unit = "1/px" if volume.voxel_size_nm is None else "1/um"
    names = volume.phases.names

    def ratio(numerators: np.ndarray, denominators: np.ndarray, value: float, **fields: Any) -> Estimate:
        estimate = ratio_estimate(
            numerators, denominators, unit_of_replication="block", reference=CROFTON, **fields
        )
        if estimate.value is None:
            return estimate
        # The sums of all blocks together, without the weighting of blocks.
        shift = value - estimate.value
        most = fields.get("bounds", (0.0, np.inf))[1]
        ci = estimate.ci and (max(estimate.ci[0] + shift, 0.0), min(estimate.ci[1] + shift, most))
        return replace(estimate, value=value, ci=ci)

    surface = {
        name: ratio(
            by_block[:, i].sum(1) * weight,
            weight,
            float(whole[i].sum()),
            unit=unit,
            method="surface per volume, Crofton's formula in 13 directions",
            what=name,
        )
        for i, name in enumerate(names)
    }
    contacts, areas = {}, {}
    for i, first in enumerate(names):
        for j, second in enumerate(names):
            if i != j:
                own = float(whole[i].sum())
                contacts[f"{first}|{second}"] = ratio(
                    by_block[:, i, j] * weight,
                    by_block[:, i].sum(1) * weight,
                    float(whole[i, j]) / own if own else 0.0,
                    method="share of the surface, Crofton's formula in 13 directions",
                    what=f"the surface of {first}",
                    bounds=(0, 1),
                )
            if i < j:
                areas[f"{first}|{second}"] = ratio(
                    by_block[:, i, j] * weight,
                    weight,
                    float(whole[i, j]),
                    unit=unit,
                    method="area of contact per volume, Crofton's formula in 13 directions",
                    what="the contact",
                )
    return {"surface_density": surface, "contact_fraction": contacts, "contact_density": areas}


def _connectivity(volume: Volume, connections: list[Connecting]) -> Summary:
    fields: dict[str, Any] = {
        "n": 1,
        "unit_of_replication": "volume",
        "method": "connected parts, voxels that share a face",
        "reference": "Torquato, Random Heterogeneous Materials, Springer 2002",
        "flags": {NO_INTERVAL: ONE_VOLUME},
    }
    summary: Summary = {"percolating_share": {}, "closed_share": {}, "largest_part_share": {}}
    for name, connection in zip(volume.phases.names, connections, strict=True):
        found: Connectivity | None = connection.result()
        if found is None:
            continue
        for axis, share in zip(AXES, found.percolating_share, strict=True):
            summary["percolating_share"][f"{name}|{axis}"] = Estimate(share, **fields)
        summary["closed_share"][name] = Estimate(found.closed_share, **fields)
        summary["largest_part_share"][name] = Estimate(found.largest_share, **fields)
    return summary


def _grains(
    volume: Volume, phase: int, depth: float, min_voxels: int
) -> tuple[pd.DataFrame, float, CoarseLabels]:
    """Table of the instances of a phase, the share of its voxels in none, and where they are."""
    shrink = coarse_shrink(volume.shape, volume.spacing)
    share = coarse_share(_solid(volume, phase), volume.shape, shrink)
    spacing = tuple(edge * by for edge, by in zip(volume.spacing, shrink, strict=True))
    grains = find_grains(share, (spacing[0], spacing[1], spacing[2]), shrink, depth=depth)
    table, lost = measure_grains(
        _solid(volume, phase),
        volume.shape,
        grains,
        spacing=volume.spacing,
        unit=volume.unit,
        min_voxels=min_voxels,
    )
    return table, lost, grains


def _fragmentation(volume: Volume, phase: int, depth: float) -> dict[str, Estimate]:
    """Cracks and fragments of a phase, on a grid of at most 3 million blocks."""
    shrink = coarse_shrink(volume.shape, volume.spacing, THICKNESS_VOXELS)
    edges = [edge * by for edge, by in zip(volume.spacing, shrink, strict=True)]
    solid = coarse_share(_solid(volume, phase), volume.shape, shrink) >= 0.5
    pores = [index for index, other in enumerate(volume.phases) if other.role == "pore"]
    pore = coarse_share(lambda a, b: np.isin(volume.read(a, b), pores), volume.shape, shrink) >= 0.5
    table, _ = measure_parents(solid, pore & ~solid, (edges[0], edges[1], edges[2]), depth=depth)
    found = fragmentation_estimates(table, solid.shape)
    if max(shrink) == 1:
        return found
    reason = f"measured on blocks of {' x '.join(map(str, shrink))} voxels: finer cracks are lost"
    return {name: estimate.with_flag("COARSENED", reason) for name, estimate in found.items()}


def _sizes(table: pd.DataFrame, name: str, lost: float, unit: str) -> Summary:
    """Percentiles of the spheres of equal volume; nothing to unfold, for a volume shows whole particles."""
    given = table.rename(columns={f"volume_{unit}3": f"area_{unit}2"})
    found = size_distribution(given, sample_type="dispersed").estimates
    summary: Summary = {}
    for quantity, estimate in found.items():
        method = estimate.method.replace(
            "equivalent diameters of dispersed particles", "diameters of spheres of equal volume"
        )
        flags = dict(estimate.flags)
        if "PARTICLES_RESAMPLED" in flags:
            flags["PARTICLES_RESAMPLED"] = f"{ONE_VOLUME}, so particles were resampled"
        changed = replace(estimate, method=method, flags=flags)
        if lost > 0.01:
            changed = changed.with_flag(
                "UNASSIGNED", f"{lost:.1%} of the phase's voxels belong to no instance"
            )
        summary[quantity] = {name: changed}
    return summary


def _thickness(volume: Volume, phase: int) -> Estimate:
    """Mean local thickness over the phase's voxels, on a grid of at most 3 million blocks."""
    shrink = coarse_shrink(volume.shape, volume.spacing, THICKNESS_VOXELS)
    spacing = tuple(edge * by for edge, by in zip(volume.spacing, shrink, strict=True))
    share = coarse_share(_solid(volume, phase), volume.shape, shrink)
    solid = share >= 0.5
    grid = " x ".join(map(str, solid.shape))
    fields: dict[str, Any] = {
        "unit": volume.unit,
        "unit_of_replication": "block",
        "method": f"mean local thickness (largest inscribed spheres) on a grid of {grid}",
        "reference": THICKNESS,
    }
    if not solid.any() or solid.all():
        return Estimate.refused(
            "the phase is nowhere, or everywhere, wider than a block of the grid", **fields
        )
    values = local_thickness(solid, (spacing[0], spacing[1], spacing[2]))
    sums, counts = [], []
    for part, inside in zip(_thirds(values), _thirds(solid), strict=True):
        sums.append(float(part[inside].sum()))
        counts.append(float(inside.sum()))
    estimate = ratio_estimate(np.array(sums), np.array(counts), what="the phase", **fields)
    if max(shrink) == 1:
        return estimate
    reason = (
        f"measured on blocks of {' x '.join(map(str, shrink))} voxels: walls and necks thinner than that are lost, and "
        "the mean comes out too high; measure parts of the volume for the exact value"
    )
    return estimate.with_flag("COARSENED", reason)


def _thirds(array: np.ndarray) -> list[np.ndarray]:
    """The blocks of a volume cut in three along each axis that is long enough."""
    parts = [array]
    for axis, side in enumerate(array.shape):
        number = min(max(side // 24, 1), 3)
        parts = [piece for part in parts for piece in np.array_split(part, number, axis)]
    return parts
