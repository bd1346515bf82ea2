"""The U-Net: shapes, sizes, seeds, precision, its card, and what is refused."""

import keras
import numpy as np
import pytest

from cathode_tf import InputError, Phases, build_unet
from cathode_tf.learning import PRESETS, load_model, predict_image, read_card, save_model, write_card
from cathode_tf.learning.precision import choose_precision
from cathode_tf.learning.prediction import _tiles

PHASES = Phases.from_names(("pore", "ncm", "binder"))
PIXELS = np.random.default_rng(0).normal(size=(2, 16, 24, 1)).astype("float32")


def tiny(**options):
    return build_unet(PHASES, **{"filters": (4, 8), **options})


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
@pytest.mark.parametrize("stem", [1, 2])
def test_gives_a_probability_of_each_phase_at_each_pixel(norm, stem):
    y = tiny(norm=norm, stem=stem)(PIXELS)
    assert y.shape == (2, 16, 24, 3)
    np.testing.assert_allclose(np.sum(y, axis=-1), 1, rtol=1e-5)


def test_one_seed_one_network():
    a, b, c = (tiny(seed=seed)(PIXELS) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_mixed_precision_ends_in_float32_and_is_close():
    plain, mixed = tiny()(PIXELS), tiny(dtype="mixed_bfloat16")(PIXELS)
    assert keras.backend.standardize_dtype(mixed.dtype) == "float32"
    np.testing.assert_allclose(mixed, plain, atol=0.05)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_take_the_multiple_that_their_card_names(preset):
    model = build_unet(PHASES, filters=PRESETS[preset])
    side = read_card(model)["size_multiple"]
    assert model(np.zeros((1, side, 2 * side, 1), "float32")).shape == (1, side, 2 * side, 3)


def test_card_travels_with_the_file(tmp_path):
    model = tiny(card={"pixel_size_nm": 12.5})
    card = {**read_card(model), "dice": {"mean": 0.9}}
    write_card(model, card)
    again, read = load_model(save_model(model, tmp_path / "model.keras"))
    assert read == card
    assert Phases.from_list(read["phases"]) == PHASES
    np.testing.assert_array_equal(again(PIXELS), model(PIXELS))


def test_bad_networks_are_refused():
    with pytest.raises(InputError, match="at least two"):
        build_unet(Phases.from_names(("ncm",)))
    with pytest.raises(InputError, match=r"norm: must be one of .*'layer'"):
        tiny(norm="layer")
    with pytest.raises(InputError, match="filters"):
        tiny(filters=())


def test_bad_model_files_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"no such file"):
        load_model(tmp_path / "none.keras")
    with pytest.raises(InputError, match=r"best\.keras"):
        load_model(tmp_path)
    (tmp_path / "text.keras").write_text("not a model")
    with pytest.raises(InputError, match=r"text\.keras.*truncated"):
        load_model(tmp_path / "text.keras")
    inputs = keras.Input((4,))
    keras.Model(inputs, inputs).save(tmp_path / "foreign.keras")
    with pytest.raises(InputError, match=r"foreign\.keras.*card"):
        load_model(tmp_path / "foreign.keras")


@pytest.mark.parametrize("shape", [(5, 3), (16, 16), (37, 21)])
def test_predict_image_takes_any_size(shape):
    pixels = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    p = predict_image(tiny(), pixels)
    assert p.shape == (*shape, 3) and p.dtype == np.float32
    np.testing.assert_allclose(p.sum(axis=-1), 1, rtol=1e-5)


def test_predict_image_in_tiles_agrees_where_tiles_see_enough():
    # Without normalisation over the tile, the two differ only through what a tile cannot see at its edge.
    model = tiny(norm="none")
    pixels = np.random.default_rng(0).integers(0, 255, (350, 130)).astype(np.uint8)
    whole, tiled = predict_image(model, pixels), predict_image(model, pixels, tile_px=257)
    np.testing.assert_allclose(tiled, whole, atol=1e-5)


def test_tiles_write_every_pixel_once():
    for length in (8, 96, 104, 200, 1000):
        regions = _tiles(length, 100, 8)
        written = np.concatenate([np.arange(*write) for _, write in regions])
        np.testing.assert_array_equal(written, np.arange(length))
        assert all(r0 <= w0 < w1 <= r1 for (r0, r1), (w0, w1) in regions)
        assert all(r0 % 8 == 0 and r1 % 8 == 0 and r1 - r0 <= 96 for (r0, r1), _ in regions)


def test_precision_is_chosen_or_refused():
    assert choose_precision("auto") in ("float32", "mixed_bfloat16")
    with pytest.raises(InputError, match="half"):
        choose_precision("half")
