"""Touching particles counted, sized and matched against the polygons that people drew, with the default setting.

    CATHODE_TF_REAL_DATA=/path/to/data python benchmarks/powder.py

Four SEM images of gas-atomised powder from AMPIS (github.com/rccohn/AMPIS, MIT licence). The mask is the union of the
annotated polygons; the truth is the polygons one by one. Asked for: the count within 5 % and the number median of the
equivalent diameter within 3 % over the four images with one setting. The union is drawn in several ways, as a
segmentation may be: with the polygons' outlines, without, opened, closed, magnified and thinned out.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from skimage.draw import polygon as inner_polygon

from cathode_tf.particles.instances import DEPTH, Separation, label_instances
from cathode_tf.synthesis import Parameters, synthesize

SHAPE = (1024, 1536)
DEPTHS = (0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6)
CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


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


def opened(mask: np.ndarray) -> np.ndarray:
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, CROSS) > 0


def closed(mask: np.ndarray) -> np.ndarray:
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, CROSS) > 0


def magnified(mask: np.ndarray) -> np.ndarray:
    return cv2.resize(mask.astype(np.float32), None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR) >= 0.5


def thinned(mask: np.ndarray) -> np.ndarray:
    return mask[::2, ::2]


RASTERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "with outline": with_outline,
    "within outline": within_outline,
}
CHANGES: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float]] = {
    "": (lambda mask: mask, 1),
    ", opened by a pixel": (opened, 1),
    ", closed by a pixel": (closed, 1),
    ", magnified twice": (magnified, 2),
    ", every second pixel": (thinned, 0.5),
}


@dataclass
class Found:
    """What was found in one image, beside the truth: diameters in px of the image, and matches at IoU 0.5."""

    true: np.ndarray
    found: np.ndarray
    matched: int = 0
    iou: float = 0.0


def polygons(folder: Path) -> dict[str, list[np.ndarray]]:
    content = json.loads((folder / "via_powder_particle_masks_training.json").read_text())
    return {
        image["filename"]: [
            np.stack([r["shape_attributes"][f"all_points_{axis}"] for axis in "xy"], 1).astype(np.int32)
            for r in image["regions"]
        ]
        for image in content["_via_img_metadata"].values()
    }


def diameters(areas: np.ndarray, scale: float = 1) -> np.ndarray:
    return np.sqrt(4 / np.pi * areas) / scale


def matches(labels: np.ndarray, pieces: list[np.ndarray]) -> tuple[int, float]:
    """Pairs of instance and polygon with more than half of their union in common, the best first; and sum of IoU."""
    areas = np.bincount(labels.ravel())
    pairs = []
    for i, piece in enumerate(pieces):
        common = np.bincount(labels[piece])
        union = areas[: len(common)] + piece.sum() - common
        pairs += [(common[k] / union[k], i, k) for k in np.flatnonzero(common) if k]
    taken: tuple[set[int], set[int]] = set(), set()
    total = 0.0
    for iou, i, k in sorted(pairs, reverse=True):
        if iou > 0.5 and i not in taken[0] and k not in taken[1]:
            taken[0].add(i)
            taken[1].add(k)
            total += iou
    return len(taken[0]), total


def errors(images: list[Found]) -> tuple[float, float]:
    """Relative error of the count and of the number median, over these images together."""
    true, found = (np.concatenate([getattr(image, name) for image in images]) for name in ("true", "found"))
    return len(found) / len(true) - 1, float(np.median(found) / np.median(true)) - 1


def row(name: str, images: list[Found]) -> str:
    count, median = errors(images)
    each = ", ".join(f"{100 * errors([image])[0]:+.1f}" for image in images)
    text = f"| {name} | {100 * count:+.1f} % | {100 * median:+.1f} % | {each} |"
    if images[0].matched:
        hits = sum(image.matched for image in images)
        sizes = [sum(len(getattr(image, name)) for image in images) for name in ("true", "found")]
        quality = sum(image.iou for image in images) / (sum(sizes) / 2)
        text += f" {hits / (sum(sizes) - hits):.3f} | {quality:.3f} |"
    return text


def cross_validation(grid: dict[tuple[str, float], list[Found]]) -> list[str]:
    """The depth chosen on two images, both ways of drawing together, tried on the other two."""
    rows = []
    for chosen in itertools.combinations(range(4), 2):
        other = [i for i in range(4) if i not in chosen]

        def loss(depth: float, images: tuple[int, ...] = chosen) -> float:
            parts = [errors([grid[raster, depth][i] for i in images]) for raster in RASTERS]
            return sum(abs(count) / 0.05 + abs(median) / 0.03 for count, median in parts)

        depth = min(DEPTHS, key=loss)
        cells = [errors([grid[raster, depth][i] for i in other]) for raster in RASTERS]
        text = " | ".join(f"{100 * count:+.1f} % / {100 * median:+.1f} %" for count, median in cells)
        rows.append(f"| {chosen[0] + 1}, {chosen[1] + 1} | {depth:g} | {text} |")
    return rows


def measured(images: dict[str, list[np.ndarray]]) -> tuple[dict, dict]:
    """The default on every way of drawing, with matches; and every depth on the two plain ones."""
    default: dict[str, list[Found]] = {}
    grid: dict[tuple[str, float], list[Found]] = {}
    for raster, draw in RASTERS.items():
        for points in images.values():
            pieces = [draw(p) for p in points]
            union = np.any(pieces, axis=0)
            true = diameters(np.array([piece.sum() for piece in pieces]))
            for name, (change, scale) in CHANGES.items():
                separation = Separation(change(union))
                labels = separation.labels(DEPTH)
                found = Found(true, diameters(np.bincount(labels.ravel())[1:], scale))
                if not name:
                    found.matched, found.iou = matches(labels, pieces)
                    for depth in DEPTHS:
                        areas = np.bincount(separation.labels(depth).ravel())[1:]
                        grid.setdefault((raster, depth), []).append(Found(true, diameters(areas)))
                default.setdefault(f"{raster}{name}", []).append(found)
    return default, grid


CATHODES = {
    "default": {},
    "default, 4 % inner pores": {"inner_porosity": 0.04},
    "no inner pores": {"inner_porosity": 0.0},
    "pressed flat, no gap at contacts": {"calendering": 0.3, "contact_gap_um": 0.0, "ncm_fraction": 0.7},
}


def cathodes() -> list[str]:
    """Known particles of synthetic cathodes against those separated in their true masks; both from 20 px on."""
    rows = []
    for name, parameters in CATHODES.items():
        true, found = [], []
        for sample in synthesize(3, seed=9, height=768, width=768, parameters=Parameters(**parameters)):
            labels = label_instances(sample.mask, sample.phases["ncm"].id)
            for image, sizes in (sample.labels, true), (labels, found):
                areas = np.bincount(image.ravel())[1:]
                sizes.append(diameters(areas[areas >= 20]))
        t, f = np.concatenate(true), np.concatenate(found)
        volume = [(d**4).sum() / (d**3).sum() for d in (f, t)]
        changes = (len(f) / len(t), np.median(f) / np.median(t), volume[0] / volume[1])
        cells = " | ".join(f"{100 * (change - 1):+.0f} %" for change in changes)
        rows.append(f"| {name} | {len(t)} | {cells} |")
    return rows


def main() -> None:
    root = os.environ.get("CATHODE_TF_REAL_DATA")
    if not root:
        sys.exit("set CATHODE_TF_REAL_DATA to the folder with the real data")
    default, grid = measured(polygons(Path(root) / "powder_sem"))
    plain = list(RASTERS)
    true = [np.concatenate([image.true for image in default[name]]) for name in plain]
    medians = " and ".join(
        f"{np.median(sizes):.0f} px {name}" for name, sizes in zip(plain, true, strict=True)
    )
    print(f"Neck depth {DEPTH} (the default); {len(true[0])} polygons, median diameter {medians}.\n")
    print(
        "| polygons drawn | count | median | count of each image, % | AP at IoU 0.5 | PQ |"
        + "\n|"
        + "---|" * 6
    )
    for name in plain:
        print(row(name, default[name]))
    print(
        "\nThe mask changed:\n\n| polygons drawn | count | median | count of each image, % |\n"
        + "|---" * 4
        + "|"
    )
    for name in (name for name in default if name not in plain):
        print(row(name, default[name]))
    print("\nOther depths:\n\n| depth | " + " | ".join(plain) + " |\n|---|---|---|")
    for depth in DEPTHS:
        cells = [errors(grid[raster, depth]) for raster in plain]
        text = " | ".join(f"{100 * count:+.1f} % / {100 * median:+.1f} %" for count, median in cells)
        print(f"| {depth:g} | {text} |")
    print("\nThe depth chosen on two images, tried on the other two (count / median):\n")
    print("| chosen on images | depth | " + " | ".join(plain) + " |\n|---|---|---|---|")
    print("\n".join(cross_validation(grid)))
    print("\nSynthetic cathodes, true masks of 768 x 768 px, 100 nm pixels:\n")
    print("| cathode | particles | count | number median | mean over volume |\n|---|---|---|---|---|")
    print("\n".join(cathodes()))


if __name__ == "__main__":
    main()
