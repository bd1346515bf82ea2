"""A record set in, a `tf.data.Dataset` of standardised and augmented training batches out."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import tensorflow as tf

from cathode_tf.datasets.record_set import RecordSet
from cathode_tf.datasets.sampling import PatchSampler
from cathode_tf.errors import InputError


def patches(
    records: RecordSet,
    split: str = "train",
    *,
    patch_px: int = 256,
    batch: int = 16,
    seed: int = 0,
    augment: bool = True,
    balanced: bool = False,
    memory_mb: int = 2048,
    first_step: int = 0,
    pixel_size_nm: float | None = None,
) -> tf.data.Dataset:
    """Endless shuffled batches of patches for training.

    Every image counts the same, whatever its size. Images smaller than a patch are mirrored to its size, and
    what was added is ignored. One seed gives the same batches again, on any machine.

    Args:
        records: The record set.
        split: Which images.
        patch_px: Height and width of a patch, in pixels.
        batch: Patches in a batch.
        seed: Of images, places and augmentation.
        augment: Flip, turn, zoom, and change gamma, contrast, brightness, noise and sharpness a little.
        balanced: Cut a third of the patches where a phase is that was drawn inversely to its share.
        memory_mb: What decoded images may take; a set that fits is decoded only once.
        first_step: Begin with this batch of the endless order, to go on with a training.
        pixel_size_nm: Images whose pixel size is known to be another are resampled to this one, as they are
            when a model of this pixel size segments them.

    Returns:
        Dataset of (image, target): float32 (batch, patch_px, patch_px, 1), standardised by its whole image,
        and uint8 (batch, patch_px, patch_px), class indices in the order of `records.phases`; 255 = ignore.

    Raises:
        InputError: If the split has no images or no labelled pixel, or a number is below 1.
    """
    sampler = PatchSampler(
        records,
        split,
        patch_px=patch_px,
        batch=batch,
        seed=seed,
        turns=augment,
        warps=augment,
        balanced=balanced,
        memory_mb=memory_mb,
        first_step=first_step,
        pixel_size_nm=pixel_size_nm,
    )
    dtype = tf.as_dtype(records.metadata["image_dtype"])
    shape = (batch, patch_px, patch_px)
    raw = tf.data.Dataset.from_generator(
        lambda: iter(sampler),
        output_signature=(
            tf.TensorSpec(shape, dtype),
            tf.TensorSpec(shape, tf.uint8),
            tf.TensorSpec((batch,), tf.float32),
            tf.TensorSpec((batch,), tf.float32),
        ),
    )

    change = IntensityChange(batch, patch_px)

    def finish(number, item):
        pixels, target, offset, factor = item
        # The same two float32 steps as `standardize`, so that training sees what inference sees.
        image = (tf.cast(pixels, tf.float32) - offset[:, None, None]) * factor[:, None, None]
        image = image[..., None]
        if augment:
            image = change(image, tf.stack([tf.constant(seed, tf.int64), number]))
        return image, target

    return raw.enumerate(first_step).map(finish, num_parallel_calls=2, deterministic=True).prefetch(4)


@contextlib.contextmanager
def input_errors() -> Iterator[None]:
    """While batches are drawn: the `InputError` of a damaged record, which tf.data buries in an error of its own."""
    try:
        yield
    except tf.errors.OpError as error:
        found = re.search(r"\bInputError: (.+)", error.message)
        if found is None:
            raise
        raise InputError(found[1]) from error


class IntensityChange:
    """Random gamma, contrast and brightness for all patches of a batch, blur for some, noise for others.

    A batch is in random order, so which of its places get what is fixed, and nothing is computed in vain. The noise
    is cut from a stock at a random place, which costs a fiftieth of drawing it anew.

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
