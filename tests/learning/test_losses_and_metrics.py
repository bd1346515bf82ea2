"""Dice by hand: the values of loss and metric, their gradients for absent phases, and keras.losses.Dice beside."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from cathode_tf.learning import CombinedLoss, Dice, DiceLoss
from cathode_tf.learning.scores import confusion, dice_per_phase, mean_dice


def test_dice_loss_by_hand_over_the_batch():
    # Two images of 1 x 2. Phase 0: overlap .9 + .2, reference 2, prediction .9 + .4 + .2 + .5 = 2.0 -> 2.2/4.0
    # Phase 1: overlap .6 + .5, reference 2, prediction .1 + .6 + .8 + .5 = 2.0 -> 2.2/4.0
    y_true = np.array([[[0, 1]], [[0, 1]]])
    first = np.array([[[0.9, 0.4]], [[0.2, 0.5]]], "float32")
    y_pred = np.stack([first, 1 - first], axis=-1)
    assert float(DiceLoss()(y_true, y_pred)) == pytest.approx(1 - 2.2 / 4.0)


def test_dice_is_summed_over_the_batch_not_averaged_over_images():
    # The rare phase 1 has one pixel in image 0, none in image 1; a false .1 in image 1 must not read as Dice 0.
    y_true = np.array([[[0, 1]], [[0, 0]]])
    second = np.array([[[0.0, 1.0]], [[0.0, 0.1]]], "float32")
    y_pred = np.stack([1 - second, second], axis=-1)
    # Phase 0: overlap 1 + 1 + .9 = 2.9, both 3 + 2.9; phase 1: overlap 1, both 1 + 1.1.
    assert float(DiceLoss()(y_true, y_pred)) == pytest.approx(1 - (5.8 / 5.9 + 2 / 2.1) / 2, abs=1e-6)


def gradient(loss, y_true, y_pred):
    scores = tf.constant(y_pred)
    with tf.GradientTape() as tape:
        tape.watch(scores)
        value = loss(y_true, scores)
    return tape.gradient(value, scores).numpy()


def test_a_phase_absent_from_the_batch_keeps_a_gradient():
    y_true = np.zeros((1, 8, 8), "uint8")
    y_pred = np.full((1, 8, 8, 3), 1 / 3, "float32")
    # Two absent phases, each with loss (mean over 64 pixels of its probability) / 3 phases.
    ours = gradient(DiceLoss(), y_true, y_pred)
    np.testing.assert_allclose(ours[..., 1:], 1 / 64 / 3, rtol=1e-5)
    assert (ours[..., 0] < 0).all()
    theirs = gradient(keras.losses.Dice(axis=(0, 1, 2)), np.eye(3, dtype="float32")[y_true], y_pred)
    np.testing.assert_allclose(theirs[..., 1:], 0, atol=1e-9)  # the trap


def test_keras_dice_with_its_default_axis_is_not_a_multi_class_dice():
    # Three of four pixels are phase 0, and everything is called phase 0: phase 1 is missed altogether.
    y_true = np.array([[[0, 0, 0, 1]]])
    y_pred = np.eye(2, dtype="float32")[np.zeros((1, 1, 4), int)]
    # Ours: phase 0 1 - 6/7, phase 1 1 - 0. Theirs: 1 - mean probability of the true class = 1/4.
    assert float(DiceLoss()(y_true, y_pred)) == pytest.approx((1 / 7 + 1) / 2)
    assert float(keras.losses.Dice()(np.eye(2, dtype="float32")[y_true], y_pred)) == pytest.approx(0.25)


def test_combined_loss_is_the_weighted_sum():
    y_true = np.array([[[0, 1, 255]]])
    y_pred = np.array([[[[0.5, 0.5], [0.75, 0.25], [0.9, 0.1]]]], "float32")
    entropy = -(np.log(0.5) + np.log(0.25)) / 2
    dice = float(DiceLoss()(y_true, y_pred))
    assert float(CombinedLoss(2.0, 3.0)(y_true, y_pred)) == pytest.approx(2 * dice + 3 * entropy, rel=1e-5)


def test_combined_loss_of_a_certain_mistake_is_finite():
    assert np.isfinite(
        gradient(CombinedLoss(), np.array([[[0]]]), np.array([[[[0.0, 1.0]]]], "float32"))
    ).all()


def test_metric_by_hand():
    # Pixels 0 1 1 2 (one more ignored), called 0 1 0 0. Phase 0: 2/(1+3); 1: 2/(2+1); 2: 0/(1+0).
    metric = Dice(n_phases=4)
    metric.update_state(np.array([[[0, 1, 1, 2, 255]]]), np.eye(4)[np.array([[[0, 1, 0, 0, 3]]])])
    np.testing.assert_allclose(metric.per_phase(), [0.5, 2 / 3, 0, np.nan], rtol=1e-6)
    assert float(metric.result()) == pytest.approx((0.5 + 2 / 3 + 0) / 3)


def test_metric_agrees_with_scores():
    random = np.random.default_rng(3)
    reference, prediction = random.integers(0, 3, (2, 1, 20, 20))
    reference[0, :2] = 255
    metric = Dice(n_phases=3)
    metric.update_state(reference, np.eye(3)[prediction])
    dice = dice_per_phase(confusion(reference, prediction, 3))
    np.testing.assert_allclose(metric.per_phase(), dice, rtol=1e-6)
    assert float(metric.result()) == pytest.approx(mean_dice(dice))
