"""The particles that a plane meets: a packing and a plane in, the nearest particle of each point out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cathode_tf.synthesis.lattice import Grid
from cathode_tf.synthesis.packing import Packing


@dataclass(frozen=True)
class Nearest:
    """Particles on a plane.

    Attributes:
        scaled: float32 (height, width), distance from the nearest particle's centre in units of its surface;
            `most` far from all.
        second: float32 (height, width), the same of the next particle.
        second_radius: float32 (height, width), radius of the next particle, pixels; 0 where there is none.
        owner: int32 (height, width), number of the nearest particle on this plane, from 1; 0 = none.
        particle: int (m,), index in the packing of each number; entry 0 stands for none.
        identity: int64 (m,), the particle's label in the body: a particle that the periodic box shows twice
            has two.
    """

    scaled: np.ndarray
    second: np.ndarray
    second_radius: np.ndarray
    owner: np.ndarray
    particle: np.ndarray
    identity: np.ndarray


def nearest_particle(
    packing: Packing, bumps: np.ndarray | float, z: float, grid: Grid, most: float
) -> Nearest:
    """The particles at depth `z`.

    Each particle only touches the window around it, so the cost is that of the area the particles cover.

    Args:
        packing: The particles.
        bumps: float32 (height, width), local factor of the distance: the rough outline.
        z: Depth of the plane.
        grid: The points.
        most: Largest scaled distance at which a point still belongs to a particle.
    """
    rows, columns = grid.rows, grid.columns
    scaled = np.full(grid.shape, most, np.float32)
    second = np.full(grid.shape, most, np.float32)
    owner = np.zeros(grid.shape, np.int32)
    size, second_size = np.zeros(grid.shape, np.float32), np.zeros(grid.shape, np.float32)
    turns = np.round((z - packing.centres[:, 0]) / packing.box[0])
    above = z - packing.centres[:, 0] - packing.box[0] * turns
    numbered, identity = [0], [0]
    reach = 1.1 * most * packing.shapes.reach
    ends = float(rows[-1]), float(columns[-1])
    for index in np.flatnonzero(np.abs(above) < reach).tolist():
        radius = float(np.sqrt(reach[index] ** 2 - above[index] ** 2))
        for y, turn_y in _copies(packing.centres[index, 1], radius, ends[0], packing.box[1]):
            top, bottom = np.searchsorted(rows, (y - radius, y + radius))
            for x, turn_x in _copies(packing.centres[index, 2], radius, ends[1], packing.box[2]):
                left, right = np.searchsorted(columns, (x - radius, x + radius))
                if top >= bottom or left >= right:
                    continue
                window = (slice(top, bottom), slice(left, right))
                distance = packing.shapes.gauge(
                    index,
                    float(above[index]),
                    rows[top:bottom] - np.float32(y),
                    columns[left:right] - np.float32(x),
                )
                distance *= bumps[window] if isinstance(bumps, np.ndarray) else bumps
                here, next_ = scaled[window], second[window]
                closer = distance < here
                # What was the nearest becomes the next.
                np.copyto(second_size[window], np.float32(packing.radii[index]), where=distance < next_)
                np.copyto(second_size[window], size[window], where=closer)
                np.copyto(size[window], np.float32(packing.radii[index]), where=closer)
                np.minimum(next_, np.maximum(distance, here), out=next_)
                if closer.any():
                    np.copyto(owner[window], len(numbered), where=closer)
                    np.minimum(here, distance, out=here)
                    numbered.append(index)
                    copy = 9 * (int(turns[index]) % 3) + 3 * turn_y + turn_x
                    identity.append(27 * index + copy + 1)
    numbers = np.asarray(numbered), np.asarray(identity, np.int64)
    return Nearest(scaled, second, second_size, owner, *numbers)


def _copies(position: float, reach: float, end: float, period: float) -> list[tuple[float, int]]:
    """Places at which a periodic particle touches the plane along one axis, and which of its copies lie there."""
    places = (position, position + period, position - period)
    return [(place, turn) for turn, place in enumerate(places) if place + reach >= 0 and place - reach <= end]
