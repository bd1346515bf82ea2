"""A cathode in 3-D: parameters and a seed in, the section at any depth out, and volumes of many.

What lies at a point is a function of the body and the point. Fields, grains and fragments are drawn layer by layer as
planes come near them, and few thresholds, found once, make the fractions those that were asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from cathode_tf.synthesis.cracks import Cracks, crack_particles
from cathode_tf.synthesis.fields import least_of
from cathode_tf.synthesis.lattice import Cells, Field, Grid, Voronoi, tone
from cathode_tf.synthesis.packing import pack
from cathode_tf.synthesis.parameters import Parameters
from cathode_tf.synthesis.particles import Nearest, nearest_particle
from cathode_tf.synthesis.webs import Gaps, Webs

PORE, NCM, ADDITIVE, BINDER = 0, 1, 2, 3
# To meet the loading, particles may grow to this multiple of their packed radius; seldom is the second needed.
_REACHES = (1.5, 2.5)
_CALIBRATED = 4  # planes that the thresholds of a body are found on, at most
_INNER = 0.85  # inner pores keep this far from the surface, in units of the packed radius


@dataclass(frozen=True)
class Section:
    """What a plane of the body shows, and what only the maker knows.

    Attributes:
        mask: uint8 (height, width) of phase ids.
        labels: int32 (height, width), the secondary particle of each pixel, 0 = none; cracks and inner pores
            carry their particle's number.
        identity: int64 (n,), the label in the whole body of each label here, by label - 1.
        particle_tone: float32 (n + 1,), what sets each particle apart (mean 0, spread 1), by label.
        grain_tone: float32 (height, width), the same for primary grains.
        boundaries: bool (height, width), where two grains of a particle meet.
        texture: float32 (height, width), fine relief of carbon, mean 0 and spread 1.
        filled: bool (height, width), pores that resin or metal fills.
        slits: bool (height, width), cracks and gaps, too narrow to look into.
        depth: Where the plane lies in the body, in pixels.
        cracks: What was broken, by label.
        diameters_px: Volume-equivalent 3-D diameters of the particles in `labels`, by label - 1.
        population_px: The same of all packed particles.
    """

    mask: np.ndarray
    labels: np.ndarray
    identity: np.ndarray
    particle_tone: np.ndarray
    grain_tone: np.ndarray
    boundaries: np.ndarray
    texture: np.ndarray
    filled: np.ndarray
    slits: np.ndarray
    depth: float
    cracks: Cracks
    diameters_px: np.ndarray
    population_px: np.ndarray


@dataclass(frozen=True)
class _Plane:
    """A plane before anything was decided: what does not depend on a threshold."""

    near: Nearest
    scaled: np.ndarray  # as near.scaled, but with grains standing out of the outline
    cells: Cells | None  # None: too small to be seen
    holes: np.ndarray | None  # where it is highest are inner pores; None: none are wanted
    gaps: np.ndarray
    cracks: Cracks

    @property
    def room(self) -> np.ndarray:
        """Where active material may be, but for inner pores."""
        return (self.near.owner > 0) & ~self.cracks.open & ~self.gaps


class Body:
    """A cathode, packed once, that can be looked at on every plane z = const.

    Args:
        parameters: Structure; `parameters.imaging` is not looked at.
        seed: Numbers that name the body.
        height: Rows, pixels.
        width: Columns, pixels.
        planes: Depths in pixels that the fractions are to be met on: thresholds are found on up to four of them,
            spread evenly. On a single one, fractions are met to a pixel.

    Example:
        >>> body = Body(Parameters(), seed=(1,), height=96, width=96, planes=[40.0])
        >>> body.section(40.0).mask.shape
        (96, 96)
    """

    def __init__(
        self,
        parameters: Parameters,
        *,
        seed: Sequence[int],
        height: float,
        width: float,
        planes: Sequence[float],
    ) -> None:
        self.parameters = parameters
        self.seed = tuple(int(number) for number in seed)
        self.typical = parameters.particle_um * 1000.0 / parameters.pixel_size_nm
        rng = np.random.default_rng((*self.seed, 0))
        span = max(planes) - min(planes)
        self.packing = pack(rng, height, width, parameters, depth=span + self.typical if span else 0.0)
        count = self.packing.radii.size
        self._broken = rng.random(count) < parameters.fragmentation
        self._whole = rng.random(count) < parameters.single_crystals
        self._broken &= ~self._whole
        self._gaping = np.exp(0.35 * rng.standard_normal(count)).astype(np.float32)
        self._spongy = rng.normal(0, 0.7, count).astype(np.float32)
        self._salt = int(rng.integers(1, 2**31))
        extent = float(height), float(width)
        self._fields(extent)
        self.webs = Webs((*self.seed, 2), extent, self.typical, parameters)
        self._calibrate(sorted(planes), Grid(round(height), round(width)))

    def _fields(self, extent: tuple[float, float]) -> None:
        parameters, typical, seed = self.parameters, self.typical, (*self.seed, 1)
        per_px = 1000 / parameters.pixel_size_nm
        self._bumps = Field((*seed, 0), extent, max(3.0, 0.35 * typical), octaves=3)
        self._holes = Field((*seed, 1), extent, max(2.0, parameters.inner_pore_ratio * typical), octaves=2)
        self._gap = parameters.contact_gap_um * per_px
        self._gap_width = Field((*seed, 2), extent, 12 * self._gap + 6)
        # Cracks gape differently along their way and from particle to particle, wider where all is broken.
        self._opening = parameters.crack_um * per_px * (0.7 + 0.9 * parameters.fragmentation)
        self._gape = Field((*seed, 3), extent, 8 * self._opening + 4)
        self.grains = Voronoi((*seed, 4), extent, parameters.grain_um * per_px)
        self._pieces = Voronoi((*seed, 5), extent, max(3.0, parameters.fragment_ratio * typical))
        self._filling = Field((*seed, 6), extent, 0.8 * typical)
        self._keyholes = Field((*seed, 7), extent, 0.6 * typical, octaves=2)

    def _calibrate(self, planes: list[float], grid: Grid) -> None:
        chosen = [
            planes[i] for i in np.unique(np.linspace(0, len(planes) - 1, _CALIBRATED).round().astype(int))
        ]
        wanted = round(self.parameters.ncm_fraction * grid.height * grid.width * len(chosen))
        for reach in _REACHES:
            self._reach = reach
            looks = {z: self._look(z, grid) for z in chosen}
            self._least_hole = self._find_holes(list(looks.values()))
            solid = {z: look.room & ~self._hole(look) for z, look in looks.items()}
            if sum(np.count_nonzero(there) for there in solid.values()) >= wanted:
                break
        # Scaling all particles by one factor meets the loading.
        inverse = np.concatenate([-look.scaled[solid[z]] for z, look in looks.items()])
        self.factor = -least_of(inverse, wanted)
        if not np.isfinite(self.factor):
            self.factor = float(-inverse.min()) if inverse.size else 1.0
        outside = {z: ~self._inside(look) for z, look in looks.items()}
        gaps = {z: self._gaps(look) for z, look in looks.items()}
        self.webs.calibrate(gaps, outside, grid)
        self._kept = grid, looks, gaps

    def _look(self, z: float, grid: Grid, *, coarse: bool = False) -> _Plane:
        """All of a plane that needs no threshold; `coarse`: without cracks and gaps."""
        parameters = self.parameters
        bumps: np.ndarray | float = 1.0
        if parameters.roughness > 0:
            bumps = np.clip(1 + np.float32(parameters.roughness) * self._bumps.plane(z, grid), 0.6, 1.5)
        near = nearest_particle(self.packing, bumps, z, grid, self._reach)
        # Behind a section, only grains that can be made out are worth their while.
        visible = not coarse or (parameters.lobes > 0 and self.grains.size >= 3 * grid.step[0])
        cells = self.grains.plane(z, grid) if visible else None
        scaled = near.scaled
        if parameters.lobes > 0 and cells is not None:
            # Grains bulge and their boundaries are notches, as much as a grain is wide at most.
            # In particles of few grains there is no outline left that they could stand out of.
            ratio = self.grains.size / self.packing.radii
            share = np.clip(np.minimum(ratio, 0.6 - ratio), 0, 0.3).astype(np.float32)
            share[self._whole] = 0
            bulge = np.clip(cells.distance, 0, 0.9)
            bulge *= bulge
            bulge -= np.float32(0.25)
            bulge *= share[near.particle][near.owner]
            bulge *= np.float32(1.6 * parameters.lobes)
            bulge[near.owner == 0] = 0
            scaled = np.minimum(scaled + bulge, np.float32(self._reach))
        holes = None
        if parameters.inner_porosity > 0:
            holes = self._holes.plane(z, grid)
            holes += self._spongy[near.particle][near.owner]
            holes -= 1.5 * np.minimum(near.scaled, 1) ** 2
            if cells is not None:
                # Pores open where grains meet, and are as angular as these.
                holes += np.float32(1.6) * cells.distance
        if coarse or cells is None:
            none = np.zeros(grid.shape, bool)
            return _Plane(near, scaled, cells, holes, none, Cracks.none(near.owner))
        gaps = self._contact_gaps(near, z, grid)
        return _Plane(near, scaled, cells, holes, gaps, self._cracks(near, cells, z, grid))

    def _contact_gaps(self, near: Nearest, z: float, grid: Grid) -> np.ndarray:
        """Gaps between neighbours, of changing width: here wide, there the particles truly touch."""
        if self._gap <= 0:
            return np.zeros(grid.shape, bool)
        half = self._gap_width.plane(z, grid)
        half *= np.float32(0.4 * self._gap)
        half += np.float32(0.5 * self._gap)
        # From one particle to the other both scaled distances change by one a radius, so this is how far in pixels
        # a point lies from the surface where they are equal; beside the line of centres, at a distance of `scaled`
        # radii, they change as much less as that is more than one.
        own = self.packing.radii.astype(np.float32)[near.particle][near.owner]
        meet = (near.owner > 0) & (near.second_radius > 0)
        apart = np.full(grid.shape, np.inf, np.float32)
        steep = 1 / np.maximum(own, 1e-3) + 1 / np.maximum(near.second_radius, 1e-3)
        np.divide((near.second - near.scaled) * np.maximum(near.scaled, 1), steep, out=apart, where=meet)
        # What is open at all is drawn a pixel wide.
        return (apart < np.maximum(half, 0.5)) & (half > 0)

    def _cracks(self, near: Nearest, cells: Cells, z: float, grid: Grid) -> Cracks:
        broken = self._broken[near.particle]
        broken[0] = False
        if not broken.any():
            return Cracks.none(near.owner)
        # A fragment is a cluster of whole grains, so cracks follow grain boundaries.
        used = np.zeros(len(cells.seeds), bool)
        used[cells.number[broken[near.owner]]] = True
        piece = np.zeros(len(cells.seeds), np.int64)
        piece[used] = self._pieces.of(cells.seeds[used])
        half = np.maximum(0.6, 0.5 * self._opening * self._gaping[near.particle]).astype(np.float32)
        gape = np.clip(1 + 0.3 * self._gape.plane(z, grid), 0.5, 1.8)
        gape *= half[near.owner]
        chance = np.where(broken, 0.25 + 0.75 * self.parameters.fragmentation, 0.0)
        return crack_particles(near.owner, near.identity, piece[cells.number], gape, chance, self._salt)

    def _find_holes(self, looks: list[_Plane]) -> float:
        if looks[0].holes is None:
            return np.inf
        inner = np.concatenate(
            [look.holes[look.near.scaled < _INNER] for look in looks if look.holes is not None]
        )
        whole = sum(np.count_nonzero(look.near.scaled < 1) for look in looks)
        return least_of(inner, round(self.parameters.inner_porosity * whole))

    def _hole(self, look: _Plane) -> np.ndarray:
        if look.holes is None:
            return np.zeros(look.scaled.shape, bool)
        return (look.holes >= self._least_hole) & (look.near.scaled < _INNER)

    def _inside(self, look: _Plane) -> np.ndarray:
        return (look.scaled <= self.factor) & (look.near.owner > 0) & ~look.gaps

    def _gaps(self, look: _Plane) -> Gaps:
        """Distance of each point to the two nearest particles, in pixels."""
        radius = self.packing.radii.astype(np.float32)[look.near.particle]
        radius[0] = 0.5 * self.typical
        radius = radius[look.near.owner]
        first = (look.scaled - np.float32(self.factor)) * radius
        second = (look.near.second - np.float32(self.factor)) * radius
        return Gaps(np.maximum(first, 0), np.maximum(second, 0))

    def section(self, z: float, grid: Grid | None = None) -> Section:
        """The plane at depth `z` pixels; `grid` defaults to all of it, a point a pixel."""
        kept_grid, looks, gaps = self._kept
        grid = grid or kept_grid
        known = grid == kept_grid and z in looks
        look = looks[z] if known else self._look(z, grid)
        distance = gaps[z] if known else self._gaps(look)
        inside = self._inside(look)
        ncm = inside & look.room & ~self._hole(look)
        additive, binder = self.webs.phases(z, grid, distance, ~inside)
        mask = np.where(ncm, NCM, PORE).astype(np.uint8)
        mask[additive], mask[binder] = ADDITIVE, BINDER

        near = look.near
        present = np.flatnonzero(np.bincount(near.owner[ncm], minlength=near.particle.size))
        relabel = np.zeros(near.particle.size, np.int32)
        relabel[present] = np.arange(1, present.size + 1)
        particle = near.particle[present]
        diameters = 2 * self.packing.radii * self.factor
        assert look.cells is not None  # a section always has them
        grain = tone(look.cells.identity, 3)[look.cells.number]
        whole = np.append(self._whole, False)[np.where(near.particle > 0, near.particle, -1)]
        if whole.any():
            grain[whole[near.owner]] = 0
        return Section(
            mask=mask,
            labels=relabel[near.owner] * inside,
            identity=near.identity[present],
            particle_tone=np.concatenate([[0], tone(near.identity[present], 4)]).astype(np.float32),
            grain_tone=grain,
            boundaries=_boundaries(look.cells.number),
            texture=self.webs.texture(z, grid),
            filled=self._filled(z, grid, inside | (mask != PORE)),
            slits=(look.scaled <= self.factor) & (near.owner > 0) & (look.cracks.open | look.gaps),
            depth=z,
            cracks=look.cracks.of(present, inside),
            diameters_px=diameters[particle],
            population_px=diameters,
        )

    def _filled(self, z: float, grid: Grid, solid: np.ndarray) -> np.ndarray:
        """Pores between particles that resin or metal has reached; here and there it leaves a seam."""
        share = self.parameters.infiltration
        if share <= 0:
            return np.zeros(grid.shape, bool)
        filled = ~solid & (np.abs(self._keyholes.plane(z, grid)) > 0.05)
        if share < 1:
            filled &= self._filling.plane(z, grid) < ndtri(share)
        return filled

    def solidness(self, z: float, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
        """How deep each point lies in active material, and in carbon or binder, in pixels; below 0 outside.

        Cracks and gaps are left out: this is what is seen far behind the section.
        """
        look = self._look(z, grid, coarse=True)
        radius = self.packing.radii.astype(np.float32)[look.near.particle]
        radius[0] = 0.5 * self.typical
        active = (np.float32(self.factor) - look.scaled) * radius[look.near.owner]
        if look.holes is not None and np.isfinite(self._least_hole):
            wide = max(2.0, self.parameters.inner_pore_ratio * self.typical)
            full = (np.float32(self._least_hole) - look.holes) * np.float32(0.4 * wide)
            np.minimum(active, full, out=active, where=look.near.scaled < _INNER)
        carbon = self.webs.solidness(z, grid, self._gaps(look))
        carbon[look.scaled <= self.factor] = -1
        return active, carbon

    def volume(self, depths: Sequence[float], grid: Grid | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Phases, uint8, and particles, int32, at `depths`: (depth, height, width); labels agree throughout."""
        sections = [self.section(float(z), grid) for z in depths]
        labels = one_numbering(sections)
        return np.stack([section.mask for section in sections]), np.stack(labels)


def _boundaries(cells: np.ndarray) -> np.ndarray:
    """bool, where the cell to the right or below is another."""
    found = np.zeros(cells.shape, bool)
    np.not_equal(cells[:, 1:], cells[:, :-1], out=found[:, :-1])
    found[:-1] |= cells[1:] != cells[:-1]
    return found


def one_numbering(sections: Sequence[Section]) -> list[np.ndarray]:
    """Label images, int32, in which a particle has the same number, from 1, in all sections."""
    everyone = np.unique(np.concatenate([section.identity for section in sections]))
    found = []
    for section in sections:
        number = np.concatenate([[0], np.searchsorted(everyone, section.identity) + 1]).astype(np.int32)
        found.append(number[section.labels])
    return found
