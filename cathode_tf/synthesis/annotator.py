"""A synthetic section in; the mask that a person would have drawn, out.

Slices of nano-CT are annotated semi-automatically: the resolution blurs every boundary, so that what an annotator
calls carbon or pore is a matter of grey level. A model that learned the sharp truth below such images alone knows
nothing of that. On electron micrographs people draw the outline of the carbon-binder web, not each of its pores.
"""

from __future__ import annotations

import cv2
import numpy as np

from cathode_tf.synthesis.body import ADDITIVE, BINDER, NCM, PORE
from cathode_tf.synthesis.samples import SyntheticSample

# How far up from one grey level to the next an annotator puts the threshold between them.
_CARBON_FROM = (0.2, 0.9)
_NCM_FROM = (0.25, 0.6)
WEB_PORE_PX = 8
"""Pores of a web up to about this width are part of it where people draw it."""


def annotate(sample: SyntheticSample, rng: np.random.Generator) -> np.ndarray:
    """A mask of `sample` as people draw it.

    Of electron micrographs it is the true mask, but pores of the web of carbon and binder up to `WEB_PORE_PX` wide
    belong to it (to additive where there is some, else to binder). Of nano-CT it is a semi-automatic annotation, of
    the manner of an annotator drawn at random: two thresholds between the grey levels of pore, carbon and active
    material, on the image as it is or smoothed; then, by annotator, rims about as wide as the blur are shared between
    particle and pore, small patches go to what surrounds them, and holes in particles are closed or emptied. Carbon
    and binder, which nano-CT cannot tell apart, are one phase: binder.

    Args:
        sample: Of `synthesize`.
        rng: Draws the annotator of nano-CT.

    Returns:
        Phase ids, uint8 (height, width), of `Phases.default()`, of nano-CT without additive; 255 where the true mask
        has it.

    Example:
        >>> from cathode_tf.synthesis import Parameters, synthesize
        >>> sample = synthesize(seed=1, height=96, width=96, parameters=Parameters.nano_ct())[0]
        >>> np.unique(annotate(sample, np.random.default_rng(0))).tolist()
        [0, 1, 3]
    """
    if sample.truth["parameters"]["imaging"]["modality"] != "nano-ct":
        return _close_web(sample.mask)
    dark, low, high = _thresholds(sample, rng)
    image: np.ndarray = sample.image.astype(np.float32)
    if smoothing := rng.choice([0.0, 0.7, 1.2, 2.0]):
        image = cv2.GaussianBlur(image, (0, 0), smoothing)
    mask = np.where(image > high, NCM, np.where(image > low, BINDER, PORE)).astype(np.uint8)
    if rng.random() < 0.85:
        # A rim is as wide as the blur; few annotators leave it to carbon.
        blur = sample.truth["parameters"]["imaging"]["blur_px"]
        radius = int(np.clip(round(blur * rng.uniform(0.5, 1.5)), 1, 9))
        _part_rims(mask, image > (dark + high) / 2, radius)
    if rng.random() < 0.5:
        _drop_patches(mask, int(rng.integers(3, 30)))
    manner = rng.random()
    if manner < 0.7:
        _fill_holes(mask, int(rng.integers(20, 300)), NCM if manner < 0.4 else PORE)
    mask[sample.mask > BINDER] = sample.mask[sample.mask > BINDER]
    return mask


def _close_web(mask: np.ndarray) -> np.ndarray:
    """The mask with narrow pores of the web as part of it."""
    web = np.isin(mask, (ADDITIVE, BINDER)).astype(np.uint8)
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (WEB_PORE_PX + 1, WEB_PORE_PX + 1))
    inside = (cv2.morphologyEx(web, cv2.MORPH_CLOSE, disk) > 0) & (mask == PORE)
    return np.where(inside, np.uint8(ADDITIVE if (mask == ADDITIVE).any() else BINDER), mask)


def _thresholds(sample: SyntheticSample, rng: np.random.Generator) -> tuple[float, float, float]:
    """Grey level of pore, and those above which there is carbon, and active material."""
    known = sample.mask <= BINDER
    ncm, pore = sample.mask == NCM, sample.mask == PORE
    bright, dark = _level(sample.image, ncm), _level(sample.image, pore)
    between = _level(sample.image, known & ~ncm & ~pore)
    dark = min(dark, bright - 1)
    # Carbon is told from pore, or there would be no annotation.
    between = float(np.clip(between, dark + 0.08 * (bright - dark), dark + 0.6 * (bright - dark)))
    low = dark + rng.uniform(*_CARBON_FROM) * (between - dark)
    return dark, low, between + rng.uniform(*_NCM_FROM) * (bright - between)


def _level(image: np.ndarray, phase: np.ndarray) -> float:
    """Grey level of a phase away from its edges, where it is wide enough to have such a place."""
    core = cv2.erode(phase.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    chosen = core if np.count_nonzero(core) > 200 else phase
    return float(np.median(image[chosen])) if chosen.any() else float(image.min())


def _part_rims(mask: np.ndarray, bright: np.ndarray, radius: int) -> None:
    """Share rims of carbon that are at most twice `radius` wide between active material and pore."""
    carbon = (mask == BINDER).astype(np.uint8)
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    thin = (carbon > 0) & (cv2.morphologyEx(carbon, cv2.MORPH_OPEN, disk) == 0)
    mask[thin] = np.where(bright[thin], NCM, PORE)


def _drop_patches(mask: np.ndarray, pixels: int) -> None:
    """Patches below a size take the phase that is most common around them."""
    around = cv2.medianBlur(mask, 5)
    for phase in (NCM, BINDER, PORE):
        np.copyto(mask, around, where=_small(mask == phase, pixels))


def _fill_holes(mask: np.ndarray, pixels: int, phase: int) -> None:
    """Patches of anything but active material below a size become `phase`."""
    mask[_small(mask != NCM, pixels)] = phase


def _small(there: np.ndarray, pixels: int) -> np.ndarray:
    """Where the connected parts of `there` are smaller than `pixels`."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(there.astype(np.uint8), connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] < pixels
    small[0] = False
    return small[labels]
