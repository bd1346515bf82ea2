"""Standardised patches in, the same patches out as another day at the microscope would have recorded them.

Geometry is changed where patches are cut (`sampling`); here only grey levels change, so masks stay as they are.
A batch is in random order, so which of its places get what is fixed, and nothing is computed in vain.
"""

from __future__ import annotations

import tensorflow as tf


class Artefacts:
    """A shadow across all patches of a batch, and streaks along a quarter of them.

    The shadow is a plane, as under a detector that stands at one side or in the depth of a FIB-SEM trench. Streaks
    run along the columns (curtains of the ion beam) or the rows (charging and noise of the scan), fine and broad
    together.

    Args:
        batch: Patches in a batch.
        patch_px: Height and width of a patch.
    """

    def __init__(self, batch: int, patch_px: int) -> None:
        self._patch_px = patch_px
        self._first, self._last = 3 * batch // 8, 5 * batch // 8
        along = tf.linspace(-1.0, 1.0, patch_px)
        self._down, self._across = along[:, None, None], along[None, :, None]

    def __call__(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Patches with artefacts.

        Args:
            image: float32 (batch, patch_px, patch_px, 1), standardised.
            seed: int64 (2,); the same seed gives the same artefacts.
        """
        tilt = tf.random.stateless_uniform((2, image.shape[0], 1, 1, 1), seed, -0.2, 0.2)
        image += tilt[0] * self._down + tilt[1] * self._across
        columns, rows = tf.split(image[self._first : self._last], self._halves())
        columns += self._streaks(columns.shape[0], seed + 1)[:, None]
        rows += self._streaks(rows.shape[0], seed + 2)[:, :, None]
        return tf.concat([image[: self._first], columns, rows, image[self._last :]], axis=0)

    def _halves(self) -> list[int]:
        count = self._last - self._first
        return [count // 2, count - count // 2]

    def _streaks(self, count: int, seed: tf.Tensor) -> tf.Tensor:
        """Brightness across the streaks, float32 (count, patch_px, 1)."""
        fine = tf.random.stateless_normal((count, self._patch_px, 1), seed)
        broad = tf.random.stateless_normal((count, self._patch_px // 16 + 2, 1, 1), seed + 1)
        broad = tf.image.resize(broad, (self._patch_px, 1))[:, :, 0]
        return tf.random.stateless_uniform((count, 1, 1), seed + 2, 0.0, 0.15) * (fine + broad)


class IntensityChange:
    """Random gamma, contrast and brightness for all patches of a batch, blur for some, noise for others.

    The noise is cut from a stock at a random place, which costs a fiftieth of drawing it anew.

    Args:
        batch: Patches in a batch.
        patch_px: Height and width of a patch.
    """

    def __init__(self, batch: int, patch_px: int) -> None:
        self.blurred, self.noisy = batch // 3, batch // 2
        side = patch_px + _STOCK_MARGIN
        self._stock = tf.random.stateless_normal((self.noisy, side, side, 1), (0, 0))
        self._patch_px = patch_px

    def __call__(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Changed patches.

        Args:
            image: float32 (batch, patch_px, patch_px, 1), standardised.
            seed: int64 (2,); the same seed gives the same changes.
        """
        draws = tf.random.stateless_uniform((5, image.shape[0], 1, 1, 1), seed)
        low = tf.reduce_min(image, (1, 2, 3), keepdims=True)
        span = tf.maximum(tf.reduce_max(image, (1, 2, 3), keepdims=True) - low, 1e-3)
        gamma = tf.exp(_range(draws[0], -0.3, 0.3))
        # x ** gamma, eight times as fast as `tf.pow`.
        image = tf.exp(gamma * tf.math.log((image - low) / span + 1e-6)) * span + low
        image = image * tf.exp(_range(draws[1], -0.25, 0.25)) + _range(draws[2], -0.25, 0.25)
        sharp, rest = image[: self.blurred], image[self.blurred :]
        sharp += draws[3, : self.blurred] * (_smooth(sharp, self._patch_px) - sharp)
        clean, rest = rest[: rest.shape[0] - self.noisy], rest[rest.shape[0] - self.noisy :]
        corner = tf.random.stateless_uniform((2,), seed + 1, 0, _STOCK_MARGIN, tf.int32)
        noise = self._stock[:, corner[0] : corner[0] + self._patch_px, corner[1] : corner[1] + self._patch_px]
        return tf.concat([sharp, clean, rest + 0.25 * draws[4, : self.noisy] * noise], axis=0)


_STOCK_MARGIN = 128


def _range(draw: tf.Tensor, low: float, high: float) -> tf.Tensor:
    return low + (high - low) * draw


def _smooth(image: tf.Tensor, size: int) -> tf.Tensor:
    """Gaussian blur with a standard deviation of about a pixel, mirrored at the edges."""
    image = tf.pad(image, [[0, 0], [2, 2], [2, 2], [0, 0]], "SYMMETRIC")
    weights = [weight / 16 for weight in (1, 4, 6, 4, 1)]
    image = tf.add_n([weight * image[:, i : i + size] for i, weight in enumerate(weights)])
    return tf.add_n([weight * image[:, :, i : i + size] for i, weight in enumerate(weights)])
