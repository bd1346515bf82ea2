"""The layers the network is made of: pure `keras.ops`, so that every Keras backend runs them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("cathode_tf")
class InstanceNorm(keras.layers.Layer):
    """Gives each channel of each image mean 0 and spread 1, then a learned scale and offset.

    Needs no running statistics, so a short run with small batches validates as it trains. The
    statistics are float32 in every precision; the image itself stays in the compute type and is
    read twice, written once, which is what makes this several times faster on processors than
    `keras.layers.GroupNormalization`.

    Args:
        epsilon: Added to the variance.

    Call arguments:
        inputs: Float tensor (batch, height, width, channels).

    Returns:
        A tensor of the same shape and type.

    Example:
        >>> import numpy as np
        >>> x = np.arange(8, dtype="float32").reshape(1, 2, 2, 2)
        >>> y = InstanceNorm()(x)
        >>> float(ops.mean(y[..., 0])), round(float(ops.std(y[..., 0])), 3)
        (0.0, 1.0)

    Reference:
        Ulyanov, Vedaldi, Lempitsky, Instance Normalization, 2016.
    """

    def __init__(self, epsilon: float = 1e-5, **kwargs: Any):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, input_shape) -> None:
        shape = (input_shape[-1],)
        self.scale = self.add_weight(shape=shape, initializer="ones", name="scale", autocast=False)
        self.offset = self.add_weight(shape=shape, initializer="zeros", name="offset", autocast=False)

    def call(self, inputs):
        mean = ops.mean(ops.cast(inputs, "float32"), axis=(1, 2), keepdims=True)
        square = ops.mean(ops.square(ops.cast(inputs, "float32")), axis=(1, 2), keepdims=True)
        variance = ops.maximum(square - mean * mean, 0.0)
        factor = self.scale * ops.rsqrt(variance + self.epsilon)
        term = self.offset - mean * factor
        return inputs * ops.cast(factor, inputs.dtype) + ops.cast(term, inputs.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon}


@keras.saving.register_keras_serializable("cathode_tf")
class SpaceToDepth(keras.layers.Layer):
    """Each block of `size` x `size` pixels becomes one pixel with all their channels.

    Args:
        size: Side of the blocks, in pixels; height and width must be multiples of it.

    Call arguments:
        inputs: Tensor (batch, height, width, channels).

    Returns:
        Tensor (batch, height / size, width / size, channels * size * size); the channel of offset
        (row, column) is `(row * size + column) * channels + channel`.

    Example:
        >>> import numpy as np
        >>> SpaceToDepth(2)(np.arange(4.0).reshape(1, 2, 2, 1)).shape
        TensorShape([1, 1, 1, 4])
    """

    def __init__(self, size: int = 2, **kwargs: Any):
        super().__init__(**kwargs)
        self.size = size

    def call(self, inputs):
        size = self.size
        _, height, width, channels = ops.shape(inputs)
        blocks = ops.reshape(inputs, (-1, height // size, size, width // size, size, channels))
        blocks = ops.transpose(blocks, (0, 1, 3, 2, 4, 5))
        return ops.reshape(blocks, (-1, height // size, width // size, size * size * channels))

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return (
            batch,
            None if height is None else height // self.size,
            None if width is None else width // self.size,
            channels * self.size**2,
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size}


@keras.saving.register_keras_serializable("cathode_tf")
class DepthToSpace(keras.layers.Layer):
    """The inverse of `SpaceToDepth`: the channels of one pixel become a block of `size` x `size` pixels.

    Args:
        size: Side of the blocks, in pixels; the channels must be a multiple of its square.

    Call arguments:
        inputs: Tensor (batch, height, width, channels).

    Returns:
        Tensor (batch, height * size, width * size, channels / size / size).

    Example:
        >>> import numpy as np
        >>> x = np.arange(16.0).reshape(1, 4, 4, 1)
        >>> bool((np.array(DepthToSpace(2)(SpaceToDepth(2)(x))) == x).all())
        True
    """

    def __init__(self, size: int = 2, **kwargs: Any):
        super().__init__(**kwargs)
        self.size = size

    def call(self, inputs):
        size = self.size
        _, height, width, channels = ops.shape(inputs)
        kept = channels // size**2
        blocks = ops.reshape(inputs, (-1, height, width, size, size, kept))
        blocks = ops.transpose(blocks, (0, 1, 3, 2, 4, 5))
        return ops.reshape(blocks, (-1, height * size, width * size, kept))

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return (
            batch,
            None if height is None else height * self.size,
            None if width is None else width * self.size,
            channels // self.size**2,
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size}


@keras.saving.register_keras_serializable("cathode_tf")
class Card(keras.layers.Layer):
    """Passes its input on unchanged and carries the model card, so that a `.keras` file explains itself.

    Args:
        card: What is known about the model, as JSON can say it: phases, pixel size, training, Dice.

    Example:
        >>> Card({"preset": "small"}).get_config()["card"]
        {'preset': 'small'}
    """

    def __init__(self, card: dict[str, Any], **kwargs: Any):
        super().__init__(**kwargs)
        self.card = json.loads(json.dumps(card))

    def call(self, inputs):
        return inputs

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "card": json.loads(json.dumps(dict(self.card)))}


@keras.saving.register_keras_serializable("cathode_tf")
class After(keras.layers.Layer):
    """The last `channels` of its input, once all of it is there: two networks that take turns share memory.

    A graph runs side by side whatever does not wait.

    Args:
        channels: How many channels to pass on.

    Call arguments:
        inputs: Tensor (batch, height, width, channels); what is waited for comes first.

    Returns:
        Tensor (batch, height, width, `channels`).

    Example:
        >>> import numpy as np
        >>> After(1)(np.zeros((1, 2, 2, 4))).shape
        TensorShape([1, 2, 2, 1])
    """

    def __init__(self, channels: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.channels = int(channels)

    def call(self, inputs):
        return inputs[..., -self.channels :]

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "channels": self.channels}


@keras.saving.register_keras_serializable("cathode_tf")
class Pool(keras.layers.Layer):
    """Two answers to each pixel in, one out: their weighted geometric mean, made to sum to 1.

    Probabilities that are sure weigh more than those in doubt, as in no arithmetic mean.

    Args:
        places: For each phase of the second answer, the place of the phase of the first that it becomes part
            of; -1 for none.
        weight: Of the second answer, 0-1.

    Call arguments:
        inputs: Float tensor (batch, height, width, channels): the first answer, then the second.

    Returns:
        Tensor of the same type (batch, height, width, phases of the first answer).

    Example:
        >>> import numpy as np
        >>> both = np.array([0.5, 0.5, 0.8, 0.1, 0.1], "float32").reshape(1, 1, 1, 5)
        >>> [round(float(p), 3) for p in np.array(Pool([0, 1, 1], 0.5)(both)).ravel()]
        [0.667, 0.333]

    Reference:
        Genest, Zidek, Combining probability distributions: a critique and an annotated bibliography,
        Statistical Science 1, 1986 (logarithmic opinion pool).
    """

    FLOOR = 1e-4

    def __init__(self, places: Sequence[int], weight: float, **kwargs: Any):
        super().__init__(**kwargs)
        self.places, self.weight = [int(place) for place in places], float(weight)

    def call(self, inputs):
        dtype, inputs = inputs.dtype, ops.cast(inputs, "float32")
        n = inputs.shape[-1] - len(self.places)
        second = [
            sum(inputs[..., n + k] for k, place in enumerate(self.places) if place == phase)
            for phase in range(n)
        ]
        # The zero keeps the shape where no phase of the second answer has a place here.
        told = ops.stack([inputs[..., 0] * 0 + phase for phase in second], axis=-1)
        told = told / ops.maximum(ops.sum(told, axis=-1, keepdims=True), self.FLOOR)
        scores = (1 - self.weight) * _log(inputs[..., :n]) + self.weight * _log(told)
        return ops.cast(ops.softmax(scores, axis=-1), dtype)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], input_shape[-1] - len(self.places))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "places": self.places, "weight": self.weight}


def _log(probabilities):
    return ops.log(ops.maximum(probabilities, Pool.FLOOR))
