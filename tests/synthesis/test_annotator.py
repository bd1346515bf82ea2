"""Annotators against sections whose grey levels and masks are known."""

import dataclasses

import numpy as np
import pytest

from cathode_tf.learning.scores import confusion, dice_per_phase
from cathode_tf.synthesis import Imaging, Parameters, annotate, synthesize

FLAT = dataclasses.replace(Imaging.plain(), modality="nano-ct")
PLAIN = Parameters(fragmentation=0, inner_porosity=0, contact_gap_um=0, imaging=FLAT)


def with_carbon_as_one(mask: np.ndarray) -> np.ndarray:
    return np.where(mask == 2, 3, mask)


@pytest.mark.parametrize("seed", range(6))
def test_flat_grey_levels_are_annotated_as_they_are(seed):
    grey = PLAIN.replace(grey_pore=20, grey_additive=60, grey_binder=60, grey_ncm=200)
    sample = synthesize(seed=seed, height=160, width=160, parameters=grey)[0]

    mask = annotate(sample, np.random.default_rng(seed))

    # What differs are patches below 30 px, and the rims of an annotator who smoothes and gives them to the particles.
    truth = with_carbon_as_one(sample.mask)
    dice = dice_per_phase(confusion(truth, mask, 4))[[0, 1, 3]]
    assert mask.dtype == np.uint8 and set(np.unique(mask)) <= {0, 1, 3}
    assert dice.min() > 0.55 and dice[1] > 0.94


def test_a_blurred_edge_between_particle_and_pore_is_called_carbon():
    # A step from 200 to 20 with no carbon near: what blur puts between the thresholds can only be the rim.
    sample = synthesize(seed=1, height=64, width=96, parameters=PLAIN)[0]
    across = np.clip((np.arange(96) - 30) / 36, 0, 1)
    image = np.tile((20 + 180 * across).round().astype(np.uint8), (64, 1))
    mask = np.tile(np.where(np.arange(96) < 48, 0, 1).astype(np.uint8), (64, 1))
    mask[:4, :8] = 2
    image[:4, :8] = 60
    ramp = dataclasses.replace(sample, image=image, mask=mask)

    row = annotate(ramp, np.random.default_rng(3))[40]

    assert row[0] == 0 and row[-1] == 1 and 3 in row[30:66]
    assert (np.diff(np.array([0, 2, 9, 1])[row]) >= 0).all()


def test_narrow_pores_of_a_web_are_drawn_as_part_of_it_on_electron_micrographs():
    sample = synthesize(seed=1, height=64, width=96, parameters=PLAIN.replace(modality="sem"))[0]
    mask = np.zeros((64, 96), np.uint8)
    mask[:, :20] = 1
    mask[8:56, 30:90] = 3
    mask[20:24, 40:44] = 0  # 4 px: part of the web
    mask[20:40, 60:80] = 0  # 20 px: a pore of the electrode
    drawn = annotate(dataclasses.replace(sample, mask=mask), np.random.default_rng(0))

    assert (drawn[20:24, 40:44] == 3).all()
    assert (drawn[24:36, 64:76] == 0).all() and (drawn[:, 22:28] == 0).all()
    np.testing.assert_array_equal(drawn[mask > 0], mask[mask > 0])


def test_what_a_databar_hides_stays_ignored_and_a_seed_says_all():
    parameters = Parameters.nano_ct().replace(databar_px=32)
    sample = synthesize(seed=2, height=128, width=96, parameters=parameters)[0]
    first, again = (annotate(sample, np.random.default_rng(5)) for _ in range(2))

    assert (first[-32:] == 255).all() and (first[:-32] < 4).all()
    np.testing.assert_array_equal(first, again)


def test_carbon_coats_particles_where_it_is_told_to():
    def carbon_at_particles(coating: float) -> float:
        parameters = PLAIN.replace(carbon_coating=coating, additive_fraction=0.15, binder_fraction=0.0)
        mask = synthesize(seed=4, height=256, width=256, parameters=parameters)[0].mask
        beside = (mask[:, 1:] == 1) & (mask[:, :-1] != 1)
        return float((mask[:, :-1][beside] == 2).mean())

    assert carbon_at_particles(1.2) > carbon_at_particles(0.0) + 0.2
