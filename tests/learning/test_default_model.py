"""The model that ships with the package: small, explained, and usable on sections it has never seen."""

import numpy as np
import pytest

from cathode_tf.learning import load_model
from cathode_tf.learning.models import DEFAULT
from cathode_tf.learning.prediction import predict_image
from cathode_tf.learning.scores import confusion, dice_per_phase
from cathode_tf.phases import Phases
from cathode_tf.synthesis import Parameters, synthesize


@pytest.fixture(scope="module")
def default():
    return load_model("default")


def test_is_small_enough_to_ship():
    assert DEFAULT.stat().st_size < 8e6


def test_card_tells_what_it_was_trained_on_and_where_it_fails(default):
    card = default[1]
    assert Phases.from_list(card["phases"]).same_classes(Phases.default())
    assert "no real pixel" in card["about"] and "cracks" in card["fails"]
    assert {"synthetic SE, held out", "real nano-CT of NMC cathodes"} <= set(card["measured"])


@pytest.mark.parametrize("preset", ["demo", "nano-ct"])
def test_finds_particles_in_sections_it_has_never_seen(default, preset):
    sample = synthesize(seed=123, height=192, width=192, parameters=Parameters.preset(preset))[0]
    prediction = predict_image(default[0], sample.image).argmax(axis=-1).astype(np.uint8)
    dice = dice_per_phase(confusion(sample.mask, prediction, 4))
    assert dice[1] > 0.9 and dice[0] > 0.5
