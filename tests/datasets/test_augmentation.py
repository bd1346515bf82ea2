"""What augmentation does to grey levels, and that it leaves the structure to be seen."""

import numpy as np
import pytest
import tensorflow as tf

from cathode_tf.datasets.augmentation import Artefacts, IntensityChange


def _key(number):
    return tf.constant([3, number], tf.int64)


@pytest.mark.parametrize("kind", [Artefacts, IntensityChange])
@pytest.mark.parametrize("batch", [1, 2, 16])
def test_changes_are_small_seeded_and_differ_between_patches(kind, batch):
    image = tf.random.stateless_normal((batch, 32, 32, 1), (1, 2))
    change = kind(batch, 32)
    first, again, other = (change(image, _key(n)).numpy() for n in (4, 4, 5))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    pairs = zip(image.numpy(), first, strict=True)
    correlation = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs]
    assert min(correlation) > 0.6
    assert len({round(c, 6) for c in correlation}) == batch


@pytest.mark.parametrize("kind", [Artefacts, IntensityChange])
def test_an_empty_patch_stays_finite(kind):
    flat = kind(4, 8)(tf.zeros((4, 8, 8, 1)), _key(0))
    assert np.isfinite(flat.numpy()).all()
    assert flat.shape == (4, 8, 8, 1)


def test_shadows_are_planes_and_streaks_run_along_columns_or_rows():
    # On empty patches only the artefact is left. A plane a y + b x has no second difference in either direction; a
    # streak along the columns has one across them, but none along them.
    made = Artefacts(16, 64)(tf.zeros((16, 64, 64, 1)), _key(7)).numpy()[..., 0]
    down, across = (np.abs(np.diff(made, 2, axis=axis)).max((1, 2)) > 1e-5 for axis in (1, 2))
    np.testing.assert_array_equal(np.flatnonzero(across), [6, 7])
    np.testing.assert_array_equal(np.flatnonzero(down), [8, 9])
    assert np.abs(made[:6]).max() <= 0.4 + 1e-6
