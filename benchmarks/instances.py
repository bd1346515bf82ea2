"""Particles found by each method on the same masks: average precision, panoptic quality, count and median.

    CATHODE_TF_REAL_DATA=... python benchmarks/instances.py [--sections FOLDER] [--folds FOLDER] [--only NAME ...]
        [--draw FOLDER]

Real sets are scored against whole outlines, on the union of the outlines as mask; synthetic sections against the
particles that the cut shows, on their phase mask. With `--sections`, sections kept from an earlier release (one .npz a
kind, arrays image, mask, labels) are sets of their own. With `--folds`, each real image is separated by the network
that has not seen it (`benchmarks/separation_training.py` trains them); else by the one that ships. `--draw` writes a
picture of the worst image of each set and method that is ours: particles found as they are in blue, missed ones in red,
what was found in their place in yellow.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from scipy.ndimage import binary_fill_holes, distance_transform_edt
from skimage.measure import label as components
from skimage.morphology import h_maxima, remove_small_holes
from skimage.segmentation import watershed

from cathode_tf.imaging import read_micrograph
from cathode_tf.imaging.annotations import read_instances
from cathode_tf.imaging.visible import label_visible
from cathode_tf.particles.agreement import Agreement, compare_instances, compare_outlines, total

MIN_AREA_PX = 20
HOLES_PX = 60
"""Holes up to this are filled before h-maxima sees the mask: inner pores would break up every particle."""
SIDE_PX = 700
"""Of a picture of what was missed."""


@dataclass(frozen=True)
class Case:
    """One image: what is shown to every method, and how to score its label image.

    `labels` is the visible part of each particle.
    """

    name: str
    grey: np.ndarray
    mask: np.ndarray
    labels: np.ndarray
    score: Callable[[np.ndarray], Agreement]


KINDS = {
    "synthetic, default": {},
    "synthetic, 4 % inner pores": {"inner_porosity": 0.04},
    "synthetic, pressed flat": {
        "calendering": 0.3,
        "ncm_fraction": 0.75,
        "additive_fraction": 0.0,
        "binder_fraction": 0.0,
    },
    "synthetic, calendered .2": {"calendering": 0.2},
}
KEPT = dict(zip(KINDS, ("default", "pores4", "flat", "calendered"), strict=True))


def powder(root: Path) -> Iterator[Case]:
    file = root / "powder_sem/via_powder_particle_masks_training.json"
    for path in sorted((root / "powder_sem/images").glob("*.png")):
        grey = read_micrograph(path).pixels
        yield _outlined(path.stem, grey, file, path.name)


def powder_with_edges(root: Path) -> Iterator[Case]:
    """Each outline filled with the pixels that it runs through, as many tools do: particles run into each other."""
    file = root / "powder_sem/via_powder_particle_masks_training.json"
    drawn = {
        one["filename"]: one["regions"] for one in json.loads(file.read_text())["_via_img_metadata"].values()
    }
    for path in sorted((root / "powder_sem/images").glob("*.png")):
        grey = read_micrograph(path).pixels
        outlines = []
        for region in drawn[path.name]:
            shape = region["shape_attributes"]
            corners = np.stack([shape["all_points_x"], shape["all_points_y"]], 1).astype(np.int32)
            inside = cv2.fillPoly(np.zeros(grey.shape, np.uint8), [corners], 1) > 0
            rows, columns = (np.flatnonzero(inside.any(axis)) for axis in (1, 0))
            if len(rows):
                window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
                outlines.append((window, inside[window]))
        yield _case(path.stem, grey, outlines)


def spheres(root: Path) -> Iterator[Case]:
    for path in sorted((root / "spheres_sem").glob("*.png")):
        grey = read_micrograph(path).pixels
        yield _outlined(path.stem, grey, path.with_suffix(".json"), None)


def _outlined(name: str, grey: np.ndarray, file: Path, image: str | None) -> Case:
    drawn = read_instances(file, image, None if image is None else grey.shape)
    height, width = grey.shape
    outlines = []
    for region in drawn:
        rows, columns = region.window
        inside = region.inside[: max(0, height - rows.start), : max(0, width - columns.start)]
        window = (
            slice(rows.start, rows.start + inside.shape[0]),
            slice(columns.start, columns.start + inside.shape[1]),
        )
        if inside.sum():
            outlines.append((window, inside))
    return _case(name, grey, outlines)


def _case(name: str, grey: np.ndarray, outlines: list[tuple[tuple[slice, slice], np.ndarray]]) -> Case:
    mask = np.zeros(grey.shape, bool)
    for window, inside in outlines:
        mask[window] |= inside
    labels, _ = label_visible(outlines, grey.shape, grey)
    return Case(name, grey, mask, labels, lambda found: compare_outlines(found, outlines))


def sections(name: str, folder: Path | None) -> Iterator[Case]:
    if folder is None:
        from cathode_tf.synthesis import synthesize
        from cathode_tf.synthesis.parameters import Parameters

        drawn = [(s.image, s.mask, s.labels) for s in synthesize(8, parameters=Parameters(**KINDS[name]))]
    else:
        kept = np.load(folder / f"section_{KEPT[name]}.npz")
        drawn = list(zip(kept["image"], kept["mask"], kept["labels"], strict=True))
    for number, (image, mask, labels) in enumerate(drawn):
        whole = _without_specks(labels)
        yield Case(
            f"{name} {number}",
            image,
            mask == 1,
            whole,
            lambda found, whole=whole: compare_instances(found, whole),
        )


def _without_specks(labels: np.ndarray) -> np.ndarray:
    small = np.bincount(labels.ravel()) < MIN_AREA_PX
    return np.where(small[labels], 0, labels)


def by_h_maxima(case: Case) -> np.ndarray:
    return _by_h_maxima(case, remove_small_holes(case.mask, max_size=HOLES_PX))


def by_h_maxima_without_holes(case: Case) -> np.ndarray:
    return _by_h_maxima(case, binary_fill_holes(case.mask))


def _by_h_maxima(case: Case, solid: np.ndarray) -> np.ndarray:
    distance = distance_transform_edt(solid)
    labels = watershed(-distance, components(h_maxima(distance, 1)), mask=solid)
    return _without_specks(labels * case.mask)


def by_snow(case: Case) -> np.ndarray:
    return _by_snow(case, case.mask)


def by_snow_without_small_holes(case: Case) -> np.ndarray:
    return _by_snow(case, remove_small_holes(case.mask, max_size=HOLES_PX))


def _by_snow(case: Case, solid: np.ndarray) -> np.ndarray:
    import porespy

    labels = porespy.filters.snow_partitioning(solid, r_max=4, sigma=0.4).regions
    return _without_specks(np.asarray(labels).astype(np.int64) * case.mask)


def by_components(case: Case) -> np.ndarray:
    return _without_specks(components(case.mask, connectivity=1))


def by_geometry(case: Case) -> np.ndarray:
    from cathode_tf.particles.separation import separate_solid

    return _without_specks(separate_solid(case.mask))


def by_network(folds: Path | None, grey: bool) -> Callable[[Case], np.ndarray]:
    from cathode_tf.inference.separation import particle_maps, separation_network
    from cathode_tf.particles.separation import separate_solid

    of_image = json.loads((folds / "folds.json").read_text()) if folds else {}

    def separated(case: Case) -> np.ndarray:
        name = of_image.get(case.name)
        network = separation_network(folds / name if folds and name else None)
        maps = particle_maps(case.mask, case.grey if grey else None, network=network)
        return _without_specks(separate_solid(case.mask, maps))

    return separated


def draw_missed(case: Case, found: np.ndarray, path: Path) -> None:
    """The square of the image in which most particles are missed, as a JPEG."""
    pairs, shared = np.unique(
        np.stack([found, case.labels])[:, (found > 0) & (case.labels > 0)], axis=1, return_counts=True
    )
    sizes = [np.bincount(labels.ravel()) for labels in (found, case.labels)]
    same = shared / (sizes[0][pairs[0]] + sizes[1][pairs[1]] - shared) > 0.5
    right = [
        np.isin(labels, numbers) for labels, numbers in zip((found, case.labels), pairs[:, same], strict=True)
    ]
    missed = (case.labels > 0) & ~right[1]
    dense = cv2.boxFilter(missed.astype(np.float32), -1, (SIDE_PX, SIDE_PX), borderType=cv2.BORDER_CONSTANT)
    row, column = np.unravel_index(int(dense.argmax()), dense.shape)
    top, left = (
        max(0, min(middle - SIDE_PX // 2, size - SIDE_PX))
        for middle, size in zip((int(row), int(column)), dense.shape, strict=True)
    )
    picture = cv2.cvtColor(
        case.grey if case.grey.dtype == np.uint8 else (case.grey >> 8).astype(np.uint8), cv2.COLOR_GRAY2BGR
    )
    rim = np.ones((3, 3), np.uint8)
    for labels, where, colour in (
        (found, right[0], (255, 160, 60)),
        (found, (found > 0) & ~right[0], (0, 220, 255)),
        (case.labels, missed, (40, 40, 255)),
    ):
        edge = cv2.erode(labels.astype(np.float32), rim) != labels
        picture[edge & where] = colour
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(
        str(path), picture[top : top + SIDE_PX, left : left + SIDE_PX], [cv2.IMWRITE_JPEG_QUALITY, 80]
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--draw", type=Path)
    parser.add_argument("--sections", type=Path)
    parser.add_argument("--folds", type=Path)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--methods", nargs="*")
    told = parser.parse_args()
    sets: dict[str, Callable[[], Iterator[Case]]] = {}
    if os.environ.get("CATHODE_TF_REAL_DATA"):
        root = Path(os.environ["CATHODE_TF_REAL_DATA"])
        sets |= {
            "powder_sem": lambda: powder(root),
            "powder_sem, filled with edges": lambda: powder_with_edges(root),
            "spheres_sem": lambda: spheres(root),
        }
    sets |= {name: (lambda name=name: sections(name, None)) for name in KINDS}
    if told.sections:
        sets |= {f"{name}, kept": (lambda name=name: sections(name, told.sections)) for name in KINDS}
    methods = {
        "ours, with micrograph": by_network(told.folds, True),
        "ours, mask alone": by_network(told.folds, False),
        "ours, geometry": by_geometry,
        "h-maxima": by_h_maxima,
        "h-maxima, all holes filled": by_h_maxima_without_holes,
        "SNOW": by_snow,
        "SNOW, small holes filled": by_snow_without_small_holes,
        "components": by_components,
    }
    print("| set (particles) | method | AP50 | AP75 | PQ | count | median | processor s |")
    print("|---|---|---|---|---|---|---|---|")
    for name, cases in sets.items():
        if told.only and not any(word in name for word in told.only):
            continue
        # The other half of the sections is what the network's card was weighed on.
        drawn = name.startswith("synthetic")
        listed = [case for number, case in enumerate(cases()) if not drawn or number % 2 == 0]
        for method, separated in methods.items():
            if told.methods and not any(word in method for word in told.methods):
                continue
            start = time.process_time()
            labels = [separated(case) for case in listed]
            seconds = time.process_time() - start
            scores = [case.score(found) for case, found in zip(listed, labels, strict=True)]
            if told.draw and method.startswith("ours, "):
                worst = min(range(len(listed)), key=lambda number: scores[number].average_precision())
                draw_missed(listed[worst], labels[worst], told.draw / f"{name}, {method}.jpg")
            got = total(scores)
            print(
                f"| {name} ({got.expected}) | {method} | {got.average_precision():.3f} | "
                f"{got.average_precision(0.75):.3f} | {got.panoptic_quality:.3f} | {got.count_error:+.0%} | "
                f"{got.median_error:+.1%} | {seconds:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
