"""A record set in, a `tf.data.Dataset` of standardised and augmented training batches out."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import tensorflow as tf

from cathode_tf.datasets.augmentation import Artefacts, IntensityChange
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
        augment: Flip, turn, zoom, change gamma, contrast, brightness, noise and sharpness a little, and add shadows
            and streaks.
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

    change, artefacts = IntensityChange(batch, patch_px), Artefacts(batch, patch_px)

    def finish(number, item):
        pixels, target, offset, factor = item
        # The same two float32 steps as `standardize`, so that training sees what inference sees.
        image = (tf.cast(pixels, tf.float32) - offset[:, None, None]) * factor[:, None, None]
        image = image[..., None]
        if augment:
            key = tf.stack([tf.constant(seed, tf.int64), number])
            image = change(artefacts(image, key + 2), key)
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
