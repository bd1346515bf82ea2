"""A start model that keeps its say: what is pooled, what the validation images choose, what goes on."""

import json

import numpy as np
import pytest

from cathode_tf import Phases, Segmenter, build_unet, train
from cathode_tf.imaging import Micrograph
from cathode_tf.learning import load_model, predict_image, read_card, save_model
from cathode_tf.learning.callbacks import validate
from cathode_tf.learning.plan import chosen_start
from cathode_tf.learning.prior import LEAST_GAIN, Prior, knows_phases, prior_phases

from .conftest import STRIPES, stripes

pytestmark = pytest.mark.usefixtures("tiny_network", "untraced")

TINY = {"preset": "small", "epochs": 1, "steps_per_epoch": 2, "batch": 2, "patch_px": 32}
SAID = Phases.from_names(("additive", "ncm", "pore", "binder"))


def network(phases=STRIPES, seed=0):
    return build_unet(phases, filters=(4, 8), seed=seed)


def sure(model, phase):
    """Give `model` one answer everywhere: `phase` with probability e^2 / (e^2 + 1 + ...)."""
    layer = model.get_layer("scores")
    kernel, _ = layer.get_weights()
    scores = np.zeros((4, len(read_card(model)["phases"])), "float32")
    scores[:, phase] = 2
    layer.set_weights([kernel * 0, scores.ravel()])
    return model


def images(index=0):
    pixels, mask = stripes(index)
    return [(Micrograph(pixels), mask)]


def test_pooled_is_the_geometric_mean_with_phases_in_their_places():
    own, start = network(seed=1), network(SAID, seed=2)
    pixels, _ = stripes(0)
    model = Prior(own, start).pooled(0.25)
    p, q = predict_image(own, pixels), predict_image(start, pixels)
    # STRIPES are pore, ncm, binder; additive and binder of SAID are both binder here.
    told = np.stack([q[..., 2], q[..., 1], q[..., 0] + q[..., 3]], axis=-1)
    expected = p**0.75 * told**0.25
    expected /= expected.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(predict_image(model, pixels), expected, atol=2e-4)
    assert read_card(model)["prior"] == {"weight": 0.25, "phases": SAID.to_list()}


@pytest.mark.slow
def test_a_pooled_model_segments_as_it_validates(tmp_path):
    model = Prior(network(seed=1), network(SAID, seed=2)).pooled(0.3)
    save_model(model, tmp_path / "m.keras")
    again, card = load_model(tmp_path / "m.keras")
    pixels, _ = stripes(1)
    np.testing.assert_array_equal(predict_image(again, pixels), predict_image(model, pixels))
    assert card["prior"]["weight"] == 0.3
    found = Segmenter(tmp_path / "m.keras").probabilities(pixels)
    np.testing.assert_allclose(found, predict_image(model, pixels), atol=1e-5)


def test_the_validation_images_choose_the_weight():
    # The network says pore with p = e^2 : 1 : 1, the start ncm as surely: at 0.5 they tie, below pore wins.
    pixels = np.zeros((16, 16), np.uint8)
    all_pore, all_ncm = (np.full((16, 16), k, np.uint8) for k in (0, 1))
    own, start = sure(network(), 0), sure(network(), 1)
    dice, weight = Prior(own, start).validate([(Micrograph(pixels), all_pore)])
    assert weight == 0 and dice[0, 0] == 1
    # 4.5 times as sure as the network, the start model wins with any weight w of which 2 (1 - w) < 9 w: from 2/11 on.
    layer = start.get_layer("scores")
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel, bias * 4.5])
    dice, weight = Prior(own, start).validate([(Micrograph(pixels), all_ncm)])
    assert weight == 0.2 and dice[0, 1] == 1
    dice, weight = Prior(own, start).validate([(Micrograph(pixels), all_pore)])
    assert weight == 0


def test_large_images_are_pooled_in_parts_alike(monkeypatch):
    prior = Prior(network(seed=1), network(SAID, seed=2))
    whole = prior.validate(images())
    monkeypatch.setattr("cathode_tf.learning.prior.BLOCK_PX", 1000)  # 15 of 64 rows at a time
    monkeypatch.setattr("cathode_tf.learning.prior.CACHE_BYTES", 0)
    parts = Prior(network(seed=1), network(SAID, seed=2)).validate(images())
    assert parts[1] == whole[1]
    np.testing.assert_array_equal(parts[0], whole[0])


def test_no_gain_keeps_one_network():
    own = network(seed=3)
    prior = Prior(own, own)
    dice, weight = prior.validate(images())
    assert weight == 0 and LEAST_GAIN > 0
    np.testing.assert_array_equal(dice, validate(own, images()))
    assert prior.pooled(weight) is own


def test_a_prior_goes_on_to_the_next_model():
    first = Prior(network(seed=1), network(SAID, seed=2)).pooled(0.4)
    own = network(seed=5)
    second = Prior(own, first).pooled(0.4)
    direct = Prior(own, network(SAID, seed=2)).pooled(0.4)
    pixels, _ = stripes(2)
    np.testing.assert_array_equal(predict_image(second, pixels), predict_image(direct, pixels))
    assert len(second.layers) == len(first.layers)


def test_a_start_that_does_not_know_all_phases_has_no_say():
    assert knows_phases(SAID, STRIPES)
    assert not knows_phases(STRIPES, Phases.from_names(("pore", "ncm", "crack")))


@pytest.mark.slow
def test_train_keeps_what_it_validated_and_goes_on_from_it(striped, tmp_path, monkeypatch):
    save_model(network(SAID, seed=7), tmp_path / "start.keras")
    # Any gain will do here: what is tested is that the kept model is the one that was measured.
    monkeypatch.setattr("cathode_tf.learning.prior.LEAST_GAIN", -1.0)
    monkeypatch.setattr("cathode_tf.learning.prior.WEIGHTS", (0.4,))
    run = train(striped, tmp_path / "run", start=tmp_path / "start.keras", **TINY)
    model, card = load_model(run.path)
    assert card["prior"]["weight"] == run.history[0]["prior_weight"] == 0.4
    images = [(e.micrograph, striped.phases.to_indices(e.mask)) for e in striped.examples("validation")]
    assert np.nanmean(validate(model, images)) == pytest.approx(run.best_dice, abs=1e-6)
    assert prior_phases(model) == SAID
    again = train(striped, tmp_path / "again", start=run.path, **TINY)
    assert prior_phases(load_model(again.path)[0]) == SAID
    alone = train(striped, tmp_path / "alone", start=run.path, prior=False, **TINY)
    assert "prior" not in load_model(alone.path)[1] and "prior_weight" not in alone.history[0]


@pytest.mark.slow
def test_auto_begins_with_the_default_model_where_it_knows_the_phases(striped, tmp_path, capsys):
    options = {"epochs": 1, "steps_per_epoch": 1, "batch": 1, "patch_px": 32}
    run = train(striped, tmp_path / "run", **options)
    assert json.loads((run.path / "config.json").read_text())["start"] == "default"
    assert "--from scratch" in capsys.readouterr().err
    # The same call goes on with it: nothing is left to do.
    assert train(striped, run.path, **options).history == run.history
    unknown = Phases.from_names(("pore", "ncm", "crack"))
    for phases, preset, start in (
        (unknown, "base", "auto"),
        (STRIPES, "small", "auto"),
        (STRIPES, "base", "scratch"),
    ):
        assert chosen_start(start, phases, preset, None) is None
    assert chosen_start("runs/a", unknown, "base", None) == "runs/a"


def test_a_run_from_before_goes_on_as_it_began(tmp_path):
    (tmp_path / "config.json").write_text('{"start": null}')
    assert chosen_start("auto", STRIPES, "base", tmp_path) is None
