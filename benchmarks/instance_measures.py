"""Speed of all per-instance measures against scikit-image's regionprops_table with the same columns.

    python benchmarks/instance_measures.py

A 4096 x 3072 mask with about 2000 touching ellipses; both in one run, in turns, by the clock and in processor seconds
(all threads), which a busy machine inflates less. Medians of three.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import numpy as np
import skimage
from scipy.spatial import cKDTree
from skimage.measure import regionprops_table

from cathode_tf.particles.instances import label_instances
from cathode_tf.particles.measures import measure_instances


def particles(height: int = 3072, width: int = 4096, cell: int = 76) -> np.ndarray:
    """An ellipse somewhere in each cell of a grid, about 2000 in all; some touch, some have a hole."""
    random = np.random.default_rng(0)
    mask = np.zeros((height, width), np.uint8)
    for row in range(0, height, cell):
        for column in range(0, width, cell):
            centre = int(column + random.integers(20, cell - 20)), int(row + random.integers(20, cell - 20))
            axes = int(random.uniform(14, 42)), int(random.uniform(14, 42))
            cv2.ellipse(mask, centre, axes, float(random.uniform(0, 180)), 0, 360, 1, -1)
            if random.random() < 0.2:
                cv2.circle(mask, centre, 4, 0, -1)
    return mask


def minimum_feret(region_mask: np.ndarray) -> float:
    """Smallest Feret diameter of one region, which regionprops does not have, as an extra property."""
    points = np.argwhere(region_mask).astype(np.float32)
    return min(cv2.minAreaRect(points)[1]) + 1


def with_scikit_image(labels: np.ndarray) -> dict[str, np.ndarray]:
    names = (
        "label",
        "bbox",
        "centroid",
        "area",
        "equivalent_diameter_area",
        "feret_diameter_max",
        "perimeter_crofton",
        "axis_major_length",
        "axis_minor_length",
        "solidity",
        "orientation",
        "area_filled",
    )
    table = regionprops_table(labels, properties=names, extra_properties=(minimum_feret,))
    centres = np.column_stack([table["centroid-0"], table["centroid-1"]])
    table["nearest_neighbour"] = cKDTree(centres).query(centres, k=2)[0][:, 1]
    return table


def taken(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock, and processor seconds."""
    start = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start[0], time.process_time() - start[1]


def main() -> None:
    mask = particles()
    separation = taken(lambda: label_instances(mask, 1))
    labels = label_instances(mask, 1)
    jobs: dict[str, Callable[[], object]] = {
        "measure_instances, all columns": lambda: measure_instances(labels, min_shape_px=0),
        "regionprops_table, the same columns": lambda: with_scikit_image(labels),
    }
    times = {name: [] for name in jobs}
    for _ in range(3):
        for name, work in jobs.items():
            times[name].append(taken(work))
    ours, theirs = (np.median(times[name], axis=0) for name in jobs)
    print(
        f"{mask.shape[1]} x {mask.shape[0]} px, {labels.max()} instances, scikit-image {skimage.__version__}\n"
    )
    print("| | seconds | processor s | ratio of seconds | of processor s |\n|---|---|---|---|---|")
    for name, (clock, processor) in zip(jobs, (ours, theirs), strict=True):
        print(
            f"| {name} | {clock:.2f} | {processor:.2f} | {clock / ours[0]:.1f} | {processor / ours[1]:.1f} |"
        )
    print(f"| (finding and separating the instances) | {separation[0]:.2f} | {separation[1]:.2f} | | |")


if __name__ == "__main__":
    main()
