"""Touching particles counted and sized against the polygons that people drew, with the package's default setting.

    CATHODE_TF_REAL_DATA=../shared/data python benchmarks/powder.py

Four SEM images of gas-atomised powder from AMPIS (github.com/rccohn/AMPIS, MIT licence). The mask is the union of the
annotated polygons; the truth is the polygons one by one. Asked for: the count within 5 % and the number median of the
equivalent diameter within 3 % over the four images with one setting.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import cv2
import numpy as np
from skimage.draw import polygon as inner_polygon

from cathode_tf.analysis.instances import DEPTH, Separation

SHAPE = (1024, 1536)


def with_outline(points: np.ndarray) -> np.ndarray:
    """A polygon with the pixels under its outline."""
    mask = np.zeros(SHAPE, np.uint8)
    cv2.fillPoly(mask, [points], 1)
    return mask > 0


def within_outline(points: np.ndarray) -> np.ndarray:
    """A polygon without the pixels whose centre its outline cuts off."""
    mask = np.zeros(SHAPE, bool)
    mask[inner_polygon(points[:, 1], points[:, 0], SHAPE)] = True
    return mask


def polygons(folder: Path) -> dict[str, list[np.ndarray]]:
    content = json.loads((folder / "via_powder_particle_masks_training.json").read_text())
    return {
        image["filename"]: [
            np.stack([r["shape_attributes"][f"all_points_{axis}"] for axis in "xy"], 1).astype(np.int32)
            for r in image["regions"]
        ]
        for image in content["_via_img_metadata"].values()
    }


def row(name: str, true: np.ndarray, found: np.ndarray) -> str:
    count = len(found) / len(true) - 1
    median = np.median(found) / np.median(true) - 1
    return (
        f"| {name} | {len(true)} | {len(found)} | {100 * count:+.1f} % | {np.median(true):.1f} | "
        f"{np.median(found):.1f} | {100 * median:+.1f} % |"
    )


def table(images: dict[str, list[np.ndarray]], raster, depth: float) -> list[str]:
    rows, all_true, all_found = [], [], []
    for name, points in images.items():
        pieces = [raster(p) for p in points]
        labels = Separation(np.any(pieces, axis=0)).labels(depth)
        true = np.sqrt(4 / np.pi * np.array([piece.sum() for piece in pieces]))
        found = np.sqrt(4 / np.pi * np.bincount(labels.ravel())[1:])
        rows.append(row(name, true, found))
        all_true.append(true)
        all_found.append(found)
    rows.append(row("**all four**", np.concatenate(all_true), np.concatenate(all_found)))
    return rows


def main() -> None:
    root = os.environ.get("CATHODE_TF_REAL_DATA")
    if not root:
        sys.exit("set CATHODE_TF_REAL_DATA to the folder with the real data")
    images = polygons(Path(root) / "powder_sem")
    head = (
        "| image | polygons | instances | count | median diameter, true (px) | found (px) | median |\n"
        + "|---" * 7
        + "|"
    )
    for raster in with_outline, within_outline:
        print(f"\nPolygons {raster.__name__.replace('_', ' ')}, neck depth {DEPTH} (the default):\n\n{head}")
        print("\n".join(table(images, raster, DEPTH)), flush=True)
    print(
        f"\nSensitivity to the neck depth, all four, polygons with outline:\n\n{head.replace('image', 'depth', 1)}"
    )
    for depth in DEPTH / 2, DEPTH, 2 * DEPTH:
        last = table(images, with_outline, depth)[-1]
        print(last.replace("**all four**", f"{depth:g}"), flush=True)


if __name__ == "__main__":
    main()
