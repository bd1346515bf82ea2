"""The quicker network answers and learns as the plain one does."""

import numpy as np
import pytest
import tensorflow as tf

from cathode_tf import Phases, build_unet
from cathode_tf.learning import CombinedLoss
from cathode_tf.learning.processor import kernel_gradient, quicker


@pytest.mark.parametrize(("height", "width"), [(6, 9), (1, 4), (3, 3)])
def test_the_gradient_of_a_kernel_is_tensorflows_own(height, width):
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=(2, height, width, 3)).astype(np.float32))
    kernel = tf.Variable(rng.normal(size=(3, 3, 3, 5)).astype(np.float32))
    upstream = tf.constant(rng.normal(size=(2, height, width, 5)).astype(np.float32))
    with tf.GradientTape() as tape:
        answer = tf.nn.conv2d(x, kernel, 1, "SAME")
    expected = tape.gradient(answer, kernel, output_gradients=upstream)
    np.testing.assert_allclose(kernel_gradient(x, upstream), expected, atol=1e-4)


def test_a_network_and_its_quicker_twin_have_one_answer_and_one_gradient():
    plain = build_unet(Phases.default(), filters=(4, 8), seed=1)
    # Offsets and scales that are not 0 and 1, and a bright image, whose mean is far from 0.
    rng = np.random.default_rng(2)
    plain.set_weights([w + rng.normal(0, 0.1, w.shape).astype(np.float32) for w in plain.get_weights()])
    twin = quicker(plain)
    assert twin is not plain and [w.shape for w in twin.weights] == [w.shape for w in plain.weights]
    x = rng.normal(1, 1, (2, 32, 48, 1)).astype(np.float32)
    y = rng.integers(0, 4, (2, 32, 48))
    found = []
    for model in (plain, twin):
        with tf.GradientTape() as tape:
            answer = model(x, training=True)
            loss = CombinedLoss()(y, answer)
        found.append((answer, tape.gradient(loss, [w.value for w in model.trainable_weights])))
    (answer, gradients), (twins_answer, twins_gradients) = found
    np.testing.assert_allclose(twins_answer, answer, atol=1e-5)
    assert len(gradients) == len(plain.trainable_weights)
    for weight, mine, theirs in zip(plain.trainable_weights, gradients, twins_gradients, strict=True):
        scale = float(tf.reduce_max(tf.abs(mine)))
        np.testing.assert_allclose(theirs, mine, atol=1e-4 * scale + 1e-7, err_msg=weight.path)
