"""Particles found by each method on the same masks: average precision, panoptic quality, count and median.

    CATHODE_TF_REAL_DATA=... python benchmarks/instances.py [--sections FOLDER] [--folds FOLDER] [--only NAME ...]

Real sets are scored against whole outlines, on the union of the outlines as mask; synthetic sections against the
particles that the cut shows, on their phase mask. With `--sections`, sections kept from an earlier release (one .npz a
kind, arrays image, mask, labels) take the place of those drawn now. With `--folds`, each real image is separated by the
network that has not seen it (`benchmarks/separation_training.py` trains them); else by the one that ships.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import distance_transform_edt
from skimage.measure import label as components
from skimage.morphology import h_maxima, remove_small_holes
from skimage.segmentation import watershed

from cathode_tf.imaging import read_micrograph
from cathode_tf.imaging.annotations import read_instances
from cathode_tf.imaging.visible import label_visible
from cathode_tf.particles.agreement import Agreement, compare_instances, compare_outlines, total

MIN_AREA_PX = 20


@dataclass(frozen=True)
class Case:
    """One image: what is shown to every method, and how to score its label image."""

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


def spheres(root: Path) -> Iterator[Case]:
    for path in sorted((root / "spheres_sem").glob("*.png")):
        grey = read_micrograph(path).pixels
        yield _outlined(path.stem, grey, path.with_suffix(".json"), None)


def _outlined(name: str, grey: np.ndarray, file: Path, image: str | None) -> Case:
    drawn = read_instances(file, image, None if image is None else grey.shape)
    height, width = grey.shape
    outlines, mask = [], np.zeros(grey.shape, bool)
    for region in drawn:
        rows, columns = region.window
        inside = region.inside[: max(0, height - rows.start), : max(0, width - columns.start)]
        window = (
            slice(rows.start, rows.start + inside.shape[0]),
            slice(columns.start, columns.start + inside.shape[1]),
        )
        if inside.sum():
            outlines.append((window, inside))
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
            labels,
            lambda found, whole=whole: compare_instances(found, whole),
        )


def _without_specks(labels: np.ndarray) -> np.ndarray:
    small = np.bincount(labels.ravel()) < MIN_AREA_PX
    return np.where(small[labels], 0, labels)


def by_h_maxima(case: Case) -> np.ndarray:
    solid = remove_small_holes(case.mask, max_size=60)
    distance = distance_transform_edt(solid)
    labels = watershed(-distance, components(h_maxima(distance, 1)), mask=solid)
    return _without_specks(labels * case.mask)


def by_snow(case: Case) -> np.ndarray:
    import porespy

    labels = porespy.filters.snow_partitioning(case.mask, r_max=4, sigma=0.4).regions
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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sections", type=Path)
    parser.add_argument("--folds", type=Path)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--methods", nargs="*")
    told = parser.parse_args()
    sets: dict[str, Callable[[], Iterator[Case]]] = {}
    if os.environ.get("CATHODE_TF_REAL_DATA"):
        root = Path(os.environ["CATHODE_TF_REAL_DATA"])
        sets |= {"powder_sem": lambda: powder(root), "spheres_sem": lambda: spheres(root)}
    sets |= {name: (lambda name=name: sections(name, told.sections)) for name in KINDS}
    methods = {
        "ours, with micrograph": by_network(told.folds, True),
        "ours, mask alone": by_network(told.folds, False),
        "ours, geometry": by_geometry,
        "h-maxima (h = 1)": by_h_maxima,
        "SNOW": by_snow,
        "components": by_components,
    }
    print("| set (particles) | method | AP50 | AP75 | PQ | count | median | processor s |")
    print("|---|---|---|---|---|---|---|---|")
    for name, cases in sets.items():
        if told.only and not any(word in name for word in told.only):
            continue
        # The other half of the sections is what the network's card was weighed on.
        listed = [case for number, case in enumerate(cases()) if name not in KINDS or number % 2 == 0]
        for method, separated in methods.items():
            if told.methods and not any(word in method for word in told.methods):
                continue
            start = time.process_time()
            labels = [separated(case) for case in listed]
            seconds = time.process_time() - start
            got = total([case.score(found) for case, found in zip(listed, labels, strict=True)])
            print(
                f"| {name} ({got.expected}) | {method} | {got.average_precision():.3f} | "
                f"{got.average_precision(0.75):.3f} | {got.panoptic_quality:.3f} | {got.count_error:+.0%} | "
                f"{got.median_error:+.1%} | {seconds:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
