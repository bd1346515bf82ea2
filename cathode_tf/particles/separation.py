"""A segmentation mask in, and where a network made some, maps of contacts and centres; one label image out.

A mask has thrown away where particles touch; the micrograph knows. Maps say it, and decide where there are some;
without them the outlines alone do (`instances.Separation`).
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import cv2
import numpy as np
from skimage.measure import label as connected_components
from skimage.morphology import local_maxima
from skimage.segmentation import watershed

from cathode_tf.errors import InputError
from cathode_tf.particles.instances import DEPTH, Separation, without_small
from cathode_tf.phases import Phases

CONTACT = 0.88
"""Two particles meet where the maps are at least so sure of a contact, on average along it. Contacts are rare and weigh
four times in the network's training, so that even odds are 0.8; the rest was chosen on synthetic sections."""
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
        contacts_decide: Whether the network is surer of contacts than the outlines are. If not, it says which pores
            lie inside particles, and the outlines that are left decide where particles part.
    """

    contact: np.ndarray
    depth: np.ndarray
    source: str = ""
    contacts_decide: bool = True

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
    solid: np.ndarray, maps: ParticleMaps | None = None, *, depth: float = DEPTH, contact: float = CONTACT
) -> np.ndarray:
    """Label image int32 (height, width) of one phase, Boolean (height, width); as `separate`.

    Args:
        solid: Where the phase is.
        maps: As for `separate`.
        depth: Neck depth, where the outlines decide.
        contact: How sure of a contact the maps must be, where they decide; smaller cuts more.
    """
    if maps is None or not solid.any():
        return Separation(solid).labels(depth)
    if not maps.contacts_decide:
        labels = Separation(_with_inner_pores(solid, maps.depth)).labels(depth)
        return without_small(np.where(solid, labels, 0), 1)
    height, width = maps.contact.shape
    small = cv2.resize(solid.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA) >= 0.5
    coarse = _by_maps(small, maps, contact)
    return _at_full_size(solid, coarse)


def _with_inner_pores(solid: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """The phase with the enclosed pores filled that the map sees inside particles."""
    height, width = solid.shape
    deep = cv2.resize(depth.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    number, pores, stats, _ = cv2.connectedComponentsWithStats((~solid).astype(np.uint8), connectivity=4)
    mean = np.bincount(pores.ravel(), deep.ravel(), number) / np.maximum(stats[:, cv2.CC_STAT_AREA], 1)
    inner = mean >= INSIDE
    inner[pores[solid]] = False
    return solid | inner[pores]


def _by_maps(solid: np.ndarray, maps: ParticleMaps, contact: float) -> np.ndarray:
    """Label image at the maps' pixel size."""
    domain = solid | (maps.depth >= INSIDE)
    height = maps.depth * (1 - maps.contact)
    height = cv2.GaussianBlur(height.astype(np.float32), (0, 0), SMOOTH_PX)
    # A component without a hill of its own is a particle all the same.
    height = np.where(domain, height + 1e-6, 0)
    tops = local_maxima(np.pad(height, 1, constant_values=-1))[1:-1, 1:-1]
    peaks = connected_components(tops & domain, connectivity=1)
    basins = watershed(-height, peaks, mask=domain).astype(np.int32)
    return _joined(basins, maps.contact, contact)[basins]


def _joined(basins: np.ndarray, sure: np.ndarray, least: float) -> np.ndarray:
    """Which basins are one particle: a new number for each, joined where least of a contact is seen, first.

    What counts is the mean along the whole line on which two of them meet, as a noisy map has holes.
    """
    met = _meetings(basins, cv2.dilate(sure.astype(np.float32), np.ones((3, 3), np.uint8)))
    number = int(basins.max(initial=0)) + 1
    beside: list[dict[int, list[float]]] = [{} for _ in range(number)]
    queue = []
    for a, b, total, length in met:
        a, b = int(a), int(b)
        beside[a][b] = beside[b][a] = [float(total), float(length)]
        queue.append((float(total / length), a, b, float(length)))
    heapq.heapify(queue)
    parent = np.arange(number)
    while queue:
        mean, a, b, length = heapq.heappop(queue)
        if mean >= least:
            break
        # Stale: one of the two was joined to another since, or their line grew.
        if parent[a] != a or parent[b] != b or beside[a].get(b, [0, -1])[1] != length:
            continue
        if len(beside[a]) < len(beside[b]):
            a, b = b, a
        parent[b] = a
        for other, (total, more) in beside[b].items():
            del beside[other][b]
            if other == a:
                continue
            line = beside[a].setdefault(other, [0.0, 0.0])
            line[0] += total
            line[1] += more
            beside[other][a] = line
            heapq.heappush(queue, (line[0] / line[1], a, other, line[1]))
        beside[b] = {}
    roots = parent
    while not np.array_equal(roots[roots], roots):
        roots = roots[roots]
    dense = np.zeros(number, np.int32)
    kept = np.unique(roots[1:])
    dense[kept] = np.arange(1, len(kept) + 1)
    return dense[roots]


def _meetings(basins: np.ndarray, sure: np.ndarray) -> np.ndarray:
    """Rows (basin a, basin b, sum of the map along the line between them, its length in pixel sides)."""
    number = int(basins.max(initial=0)) + 1
    pairs, values = [], []
    for axis in range(2):
        a = (slice(None),) * axis + (slice(None, -1),)
        b = (slice(None),) * axis + (slice(1, None),)
        differ = (basins[a] != basins[b]) & (basins[a] > 0) & (basins[b] > 0)
        low = np.minimum(basins[a][differ], basins[b][differ]).astype(np.int64)
        pairs.append(low * number + np.maximum(basins[a][differ], basins[b][differ]))
        values.append(np.maximum(sure[a][differ], sure[b][differ]))
    pair, value = np.concatenate(pairs), np.concatenate(values)
    unique, index = np.unique(pair, return_inverse=True)
    total = np.bincount(index, value, len(unique))
    length = np.bincount(index, minlength=len(unique))
    return np.column_stack([*np.divmod(unique, number), total, length])


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
