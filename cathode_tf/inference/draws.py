"""Probabilities and what they are worth in; plausible masks, each a mask that the network holds possible, out.

Every pixel by itself would be noise that no specimen shows: errors come in patches, and lean one way all over an image.
So the draws are correlated: a Gumbel field a phase, made of blurred noise, decides the phase of each pixel so that over
many draws each phase has its calibrated probability [1], and every image leans by an amount of its own and by one that
it shares with the others.

Reference:
    [1] Yellott, J. Math. Psychol. 15 (1977) 109 (Gumbel-max); Nelsen, An Introduction to Copulas, Springer 2006;
    Krygier et al., Nat. Commun. 12 (2021) 5414 (segmentation uncertainty carried into what is computed).
"""

from __future__ import annotations

import functools

import cv2
import numpy as np
from scipy import special

from cathode_tf.errors import InputError
from cathode_tf.imaging.draws import Draws
from cathode_tf.learning.calibration import FAR_PX, Calibration
from cathode_tf.phases import Phases

DRAWS = 10
"""So many are drawn unless more are asked for."""
SIDE_PX = 512
"""Of larger images the middle is drawn: what it tells of the errors holds for the rest."""
_SHARED_SEED = 20
_COARSE = 4


def draw_masks(
    probabilities: np.ndarray,
    calibration: Calibration,
    phases: Phases,
    *,
    count: int = DRAWS,
    seed: int = 0,
) -> Draws:
    """Plausible masks of one image.

    Args:
        probabilities: float32 (height, width, phases), as the network gave them.
        calibration: What they are worth.
        phases: Names and ids; one for each channel.
        count: How many, at least 2.
        seed: Of this image's own noise; what it shares with others hangs on the draw's number alone.

    Raises:
        InputError: If there are fewer than two, or the channels are not the phases.

    Example:
        >>> from cathode_tf.learning.calibration import calibrate, look
        >>> half = np.full((64, 64, 2), 0.5, np.float32)
        >>> truth = np.indices((64, 64)).sum(0) // 16 % 2
        >>> calibration = calibrate([look(half, truth, body="a")])
        >>> draws = draw_masks(half, calibration, Phases.from_names(("pore", "ncm")), count=4)
        >>> draws.masks.shape, bool(0.2 < draws.masks.mean() < 0.8)
        ((4, 64, 64), True)
    """
    if count < 2:
        raise InputError(f"draws: must be at least 2, to tell how far they lie apart. Received {count}.")
    if probabilities.ndim != 3 or probabilities.shape[-1] != len(phases):
        raise InputError(
            f"probabilities: must be (height, width, {len(phases)}), one a phase. Received {probabilities.shape}."
        )
    corner = tuple(max(0, (side - SIDE_PX) // 2) for side in probabilities.shape[:2])
    middle = probabilities[corner[0] : corner[0] + SIDE_PX, corner[1] : corner[1] + SIDE_PX]
    logits = calibration.logits(middle)
    shared, own = _root(calibration.shared), _root(calibration.own)
    masks = np.empty((count, *logits.shape[:2]), np.uint8)
    for number in range(count):
        common = np.random.default_rng([_SHARED_SEED, number]).standard_normal(len(phases))
        rng = np.random.default_rng([seed, number])
        lean = (shared @ common + own @ rng.standard_normal(len(phases))).astype(np.float32)
        masks[number] = phases.to_ids(_decided(logits, lean, calibration, rng))
    return Draws(masks, calibration.to_dict(), corner)  # type: ignore[arg-type]


def _decided(
    logits: np.ndarray, lean: np.ndarray, calibration: Calibration, rng: np.random.Generator
) -> np.ndarray:
    """Channel of each pixel in one draw."""
    best = np.zeros(logits.shape[:2], np.intp)
    highest = np.full(logits.shape[:2], -np.inf, np.float32)
    for channel in range(logits.shape[-1]):
        noise = gumbel_field(logits.shape[:2], calibration.length_px, calibration.far, rng)
        value = logits[..., channel] + lean[channel] + noise
        higher = value > highest
        best[higher], highest[higher] = channel, value[higher]
    return best


def gumbel_field(
    shape: tuple[int, ...], length_px: float, far: float, rng: np.random.Generator
) -> np.ndarray:
    """Noise float32 (height, width) of Gumbel's distribution, correlated over bells of `length_px` and `FAR_PX`.

    Args:
        shape: Height and width.
        length_px: Of most of it.
        far: Share of the variance (0-1) of the wide bell.
        rng: Source of randomness.
    """
    field = normal_field(shape, length_px, rng)
    if far:
        # Wide bells need no fine grid.
        coarse = tuple(side // _COARSE + 2 for side in shape)
        wide = cv2.resize(normal_field(coarse, FAR_PX / _COARSE, rng), None, fx=_COARSE, fy=_COARSE)
        wide = wide[_COARSE // 2 :, _COARSE // 2 :][: shape[0], : shape[1]]
        field = np.sqrt(1 - far).astype(np.float32) * field + np.sqrt(far).astype(np.float32) * wide
    places, values = _gumbel_of_normal()
    return np.interp(field, places, values).astype(np.float32)


def normal_field(shape: tuple[int, ...], length_px: float, rng: np.random.Generator) -> np.ndarray:
    """Normal noise float32 (height, width) of spread 1, correlated over a bell of standard deviation `length_px`."""
    height, width = shape
    radius = int(np.ceil(3 * length_px))
    kernel = cv2.getGaussianKernel(2 * radius + 1, length_px, cv2.CV_32F)
    # Drawn beyond the frame, so that the border is like the middle.
    white = rng.standard_normal((height + 2 * radius, width + 2 * radius), np.float32)
    field = cv2.sepFilter2D(white, -1, kernel, kernel)[radius : radius + height, radius : radius + width]
    return field / np.float32((kernel**2).sum())


@functools.cache
def _gumbel_of_normal() -> tuple[np.ndarray, np.ndarray]:
    """A table: standard normal quantiles, and Gumbel's quantiles of the same probability."""
    places = np.linspace(-4.5, 4.5, 512)
    return places, -np.log(-special.log_ndtr(places))


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0))
