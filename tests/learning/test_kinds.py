"""What the first layers of a network find in sections of cathodes, and what lies off them."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from cathode_tf import InputError, Phases, build_unet
from cathode_tf.learning.kinds import KINDS, REACH_PX, SIDE_PX, Kinds, Layer, layers_of, shipped, standard
from cathode_tf.synthesis import Parameters, synthesize


@pytest.fixture(scope="module")
def model():
    return build_unet(Phases.default(), filters=(4, 6, 8), seed=3)


@pytest.fixture(scope="module")
def kinds(model):
    """Four directions among random numbers; every third number of held-out ones is twice as far."""
    rng = np.random.default_rng(0)
    layers = layers_of(model)
    return Kinds.learn(layers, rng.normal(size=(60, 72)), rng.normal(size=(40, 72)), axes=4)


def test_numbers_are_those_that_the_network_normalises_by(model, kinds):
    image = np.random.default_rng(1).integers(0, 200, (40, 56)).astype(np.uint8)
    norms = [layer for layer in model.layers if layer.name.endswith("_norm")][:6]
    inside = keras.Model(model.inputs[0], [norm.input for norm in norms])(standard(image)[None, ..., None])
    inside = [np.asarray(each)[0] for each in inside]
    means = [x.mean((0, 1)) / np.sqrt(x.var((0, 1)) + 1e-5) for x in inside]
    spreads = [0.5 * np.log(x.var((0, 1)) + 1e-5) for x in inside]
    # The layers are kept in half precision.
    np.testing.assert_allclose(kinds.numbers_of(image), np.concatenate([*means, *spreads]), atol=0.02)


def test_brightness_and_contrast_change_nothing(kinds):
    image = np.random.default_rng(1).integers(20, 90, (64, 64)).astype(np.uint8)
    np.testing.assert_allclose(kinds.numbers_of(image), kinds.numbers_of(2 * image + 30), atol=1e-3)


def test_the_middle_of_an_image_in_whole_blocks_is_looked_at():
    image = np.random.default_rng(0).integers(0, 99, (700, 43)).astype(np.uint8)
    assert standard(image).shape == (SIDE_PX, 40)
    assert standard(np.full((3, 5), 7, np.uint8)).shape == (8, 8)


def test_five_of_a_hundred_lie_beyond_the_limit():
    """Distances of held-out sections: their 95 % quantile is 1 by construction."""
    rng = np.random.default_rng(0)
    held_out = rng.normal(size=(400, 12))
    known = Kinds.learn((), rng.normal(size=(100, 12)), held_out, axes=3)
    assert np.mean([known.distance(each) > 1 for each in held_out]) == 0.05 and known.held_out == 400


def test_what_sections_differ_in_is_no_distance():
    """Sections differ along one direction alone: far along it is near, off it is far."""
    rng = np.random.default_rng(0)
    along = np.array([1.0, 1, 1, 1])

    def draw(n):
        return rng.normal(size=(n, 1)) * along + rng.normal(0, 0.01, (n, 4))

    known = Kinds.learn((), draw(200), draw(200), axes=1)
    assert known.distance(5 * along) < 1 < known.distance(np.array([0.2, -0.2, 0, 0]))


def test_too_few_sections_are_refused():
    with pytest.raises(InputError, match=r"more than the 24 directions.*Received 20"):
        Kinds.learn((), np.zeros((20, 4)), np.zeros((5, 4)))


def test_a_verdict_names_the_size_of_what_is_foreign(kinds):
    image = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    assert replace(kinds, limit=1e9).judge(image) == {"score": 0.0, "foreign": False, "reason": ""}
    judged = replace(kinds, limit=1e-9).judge(image)
    assert judged["foreign"] and judged["score"] > 1
    assert any(f"about {px} px" in judged["reason"] for px in REACH_PX)
    off = np.zeros(72)
    off[36 + 8 : 36 + 20] = 1  # spreads of the second level's channels
    assert np.argmax(kinds._by_level(off)) == 1


def test_a_file_holds_it_all(kinds, tmp_path):
    kinds.save(tmp_path / "kinds.npz")
    again = Kinds.load(tmp_path / "kinds.npz")
    numbers = np.random.default_rng(0).normal(size=72)
    assert again.distance(numbers) == pytest.approx(kinds.distance(numbers), rel=1e-4)
    assert again.held_out == 40 and isinstance(again.layers[5], Layer)
    np.testing.assert_array_equal(again.layers[5].kernel, kinds.layers[5].kernel)


@pytest.mark.skipif(not KINDS.exists(), reason="the package has no kinds")
def test_the_package_knows_a_section_from_noise_and_stripes():
    known = shipped()
    assert known.held_out >= 500 and KINDS.stat().st_size < 2e6
    samples = synthesize(3, seed=5150, height=256, width=256, parameters=Parameters.random)
    assert sum(known.judge(sample.image)["foreign"] for sample in samples) <= 1
    rows, columns = np.indices((256, 256))
    noise = np.random.default_rng(0).integers(0, 255, (256, 256)).astype(np.uint8)
    stripes = (127 + 100 * np.sin(rows / 3) * np.sin(columns / 5)).astype(np.uint8)
    assert known.judge(noise)["foreign"] and known.judge(stripes)["foreign"]
