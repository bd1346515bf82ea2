"""An image in, how far it is from sections of cathodes out: what the first layers of a network find in it.

A network's first layers answer to edges, grain and shapes of every size up to some 40 px. How strongly each of its
channels answers, on average and in spread, is a style of the image [1]; sections of cathodes fill a narrow part of the
space of styles, whatever the microscope. How far an image lies off that part is its distance. The layers and the part
are kept in a file of the package, so that they stay what they are when models learn on.

Reference:
    [1] Gatys, Ecker, Bethge, Image style transfer using convolutional neural networks, CVPR 2016 (statistics of
    channels as style); Rippel et al., Modeling the distribution of normal data in pre-trained deep features for
    anomaly detection, ICPR 2020.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from cathode_tf.errors import InputError
from cathode_tf.files import atomic_file
from cathode_tf.imaging.outliers import tamed

KINDS = Path(__file__).with_name("kinds.npz")
"""The layers and the sections that ship with the package."""
VERSION = "cathodes/1"
"""What a model's card says that knows the kinds of that file."""
SIDE_PX = 512
"""The middle of larger images tells their kind."""
LEVELS = 3
REACH_PX = (10, 20, 40)
"""So large are structures that each level sees, about."""
FALSE_ALARMS = 0.05
_EPSILON = 1e-5
_MULTIPLE = 2**LEVELS


@dataclass(frozen=True)
class Layer:
    """A convolution and the instance normalisation after it.

    Attributes:
        kernel: (3, 3, in, out).
        scale, offset: (out,).
    """

    kernel: np.ndarray
    scale: np.ndarray
    offset: np.ndarray


@dataclass(frozen=True)
class Kinds:
    """What the first layers of a network find in sections of cathodes.

    Attributes:
        layers: Two a level.
        centre, spread: Of each number that they give, over the sections, (numbers,).
        axes: Directions in which sections differ from each other, orthonormal (axes, numbers).
        limit: Distance off those directions that 5 % of held-out sections exceed.
        held_out: How many those were.
    """

    layers: tuple[Layer, ...]
    centre: np.ndarray
    spread: np.ndarray
    axes: np.ndarray
    limit: float
    held_out: int

    @classmethod
    def learn(
        cls,
        layers: Sequence[Layer],
        sections: np.ndarray,
        held_out: np.ndarray,
        *,
        axes: int = 24,
        false_alarms: float = FALSE_ALARMS,
    ) -> Kinds:
        """What is known after sections of cathodes.

        Args:
            layers: Of a network.
            sections: `numbers_of` sections to learn from, (sections, numbers).
            held_out: Of others, which set the limit.
            axes: In so many directions sections may differ.
            false_alarms: Share of sections (0-1) that may be called foreign.

        Raises:
            InputError: If there are not more sections than directions.

        Example:
            >>> rng = np.random.default_rng(0)
            >>> draw = lambda n: np.outer(rng.normal(size=n), np.ones(9)) + rng.normal(0, 0.1, (n, 9))
            >>> kinds = Kinds.learn((), draw(50), draw(100), axes=1)
            >>> bool(kinds.distance(draw(1)[0]) < 2 < kinds.distance(np.arange(9.0)))
            True
        """
        if len(sections) <= axes:
            raise InputError(
                f"sections: must be more than the {axes} directions in which they may differ. Received {len(sections)}."
            )
        centre, spread = sections.mean(0), sections.std(0) + 1e-6
        _, _, turned = np.linalg.svd((sections - centre) / spread, full_matrices=False)
        known = cls(tuple(layers), centre, spread, turned[:axes], 1.0, len(held_out))
        limit = float(np.quantile([known.distance(each) for each in held_out], 1 - false_alarms))
        return cls(known.layers, centre, spread, known.axes, limit, len(held_out))

    def _off(self, numbers: np.ndarray) -> np.ndarray:
        """What no section explains, of each number."""
        away = (numbers - self.centre) / self.spread
        return away - away @ self.axes.T @ self.axes

    def distance(self, numbers: np.ndarray) -> float:
        """How far an image with these numbers lies off sections of cathodes; above 1 it is foreign."""
        return float(np.square(self._off(numbers)).mean() / self.limit)

    def judge(self, pixels: np.ndarray) -> dict[str, Any]:
        """`score` (above 1: foreign), whether the image is `foreign`, and the `reason` for people.

        Args:
            pixels: (height, width), any number type, at least one pixel.
        """
        numbers = self.numbers_of(pixels)
        score = self.distance(numbers)
        level = int(np.argmax(self._by_level(np.square(self._off(numbers)))))
        reason = (
            f"{score:.1f} times as far from sections of cathodes as 19 of 20 of them lie; most in structures of about "
            f"{REACH_PX[level]} px"
        )
        return {"score": round(score, 3), "foreign": score > 1, "reason": reason if score > 1 else ""}

    def _by_level(self, values: np.ndarray) -> list[float]:
        """Means of values that belong to the levels' channels, (2 x channels,)."""
        widths = [len(layer.offset) for layer in self.layers]
        level = np.repeat(np.arange(len(widths)) // 2, widths)
        both = values.reshape(2, -1).mean(0)
        return [float(both[level == number].mean()) for number in range(LEVELS)]

    def numbers_of(self, pixels: np.ndarray) -> np.ndarray:
        """How each channel answers to an image before it is normalised: mean over spread, then log of the spread.

        Returns:
            float64 (2 x channels,), the same in other brightness and contrast.
        """
        image = standard(pixels)
        x = ops.convert_to_tensor(image[None, ..., None])
        # As the networks of the package do: blocks of 2 x 2 px are the channels of one.
        x = ops.concatenate([x[:, row::2, column::2] for row in (0, 1) for column in (0, 1)], -1)
        means, spreads = [], []
        for number, layer in enumerate(self.layers):
            if number and number % 2 == 0:
                x = ops.max_pool(x, 2)
            x = ops.conv(x, ops.convert_to_tensor(layer.kernel), padding="same")
            mean = ops.mean(x, axis=(0, 1, 2))
            variance = ops.mean(ops.square(x - mean), axis=(0, 1, 2)) + _EPSILON
            means.append(ops.convert_to_numpy(mean / ops.sqrt(variance)))
            spreads.append(ops.convert_to_numpy(0.5 * ops.log(variance)))
            factor = ops.convert_to_tensor(layer.scale) / ops.sqrt(variance)
            x = ops.relu(x * factor + (ops.convert_to_tensor(layer.offset) - mean * factor))
        return np.concatenate([*means, *spreads]).astype(np.float64)

    def save(self, path: Path = KINDS) -> None:
        """Write a file that `load` reads."""
        arrays: dict[str, Any] = {}
        for number, layer in enumerate(self.layers):
            arrays |= {f"{name}{number}": value.astype(np.float16) for name, value in vars(layer).items()}
        for name in ("centre", "spread", "axes"):
            arrays[name] = getattr(self, name).astype(np.float32)
        with atomic_file(path, force=True) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, limit=self.limit, held_out=self.held_out, **arrays)

    @classmethod
    def load(cls, path: Path = KINDS) -> Kinds:
        """What `save` wrote."""
        with np.load(path) as content:
            numbers = range(sum(name.startswith("kernel") for name in content.files))
            layers = tuple(
                Layer(
                    *(content[f"{name}{number}"].astype(np.float32) for name in ("kernel", "scale", "offset"))
                )
                for number in numbers
            )
            centre, spread, axes = (content[name].astype(float) for name in ("centre", "spread", "axes"))
            return cls(layers, centre, spread, axes, float(content["limit"]), int(content["held_out"]))


@functools.cache
def shipped() -> Kinds:
    """The kinds that ship with the package."""
    return Kinds.load()


def layers_of(model: keras.Model) -> tuple[Layer, ...]:
    """The first `LEVELS` levels of a model of `build_unet`, in half precision, as they are kept."""
    found = []
    for level in range(LEVELS):
        for part in "ab":
            convolution = model.get_layer(f"down{level}_{part}_conv")
            norm = model.get_layer(f"down{level}_{part}_norm")
            values = (ops.convert_to_numpy(v) for v in (convolution.kernel, norm.scale, norm.offset))
            found.append(Layer(*(value.astype(np.float16).astype(np.float32) for value in values)))
    return tuple(found)


def standard(pixels: np.ndarray) -> np.ndarray:
    """The middle of an image in whole blocks, float32, with a mean of 0 and a spread of 1."""
    grey = _middle(tamed(pixels) if pixels.dtype in (np.uint8, np.uint16) else pixels).astype(np.float32)
    height, width = (max(side // _MULTIPLE, 1) * _MULTIPLE for side in grey.shape)
    grey = np.pad(
        grey, [(0, max(0, h - g)) for h, g in zip((height, width), grey.shape, strict=True)], mode="edge"
    )
    grey = grey[:height, :width]
    standardised: np.ndarray = (grey - grey.mean()) / max(float(grey.std()), 1e-6)
    return standardised


def _middle(pixels: np.ndarray) -> np.ndarray:
    top, left = (max(0, (side - SIDE_PX) // 2) for side in pixels.shape)
    return pixels[top : top + SIDE_PX, left : left + SIDE_PX]
