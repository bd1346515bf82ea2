"""The carbon-binder domain of a body: distances to the particles in, additive and binder on a plane out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from cathode_tf.synthesis.fields import least_of
from cathode_tf.synthesis.lattice import Field, Grid
from cathode_tf.synthesis.parameters import Parameters


@dataclass(frozen=True)
class Gaps:
    """float32 (height, width) each: pixels to the surface of the nearest particle, and to that of the next."""

    first: np.ndarray
    second: np.ndarray


class Webs:
    """Additive and binder as functions of a point.

    Additive gathers in clusters or chains, with pores within them at a second, finer scale; binder lies as films on
    surfaces, thickest in the necks between two, or spans the pores as webs. What ranks highest is taken, until the
    fraction asked for is met on the calibrated planes.
    """

    def __init__(
        self, seed: tuple[int, ...], extent: tuple[float, float], typical: float, parameters: Parameters
    ) -> None:
        self._parameters, self._typical = parameters, typical
        press = 1.0 - parameters.calendering
        self.cluster = max(2.5, parameters.additive_um * 1000 / parameters.pixel_size_nm)
        self._fine = max(1.6, parameters.nodule_um * 1000 / parameters.pixel_size_nm)
        self._compact = Field((*seed, 0), extent, self.cluster, octaves=4, flatten=press)
        self._strings = Field((*seed, 1), extent, 0.8 * self.cluster, octaves=3, flatten=press)
        self._nodules = Field((*seed, 2), extent, self._fine, octaves=2)
        self._patches = Field((*seed, 3), extent, max(3.0, 0.5 * typical), flatten=press)
        self._spans = Field((*seed, 4), extent, max(3.0, 0.4 * typical), octaves=3, flatten=press)
        self._least_additive = self._least_binder = np.inf
        self._kept: dict[tuple[float, Grid], np.ndarray] = {}

    def calibrate(self, gaps: Mapping[float, Gaps], outside: Mapping[float, np.ndarray], grid: Grid) -> None:
        """Find the thresholds that give additive and binder their fractions of the planes together."""
        pixels = grid.height * grid.width * len(gaps)
        parameters = self._parameters
        self._kept = {(z, grid): self._rank_additive(z, grid, gap) for z, gap in gaps.items()}
        ranks = {z: self._kept[z, grid] for z in gaps}
        free = np.concatenate([ranks[z][outside[z]] for z in gaps])
        self._least_additive = least_of(free, round(parameters.additive_fraction * pixels))
        if parameters.binder_fraction > 0:
            left = [
                self._rank_binder(z, grid, gaps[z], rank)[outside[z] & (rank < self._least_additive)]
                for z, rank in ranks.items()
            ]
            self._least_binder = least_of(np.concatenate(left), round(parameters.binder_fraction * pixels))

    def phases(self, z: float, grid: Grid, gaps: Gaps, outside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """bool (height, width) each: where additive is, and where binder."""
        rank = self._rank_additive(z, grid, gaps)
        additive = outside & (rank >= self._least_additive)
        if self._least_binder == np.inf:
            return additive, np.zeros_like(additive)
        binder = self._rank_binder(z, grid, gaps, rank) >= self._least_binder
        return additive, binder & outside & ~additive

    def solidness(self, z: float, grid: Grid, gaps: Gaps) -> np.ndarray:
        """About how many pixels deep a point lies in additive or binder; below 0 outside."""
        rank = self._rank_additive(z, grid, gaps)
        depth = np.full(grid.shape, -1, np.float32)
        if abs(self._least_additive) < np.inf:
            depth = (rank - np.float32(self._least_additive)) * np.float32(0.35 * self.cluster)
        if abs(self._least_binder) < np.inf:
            other = self._rank_binder(z, grid, gaps, rank) - np.float32(self._least_binder)
            np.maximum(depth, other * np.float32(0.1 * self._typical), out=depth)
        return depth

    def texture(self, z: float, grid: Grid) -> np.ndarray:
        """float32 (height, width): the relief of nodules, of mean 0 and spread 1."""
        return self._nodules.plane(z, grid)

    def _rank_additive(self, z: float, grid: Grid, gaps: Gaps) -> np.ndarray:
        if (z, grid) in self._kept:
            return self._kept[z, grid]
        parameters = self._parameters
        chains = np.float32(parameters.additive_chains)
        rank = self._compact.plane(z, grid)
        rank *= 1 - np.float32(0.5) * chains
        if chains > 0:
            strings = np.abs(self._strings.plane(z, grid))
            strings *= 2 * chains
            rank -= strings
        if parameters.web_porosity > 0:
            rank += np.float32(parameters.web_porosity) * self._nodules.plane(z, grid)
        if parameters.carbon_coating > 0:
            amount = np.float32(2 * parameters.carbon_coating)
            for share, reach in ((1.0, 0.1 * self._typical), (0.5, 0.3 * self._typical)):
                rank += share * amount * _nearness(gaps, max(1.6, reach))
        return rank

    def _rank_binder(self, z: float, grid: Grid, gaps: Gaps, additive: np.ndarray) -> np.ndarray:
        share = np.float32(self._parameters.binder_webs)
        film = max(0.8, 0.05 * self._typical)
        near = _nearness(gaps, film)
        near *= np.float32(0.5)
        near += np.float32(0.25) * _nearness(gaps, 3 * film)
        if self._parameters.additive_fraction > 0 and np.isfinite(self._least_additive):
            # Binder also covers the additive, which begins where its rank reaches the threshold.
            below = np.clip((additive - np.float32(self._least_additive)) * np.float32(3), -20, 0)
            near += np.float32(0.4) * cv2.exp(below)
        rank = (4 * (1 - share) + share) * near
        rank += np.float32(0.7) * (1 - share) * self._patches.plane(z, grid)
        if share > 0:
            rank -= 3 * share * np.abs(self._spans.plane(z, grid))
        return rank


def _nearness(gaps: Gaps, reach: float) -> np.ndarray:
    """1 on the surface of a particle, 2 where two of them meet, 0 from a few `reach` on."""
    scale = np.float32(-1 / reach)
    return cv2.exp(np.maximum(gaps.first * scale, -30)) + cv2.exp(np.maximum(gaps.second * scale, -30))
