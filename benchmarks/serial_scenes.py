"""Serial cuts and particles whose drift, thickness, stripes and lean are known, for `reconstruction.py`.

Fields are Gaussian noise, smoothed over 4.5 px, cut at +0.3 standard deviations into a dark (40) and a bright (170)
phase; where a third one is asked for, a field of its own (3 px, grey 95) lies in the dark one.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage

MARGIN = 24
HALFWAY = 105


def serial_cuts(
    kind="soft",
    count=100,
    side=240,
    noise=8.0,
    walk=0.56,
    stripes=0.0,
    flicker=0.0,
    scatter=0.0,
    size=4.5,
    binder=False,
    seed=0,
):
    """Cuts every 2 px through one field.

    Args:
        kind: "sharp" or "soft" (edges blurred over 0.5 or 2 px), or "smooth" (the field itself is the grey level).
        walk: Step of the drift's random walk along each axis, px.
        stripes: Standard deviation of stripes that stay in place, grey levels.
        scatter: Of the thickness over its mean.

    Returns:
        Slices uint8, drift (n, 2), grey before drift, stripes and noise (n, side, side), and positions along z.
    """
    rng = np.random.default_rng(seed)
    steps = np.maximum(rng.normal(2, 2 * scatter, count - 1), 0.5)
    depth = np.r_[1.0, 1.0 + np.cumsum(steps)]
    shape = (int(depth[-1]) + 3, side + 2 * MARGIN, side + 2 * MARGIN)
    field = _field(rng, shape, size)
    web = _field(rng, shape, 3.0) if binder else None
    drift = np.zeros((count, 2))
    if walk:
        drift[1:] = rng.normal(0, walk, (count - 1, 2)).cumsum(0)
    drift = np.clip(drift, 2 - MARGIN, MARGIN - 2)
    columns = ndimage.gaussian_filter1d(rng.standard_normal(side), 1.5)
    columns = (columns - columns.mean()) * (stripes / columns.std())
    slices, clean = [], []
    inside = slice(MARGIN, MARGIN + side)
    for place, shift in zip(depth, drift, strict=True):
        level = _at(field, place)
        if kind == "smooth":
            grey = 128 + 33 * level
        else:
            grey = np.where(level > 0.3, np.float32(170), np.float32(40))
            if web is not None:
                grey[(level <= 0.3) & (_at(web, place) > 0.9)] = 95
            grey = cv2.GaussianBlur(grey, (0, 0), 2.0 if kind == "soft" else 0.5)
        clean.append(grey[inside, inside])
        move = np.float32([[1, 0, shift[1]], [0, 1, shift[0]]])
        seen = cv2.warpAffine(grey, move, grey.shape[::-1])[inside, inside]
        seen = (seen + rng.normal(0, noise, seen.shape) + columns) * (1 + rng.normal(0, flicker))
        slices.append(np.clip(np.rint(seen), 0, 255).astype(np.uint8))
    return np.array(slices), drift, np.array(clean), depth


def _field(rng, shape, size):
    field = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), size, mode="wrap")
    return field / field.std()


def _at(field, place):
    low, share = divmod(place, 1)
    return field[int(low)] * (1 - share) + field[int(low) + 1] * share


def ellipsoids(lean, drift, *, count=55, shape=(50, 130, 130), seed=0):
    """A grey volume of ellipsoids (axes within 10 %), turned at random, that drift shears along x.

    Args:
        lean: By how much the web between the ellipsoids leans besides, px a slice: structure that does.
        drift: By how much the picture moves along x, px a slice.
    """
    rng = np.random.default_rng(seed)
    volume = np.full(shape, 40, np.float32)
    web = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), 3, mode="wrap")
    for layer in range(shape[0]):
        places = ndimage.shift(web[layer], (0, (lean + drift) * layer), order=1, mode="grid-wrap")
        volume[layer] += 40 * (places > web.std())
    for _ in range(count):
        radius, centre = rng.uniform(6, 10), rng.uniform((0, 0, 0), shape)
        axes = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        scale = radius * rng.uniform(0.9, 1.1, 3)
        low = np.maximum((centre - 16).astype(int), 0)
        box = tuple(slice(a, min(a + 34, side)) for a, side in zip(low, shape, strict=True))
        z, y, x = np.meshgrid(*(np.arange(part.start, part.stop) for part in box), indexing="ij")
        rest = np.stack([z - centre[0], y - centre[1], x - centre[2]], -1)
        rest[..., 2] -= drift * (z - centre[0])
        volume[box][np.square(rest @ axes / scale).sum(-1) < 1] = 170
    return volume + rng.normal(0, 8, shape)
