"""How well a reconstruction finds drift, curtains, thickness and lean, on serial cuts whose truth is known.

    python benchmarks/reconstruction.py run RESULTS.jsonl            # all; goes on where it stopped
    python benchmarks/reconstruction.py run RESULTS.jsonl drift      # one part
    python benchmarks/reconstruction.py table RESULTS.jsonl          # prints the tables

NUSCOPE_PYTHON=/path/to/python of an environment that holds NUScope-TOMO measures it beside, on the same stacks.
Parts: drift, curtains, thickness, particles, ablation, speed. The scenes stand in `serial_scenes.py`.
"""

from __future__ import annotations

import functools
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
from serial_scenes import HALFWAY, ellipsoids, serial_cuts

DRIFT = {
    "sharp": {"kind": "sharp"},
    "soft": {},
    "soft, noise 25": {"noise": 25.0},
    "soft, stripes that stay, 30": {"stripes": 30.0},
    "smooth grey": {"kind": "smooth"},
    "soft, still": {"walk": 0.0},
    "soft, still, stripes 30": {"walk": 0.0, "stripes": 30.0},
}
CURTAINS = {
    "soft": {"kind": "soft"},
    "sharp": {"kind": "sharp"},
    "soft, 20 slices": {"count": 20},
    "soft, structure twice as large": {"size": 9.0},
}
THICKNESS = {"sharp": {"kind": "sharp"}, "soft": {}, "soft, noise 25": {"noise": 25.0}}
NUSCOPE = """
import sys, numpy as np
from nuscope_tomo.preprocess.align import estimate_drift
from nuscope_tomo.preprocess.correct import destripe_slice
a = np.load(sys.argv[1])
class Stack:
    shape = a.shape
    def get_slice(self, c, i): return a[i]
if sys.argv[2] == "destripe":
    np.save(sys.argv[3], np.array([destripe_slice(v) for v in a]))
else:
    d = estimate_drift(Stack(), workers=1, offsets=(1, 2, 4, 8) if sys.argv[2] == "multibaseline" else (1,))
    np.save(sys.argv[3], -d[["dy", "dx"]].to_numpy())
"""


def nuscope(slices, what):
    """What NUScope-TOMO makes of it; None where it is not there."""
    python = os.environ.get("NUSCOPE_PYTHON")
    if not python:
        return None
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/a.npy", slices)
        subprocess.run([python, "-c", NUSCOPE, f"{folder}/a.npy", what, f"{folder}/d.npy"], check=True)
        return np.load(f"{folder}/d.npy")


def our_drift(slices):
    from cathode_tf.tomography.path import find_path
    from cathode_tf.tomography.steps import StepEstimator

    estimator = StepEstimator(slices[0].shape)
    spectra = [estimator.spectra(pixels) for pixels in slices]
    path = find_path([estimator.step(a, b) for a, b in itertools.pairwise(spectra)], {})
    # With --trend remove, so that both programs follow the whole picture.
    return path.shifts(np.zeros(2) if path.still else path.trend_px)


def drift_errors(found, truth):
    """Error of a step, and of their sum without its trend, rms px."""
    if found is None:
        return None
    steps = np.sqrt(np.square(np.diff(found - truth, axis=0)).mean())
    place, rest = np.arange(len(truth)), found - truth
    rest = rest - np.column_stack([np.polyval(np.polyfit(place, column, 1), place) for column in rest.T])
    return [float(steps), float(np.sqrt(np.square(rest).mean()))]


def drift():
    for seed, (name, scene) in itertools.product((11, 12), DRIFT.items()):

        def row(scene=scene, seed=seed):
            slices, truth, _, _ = serial_cuts(seed=seed, **scene)
            found = {"none": 0 * truth, "cathode_tf": our_drift(slices)}
            found |= {way: nuscope(slices, way) for way in ("multibaseline", "pairwise")}
            return {way: drift_errors(values, truth) for way, values in found.items()}

        yield f"{name}|{seed}", row


def cleaned(slices):
    from cathode_tf.tomography.curtains import find_curtains, find_pattern, without_curtains

    pattern = find_pattern(iter(slices))
    rows, columns = (np.arange(side) for side in slices[0].shape)
    steady = np.float32(0) if pattern is None else pattern.at(rows, columns)
    values = (pixels - steady for pixels in slices)
    return np.array([without_curtains(part, find_curtains(part))[0] for part in values])


def curtains():
    for seed, (name, scene), strength in itertools.product((0, 1), CURTAINS.items(), (0.0, 10.0, 30.0)):

        def row(scene=scene, strength=strength, seed=seed):
            told = {"count": 40, "walk": 0.0, "seed": seed, **scene}
            slices, plain = (serial_cuts(stripes=by, **told)[0] for by in (strength, 0.0))
            found = {"none": slices, "cathode_tf": cleaned(slices), "nuscope": nuscope(slices, "destripe")}
            truth = (plain > HALFWAY).mean()
            return {k: None if v is None else float((v > HALFWAY).mean() - truth) for k, v in found.items()}

        yield f"{name}|{strength:.0f}|{seed}", row


def thickness():
    from cathode_tf.tomography.ruler import Ruler
    from cathode_tf.tomography.thickness import find_thickness

    for seed, (name, scene) in itertools.product((0, 1, 2), THICKNESS.items()):

        def row(scene=scene, seed=seed):
            slices, _, _, depth = serial_cuts(walk=0.0, side=400, scatter=0.25, seed=seed, **scene)
            ruler, truth = Ruler(), np.diff(depth)
            for pixels in slices:
                ruler.add(pixels)
            found = find_thickness(ruler, None, None)
            each = np.std(found.relative / (truth / truth.mean()))
            mean = found.mean_px / truth.mean() - 1
            return {
                "each": float(each),
                "mean": float(mean),
                "u_mean": found.u_mean,
                "blur_px": found.blur_px,
            }

        yield f"{name}|{seed}", row


def particles():
    from cathode_tf.tomography.trends import particles_lean

    for seed in range(100):

        def row(seed=seed):
            drift = float(np.random.default_rng(1000 + seed).uniform(-0.3, 0.3))
            lean = particles_lean(ellipsoids(0.2 * (seed % 2), drift, seed=seed), (1.0, 1.0, 1.0))
            if lean is None:
                return {"particles": 0}
            off = [found - truth for found, truth in zip(lean.slope, (0.0, drift), strict=True)]
            return {"particles": lean.particles, "off": off, "half": list(lean.half_width), "drift": drift}

        yield str(seed), row


def ablation():
    """Porosity, carbon-binder share, surface, tortuosity: of the truth, the chain, and with a step left out."""
    from cathode_tf import reconstruct
    from cathode_tf.imaging.volumes import open_volume
    from cathode_tf.volumes.trust import measured as measured_labels

    @functools.lru_cache(1)
    def stack(seed):
        made = serial_cuts(count=80, stripes=20.0, flicker=0.04, size=6.0, binder=True, seed=seed)
        # Uneven light: a quarter brighter on one side than on the other.
        light = np.linspace(0.88, 1.12, made[0].shape[2])
        return np.clip(np.rint(made[0] * light), 0, 255).astype(np.uint8), made[2]

    def measured(grey):
        # One fixed segmentation: half-way between the truth's own grey levels.
        part = np.asarray(grey, np.float32)[:, 24:-24, 24:-24]
        smooth = np.array([cv2.GaussianBlur(layer, (0, 0), 1.0) for layer in part])
        labels = np.digitize(smooth, (67.5, 132.5)).astype(np.uint8)
        return measured_labels(labels, (0.02, 0.01, 0.01), 3)

    for seed in (21, 22):
        ways = ("truth", "raw slices", "whole chain", "align", "curtains", "background", "brightness")
        for way in ways:

            def row(way=way, seed=seed):
                slices, clean = stack(seed)
                if way in ("truth", "raw slices"):
                    return measured(clean if way == "truth" else slices)
                left_out = () if way == "whole chain" else (way,)
                with tempfile.TemporaryDirectory() as folder:
                    raw = Path(folder, "raw")
                    raw.mkdir()
                    for index, pixels in enumerate(slices):
                        cv2.imwrite(str(raw / f"s_{index:03}.png"), pixels)
                    told = {"tilt_deg": 90, "voxel_size_nm": (20.0, 10.0, 10.0), "without": left_out}
                    reconstruct(raw, Path(folder, "v.zarr"), **told)
                    return measured(np.array(list(open_volume(Path(folder, "v.zarr")).slices())))

            yield f"{way}|{seed}", row


def speed():
    for count in (30, 60, 120):

        def row(count=count):
            # A process of its own, so that its peak is its own.
            done = subprocess.run(
                [sys.executable, __file__, "one-speed", str(count)], check=True, stdout=subprocess.PIPE
            )
            return json.loads(done.stdout.splitlines()[-1])

        yield str(count), row


def one_speed(count):
    """Processor time a slice, minutes that passed, and peak memory for slices of 2048 x 1768."""
    from cathode_tf import reconstruct

    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "raw")
        raw.mkdir()
        rng = np.random.default_rng(0)
        field = rng.standard_normal((count // 3 + 2, 512, 442), np.float32)
        field = np.array([cv2.GaussianBlur(layer, (0, 0), 4) for layer in field])
        noise = rng.normal(0, 8, (2048, 1768)).astype(np.float32)
        for index in range(count):
            low, share = divmod(index / 3, 1)
            layer = field[int(low)] * (1 - share) + field[int(low) + 1] * share
            big = 40 + 130 * (cv2.resize(layer, (1768, 2048), interpolation=cv2.INTER_CUBIC) > 0)
            big = np.roll(big.astype(np.float32), rng.integers(-2, 3, 2), (0, 1))
            big = cv2.GaussianBlur(big, (0, 0), 1.5) + np.roll(noise, rng.integers(0, 999, 2), (0, 1))
            cv2.imwrite(str(raw / f"s_{index:03}.tif"), np.clip(big, 0, 255).astype(np.uint8))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start, began = time.process_time(), time.monotonic()
        reconstruct(raw, Path(folder, "v.zarr"), tilt_deg=90, voxel_size_nm=(10.0, 5.0, 5.0))
        spent, wall = (time.process_time() - start) / count, (time.monotonic() - began) / 60
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        json.dumps(
            {"slices": count, "s": spent, "peak_GB": peak / 1e6, "before_GB": before / 1e6, "min": wall}
        )
    )


PARTS = {part.__name__: part for part in (drift, curtains, thickness, particles, ablation, speed)}


def read(path):
    lines = Path(path).read_text().splitlines() if Path(path).exists() else []
    return {(entry["part"], entry["key"]): entry["row"] for entry in map(json.loads, lines)}


def run(path, *parts):
    done = read(path)
    for part in parts or PARTS:
        for key, row in PARTS[part]():
            if (part, key) not in done:
                entry = {"part": part, "key": key, "row": row()}
                with Path(path).open("a") as file:
                    file.write(json.dumps(entry) + "\n")
                print(entry, flush=True)


if __name__ == "__main__":
    command, *rest = sys.argv[1:]
    if command == "one-speed":
        one_speed(int(rest[0]))
    elif command == "table":
        from reconstruction_tables import tables

        print(tables(read(rest[0])))
    else:
        run(*rest)
