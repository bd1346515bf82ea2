"""Phases in, a U-Net out: standardised pixels (batch, height, width, 1) to probabilities (…, phases).

The network works at half resolution from its first layer to its last but one: each 2 x 2 block of
pixels enters as four channels and leaves as four sets of scores. Convolutions at full resolution are
what a U-Net on a processor spends its time on.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from cathode_tf.datasets.standardization import RULE
from cathode_tf.errors import InputError
from cathode_tf.learning.layers import Card, DepthToSpace, InstanceNorm, SpaceToDepth
from cathode_tf.phases import Phases

PRESETS: dict[str, tuple[int, ...]] = {
    "small": (16, 32, 64, 128),
    "base": (32, 64, 128, 256),
    "large": (48, 96, 192, 384, 384),
}
"""Channels of each level, from half resolution down."""

NORMS = ("instance", "batch", "none")


def build_unet(
    phases: Phases,
    *,
    filters: Sequence[int] = PRESETS["base"],
    norm: str = "instance",
    stem: int = 2,
    seed: int = 0,
    dtype: str = "float32",
    card: dict[str, Any] | None = None,
) -> keras.Model:
    """A U-Net that gives each pixel a probability of each phase.

    Args:
        phases: What to tell apart; channel k of the output is the k-th phase.
        filters: Channels of each level; every level halves height and width.
        norm: `"instance"` (works at any batch size), `"batch"` or `"none"`.
        stem: Side of the blocks that enter as one pixel: 2 is twice to three times as fast as 1 on
            processors.
        seed: Seed of the initial weights.
        dtype: `"float32"`, or a Keras policy such as `"mixed_bfloat16"`; the output is float32 always.
        card: What else the model card says; the phases and the rule of standardisation are added.

    Returns:
        A Keras model: float32 (batch, height, width, 1) standardised pixels to float32
        (batch, height, width, phases). Height and width must be multiples of
        `stem * 2 ** (len(filters) - 1)`, which the card calls `size_multiple`.

    Raises:
        InputError: If there are fewer than two phases or one level, or `norm` is unknown.

    Example:
        >>> model = build_unet(Phases.default(), filters=(4, 8))
        >>> model.output_shape
        (None, None, None, 4)

    Reference:
        Ronneberger, Fischer, Brox, U-Net, MICCAI 2015; Isensee et al., nnU-Net, Nature Methods 2021.
    """
    _check(phases, filters, norm)
    card = {
        "phases": phases.to_list(),
        "pixel_size_nm": None,
        "standardization": RULE,
        **(card or {}),
        "size_multiple": stem * 2 ** (len(filters) - 1),
        "architecture": {"filters": list(filters), "norm": norm, "stem": stem},
    }
    block = _Block(norm, dtype, seed)

    inputs = layers.Input((None, None, 1), name="pixels")
    x = SpaceToDepth(stem, dtype=dtype, name="stem")(inputs) if stem > 1 else inputs
    skips = []
    for level, channels in enumerate(filters):
        if level:
            skips.append(x)
            x = layers.MaxPooling2D(dtype=dtype, name=f"down{level}_pool")(x)
        x = block(x, channels, f"down{level}_a")
        x = block(x, channels, f"down{level}_b")
    for level in reversed(range(len(filters) - 1)):
        x = block.convolution(filters[level] * 4, 1, f"up{level}_widen")(x)
        x = DepthToSpace(2, dtype=dtype, name=f"up{level}_grow")(x)
        x = layers.Concatenate(dtype=dtype, name=f"up{level}_join")([skips.pop(), x])
        x = block(x, filters[level], f"up{level}_a")
        x = block(x, filters[level], f"up{level}_b")
    x = block.convolution(len(phases) * stem**2, 1, "scores", bias=True)(x)
    if stem > 1:
        x = DepthToSpace(stem, dtype=dtype, name="full_size")(x)
    x = layers.Softmax(dtype="float32", name="probabilities")(x)
    outputs = Card(card, dtype="float32", name="card")(x)

    model = keras.Model(inputs, outputs, name="cathode_unet")
    for level in range(len(filters) - 1):
        _begin_even(model.get_layer(f"up{level}_widen"), 4)
    _begin_even(model.get_layer("scores"), stem**2)
    return model


def _begin_even(layer: keras.Layer, places: int) -> None:
    """Let all places of a block begin with the same weights, or a short training leaves combs in the masks.

    Reference:
        Aitken et al., Checkerboard artifact free sub-pixel convolution, 2017 (ICNR).
    """
    kept = layer.kernel.shape[-1] // places
    layer.kernel.assign(ops.tile(layer.kernel[..., :kept], (1, 1, 1, places)))


class _Block:
    """Convolution, normalisation, ReLU: the step the network is made of."""

    def __init__(self, norm: str, dtype: str, seed: int):
        self.norm, self.dtype, self.random = norm, dtype, random.Random(seed)

    def __call__(self, x, channels: int, name: str):
        x = self.convolution(channels, 3, f"{name}_conv", bias=self.norm == "none")(x)
        if self.norm == "instance":
            x = InstanceNorm(dtype=self.dtype, name=f"{name}_norm")(x)
        elif self.norm == "batch":
            # The default momentum of 0.99 leaves validation useless for the first hundreds of steps.
            x = layers.BatchNormalization(momentum=0.9, dtype=self.dtype, name=f"{name}_norm")(x)
        return layers.ReLU(dtype=self.dtype, name=f"{name}_relu")(x)

    def convolution(self, channels: int, size: int, name: str, bias: bool = False):
        return layers.Conv2D(
            channels,
            size,
            padding="same",
            use_bias=bias,
            kernel_initializer=keras.initializers.HeNormal(self.random.getrandbits(31)),
            dtype=self.dtype,
            name=name,
        )


def _check(phases: Phases, filters: Sequence[int], norm: str) -> None:
    if len(phases) < 2:
        raise InputError(f"phases: must be at least two to tell apart. Received {', '.join(phases.names)}.")
    if not filters or min(filters) < 1:
        raise InputError(f"filters: must hold at least one positive number. Received {tuple(filters)}.")
    if norm not in NORMS:
        raise InputError(f"norm: must be one of {', '.join(NORMS)}. Received {norm!r}.")
