"""A segmentation mask in, and where a network made some, maps of contacts and centres; one label image out.

A mask has thrown away where particles touch; the micrograph knows. Maps say it, and decide where there are some;
without them the outlines alone do (`instances.Separation`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from skimage.measure import label as connected_components
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
    # A component without a hill of its own is a particle all the same.
    height = np.where(domain, height + 1e-6, 0)
    tops = local_maxima(np.pad(height, 1, constant_values=-1))[1:-1, 1:-1]
    peaks = connected_components(tops & domain, connectivity=1)
    return watershed(-height, peaks, mask=domain).astype(np.int32), height


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
