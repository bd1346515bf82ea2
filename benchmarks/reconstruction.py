"""How well a reconstruction finds drift, curtains, thickness and lean, on serial cuts whose truth is known.

    python benchmarks/reconstruction.py drift        # NUScope-TOMO beside us: NUSCOPE_PYTHON=/path/to/its/python
    python benchmarks/reconstruction.py curtains
    python benchmarks/reconstruction.py thickness
    python benchmarks/reconstruction.py particles 100
    python benchmarks/reconstruction.py ablation
    python benchmarks/reconstruction.py speed 20     # slices of 2048 x 1768: processor time and peak memory

Fields are Gaussian noise, smoothed over 4.5 px, cut at +0.3 standard deviations into a dark (40) and a bright
(170) phase.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from scipy import ndimage

SIDE = 240
MARGIN = 24
HALFWAY = 105


def serial_cuts(
    kind="soft", count=100, noise=8.0, walk=0.56, stripes=0.0, flicker=0.0, thickness=None, seed=0
):
    """Slices uint8, drift (n, 2), grey before drift, stripes and noise (n, side, side), and positions along z."""
    rng = np.random.default_rng(seed)
    steps = np.full(count - 1, 2.0) if thickness is None else thickness(rng, count - 1)
    depth = np.r_[1.0, 1.0 + np.cumsum(steps)]
    wide = SIDE + 2 * MARGIN
    field = ndimage.gaussian_filter(
        rng.standard_normal((int(depth[-1]) + 3, wide, wide), dtype=np.float32), 4.5, mode="wrap"
    )
    field /= field.std()
    drift = (
        np.r_[np.zeros((1, 2)), rng.normal(0, walk, (count - 1, 2)).cumsum(0)]
        if walk
        else np.zeros((count, 2))
    )
    drift = np.clip(drift, 2 - MARGIN, MARGIN - 2)
    columns = ndimage.gaussian_filter1d(rng.standard_normal(SIDE), 1.5)
    columns = (columns - columns.mean()) * (stripes / columns.std())
    slices, clean = [], []
    inside = slice(MARGIN, MARGIN + SIDE)
    for place, shift in zip(depth, drift, strict=True):
        low, share = divmod(place, 1)
        level = field[int(low)] * (1 - share) + field[int(low) + 1] * share
        grey = 128 + 33 * level if kind == "smooth" else 40 + 130 * (level > 0.3).astype(np.float32)
        if kind != "smooth":
            grey = cv2.GaussianBlur(grey, (0, 0), 2.0 if kind == "soft" else 0.5)
        clean.append(grey[inside, inside])
        move = np.float32([[1, 0, shift[1]], [0, 1, shift[0]]])
        seen = cv2.warpAffine(grey, move, grey.shape[::-1])[inside, inside]
        seen = (seen + rng.normal(0, noise, seen.shape) + columns) * (1 + rng.normal(0, flicker))
        slices.append(np.clip(np.rint(seen), 0, 255).astype(np.uint8))
    return np.array(slices), drift, np.array(clean), depth


def our_drift(slices):
    from cathode_tf.tomography.path import find_path
    from cathode_tf.tomography.steps import StepEstimator

    estimator = StepEstimator(slices[0].shape)
    spectra = [estimator.spectra(pixels) for pixels in slices]
    path = find_path([estimator.step(a, b) for a, b in itertools.pairwise(spectra)], {})
    # With --trend remove, so that both programs follow the whole picture.
    trend = np.zeros(2) if path.still else path.trend_px
    return path.shifts(trend)


NUSCOPE = """
import sys, numpy as np
from nuscope_tomo.core.volume import Volume
from nuscope_tomo.preprocess.align import estimate_drift
a = np.load(sys.argv[1])
class Stack:
    shape = a.shape
    def get_slice(self, c, i): return a[i]
d = estimate_drift(Stack(), workers=1)
np.save(sys.argv[2], -d[["dy", "dx"]].to_numpy())
"""


def nuscope_drift(slices):
    python = os.environ.get("NUSCOPE_PYTHON")
    if not python:
        return None
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/a.npy", slices)
        subprocess.run([python, "-c", NUSCOPE, f"{folder}/a.npy", f"{folder}/d.npy"], check=True)
        return np.load(f"{folder}/d.npy")


def errors(found, truth):
    """Step error and cumulative error without its trend, rms px."""
    if found is None:
        return "-", "-"
    steps = np.sqrt(np.square(np.diff(found - truth, axis=0)).mean())
    place, rest = np.arange(len(truth)), found - truth
    rest = rest - np.column_stack([np.polyval(np.polyfit(place, column, 1), place) for column in rest.T])
    return f"{steps:.3f}", f"{np.sqrt(np.square(rest).mean()):.2f}"


def drift():
    print("| stack of 100 slices | no correction | cathode_tf | NUScope-TOMO |\n| --- | --- | --- | --- |")
    scenes = {
        "sharp": {"kind": "sharp"},
        "soft": {},
        "smooth grey": {"kind": "smooth"},
        "soft, noise 25": {"noise": 25.0},
        "soft, stripes that stay, 30": {"stripes": 30.0},
        "soft, still": {"walk": 0.0},
        "soft, still, stripes 30": {"walk": 0.0, "stripes": 30.0},
    }
    for name, scene in scenes.items():
        slices, truth, _, _ = serial_cuts(seed=11, **scene)
        cells = [" / ".join(errors(f, truth)) for f in (0 * truth, our_drift(slices), nuscope_drift(slices))]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def curtains():
    from cathode_tf.tomography.curtains import find_curtains, find_pattern, without_curtains

    print("| stripes, grey levels | bias before | bias after |\n| --- | --- | --- |")
    for strength in (0.0, 5.0, 10.0, 20.0, 30.0):
        biases = []
        for seed in range(3):
            slices, _, _, _ = serial_cuts(count=40, walk=0.0, stripes=strength, seed=seed)
            plain, _, _, _ = serial_cuts(count=40, walk=0.0, stripes=0.0, seed=seed)
            pattern = find_pattern(iter(slices))
            place = np.arange(SIDE)
            steady = 0 if pattern is None else pattern.at(place, place)
            after = [
                without_curtains(v, find_curtains(v))[0] for v in (s - np.float32(0) - steady for s in slices)
            ]
            truth = (plain > HALFWAY).mean()
            biases.append([(part > HALFWAY).mean() - truth for part in (slices, np.array(after))])
        before, after = np.array(biases).T
        print(f"| {strength:.0f} | {np.abs(before).max():.4f} | {np.abs(after).max():.4f} |", flush=True)


def thickness():
    from cathode_tf.tomography.thickness import Ruler, find_thickness

    print("| stack | error a slice, rms | error of the mean |\n| --- | --- | --- |")
    for kind in ("sharp", "soft", "smooth"):
        each, mean = [], []
        for seed in range(3):
            slices, _, _, depth = serial_cuts(
                kind, 60, walk=0.0, thickness=lambda rng, n: np.maximum(rng.normal(2, 0.5, n), 0.5), seed=seed
            )
            ruler = Ruler()
            for pixels in slices:
                ruler.add(pixels)
            found, truth = find_thickness(ruler, None, None), np.diff(depth)
            each.append(np.std(found.relative / (truth / truth.mean())))
            mean.append(found.mean_px / truth.mean() - 1)
        print(f"| {kind} | {np.mean(each):.1%} | {', '.join(f'{m:+.1%}' for m in mean)} |", flush=True)


def ellipsoids(rng, lean, drift):
    """60 slices of ellipsoids (axes within 20 %) that drift bends, and of a web between them that leans besides."""
    z, y, x = np.mgrid[0:60, 0:170, 0:170].astype(np.float32)
    volume = np.full(z.shape, 40, np.float32)
    for _ in range(110):
        radius, centre = rng.uniform(6, 10), rng.uniform((0, 0, 0), (60, 170, 170))
        axes = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        scale = radius * rng.uniform(0.9, 1.1, 3)
        low = np.maximum((centre - 16).astype(int), 0)
        box = tuple(slice(a, a + 34) for a in low)
        rest = np.stack([z[box] - centre[0], y[box] - centre[1], x[box] - centre[2]], -1)
        rest[..., 2] -= drift * (z[box] - centre[0])
        volume[box][np.square(rest @ axes / scale).sum(-1) < 1] = 170
    # A web that leans, as structure does, on top of the drift.
    web = ndimage.gaussian_filter(rng.standard_normal((60, 170, 170), dtype=np.float32), 3, mode="wrap")
    for layer in range(60):
        part = ndimage.shift(web[layer], (0, (lean + drift) * layer), order=1, mode="grid-wrap")
        volume[layer] += 40 * (part > web.std()) * (volume[layer] < 100)
    return volume + rng.normal(0, 8, volume.shape)


def particles(count=100):
    from cathode_tf.tomography.trends import particles_lean

    inside, halves, numbers = [], [], []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        drift = float(rng.uniform(-0.3, 0.3))
        lean = particles_lean(ellipsoids(rng, lean=0.2 * (seed % 2), drift=drift), (1.0, 1.0, 1.0))
        if lean is None:
            continue
        for found, half, truth in zip(lean.slope, lean.half_width, (0.0, drift), strict=True):
            inside.append(abs(found - truth) <= half)
            halves.append(half)
        numbers.append(lean.particles)
    print(
        f"{len(numbers)} of {count} stacks, {np.mean(numbers):.0f} particles each: the interval holds the truth in "
        f"{np.mean(inside):.1%}, "
        f"its median half-width is {np.median(halves):.3f} px a slice."
    )


def ablation():
    """Porosity and surface of a soft stack with everything wrong, of the whole chain, and with each step left out."""
    from cathode_tf import Phases, reconstruct
    from cathode_tf.imaging.volumes import open_volume
    from cathode_tf.volumes import Volume, analyze_volume
    from cathode_tf.volumes.tortuosity import tortuosity_factor

    slices, _, clean, _ = serial_cuts(count=80, stripes=25.0, flicker=0.04, seed=21)
    phases = Phases.from_names(["pore", "ncm"])

    def measured(grey):
        part = np.asarray(grey, np.float32)[:, 30:-30, 30:-30]
        labels = (part > HALFWAY).astype(np.uint8)
        volume = Volume(labels, phases, voxel_size_nm=(20.0, 10.0, 10.0))
        summary = analyze_volume(volume, thickness=False).summary
        tau = [
            tortuosity_factor(lambda a, b: labels[a:b] == 0, labels.shape, volume.spacing, axis).value
            for axis in (0, 2)
        ]
        ratio = f"{tau[0] / tau[1]:.3f}" if None not in tau else "-"
        return f"{summary['fraction']['pore'].value:.4f} | {summary['surface_density']['pore'].value:.3f} | {ratio}"

    print("| volume | porosity | surface, 1/um | tau_z / tau_x |\n| --- | --- | --- | --- |")
    print(f"| truth | {measured(clean)} |", flush=True)
    print(f"| raw slices | {measured(slices)} |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "raw")
        raw.mkdir()
        for index, pixels in enumerate(slices):
            cv2.imwrite(str(raw / f"s_{index:03}.png"), pixels)
        for left_out in ((), ("align",), ("curtains",), ("brightness",)):
            out = Path(folder, f"v{len(list(Path(folder).iterdir()))}.zarr")
            reconstruct(raw, out, tilt_deg=90, voxel_size_nm=(20.0, 10.0, 10.0), without=left_out)
            name = f"without {left_out[0]}" if left_out else "whole chain"
            print(f"| {name} | {measured(np.array(list(open_volume(out).slices())))} |", flush=True)


def speed(count=20):
    """Processor time a slice and peak memory for slices of 2048 x 1768."""
    from cathode_tf import reconstruct

    base, _, _, _ = serial_cuts(count=count, walk=0.0, noise=0.0)
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "raw")
        raw.mkdir()
        for index, pixels in enumerate(base):
            big = cv2.resize(pixels, (2048, 1768), interpolation=cv2.INTER_LINEAR).astype(np.float32)
            big = np.roll(big, rng.integers(-2, 3, 2), (0, 1)) + rng.normal(0, 8, big.shape).astype(
                np.float32
            )
            cv2.imwrite(str(raw / f"s_{index:03}.tif"), np.clip(big, 0, 255).astype(np.uint8))
        start = time.process_time()
        reconstruct(raw, Path(folder, "v.zarr"), tilt_deg=90, voxel_size_nm=(10.0, 5.0, 5.0))
        spent = (time.process_time() - start) / count
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps({"slices": count, "processor_s_a_slice": round(spent, 2), "peak_GB": round(peak, 2)}))


if __name__ == "__main__":
    command, *rest = sys.argv[1:]
    {
        "drift": drift,
        "curtains": curtains,
        "thickness": thickness,
        "particles": lambda: particles(int(rest[0]) if rest else 100),
        "ablation": ablation,
        "speed": lambda: speed(int(rest[0]) if rest else 20),
    }[command]()
