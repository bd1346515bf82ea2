"""Run folders and `.keras` files in, models and their cards out."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import keras

from cathode_tf.errors import InputError
from cathode_tf.files import atomic_file
from cathode_tf.learning.layers import Card
from cathode_tf.phases import Phases

DEFAULT = Path(__file__).with_name("default.keras")
"""The model that ships with the package, pre-trained on synthetic cathodes; its name is `"default"`."""

BEST = "best.keras"
"""Name of the model of the highest validation mean Dice in a run's folder."""


def read_card(model: keras.Model) -> dict[str, Any]:
    """The model card that a model carries in its `Card` layer.

    Raises:
        InputError: If the model has none, so was not made by `build_unet`.

    Example:
        >>> from cathode_tf.learning import build_unet
        >>> read_card(build_unet(Phases.default(), filters=(4,)))["standardization"]
        'image-zscore/2'
    """
    return _card_layer(model, model.name).get_config()["card"]


def write_card(model: keras.Model, card: dict[str, Any]) -> None:
    """Replace the card that `model` carries; a file on disk changes only when it is saved again."""
    _card_layer(model, model.name).card = card


def load_model(path: str | Path) -> tuple[keras.Model, dict[str, Any]]:
    """A trained model and its card.

    Args:
        path: A run's folder (its best model is taken), a `.keras` file, or `"default"`.

    Returns:
        The Keras model and its card; `Phases.from_list(card["phases"])` are its phases.

    Raises:
        InputError: If there is no such file, it is no Keras file, or it carries no card.
    """
    path = DEFAULT if path == "default" else Path(path)
    file = path / BEST if path.is_dir() else path
    if path.is_dir() and not file.exists():
        raise InputError(
            f"{path}: must be a run's folder with {BEST}, which the first epoch of a training writes. "
            "Received a folder without it."
        )
    if not file.exists():
        raise InputError(
            f'{path}: must be a run\'s folder, a .keras file, or "default". There is no such file or folder.'
        )
    if file.suffix != ".keras" or not zipfile.is_zipfile(file):
        raise InputError(f"{file}: must be a .keras file. Received something else, or a truncated one.")
    try:
        model = keras.saving.load_model(file, compile=False)
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{file}: cannot be read as a Keras model ({reason}).") from error
    card = _card_layer(model, str(file)).get_config()["card"]
    Phases.from_list(card["phases"])
    return model, card


def save_model(model: keras.Model, path: str | Path, *, force: bool = False) -> Path:
    """Write `model` with its card as a `.keras` file, whole or not at all."""
    with atomic_file(path, force=force) as temporary:
        model.save(temporary)
    return Path(path)


def _card_layer(model: keras.Model, source: str) -> Card:
    for layer in model.layers:
        if isinstance(layer, Card):
            return layer
    raise InputError(f"{source}: must be a model of this package, with a card inside. Received one without.")
