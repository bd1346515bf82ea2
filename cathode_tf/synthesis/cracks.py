"""Cracks: the particles of a section and their would-be fragments in, the cracks between these out."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cathode_tf.synthesis.lattice import mix


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

    @classmethod
    def none(cls, owner: np.ndarray) -> Cracks:
        """No crack at all."""
        closed = np.zeros(owner.shape, bool)
        return cls(closed, closed, closed, owner, np.zeros(0))

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


def crack_particles(
    owner: np.ndarray,
    identity: np.ndarray,
    piece: np.ndarray,
    gape: np.ndarray,
    chance: np.ndarray,
    salt: int,
) -> Cracks:
    """Break particles along the boundaries between their fragments.

    `fragmentation` f breaks a share f of the particles. In a broken particle, each boundary between two of its
    would-be fragments is open with the chance 0.25 + 0.75 f, so that f = 1 leaves every particle in pieces.

    Args:
        owner: int32 (height, width), particle of each pixel on this plane, 0 = none.
        identity: int64 (m,), what that particle is called in the body: a boundary is open on all planes, or on none.
        piece: int64 (height, width), would-be fragment of each pixel, as it is called in the body.
        gape: float32 (height, width), half the opening of a crack, pixels.
        chance: (m,), of a boundary in each particle to be open.
        salt: Draws the boundaries.
    """
    across, down = np.zeros(owner.shape, bool), np.zeros(owner.shape, bool)
    tables = identity, chance, salt
    across[:, :-1] = _opened(owner[:, :-1], owner[:, 1:], piece[:, :-1], piece[:, 1:], *tables)
    down[:-1] = _opened(owner[:-1], owner[1:], piece[:-1], piece[1:], *tables)
    distance = cv2.distanceTransform((~(across | down)).astype(np.uint8), cv2.DIST_L2, 5)
    return Cracks((distance <= gape) & (chance > 0)[owner], across, down, owner, np.zeros(0))


def _opened(
    owner_a, owner_b, cell_a, cell_b, identity: np.ndarray, chance: np.ndarray, salt: int
) -> np.ndarray:
    """Whether a crack runs between two neighbouring pixels; every boundary is open or closed as a whole."""
    opened = np.zeros(owner_a.shape, bool)
    at = np.flatnonzero((cell_a != cell_b) & (owner_a == owner_b) & (chance[owner_a] > 0))
    owner, a, b = owner_a.take(at), cell_a.take(at), cell_b.take(at)
    low, high = np.minimum(a, b).astype(np.uint64), np.maximum(a, b).astype(np.uint64)
    pair = (
        mix(low, np.uint64(salt))
        ^ mix(high, np.uint64(0))
        ^ mix(identity[owner].astype(np.uint64), np.uint64(1))
    )
    opened.ravel()[at] = (mix(pair, np.uint64(2)) % np.uint64(2**20)) / 2**20 < chance[owner]
    return opened
