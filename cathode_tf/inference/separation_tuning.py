"""A separation network and particles that somebody corrected in; a network that has learned from them, as a file, out.

Seconds teach which pieces are one particle (`particles.learning_to_join`), near to what the network knew of that; with
`steps`, minutes teach the network itself first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from cathode_tf.errors import InputError
from cathode_tf.files import atomic_file
from cathode_tf.inference.separation import SeparationNetwork, particle_maps, separation_network
from cathode_tf.learning.layers import Card
from cathode_tf.learning.separation import SEPARATION
from cathode_tf.learning.separation_training import Known, train_separation
from cathode_tf.particles.agreement import Agreement, compare_instances, total
from cathode_tf.particles.joining import Joining
from cathode_tf.particles.learning_to_join import Taught, learn_joining
from cathode_tf.particles.separation import separate_solid

LEARNING_RATE = 3e-4
"""A fifth of what the network learned with at first: a few pictures shall not make it forget the many."""


def tune_separation(
    known: Sequence[Known], out: str | Path, *, start: str | Path | None = None, steps: int = 0
) -> SeparationNetwork:
    """Write a separation network that has learned from these particles.

    Args:
        known: Pictures whose particles somebody told apart, of any pixel size.
        out: The `.keras` file to write; one that is there is replaced.
        start: What it begins with; default: the network that ships.
        steps: Batches of patches that the network itself learns from; 0: only how its pieces are joined.

    Returns:
        The network, ready for use.

    Raises:
        InputError: If there is no picture, or no two particles touch in any.
    """
    if not known:
        raise InputError("particles: must hold at least one picture to learn from. Received none.")
    out = Path(out)
    model = keras.saving.load_model(SEPARATION if start is None else start, compile=False)
    network = SeparationNetwork(model, out.name)
    if steps:
        sizes = [float(image.mask.size) for image in known]
        train_separation(
            model,
            [image.at_network_size() for image in known],
            steps=steps,
            weights=sizes,
            learning_rate=LEARNING_RATE,
        )
    taught = [taught_by(network, image) for image in known]
    write_network(model, out, {"joining": joinings(taught, network.joining), "tuned_on": len(known)})
    separation_network.cache_clear()
    return separation_network(out)


def taught_by(network: SeparationNetwork, image: Known) -> dict[str, Taught]:
    """The image as the network sees it: `mask`, by that alone, and `micrograph`, where there is one."""
    seen = {"mask": None} if image.grey is None else {"micrograph": image.grey, "mask": None}
    return {
        name: Taught.of(image.mask, particle_maps(image.mask, grey, network=network), image.labels)
        for name, grey in seen.items()
    }


def joinings(
    taught: Sequence[Mapping[str, Taught]], start: Mapping[bool, Joining] | None = None
) -> dict[str, dict[str, Any]]:
    """How pieces are joined, with a micrograph and by the mask alone, as the card of a network says it.

    Args:
        taught: Of `taught_by`; what no image has, stays as it was.
        start: What to stay near to, by whether there is a micrograph.
    """
    found = {}
    for name in ("micrograph", "mask"):
        near = None if start is None else start[name == "micrograph"]
        images = [image[name] for image in taught if name in image]
        if images:
            found[name] = learn_joining(images, near).to_dict()
        elif near is not None:
            found[name] = near.to_dict()
    return found


def write_network(model: keras.Model, out: Path, told: Mapping[str, Any]) -> None:
    """Save a separation network whose card says this, too; without what training it needed."""
    bare = keras.models.clone_model(model)
    bare.set_weights(model.get_weights())
    layer = next(layer for layer in bare.layers if isinstance(layer, Card))
    layer.card = {**layer.card, **told}
    with atomic_file(out, force=True) as temporary:
        bare.save(temporary)


def agreement_with(known: Sequence[Known], network: SeparationNetwork) -> Agreement:
    """How the particles that a network finds agree with those that somebody told apart."""
    return total(
        compare_instances(
            separate_solid(image.mask, particle_maps(image.mask, image.grey, network=network)), image.labels
        )
        for image in known
    )
