"""Every Keras object of the package, once in a table, and each tested the same ways."""

import keras
import numpy as np
import pytest

from cathode_tf import learning
from cathode_tf.learning import (
    After,
    Card,
    CombinedLoss,
    DepthToSpace,
    Dice,
    DiceLoss,
    InstanceNorm,
    Pool,
    SpaceToDepth,
)

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.normal(size=(2, 4, 6, 8)).astype("float32")
TARGETS = RANDOM.integers(0, 3, (2, 4, 6)).astype("uint8")
TARGETS[0, 0, :3] = 255
SCORES = RANDOM.random((2, 4, 6, 3)).astype("float32")
SCORES /= SCORES.sum(axis=-1, keepdims=True)

LAYERS = {
    "InstanceNorm": lambda **options: InstanceNorm(epsilon=1e-4, **options),
    "SpaceToDepth": lambda **options: SpaceToDepth(2, **options),
    "DepthToSpace": lambda **options: DepthToSpace(2, **options),
    "After": lambda **options: After(3, **options),
    "Pool": lambda **options: Pool([0, 2, -1, 2], 0.3, **options),
    "Card": lambda **options: Card({"preset": "small", "dice": [0.5, None]}, **options),
}
LOSSES = {"DiceLoss": DiceLoss, "CombinedLoss": lambda: CombinedLoss(0.5, 2.0)}
METRICS = {"Dice": lambda: Dice(n_phases=3)}


def test_the_table_is_complete():
    table = {**LAYERS, **LOSSES, **METRICS}
    kinds = (keras.layers.Layer, keras.losses.Loss, keras.metrics.Metric)
    public = (getattr(learning, name) for name in learning.__all__)
    objects = {o.__name__ for o in public if isinstance(o, type) and issubclass(o, kinds)}
    assert objects == set(table)


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
class TestLayer:
    def test_config_round_trip_keeps_the_function(self, make):
        layer = make()
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
        assert again.get_config() == layer.get_config()
        np.testing.assert_array_equal(again(PIXELS), layer(PIXELS))

    def test_save_and_load(self, make, tmp_path):
        inputs = keras.Input((None, None, 8))
        model = keras.Model(inputs, make()(inputs))
        model.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(again(PIXELS), model(PIXELS))

    def test_symbolic_shape_is_the_real_one(self, make):
        layer = make()
        real = layer(PIXELS)
        assert layer.compute_output_shape(PIXELS.shape) == tuple(real.shape)
        unknown = layer.compute_output_shape((None, None, None, 8))
        assert unknown == (None, None, None, real.shape[-1])

    def test_eager_equals_graph(self, make):
        inputs = keras.Input((4, 6, 8))
        layer = make()
        graph = keras.Model(inputs, layer(inputs)).predict(PIXELS, verbose=0)
        np.testing.assert_allclose(graph, layer(PIXELS), rtol=1e-5, atol=1e-6)

    def test_mixed_precision_stays_close_and_computes_in_bfloat16(self, make):
        mixed = make(dtype="mixed_bfloat16")(PIXELS)
        assert keras.backend.standardize_dtype(mixed.dtype) == "bfloat16"
        plain = np.asarray(make()(PIXELS))
        # bfloat16 keeps 8 bits: relative 2**-8 of numbers up to about 4.
        np.testing.assert_allclose(keras.ops.cast(mixed, "float32"), plain, atol=0.03)

    def test_gradient_is_finite(self, make):
        inputs = keras.Input((4, 6, 8))
        model = keras.Model(inputs, keras.layers.Conv2D(1, 1)(make()(keras.layers.Conv2D(8, 1)(inputs))))
        model.compile("sgd", "mse")
        before = [w.copy() for w in model.get_weights()]
        loss = model.train_on_batch(PIXELS, np.ones(model.compute_output_shape(PIXELS.shape), "float32"))
        assert np.isfinite(loss)
        assert any((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)
class TestLoss:
    def test_config_round_trip_keeps_the_function(self, make):
        loss = make()
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
        assert again.get_config() == loss.get_config()
        assert float(again(TARGETS, SCORES)) == float(loss(TARGETS, SCORES))

    def test_ignored_pixels_do_not_count(self, make):
        other = SCORES.copy()
        other[0, 0, :3] = [0.1, 0.2, 0.7]
        assert float(make()(TARGETS, other)) == pytest.approx(float(make()(TARGETS, SCORES)), abs=1e-6)

    def test_all_ignored_is_zero(self, make):
        assert float(make()(np.full_like(TARGETS, 255), SCORES)) == 0.0

    def test_perfect_is_zero_and_more_wrong_costs_more(self, make):
        right = np.eye(3, dtype="float32")[np.where(TARGETS == 255, 0, TARGETS)]
        assert float(make()(TARGETS, right)) == pytest.approx(0.0, abs=1e-5)
        values = [float(make()(TARGETS, (1 - share) * right + share / 3)) for share in (0.1, 0.5, 0.9)]
        assert values == sorted(values) and values[0] > 0

    def test_bfloat16_scores_give_a_float32_loss(self, make):
        loss = make()(TARGETS, keras.ops.cast(SCORES, "bfloat16"))
        assert keras.backend.standardize_dtype(loss.dtype) == "float32"
        assert float(loss) == pytest.approx(float(make()(TARGETS, SCORES)), abs=0.02)


@pytest.mark.parametrize("make", METRICS.values(), ids=METRICS)
class TestMetric:
    def test_config_round_trip_keeps_the_function(self, make):
        metric = make()
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
        metric.update_state(TARGETS, SCORES)
        again.update_state(TARGETS, SCORES)
        assert float(again.result()) == float(metric.result())

    def test_two_halves_make_the_whole(self, make):
        whole, halves = make(), make()
        whole.update_state(TARGETS, SCORES)
        halves.update_state(TARGETS[:1], SCORES[:1])
        halves.update_state(TARGETS[1:], SCORES[1:])
        assert float(halves.result()) == pytest.approx(float(whole.result()))

    def test_reset_forgets(self, make):
        metric = make()
        metric.update_state(TARGETS, SCORES)
        metric.reset_state()
        assert np.isnan(float(metric.result()))

    def test_works_inside_fit(self, make):
        inputs = keras.Input((None, None, 8))
        model = keras.Model(inputs, keras.layers.Conv2D(3, 1, activation="softmax")(inputs))
        model.compile("sgd", DiceLoss(), metrics=[make()])
        history = model.fit(PIXELS, TARGETS, batch_size=1, epochs=1, verbose=0).history
        assert 0 < history["dice"][0] < 1
