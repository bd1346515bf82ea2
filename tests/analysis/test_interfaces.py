"""Structures whose boundary lengths, contacts and triple points are known."""

import math

import cv2
import numpy as np
import pytest

from cathode_tf.analysis.interfaces import (
    ANISOTROPIC,
    PIXEL_SCALE,
    boundary_density,
    contact_fraction,
    intercepts,
    isotropy,
    surface_density,
    triple_point_density,
)
from cathode_tf.phases import Phases
from cathode_tf.statistics.fractions import ABSENT

PHASES = Phases.default()


def disks(seed: int, radius: float = 30.5) -> np.ndarray:
    """25 disks of 61 px, apart, at random places of a 5 x 5 grid of cells of 100 px."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:500, :500]
    mask = np.zeros((500, 500), np.uint8)
    for i in range(5):
        for j in range(5):
            r, c = 100 * i + rng.uniform(35, 65), 100 * j + rng.uniform(35, 65)
            mask[(rows - r) ** 2 + (columns - c) ** 2 <= radius**2] = 1
    return mask


def test_perimeter_of_disks_without_the_staircase():
    # 25 perimeters of 2 pi 30.5 px on 250000 px^2 (known lines end half a pixel short of the frame).
    tables = [intercepts(disks(seed), PHASES) for seed in range(4)]
    estimate = boundary_density(tables, 1)
    assert estimate.value == pytest.approx(25 * 2 * math.pi * 30.5 / 250000, rel=0.01)
    assert surface_density(tables, 1).value == pytest.approx(4 / math.pi * estimate.value)
    assert isotropy(tables, 1).isotropic


def test_pixel_size_scales_lengths():
    tables = [intercepts(disks(0), PHASES)]
    assert boundary_density(tables, 1, pixel_size_nm=50).value == pytest.approx(
        boundary_density(tables, 1).value / 0.05
    )


def test_stripes_are_found_anisotropic():
    mask = np.zeros((200, 200), np.uint8)
    mask[:, 50:150] = 1
    tables = [intercepts(mask, PHASES)] * 3
    test = isotropy(tables, 1)
    # Rows cross 2 boundaries on 199 px, columns none, diagonals 2 on every 199 sqrt(2) px.
    assert test.per_direction[0] == pytest.approx(2 / 199)
    assert test.per_direction[90] == 0
    assert not test.isotropic
    assert ANISOTROPIC in boundary_density(tables, 1).flags


def test_pixel_noise_is_called_noise_and_not_a_direction():
    # Stray pixels, far apart: 2 changes a row of 1 px height, but lines along diagonals lie 1 / sqrt(2) px
    # apart.
    rng = np.random.default_rng(0)
    masks = [(rng.random((300, 300)) < 0.01).astype(np.uint8) for _ in range(4)]
    tables = [intercepts(mask, PHASES) for mask in masks]
    test = isotropy(tables, 1)
    assert test.isotropic and test.grid == pytest.approx(2 * (1 - 0.5**0.5) / (1 + 0.5**0.5), abs=0.03)
    assert set(boundary_density(tables, 1).flags) == {PIXEL_SCALE}


def test_contact_of_a_half_covered_disk_is_a_half():
    rows, columns = np.mgrid[:300, :300]
    mask = np.zeros((300, 300), np.uint8)
    mask[(rows - 150) ** 2 + (columns - 150) ** 2 <= 90**2] = 3
    mask[:, :150] = np.where(mask[:, :150] == 3, 0, mask[:, :150])
    mask[(rows - 150) ** 2 + (columns - 150) ** 2 <= 70**2] = 1
    tables = [intercepts(mask, PHASES)]
    assert contact_fraction(tables, 1, [3]).value == pytest.approx(0.5, abs=0.01)
    assert contact_fraction(tables, 1, [0, 3]).value == pytest.approx(1)


def test_zero_contact_is_zero_and_no_boundary_is_refused():
    mask = np.zeros((60, 60), np.uint8)
    mask[10:30, 10:30] = 1
    tables = [intercepts(mask, PHASES)] * 2
    none = contact_fraction(tables, 1, [3])
    assert none.value == 0 and ABSENT in none.flags
    assert contact_fraction(tables, 3, [1]).is_refused


def test_ignored_pixels_are_no_boundary():
    mask = np.zeros((40, 40), np.uint8)
    mask[:, 19:21] = 255
    mask[:, 21:] = 1
    assert intercepts(mask, PHASES).counts.sum() == 0


def test_three_sectors_meet_once():
    mask = np.zeros((41, 41), np.uint8)
    mask[20:] = 1
    mask[20:, 20:] = 3
    table = intercepts(mask, PHASES)
    assert table.triple_points == 1
    assert triple_point_density([table]).value == pytest.approx(1 / 1600)


def test_four_sectors_count_twice():
    mask = np.zeros((40, 40), np.uint8)
    mask[:20, 20:], mask[20:, :20], mask[20:, 20:] = 1, 2, 3
    assert intercepts(mask, PHASES).triple_points == 2


def test_one_pixel_has_no_lines():
    table = intercepts(np.zeros((1, 1), np.uint8), PHASES)
    assert boundary_density([table], 0).is_refused and triple_point_density([table]).is_refused


def test_drawn_circles_agree_with_their_perimeter():
    mask = np.zeros((400, 400), np.uint8)
    cv2.circle(mask, (200, 200), 120, 1, -1)
    value = boundary_density([intercepts(mask, PHASES)], 1).value
    assert value * 399 * 400 == pytest.approx(2 * math.pi * 120.5, rel=0.02)


def test_scikit_image_measures_the_same_perimeter():
    from skimage.measure import perimeter_crofton

    mask = disks(3)
    # skimage sees nothing beyond the frame; neither do we, and no disk touches it.
    theirs = perimeter_crofton(mask == 1, directions=4)
    ours = boundary_density([intercepts(mask, PHASES)], 1).value * 499 * 500
    assert ours == pytest.approx(theirs, rel=0.01)


@pytest.mark.parametrize("shell_px", [1, 2])
def test_a_shell_of_the_boundary_changes_the_fraction_by_its_length(shell_px):
    # What every edge being misplaced by delta does to a fraction: L_A delta, here of a Euclidean shell.
    mask = disks(0)
    distance = cv2.distanceTransform((mask == 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    removed = ((mask == 1) & (distance <= shell_px)).mean()
    density = boundary_density([intercepts(mask, PHASES)], 1).value
    assert removed == pytest.approx(density * shell_px, rel=0.15)
