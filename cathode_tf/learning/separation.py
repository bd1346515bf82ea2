"""Label images in, a small network out that draws, from a micrograph and a particle mask, where particles part.

The network sees pixels of one size in terms of the particles (`DIAMETER_PX`), and answers with two maps: how sure a
contact runs through a pixel, and how far inside its particle the pixel lies. `particles.separate` makes label images of
them.

Reference:
    Ronneberger, Fischer, Brox, U-Net, MICCAI 2015; distance maps and contacts: Naylor et al., IEEE Trans. Med. Imaging
    38 (2019) 448; Ronneberger et al. (borders of touching cells).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
from keras import layers

from cathode_tf.learning.layers import Card, DepthToSpace, SpaceToDepth

SEPARATION = Path(__file__).with_name("separation.keras")
"""The network that ships with the package."""

DIAMETER_PX = 40.0
"""Median particle diameter that the network is shown, px."""

FILTERS = 20, 32, 48, 64
STEM = 2
SIZE_MULTIPLE = STEM * 2 ** (len(FILTERS) - 1)


def build_separation(
    *, filters: Sequence[int] = FILTERS, seed: int = 0, card: dict[str, Any] | None = None
) -> keras.Model:
    """A thin U-Net from (micrograph, mask) to maps of contacts and centres.

    Args:
        filters: Channels of each level; the first has half the image's height and width.
        seed: Seed of the initial weights.
        card: What else the model card says.

    Returns:
        float32 (batch, height, width, 2), channels of `network_input`, to float32 (batch, height, width, 2):
        the probability (0-1) of a contact, and the depth inside the particle (0 = outside or edge ... 1 = centre).
        Height and width must be multiples of `SIZE_MULTIPLE`.

    Example:
        >>> build_separation(filters=(4, 8)).output_shape
        (None, None, None, 2)
    """
    stream = random.Random(seed)

    def convolution(channels: int, size: int, name: str, bias: bool = False):
        start = keras.initializers.HeNormal(stream.getrandbits(31))
        return layers.Conv2D(
            channels, size, padding="same", use_bias=bias, kernel_initializer=start, name=name
        )

    def block(x, channels: int, name: str):
        x = convolution(channels, 3, f"{name}_conv")(x)
        x = layers.BatchNormalization(momentum=0.95, name=f"{name}_norm")(x)
        return layers.ReLU(name=f"{name}_relu")(x)

    inputs = layers.Input((None, None, 2), name="grey_and_mask")
    x = SpaceToDepth(STEM, name="stem")(inputs)
    skips = []
    for level, channels in enumerate(filters):
        if level:
            skips.append(x)
            x = layers.MaxPooling2D(name=f"down{level}_pool")(x)
        x = block(x, channels, f"down{level}_a")
        x = block(x, channels, f"down{level}_b")
    for level in reversed(range(len(filters) - 1)):
        x = convolution(filters[level], 1, f"up{level}_thin")(x)
        x = layers.UpSampling2D(name=f"up{level}_grow")(x)
        x = layers.Add(name=f"up{level}_join")([skips.pop(), x])
        x = block(x, filters[level], f"up{level}_a")
    x = convolution(2 * STEM**2, 3, "scores", bias=True)(x)
    x = DepthToSpace(STEM, name="full_size")(x)
    x = layers.Activation("sigmoid", dtype="float32", name="maps")(x)
    outputs = Card(
        {"diameter_px": DIAMETER_PX, "filters": list(filters), **(card or {})}, dtype="float32", name="card"
    )(x)
    return keras.Model(inputs, outputs, name="separation")


def network_input(mask: np.ndarray, grey: np.ndarray | None) -> np.ndarray:
    """What the network is shown: float32 (height, width, 2), standardised grey (0 where there is none) and mask.

    Args:
        mask: Boolean (height, width), the particles.
        grey: Micrograph (height, width), any number; None where there is no micrograph.

    Example:
        >>> shown = network_input(np.ones((2, 2), bool), np.array([[1, 1], [3, 3]], np.uint8))
        >>> shown[..., 0].tolist()
        [[-1.0, -1.0], [1.0, 1.0]]
    """
    shown = np.zeros((*mask.shape, 2), np.float32)
    shown[..., 1] = mask
    if grey is not None and mask.any():
        inside = grey[mask].astype(np.float64)
        shown[..., 0] = np.clip((grey - inside.mean()) / max(float(inside.std()), 1e-6), -5, 5)
    return shown


def targets(labels: np.ndarray) -> np.ndarray:
    """What the network should answer: float32 (height, width, 2), contacts (0 or 1) and depth (0-1).

    A contact runs through pixels within two pixels of which two particles meet; depth is the distance to the
    particle's edge over the largest one in it.

    Args:
        labels: Label image int32 (height, width), 0 = none.

    Example:
        >>> labels = np.repeat([[0] * 3 + [1] * 9 + [2] * 9 + [0] * 3], 24, 0).astype(np.int32)
        >>> found = targets(labels)
        >>> np.flatnonzero(found[12, :, 0]).tolist(), float(found[12, 7, 1]), float(found[12, 0, 1])
        ([10, 11, 12, 13], 1.0, 0.0)
    """
    some = labels.astype(np.float32)
    window = np.ones((5, 5), np.uint8)
    highest = cv2.dilate(some, window)
    lowest = cv2.erode(np.where(some > 0, some, np.float32(1e9)), window)
    contact = (highest != lowest) & (highest > 0) & (lowest < 1e9)
    near = np.ones((3, 3), np.uint8)
    inside = (labels > 0) & (cv2.dilate(some, near) == some) & (cv2.erode(some, near) == some)
    depth = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    depth = np.where(labels > 0, np.minimum(depth, max(labels.shape)) + 0.5, 0)
    most = np.zeros(int(labels.max(initial=0)) + 1)
    np.maximum.at(most, labels.ravel(), depth.ravel())
    most[0] = 1
    return np.stack([contact, depth / most[labels]], -1).astype(np.float32)


def separation_loss(y_true, y_pred):
    """Cross-entropy of the contacts, in particles and near them, and mean error of the depth."""
    from keras import ops

    contact, depth, weight = y_true[..., 0], y_true[..., 1], y_true[..., 2]
    said = ops.clip(y_pred[..., 0], 1e-5, 1 - 1e-5)
    entropy = -(4.0 * contact * ops.log(said) + (1 - contact) * ops.log(1 - said))
    off = ops.abs(depth - y_pred[..., 1])
    return ops.mean((entropy + 3.0 * off) * weight, axis=(1, 2))
