"""Joining is learned from particles that are known: bricks of two kinds of border."""

import numpy as np
import pytest

from cathode_tf import InputError
from cathode_tf.particles.agreement import compare_instances
from cathode_tf.particles.joining import Joining
from cathode_tf.particles.learning_to_join import Taught, learn_joining
from cathode_tf.particles.separation import ParticleMaps, separate_solid


def wall(seed):
    """Bricks of 24 x 24 px; each has two hills, so that it falls into pieces. The map of contacts is the same between
    bricks and within them: only the grey tells bricks apart."""
    rng = np.random.default_rng(seed)
    row, column = np.indices((96, 192))
    labels = (row // 24 * 8 + column // 24 + 1).astype(np.int32)
    half = column // 12
    depth = 0.4 + 0.5 * np.abs(np.sin(np.pi * (column + 0.5) / 12)) * np.sin(np.pi * (row % 24 + 0.5) / 24)
    contact = np.where((np.diff(half, axis=1, append=half[:, -1:]) != 0) | (row % 24 == 23), 0.8, 0.1)
    grey = rng.normal(size=33)[labels] + 0.1 * rng.normal(size=labels.shape)
    return labels, contact, depth, grey


def maps_of(contact, depth, grey, **more):
    return ParticleMaps(contact, depth, "a test", grey, **more)


def test_what_the_grey_alone_tells_is_learned():
    solid = np.ones((96, 192), bool)
    labels, *first = wall(0)
    taught = [Taught.of(solid, maps_of(*first), labels)]
    joining = learn_joining(taught)
    labels, *second = wall(1)
    found = separate_solid(solid, maps_of(*second, joining=joining))
    assert compare_instances(found, labels).average_precision() > 0.8
    assert (joining.scale > 0).all() and (Joining.from_dict(joining.to_dict()).scale > 0).all()
    blind = learn_joining([Taught.of(solid, ParticleMaps(*first[:2]), labels)])
    assert (Joining.from_dict(blind.to_dict()).scale > 0).all()  # of grey that nobody saw, too
    plain = separate_solid(solid, maps_of(*second))
    assert compare_instances(plain, labels).average_precision() < 0.2


def test_weights_to_begin_with_are_kept_where_nothing_contradicts_and_move_where_the_image_does():
    solid = np.ones((96, 192), bool)
    labels, *first = wall(0)
    start = learn_joining([Taught.of(solid, maps_of(*first), labels)])
    labels, *second = wall(1)
    again = learn_joining([Taught.of(solid, maps_of(*second), labels)], start)
    assert np.array_equal(again.mean, start.mean) and np.array_equal(again.scale, start.scale)
    alone = learn_joining([Taught.of(solid, maps_of(*second), labels)])
    # The same wall with other greys: little to learn, and less is unlearned than where one begins with nothing.
    assert 0 < np.abs(again.weights - start.weights).sum() < np.abs(alone.weights).sum()


def test_nothing_that_touches_teaches_nothing():
    solid = np.zeros((20, 20), bool)
    solid[5:15, 5:15] = True
    maps = ParticleMaps(np.zeros(solid.shape), np.where(solid, 0.5, 0.0))
    with pytest.raises(InputError, match="must touch"):
        learn_joining([Taught.of(solid, maps, solid.astype(np.int32))])
