"""How often the 95 % intervals contain the truth, over simulated batches whose truth is known.

    python benchmarks/interval_coverage.py            # 500 batches a row, about 20 minutes
    python benchmarks/interval_coverage.py 100        # fewer
    python benchmarks/interval_coverage.py 500 D50    # the rows whose names begin with D50

Phase fraction: Boolean models of discs, whose expected fraction is 1 - exp(-lambda pi r^2), with and without
differences between places. D50 (volume): sections through balls of log-normal sizes.
Crack length density: discs slit right through with a known chance.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
from scipy import stats

from cathode_tf import Phases
from cathode_tf.analysis.counts import covariance, phase_counts
from cathode_tf.particles import measure_fragmentation
from cathode_tf.statistics import Estimate
from cathode_tf.statistics.fractions import phase_fraction
from cathode_tf.statistics.sizes import size_distribution

PHASES = Phases.from_names(["pore", "ncm"])


def discs(rng: np.random.Generator, side: int, radius: int, fraction: float) -> np.ndarray:
    """A Boolean model of discs: Poisson many, at random, overlapping; uint8 (side, side).

    Discs are one stencil of whole pixels at whole places, so that the expected fraction is exact:
    1 - (1 - 1 / cells)^..., in the limit 1 - exp(-intensity x pixels of the stencil).
    """
    steps = np.arange(-radius, radius + 1)
    stencil = (steps[:, None] ** 2 + steps**2 <= radius**2).astype(np.uint8)
    around = side + 2 * radius
    number = rng.poisson(-math.log(1 - fraction) / stencil.sum() * around**2)
    centres = np.zeros((around, around), np.uint8)
    centres[tuple(rng.integers(0, around, (2, number)))] = 1
    return cv2.dilate(centres, stencil)[radius:-radius, radius:-radius]


@dataclass
class Tally:
    """Counts of hits, misses on both sides, and refusals."""

    inside: int = 0
    below: int = 0
    above: int = 0
    refused: int = 0
    width: float = 0.0

    def add(self, estimate: Estimate, truth: float) -> None:
        if estimate.ci is None:
            self.refused += 1
            return
        self.width += estimate.half_width or 0.0
        if estimate.ci[0] > truth:
            self.above += 1
        elif estimate.ci[1] < truth:
            self.below += 1
        else:
            self.inside += 1

    def cells(self, truth: float) -> list[str]:
        number = self.inside + self.below + self.above
        if not number:
            return ["", "", "", str(self.refused)]
        low, high = stats.beta.ppf([0.025, 0.975], self.inside + 0.5, number - self.inside + 0.5)
        return [
            f"{100 * self.inside / number:.1f} % ({100 * low:.1f}-{100 * high:.1f})",
            f"{self.below} / {self.above}",
            f"{100 * self.width / number / truth:.1f} %",
            str(self.refused),
        ]


def fraction_case(
    images: int, side: int, radius: int, fraction: float, between: float
) -> Callable[[np.random.Generator], tuple[Estimate, float]]:
    """Batches of images; `between` is the standard deviation of the true fraction from place to place."""

    def draw(rng: np.random.Generator) -> tuple[Estimate, float]:
        local = np.clip(fraction + between * rng.standard_normal(images), 0.01, 0.99)
        masks = [discs(rng, side, radius, value) for value in local]
        counts = np.array([phase_counts(mask, PHASES) for mask in masks])
        return phase_fraction(counts, 1, [covariance(mask, PHASES) for mask in masks]), fraction

    return draw


def section_case(
    images: int, particles: int, sigma_g: float, between: float = 0.0, name: str = "x50_3"
) -> Callable[[np.random.Generator], tuple[Estimate, float]]:
    """Percentiles by volume from sections through balls: log-normal by number with median 1.

    `between` is the standard deviation b of ln(median) from image to image. A plane cuts balls with a chance
    ~ diameter, so ln d of the balls that were cut is normal around s^2 with variance s^2 + b^2; volume weights
    them by d^2 more, which shifts the median of ln d to s^2 + 2 (s^2 + b^2) = 3 s^2 + 2 b^2.
    """
    share = float(name[1:3]) / 100
    s = math.log(sigma_g)

    def draw(rng: np.random.Generator) -> tuple[Estimate, float]:
        tables = []
        for image in range(images):
            number = rng.poisson(particles)
            # A plane meets a ball in proportion to its diameter: the mean of ln d shifts by s^2.
            d = np.exp(s**2 + s * rng.standard_normal(number) + between * rng.standard_normal())
            profile = d * np.sqrt(1 - rng.random(number) ** 2)
            tables.append(
                pd.DataFrame(
                    {
                        "image": image,
                        "equivalent_diameter_um": profile,
                        "area_um2": math.pi / 4 * profile**2,
                        "touches_border": False,
                        "edge_weight": 1.0,
                    }
                )
            )
        found = size_distribution(pd.concat(tables, ignore_index=True), sample_type="section")
        wide = math.sqrt(s**2 + between**2)
        return found[name], math.exp(s**2 + 2 * wide**2 + wide * float(stats.norm.ppf(share)))

    return draw


def crack_case(
    images: int, cracked: float, between: float = 0.0
) -> Callable[[np.random.Generator], tuple[Estimate, float]]:
    """Crack length density (`frag/2`): four discs an image, each slit right through or not, 4 px wide.

    Radii are uniform over 22 ... 38 px, so the truth is cracked x E(2 r) / E(pi r^2); `between` is the standard
    deviation of the cracked share from image to image.
    """
    low, high, side = 22.0, 38.0, 100
    steps = np.arange(side) - (side - 1) / 2
    squares = (high**2 + high * low + low**2) / 3
    truth = cracked * (low + high) / (math.pi * squares)

    def draw(rng: np.random.Generator) -> tuple[Estimate, float]:
        masks = []
        for _ in range(images):
            share = np.clip(cracked + between * rng.standard_normal(), 0, 1)
            cells = []
            for radius in rng.uniform(low, high, 4):
                rows, columns = steps[:, None] + rng.uniform(-5, 5), steps + rng.uniform(-5, 5)
                angle = rng.uniform(0, math.pi)
                slit = np.abs(rows * math.cos(angle) + columns * math.sin(angle)) < 2
                inside = rows**2 + columns**2 <= radius**2
                cells.append(inside & ~slit if rng.random() < share else inside)
            masks.append(np.block([cells[:2], cells[2:]]).astype(np.uint8))
        return measure_fragmentation(masks, PHASES)["crack_length_density"], truth

    return draw


CASES = {
    "fraction 0.4, 1 image of 512 px, discs of r 8 px": fraction_case(1, 512, 8, 0.4, 0),
    "fraction 0.1, 1 image of 512 px, discs of r 8 px": fraction_case(1, 512, 8, 0.1, 0),
    "fraction 0.4, 3 images of 256 px, discs of r 8 px": fraction_case(3, 256, 8, 0.4, 0),
    "fraction 0.4, 6 images of 256 px, discs of r 16 px": fraction_case(6, 256, 16, 0.4, 0),
    "fraction 0.4, 12 images of 256 px, discs of r 8 px": fraction_case(12, 256, 8, 0.4, 0),
    "fraction 0.1, 12 images of 256 px, discs of r 8 px": fraction_case(12, 256, 8, 0.1, 0),
    "fraction 0.4, 6 images of 256 px, places differ (sd 0.02)": fraction_case(6, 256, 8, 0.4, 0.02),
    "fraction 0.4, 12 images of 256 px, places differ (sd 0.04)": fraction_case(12, 256, 8, 0.4, 0.04),
    "D50 by volume, 6 images of 150 sections, sigma_g 1.3": section_case(6, 150, 1.3),
    "D50 by volume, 12 images of 100 sections, sigma_g 1.4": section_case(12, 100, 1.4),
    "D50 by volume, 12 images of 100 sections, places differ (5 %)": section_case(12, 100, 1.4, 0.05),
    "D50 by volume, 2 images of 400 sections, sigma_g 1.4": section_case(2, 400, 1.4),
    "D90 by volume, 12 images of 100 sections, sigma_g 1.4": section_case(12, 100, 1.4, name="x90_3"),
    "crack length density, 8 images of 4 discs, half cracked": crack_case(8, 0.5),
    "crack length density, 12 images of 4 discs, places differ (0.15)": crack_case(12, 0.5, 0.15),
}


def main() -> None:
    batches = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    print(f"{batches} batches a row; in brackets the 95 % interval of the coverage itself.\n")
    print("| batch | contains the truth | too low / too high | half width over truth | no interval |")
    print("|---|---|---|---|---|", flush=True)
    beginning = sys.argv[2] if len(sys.argv) > 2 else ""
    for number, (name, draw) in enumerate(CASES.items()):
        if not name.startswith(beginning):
            continue
        rng = np.random.default_rng([7, number])
        tally, truth = Tally(), 0.0
        for _ in range(batches):
            estimate, truth = draw(rng)
            tally.add(estimate, truth)
        print("| " + " | ".join([name, *tally.cells(truth)]) + " |", flush=True)


if __name__ == "__main__":
    main()
