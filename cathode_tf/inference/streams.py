"""Windows of an image in, its finished maps out, one tile in memory at a time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cathode_tf.datasets.standardization import scale_of, statistics_of_counts, table_of
from cathode_tf.imaging.outliers import histogram
from cathode_tf.imaging.resampling import Reader
from cathode_tf.inference.graph_pixels import sample_places
from cathode_tf.inference.scale import Block
from cathode_tf.inference.tiles import Grid, reflect

PART_PX = 2048


def tile_by_tile(
    run: Callable[..., Any], read: Reader, shape: tuple[int, int], grid: Grid, n_phases: int, rule: str
) -> Iterator[Block]:
    """The maps of an image, tile after tile, row by row.

    Args:
        run: Calls a function of the graph by its name: `measure` and `tile`.
        read: Gives the pixels of some rows and columns, uint8 or uint16.
        shape: Height and width.
        grid: How the image is cut.
        n_phases: How many probabilities a pixel has.
        rule: Of the standardisation, as the model's card tells.
    """
    height, width = shape
    read, statistics = prepared_in_parts(read, shape, rule)
    offset, factor = scale_of(*statistics)
    packed = run("measure", _samples(read, shape, grid), offset, factor)
    down, across = grid.axis(height), grid.axis(width)
    above = np.zeros((across.padded, 0, n_phases), np.float32)
    for row in range(down.count):
        top, bottom = down.owned(row)
        y = down.start(row)
        belows, left = [], np.zeros((0, down.tile, n_phases), np.float32)
        for column in range(across.count):
            begin, end = across.owned(column)
            x = across.start(column)
            pixels = read(slice(y, min(y + down.tile, height)), slice(x, min(x + across.tile, width)))
            owned = top - y, bottom - y, begin - x, end - x
            geometry = [down.tile, across.tile, *owned, row == 0, column == 0]
            maps, left, below = run("tile", pixels, offset, factor, packed, left, above[begin:end], geometry)
            belows.append(below.numpy())
            # The maps come with the width first.
            yield top, begin, {k: v.numpy()[: width - begin, : height - top].T for k, v in maps.items()}
        above = np.concatenate(belows)


def _samples(read: Reader, shape: tuple[int, int], grid: Grid) -> np.ndarray:
    """The pieces (n, height, width) of an image on which its normalisation is measured."""
    (down, side_y), (across, side_x) = (
        (starts.numpy(), int(side)) for starts, side in sample_places(shape, grid)
    )
    samples = []
    for rows in (reflect(start + np.arange(side_y), shape[0]) for start in down):
        for columns in (reflect(start + np.arange(side_x), shape[1]) for start in across):
            block = read(_span(rows), _span(columns))
            samples.append(block[rows - rows.min()][:, columns - columns.min()])
    return np.stack(samples)


def _span(positions: np.ndarray) -> slice:
    return slice(int(positions.min()), int(positions.max()) + 1)


def prepared_in_parts(read: Reader, shape: tuple[int, int], rule: str) -> tuple[Reader, tuple[float, float]]:
    """What reads the pixels as a rule takes them, and their mean and standard deviation, from exact integer sums."""
    starts = itertools.product(range(0, shape[0], PART_PX), range(0, shape[1], PART_PX))
    counts = histogram(
        read(slice(row, min(row + PART_PX, shape[0])), slice(column, min(column + PART_PX, shape[1])))
        for row, column in starts
    )
    table = table_of(counts, rule)
    statistics = statistics_of_counts(counts, table)
    if table is None:
        return read, statistics
    return lambda rows, columns: table[read(rows, columns)], statistics
