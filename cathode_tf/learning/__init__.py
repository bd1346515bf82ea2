"""A record set in, a trained model out: network, losses, metric, training, and a model's card."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cathode_tf.lazy import loader

if TYPE_CHECKING:
    from cathode_tf.learning.layers import After, Card, DepthToSpace, InstanceNorm, Pool, SpaceToDepth
    from cathode_tf.learning.losses import CombinedLoss, DiceLoss
    from cathode_tf.learning.metrics import Dice
    from cathode_tf.learning.models import load_model, read_card, save_model, write_card
    from cathode_tf.learning.network import PRESETS, build_unet
    from cathode_tf.learning.plan import Choices
    from cathode_tf.learning.prediction import predict_image
    from cathode_tf.learning.run_folder import Run
    from cathode_tf.learning.training import train

# What tells phases of one model in those of another is in this room too, and a page's server asks for it:
# Keras comes with the first name that needs it.
_MODULE_OF = {
    "PRESETS": "network",
    "After": "layers",
    "Card": "layers",
    "Choices": "plan",
    "CombinedLoss": "losses",
    "DepthToSpace": "layers",
    "Dice": "metrics",
    "DiceLoss": "losses",
    "InstanceNorm": "layers",
    "Pool": "layers",
    "Run": "run_folder",
    "SpaceToDepth": "layers",
    "build_unet": "network",
    "load_model": "models",
    "predict_image": "prediction",
    "read_card": "models",
    "save_model": "models",
    "train": "training",
    "write_card": "models",
}

__all__ = [
    "PRESETS",
    "After",
    "Card",
    "Choices",
    "CombinedLoss",
    "DepthToSpace",
    "Dice",
    "DiceLoss",
    "InstanceNorm",
    "Pool",
    "Run",
    "SpaceToDepth",
    "build_unet",
    "load_model",
    "predict_image",
    "read_card",
    "save_model",
    "train",
    "write_card",
]


__getattr__ = loader(__name__, _MODULE_OF)
