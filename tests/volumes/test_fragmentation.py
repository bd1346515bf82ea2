"""Cracks and fragments in three dimensions, by construction."""

import math

import numpy as np
import pytest

from cathode_tf.phases import Phases
from cathode_tf.volumes import Volume, analyze_volume
from cathode_tf.volumes.fragmentation import measure_parents


def ball(count, spacing, centre, radius):
    place = (np.indices(count) + 0.5) * np.reshape(spacing, (3, 1, 1, 1))
    return np.square(place - np.reshape(centre, (3, 1, 1, 1))).sum(0) < radius**2


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 1.0, 1.0)])
def test_a_crack_through_a_ball_makes_two_fragments(spacing):
    count = (int(40 / spacing[0]), 40, 40)
    whole = ball(count, spacing, (20, 20, 20), 14)
    solid = whole.copy()
    solid[:, :, 22:24] = False  # off the middle: 2 wide, through all of it
    table, opening = measure_parents(solid, ~solid, spacing, opening=4.0)
    assert len(table) == 1 and opening == 4.0
    row = table.iloc[0]
    assert row["fragments"] == 2 and not row["touches_border"]
    # A slice of 2 about 3 beside the centre of a ball of 14; closing leaves its rim, one opening wide, in part.
    assert row["crack_volume"] == pytest.approx(2 * math.pi * (14**2 - 3**2), rel=0.2)
    assert row["volume"] == pytest.approx(4 / 3 * math.pi * 14**3, rel=0.05)
    share = np.bincount((whole & solid).nonzero()[2] < 22) / solid.sum()
    assert row["index"] == pytest.approx(1 - np.square(share).sum(), abs=0.02)


def test_whole_balls_pressed_together_are_two_particles_without_cracks():
    spacing = (1.0, 1.0, 1.0)
    solid = ball((40, 40, 60), spacing, (20, 20, 18), 12) | ball((40, 40, 60), spacing, (20, 20, 41), 12)
    table, _ = measure_parents(solid, ~solid, spacing)
    assert len(table) == 2
    assert (table["fragments"] == 1).all() and (table["crack_volume"] == 0).all()


def test_an_inner_pore_is_no_crack_and_binder_parts_particles():
    spacing = (1.0, 1.0, 1.0)
    whole = ball((40, 40, 40), spacing, (20, 20, 20), 14)
    solid = whole & ~ball((40, 40, 40), spacing, (20, 20, 20), 4)
    table, _ = measure_parents(solid, ~solid, spacing)
    assert len(table) == 1 and table["crack_volume"][0] == 0 and table["fragments"][0] == 1
    solid = whole.copy()
    solid[:, :, 19:21] = False
    binder = whole & ~solid
    table, _ = measure_parents(solid, ~solid & ~binder, spacing, opening=4.0)
    assert len(table) == 2 and (table["crack_volume"] == 0).all()


def test_the_analysis_of_a_volume_tells_them():
    phases = Phases.from_names(["pore", "ncm"])
    labels = ball((40, 40, 40), (1, 1, 1), (20, 20, 20), 14).astype(np.uint8)
    labels[:, 22:24] = 0
    summary = analyze_volume(Volume(labels, phases), thickness=False).summary
    assert summary["fragments_per_particle_3d"]["ncm"].value == pytest.approx(2)
    assert summary["crack_volume_fraction"]["ncm"].value == pytest.approx(0.1, abs=0.03)
