"""Pores of stripes, disks and frames, by hand."""

import numpy as np
import pytest

from cathode_tf import InputError, Phases
from cathode_tf.analysis.pores import chord_lengths, local_thickness, measure_pores, pore_estimates

PHASES = Phases.default()


def test_slits_have_their_width_as_thickness_and_as_chords_across():
    mask = np.ones((60, 90), np.uint8)
    mask[:, 10:22] = mask[:, 40:52] = 0  # two slits, 12 wide, from top to bottom
    found = measure_pores(mask, PHASES)
    assert found.area == 2 * 12 * 60
    assert found.spanning == (True, False) and found.closed_area == 0
    assert set(found.chords[0]) == {12} and len(found.chords[0]) == 120
    assert len(found.chords[1]) == 0
    estimates = pore_estimates([found, found], pixel_size_nm=500)
    assert estimates["local_thickness"].value == pytest.approx(6, rel=0.08)
    assert estimates["chord_rows"].value == pytest.approx(6)
    assert estimates["chord_columns"].is_refused
    assert estimates["largest_fraction"].value == 0.5


def test_a_disk_is_as_thick_as_its_diameter_and_closed():
    rows, columns = np.mgrid[:80, :80]
    mask = ((rows - 40) ** 2 + (columns - 40) ** 2 > 25**2).astype(np.uint8)
    found = measure_pores(mask, PHASES)
    assert found.closed_area == found.area
    assert local_thickness(mask == 0)[40, 40] == pytest.approx(50, abs=2)
    assert found.thickness_area / found.area == pytest.approx(50, rel=0.05)
    # Mean chord of a disk: pi d / 4.
    assert np.mean(found.chords[0]) == pytest.approx(np.pi * 50 / 4, rel=0.03)


def test_runs_at_the_frame_are_no_chords():
    assert chord_lengths(np.array([[1, 1, 0, 1, 0, 1]], bool)).tolist() == [1]


def test_no_pore_and_nothing_but_pore():
    assert pore_estimates([measure_pores(np.ones((5, 5), np.uint8), PHASES)])["local_thickness"].is_refused
    assert measure_pores(np.zeros((5, 5), np.uint8), PHASES).area == 25
    with pytest.raises(InputError, match="role pore"):
        measure_pores(np.ones((5, 5), np.uint8), Phases.from_names(["ncm"]))
