"""What an instrument makes of a section: what lies there and imaging parameters in, grey levels out.

The order is that of the physics: grey levels of the material, what the beam adds, the optics, the scan, the detector.
Every effect is a function of its own, and is off where its parameter is 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cathode_tf.synthesis.body import ADDITIVE, BINDER, NCM, PORE, Section
from cathode_tf.synthesis.electrons import add_electrons
from cathode_tf.synthesis.fields import fractal_field, smooth_field
from cathode_tf.synthesis.microscope import Imaging
from cathode_tf.synthesis.relief import Relief


@dataclass(frozen=True)
class Placement:
    """Where a picture shows its section: picture[y, x] = section[(y - row) / scale + margin, x - column + margin].

    Attributes:
        row: Shift downwards, pixels of the picture.
        column: Shift to the right, pixels.
        row_scale: Height of the picture over that of the section; below 1 where a tilted face is foreshortened.
        margin: Rows and columns that the section has more than the frame, on every side.
        height: Rows of the picture.
        width: Columns of the picture.
        gain: Factor of the grey levels.
        offset: Grey levels added after it.
    """

    row: float
    column: float
    row_scale: float
    margin: int
    height: int
    width: int
    gain: float = 1.0
    offset: float = 0.0

    def show(self, pixels: np.ndarray, *, linear: bool = True) -> np.ndarray:
        """`pixels` of the section as the picture has them; of labels, the nearest one."""
        matrix = np.array(
            [
                [1, 0, self.margin - self.column],
                # Rows are cells of the face: their centres scale about the upper edge of the frame.
                [0, 1 / self.row_scale, (0.5 - self.row) / self.row_scale - 0.5 + self.margin],
            ]
        )
        flags = cv2.WARP_INVERSE_MAP | (cv2.INTER_LINEAR if linear else cv2.INTER_NEAREST)
        return cv2.warpAffine(
            pixels, matrix, (self.width, self.height), flags=flags, borderMode=cv2.BORDER_REPLICATE
        )


def acquire(
    rng: np.random.Generator,
    section: Section,
    imaging: Imaging,
    relief: Relief | None = None,
    *,
    placement: Placement | None = None,
    noise: np.random.Generator | None = None,
) -> np.ndarray:
    """A micrograph (height, width), uint8 or uint16, of the section.

    Args:
        rng: Draws the scene: detector, stray brightness, curtains, and the noise.
        section: What lies there.
        imaging: How it is imaged.
        relief: What lies behind open pores.
        placement: Where the picture shows the section; default: pixel on pixel.
        noise: Draws noise and drift instead of `rng`, so that serial cuts share their scene.
    """
    noise = noise or rng
    image = _material(rng, section, imaging)
    if imaging.modality != "nano-ct":
        add_electrons(rng, image, section, imaging, relief)
    image = _optics(image, imaging)
    if placement is not None:
        image = placement.show(image)
    image = _drift(noise, image, imaging)
    _background(rng, image, imaging)
    _rings(rng, image, imaging)
    if placement is not None:
        image = image * np.float32(placement.gain) + np.float32(placement.offset)
    return _detect(noise, image, imaging)


def _material(rng: np.random.Generator, section: Section, imaging: Imaging) -> np.ndarray:
    """Grey level of each phase, with grains, particles and grainy carbon standing out a little."""
    height, width = section.mask.shape
    levels = np.zeros(256, np.float32)
    levels[[PORE, NCM, ADDITIVE, BINDER]] = (
        imaging.grey_pore,
        imaging.grey_ncm,
        imaging.grey_additive,
        imaging.grey_binder,
    )
    image = levels[section.mask]
    tint = (section.particle_tone * np.float32(imaging.particle_spread))[section.labels]
    if imaging.channelling > 0:
        tint += np.float32(imaging.channelling) * section.grain_tone
    if imaging.etching > 0:
        tint -= np.float32(imaging.etching) * section.boundaries
    tint[section.mask != NCM] = 0
    image += tint
    if imaging.texture > 0:
        amount = np.zeros(256, np.float32)
        amount[[ADDITIVE, BINDER]] = imaging.texture, 0.5 * imaging.texture
        image += amount[section.mask] * section.texture
    if imaging.mottle > 0:
        amount = np.zeros(256, np.float32)
        amount[[NCM, ADDITIVE, BINDER]] = np.float32(imaging.mottle) * np.array([1.0, 0.7, 0.7], np.float32)
        image += amount[section.mask] * fractal_field(rng, height, width, 26.0, octaves=4)
    np.copyto(image, np.float32(imaging.grey_filling), where=section.filled)
    return image


def _optics(image: np.ndarray, imaging: Imaging) -> np.ndarray:
    """Finite resolution; in nano-CT also fringes along edges and a smear from missing angles."""
    if imaging.blur_px > 0.2:
        sigma = imaging.blur_px
        image = cv2.GaussianBlur(image, (0, 0), sigmaX=sigma * (1 + imaging.smear), sigmaY=sigma)
    if imaging.fringe > 0:
        wide = cv2.GaussianBlur(image, (0, 0), max(1.5, 2.0 * imaging.blur_px))
        image += np.float32(imaging.fringe) * (image - wide)
    return image


def _background(rng: np.random.Generator, image: np.ndarray, imaging: Imaging) -> None:
    """Slow changes of brightness: tilt, detector position, beam profile."""
    if imaging.gradient <= 0:
        return
    height, width = image.shape
    y, x = np.linspace(-1, 1, height, dtype=np.float32)[:, None], np.linspace(-1, 1, width, dtype=np.float32)
    a, b, c = rng.normal(0, 1, 3).astype(np.float32)
    image += np.float32(imaging.gradient) * (a * y + b * x + 0.7 * c * (x * x + y * y - 0.7))
    image += np.float32(0.5 * imaging.gradient) * smooth_field(
        rng, height, width, max(24.0, max(height, width) / 3)
    )


def _rings(rng: np.random.Generator, image: np.ndarray, imaging: Imaging) -> None:
    """Concentric rings of uneven detector pixels around the axis of rotation, wherever that lies."""
    if imaging.rings <= 0:
        return
    height, width = image.shape
    centre_y, centre_x = rng.uniform(-0.5, 1.5) * height, rng.uniform(-0.5, 1.5) * width
    dy = np.arange(height, dtype=np.float32)[:, None] - np.float32(centre_y)
    dx = np.arange(width, dtype=np.float32) - np.float32(centre_x)
    radius = np.sqrt(dy * dy + dx * dx)
    profile = cv2.GaussianBlur(
        rng.standard_normal((1, int(radius.max()) + 2)).astype(np.float32), (0, 0), 1.0
    )
    image += np.float32(1.9 * imaging.rings) * profile[0][radius.astype(np.int32)]


def _drift(rng: np.random.Generator, image: np.ndarray, imaging: Imaging) -> np.ndarray:
    """Rows displaced by drift and vibration while the beam scans; the mask stays where the specimen is."""
    if imaging.drift_px <= 0:
        return image
    height, width = image.shape
    # The mean displacement is taken out: the frame as a whole stays registered with the mask.
    path = smooth_field(rng, height, 8, max(8.0, height / 3))[:, :1] + 0.15 * rng.standard_normal((height, 1))
    path = (path - path.mean()) * imaging.drift_px
    x = np.arange(width, dtype=np.float32) + path.astype(np.float32)
    y = np.repeat(np.arange(height, dtype=np.float32)[:, None], width, axis=1)
    return cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def _detect(rng: np.random.Generator, image: np.ndarray, imaging: Imaging) -> np.ndarray:
    """Counting noise by dwell, detector noise, grey scale, whole numbers."""
    # What is brighter than the scale saturates at the end, noise and all.
    light = np.maximum(image, 0) / np.float32(255)
    noise = _noise(rng, image.shape, imaging.noise_grain_px)
    # Poisson counts are as good as Gaussian from a few on: variance of the grey level is level / counts.
    shot = np.float32(1 / imaging.counts if imaging.counts else 0)
    light += noise * np.sqrt(light * shot + np.float32((imaging.noise / 255) ** 2))
    if imaging.gamma != 1:
        light = np.maximum(light, 0) ** np.float32(imaging.gamma)
    top, dtype = (255, np.uint8) if imaging.bits == 8 else (65535, np.uint16)
    return np.clip(np.rint(light * np.float32(top)), 0, top).astype(dtype)


def _noise(rng: np.random.Generator, shape: tuple[int, ...], grain_px: float) -> np.ndarray:
    """Gaussian noise of unit variance, float32, correlated over `grain_px`."""
    noise = rng.standard_normal(shape, dtype=np.float32)
    if grain_px <= 0.3:
        return noise
    return cv2.GaussianBlur(noise, (0, 0), grain_px) * np.float32(2 * np.sqrt(np.pi) * grain_px)


def databar(image: np.ndarray, rows: int, pixel_size_nm: float) -> np.ndarray:
    """The image with a black bar of `rows` below it: a scale bar and its length in white.

    Args:
        image: (height, width), uint8 or uint16.
        rows: Height of the bar, at least 16.
        pixel_size_nm: For the scale bar, which is a round number near a fifth of the width.
    """
    width = image.shape[1]
    white = int(np.iinfo(image.dtype).max)
    bar = np.zeros((rows, width), image.dtype)
    wish = width * pixel_size_nm / 5
    decade = 10 ** np.floor(np.log10(wish))
    length_nm = decade * max(step for step in (1, 2, 5) if step * decade <= wish)
    length = round(length_nm / pixel_size_nm)
    text = f"{length_nm / 1000:g} um" if length_nm >= 1000 else f"{length_nm:g} nm"
    cv2.rectangle(bar, (8, rows // 2 - 2), (8 + length, rows // 2 + 1), white, -1)
    cv2.putText(
        bar, text, (16 + length, rows // 2 + 5), cv2.FONT_HERSHEY_SIMPLEX, 0.45, white, 1, cv2.LINE_AA
    )
    return np.concatenate([image, bar])
