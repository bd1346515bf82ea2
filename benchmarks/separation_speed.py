"""Processor time from a mask and its micrograph to measured particles, part by part, beside segmenting the image.

    OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 python benchmarks/separation_speed.py [--segment]

A 4096 x 3072 picture with about 2,000 particles, many touching. Processor seconds (label image and measures: medians of
three); one thread, so that a second of processor is a second of work. `--segment` adds what `Segmenter.segment` takes
for the same picture.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from cathode_tf.inference.separation import particle_maps, typical_diameter
from cathode_tf.particles.measures import measure_instances
from cathode_tf.particles.separation import separate_solid


def picture(height: int = 3072, width: int = 4096, cell: int = 76) -> tuple[np.ndarray, np.ndarray]:
    """Mask (Boolean) and micrograph of an ellipse somewhere in each cell of a grid, a little darker at its edge."""
    random = np.random.default_rng(0)
    grey = np.full((height, width), 60, np.uint8)
    mask = np.zeros((height, width), np.uint8)
    for row in range(0, height, cell):
        for column in range(0, width, cell):
            centre = int(column + random.integers(20, cell - 20)), int(row + random.integers(20, cell - 20))
            axes = int(random.uniform(14, 42)), int(random.uniform(14, 42))
            angle, shade = float(random.uniform(0, 180)), float(random.uniform(150, 190))
            cv2.ellipse(mask, centre, axes, angle, 0, 360, 1, -1)
            cv2.ellipse(grey, centre, axes, angle, 0, 360, shade, -1)
            cv2.ellipse(grey, centre, axes, angle, 0, 360, shade - 40, 2)
    noise = np.zeros(grey.shape, np.int16)
    cv2.setRNGSeed(0)
    cv2.randn(noise, 0, 8)
    return mask > 0, np.clip(grey + noise, 0, 255).astype(np.uint8)


def taken(work: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds, and what came of them."""
    start = time.process_time()
    found = work()
    return time.process_time() - start, found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--segment", action="store_true")
    parser.add_argument("--height", type=int, default=3072)
    told = parser.parse_args()
    cv2.setNumThreads(1)
    solid, grey = picture(told.height, told.height * 4 // 3)
    particle_maps(solid[:256, :256], grey[:256, :256])  # traces the network
    size_s, _ = taken(lambda: typical_diameter(solid))
    maps_s, maps = taken(lambda: particle_maps(solid, grey))
    turns = []
    for _ in range(3):
        labels_s, labels = taken(lambda: separate_solid(solid, maps))
        measures_s, _ = taken(lambda labels=labels: measure_instances(labels))
        turns.append((labels_s, measures_s))
    labels_s, measures_s = np.median(turns, axis=0)
    print(f"{solid.shape[1]} x {solid.shape[0]} px, maps {maps.contact.shape}, {labels.max()} particles\n")
    print("| | processor s |\n|---|---|")
    print(f"| maps by the network, the size of the particles ({size_s:.2f}) included | {maps_s:.2f} |")
    print(f"| label image from maps | {labels_s:.2f} |")
    print(f"| measures | {measures_s:.2f} |", flush=True)
    if told.segment:
        from cathode_tf.inference import Segmenter

        model = Segmenter("default")
        model.segment(grey[:512, :512])
        print(f"| segmenting the picture | {taken(lambda: model.segment(grey))[0]:.2f} |")


if __name__ == "__main__":
    main()
