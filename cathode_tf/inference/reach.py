"""A network in, how far it sees out: over how many pixels one pixel can change another's answer."""

from __future__ import annotations

import numpy as np

from cathode_tf.inference.network import Network

PROBE_PX = 768
ROWS_PX = 32


def measured_reach(network: Network, multiple: int, *, seed: int = 0, tolerance: float = 1e-4) -> int:
    """How far from a change of the input the probabilities change by more than `tolerance`.

    The left part of a noise image is replaced by other noise, and the normalisation is kept; the
    reach is the distance from the cut to the last column whose probabilities moved.

    Args:
        network: The network to look at.
        multiple: What its input sides must be multiples of.
        seed: Seed of the noise.
        tolerance: Change of a probability that counts as none.

    Returns:
        The reach in pixels, rounded up to `multiple`; at most half the probe.
    """
    rng = np.random.default_rng(seed)
    height = -(-ROWS_PX // multiple) * multiple
    width = -(-PROBE_PX // (2 * multiple)) * 2 * multiple
    first, second = (_noise(rng, height, width) for _ in range(2))
    cut = width // 2
    changed = first.copy()
    changed[:, :, :cut] = second[:, :, :cut]
    # Step by step: so small an image takes less time than tracing.
    measure, apply = network.measure.python_function, network.apply.python_function
    _, packed = measure(first)
    difference = np.abs(apply(first, packed).numpy() - apply(changed, packed).numpy())
    moved = np.flatnonzero(difference.max(axis=(0, 1, 3))[cut:] > tolerance)
    reach = int(moved[-1]) + 1 if moved.size else 0
    return -(-reach // multiple) * multiple


def _noise(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Noise of several grain sizes, so that coarse levels of the network have something to see."""
    total = np.zeros((height, width))
    for grain in (1, 4, 16):
        coarse = rng.normal(size=(-(-height // grain), -(-width // grain)))
        total += np.kron(coarse, np.ones((grain, grain)))[:height, :width]
    return (total / np.sqrt(3)).astype(np.float32)[None, :, :, None]
