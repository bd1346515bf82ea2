"""Uncertainties from outside the images: outlines, pixel size; where they go, and nowhere else."""

import cv2
import numpy as np
import pytest

from cathode_tf import InputError, Phases
from cathode_tf.analysis import Settings, analyze
from cathode_tf.analysis.counts import phase_counts
from cathode_tf.statistics import Estimate
from cathode_tf.statistics.budget import budget_rows, edge_change, widened

PHASES = Phases.from_names(["pore", "ncm"])


def disks(seed):
    """Disks of 12 ... 26 px on a grid, none touching."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((240, 300), np.uint8)
    for row in range(30, 230, 60):
        for column in range(30, 280, 60):
            cv2.circle(mask, (column, row), int(rng.integers(12, 26)), 1, -1)
    return mask


@pytest.fixture(scope="module")
def masks():
    return [disks(seed) for seed in range(3)]


def test_a_shell_of_one_pixel_is_boundary_length_times_a_pixel(masks):
    # Removing a shell of one pixel must change the fraction by L_A px, within 15 % (the shell is on the inner side).
    summary = analyze(masks, PHASES, settings=Settings(fragmentation=False)).summary
    before = sum(phase_counts(mask, PHASES)[1] for mask in masks)
    inner = [cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) > 1 for mask in masks]
    after = sum(int(mask.sum()) for mask in inner)
    change = (before - after) / sum(mask.size for mask in masks)
    assert change == pytest.approx(edge_change(summary, None)["ncm"], rel=0.15)


def test_outlines_and_pixel_size_widen_what_they_touch(masks):
    plain = analyze(masks, PHASES, pixel_size_nm=50, settings=Settings(fragmentation=False)).summary
    settings = Settings(edge_px=0.5, pixel_size_rel=0.02, fragmentation=False)
    wide = analyze(masks, PHASES, pixel_size_nm=50, settings=settings).summary
    swept = edge_change(plain, 50)["ncm"]
    fraction, d50 = wide["fraction"]["ncm"], wide["x50_0"]["ncm"]
    assert fraction.components["edge_placement"] == pytest.approx(0.5 * swept)
    assert fraction.half_width > plain["fraction"]["ncm"].half_width
    assert "pixel_size" not in fraction.components
    # A diameter has two ends: 2 x 0.5 px x 50 nm; and 2 % of itself.
    assert d50.components["edge_placement"] == pytest.approx(0.05)
    assert d50.components["pixel_size"] == pytest.approx(0.02 * d50.value)
    assert wide["number_density"]["ncm"].components["pixel_size"] == pytest.approx(
        2 * 0.02 * wide["number_density"]["ncm"].value
    )
    assert [row[1] for row in budget_rows(d50)].count("B") == 2


def test_what_is_refused_or_has_no_interval_stays_so():
    refused = Estimate.refused("too few")
    assert widened(refused, "pixel_size", 0.1) is refused
    alone = widened(Estimate(0.3, n=1), "pixel_size", 0.1)
    assert alone.ci is None and alone.components == {"pixel_size": 0.1}
    with pytest.raises(InputError, match="edge_px: must be 0 or more"):
        Settings(edge_px=-1)
