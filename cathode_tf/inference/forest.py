"""The texture of one image, and a random forest that a few strokes teach to tell its phases by it.

Whether grey pixels are a particle or the wall behind an open pore is not in their grey: it is in edges and texture
around them, at several scales. A forest of trees finds in a few strokes which of many features tell; it is the method
of trainable segmentation (Weka, ilastik), here as one of two witnesses. No TensorFlow.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from typing import Any

import cv2
import numpy as np

SCALES_PX = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Grey and its edges are seen at these widths (standard deviations of Gaussians), in pixels of the image."""

TREES, DEPTH, SHARE = 40, 10, 0.5
"""Trees, how deep they go, and what share of the painted pixels that it may see each of them does."""

FOLDS = 4
"""Each part of the trees is kept from one part of the painted blocks, and tested on it."""

BLOCK_PX = 32
"""Neighbouring pixels say the same: what is painted in a block of this side is one piece of evidence."""

LARGE_PX = 1 << 19
"""Images of more pixels are looked at in half their size: a stroke must be followed while a person waits."""

LEAST = 1e-3
"""Nothing is surer than this that a phase is not there."""

_KEPT = 2
_CHUNK = 1 << 16
_looked_at: OrderedDict[bytes, tuple[int, np.ndarray]] = OrderedDict()


def textures(pixels: np.ndarray) -> tuple[int, np.ndarray]:
    """Grey, edges and the two curvatures of a 2-D image at each of `SCALES_PX`; the last images' are remembered.

    Args:
        pixels: uint8 or uint16 (height, width).

    Returns:
        By what the image was made smaller (1 or 2), and float16 (rows, columns, features) of that smaller image.
    """
    key = blake2b(
        np.ascontiguousarray(pixels).data, digest_size=16, salt=str(pixels.shape).encode()[:16]
    ).digest()
    if key not in _looked_at:
        while len(_looked_at) >= _KEPT:
            _looked_at.popitem(last=False)
        _looked_at[key] = _features(pixels)
    _looked_at.move_to_end(key)
    return _looked_at[key]


def _features(pixels: np.ndarray) -> tuple[int, np.ndarray]:
    by = 2 if pixels.size > LARGE_PX else 1
    grey = pixels.astype(np.float32)
    if by > 1:
        size = (-(-grey.shape[1] // by), -(-grey.shape[0] // by))
        grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.float32)
    mean, std = cv2.meanStdDev(grey)
    grey = (grey - np.float32(mean[0, 0])) / np.float32(max(std[0, 0], 1e-6))
    found = np.empty((*grey.shape, 4 * len(SCALES_PX)), np.float16)
    for index, scale in enumerate(SCALES_PX):
        width = max(scale / by, 0.5)
        smooth = cv2.GaussianBlur(grey, (0, 0), width)
        across, down = (cv2.Sobel(smooth, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
        xx, yy, xy = (cv2.Sobel(smooth, cv2.CV_32F, *order) for order in ((2, 0), (0, 2), (1, 1)))
        spread = np.sqrt((xx - yy) ** 2 + 4 * xy**2)
        # Derivatives fall with the width: times it, they are of one size, and half precision keeps them.
        found[..., 4 * index] = smooth
        found[..., 4 * index + 1] = width * np.sqrt(across**2 + down**2)
        found[..., 4 * index + 2] = width**2 * (xx + yy + spread)
        found[..., 4 * index + 3] = width**2 * (xx + yy - spread)
    return by, found


def forest_answer(
    pixels: np.ndarray, places: np.ndarray, phases: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, float]:
    """Probabilities of the painted phases all over an image, as a forest that saw the painted pixels tells them.

    Args:
        pixels: uint8 or uint16 (height, width).
        places: int (n,), flat positions of painted pixels.
        phases: int (n,), what was painted there.
        weights: float (n,), what each counts.

    Returns:
        float32 (height, width, found phases), in the order of `np.unique(phases)`; a phase whose pixels weigh next
        to nothing may be left with the least. And from 0 to 1 how much better than a guess trees foretell what was
        painted in blocks of which they saw no pixel: neighbours share their coarse features, so a tree that saw one
        knows the other by its place, whatever the texture tells. 0 where no phase was painted in two blocks.

    Reference:
        Breiman, Random forests, Machine Learning 45 (2001) 5; features as Arganda-Carreras et al., Trainable Weka
        Segmentation, Bioinformatics 33 (2017) 2424.
    """
    from sklearn.ensemble import RandomForestClassifier

    by, found = textures(pixels)
    rows, columns = np.divmod(places, pixels.shape[1])
    # Thinned by weight, none twice: pixels that a tree did not see must be others than those it saw.
    drawn = np.random.default_rng(0).random(len(places)) < weights / weights.max()
    table, told = found[rows // by, columns // by][drawn], phases[drawn]
    fold = _folds(rows[drawn] // BLOCK_PX, columns[drawn] // BLOCK_PX, told)
    flat = found.reshape(-1, found.shape[-1]).astype(np.float32)
    there = np.unique(phases)
    small = np.zeros((len(flat), len(there)), np.float32)
    tested, right = np.zeros(len(told), bool), np.zeros(len(told), bool)
    for number in range(FOLDS):
        seen = fold != number
        if not seen.any():
            continue
        share = max(1, int(SHARE * seen.sum()))
        forest = RandomForestClassifier(
            TREES // FOLDS, max_depth=DEPTH, max_samples=share, random_state=number
        )
        forest.fit(table[seen], told[seen])
        columns_of = np.searchsorted(there, forest.classes_)

        def add(begin: int, forest: Any = forest, columns_of: np.ndarray = columns_of) -> None:
            part = slice(begin, begin + _CHUNK)
            small[part, columns_of] += forest.predict_proba(flat[part]) / FOLDS

        in_parts(add, len(flat), _CHUNK)
        # Of a phase that it never saw a forest cannot foretell anything.
        test = ~seen & np.isin(told, forest.classes_)
        if test.any():
            tested |= test
            right[test] = forest.predict(table[test]) == told[test]
    skill = _better_than_a_guess(right[tested], told[tested])
    answer: np.ndarray = small.reshape(*found.shape[:2], -1)
    if by > 1:
        height, width = pixels.shape
        full = (by * answer.shape[1], by * answer.shape[0])
        answer = cv2.resize(answer, full, interpolation=cv2.INTER_LINEAR).reshape(full[1], full[0], -1)
        answer = answer[:height, :width]
    return np.maximum(answer, LEAST), skill


def in_parts(do: Callable[[int], None], pixels: int, chunk: int) -> None:
    """Call `do` with where each part of so many pixels begins, on as many threads as there are processors."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        list(pool.map(do, range(0, pixels, chunk)))


def _folds(rows: np.ndarray, columns: np.ndarray, phases: np.ndarray) -> np.ndarray:
    """For each painted pixel the fold of its block; the blocks of each phase are shared out evenly."""
    blocks, block = np.unique(rows * (columns.max() + 1) + columns, return_inverse=True)
    kinds, kind = np.unique(phases, return_inverse=True)
    mostly = np.bincount(block * len(kinds) + kind, minlength=len(blocks) * len(kinds)).reshape(
        len(blocks), -1
    )
    order = np.random.default_rng(0).permutation(len(blocks))
    order = order[np.argsort(mostly.argmax(1)[order], kind="stable")]
    fold = np.empty(len(blocks), int)
    fold[order] = np.arange(len(blocks)) % FOLDS
    return fold[block]


def _better_than_a_guess(right: np.ndarray, phases: np.ndarray) -> float:
    """From 0 (as the commonest phase for all) to 1 (all right)."""
    if not len(right):
        return 0.0
    chance = float(np.unique(phases, return_counts=True)[1].max() / len(phases))
    return max(0.0, (float(right.mean()) - chance) / (1 - chance)) if chance < 1 else 0.0
