"""Random and degenerate masks through `analyze`: none may end in a traceback, nor in an estimator that fails.

    python benchmarks/odd_masks.py --masks 5000

Noise, single pixels, one phase only, frames of one row, checkerboards, dots and one giant, parts ignored, equal masks,
with and without pixel size and groups, in seven sets of phases. Warnings of numpy and scipy count as failures.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from cathode_tf.analysis import Settings, analyze
from cathode_tf.errors import InputWarning
from cathode_tf.phases import IGNORE, Phases

PHASES = (
    Phases.default(),
    Phases.from_names(("pore", "ncm", "binder")),
    Phases.from_names(("pore", "ncm", "pore_back")),
    Phases.from_names(("ncm", "pore")),
    Phases.from_names(("matrix", "second")),
    Phases.from_names(("ncm", "nca", "lco")),
    Phases.from_names(("pore",)),
)


def odd_batch(seed: int, side: int = 48) -> dict[str, Any]:
    """Arguments of `analyze`: one to five odd masks of one set of phases, with or without pixel size and groups.

    Args:
        seed: Decides everything.
        side: Largest height and width, px.
    """
    rng = np.random.default_rng(seed)
    phases = PHASES[rng.integers(len(PHASES))]
    masks = {f"m{i}": _odd_mask(rng, phases, side) for i in range(rng.integers(1, 6))}
    for mask in masks.values():
        if (mask == IGNORE).all():
            mask.flat[0] = phases.ids[0]
    if rng.random() < 0.1:  # the same mask again and again
        masks = dict.fromkeys(masks, masks["m0"])
    grouped = rng.random() < 0.3
    settings = Settings(
        replicate="group" if grouped else "image",
        sample_type=str(rng.choice(["section", "section", "dispersed"])),
        unfolding=str(rng.choice(["em", "em", "saltykov"])),
        min_area_px=int(rng.choice([0, 1, 20])),
        edge_px=None if rng.random() < 0.7 else 0.5,
    )
    return {
        "masks": masks,
        "phases": phases,
        "pixel_size_nm": None if rng.random() < 0.5 else float(rng.choice([0.1, 25.0, 5e4])),
        "groups": {name: f"g{rng.integers(3)}" for name in masks} if grouped else None,
        "settings": settings,
    }


def _odd_mask(rng: np.random.Generator, phases: Phases, side: int) -> np.ndarray:
    height, width = (int(rng.choice([1, 2, 3, side, side, rng.integers(1, side + 1)])) for _ in range(2))
    make = _KINDS[rng.integers(len(_KINDS))]
    index = make(rng, height, width, len(phases))
    mask = np.array(phases.ids, np.uint8)[index % len(phases)]
    if rng.random() < 0.3:
        mask = np.where(_blobs(rng, height, width, 2) == 1, np.uint8(IGNORE), mask)
    return mask


def _noise(rng, height, width, n):
    return rng.integers(0, n, (height, width))


def _flat(rng, height, width, n):
    return np.full((height, width), rng.integers(n))


def _one_pixel(rng, height, width, n):
    index = np.full((height, width), rng.integers(n))
    index[rng.integers(height), rng.integers(width)] = rng.integers(n)
    return index


def _checkerboard(rng, height, width, n):
    cell = int(rng.integers(1, 6))
    rows, columns = np.indices((height, width)) // cell
    return (rows + columns) % n


def _stripes(rng, height, width, n):
    axis = int(rng.integers(2))
    return (np.indices((height, width))[axis] // int(rng.integers(1, 9))) % n


def _blobs(rng, height, width, n):
    index = np.zeros((height, width), int)
    y, x = np.indices((height, width))
    for _ in range(rng.integers(0, 25)):
        radius = rng.uniform(0.3, rng.choice([2, 6, 30]))
        inside = (y - rng.uniform(0, height)) ** 2 + (x - rng.uniform(0, width)) ** 2 < radius**2
        index[inside] = rng.integers(n)
    return index


def _dots(rng, height, width, n):
    """Isolated pixels, all alike, and perhaps one giant: sizes of two values only."""
    index = np.zeros((height, width), int)
    index[::2, ::2] = 1
    if rng.random() < 0.5:
        index[: height // 2] = 1
    return index


_KINDS: tuple[Callable[..., np.ndarray], ...] = (
    _noise,
    _flat,
    _one_pixel,
    _checkerboard,
    _stripes,
    _blobs,
    _blobs,
    _dots,
)


def faults_of(seed: int) -> list[str]:
    """What went wrong with one batch; empty where nothing did."""
    from cathode_tf.statistics.guard import FAILED

    given = odd_batch(seed)
    masks, phases = given.pop("masks"), given.pop("phases")
    analysis = analyze(masks, phases, **given)
    analysis.to_dict()
    faults = [fault for image in analysis.images for fault in image.faults.values()]
    told = [e.flags for estimates in analysis.summary.values() for e in estimates.values()]
    return faults + [flags[FAILED] for flags in told if FAILED in flags]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--masks", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", InputWarning)
    found: Counter[str] = Counter()
    masks, batches, seed, start = 0, 0, options.seed, time.process_time()
    while masks < options.masks:
        masks, batches = masks + len(odd_batch(seed)["masks"]), batches + 1
        try:
            found.update(faults_of(seed))
        except Exception as error:
            found[f"TRACEBACK {type(error).__name__}: {error} (seed {seed})"] += 1
        seed += 1
    print(f"{masks} masks in {batches} batches, {time.process_time() - start:.0f} s of one core")
    print("\n".join(f"{number} x {fault}" for fault, number in found.most_common()) or "no failure")


if __name__ == "__main__":
    main()
