"""Every pixel is owned once, read with its whole margin, and weighted to 1."""

import numpy as np
import pytest

from cathode_tf.inference.tiles import Grid, reflect

GRIDS = [
    Grid(*sizes, whole_px=0)
    for sizes in ((1024, 96, 16, 16), (128, 16, 16, 4), (64, 0, 8, 8), (520, 100, 20, 20))
]


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_tiles_cover_every_length_with_full_margins(grid):
    for length in [*range(1, 3000, 7), 16384, 50_000, 100_003]:
        axis = grid.axis(length)
        assert axis.tile <= grid.tile_px and axis.tile % grid.multiple == 0
        assert axis.padded - grid.multiple < length <= axis.padded
        owned = [axis.owned(i) for i in range(axis.count)]
        assert owned[0][0] == 0 and owned[-1][1] == axis.padded
        assert axis.start(axis.count - 1) + axis.tile == axis.padded
        for i in range(axis.count - 1):
            seam = owned[i][1]
            assert seam == owned[i + 1][0]
            assert seam - axis.start(i + 1) >= grid.margin_px
            assert axis.start(i) + axis.tile - (seam + grid.ramp_px) >= grid.margin_px
            assert owned[i][1] - owned[i][0] >= grid.ramp_px
            assert axis.start(i + 1) % grid.multiple == 0


def test_as_few_tiles_as_can_be_of_equal_size():
    # 2048 px with 208 px of overlap: two tiles of 1024 cover 1840, so three are needed;
    # three equal ones of (2048 - 208) / 3 + 208 = 821.3, rounded up to 832.
    axis = Grid(1024, 96, 16, 16, 0).axis(2048)
    assert (axis.count, axis.tile) == (3, 832)


def test_the_passage_rises_smoothly_and_symmetrically():
    ramp = Grid(64, 8, 8, 8, 0).ramp()
    assert np.all(np.diff(ramp) > 0) and ramp[0] > 0 and ramp[-1] < 1
    np.testing.assert_allclose(ramp + ramp[::-1], 1, atol=1e-6)


def test_mirrored_positions_are_numpys_symmetric_padding():
    for length in (1, 2, 3, 7):
        expected = np.pad(np.arange(length), (0, 20), mode="symmetric")
        np.testing.assert_array_equal(reflect(np.arange(length + 20), length), expected)
