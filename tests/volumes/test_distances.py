"""Distances in a volume against the definition: the nearest of all voxels outside, one by one."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from cathode_tf.volumes.distances import distance_inside

SPACINGS = [(1.0, 1.0, 1.0), (3.0, 2.0, 2.0), (2.0, 1.0, 2.0), (2.0, 2.0, 0.7), (1.0, 2.0, 3.0)]


def blobs(seed: int) -> np.ndarray:
    """Boolean 14 x 19 x 16, with layers that are solid throughout."""
    solid = np.random.default_rng(seed).random((14, 19, 16)) > 0.02
    solid[4:9] = True
    return solid


@pytest.mark.parametrize("spacing", SPACINGS)
def test_the_nearest_voxel_outside_is_found(spacing):
    solid = blobs(1)
    outside, inside = (np.argwhere(part) * spacing for part in (~solid, solid))
    expected = np.zeros(solid.shape)
    expected[solid] = cKDTree(outside).query(inside)[0]

    np.testing.assert_allclose(distance_inside(solid, spacing), expected, rtol=1e-5)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_a_limit_leaves_what_is_nearer(spacing):
    solid = blobs(2)
    whole = distance_inside(solid, spacing)
    limited = distance_inside(solid, spacing, limit=2.5)

    np.testing.assert_array_equal(limited < 2.5, whole < 2.5)
    np.testing.assert_array_equal(limited[whole < 2.5], whole[whole < 2.5])


def test_a_volume_without_an_outside_has_no_boundary():
    assert np.isinf(distance_inside(np.ones((3, 4, 5), bool), (1.0, 1.0, 1.0))).all()
    assert not distance_inside(np.zeros((3, 4, 5), bool), (1.0, 1.0, 1.0)).any()
