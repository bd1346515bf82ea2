"""Keras model in, a network out that measures an image's normalisation once and applies it to tiles.

Instance normalisation looks at all the pixels it is given. Run tile by tile, a network with it would answer
differently for each grid of tiles. So the means and spreads are measured once for the image (`measure`),
and every tile is then normalised with these (`apply`): what is left of each normalisation is a scale and an
offset a channel, which go into the convolution before it and cost nothing. Batch normalisation is such a scale
and offset from the start, and there is nothing to measure.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cathode_tf.learning.layers import DepthToSpace, InstanceNorm, SpaceToDepth


class Network:
    """One trained network, ready for tiles.

    Args:
        model: A functional Keras model, float32 (b, h, w, 1) to probabilities (b, h, w, n). Its weights
            are shared, not copied.

    Attributes:
        measure: Images float32 (b, h, w, 1) in; probabilities float32 (b, h, w, n), and the normalisation
            (packed_size,) over all the images, out.
        apply: Images and such a normalisation in; probabilities under it out.
        variables: The weights, as TensorFlow tracks them.
        packed_size: How many numbers the normalisation of an image takes.
        bytes_per_px: Memory that a tile takes, per pixel: an estimate on the safe side.
    """

    def __init__(self, model: keras.Model):
        self._normalization = _Normalization()
        convolved: dict[int, tuple[keras.layers.Conv2D, Any]] = {}
        kept: list[Any] = []  # an id is only unique while its object lives

        def call(layer, *args, **kwargs):
            if isinstance(layer, InstanceNorm):
                convolution, inputs = convolved.get(id(args[0]), (None, args[0]))
                return _Normalized(layer, convolution, self._normalization)(inputs)
            if isinstance(layer, keras.layers.BatchNormalization) and id(args[0]) in convolved:
                convolution, inputs = convolved[id(args[0])]
                return _BatchNormalized(layer, convolution)(inputs)
            value = layer(*args, **kwargs)
            if type(layer) is keras.layers.Conv2D and layer.activation is keras.activations.linear:
                convolved[id(value)] = (layer, args[0])
                kept.append(value)
            return value

        self._model = keras.models.clone_model(model, clone_function=_quicker, call_function=call)
        self.variables = [variable.value for variable in model.variables]
        self.packed_size = self._normalization.size
        self.bytes_per_px = _bytes_per_px(model)
        images = tf.TensorSpec((None, None, None, 1), tf.float32)
        packed = tf.TensorSpec((self.packed_size,), tf.float32)
        # Traced once, however many places of a graph call it: tiles, samples, whole images, every orientation.
        self.measure = tf.function(self._measure, input_signature=[images], autograph=False)
        self.apply = tf.function(self._apply, input_signature=[images, packed], autograph=False)

    def _measure(self, images: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """Probabilities float32 (b, h, w, n), and the normalisation (packed_size,) over all the images."""
        self._normalization.start()
        probabilities = tf.cast(self._model(images, training=False), tf.float32)
        return probabilities, self._normalization.measured()

    def _apply(self, images: Any, packed: Any) -> tf.Tensor:
        """Probabilities float32 (b, h, w, n) under a normalisation that was measured before."""
        self._normalization.start(packed)
        return tf.cast(self._model(images, training=False), tf.float32)


class _Normalization:
    """What the layers of one network are told while it is called: measure, or use these numbers."""

    def __init__(self):
        self.size = 0
        self.given: Any = None
        self.found: list[Any] = []

    def start(self, packed: Any = None) -> None:
        self.given, self.found = packed, []

    def measured(self) -> tf.Tensor:
        return tf.concat([tf.zeros((0,)), *self.found], 0)


class _Normalized(keras.layers.Layer):
    """Instance normalisation by measured or given numbers, and the convolution before it, if there is one."""

    def __init__(
        self, norm: InstanceNorm, convolution: keras.layers.Conv2D | None, normalization: _Normalization
    ):
        super().__init__(dtype=norm.dtype_policy)
        self.norm, self.convolution, self.normalization = norm, convolution, normalization
        self.channels = norm.scale.shape[0]
        self.offset = normalization.size
        normalization.size += 2 * self.channels

    def call(self, inputs):
        if self.normalization.given is None:
            value = inputs if self.convolution is None else self.convolution(inputs)
            factor, term = self._measured(value)
            self.normalization.found.extend((factor, term))
            return value * tf.cast(factor, value.dtype) + tf.cast(term, value.dtype)
        packed = self.normalization.given[self.offset : self.offset + 2 * self.channels]
        factor, term = tf.split(packed, 2)
        if self.convolution is None:
            return inputs * tf.cast(factor, inputs.dtype) + tf.cast(term, inputs.dtype)
        return _folded(self.convolution, inputs, factor, term)

    def _measured(self, value):
        wide = tf.cast(value, tf.float32)
        mean = tf.reduce_mean(wide, (0, 1, 2))
        variance = tf.maximum(tf.reduce_mean(tf.square(wide), (0, 1, 2)) - mean * mean, 0.0)
        factor = tf.convert_to_tensor(self.norm.scale) * tf.math.rsqrt(variance + self.norm.epsilon)
        return factor, tf.convert_to_tensor(self.norm.offset) - mean * factor

    def compute_output_shape(self, input_shape):
        return self.convolution.compute_output_shape(input_shape) if self.convolution else input_shape


class _BatchNormalized(keras.layers.Layer):
    """Batch normalisation by what was learned, and the convolution before it."""

    def __init__(self, norm: keras.layers.BatchNormalization, convolution: keras.layers.Conv2D):
        super().__init__(dtype=norm.dtype_policy)
        self.norm, self.convolution = norm, convolution

    def call(self, inputs):
        mean, variance = (tf.convert_to_tensor(v) for v in (self.norm.moving_mean, self.norm.moving_variance))
        factor, term = tf.math.rsqrt(variance + self.norm.epsilon), 0.0
        if self.norm.scale:
            factor *= tf.convert_to_tensor(self.norm.gamma)
        if self.norm.center:
            term = tf.convert_to_tensor(self.norm.beta)
        return _folded(self.convolution, inputs, factor, term - mean * factor)

    def compute_output_shape(self, input_shape):
        return self.convolution.compute_output_shape(input_shape)


def _folded(layer: keras.layers.Conv2D, inputs: Any, factor: Any, term: Any) -> tf.Tensor:
    """The convolution, times `factor`, plus `term`, in one go."""
    inputs = tf.cast(inputs, layer.compute_dtype)
    kernel = tf.cast(tf.convert_to_tensor(layer.kernel) * factor, inputs.dtype)
    if layer.use_bias:
        term = tf.convert_to_tensor(layer.bias) * factor + term
    value = tf.nn.conv2d(inputs, kernel, layer.strides, layer.padding.upper(), dilations=layer.dilation_rate)
    return tf.nn.bias_add(value, tf.cast(term, value.dtype))


def _bytes_per_px(model: keras.Model) -> float:
    """3.7 times the largest activation: measured peaks are 2.5 to 3.5 times that."""
    side, sizes = 1024, [1.0]

    def call(layer, *args, **kwargs):
        value = layer(*args, **kwargs)
        if len(value.shape) == 4 and None not in value.shape:
            sizes.append(float(np.prod(value.shape)) / side**2)
        return value

    fixed = keras.Input(batch_shape=(1, side, side, 1))
    keras.models.clone_model(model, fixed, clone_function=lambda layer: layer, call_function=call)
    return 3.7 * 4 * max(sizes)


def _quicker(layer: keras.layers.Layer) -> keras.layers.Layer:
    """The layer itself, or one that does the same faster on TensorFlow."""
    if isinstance(layer, (SpaceToDepth, DepthToSpace)):
        return _Blocks(layer)
    return layer


class _Blocks(keras.layers.Layer):
    def __init__(self, layer: SpaceToDepth | DepthToSpace):
        super().__init__(dtype=layer.dtype_policy)
        self.layer = layer
        self.operation = tf.nn.space_to_depth if isinstance(layer, SpaceToDepth) else tf.nn.depth_to_space

    def call(self, inputs):
        return self.operation(inputs, self.layer.size)

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)
