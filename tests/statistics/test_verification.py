"""Random points on masks: they find the error that was put in, and "cannot tell" is never dropped."""

import numpy as np
import pytest

from cathode_tf import InputError, Phases
from cathode_tf.statistics.verification import (
    CANNOT_TELL,
    ZONES,
    allotted,
    draw_points,
    expected_half_width,
    is_more_worth_it,
    strata_of,
    verify_masks,
    zones_of,
)

PHASES = Phases.from_names(("pore", "ncm"))


def truths_and_masks(images=6):
    """Truth: half pore, half ncm in blocks. The mask calls an eighth of the pore ncm, in blocks of its own."""
    rng = np.random.default_rng(0)
    truths, masks = {}, {}
    for number in range(images):
        truth = (rng.random((15, 15)) < 0.5).astype(np.uint8).repeat(16, 0).repeat(16, 1)
        wrong = (rng.random((15, 15)) < 0.125).repeat(16, 0).repeat(16, 1)
        truths[f"i{number}"] = truth
        masks[f"i{number}"] = np.where((truth == 0) & wrong, 1, truth).astype(np.uint8)
    return truths, masks


def labelled(table, truths, unknown=0):
    answers = [PHASES.names[truths[r.image][r.row, r.column]] for r in table.itertuples()]
    table = table.assign(reference=answers)
    table.loc[: unknown - 1, "reference"] = CANNOT_TELL
    return table


def test_points_lie_where_the_mask_shows_their_phase_and_zone():
    _, masks = truths_and_masks()
    table, strata = draw_points(masks, PHASES, 120, seed=3)
    assert len(table) == 120 and not table.duplicated(["image", "row", "column"]).any()
    for row in table.itertuples():
        assert masks[row.image][row.row, row.column] == PHASES[row.mapped].id
        assert ZONES[zones_of(masks[row.image])[row.row, row.column]] == row.zone
    assert strata.pixels.sum() == 6 * 240 * 240
    assert allotted(strata, 120).sum() == 120


def test_corrected_fractions_find_the_truth_that_the_mask_misses():
    truths, masks = truths_and_masks()
    truth = np.mean([t == 0 for t in truths.values()])
    shown = np.mean([m == 0 for m in masks.values()])
    held = 0
    for seed in range(12):
        table, strata = draw_points(masks, PHASES, 200, seed=seed)
        found = verify_masks(labelled(table, truths), strata)
        low, high = found.fractions["pore"].ci
        held += low <= truth <= high
    assert held >= 11
    assert truth - shown > 0.04
    # Rows are what the mask shows; what it calls pore is pore.
    assert found.matrix[0, 1] == pytest.approx(0, abs=1e-9) and found.matrix[1, 0] > 0.02


def test_cannot_tell_widens_the_interval_and_counts_as_a_point():
    truths, masks = truths_and_masks()
    table, strata = draw_points(masks, PHASES, 100)
    sure, doubtful = (verify_masks(labelled(table, truths, unknown), strata) for unknown in (0, 25))
    widths = [f.fractions["pore"].half_width for f in (sure, doubtful)]
    # A quarter of the area might be anything: the ends lie about 0.25 further apart, so half of it wider.
    assert widths[1] > widths[0] + 0.08
    assert (doubtful.points, doubtful.cannot_tell) == (100, 25)
    assert "25 could not be told" in doubtful.sentence


def test_the_promise_is_about_five_points_of_percentage_for_a_hundred():
    _, masks = truths_and_masks()
    strata = strata_of(masks, {name: zones_of(mask) for name, mask in masks.items()}, PHASES)
    hundred, two = (100 * expected_half_width(strata, points) for points in (100, 200))
    assert 3.5 < hundred < 7.5
    assert two == pytest.approx(hundred / np.sqrt(2), rel=0.05)
    table, strata = draw_points(masks, PHASES, 100)
    advice = is_more_worth_it(verify_masks(labelled(table, truths_and_masks()[0]), strata), "pore")
    assert advice.startswith("100 points leave") and "more" in advice


def test_few_points_or_foreign_answers_are_refused():
    _, masks = truths_and_masks(1)
    with pytest.raises(InputError, match="at least 20"):
        draw_points(masks, PHASES, 5)
    table, strata = draw_points(masks, PHASES, 30)
    with pytest.raises(InputError, match="at least 20 must be labelled"):
        verify_masks(table, strata)
    with pytest.raises(InputError, match="Received 'gold'"):
        verify_masks(table.assign(reference="gold"), strata)
