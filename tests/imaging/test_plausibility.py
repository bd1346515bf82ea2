"""Phases that cannot be what they are called: swapped ones are seen, right ones are left alone."""

import numpy as np
import pytest

from cathode_tf.imaging.plausibility import grey_order, odd_shares
from cathode_tf.phases import Phases
from cathode_tf.synthesis import Parameters, synthesize

PHASES = Phases.default()


def picture(pore, ncm, spread, seed=0):
    """Half pore and half particle, of these mean greys; one white pixel, so that nothing else is saturated."""
    random = np.random.default_rng(seed)
    mask = np.zeros((60, 60), np.uint8)
    mask[:, 30:] = 1
    pixels = np.where(mask, ncm, pore) + spread * random.normal(size=mask.shape)
    pixels[0, 0] = 255
    return np.rint(pixels).clip(0, 255).astype(np.uint8), mask


def test_swapped_phases_are_named_with_their_greys():
    pixels, mask = picture(190, 40, 5)
    told = grey_order(pixels, mask, PHASES)
    assert told.startswith("pore is brighter than ncm (median grey 190 and 40): are the two swapped")
    assert "secondary electrons" in told  # the detector is not known
    assert "secondary" not in grey_order(pixels, mask, PHASES, {"detector": "BSD"})
    assert "which secondary electrons may show" in grey_order(pixels, mask, PHASES, {"detector": "InLens"})


@pytest.mark.parametrize(
    ("pore", "ncm", "spread"),
    [(40, 190, 5), (101, 100, 20), (255, 120, 0)],
    ids=["right", "hardly apart", "saturated, as where metal fills the pores"],
)
def test_what_may_be_is_left_alone(pore, ncm, spread):
    assert grey_order(*picture(pore, ncm, spread), PHASES) == ""


def test_a_large_image_says_the_same_as_a_small_one():
    pixels, mask = picture(190, 40, 5)
    large = np.tile(pixels, (20, 20)), np.tile(mask, (20, 20))
    assert grey_order(*large, PHASES)[:20] == grey_order(pixels, mask, PHASES)[:20]


@pytest.mark.parametrize("modality", ["bse", "nano-ct"])
def test_of_bodies_the_swapped_ones_are_found_and_no_other(modality):
    for seed in range(2):
        draw = lambda random: Parameters.random(random, modality)  # noqa: E731
        sample = synthesize(1, seed=seed, height=128, width=128, parameters=draw)[0]
        assert grey_order(sample.image, sample.mask, PHASES) == ""
        swapped = np.array([1, 0, 2, 3], np.uint8)[np.minimum(sample.mask, 3)]
        assert "swapped" in grey_order(sample.image, swapped, PHASES)


def test_odd_shares_and_phases_that_nothing_shows():
    shares = {"pore": 0.85, "ncm": 0.15, "additive": 0.0, "binder": 0.0}
    assert odd_shares(shares, PHASES) == [
        "pore covers 85 % of the area, where 2 to 75 % are usual",
        "no image shows additive or binder",
    ]
    assert odd_shares({"pore": 0.3, "ncm": 0.5, "additive": 0.1, "binder": 0.1}, PHASES) == []
