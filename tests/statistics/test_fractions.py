import math
from dataclasses import replace

import numpy as np
import pytest

from cathode_tf import Phases
from cathode_tf.analysis import Settings, analyze
from cathode_tf.analysis.counts import covariance, phase_counts
from cathode_tf.analysis.layers import LAYERED, band_counts, depth_profile, layering
from cathode_tf.statistics.estimate import NO_INTERVAL
from cathode_tf.statistics.fractions import (
    ABSENT,
    TOO_SMALL,
    integral_range,
    phase_fraction,
)

PHASES = Phases.from_names(["pore", "ncm"])
WHOLE = Settings(fragmentation=False)
"""Cells of a checkerboard have no cracks worth looking for."""


def cells(rng: np.random.Generator, side: int, cell: int, share: float = 0.3) -> np.ndarray:
    """Square cells, each ncm with a fixed chance, on a grid that lies anywhere: variance is cell^2 p (1 - p) / area."""
    number = side // cell + 2
    coarse = (rng.random((number, number)) < share).astype(np.uint8)
    row, column = rng.integers(0, cell, 2)
    return coarse.repeat(cell, 0).repeat(cell, 1)[row : row + side, column : column + side]


def test_counts_leave_ignored_pixels_out():
    mask = np.array([[0, 1, 1], [255, 255, 1]], np.uint8)
    assert phase_counts(mask, PHASES).tolist() == [1, 3]


def test_integral_range_of_cells_is_the_area_of_a_cell():
    # The covariance of random square cells is p (1 - p) times the overlap of a cell with itself shifted; its
    # integral over p (1 - p) is the area of the cell, 8 x 8 px.
    rng = np.random.default_rng(0)
    tables = [covariance(cells(rng, 256, 8), PHASES) for _ in range(12)]
    found = integral_range(tables, 1, 0.3)
    assert not found.reason
    assert found.area_px2 == pytest.approx(64, rel=0.2)
    assert found.variance == pytest.approx(0.3 * 0.7 * 64 / (12 * 256**2), rel=0.2)


def test_integral_range_does_not_depend_on_how_finely_the_image_is_sampled():
    rng = np.random.default_rng(1)
    fine = cells(rng, 1200, 24)
    coarse = fine[1::3, 1::3]
    # 1200 px are averaged in blocks of 3 first; both see cells of 24 px = 8 coarse px.
    a = integral_range([covariance(fine, PHASES)], 1, float(fine.mean()))
    b = integral_range([covariance(coarse, PHASES)], 1, float(coarse.mean()))
    assert a.area_px2 == pytest.approx(9 * b.area_px2, rel=0.02)


def test_one_image_gets_an_interval_from_its_structure_or_a_refusal():
    rng = np.random.default_rng(2)
    fine = cells(rng, 256, 4)
    estimate = phase_fraction(phase_counts(fine, PHASES)[None], 1, [covariance(fine, PHASES)])
    assert estimate.ci is not None and estimate.ci[0] < 0.3 < estimate.ci[1]
    large = cells(rng, 64, 30)
    refused = phase_fraction(phase_counts(large, PHASES)[None], 1, [covariance(large, PHASES)])
    assert refused.ci is None and TOO_SMALL in refused.flags and NO_INTERVAL in refused.flags


def test_both_uncertainties_are_kept_and_the_larger_one_counts():
    rng = np.random.default_rng(3)
    # Places that differ: the content of an image varies far more than its fine structure lets expect.
    masks = [cells(rng, 256, 4, share) for share in (0.2, 0.3, 0.4)]
    counts = np.array([phase_counts(mask, PHASES) for mask in masks])
    estimate = phase_fraction(counts, 1, [covariance(mask, PHASES) for mask in masks])
    assert estimate.components["between_images"] > 3 * estimate.components["integral_range"]
    assert "between images" in estimate.method


def test_ignored_pixels_take_no_part_in_the_covariance():
    rng = np.random.default_rng(4)
    mask = cells(rng, 256, 8)
    holes = mask.copy()
    holes[:, 200:] = 255
    whole = integral_range([covariance(mask, PHASES)], 1, 0.3)
    part = integral_range([covariance(holes, PHASES)], 1, 0.3)
    assert part.area_px2 == pytest.approx(whole.area_px2, rel=0.4)
    assert part.variance > whole.variance


def test_absent_and_only_phases_say_so():
    counts = np.array([[100, 0], [100, 0]])
    absent, only = (phase_fraction(counts, index, name="x") for index in (1, 0))
    assert absent.value == 0 and ABSENT in absent.flags and absent.ci is None
    assert only.value == 1 and NO_INTERVAL in only.flags


def layered(rng: np.random.Generator, difference: float) -> np.ndarray:
    """30 x 30 random cells of 4 px whose ncm share grows with depth from 0.3 - difference / 2 to 0.3 + difference / 2.

    Cells, as noise of single pixels has thousands of particles, which nobody asks for here.
    """
    share = np.linspace(0.3 - difference / 2, 0.3 + difference / 2, 30)[:, None]
    return np.kron(rng.random((30, 30)) < share, np.ones((4, 4), np.uint8))


@pytest.mark.parametrize(("images", "difference"), [(1, 0.6), (4, 0.2)])
def test_layers_are_found_and_uniform_images_are_not_called_layered(images, difference):
    rng = np.random.default_rng(5)
    for present, expected in ((difference, True), (0.0, False)):
        masks = [layered(rng, present) for _ in range(images)]
        estimate = analyze(masks, PHASES, settings=WHOLE).summary["fraction"]["ncm"]
        assert (LAYERED in estimate.flags) == expected


def test_depth_profile_follows_the_layers_along_either_axis():
    rng = np.random.default_rng(6)
    # Each row of 50 cells holds its share of ncm to the nearest cell; the first tenth of the depth are 5 rows.
    share = np.linspace(0.1, 0.5, 50)
    masks = []
    for _ in range(3):
        rows = [rng.permutation(50) < round(50 * part) for part in share]
        masks.append(np.kron(np.stack(rows), np.ones((4, 4), np.uint8)))
    for axis, turn in (("rows", False), ("columns", True)):
        given = [mask.T if turn else mask for mask in masks]
        profile = analyze(given, PHASES, settings=replace(WHOLE, depth_axis=axis)).by_depth["ncm"]
        # The middle of the first tenth lies at 5 % of the depth: 0.1 + 0.05 * 0.4.
        assert profile["0.0-0.1"].value == pytest.approx(0.12, abs=0.01)
        assert profile["0.9-1.0"].value == pytest.approx(0.48, abs=0.01)


def test_layering_is_called_in_few_batches_without_layers():
    # 5 blocks of coarse structure each; at p < 0.01, 200 batches should give about 2.
    rng = np.random.default_rng(7)
    found = sum(
        bool(layering(np.array([band_counts(cells(rng, 100, 5), PHASES) for _ in range(4)]), 1))
        for _ in range(200)
    )
    assert found <= 8


def test_depth_bands_add_up():
    mask = np.arange(77 * 13).reshape(77, 13).astype(np.uint8) % 2
    counts = band_counts(mask, PHASES)
    assert counts.sum((0, 1)).tolist() == phase_counts(mask, PHASES).tolist()
    assert len(depth_profile(counts[None], 0)) == 10


def test_pore_back_is_pore_and_leaves_a_doubt():
    phases = Phases.from_list(
        [
            {"name": "pore", "id": 0},
            {"name": "ncm", "id": 1},
            {"name": "pore_back", "id": 2, "role": "pore"},
        ]
    )
    rng = np.random.default_rng(8)
    # 30 x 30 cells of 4 px, exactly 20 % pore, 70 % ncm and 10 % pore back.
    content = np.repeat(np.array([0, 1, 2], np.uint8), (180, 630, 90))
    masks = [np.kron(rng.permutation(content).reshape(30, 30), np.ones((4, 4), np.uint8)) for _ in range(5)]
    merged = analyze(masks, phases, settings=WHOLE)
    estimate = merged.summary["fraction"]["pore"]
    assert merged.phases.names == ("pore", "ncm")
    assert estimate.value == pytest.approx(0.3, abs=0.01)
    # Rectangular between 0.2 and 0.3: half width 0.05 over sqrt(3).
    assert estimate.components["pore_back"] == pytest.approx(0.05 / math.sqrt(3), rel=0.05)
    assert estimate.half_width > 1.9 * 0.05 / math.sqrt(3) and "PORE_BACK" in estimate.flags
    apart = analyze(masks, phases, settings=replace(WHOLE, merge_pore_back=False))
    assert apart.summary["fraction"]["pore"].value == pytest.approx(0.2, abs=0.01)


def test_small_known_parts_of_images_refuse_the_integral_range():
    # 12 x 12 px are known of each image, half pore, half ncm: about its own mean such a part varies by nothing.
    rng = np.random.default_rng(0)
    masks = {}
    for k in range(60):
        masks[f"{k}"] = np.full((200, 200), 255, np.uint8)
        masks[f"{k}"][90:102, 90:102] = np.arange(12)[:, None] < rng.integers(4, 9)
    tables = [covariance(mask, Phases.default()) for mask in masks.values()]
    assert "known parts" in integral_range(tables, 1, 0.5).reason
