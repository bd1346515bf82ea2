"""What errors of the segmentation do to the headline of fragmentation (`frag/2`), on cathodes of known cracks.

    python benchmarks/fragmentation.py        # about 2 minutes

Four degrees of fragmentation, four batches of three synthetic SEM sections each (320 px of 100 nm, cracks of one to a
few pixels). Each mask is spoilt as a segmentation spoils masks, then measured: what is found over what is true, by
degree; the share of pairs of batches of neighbouring degrees that are ranked rightly; the share of batches whose 95 %
interval holds the truth. Then the shipped model's own predictions from the pixels, for narrow and for wider cracks,
without and with the micrograph as evidence. Last, what the micrograph adds where no particle is broken, in 1/um.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import cv2
import numpy as np

from cathode_tf.analysis import Settings, analyze
from cathode_tf.inference import Segmenter
from cathode_tf.statistics import Estimate
from cathode_tf.synthesis import Parameters, SyntheticSample, synthesize

DEGREES = (0.1, 0.2, 0.4, 0.6)
BATCHES, IMAGES, SIDE_PX = 4, 3, 320
NCM, PORE = 1, 0
SQUARE = np.ones((3, 3), np.uint8)

Spoil = Callable[[SyntheticSample, np.random.Generator], np.ndarray]
ARTEFACTS: dict[str, dict[str, float]] = {
    "as in the table": {},
    "curtains of 8 grey levels": {"curtaining": 8},
    "curtains of 14": {"curtaining": 14},
    "grains that differ by 16": {"channelling": 16},
    "charging of 30": {"charging": 30},
    "noise of 10, 20 electrons a pixel": {"noise": 10, "counts": 20},
    "noise of 10, correlated over 0.8 px": {"noise": 10, "noise_grain_px": 0.8},
    "almost no noise": {"noise": 1, "counts": 1000},
}


def smaller(sample: SyntheticSample, rng: np.random.Generator) -> np.ndarray:
    """Particles lose a pixel all around."""
    kept = cv2.erode((sample.mask == NCM).astype(np.uint8), SQUARE)
    return np.where((sample.mask == NCM) & (kept == 0), PORE, sample.mask)


def larger(sample: SyntheticSample, rng: np.random.Generator) -> np.ndarray:
    """Particles gain a pixel of pore all around."""
    grown = cv2.dilate((sample.mask == NCM).astype(np.uint8), SQUARE)
    return np.where((sample.mask == PORE) & (grown > 0), NCM, sample.mask)


def ragged(sample: SyntheticSample, rng: np.random.Generator) -> np.ndarray:
    """An eighth of the pixels along outlines go to the other side."""
    turned = rng.random(sample.mask.shape) < 0.25
    return np.where(turned & (rng.random(turned.shape) < 0.5), *_sides(sample.mask, turned))


def _sides(mask: np.ndarray, turned: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mask with turned pixels taken from their darker and from their brighter neighbours' phase."""
    low, high = cv2.erode(mask, SQUARE), cv2.dilate(mask, SQUARE)
    return np.where(turned, low, mask), np.where(turned, high, mask)


def speckled(sample: SyntheticSample, rng: np.random.Generator) -> np.ndarray:
    """Squares of 2 x 2 px of any phase, of which some were that phase already: 1.5 % of the pixels change."""
    seeds = (rng.random(sample.mask.shape) < 0.005).astype(np.uint8)
    spots = cv2.dilate(seeds, np.ones((2, 2), np.uint8)) > 0
    return np.where(spots, rng.integers(0, 4, spots.shape, dtype=np.uint8), sample.mask)


def smoothed(sample: SyntheticSample, rng: np.random.Generator) -> np.ndarray:
    """The likeliest phase after a blur of 1.2 px, as a network with blurred features decides."""
    shares = [cv2.GaussianBlur((sample.mask == k).astype(np.float32), (0, 0), 1.2) for k in range(4)]
    return np.argmax(shares, axis=0).astype(np.uint8)


def missed(sample: SyntheticSample, rng: np.random.Generator) -> np.ndarray:
    """A third of the thin pores (cracks above all) are taken for solid."""
    pore = (sample.mask == PORE).astype(np.uint8)
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
    thin = pore & ~cv2.morphologyEx(pore, cv2.MORPH_OPEN, disk)
    number, labels = cv2.connectedComponents(thin, connectivity=8)
    gone = rng.random(number) < 1 / 3
    gone[0] = False
    return np.where(gone[labels], NCM, sample.mask)


def true_length(samples: list[SyntheticSample]) -> float:
    """Crack length per particle area, 1/um."""
    rows = [row for sample in samples for row in sample.truth["particles"]]
    return sum(row["crack_length_um"] for row in rows) / sum(row["section_area_um2"] for row in rows)


def headline(masks: list[np.ndarray], batch: list[SyntheticSample], evidence: str) -> Estimate:
    """Crack length per particle area of a batch."""
    named = [(f"{i}", mask, sample.image) for i, (mask, sample) in enumerate(zip(masks, batch, strict=True))]
    settings = Settings(crack_evidence=evidence, instance_phases=())
    analysis = analyze(named, batch[0].phases, pixel_size_nm=batch[0].pixel_size_nm, settings=settings)
    return analysis.summary["crack_length_density"]["ncm"]


def measure(
    spoil: Spoil, drawn: dict[float, list[list[SyntheticSample]]], evidence: str = "mask"
) -> list[str]:
    """The cells of one row."""
    rng = np.random.default_rng(3)
    found: dict[float, list[float]] = {}
    cells, inside = [], []
    for degree, batches in drawn.items():
        found[degree] = []
        ratios = []
        for batch in batches:
            masks = [spoil(sample, rng).astype(np.uint8) for sample in batch]
            estimate = headline(masks, batch, evidence)
            truth = true_length(batch)
            assert estimate.value is not None
            found[degree].append(estimate.value)
            ratios.append(estimate.value / truth)
            inside.append(estimate.ci is not None and estimate.ci[0] <= truth <= estimate.ci[1])
        cells.append(f"{np.mean(ratios):.2f} +- {np.std(ratios, ddof=1):.2f}")
    pairs = [a < b for low, high in itertools.pairwise(DEGREES) for a in found[low] for b in found[high]]
    return [*cells, f"{100 * np.mean(pairs):.0f} %", f"{100 * np.mean(inside):.0f} %"]


def draw(crack_um: float) -> dict[float, list[list[SyntheticSample]]]:
    """Batches of each degree, with cracks of this typical opening."""
    return {
        degree: [
            list(
                synthesize(
                    IMAGES,
                    seed=100 * number + int(10 * degree),
                    height=SIDE_PX,
                    width=SIDE_PX,
                    parameters=Parameters().replace(fragmentation=degree, crack_um=crack_um),
                )
            )
            for number in range(BATCHES)
        ]
        for degree in DEGREES
    }


def main() -> None:
    model = Segmenter("default")
    true: Spoil = lambda sample, rng: sample.mask  # noqa: E731
    predicted: Spoil = lambda sample, rng: model.segment(sample.image).mask  # noqa: E731
    narrow, wide = draw(0.1), draw(0.3)
    rows: list[tuple] = [
        ("the true masks", true, narrow),
        ("particles 1 px smaller all around", smaller, narrow),
        ("an eighth of the outlines' pixels turned", ragged, narrow),
        ("speckle on 1.5 % of the pixels", speckled, narrow),
        ("a third of the cracks missed", missed, narrow),
        ("blurred by 1.2 px", smoothed, narrow),
        ("particles 1 px larger all around", larger, narrow),
        ("the default model's prediction", predicted, narrow),
        ("the default model's prediction, with the micrograph", predicted, narrow, "micrograph"),
        ("the true masks, with the micrograph", true, narrow, "micrograph"),
        ("cracks of 3 px: the true masks", true, wide),
        ("cracks of 3 px: the default model's prediction", predicted, wide),
        (
            "cracks of 3 px: the default model's prediction, with the micrograph",
            predicted,
            wide,
            "micrograph",
        ),
    ]
    degrees = " | ".join(f"found / true at {degree:g}" for degree in DEGREES)
    print(f"| masks | {degrees} | ranked rightly | interval holds the truth |")
    print("|---|" + "---|" * (len(DEGREES) + 2), flush=True)
    for name, spoil, drawn, *evidence in rows:
        print("| " + " | ".join([name, *measure(spoil, drawn, *evidence)]) + " |", flush=True)
    print("\n| intact particles | true | by the true mask | by mask and micrograph |\n|---|---|---|---|")
    for name, changes in ARTEFACTS.items():
        parameters = Parameters().replace(fragmentation=0, **changes)
        batch = list(synthesize(6, seed=5, height=SIDE_PX, width=SIDE_PX, parameters=parameters))
        found = [headline([s.mask for s in batch], batch, e).value or 0.0 for e in ("mask", "micrograph")]
        print(f"| {name} | {true_length(batch):.3f} | {found[0]:.3f} | {found[1]:.3f} |", flush=True)


if __name__ == "__main__":
    main()
