"""A model's probabilities of one image and a few strokes of a person in; probabilities that follow the strokes out.

Where carbon ends and pore begins, a person decides anew for each image, by the grey of that image: no model can
know it beforehand. A few strokes say it. What they teach is a small classifier of this one image
(multinomial logistic regression) on what the model thinks and on the grey at several scales. It begins as the
model's own answer, and away from the strokes it is held to it. No TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

import cv2
import numpy as np
from threadpoolctl import threadpool_limits

from cathode_tf.errors import InputError
from cathode_tf.inference.forest import BLOCK_PX, LEAST, SCALES_PX, forest_answer, in_parts
from cathode_tf.phases import IGNORE, Phases

FULL_BLOCK = 60
"""As many pixels of a phase make a block count in full: a stroke of 3 by 20 px."""

OWN_ANSWER = 6.0, 60.0
"""The model's own answer, over the image, weighs as much as so many blocks of strokes: at least, and at most. Between
them it is the odds of being right that the model gives itself: one that is unsure all over is soon overruled, one that
is sure but in a few places is mended there and kept elsewhere."""

TRUSTED = 30.0
"""After so many blocks of strokes the model's own answer weighs half of that, as the strokes say more."""

SLIP = 0.1
"""Hands slip, and borders are fuzzy: so much of what a stroke says is what the model would have said there."""

RIDGE = 0.03
"""What holds the weights to those of the model's own answer; the more blocks, the less."""

SAY_OF_TEXTURE = 0.4
"""The say of a forest that the strokes teach on texture alone, where the model agrees with none of them; where it
agrees with all, the forest has none."""

MISTAKES = 0.5
"""Where the model gives what was painted less than this share of what it gives its own choice there, only its mistakes
were painted: what it says elsewhere is then shown to the forest as well."""

OTHERS = 1.0
"""That weighs so many times the strokes."""

_LOG_SCALE = 0.5
_PRODUCT_SCALE = 0.1  # the ridge so prefers what needs no products
_GREY_RANGE = 4.0  # standard deviations; hot pixels and burnt edges lie beyond
_BACKGROUND = 3000
_MOST_PAINTED = 8000
_STEPS = 60
_CHUNK_PX = 1 << 14  # what is computed of so many stays in the fast cache
_remembered: dict[bytes, list[np.ndarray]] = {}


def check_strokes(strokes: np.ndarray, shape: tuple[int, int], phases: Phases, source: str) -> None:
    """Refuse what cannot be learned from.

    Args:
        strokes: uint8 (height, width) of phase ids; 255 where nothing was painted.
        shape: Of the image.
        phases: Names and ids.
        source: How to call the strokes in an error.

    Raises:
        InputError: If the shapes differ, an id is of no phase, or nothing was painted.
    """
    if strokes.shape != tuple(shape):
        raise InputError(
            f"{source}: must be {shape[0]} x {shape[1]} px as the image is. Received "
            f"{' x '.join(map(str, strokes.shape))}. Paint on the image itself."
        )
    phases.check_mask(strokes, source)
    if (strokes == IGNORE).all():
        raise InputError(
            f"{source}: must hold at least one stroke. Received none. Paint each phase in a few places."
        )


def follow_strokes(
    probabilities: np.ndarray, pixels: np.ndarray, strokes: np.ndarray, phases: Phases
) -> np.ndarray:
    """Probabilities of an image as a few strokes on it teach them.

    Painted pixels keep their phase for certain. The rest follows a multinomial logistic regression that has
    seen the painted pixels, and beside them what the model says of pixels all over the image. Its features are the
    logarithms of the model's probabilities, the bands of grey between Gaussians of 1, 2, 4, 8 and 16 px, the squares
    of the two finest smoothed images (the grey of a phase in between is above one and below another), and, less
    readily, all products of two of these. Where two phases were painted, a forest of texture (`forest_answer`) has a
    say beside it.

    Args:
        probabilities: float32 (height, width, phases), the model's.
        pixels: uint8 or uint16 (height, width).
        strokes: uint8 (height, width) of phase ids; 255 where nothing was painted.
        phases: Names and ids, in the order of the probabilities.

    Returns:
        float32 (height, width, phases).

    Raises:
        InputError: As `check_strokes` says.

    Example:
        >>> pixels = np.repeat(np.array([[40, 90, 200]], np.uint8), 16, axis=1).repeat(48, axis=0)
        >>> phases = Phases.from_names(("pore", "binder", "ncm"))
        >>> undecided = np.full((48, 48, 3), 1 / 3, np.float32)
        >>> strokes = np.full((48, 48), 255, np.uint8)
        >>> strokes[10:13, 2:14], strokes[10:13, 18:30], strokes[10:13, 34:46] = 0, 1, 2
        >>> follow_strokes(undecided, pixels, strokes, phases).argmax(-1)[40, [8, 24, 40]].tolist()
        [0, 1, 2]

    Reference:
        Arganda-Carreras et al., Trainable Weka Segmentation, Bioinformatics 33 (2017) 2424, for classifiers of
        pixels taught by strokes; this one begins with what a network knows.
    """
    check_strokes(strokes, pixels.shape, phases, "strokes")
    with threadpool_limits(1, "blas"):  # its threads would wait for each other longer than they work
        return _followed(probabilities, pixels, phases.to_indices(strokes))


def _followed(probabilities: np.ndarray, pixels: np.ndarray, targets: np.ndarray) -> np.ndarray:
    n = probabilities.shape[-1]
    maps = _maps_of(probabilities, pixels)
    places, weights = _evidence(targets, n)
    rng = np.random.default_rng(0)
    elsewhere = rng.choice(pixels.size, min(_BACKGROUND, pixels.size), replace=False)
    table = _features(np.stack([values.ravel()[elsewhere] for values in maps], axis=1))
    begin = np.zeros((n, table.shape[1]))
    begin[:, :n] = np.eye(n) / _LOG_SCALE
    blocks = weights.sum()
    own = _odds(probabilities) * TRUSTED / (TRUSTED + blocks)
    painted = _features(np.stack([values.ravel()[places] for values in maps], axis=1))
    by_hand = np.eye(n)[targets.ravel()[places]]
    by_hand += SLIP * (_softmax(painted @ begin.T) - by_hand)
    found = _fit(
        np.concatenate([painted, table]),
        np.concatenate([by_hand * weights[:, None], _softmax(table @ begin.T) * (own / len(elsewhere))])
        / blocks,
        begin,
        RIDGE / blocks,
    )
    told = targets.ravel()[places]
    texture = None
    if len(np.unique(told)) > 1:
        model = _softmax(painted[:, :n] / _LOG_SCALE)
        agreed = float((weights * model[np.arange(len(told)), told]).sum() / blocks)
        say = SAY_OF_TEXTURE * (1 - max(0.0, 2 * agreed - 1) ** 2)
        if agreed < MISTAKES * float((weights * model.max(axis=1)).sum() / blocks):
            model = _softmax(table[:, :n] / _LOG_SCALE)
            sure = model.max(axis=1)
            places = np.concatenate([places, elsewhere])
            told = np.concatenate([told, model.argmax(axis=1).astype(told.dtype)])
            weights = np.concatenate([weights, sure * (OTHERS * blocks / sure.sum())])
        share, skill = forest_answer(pixels, places, told, weights)
        texture = _Texture(share.reshape(pixels.size, -1), np.unique(told), say * skill)
    answer = _apply(maps, found, texture).reshape(probabilities.shape)
    stays = targets != IGNORE
    answer[stays] = np.eye(n, dtype=np.float32)[targets[stays]]
    return answer


def _odds(probabilities: np.ndarray) -> float:
    """Of being right, as the model sees it, within OWN_ANSWER."""
    total = probabilities.sum(-1)
    sure = float(np.mean(probabilities.max(-1)[total > 0] / total[total > 0])) if (total > 0).any() else 0.0
    return float(np.clip(sure / max(1 - sure, 1e-6), *OWN_ANSWER))


@dataclass(frozen=True)
class _Texture:
    """What a forest says.

    Attributes:
        share: float32 (pixels, painted phases), above 0.
        phases: Their places among all phases. Of the others a forest knows nothing: they keep their share.
        say: From 0 to 1, as a power: the answer is the model's to 1 - say times the forest's to say.
    """

    share: np.ndarray
    phases: np.ndarray
    say: float


def _maps_of(probabilities: np.ndarray, pixels: np.ndarray) -> list[np.ndarray]:
    """`_feature_maps` as a list; those of the last image are remembered, as strokes follow one another."""
    digest = blake2b(np.ascontiguousarray(pixels).data, digest_size=16)
    digest.update(np.ascontiguousarray(probabilities).data)
    key = str((pixels.shape, probabilities.shape)).encode() + digest.digest()
    maps = _remembered.get(key)
    if maps is None:
        maps = list(_feature_maps(probabilities, pixels))
        _remembered.clear()
        _remembered[key] = maps
    return maps


def _feature_maps(probabilities: np.ndarray, pixels: np.ndarray) -> Iterator[np.ndarray]:
    """float32 (height, width) each: logarithms of probabilities first, then bands of grey, then squares."""
    unknown = probabilities.max(axis=(0, 1)) == 0
    # Of a phase that it does not know, a model's 0 says nothing: it gets an even share of the doubt.
    logarithms = np.log(np.maximum(np.where(unknown, 1 / len(unknown), probabilities), LEAST))
    logarithms -= logarithms.mean(-1, keepdims=True)
    logarithms *= _LOG_SCALE
    for index in range(logarithms.shape[-1]):
        yield np.ascontiguousarray(logarithms[..., index])
    grey = np.clip(_standard(pixels.astype(np.float32)), -_GREY_RANGE, _GREY_RANGE)
    finer, squares = grey, []
    for scale in SCALES_PX:
        coarser = cv2.GaussianBlur(grey, (0, 0), scale)
        yield _standard(finer - coarser)
        if scale in SCALES_PX[:2]:
            squares.append(0.5 * _standard(_standard(coarser) ** 2))
        finer = coarser
    yield _standard(finer)
    yield from squares


def _features(table: np.ndarray) -> np.ndarray:
    """Values of the maps (n, maps), their products by two (each once), and a constant: (n, features)."""
    first, second = np.triu_indices(table.shape[1])
    products = table[:, first] * table[:, second]
    products *= _PRODUCT_SCALE
    return np.concatenate([table, products, np.ones((len(table), 1), table.dtype)], axis=1)


def _standard(values: np.ndarray) -> np.ndarray:
    """With a mean of 0 and a standard deviation of 1, or all 0."""
    mean, std = cv2.meanStdDev(values)
    return (values - np.float32(mean[0, 0])) / np.float32(max(std[0, 0], 1e-6))


def _evidence(targets: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Flat places of painted pixels, and what each weighs; all together as much as there are blocks, full or partly."""
    rows, columns = np.nonzero(targets != IGNORE)
    across = -(-targets.shape[1] // BLOCK_PX)
    cells = ((rows // BLOCK_PX) * across + columns // BLOCK_PX) * n + targets[rows, columns]
    _, cell, count = np.unique(cells, return_inverse=True, return_counts=True)
    weights = (np.minimum(count, FULL_BLOCK) / FULL_BLOCK / count)[cell]
    places = rows * targets.shape[1] + columns
    if len(places) > _MOST_PAINTED:
        kept = np.random.default_rng(0).choice(len(places), _MOST_PAINTED, replace=False)
        places, weights = places[kept], weights[kept] * (weights.sum() / weights[kept].sum())
    return places, weights


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def _fit(table: np.ndarray, targets: np.ndarray, begin: np.ndarray, ridge: float) -> np.ndarray:
    """Weights (phases, features) of least cross-entropy plus `ridge` times the squared way from `begin`.

    Args:
        table: Features (n, features).
        targets: Probability of each phase (n, phases), times what the row weighs.
        begin: Weights to begin with, and to be held to.
        ridge: How strongly.
    """
    from scipy.optimize import minimize

    weights = targets.sum(axis=1)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        now = flat.reshape(begin.shape)
        scores = table @ now.T
        scores -= scores.max(axis=1, keepdims=True)
        powers = np.exp(scores)
        total = powers.sum(axis=1)
        value = (
            (weights * np.log(total)).sum() - (targets * scores).sum() + ridge * ((now - begin) ** 2).sum()
        )
        powers *= (weights / total)[:, None]
        slope = (powers - targets).T @ table + 2 * ridge * (now - begin)
        return value, slope.ravel()

    found = minimize(loss, begin.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": _STEPS})
    return found.x.reshape(begin.shape)


def _apply(maps: list[np.ndarray], weights: np.ndarray, texture: _Texture | None) -> np.ndarray:
    """Probabilities float32 (pixels, phases): `_features` times `weights`, without writing the features down, and what
    a forest says of the phases that it knows."""
    n = len(maps)
    single, products, constant = np.split(weights.astype(np.float32), [n, -1], axis=1)
    squares = np.zeros((len(weights), n, n), np.float32)
    squares[:, *np.triu_indices(n)] = _PRODUCT_SCALE * products
    flat = [values.ravel() for values in maps]
    answer = np.empty((flat[0].size, len(weights)), np.float32)

    def fill(begin: int) -> None:
        where = slice(begin, begin + _CHUNK_PX)
        part = np.stack([values[where] for values in flat])
        scores = answer[where]
        for index, (square, slope) in enumerate(zip(squares, single, strict=True)):
            scores[:, index] = ((square @ part + slope[:, None]) * part).sum(axis=0) + constant[index]
        if texture is not None:
            _add_texture(scores, texture, where)
        scores -= scores.max(axis=1, keepdims=True)
        cv2.exp(scores, scores)
        scores /= scores.sum(axis=1, keepdims=True)

    in_parts(fill, len(answer), _CHUNK_PX)
    return answer


def _add_texture(scores: np.ndarray, texture: _Texture, where: slice) -> None:
    """Move scores (logarithms up to a constant) of phases that a forest knows towards what it says, in place."""
    known = scores[:, texture.phases]
    highest = known.max(axis=1, keepdims=True)
    total = highest + cv2.log(cv2.exp(known - highest).sum(axis=1, keepdims=True))
    floor = scores.max(axis=1, keepdims=True) + np.float32(np.log(LEAST))
    share = texture.share[where]
    forest = cv2.log(share) - cv2.log(share.sum(axis=1, keepdims=True)) + total
    say = np.float32(texture.say)
    scores[:, texture.phases] = (1 - say) * np.maximum(known, floor) + say * forest
