"""A record set in, a trained model out: network, losses, metric, training, and a model's card."""

from cathode_tf.learning.layers import After, Card, DepthToSpace, InstanceNorm, Pool, SpaceToDepth
from cathode_tf.learning.losses import CombinedLoss, DiceLoss
from cathode_tf.learning.metrics import Dice
from cathode_tf.learning.models import load_model, read_card, save_model, write_card
from cathode_tf.learning.network import PRESETS, build_unet
from cathode_tf.learning.prediction import predict_image
from cathode_tf.learning.run_folder import Run
from cathode_tf.learning.training import train

__all__ = [
    "PRESETS",
    "After",
    "Card",
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
