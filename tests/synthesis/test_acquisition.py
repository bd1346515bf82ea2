"""Every effect does what it says, alone, and nothing when it is off."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from cathode_tf import InputError
from cathode_tf.synthesis import Imaging, Parameters, synthesize
from cathode_tf.synthesis.acquisition import acquire, databar
from cathode_tf.synthesis.body import Body
from cathode_tf.synthesis.lattice import Grid
from cathode_tf.synthesis.relief import look_behind

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def section():
    body = Body(Parameters(), seed=(3,), height=128, width=160, planes=[40.0])
    return body.section(40.0), look_behind(body, 40.0, Grid(128, 160))


def image_of(section, **changes):
    imaging = dataclasses.replace(Imaging.plain(), **changes)
    return acquire(np.random.default_rng(0), section[0], imaging, section[1]).astype(float)


def test_without_effects_each_phase_is_one_grey_level(section):
    plain = Imaging.plain()
    grey = np.array([plain.grey_pore, plain.grey_ncm, plain.grey_additive, plain.grey_binder])
    assert np.array_equal(image_of(section), grey[section[0].mask])


SEM = {
    "channelling": 10,
    "particle_spread": 10,
    "texture": 20,
    "mottle": 10,
    "edge_brightening": 40,
    "web_glow": 60,
    "shadowing": 20,
    "shine_through": 0.5,
    "charging": 30,
    "curtaining": 10,
    "gradient": 20,
    "blur_px": 2,
    "drift_px": 3,
    "counts": 30,
    "noise": 8,
}


@pytest.mark.parametrize("name", SEM)
def test_each_sem_effect_can_be_switched_on_alone(section, name):
    change = image_of(section, **{name: SEM[name]}) - image_of(section)
    assert 0.3 < np.abs(change).mean() < 40


@pytest.mark.parametrize("changes", [{"rings": 5}, {"blur_px": 2, "fringe": 1}, {"blur_px": 2, "smear": 1}])
def test_each_nano_ct_effect_can_be_switched_on_alone(section, changes):
    before = {"blur_px": changes["blur_px"]} if "blur_px" in changes else {}
    difference = image_of(section, modality="nano-ct", **changes) - image_of(
        section, modality="nano-ct", **before
    )
    assert np.abs(difference).mean() > 0.3


def test_shine_through_shows_in_pores_only(section):
    change = image_of(section, shine_through=0.5) - image_of(section)
    assert change[section[0].mask == 0].max() > 10 and not change[section[0].mask != 0].any()


def test_counting_noise_has_the_variance_of_counts(section):
    # 40 counts at white: a level of 178 / 255 has the variance 178 / 255 / 40 (in units of white squared).
    image = image_of(section, counts=40.0) / 255
    assert image[section[0].mask == 1].var() == pytest.approx(178 / 255 / 40, rel=0.1)


def test_16_bits_use_their_range(section):
    image = acquire(np.random.default_rng(0), section[0], dataclasses.replace(Imaging.plain(), bits=16))
    assert image.dtype == np.uint16 and image.max() == round(178 / 255 * 65535)


def test_databar_is_ignored_in_the_mask_and_keeps_the_fractions():
    parameters = Parameters().replace(databar_px=24)
    sample = synthesize(seed=1, height=152, width=160, parameters=parameters)[0]
    assert sample.image.shape == sample.mask.shape == sample.labels.shape == (152, 160)
    assert (sample.mask[-24:] == 255).all() and (sample.mask[:-24] != 255).all()
    assert np.count_nonzero(sample.mask == 1) == round(parameters.ncm_fraction * 128 * 160)


def test_databar_shows_a_round_length():
    bar = databar(np.zeros((20, 200), np.uint8), 24, pixel_size_nm=100.0)
    # A fifth of 20 um is 4 um; the next round length below is 2 um, 20 px, drawn from column 8.
    row = np.flatnonzero(bar[20 + 11] == 255)
    assert row[0] == 8 and row[row < 32][-1] == 28


def test_random_parameters_are_always_valid_and_small_sections_can_be_made():
    rng = np.random.default_rng(0)
    seen = [Parameters.random(rng) for _ in range(200)]
    assert {p.imaging.modality for p in seen} == {"se", "bse", "nano-ct"}
    for sample in synthesize(6, seed=9, height=64, width=72, parameters=Parameters.random):
        assert sample.image.shape == (64, 72) and np.ptp(sample.image) > 10


def test_docs_list_every_parameter_as_the_code_has_it():
    assert Parameters.table() in (ROOT / "docs" / "synthesis.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("changes", [{"modality": "tem"}, {"bits": 12}, {"noise": -1}])
def test_impossible_imaging_is_refused(changes):
    with pytest.raises(InputError, match="synthesis"):
        Imaging(**changes)


def test_a_bar_higher_than_the_image_is_refused():
    with pytest.raises(InputError, match="databar_px"):
        synthesize(height=64, width=64, parameters=Parameters().replace(databar_px=50))
