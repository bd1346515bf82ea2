"""A record set in, a `tf.data.Dataset` of standardised and augmented training batches out."""

from __future__ import annotations

import tensorflow as tf

from cathode_tf.datasets.record_set import RecordSet
from cathode_tf.datasets.sampling import PatchSampler


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
        augment: Flip, turn by quarters, and change gamma, contrast, brightness, noise and sharpness a little.
        balanced: Cut a third of the patches where a phase is that was drawn inversely to its share.
        memory_mb: What decoded images may take; a set that fits is decoded only once.
        first_step: Begin with this batch of the endless order, to go on with a training.

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
        balanced=balanced,
        memory_mb=memory_mb,
        first_step=first_step,
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

    def finish(number, item):
        pixels, target, offset, factor = item
        # The same two float32 steps as `standardize`, so that training sees what inference sees.
        image = (tf.cast(pixels, tf.float32) - offset[:, None, None]) * factor[:, None, None]
        image = image[..., None]
        if augment:
            image = change_intensity(image, tf.stack([tf.constant(seed, tf.int64), number]))
        return image, target

    return raw.enumerate(first_step).map(finish, num_parallel_calls=2, deterministic=True).prefetch(4)


def change_intensity(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Random gamma, contrast, brightness, blur and noise, each a little and different for each patch.

    Args:
        image: float32 (batch, height, width, 1), standardised.
        seed: int64 (2,); the same seed gives the same changes.
    """
    count = tf.shape(image)[0]
    draws = tf.random.stateless_uniform((6, count, 1, 1, 1), seed)
    low = tf.reduce_min(image, (1, 2, 3), keepdims=True)
    span = tf.maximum(tf.reduce_max(image, (1, 2, 3), keepdims=True) - low, 1e-3)
    gamma = tf.exp(_range(draws[0], -0.3, 0.3))
    image = tf.pow((image - low) / span, gamma) * span + low
    image = image * tf.exp(_range(draws[1], -0.25, 0.25)) + _range(draws[2], -0.25, 0.25)
    image += _strength(draws[3], 0.3) * (_smooth(image) - image)
    noise = tf.random.stateless_normal(tf.shape(image), seed + 1)
    return image + _strength(draws[4], 0.5) * 0.2 * noise


def _range(draw: tf.Tensor, low: float, high: float) -> tf.Tensor:
    return low + (high - low) * draw


def _strength(draw: tf.Tensor, share: float) -> tf.Tensor:
    """0 for most patches, up to 1 for the given share of them."""
    return tf.maximum(draw - (1 - share), 0.0) / share


def _smooth(image: tf.Tensor) -> tf.Tensor:
    """Gaussian blur with a standard deviation of about a pixel, mirrored at the edges."""
    kernel = tf.constant([1.0, 4.0, 6.0, 4.0, 1.0]) / 16.0
    padded = tf.pad(image, [[0, 0], [2, 2], [2, 2], [0, 0]], "SYMMETRIC")
    rows = tf.nn.conv2d(padded, kernel[:, None, None, None], 1, "VALID")
    return tf.nn.conv2d(rows, kernel[None, :, None, None], 1, "VALID")
