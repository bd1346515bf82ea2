"""Class indices and probabilities in, a number to minimise out; pixels of index 255 never count.

Targets are class indices (batch, height, width), predictions are probabilities
(batch, height, width, phases). Everything is computed in float32.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from cathode_tf.learning.distribution import sum_over_replicas
from cathode_tf.phases import IGNORE


def valid_and_one_hot(y_true, n_phases: int):
    """Weights (1 where a pixel counts, else 0) and one-hot targets that are all 0 where it does not.

    Args:
        y_true: Tensor (batch, height, width) of class indices, 255 = ignored.
        n_phases: How many phases there are.

    Returns:
        float32 tensors (batch, height, width) and (batch, height, width, n_phases).
    """
    y_true = ops.cast(y_true, "int32")
    valid = y_true != IGNORE
    # 255 is out of range for one_hot, which some backends refuse.
    targets = ops.one_hot(ops.where(valid, y_true, 0), n_phases, dtype="float32")
    valid = ops.cast(valid, "float32")
    return valid, targets * valid[..., None]


def soft_dice_loss(overlap, reference, prediction):
    """Mean over phases of 1 - Dice, from the three sums; a phase without reference pays its mean probability.

    With no reference pixel in the batch, Dice is 0 whatever is predicted and its gradient vanishes.
    The mean probability given to such a phase still says how much of it is wrong, pixel by pixel.

    Args:
        overlap: Tensor (phases,), sum of probability x target.
        reference: Tensor (phases,), sum of targets.
        prediction: Tensor (phases,), sum of probabilities.
    """
    count = ops.sum(reference)
    there = reference > 0
    dice = 2.0 * overlap / ops.where(there, reference + prediction, 1.0)
    absent = prediction / ops.maximum(count, 1.0)
    return ops.mean(ops.where(there, ops.where(there, 1.0 - dice, 0.0), absent)) * ops.cast(
        count > 0, "float32"
    )


@keras.saving.register_keras_serializable("cathode_tf")
class DiceLoss(keras.losses.Loss):
    """1 - soft Dice of each phase over the whole batch, averaged over all phases.

    Summing over the batch first, not per image, keeps a rare phase from being judged on a handful of
    pixels. A phase absent from the batch contributes the mean probability it was given, so that its
    gradient is never zero where it is wrong. `keras.losses.Dice` does neither.

    Call arguments:
        y_true: Class indices (batch, height, width), 255 = ignored.
        y_pred: Probabilities (batch, height, width, phases).

    Returns:
        float32 scalar, 0-1.

    Example:
        >>> import numpy as np
        >>> y_true = np.array([[[0, 1]]])
        >>> y_pred = np.array([[[[0.75, 0.25], [0.25, 0.75]]]], "float32")
        >>> round(float(DiceLoss()(y_true, y_pred)), 3)  # per phase: 1 - 2 x 0.75 / (1 + 1)
        0.25

    Reference:
        Milletari, Navab, Ahmadi, V-Net, 2016.
    """

    def __init__(self, name: str = "dice_loss", **kwargs: Any):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        overlap, reference, prediction, _ = _sums(y_true, y_pred)
        return _one(soft_dice_loss(overlap, reference, prediction))


@keras.saving.register_keras_serializable("cathode_tf")
class CombinedLoss(keras.losses.Loss):
    """Dice loss + cross-entropy, both over all phases and without the ignored pixels.

    Cross-entropy gives every pixel a steady gradient from the first step; Dice makes each phase count
    the same, however rare.

    Args:
        dice_weight: Factor of the Dice loss.
        cross_entropy_weight: Factor of the mean cross-entropy of the counted pixels.

    Call arguments:
        y_true: Class indices (batch, height, width), 255 = ignored.
        y_pred: Probabilities (batch, height, width, phases).

    Returns:
        float32 scalar, >= 0.

    Example:
        >>> import numpy as np
        >>> y_true = np.array([[[0, 255]]])
        >>> y_pred = np.array([[[[1.0, 0.0], [0.5, 0.5]]]], "float32")
        >>> round(float(CombinedLoss()(y_true, y_pred)), 3)
        0.0
    """

    def __init__(
        self,
        dice_weight: float = 1.0,
        cross_entropy_weight: float = 1.0,
        name: str = "combined_loss",
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        self.dice_weight = dice_weight
        self.cross_entropy_weight = cross_entropy_weight

    def call(self, y_true, y_pred):
        overlap, reference, prediction, entropy = _sums(y_true, y_pred)
        dice = soft_dice_loss(overlap, reference, prediction)
        entropy = entropy / ops.maximum(ops.sum(reference), 1.0)
        return _one(self.dice_weight * dice + self.cross_entropy_weight * entropy)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "dice_weight": self.dice_weight,
            "cross_entropy_weight": self.cross_entropy_weight,
        }


def _sums(y_true, y_pred):
    """Overlap, reference and prediction of each phase, cross-entropy and count, over the whole batch."""
    y_pred = ops.cast(y_pred, "float32")
    valid, targets = valid_and_one_hot(y_true, y_pred.shape[-1])
    over = (0, 1, 2)
    right = targets * y_pred
    entropy = -ops.sum(valid * ops.log(ops.maximum(ops.sum(right, axis=-1), 1e-7)))
    per_phase = (
        ops.sum(right, axis=over),
        ops.sum(targets, axis=over),
        ops.sum(valid[..., None] * y_pred, axis=over),
    )
    sums = sum_over_replicas(ops.concatenate([*per_phase, ops.reshape(entropy, (1,))]))
    n = y_pred.shape[-1]
    return sums[:n], sums[n : 2 * n], sums[2 * n : 3 * n], sums[3 * n]


def _one(loss):
    """Shape (1,): Keras shares what it averages among the replicas, but leaves a scalar as it is."""
    return ops.reshape(loss, (1,))
