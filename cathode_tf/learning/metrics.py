"""The metric that Keras lacks: Dice over all pixels seen, one number a phase and their mean."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from cathode_tf.learning.losses import valid_and_one_hot


@keras.saving.register_keras_serializable("cathode_tf")
class Dice(keras.metrics.Metric):
    """Mean Dice over the phases that occur, of the most probable phase at each counted pixel.

    Counts are pooled over everything since the last reset. A phase that neither the reference nor the
    prediction holds is left out of the mean; if none is there, the result is NaN.

    Args:
        n_phases: How many phases there are.

    Call arguments:
        y_true: Class indices (batch, height, width), 255 = ignored.
        y_pred: Probabilities (batch, height, width, phases).

    Returns:
        float32 scalar, 0-1.

    Example:
        >>> import numpy as np
        >>> metric = Dice(n_phases=3)
        >>> y_pred = np.eye(3, dtype="float32")[np.array([[[0, 1, 1, 0]]])]
        >>> metric.update_state(np.array([[[0, 0, 1, 255]]]), y_pred)
        >>> round(float(metric.result()), 3)  # 2/3 for both phases that occur
        0.667
    """

    def __init__(self, n_phases: int, name: str = "dice", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.n_phases = n_phases
        # float32 counts exactly up to 16 million pixels; beyond that the rounding is far below 1e-6 of Dice.
        self.overlap = self.add_variable((n_phases,), initializer="zeros", name="overlap", dtype="float32")
        self.both = self.add_variable((n_phases,), initializer="zeros", name="both", dtype="float32")

    def update_state(self, y_true, y_pred, sample_weight=None):
        valid, targets = valid_and_one_hot(y_true, self.n_phases)
        chosen = ops.one_hot(ops.argmax(y_pred, axis=-1), self.n_phases, dtype="float32") * valid[..., None]
        over = (0, 1, 2)
        self.overlap.assign_add(2.0 * ops.sum(targets * chosen, axis=over))
        self.both.assign_add(ops.sum(targets, axis=over) + ops.sum(chosen, axis=over))

    def per_phase(self):
        """Dice of each phase, float32 (n_phases,); NaN for a phase that does not occur."""
        both = ops.convert_to_tensor(self.both)
        return ops.where(both > 0, self.overlap / ops.maximum(both, 1.0), float("nan"))

    def result(self):
        both = ops.convert_to_tensor(self.both)
        there = ops.cast(both > 0, "float32")
        total = ops.sum(self.overlap / ops.maximum(both, 1.0) * there)
        return ops.where(ops.any(both > 0), total / ops.maximum(ops.sum(there), 1.0), float("nan"))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "n_phases": self.n_phases}
