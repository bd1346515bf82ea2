"""The weights of every few steps in, their average over the recent past out: smoother than any one of them."""

from __future__ import annotations

import keras
import numpy as np

EVERY_STEPS = 8
POWER = 16


class WeightAverage(keras.callbacks.Callback):
    """A moving average of the weights whose window grows with the run: about its last twentieth.

    An average with a fixed decay is full of the first weights in a short run and too short in a long
    one. Here step t enters with weight proportional to t^16, so nobody has to know how long the run will be.
    It lives in NumPy, so it works the same on every backend and goes into the run's state as it is.

    Attributes:
        steps: Optimizer steps seen.
        values: The averaged weights, in the order of `model.weights`; empty before the first average.

    Reference:
        Karras et al., Analyzing and Improving the Training Dynamics of Diffusion Models, 2023, section 3.1.
    """

    def __init__(self, steps: int = 0):
        super().__init__()
        self.steps = steps
        self.values: list[np.ndarray] = []

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        if self.steps % EVERY_STEPS == 0:
            synchronize(self.model)
            self.update(self.model.get_weights())

    def update(self, weights: list[np.ndarray]) -> None:
        """Take the weights after step `steps` into the average."""
        if not self.values:
            self.values = [np.array(weight) for weight in weights]
            return
        share = 1 - (1 - EVERY_STEPS / self.steps) ** (POWER + 1)
        for value, weight in zip(self.values, weights, strict=True):
            value += share * (weight - value)

    def copy_to(self, twin: keras.Model) -> None:
        """Give `twin` the average, or the weights at hand if there is none yet."""
        synchronize(self.model)
        twin.set_weights(self.values or self.model.get_weights())


def synchronize(model: keras.Model) -> None:
    """JAX trains on copies of the variables; bring them back before reading or setting any."""
    if hasattr(model, "jax_state_sync"):
        model.jax_state_sync()
