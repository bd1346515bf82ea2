"""A segmentation mask in, and where a network made some, maps of contacts and centres; one label image out.

A mask has thrown away where particles touch; the micrograph knows. Maps say it, and decide where there are some;
without them the outlines alone do (`instances.Separation`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from skimage.morphology import local_maxima
from skimage.segmentation import watershed

from cathode_tf.errors import InputError
from cathode_tf.particles.instances import DEPTH, Separation, without_small
from cathode_tf.particles.joining import Joining, join
from cathode_tf.particles.pieces import Pieces
from cathode_tf.phases import Phases

CONTACT = 0.92
"""Where the maps say nothing of how to weigh them, two particles meet where the contact is at least so sure on average.
Contacts are rare and weigh four times in the network's training, so that even odds are 0.8."""
INSIDE = 0.25
"""Where the depth is at least this, a pore lies inside a particle, and does not part it."""
SMOOTH_PX = 1.0


@dataclass(frozen=True)
class ParticleMaps:
    """What a network saw of the particles of one image, at its own pixel size.

    Attributes:
        contact: float (h, w), 0-1: how sure two particles meet here.
        depth: float (h, w), 0-1: 0 outside or at a particle's edge ... 1 at its centre.
        source: Which network, for the reader of the numbers.
        grey: float (h, w): the micrograph, standardised in the particles; None where there is none.
        joining: How sure of what two pieces must be to be one particle.
    """

    contact: np.ndarray
    depth: np.ndarray
    source: str = ""
    grey: np.ndarray | None = None
    joining: Joining = field(default_factory=lambda: Joining.by_contact(CONTACT))

    def __post_init__(self) -> None:
        if self.contact.ndim != 2 or self.contact.shape != self.depth.shape or not self.contact.size:
            raise InputError(
                "maps: contact and depth must be arrays (height, width) of one shape. "
                f"Received {self.contact.shape} and {self.depth.shape}."
            )


def separate(mask: np.ndarray, phases: Phases, maps: ParticleMaps | None = None) -> np.ndarray:
    """Label image of the particles of a mask, touching ones told apart.

    Args:
        mask: uint8 (height, width) of phase ids.
        phases: Which phases are particles follows from their roles.
        maps: Of contacts and centres (`cathode_tf.inference.separation.particle_maps`), of any size: they are stretched
            over the mask. None: the outlines decide.

    Returns:
        int32 (height, width): 1 ... n on the particles, each pixel of them in one; 0 elsewhere.

    Raises:
        InputError: If the mask is no mask of these phases, or no phase is a particle.

    Example:
        >>> mask = np.zeros((40, 80), np.uint8)
        >>> _ = cv2.circle(mask, (25, 20), 15, 1, -1), cv2.circle(mask, (52, 20), 15, 1, -1)
        >>> int(separate(mask, Phases.default()).max())
        2
    """
    mask = np.asarray(mask)
    if mask.ndim != 2 or not mask.size:
        raise InputError(f"mask: must be an array (height, width) with pixels. Received shape {mask.shape}.")
    phases.check_mask(mask, "mask")
    names = phases.with_role("particle")
    if not names:
        raise InputError("phases: separating needs a phase with the role particle. Received none.")
    labels = np.zeros(mask.shape, np.int32)
    for name in names:
        found = separate_solid(mask == phases[name].id, maps)
        labels[found > 0] = found[found > 0] + labels.max()
    return labels


def separate_solid(
    solid: np.ndarray, maps: ParticleMaps | None = None, *, depth: float = DEPTH
) -> np.ndarray:
    """Label image int32 (height, width) of one phase, Boolean (height, width); as `separate`.

    Args:
        solid: Where the phase is.
        maps: As for `separate`.
        depth: Neck depth, where the outlines decide.
    """
    if maps is None or not solid.any():
        return Separation(solid).labels(depth)
    height, width = maps.contact.shape
    small = cv2.resize(solid.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA) >= 0.5
    basins, hills = flooded(small, maps)
    pieces = Pieces(basins, hills, maps.contact, maps.grey)
    return _at_full_size(solid, join(pieces, maps.joining)[basins])


def flooded(solid: np.ndarray, maps: ParticleMaps) -> tuple[np.ndarray, np.ndarray]:
    """Pieces of the particles, too many, at the maps' pixel size: int32 (h, w), 0 = none; and what was flooded.

    Args:
        solid: Boolean (h, w), the particles at the maps' pixel size.
        maps: Of contacts and centres.
    """
    domain = solid | (maps.depth >= INSIDE)
    height = maps.depth * (1 - maps.contact)
    height = cv2.GaussianBlur(height.astype(np.float32), (0, 0), SMOOTH_PX)
    height = np.where(domain, height, 0)
    return climbed(height, domain), height


def climbed(height: np.ndarray, domain: np.ndarray) -> np.ndarray:
    """Basins int32 (h, w) of the hills of a map: each pixel belongs to the top on which the steepest way up ends.

    As good as flooding from all tops, and on large images several times as fast.

    Args:
        height: float32 (h, w); level ground without a way up is flooded.
        domain: Boolean (h, w), where basins are; ways do not leave it.

    Reference:
        Meyer, Signal Processing 38 (1994) 113 (watersheds by topographic distance).

    Example:
        >>> climbed(np.float32([[1, 3, 2, 1, 3, 4, 1]]), np.ones((1, 7), bool)).tolist()
        [[1, 1, 1, 2, 2, 2, 2]]
    """
    ground = np.pad(np.where(domain, height, -np.inf).astype(np.float32), 1, constant_values=-np.inf)
    width = ground.shape[1]
    flat = ground.ravel()
    inside = np.flatnonzero(flat > -np.inf).astype(np.int32)
    here = flat[inside]
    slope, onward = np.zeros(len(inside), np.float32), inside.copy()
    straight = {by: flat[inside + np.int32(by)] for by in (-width, -1, 1, width)}
    for by, beside in straight.items():
        _step(slope, onward, beside - here, inside + np.int32(by))
    for down in (-width, width):
        for across in (-1, 1):
            there = inside + np.int32(down + across)
            rise = (flat[there] - here) * np.float32(0.5**0.5)
            # Pixels that meet at a corner alone are not connected.
            rise[(straight[down] == -np.inf) & (straight[across] == -np.inf)] = -1
            _step(slope, onward, rise, there)
    place = np.zeros(flat.size, np.int32)
    place[inside] = np.arange(len(inside), dtype=np.int32)
    way = place[onward]
    while not np.array_equal(further := way[way], way):
        way = further
    # A top may be level; an end of a way that lies on level ground below the top is none.
    tops = (local_maxima(ground) & (ground > -np.inf)).astype(np.uint8)
    _, peaks = cv2.connectedComponents(tops, connectivity=8, ltype=cv2.CV_32S)
    led = np.zeros(flat.size, np.int32)
    led[inside] = peaks.ravel()[inside[way]]
    basins: np.ndarray = led.reshape(ground.shape)
    left = ((basins == 0) & (ground > -np.inf)).astype(np.uint8)
    if left.any():
        beside = (cv2.dilate(left, np.ones((3, 3), np.uint8)) > 0) & (ground > -np.inf)
        level = watershed(-ground, np.where(beside, basins, 0), mask=beside)
        basins = np.where(left > 0, level, basins).astype(np.int32)
    return np.ascontiguousarray(basins[1:-1, 1:-1])


def _step(slope: np.ndarray, onward: np.ndarray, rise: np.ndarray, there: np.ndarray) -> None:
    """Go on `there` where it rises more than on the best way so far."""
    better = rise > slope
    np.copyto(slope, rise, where=better)
    np.copyto(onward, there, where=better)


def _at_full_size(solid: np.ndarray, coarse: np.ndarray) -> np.ndarray:
    """The coarse label image on the pixels of the phase; pixels that it does not reach join the nearest particle."""
    height, width = solid.shape
    labels = cv2.resize(coarse.astype(np.float64), (width, height), interpolation=cv2.INTER_NEAREST)
    labels = np.where(solid, labels, 0).astype(np.int32)
    left = solid & (labels == 0)
    if left.any():
        count, pieces = cv2.connectedComponents(left.astype(np.uint8), connectivity=4)
        near = cv2.dilate((labels > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        joined = np.zeros(count, bool)
        joined[pieces[near & left]] = True
        if labels.any():
            _, nearest = cv2.distanceTransformWithLabels(
                (labels == 0).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
            )
            of = np.zeros(int(nearest.max()) + 1, np.int32)
            of[nearest[labels > 0]] = labels[labels > 0]
            take = left & joined[pieces]
            labels[take] = of[nearest[take]]
        alone = left & ~joined[pieces]
        labels[alone] = pieces[alone] + int(coarse.max(initial=0))
    return without_small(labels, 1)
