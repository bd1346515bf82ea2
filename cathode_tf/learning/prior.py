"""A network and the one it began with in, one network out that lets both have their say.

A few annotated images teach a network the hand of one annotator on one material. What it began with has seen
more: the default model, thousands of synthetic sections under many annotators. On images that are unlike the
few, the two together are better than either; `benchmarks/from_default.md` says by how much.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from cathode_tf.imaging import Micrograph
from cathode_tf.learning.counterparts import translation
from cathode_tf.learning.layers import After, Card, Pool
from cathode_tf.learning.models import read_card
from cathode_tf.learning.prediction import predict_image
from cathode_tf.learning.scores import confusion, dice_per_phase, judged, mean_dice, phases_in
from cathode_tf.phases import IGNORE, Phases

WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
"""How much the start model's say may weigh; the validation images choose."""

LEAST_GAIN = 0.002
"""Of mean Dice, for which a second network is kept: it doubles the time to segment."""

CACHE_BYTES = 1_000_000_000

BLOCK_PX = 1 << 20
"""So many pixels are pooled at once, as each takes some hundred bytes."""

_PIXELS, _OWN, _PREFIX = "pixels", "probabilities", "prior_"


class Prior:
    """The start model of a run, frozen, beside the network that is trained.

    Args:
        twin: The network that is validated and saved, of `build_unet`; its weights are shared, not copied.
        start: What it began with: such a model, or one that was saved with a prior, which then goes on as the
            prior of this run.

    Raises:
        ValueError: If the prior does not know all phases of `twin`; ask `knows_phases` before.
    """

    def __init__(self, twin: keras.Model, start: keras.Model):
        prior, phases = _prior_of(start), prior_phases(start)
        places = _places(phases, Phases.from_list(read_card(twin)["phases"]))
        if places is None:
            raise ValueError("the prior must know all phases")
        self._twin, self._places, self._phases = twin, places, phases
        self._prior = prior
        # The twin's card, so that an image is resampled for both alike.
        self._alone = _with_card(prior, prior.output, read_card(twin))
        self._answers: dict[int, np.ndarray] = {}

    def validate(self, images: Sequence[tuple[Micrograph, np.ndarray]]) -> tuple[np.ndarray, float]:
        """Dice of each phase on each whole image under the best weight, and that weight.

        Args:
            images: Micrograph and reference class indices (height, width); the same at every call.

        Returns:
            float64 array (images, phases), NaN where a phase is in neither reference nor prediction, or in no
            reference at all; and the weight, 0 where none is better by `LEAST_GAIN` than the network alone.
        """
        pools = [Pool(self._places, weight, dtype="float32") for weight in WEIGHTS]
        tables = []
        for index, (image, reference) in enumerate(images):
            own, prior = predict_image(self._twin, image), self._answer_to(index, image)
            counts = np.zeros((len(pools), own.shape[-1], own.shape[-1]), np.int64)
            step = max(1, BLOCK_PX // reference.shape[1])
            for rows in (slice(row, row + step) for row in range(0, len(reference), step)):
                both = np.concatenate([own[rows], prior[rows]], axis=-1)[None]
                for count, pool in zip(counts, pools, strict=True):
                    count += confusion(reference[rows], np.asarray(pool(both))[0].argmax(axis=-1), len(count))
            tables.append([dice_per_phase(count) for count in counts])
        there = phases_in((reference for _, reference in images), tables[0][0].size)
        dice = judged(np.array(tables).swapaxes(0, 1), there)
        means = [np.nanmean([mean_dice(row) for row in rows]) for rows in dice]
        best = int(np.argmax(means))
        if not means[best] >= means[0] + LEAST_GAIN:
            best = 0
        return dice[best], WEIGHTS[best]

    def pooled(self, weight: float) -> keras.Model:
        """The twin with this prior inside, as one model whose card names the weight; the twin itself for 0."""
        if not weight:
            return self._twin
        inputs, own = self._twin.input, self._twin.get_layer(_OWN).output
        waits = keras.layers.Concatenate(dtype="float32", name="own_and_pixels")([own, inputs])
        pixels = After(inputs.shape[-1], dtype="float32", name=_PREFIX + _PIXELS)(waits)
        answer = _beside(self._prior, inputs, pixels)
        both = keras.layers.Concatenate(dtype="float32", name="answers")([own, answer])
        outputs = Pool(self._places, weight, dtype="float32", name="pooled")(both)
        prior = {"weight": weight, "phases": self._phases.to_list()}
        return _with_card(self._twin, outputs, {**read_card(self._twin), "prior": prior})

    def _answer_to(self, index: int, image: Micrograph) -> np.ndarray:
        """The prior's probabilities of one validation image, from the first time on where there is room."""
        if index in self._answers:
            return self._answers[index]
        answer = predict_image(self._alone, image)
        if sum(known.nbytes for known in self._answers.values()) + answer.nbytes <= CACHE_BYTES:
            self._answers[index] = answer
        return answer


def prior_phases(start: keras.Model) -> Phases:
    """The phases of the prior that `start` is, or was saved with."""
    card = read_card(start)
    return Phases.from_list(card.get("prior", card)["phases"])


def knows_phases(known: Phases, phases: Phases) -> bool:
    """Whether a prior whose phases are `known` can tell all of `phases`, by name or role."""
    return _places(known, phases) is not None


def _places(source: Phases, target: Phases) -> list[int] | None:
    """For each phase of `source` the place in `target`, -1 for none; None if one of `target` stays without."""
    table = translation(source, target)
    if table is None or set(target.ids) - set(table.tolist()):
        return None
    ids = [int(table[phase.id]) for phase in source]
    return [-1 if value == IGNORE else target.ids.index(value) for value in ids]


def _prior_of(start: keras.Model) -> keras.Model:
    """From pixels to the probabilities of `start` itself, or of the prior that it was saved with."""
    if "prior" in read_card(start):
        pixels, answer = (start.get_layer(_PREFIX + name).output for name in (_PIXELS, _OWN))
        return keras.Model(pixels, answer)
    return keras.Model(start.input, start.get_layer(_OWN).output)


def _beside(prior: keras.Model, inputs: keras.KerasTensor, pixels: keras.KerasTensor) -> keras.KerasTensor:
    """What a copy of `prior`, under names of its own, answers to `pixels`, which were made from `inputs`."""

    def name(layer: keras.layers.Layer) -> str:
        return _PREFIX + layer.name.removeprefix(_PREFIX)

    def renamed(layer: keras.layers.Layer) -> keras.layers.Layer:
        return type(layer).from_config({**layer.get_config(), "name": name(layer), "trainable": False})

    def call(layer: keras.layers.Layer, *values, **options):
        return layer(*(pixels if value is inputs else value for value in values), **options)

    copy = keras.models.clone_model(prior, inputs, clone_function=renamed, call_function=call)
    for layer in prior.layers:
        if layer.weights:
            copy.get_layer(name(layer)).set_weights(layer.get_weights())
    return copy.output


def _with_card(model: keras.Model, outputs: keras.KerasTensor, card: dict[str, Any]) -> keras.Model:
    return keras.Model(model.input, Card(card, dtype="float32", name="card")(outputs), name="cathode_unet")
