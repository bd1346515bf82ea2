"""A network in, the same network out whose gradients a processor computes faster, for training with TensorFlow.

A profile of a step in float32 on AVX2 finds two things that take far longer than their arithmetic: the gradient of the
convolutions' kernels at high resolution (a fifth of the speed of a matrix product) and that of the
normalisation (which passes over the activations some eighteen times). Both are the same sums in another order here. The
weights, their names and their order stay, so that nothing outside of a training sees a difference.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from cathode_tf.learning.layers import InstanceNorm


def quicker(model: keras.Model) -> keras.Model:
    """The model with quicker layers and the same weights, where this helps; else the model itself.

    Args:
        model: A functional model.

    Returns:
        A model with as many weights, in the same order. It is to be trained, not to be saved.
    """
    if not _is_for_processor():
        return model
    clone = keras.models.clone_model(model, clone_function=_quicker_layer)
    clone.set_weights(model.get_weights())
    return clone


def _is_for_processor() -> bool:
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.config.list_physical_devices("GPU")


def _quicker_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
    if type(layer) is InstanceNorm and layer.compute_dtype == "float32":
        return _Norm.from_config(layer.get_config())
    if type(layer) is layers.Conv2D and layer.kernel_size == (3, 3) and not layer.use_bias:
        return _Convolution.from_config(layer.get_config())
    return layer.__class__.from_config(layer.get_config())


class _Convolution(layers.Conv2D):
    """A 3 x 3 convolution with padding; the gradient of its kernel is three matrix products."""

    def call(self, inputs: Any) -> Any:
        import tensorflow as tf

        @tf.custom_gradient
        def convolved(x, kernel):
            def gradient(upstream):
                wide = tf.nn.conv2d_transpose(upstream, kernel, tf.shape(x), 1, "SAME")
                return wide, kernel_gradient(x, upstream)

            return tf.nn.conv2d(x, kernel, 1, "SAME"), gradient

        return convolved(inputs, tf.cast(tf.convert_to_tensor(self.kernel), inputs.dtype))


def kernel_gradient(x: Any, upstream: Any) -> Any:
    """Gradient of a 3 x 3 kernel (3, 3, in, out).

    Args:
        x: What was convolved, (batch, height, width, in).
        upstream: Gradient of the answer, (batch, height, width, out).
    """
    import tensorflow as tf

    height, width = tf.shape(x)[1], tf.shape(x)[2]
    n_in, n_out = x.shape[-1], upstream.shape[-1]
    framed = tf.pad(upstream, [[0, 0], [1, 1], [1, 1], [0, 0]])
    # The pixel at x meets the kernel's column j in the answer one column to the left of 2 - j; so with the rows.
    beside = tf.concat([framed[:, :, 2 - column : 2 - column + width] for column in range(3)], -1)
    pixels = tf.reshape(x, (-1, n_in))
    rows = []
    for row in range(3):
        met = tf.reshape(beside[:, 2 - row : 2 - row + height], (-1, 3 * n_out))
        product = tf.matmul(pixels, met, transpose_a=True)
        rows.append(tf.transpose(tf.reshape(product, (n_in, 3, n_out)), (1, 0, 2)))
    return tf.stack(rows)


class _Norm(InstanceNorm):
    """Instance normalisation whose gradient passes over the activations four times."""

    def call(self, inputs: Any) -> Any:
        import tensorflow as tf

        epsilon, over = self.epsilon, (1, 2)

        @tf.custom_gradient
        def normalized(x, scale, offset):
            mean = tf.reduce_mean(x, over, keepdims=True)
            square = tf.reduce_mean(tf.square(x), over, keepdims=True)
            inverse = tf.math.rsqrt(tf.maximum(square - mean * mean, 0.0) + epsilon)
            factor = scale * inverse

            def gradient(upstream):
                count = tf.cast(tf.size(x[0, :, :, 0]), tf.float32)
                total = tf.reduce_sum(upstream, over, keepdims=True)
                along = (tf.reduce_sum(upstream * x, over, keepdims=True) - mean * total) * inverse
                # factor (u - mean of u - z x mean of u z), z the normalised x, with what is linear in x together.
                slope = -factor * inverse * along / count
                term = -factor * total / count - slope * mean
                back = upstream * factor + (x * slope + term)
                return back, tf.reduce_sum(along, (0, 1, 2)), tf.reduce_sum(total, (0, 1, 2))

            return x * factor + (offset - mean * factor), gradient

        return normalized(inputs, tf.convert_to_tensor(self.scale), tf.convert_to_tensor(self.offset))
