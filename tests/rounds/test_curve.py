"""The learning curve: known curves are found, and few points give wide intervals."""

import numpy as np

from cathode_tf.rounds.curve import advise, fit_curve


def dice_at(images, tests=8):
    """Dice = 0.9 - 0.4 / n, with test images that differ by a constant of mean 0."""
    return (0.9 - 0.4 / np.asarray(images, float))[:, None] + np.linspace(-0.03, 0.03, tests)


def test_the_gain_of_ten_more_images_covers_the_truth():
    images = np.array([2, 4, 8, 16, 24])
    curve = fit_curve(images, dice_at(images))
    truth = 0.4 / 24 - 0.4 / 34  # 0.0049
    assert curve.gain_low < truth < curve.gain_high < 0.05
    assert curve.gain >= 0


def test_two_points_say_less_than_five():
    few, many = np.array([2, 4]), np.array([2, 4, 8, 16, 24])
    a, b = fit_curve(few, dice_at(few)), fit_curve(many, dice_at(many))
    assert a.gain_high - a.gain_low > 2 * (b.gain_high - b.gain_low)


def test_one_number_of_images_gives_no_curve():
    assert fit_curve(np.array([3, 3]), dice_at([3, 3])) is None
    assert advise(None).decision == "go on"


def test_the_advice_follows_the_interval():
    steep, flat = np.array([1, 2, 3, 4]), np.array([20, 40, 80, 160])
    assert advise(fit_curve(steep, dice_at(steep))).decision == "go on"
    assert advise(fit_curve(flat, dice_at(flat)), worth=0.02).decision == "stop"
    assert "Ten more images are worth" in advise(fit_curve(flat, dice_at(flat))).because


def test_the_curve_never_leaves_what_dice_can_be():
    images = np.array([1, 2, 4])
    curve = fit_curve(images, np.array([[0.2], [0.6], [0.99]]))
    assert max(curve.high) <= 1.0
