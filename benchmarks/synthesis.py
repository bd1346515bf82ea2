"""How fast sections are made, how exactly parameters are met, and whether features look like those of real images.

    CATHODE_TF_REAL_DATA=/path/to/data python benchmarks/synthesis.py --picture docs/synthesis.jpg

prints three markdown tables; without the environment variable, the third has no real column. Speed is in megapixels
per second of processor time on one core. Features are medians over images, with the range of nine in ten.
Real data: Su et al., npj Comput. Mater. 8 (2022) 30; ZeliangSu/SegmentPy, Apache-2.0.
"""

from __future__ import annotations

import argparse
import os
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from cathode_tf.imaging import overlay
from cathode_tf.synthesis import Parameters, SyntheticSample, annotate, synthesize

KINDS = {
    "default": Parameters(),
    "demo": Parameters.demo(),
    "fragmentation 0.5": Parameters(fragmentation=0.5),
    "nano-CT": Parameters.nano_ct(),
    "random SEM": partial(Parameters.random, modality="sem"),
    "random nano-CT": partial(Parameters.random, modality="nano-ct"),
}
PORE, NCM, CARBON = 0, 1, 2


def speed() -> str:
    """Megapixels per second of one core."""
    lines = ["| kind | 512 x 512 | 1024 x 1024 |", "|---|---|---|"]
    for name, parameters in KINDS.items():
        cells = []
        for side, count in ((512, 8), (1024, 3)):
            samples = synthesize(count, seed=1, height=side, width=side, parameters=parameters)
            start = time.process_time()
            for sample in samples:
                assert sample.mask.size
            cells.append(f"{count * side * side / 1e6 / (time.process_time() - start):.2f}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def accuracy(count: int = 40) -> str:
    """Largest deviation of a section's fractions, and the median diameter, against what was asked for."""
    lines = [
        "| kind | largest error of a fraction | median diameter / asked | sections |",
        "|---|---|---|---|",
    ]
    for name, parameters in KINDS.items():
        worst, ratios = 0.0, []
        for sample in synthesize(count, seed=2, height=384, width=384, parameters=parameters):
            truth = sample.truth
            worst = max(
                worst, *(abs(truth["fractions"][k] - v) for k, v in truth["target_fractions"].items())
            )
            if not truth["parameters"]["fines_fraction"]:
                ratios.append(truth["diameter_um"]["median"] / truth["parameters"]["particle_um"])
        ratio = f"{np.median(ratios):.2f}" if ratios else "two sizes"
        lines.append(f"| {name} | {worst:.5f} | {ratio} | {count} |")
    return "\n".join(lines)


def features(image: np.ndarray, classes: np.ndarray) -> dict[str, float]:
    """Scale-free features of an image with its classes (0 pore, 1 NCM, 2 carbon and binder)."""
    image = image.astype(np.float32)
    level = [float(image[classes == k].mean()) if (classes == k).any() else np.nan for k in range(3)]
    contrast = level[NCM] - level[PORE]
    soft = cv2.GaussianBlur(image, (0, 0), 1.0)
    gradient = np.hypot(cv2.Sobel(soft, -1, 1, 0) / 8, cv2.Sobel(soft, -1, 0, 1) / 8)
    ncm = (classes == NCM).astype(np.uint8)
    rim = cv2.dilate(ncm, np.ones((3, 3), np.uint8)) != cv2.erode(ncm, np.ones((3, 3), np.uint8))
    a, b = classes[:, :-1].ravel(), classes[:, 1:].ravel()
    faces = {k: np.count_nonzero(((a == NCM) & (b == k)) | ((b == NCM) & (a == k))) for k in (PORE, CARBON)}
    return {
        "carbon level (0 pore, 1 NCM)": (level[CARBON] - level[PORE]) / contrast,
        "grey spread inside NCM / contrast": float(image[ncm > 0].std()) / contrast,
        "fine noise / contrast": float((image - soft).std()) / contrast,
        "edge width, px": contrast / float(gradient[rim].mean()),
        "NCM fraction": float((classes == NCM).mean()),
        "carbon share of what is not NCM": float((classes == CARBON).sum() / max(1, (classes != NCM).sum())),
        "mean chord of NCM, px": _chord(classes == NCM),
        "mean chord of carbon, px": _chord(classes == CARBON),
        "mean chord of pore, px": _chord(classes == PORE),
        "share of NCM surface facing carbon": faces[CARBON] / max(1, sum(faces.values())),
    }


def _chord(inside: np.ndarray) -> float:
    starts = np.count_nonzero(inside[:, 1:] & ~inside[:, :-1]) + np.count_nonzero(inside[:, 0])
    return np.count_nonzero(inside) / max(1, starts)


def _of_sample(sample: SyntheticSample, mask: np.ndarray) -> dict[str, float]:
    return features(sample.image, np.array([PORE, NCM, CARBON, CARBON])[mask])


def _real() -> list[dict[str, float]]:
    if "CATHODE_TF_REAL_DATA" not in os.environ:
        return []
    import tifffile

    folder = Path(os.environ["CATHODE_TF_REAL_DATA"]) / "nmc_xct"
    found = []
    for path in sorted(folder.glob("*_label.tif")):
        classes = np.array([NCM, CARBON, PORE])[tifffile.imread(path)]
        found.append(features(tifffile.imread(folder / path.name.replace("_label", "")), classes))
    return found


def comparison(count: int = 60) -> str:
    """Features of real nano-CT slices beside those of random synthetic ones."""
    columns = {"real nano-CT": _real()}
    for name in ("random nano-CT", "random SEM"):
        samples = synthesize(count, seed=3, height=400, width=400, parameters=KINDS[name])
        columns[f"{name} ({count})"] = [_of_sample(sample, sample.mask) for sample in samples]
        if name == "random nano-CT":
            annotators = (np.random.default_rng(number) for number in range(count))
            columns["the same, annotated"] = [
                _of_sample(sample, annotate(sample, rng))
                for sample, rng in zip(samples, annotators, strict=True)
            ]
    columns = {(f"{k} ({len(v)})" if k == "real nano-CT" else k): v for k, v in columns.items() if v}
    lines = [f"| feature | {' | '.join(columns)} |", "|---|" + "---|" * len(columns)]
    for feature in next(iter(columns.values()))[0]:
        cells = []
        for rows in columns.values():
            low, middle, high = np.nanpercentile([row[feature] for row in rows], [5, 50, 95])
            cells.append(f"{middle:.2f} ({low:.2f} to {high:.2f})")
        lines.append(f"| {feature} | {' | '.join(cells)} |")
    return "\n".join(lines)


def picture(path: Path) -> None:
    """Four kinds of sections, each with its mask laid over the right half."""
    shine = Parameters(particle_um=7).replace(shine_through=0.6, curtaining=8, edge_brightening=25)
    kinds = [Parameters.demo(), shine, Parameters(fragmentation=0.6, particle_um=9), Parameters.nano_ct()]
    tiles = []
    for parameters in kinds:
        sample = synthesize(seed=4, height=360, width=360, parameters=parameters)[0]
        shown = overlay(sample.image, sample.mask, sample.phases, alpha=0.6)
        shown[:, :180] = sample.image[:, :180, None]
        tiles.append(np.pad(shown, ((3, 3), (3, 3), (0, 0)), constant_values=255))
    grid = np.vstack([np.hstack(tiles[:2]), np.hstack(tiles[2:])])
    cv2.imwrite(str(path), grid[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 82])
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--picture", type=Path, help="also write the picture of docs/synthesis.md here")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    for title, table in (("Speed, Mpx/s", speed), ("Parameters met", accuracy), ("Features", comparison)):
        print(f"## {title}\n\n{table()}\n", flush=True)
    if options.picture:
        picture(options.picture)


if __name__ == "__main__":
    main()
