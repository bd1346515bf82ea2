"""The layers the network is made of: pure `keras.ops`, so that every Keras backend runs them."""

from __future__ import annotations

import json
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
