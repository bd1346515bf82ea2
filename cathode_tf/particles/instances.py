"""Segmentation mask in, label image of instances out: particles, pores, or grains of any phase.

Touching particles are separated where their contact is a neck: by a marker watershed on the distance
transform whose one parameter, the neck depth, is a ratio of lengths and so means the same at every
magnification. Area is conserved: every pixel of the phase belongs to exactly one instance.
"""

from __future__ import annotations

import cv2
import numpy as np
from skimage.measure import label as connected_components
from skimage.morphology import local_maxima
from skimage.segmentation import watershed

from cathode_tf.errors import InputError
from cathode_tf.particles.inner_pores import fill_inner_pores

DEPTH = 0.35
"""Default neck depth: equal particles are cut apart where the neck is at least 35 % narrower than they are."""
FLOOR_PX = 0.75
"""A neck narrower than its particle by less than this (in radius) is the grid's: it parts nothing."""


def label_instances(
    mask: np.ndarray, phase_id: int, *, separate: bool = True, depth: float = DEPTH, min_area_px: int = 0
) -> np.ndarray:
    """Number every instance of a phase, touching ones separated.

    Pixels that share a side are connected; a touch at corners does not join. A connected region is cut at
    a neck when, with r <= R the inscribed radii of the particles on its two sides and n half its width,
    1 - n / r >= `depth` (r / R)^2. The square has a reason: of two disks of which the smaller has its centre on the
    outline of the larger, 1 - n / r = (r / R)^2 / 8 to first order, so that one `depth` stands for one way to overlap
    at every ratio of sizes. The default cuts equal disks whose centres are 1.5 radii or more apart. Pores inside a
    particle part nothing.

    Args:
        mask: Segmentation mask (height, width) uint8, or any integer or boolean array.
        phase_id: The id to look for.
        separate: Separate touching instances; without it, connected components are the instances.
        depth: Neck depth 0-1 from which on a contact of equal particles is cut; smaller cuts more.
        min_area_px: Smaller instances get label 0; for noise. By default none is dropped.

    Returns:
        Label image (height, width) int32; 0 where the phase is not, 1 ... n without gaps, from top to bottom.

    Raises:
        InputError: If the mask is not two-dimensional or `depth` is not between 0 and 1.

    Example:
        >>> mask = np.zeros((40, 80), np.uint8)
        >>> _ = cv2.circle(mask, (25, 20), 15, 1, -1), cv2.circle(mask, (52, 20), 15, 1, -1)
        >>> int(label_instances(mask, 1).max()), int(label_instances(mask, 1, separate=False).max())
        (2, 1)

    Reference:
        Beucher and Meyer, in Mathematical Morphology in Image Processing, Dekker 1993.
    """
    solid = _solid(mask, phase_id)
    if not separate:
        labels = connected_components(solid, connectivity=1).astype(np.int32)
    else:
        labels = Separation(solid).labels(depth)
    return without_small(labels, min_area_px) if min_area_px > 1 else labels


class Separation:
    """All ways to separate touching instances, from one flooding: a label image for every depth.

    The flooding starts at every local maximum of the distance transform; a depth then decides which of the
    necks between two basins count. So a sensitivity band over the depth costs no second flooding.

    Args:
        solid: Boolean array (height, width), the phase.

    Attributes:
        basins: Label image (height, width) int32 of the finest separation.
    """

    _floor = FLOOR_PX

    def __init__(self, solid: np.ndarray) -> None:
        self._solid = solid
        solid = fill_inner_pores(solid)
        # Outside the frame counts as more of the same: a particle cut by the frame has its neck elsewhere.
        distance = cv2.distanceTransform(solid.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        distance = np.minimum(distance, float(np.hypot(*solid.shape)))
        smooth = cv2.GaussianBlur(distance, (3, 3), 0) * solid
        # Padded, so that a phase that fills the frame evenly has a maximum, too.
        tops = local_maxima(np.pad(smooth, 1, constant_values=-1))[1:-1, 1:-1]
        peaks = connected_components(tops & solid, connectivity=2)
        # Pixels that touch at corners are not connected, but may share a top: what it does not reach stands alone.
        alone = solid & ~_reached(solid, peaks)
        peaks[alone] = connected_components(alone, connectivity=1)[alone] + peaks.max(initial=0)
        self.basins = watershed(-smooth, peaks, mask=solid).astype(np.int32)
        heights = np.zeros(int(self.basins.max(initial=0)) + 1)
        at_peaks = peaks > 0
        np.maximum.at(heights, peaks[at_peaks], smooth[at_peaks])
        self._heights = heights
        self._necks = necks(self.basins, smooth)

    def labels(self, depth: float) -> np.ndarray:
        """Label image (height, width) int32 in which contacts of at least this depth are cut."""
        if not 0 <= depth <= 1:
            raise InputError(f"depth: must be 0 to 1. Received {depth:g}.")
        parent = self._merged(depth)
        index = np.unique(parent[1:], return_inverse=True)[1]
        lut = np.zeros(len(parent), np.int32)
        lut[1:] = index.ravel() + 1
        # Inner pores were filled to find the cuts; what is left without a pixel is no instance.
        return without_small(np.where(self._solid, lut[self.basins], 0), 1)

    def count(self, depth: float) -> int:
        """Number of instances at this depth."""
        return int(self.labels(depth).max(initial=0))

    def _merged(self, depth: float) -> np.ndarray:
        """Root of each basin after joining across every neck that is too shallow, highest neck first."""
        parent = np.arange(len(self._heights))
        peak = self._heights.copy()

        def root(i: int) -> int:
            while parent[i] != i:
                parent[i] = parent[parent[i]]
                i = parent[i]
            return i

        for a, b, height in self._necks:
            a, b = root(int(a)), root(int(b))
            if a == b:
                continue
            low, high = sorted((peak[a], peak[b]))
            if low - height < max(self._floor * (depth > 0), depth * low * (low / high) ** 2):
                keep, gone = (a, b) if a < b else (b, a)
                parent[gone] = keep
                peak[keep] = max(peak[a], peak[b])
        return np.array([root(i) for i in range(len(parent))])


def _reached(solid: np.ndarray, peaks: np.ndarray) -> np.ndarray:
    """Where a peak lies in the same region, pixels that share a side being connected."""
    count, regions = cv2.connectedComponents(solid.astype(np.uint8), connectivity=4)
    has = np.zeros(count, bool)
    has[regions[peaks > 0]] = True
    return has[regions]


def necks(basins: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Rows (basin a, basin b, height of the pass between them), the highest pass first."""
    firsts, seconds, passes = [], [], []
    for axis in range(basins.ndim):
        a = (slice(None),) * axis + (slice(None, -1),)
        b = (slice(None),) * axis + (slice(1, None),)
        differ = (basins[a] != basins[b]) & (basins[a] > 0) & (basins[b] > 0)
        firsts.append(basins[a][differ])
        seconds.append(basins[b][differ])
        passes.append(np.minimum(height[a][differ], height[b][differ]))
    first, second, level = (np.concatenate(part) for part in (firsts, seconds, passes))
    pair = np.minimum(first, second).astype(np.int64) * (int(basins.max(initial=0)) + 1)
    pair += np.maximum(first, second)
    unique, index = np.unique(pair, return_inverse=True)
    top = np.full(len(unique), -np.inf)
    np.maximum.at(top, index.ravel(), level)
    order = np.argsort(-top, kind="stable")
    low, high = np.divmod(unique[order], int(basins.max(initial=0)) + 1)
    return np.column_stack([low, high, top[order]])


def _solid(mask: np.ndarray, phase_id: int) -> np.ndarray:
    mask = np.asarray(mask)
    if mask.ndim != 2 or not mask.size:
        raise InputError(f"mask: must be an array (height, width) with pixels. Received shape {mask.shape}.")
    return mask == phase_id


def without_small(labels: np.ndarray, min_area_px: int) -> np.ndarray:
    """The label image with instances below this area taken out and the others numbered without gaps."""
    keep = np.bincount(labels.ravel()) >= min_area_px
    keep[0] = False
    lut = np.where(keep, np.cumsum(keep), 0).astype(np.int32)
    return lut[labels]
