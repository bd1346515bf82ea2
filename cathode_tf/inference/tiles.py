"""Length of an axis in, tiles out: where each is read, and which pixels it owns.

The tiles of an axis depend on its length and on the `Grid` only. Neighbours overlap by two margins (as far
as the network sees) and a ramp; in the middle of each overlap the answer passes smoothly from one to the
other, so every pixel's weights sum to 1 and no pixel is owned by more than two tiles of an axis.

All numbers may be Python integers or scalar integer tensors, so that one rule serves loops in Python
and loops in a graph.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


def _larger(a: Any, b: Any) -> Any:
    return (a + b + abs(a - b)) // 2


def _smaller(a: Any, b: Any) -> Any:
    return (a + b - abs(a - b)) // 2


@dataclass(frozen=True)
class Grid:
    """How images are cut into tiles.

    Args:
        tile_px: Largest side of a tile, a multiple of `multiple`.
        margin_px: How far the network sees; multiple of `multiple`.
        ramp_px: Width of the smooth passage between two tiles; multiple of `multiple`.
        multiple: What the network's input sides must be multiples of.
        whole_px: Images of up to this many pixels are measured as a whole for the network's normalisation,
            larger ones in pieces. It comes from the network, not from the memory allowed.

    Example:
        >>> grid = Grid(tile_px=64, margin_px=8, ramp_px=8, multiple=8, whole_px=4096)
        >>> axis = grid.axis(120)
        >>> axis.count, axis.tile, [axis.start(i) for i in range(axis.count)]
        (3, 56, [0, 32, 64])
        >>> [axis.owned(i) for i in range(axis.count)]
        [(0, 40), (40, 72), (72, 120)]
    """

    tile_px: int
    margin_px: int
    ramp_px: int
    multiple: int
    whole_px: int

    @property
    def overlap_px(self) -> int:
        return 2 * self.margin_px + self.ramp_px

    def padded(self, length: Any) -> Any:
        """`length`, rounded up to the multiple."""
        return -(-length // self.multiple) * self.multiple

    def axis(self, length: Any) -> Axis:
        """The tiles of an axis of `length` pixels (before padding): as few as can be, of equal size."""
        padded = self.padded(length)
        room = padded - self.overlap_px
        count = _larger(1, -(-room // (self.tile_px - self.overlap_px)))
        tile = _smaller(self.padded(-(-room // count) + self.overlap_px), padded)
        # Rounding the tile up can make the last one superfluous on very long axes.
        step = _larger(tile - self.overlap_px, 1)
        count = _larger(1, -(-room // step))
        return Axis(padded, tile, count, tile - self.overlap_px, self.ramp_px)

    @property
    def largest_px(self) -> int:
        """The most pixels that go through the network at once."""
        return max(self.tile_px**2, self.whole_px)

    def whole(self, shape: Any) -> Any:
        """Whether an image (height, width) is measured as a whole."""
        return self.padded(shape[0]) * self.padded(shape[1]) <= self.whole_px

    def fits(self, shape: Any) -> Any:
        """Whether an image (height, width) needs no tiles: it is measured as a whole, and answered with that."""
        return self.padded(shape[0]) * self.padded(shape[1]) <= min(self.tile_px**2, self.whole_px)

    def ramp(self) -> np.ndarray:
        """Weight of the later tile across the passage, float32 (ramp_px,), strictly between 0 and 1."""
        position = (np.arange(self.ramp_px) + 0.5) / max(self.ramp_px, 1)
        return (position * position * (3 - 2 * position)).astype(np.float32)

    def to_dict(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True)
class Axis:
    """The tiles of one axis: `count` of `tile` pixels each, over `padded` pixels."""

    padded: Any
    tile: Any
    count: Any
    step: Any
    ramp_px: int

    def start(self, index: Any) -> Any:
        """First pixel that tile `index` reads."""
        return _smaller(index * self.step, self.padded - self.tile)

    def seam(self, index: Any) -> Any:
        """First pixel of the passage from tile `index` to the next; the end of the axis after the last."""
        middle = (self.start(index) + self.start(index + 1) + self.tile - self.ramp_px) // 2
        last = _smaller(_larger(index + 2 - self.count, 0), 1)
        return middle * (1 - last) + self.padded * last

    def owned(self, index: Any) -> tuple[Any, Any]:
        """Pixels that tile `index` finishes; the first `ramp_px` of them (not for tile 0) are shared."""
        later = _smaller(index, 1)
        return later * self.seam(index - later), self.seam(index)


def reflect(positions: Any, length: Any) -> Any:
    """Which pixel of an axis of `length` stands at `positions`, when the axis is mirrored at its ends.

    The edge pixel comes twice. Works for one pixel too, and for more mirroring than there are pixels.

    Example:
        >>> reflect(np.arange(8), 3)
        array([0, 1, 2, 2, 1, 0, 0, 1])
    """
    folded = positions % (2 * length)
    return _smaller(folded, 2 * length - 1 - folded)
