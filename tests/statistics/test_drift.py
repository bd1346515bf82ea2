"""Where a series changed."""

import numpy as np

from cathode_tf.statistics.drift import FEWEST, changed_from


def test_a_step_is_found_at_its_place():
    """Twelve values about 0, then eight about 4 standard deviations higher."""
    rng = np.random.default_rng(0)
    values = [*rng.normal(0, 1, 12), *rng.normal(4, 1, 8)]
    assert changed_from(values) == 12


def test_one_odd_value_is_no_change():
    values = [1.0, 2, 1, 2, 1, 2, 1, 99, 2, 1, 2, 1, 2, 1]
    assert changed_from(values) is None


def test_few_values_and_none_tell_nothing():
    assert changed_from([0.0] * 4 + [9.0] * (FEWEST - 5)) is None and changed_from([]) is None


def test_no_change_is_told_about_as_seldom_as_asked():
    """Pettitt's p is an upper bound: of 400 series without a change at most 2 % are called changed."""
    rng = np.random.default_rng(1)
    assert np.mean([changed_from(rng.normal(size=24)) is not None for _ in range(400)]) <= 0.02
