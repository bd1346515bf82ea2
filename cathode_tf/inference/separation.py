"""A mask and its micrograph in; maps of contacts and centres from the separation network, and the label image, out.

The network is shown particles of one size (`diameter_px` of its card), so its work does not grow with the
magnification; what becomes of its maps is `particles.separate`'s.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import tensorflow as tf

from cathode_tf.errors import InputError
from cathode_tf.imaging import Micrograph
from cathode_tf.learning.layers import Card
from cathode_tf.learning.separation import DIAMETER_PX, SEPARATION, SIZE_MULTIPLE, network_input
from cathode_tf.particles.instances import DEPTH, Separation
from cathode_tf.particles.joining import Joining
from cathode_tf.particles.separation import CONTACT, ParticleMaps
from cathode_tf.particles.separation import separate as by_maps
from cathode_tf.phases import Phases

TILE_PX = 1024
MARGIN_PX = 64
"""As far as a pixel's answer looks, about; tiles overlap by so much."""
LOOK_PX = 1_000_000
"""Pixels of the mask, at most, on which the size of the particles is guessed."""
LEAST_PX = 20
"""Smaller instances do not count for the size of the particles."""
FACTORS = 0.1, 1.5
"""Bounds of the resizing."""


class SeparationNetwork:
    """The network, ready for pictures of any size.

    Args:
        model: Of `learning.separation.build_separation`.
        source: What to call it.
    """

    def __init__(self, model: keras.Model, source: str) -> None:
        self.card: dict[str, Any] = next(layer.card for layer in model.layers if isinstance(layer, Card))
        self.diameter_px = float(self.card["diameter_px"])
        told = self.card.get("joining", {})
        self.joining = {
            with_grey: Joining.from_dict(told[name]) if name in told else Joining.by_contact(CONTACT)
            for with_grey, name in ((True, "micrograph"), (False, "mask"))
        }
        self.source = source
        self._answer = tf.function(
            lambda shown: model(shown, training=False),
            input_signature=[tf.TensorSpec((1, None, None, 2), tf.float32)],
            autograph=False,
        )

    def __call__(self, shown: np.ndarray) -> np.ndarray:
        """Maps float32 (height, width, 2) of a picture float32 (height, width, 2) at the network's pixel size."""
        height, width = shown.shape[:2]
        maps = np.zeros(shown.shape, np.float32)
        for inner, outer in _tiles(height, width):
            part = shown[outer]
            rows, columns = part.shape[:2]
            room = [(0, -size % SIZE_MULTIPLE) for size in (rows, columns)]
            answer = self._answer(np.pad(part, [*room, (0, 0)])[None])[0].numpy()
            top, left = inner[0].start - outer[0].start, inner[1].start - outer[1].start
            high, wide = inner[0].stop - inner[0].start, inner[1].stop - inner[1].start
            maps[inner] = answer[top : top + high, left : left + wide]
        return maps


@functools.lru_cache(maxsize=4)
def separation_network(path: str | Path | None = None) -> SeparationNetwork:
    """The network that ships with the package, or the one of a `.keras` file.

    Raises:
        InputError: If the file is no separation network.
    """
    file = SEPARATION if path is None else Path(path)
    try:
        model = keras.saving.load_model(file, compile=False)
    except Exception as error:
        raise InputError(f"{file}: cannot be read as a separation network ({error}).") from error
    if model.input_shape[-1] != 2 or not any(isinstance(layer, Card) for layer in model.layers):
        raise InputError(f"{file}: must be a separation network. Received another model.")
    return SeparationNetwork(model, "the network that ships" if path is None else file.name)


def particle_maps(
    solid: np.ndarray, grey: np.ndarray | None = None, *, network: SeparationNetwork | None = None
) -> ParticleMaps:
    """What the network says of contacts and centres in one image.

    Args:
        solid: Boolean (height, width), the particles.
        grey: Micrograph (height, width); None: the mask alone decides.
        network: Default: the one that ships.

    Returns:
        Maps at the network's pixel size.

    Raises:
        InputError: If the two differ in shape.
    """
    if grey is not None and grey.shape != solid.shape:
        raise InputError(f"micrograph: must have the mask's shape {solid.shape}. Received {grey.shape}.")
    network = network or separation_network()
    factor = float(np.clip(network.diameter_px / typical_diameter(solid), *FACTORS))
    height, width = (max(1, round(side * factor)) for side in solid.shape)
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    small = cv2.resize(solid.astype(np.float32), (width, height), interpolation=way) >= 0.5
    seen = None if grey is None else cv2.resize(grey.astype(np.float32), (width, height), interpolation=way)
    shown = network_input(small, seen)
    maps = network(shown)
    seen_by = "micrographs and masks" if grey is not None else "masks alone"
    return ParticleMaps(
        maps[..., 0],
        maps[..., 1],
        f"{network.source}, from {seen_by}",
        None if grey is None else shown[..., 0],
        network.joining[grey is not None],
    )


def typical_diameter(solid: np.ndarray) -> float:
    """Median diameter (px) of the particles as their outlines tell them apart; the network's own if there is none."""
    shrink = max(1.0, math.sqrt(solid.size / LOOK_PX))
    if shrink > 1:
        height, width = (max(1, round(side / shrink)) for side in solid.shape)
        solid = cv2.resize(solid.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA) >= 0.5
    area = np.bincount(Separation(solid).labels(DEPTH).ravel())[1:]
    area = area[area >= LEAST_PX]
    return float(np.sqrt(4 * np.median(area) / np.pi)) * shrink if area.size else DIAMETER_PX


def network_beside(model: str | Path) -> Path | None:
    """The separation network that lies beside a model's file, as a project keeps it; None: the one that ships serves.

    Example:
        >>> network_beside("default") is None
        True
    """
    path = Path(model).parent / SEPARATION.name
    return path if Path(model).is_file() and path.is_file() else None


def separate(
    mask: np.ndarray,
    phases: Phases,
    micrograph: Micrograph | np.ndarray | None = None,
    *,
    network: str | Path | None = None,
) -> np.ndarray:
    """Label image of the particles of a mask, touching ones told apart by a network.

    Args:
        mask: uint8 (height, width) of phase ids.
        phases: Which phases are particles follows from their roles.
        micrograph: What the mask is of: it shows where particles touch. None: the mask alone is looked at.
        network: The `.keras` file of a separation network; None: the one that ships.

    Returns:
        int32 (height, width): 1 ... n on the particles, each pixel of them in one; 0 elsewhere.

    Raises:
        InputError: If the mask is no mask of these phases, no phase is a particle, or the micrograph has another shape.

    Example:
        >>> mask = np.zeros((64, 96), np.uint8)
        >>> _ = cv2.circle(mask, (30, 32), 16, 1, -1), cv2.circle(mask, (64, 32), 16, 1, -1)
        >>> int(separate(mask, Phases.default()).max())
        2
    """
    mask = np.asarray(mask)
    grey = micrograph.pixels if isinstance(micrograph, Micrograph) else micrograph
    solid = np.isin(mask, [phases[name].id for name in phases.with_role("particle")])
    some = mask.ndim == 2 and solid.any()
    maps = particle_maps(solid, grey, network=separation_network(network)) if some else None
    return by_maps(mask, phases, maps)


def _tiles(height: int, width: int) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Where to write and where to read, each pixel written once."""
    for top in range(0, height, TILE_PX):
        for left in range(0, width, TILE_PX):
            inner = (
                slice(top, min(top + TILE_PX, height)),
                slice(left, min(left + TILE_PX, width)),
            )
            # Places of pooling must fall alike in every tile.
            outer = tuple(
                slice(max(0, part.start - MARGIN_PX), min(size, part.stop + MARGIN_PX))
                for part, size in zip(inner, (height, width), strict=True)
            )
            yield inner, outer  # type: ignore[misc]
