"""How fast sections are made, how exactly parameters are met, and how far features are from those of real pictures.

    CATHODE_TF_REAL_DATA=/path/to/data python benchmarks/synthesis.py \\
        --picture docs/synthesis.jpg --beside docs/synthesis-real.jpg

prints markdown tables; without the environment variable, there are no real columns. Speed is in megapixels per second
of processor time on one core, once with a body for each section and once with a body for 32, which lie a median
particle diameter apart or more. Features are medians over images, with the range of nine in ten.
Real data: Su et al., npj Comput. Mater. 8 (2022) 30; ZeliangSu/SegmentPy, Apache-2.0 (nano-CT);
tldr-group/samba-web, MIT (the secondary electron picture and the rectangles that its authors named).
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
    "SE": Parameters.se(),
    "BSE": Parameters.preset("bse"),
    "LCO, SE": Parameters.lco(),
    "fragmentation 0.5": Parameters(fragmentation=0.5),
    "nano-CT": Parameters.nano_ct(),
    "random SE": partial(Parameters.random, modality="se"),
    "random BSE": partial(Parameters.random, modality="bse"),
    "random nano-CT": partial(Parameters.random, modality="nano-ct"),
}
# A synthetic picture of the scale of the real one of secondary electrons: grains, nodules and cracks as wide in pixels.
TWIN = Parameters.se().replace(
    pixel_size_nm=12,
    particle_um=7,
    grain_um=0.8,
    fines_fraction=0.25,
    infiltration=0.35,
    nodule_um=0.12,
    fragmentation=0.3,
    crack_um=0.05,
)
PORE, NCM, CARBON = 0, 1, 2


def speed(side: int = 512, cuts: int = 32) -> str:
    """Megapixels per second of one core."""
    lines = [f"| kind ({side} x {side}) | a body a section | a body for {cuts} |", "|---|---|---|"]
    for name, parameters in KINDS.items():
        cells = []
        for count, shared in ((6, 1), (cuts, cuts)):
            samples = synthesize(count, seed=1, height=side, width=side, parameters=parameters, cuts=shared)
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
    for name in ("random nano-CT", "random SE", "random BSE"):
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


LAGS = (1, 2, 4, 8, 16)


def textures(patch: np.ndarray) -> dict[str, float]:
    """Grey levels, and how far two points `lag` pixels apart differ (root of the semivariogram): what a power
    spectrum tells, and a small rectangle can give."""
    patch = patch.astype(np.float32)
    found = {"mean grey": float(patch.mean()), "spread of grey": float(patch.std())}
    for lag in LAGS:
        apart = [patch[lag:] - patch[:-lag], patch[:, lag:] - patch[:, :-lag]]
        found[f"difference at {lag} px"] = float(np.sqrt(np.mean([(d**2).mean() for d in apart]) / 2))
    return found


def _twin_patches(count: int = 4) -> dict[str, list[np.ndarray]]:
    """Squares of one phase in the synthetic twins, away from its border."""
    found: dict[str, list[np.ndarray]] = {"active material": [], "carbon-binder": []}
    for sample in synthesize(count, seed=2, height=682, width=1024, parameters=TWIN):
        ncm = cv2.erode((sample.mask == 1).astype(np.uint8), np.ones((61, 61)))
        carbon = cv2.blur((sample.mask >= 2).astype(np.float32), (61, 61))
        for name, there in (("active material", ncm > 0), ("carbon-binder", carbon > 0.55)):
            there[:30], there[-30:], there[:, :30], there[:, -30:] = False, False, False, False
            rows, columns = np.nonzero(there)
            for index in range(0, rows.size, max(1, rows.size // 6)):
                y, x = rows[index], columns[index]
                found[name].append(sample.image[y - 28 : y + 28, x - 28 : x + 28])
    return found


def electrons() -> str:
    """Textures of a real picture of secondary electrons beside its synthetic twin."""
    from cathode_tf.imaging import read_micrograph

    folder = Path(os.environ["CATHODE_TF_REAL_DATA"]) / "fibsem_sparse"
    image = read_micrograph(folder / "4_phase.tif").pixels
    real = {"active material": image[199:373, 241:343], "carbon-binder": image[460:512, 4:149]}
    lines = ["| phase | feature | real | synthetic (5 to 95 %) | median / real |", "|---|---|---|---|---|"]
    for name, patches in _twin_patches().items():
        rows = [textures(patch) for patch in patches]
        for feature, value in textures(real[name]).items():
            low, middle, high = np.percentile([row[feature] for row in rows], [5, 50, 95])
            lines.append(
                f"| {name} | {feature} | {value:.1f} | {middle:.1f} ({low:.1f} to {high:.1f}) | {middle / value:.2f} |"
            )
    return "\n".join(lines)


def beside(path: Path) -> None:
    """The real picture of secondary electrons above its synthetic twin, and real nano-CT above synthetic."""
    import tifffile

    folder = Path(os.environ["CATHODE_TF_REAL_DATA"])
    real = tifffile.imread(folder / "fibsem_sparse" / "4_phase.tif")[:, :700]
    twin = synthesize(seed=2, height=682, width=1024, parameters=TWIN)[0].image[:, 324:]
    tomogram = tifffile.imread(folder / "nmc_xct" / "103.tif")[:340, :340].astype(np.float32)
    low, high = np.percentile(tomogram, [0.3, 99.7])
    tomogram = np.clip((tomogram - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    ct = Parameters.nano_ct().replace(pixel_size_nm=90, blur_px=5)
    synthetic = synthesize(seed=6, height=340, width=340, parameters=ct)[0].image
    left = np.hstack([real, np.full((682, 4), 255, np.uint8), twin])
    right = np.vstack([tomogram, np.full((2, 340), 255, np.uint8), synthetic])
    shown = np.hstack([left, np.full((682, 4), 255, np.uint8), right])
    cv2.imwrite(str(path), cv2.resize(shown, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA))
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def picture(path: Path) -> None:
    """Kinds of sections, each with its mask laid over the right half."""
    kinds = [
        Parameters.se().replace(pixel_size_nm=35),
        Parameters.preset("bse").replace(pixel_size_nm=35),
        Parameters.lco().replace(pixel_size_nm=35),
        Parameters.se().replace(pixel_size_nm=35, infiltration=1, grey_filling=245),
        Parameters(fragmentation=0.6, particle_um=9),
        Parameters.nano_ct(),
    ]
    tiles = []
    for parameters in kinds:
        sample = synthesize(seed=4, height=330, width=330, parameters=parameters)[0]
        shown = overlay(sample.image, sample.mask, sample.phases, alpha=0.6)
        shown[:, :200] = sample.image[:, :200, None]
        tiles.append(np.pad(shown, ((3, 3), (3, 3), (0, 0)), constant_values=255))
    grid = np.vstack([np.hstack(tiles[:3]), np.hstack(tiles[3:])])
    cv2.imwrite(str(path), grid[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 82])
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--picture", type=Path, help="also write the picture of docs/synthesis.md here")
    parser.add_argument("--beside", type=Path, help="also write synthetic pictures beside real ones here")
    parser.add_argument("--only", choices=["speed", "accuracy", "features", "electrons", "none"])
    options = parser.parse_args()
    cv2.setNumThreads(1)
    tables = {
        "speed": ("Speed, Mpx/s", speed),
        "accuracy": ("Parameters met", accuracy),
        "features": ("Features", comparison),
    }
    if "CATHODE_TF_REAL_DATA" in os.environ:
        tables["electrons"] = ("Secondary electrons", electrons)
    for name, (title, table) in tables.items():
        if options.only in (None, name):
            print(f"## {title}\n\n{table()}\n", flush=True)
    if options.picture:
        picture(options.picture)
    if options.beside:
        beside(options.beside)


if __name__ == "__main__":
    main()
