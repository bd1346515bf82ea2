"""Powders seen from above: a random stream in; micrograph, particle mask and label image of heaped particles out.

Spheres and rough grains lie in a box, apart or pressed, small ones on large ones, and are looked down upon: what is
nearer hides what is behind. Shading, edges that shine, shadows between neighbours and texture are drawn at random,
as a network that learns from these pictures shall not count on any of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cathode_tf.synthesis.fields import fractal_field, smooth_field
from cathode_tf.synthesis.packing import spread_apart

OUTLINE_POINTS = 256


@dataclass(frozen=True)
class Powder:
    """A picture of a powder and what is known of it.

    Attributes:
        image: Micrograph, uint8 (height, width).
        mask: Boolean (height, width): the particles that count; deeper ones are background.
        labels: int32 (height, width), the particle seen at each pixel of the mask, 0 = none.
    """

    image: np.ndarray
    mask: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class _Heap:
    centres: np.ndarray
    """(n, 3): height above the bottom, row, column; px."""
    radii: np.ndarray
    depth: float


def draw_powder(rng: np.random.Generator, height: int, width: int, diameter_px: float) -> Powder:
    """One powder, its sizes, heaping and imaging drawn at random.

    Args:
        rng: Source of randomness.
        height: Rows.
        width: Columns.
        diameter_px: Median diameter by number of the particles.

    Example:
        >>> powder = draw_powder(np.random.default_rng(0), 64, 96, 20.0)
        >>> powder.image.shape, bool((powder.mask == (powder.labels > 0)).all())
        ((64, 96), True)
    """
    heap = _heap(rng, height, width, diameter_px)
    top, owner, rim, slope = _seen(rng, heap, height, width)
    image = _shaded(rng, heap, top, owner, rim, slope)
    labels = _counted(rng, heap, owner)
    return Powder(image, labels > 0, labels)


def _heap(rng: np.random.Generator, height: int, width: int, diameter_px: float) -> _Heap:
    sigma = float(rng.choice([rng.uniform(0.02, 0.15), rng.uniform(0.2, 0.7)]))
    largest = min(height, width) / 3
    layers = float(rng.choice([0.6, 1.0, 1.5, 2.5]))
    covered = rng.uniform(0.3, 0.9) * max(layers, 0.8) * height * width
    number = int(np.clip(covered / (np.pi / 4 * diameter_px**2 * np.exp(2 * sigma**2)), 3, 1500))
    radii = np.clip(diameter_px / 2 * rng.lognormal(0, sigma, number), 1.5, largest)
    depth = max(layers * 2 * float(np.quantile(radii, 0.9)), 2.0 * float(radii.max()) + 1)
    box = np.array([depth if layers > 1 else 0.0, height, width])
    spread = np.array([max(box[0], 2.2 * float(radii.max())), height, width])
    centres = rng.uniform(0, 1, (number, 3)) * box
    centres = spread_apart(centres, radii, spread, rounds=int(rng.choice([8, 30])))
    if layers <= 1:
        centres[:, 0] = radii * rng.uniform(0.7, 1.0, number)
    satellites = rng.random(number) < rng.choice([0.0, 0.1, 0.3])
    hosts = np.flatnonzero(satellites)
    if hosts.size:
        ways = rng.standard_normal((hosts.size, 3))
        ways /= np.linalg.norm(ways, axis=1, keepdims=True)
        small = radii[hosts] * rng.uniform(0.12, 0.45, hosts.size)
        reach = (radii[hosts] + rng.uniform(-0.2, 0.9, hosts.size) * small)[:, None]
        centres = np.concatenate([centres, centres[hosts] + reach * ways])
        radii = np.concatenate([radii, np.maximum(small, 1.5)])
    return _Heap(centres, radii, depth)


def _seen(
    rng: np.random.Generator, heap: _Heap, height: int, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Height of the surface, whose it is (-1 = none), nearness to its rim (0-1), and its slope towards the light."""
    top = np.full((height, width), -np.inf, np.float32)
    owner = np.full((height, width), -1, np.int32)
    rim = np.zeros((height, width), np.float32)
    slope = np.zeros((height, width), np.float32)
    light = rng.uniform(0, 2 * np.pi)
    rough = rng.choice([0.0, 0.02, 0.06])
    odd = rng.random(heap.radii.size) < rng.choice([0.0, 0.1, 0.4])
    for index, ((z, row, column), radius) in enumerate(zip(heap.centres, heap.radii, strict=True)):
        outline = _outline(rng, radius, rough + 0.15 * odd[index] * rng.random(), 0.05 + 0.3 * odd[index])
        reach = float(outline.max())
        top_, bottom = int(max(row - reach, 0)), int(min(row + reach + 2, height))
        left, right = int(max(column - reach, 0)), int(min(column + reach + 2, width))
        if top_ >= bottom or left >= right:
            continue
        dy, dx = np.mgrid[top_:bottom, left:right].astype(np.float32)
        dy, dx = dy - np.float32(row), dx - np.float32(column)
        angle = np.arctan2(dy, dx)
        edge = outline[(angle * (OUTLINE_POINTS / (2 * np.pi))).astype(int) % OUTLINE_POINTS]
        away = np.sqrt(dy * dy + dx * dx) / edge
        surface = z + radius * np.sqrt(np.maximum(1 - away * away, 0))
        window = slice(top_, bottom), slice(left, right)
        nearer = (away < 1) & (surface > top[window])
        top[window][nearer] = surface[nearer]
        owner[window][nearer] = index
        rim[window][nearer] = away[nearer]
        slope[window][nearer] = (away * np.cos(angle - light))[nearer]
    return top, owner, rim, slope


def _outline(rng: np.random.Generator, radius: float, rough: float, elongation: float) -> np.ndarray:
    """Radius by angle: an ellipse with waves."""
    angle = np.arange(OUTLINE_POINTS) * (2 * np.pi / OUTLINE_POINTS)
    stretch = 1 + elongation * rng.random()
    turned = angle - rng.uniform(0, np.pi)
    outline = radius / np.sqrt((np.cos(turned) / stretch) ** 2 + (np.sin(turned) * stretch) ** 2)
    for wave in range(2, 9):
        outline *= 1 + rough / np.sqrt(wave) * rng.standard_normal() * np.cos(
            wave * angle + rng.uniform(0, 2 * np.pi)
        )
    return np.maximum(outline, 1.0).astype(np.float32)


def _shaded(
    rng: np.random.Generator,
    heap: _Heap,
    top: np.ndarray,
    owner: np.ndarray,
    rim: np.ndarray,
    slope: np.ndarray,
) -> np.ndarray:
    height, width = top.shape
    inside = owner >= 0
    level = np.where(inside, top, 0).astype(np.float32)
    typical = float(np.median(heap.radii))
    own = 1 + rng.choice([0.03, 0.12, 0.3]) * rng.standard_normal(heap.radii.size)
    grey = np.where(inside, own[np.maximum(owner, 0)], 0).astype(np.float32)
    grey *= 1 + rng.uniform(-0.5, 0.9) * rim ** rng.choice([2, 4, 8])
    grey *= 1 + rng.uniform(0, 0.4) * slope
    grey *= 1 - rng.uniform(0, 0.8) * np.clip(1 - level / max(float(level.max()), 1.0), 0, 1)
    # Fewer electrons leave a place that its neighbours overlook.
    reach = typical * rng.uniform(0.2, 0.8)
    overlooked = np.maximum(cv2.GaussianBlur(level, (0, 0), max(reach, 1.0)) - level, 0) / typical
    grey *= np.exp(-rng.uniform(0, 1.5) * overlooked)
    texture = fractal_field(rng, height, width, max(2.0, typical * rng.uniform(0.1, 0.6)))
    grey *= np.clip(1 + rng.choice([0.02, 0.1, 0.25]) * texture, 0.2, 2)
    ground = rng.uniform(0.0, 0.6) * (1 + 0.15 * smooth_field(rng, height, width, 60.0))
    grey = np.where(inside, np.maximum(grey, 0.05), ground).astype(np.float32)
    grey = cv2.GaussianBlur(grey, (0, 0), rng.uniform(0.4, 1.6)).astype(np.float32, copy=False)
    grey += rng.uniform(0.005, 0.1) * rng.standard_normal(grey.shape, dtype=np.float32)
    scale = rng.uniform(70, 190)
    return np.clip(grey * scale + rng.uniform(0, 40), 0, 255).astype(np.uint8)


def _counted(rng: np.random.Generator, heap: _Heap, owner: np.ndarray) -> np.ndarray:
    """Label image of the particles that an annotator would outline: not the deepest, not mere slivers."""
    number = heap.radii.size
    seen = np.bincount(owner.ravel() + 1, minlength=number + 1)[1:]
    share = seen / np.maximum(np.pi * heap.radii**2, 1)
    surface = heap.centres[:, 0] + heap.radii
    deep = surface < rng.choice([0.0, 0.3, 0.5]) * surface.max()
    keep = (seen >= 12) & (share > rng.uniform(0.02, 0.15)) & ~deep
    lut = np.zeros(number + 1, np.int32)
    lut[1:][keep] = np.arange(1, int(keep.sum()) + 1)
    return lut[owner + 1]
