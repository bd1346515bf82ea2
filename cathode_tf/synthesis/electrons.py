"""What secondary and backscattered electrons add to a section: relief, rims, walls, charge and curtains.

Secondary electrons leave steep and thin places more easily (about 1 / cos of the slope), and reach the detector less
easily from deep pores; backscattered ones show the same at a fraction of the strength. Parameters say how much.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy.signal import lfilter

from cathode_tf.synthesis.body import ADDITIVE, BINDER, NCM, PORE, Section
from cathode_tf.synthesis.fields import smooth_field
from cathode_tf.synthesis.lattice import tone
from cathode_tf.synthesis.microscope import Imaging
from cathode_tf.synthesis.relief import Relief


def add_electrons(
    rng: np.random.Generator, image: np.ndarray, section: Section, imaging: Imaging, relief: Relief | None
) -> None:
    """Change `image`, float32 (height, width), in place."""
    angle = rng.uniform(0, 2 * np.pi)
    detector = np.float32(np.sin(angle)), np.float32(np.cos(angle))
    opening = (section.mask == PORE) & ~section.filled
    if imaging.shine_through > 0 and relief is not None:
        _walls(rng, image, section, imaging, relief, opening, detector)
    _rims(image, section, imaging, opening, detector)
    _web_glow(rng, image, section, imaging, opening)
    _charging(rng, image, section, imaging)
    _curtaining(rng, image, section, imaging, opening)


def _walls(
    rng: np.random.Generator,
    image: np.ndarray,
    section: Section,
    imaging: Imaging,
    relief: Relief,
    opening: np.ndarray,
    detector: tuple[np.float32, np.float32],
) -> None:
    """Walls behind open pores, dimmer with depth and in narrow pores, brighter on slopes and facing the detector."""
    typical = float(np.median(section.population_px))
    secondary = imaging.modality != "bse"
    light = np.exp(relief.depth * np.float32(-1 / ((0.9 if secondary else 0.25) * typical)))
    light *= np.float32(0.12) + np.float32(1.1) * _sky(opening, relief.depth, typical) ** np.float32(0.8)
    if secondary:
        slope2 = relief.down * relief.down + relief.right * relief.right
        steep = np.sqrt(1 + slope2)
        facing = (relief.down * detector[0] + relief.right * detector[1]) / steep
        light *= np.float32(0.4) + np.float32(0.45) * np.minimum(steep, 2.6) + np.float32(0.3) * facing
    # Grey above that of pore: active material, and carbon where the wall is carbon.
    carbon = np.float32(max(imaging.grey_additive, imaging.grey_binder) - imaging.grey_ncm)
    wall = carbon + np.float32(imaging.texture) * section.texture
    if imaging.channelling > 0:
        wall -= np.float32(imaging.channelling) * section.grain_tone
    wall *= relief.carbon
    wall += np.float32(imaging.grey_ncm)
    if imaging.channelling > 0:
        wall += np.float32(imaging.channelling) * section.grain_tone
    wall -= np.float32(imaging.grey_pore)
    # A porous wall swallows more of what leaves it than a smooth one.
    light *= np.float32(imaging.shine_through) * (1 - np.float32(0.3) * relief.carbon)
    wall *= light
    # Cracks and gaps are too narrow for the beam to light their ground.
    wall *= opening & ~section.slits
    image += wall


def _sky(opening: np.ndarray, depth: np.ndarray, typical: float) -> np.ndarray:
    """Share of the open mouth above a point at `depth`, within as many pixels as it lies deep: float32, 0-1."""
    shrink = 4
    height, width = opening.shape
    small = cv2.resize(
        opening.astype(np.float32), (-(-width // shrink), -(-height // shrink)), interpolation=cv2.INTER_AREA
    )
    radii = np.array([0.03, 0.1, 0.3], np.float32) * np.float32(typical)
    skies = [
        cv2.resize(cv2.GaussianBlur(small, (0, 0), max(0.5, float(radius) / shrink)), (width, height))
        for radius in radii
    ]
    sky = opening.astype(np.float32)
    before = np.float32(0)
    depth = depth * np.float32(1.6)
    for radius, wider in zip(radii, skies, strict=True):
        sky += np.clip((depth - before) / (radius - before), 0, 1) * (wider - sky)
        before = radius
    return np.maximum(sky, 0)


def _rims(
    image: np.ndarray,
    section: Section,
    imaging: Imaging,
    opening: np.ndarray,
    detector: tuple[np.float32, np.float32],
) -> None:
    """Particle rims glow, more so towards the detector, and shade the low ground beside them."""
    if imaging.edge_brightening <= 0 and imaging.shadowing <= 0:
        return
    low = (opening | ((section.mask != NCM) & ~section.filled)).astype(np.float32)
    wide = cv2.GaussianBlur(low, (0, 0), imaging.rim_px)
    solid = 1 - low
    # Both are strongest at the surface: the glow where the surrounding is low, the shade where it is not.
    side = cv2.Sobel(wide, -1, 0, 1) * detector[0] + cv2.Sobel(wide, -1, 1, 0) * detector[1]
    side *= np.float32(0.4 * imaging.rim_px)
    glow = wide * (1 + np.clip(side, -0.8, 0.8))
    glow *= solid
    image += np.float32(2 * imaging.edge_brightening) * glow
    image -= np.float32(2 * imaging.shadowing) * low * (1 - wide)


def _web_glow(
    rng: np.random.Generator, image: np.ndarray, section: Section, imaging: Imaging, opening: np.ndarray
) -> None:
    """Carbon and binder are bright where they border on open pores, unevenly: thin nodules charge and glow."""
    if imaging.web_glow <= 0:
        return
    web = (section.mask == ADDITIVE) | (section.mask == BINDER)
    near = cv2.GaussianBlur(opening.astype(np.float32), (0, 0), 1.3 * imaging.rim_px)
    height, width = image.shape
    uneven = np.clip(0.8 + 0.4 * section.texture + 0.5 * smooth_field(rng, height, width, 30.0), 0, 2.2)
    image += np.float32(1.6 * imaging.web_glow) * near * uneven * web


def _charging(rng: np.random.Generator, image: np.ndarray, section: Section, imaging: Imaging) -> None:
    """A few poorly conducting particles glow, with bright and dark streaks along the scan lines behind them."""
    if imaging.charging <= 0:
        return
    height, width = image.shape
    # The same particles charge on every cut through them; the least conducting of a cut always does.
    resistance = tone(section.identity, int(rng.integers(2**31)))
    charged = np.zeros(section.identity.size + 1, bool)
    charged[1:] = resistance >= min(1.17, float(resistance.max(initial=0)))
    source = (charged[section.labels] & (section.mask == NCM)).astype(np.float32)
    image += np.float32(0.7 * imaging.charging) * cv2.GaussianBlur(source, (0, 0), 5.0)
    line = rng.standard_normal((height, 1)).astype(np.float32)
    trail = cv2.blur(source, (min(121, 2 * (width // 4) + 1), 1), anchor=(min(120, 2 * (width // 4)), 0))
    image += np.float32(0.8 * imaging.charging) * line * trail


def _curtaining(
    rng: np.random.Generator, image: np.ndarray, section: Section, imaging: Imaging, opening: np.ndarray
) -> None:
    """Streaks of the ion mill: they begin where the beam passes an edge or a void, run down and grow fainter."""
    if imaging.curtaining <= 0:
        return
    height, width = image.shape
    hardness = np.where(opening, np.float32(0), np.float32(0.5))
    hardness[section.mask == NCM] = 1
    source = rng.standard_normal((height, width), dtype=np.float32)
    source[1:] *= np.abs(hardness[1:] - hardness[:-1])
    # What enters at the top has passed edges above the picture.
    source[0] *= 1.5
    streaks = lfilter([1.0], [1.0, -np.exp(-1 / (0.35 * height))], source, axis=0).astype(np.float32)
    streaks = cv2.GaussianBlur(streaks, (0, 0), sigmaX=1.0, sigmaY=0.6)
    streaks *= hardness > 0
    spread = float(streaks.std())
    if spread > 0:
        image += np.float32(imaging.curtaining / spread) * np.clip(streaks, -3 * spread, 3 * spread)
