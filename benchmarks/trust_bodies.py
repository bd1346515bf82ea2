"""Bodies with known answers for the figures of trust: sections of one microscope setting, and what is true of each.

Drawn once into a folder and kept there; `calibrate.py` and `trust_coverage.py` read other numbers of them, so that what
is calibrated never saw what it is tested on.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cathode_tf.synthesis import Parameters, synthesize

SIDE_PX = 320
MODALITIES = ("se", "bse", "nano-ct")
SEED = 77_000
NCM = 1
LEAST_PX = 16
"""Small particles are at least so large across; the default model learned from 18 px on."""


@dataclass(frozen=True)
class DrawnBody:
    """Sections of a body, pictured with one microscope setting.

    Attributes:
        number: Of the body.
        modality: `"se"`, `"bse"` or `"nano-ct"`.
        images, masks, labels: (sections, height, width).
        pixel_size_nm: Edge of a pixel.
        fractions: By phase id, those that the body was asked to have.
        diameters_um: Of all its particles, volume-equivalent.
    """

    number: int
    modality: str
    images: np.ndarray
    masks: np.ndarray
    labels: np.ndarray
    pixel_size_nm: float
    fractions: np.ndarray
    diameters_um: np.ndarray

    @property
    def x50_3_um(self) -> float:
        """Diameter below which half the particles' volume lies."""
        ordered = np.sort(self.diameters_um)
        below = np.cumsum(ordered**3)
        return float(np.interp(0.5 * below[-1], below, ordered))


def draw_body(folder: Path, number: int, cuts: int) -> Path:
    """Draw body `number` with so many sections into the folder, unless it is there."""
    path = folder / f"body_{number:05d}.npz"
    if path.exists():
        return path
    rng = np.random.default_rng([SEED, number])
    modality = MODALITIES[number % len(MODALITIES)]
    parameters = Parameters.random(rng, modality).replace(databar_px=0)
    # Particles too small to be told apart, or too large for a section to hold some, are no question of trust.
    typical_px = float(np.exp(rng.uniform(np.log(32), np.log(80))))
    parameters = parameters.replace(pixel_size_nm=parameters.particle_um * 1000 / typical_px)
    if parameters.fines_ratio * typical_px < LEAST_PX:
        parameters = parameters.replace(fines_fraction=0)
    samples = synthesize(
        cuts, seed=SEED + number, height=SIDE_PX, width=SIDE_PX, parameters=parameters, cuts=cuts
    )
    made = list(samples)
    _, body = samples._body(0)  # type: ignore[attr-defined]
    # Radii are packed and then grown to the loading; a section knows the diameters that came of it.
    from cathode_tf.synthesis.lattice import Grid

    section = body.section(made[0].truth["depth_um"] * 1000 / made[0].pixel_size_nm, Grid(SIDE_PX, SIDE_PX))
    target = made[0].truth["target_fractions"]
    unfinished = path.with_suffix(".part.npz")
    np.savez_compressed(
        unfinished,
        images=np.stack([sample.image for sample in made]),
        masks=np.stack([sample.mask for sample in made]),
        labels=np.stack([sample.labels for sample in made]),
        pixel_size_nm=parameters.pixel_size_nm,
        fractions=np.array([target[name] for name in ("pore", "ncm", "additive", "binder")]),
        diameters_um=section.population_px * parameters.pixel_size_nm / 1000,
    )
    os.replace(unfinished, path)
    return path


def read_body(path: Path) -> DrawnBody:
    """A body that `draw_body` wrote."""
    number = int(path.stem.split("_")[1])
    with np.load(path) as content:
        return DrawnBody(
            number,
            MODALITIES[number % len(MODALITIES)],
            content["images"],
            content["masks"],
            # Cracks and inner pores carry their particle's number, too; an analysis counts the particles' own pixels.
            np.where(content["masks"] == NCM, content["labels"], 0),
            float(content["pixel_size_nm"]),
            content["fractions"],
            content["diameters_um"],
        )
