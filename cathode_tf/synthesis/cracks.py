"""Grains and cracks: the particles of a section in, their primary grains and the cracks between them out."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cathode_tf.synthesis.fields import smooth_field
from cathode_tf.synthesis.parameters import Parameters


@dataclass(frozen=True)
class Cracks:
    """Where particles are open, and how much each is cracked.

    Attributes:
        open: bool (height, width), pixels that a crack took.
        across: bool (height, width), the crack passes between this pixel and the one to its right.
        down: bool (height, width), the crack passes between this pixel and the one below.
        owner: int32 (height, width), particle of each pixel.
        length_px: Length of the crack midlines by particle; filled by `of`.
    """

    open: np.ndarray
    across: np.ndarray
    down: np.ndarray
    owner: np.ndarray
    length_px: np.ndarray

    def of(self, present: np.ndarray, inside: np.ndarray) -> Cracks:
        """The same with the crack lengths of the particles `present`, within `inside`.

        Crofton: a line of length 1 in a random direction crosses a row of pixels, and a column, 2 / pi times,
        so the length is pi / 4 times the crossings of rows and columns together.
        """
        # A particle that is nothing but crack or pore in this plane has crossings too, but is not present.
        size = int(self.owner.max(initial=0)) + 1
        crossings = np.bincount(self.owner[self.across & inside], minlength=size)
        crossings = crossings + np.bincount(self.owner[self.down & inside], minlength=size)
        return Cracks(self.open, self.across, self.down, self.owner, np.pi / 4 * crossings[present])


def grain_map(
    rng: np.random.Generator, height: int, width: int, size_px: float
) -> tuple[np.ndarray, np.ndarray]:
    """Primary grains: cells around jittered seeds `size_px` apart.

    Returns:
        int32 (height, width) of grain numbers from 0, and the seeds (n, 2) as (row, column).
    """
    step = max(3.0, size_px)
    rows, columns = int(np.ceil(height / step)) + 2, int(np.ceil(width / step)) + 2
    grid = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), axis=-1).reshape(-1, 2)
    seeds = (grid - 0.5 + rng.uniform(-0.45, 0.45, grid.shape)) * step
    places = np.rint(seeds).astype(int)
    seeds = seeds[((places >= 0) & (places < (height, width))).all(axis=1)]
    background = np.ones((height, width), np.uint8)
    places = np.rint(seeds).astype(int)
    background[places[:, 0], places[:, 1]] = 0
    _, cells = cv2.distanceTransformWithLabels(background, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    # OpenCV numbers the seeds in an order of its own; give each grain the number of its seed.
    number = np.zeros(int(cells.max()) + 1, np.int32)
    number[cells[places[:, 0], places[:, 1]]] = np.arange(len(seeds))
    return number[cells], seeds


def crack_particles(
    rng: np.random.Generator, owner: np.ndarray, grains: np.ndarray, seeds: np.ndarray, parameters: Parameters
) -> Cracks:
    """Break particles along grain boundaries.

    `fragmentation` f breaks a share f of the particles. In a broken particle, each boundary between two of its
    would-be fragments is open with the chance 0.25 + 0.75 f, so that f = 1 leaves every particle in pieces.

    Args:
        rng: Source of randomness.
        owner: int32 (height, width), particle of each pixel, 0 = none.
        grains: int32 (height, width), grain of each pixel.
        seeds: (n, 2), centre of each grain.
        parameters: `fragmentation`, `fragment_ratio`, `crack_um` and the scale.
    """
    height, width = owner.shape
    degree = parameters.fragmentation
    count = int(owner.max()) + 1
    broken = rng.random(count) < degree
    broken[0] = False
    none = np.zeros((height, width), bool)
    if not broken.any():
        return Cracks(none, none, none, owner, np.zeros(0))

    across_px = parameters.particle_um * 1000 / parameters.pixel_size_nm
    pieces, _ = grain_map(rng, height, width, parameters.fragment_ratio * across_px)
    # A fragment is a cluster of whole grains, so cracks follow grain boundaries.
    at = np.rint(seeds).astype(int)
    cell = pieces[np.clip(at[:, 0], 0, height - 1), np.clip(at[:, 1], 0, width - 1)][grains]
    chance = np.where(broken, 0.25 + 0.75 * degree, 0.0)
    salt = int(rng.integers(1, 2**31))
    across, down = none.copy(), none.copy()
    across[:, :-1] = _opened(owner[:, :-1], owner[:, 1:], cell[:, :-1], cell[:, 1:], chance, salt)
    down[:-1] = _opened(owner[:-1], owner[1:], cell[:-1], cell[1:], chance, salt)

    # Cracks gape differently along their way and from particle to particle, wider where all is broken.
    opening = parameters.crack_um * 1000 / parameters.pixel_size_nm * (0.7 + 0.9 * degree)
    half = np.maximum(0.6, 0.5 * opening * np.exp(0.35 * rng.standard_normal(count))).astype(np.float32)
    gape = half[owner] * np.clip(1 + 0.3 * smooth_field(rng, height, width, 8 * opening + 4), 0.5, 1.8)
    distance = cv2.distanceTransform((~(across | down)).astype(np.uint8), cv2.DIST_L2, 5)
    return Cracks((distance <= gape) & broken[owner], across, down, owner, np.zeros(0))


def _opened(owner_a, owner_b, cell_a, cell_b, chance: np.ndarray, salt: int) -> np.ndarray:
    """Whether a crack runs between two neighbouring pixels; every boundary is open or closed as a whole."""
    opened = np.zeros(owner_a.shape, bool)
    at = np.flatnonzero((cell_a != cell_b) & (owner_a == owner_b) & (chance[owner_a] > 0))
    owner, a, b = owner_a.take(at), cell_a.take(at), cell_b.take(at)
    low, high = np.minimum(a, b).astype(np.uint64), np.maximum(a, b).astype(np.uint64)
    mixed = (low * np.uint64(0x9E3779B97F4A7C15)) ^ (high * np.uint64(0xC2B2AE3D27D4EB4F))
    mixed ^= owner.astype(np.uint64) * np.uint64(0x165667B19E3779F9) + np.uint64(salt)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(32)
    opened.ravel()[at] = (mixed % np.uint64(2**20)) / 2**20 < chance[owner]
    return opened
