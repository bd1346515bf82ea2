"""Drift by construction: steps within 0.2 px, nothing on a still stack, stripes do not hold the slices."""

import itertools

import numpy as np
import pytest

from cathode_tf.tomography.path import find_path, too_many_refused
from cathode_tf.tomography.steps import StepEstimator


def path_of(slices):
    estimator = StepEstimator(slices[0].shape)
    spectra = [estimator.spectra(pixels) for pixels in slices]
    steps = [estimator.step(a, b) for a, b in itertools.pairwise(spectra)]
    across = {
        i + 1: estimator.step(spectra[i - 1], spectra[i + 1])
        for i in range(1, len(steps))
        if steps[i].refused and steps[i - 1].refused
    }
    return find_path(steps, across)


def without_trend(values):
    place = np.arange(len(values))
    return values - np.column_stack([np.polyval(np.polyfit(place, column, 1), place) for column in values.T])


@pytest.mark.parametrize(
    "scene",
    [
        {"stripes": 30.0, "slope": (0.3, 0.0)},
        *(pytest.param(scene, marks=pytest.mark.slow) for scene in ({}, {"blur": 0.5}, {"noise": 25.0})),
    ],
)
def test_drift_steps_and_their_sum(make_stack, scene):
    made = make_stack(seed=1, **scene)
    path = path_of(made.slices)
    truth = np.diff(made.drift, axis=0)
    assert not path.still and not path.refused
    assert np.sqrt(np.square(path.steps_px - truth).mean()) < 0.2
    rest = without_trend(path.shifts(np.zeros(2)) - made.drift)
    assert np.sqrt(np.square(rest).mean()) < 1.0
    # The trend of the picture is what the steps add up to.
    np.testing.assert_allclose(path.trend_px, truth.mean(0), atol=0.1)


@pytest.mark.parametrize("scene", [{"stripes": 20.0}, pytest.param({"blur": 0.5}, marks=pytest.mark.slow)])
def test_a_still_stack_is_left_still(make_stack, scene):
    path = path_of(make_stack(walk=0.0, seed=2, **scene).slices)
    assert path.still
    assert (path.wander_px == 0).all()


@pytest.mark.slow
def test_a_jump_is_found_in_a_stack_that_is_still_otherwise(make_stack):
    made = make_stack(walk=0.0, seed=3)
    moved = made.slices.copy()
    moved[12:] = np.roll(moved[12:], (5, -3), (1, 2))
    path = path_of(moved)
    np.testing.assert_allclose(path.wander_px[11], (5, -3), atol=0.5)
    assert np.abs(np.delete(path.wander_px, 11, 0)).max() == 0


def test_a_torn_slice_is_refused_and_bridged(make_stack):
    made = make_stack(seed=4)
    slices = made.slices.copy()
    slices[15] = np.random.default_rng(0).integers(0, 255, slices[15].shape)
    path = path_of(slices)
    assert sorted(path.refused) == [15, 16]
    assert path.bridged[15].startswith("half of the step from slice 14 to slice 16")
    two = made.drift[16] - made.drift[14]
    np.testing.assert_allclose(path.steps_px[14] + path.steps_px[15], two, atol=0.6)


def test_slices_of_different_things_are_refused():
    rng = np.random.default_rng(0)
    path = path_of(rng.integers(0, 255, (6, 96, 96)).astype(np.uint8))
    assert too_many_refused(path)
    assert (path.steps_px == 0).all()
