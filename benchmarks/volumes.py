"""How long a label volume's full sheet takes, how much memory, and how the numbers compare with PoreSpy's.

    python benchmarks/volumes.py 256 512 1024     # sizes of the synthetic volumes (PoreSpy up to 512)
    python benchmarks/volumes.py opinions         # corners of 64^3 voxels of real volumes

PoreSpy is measured where it is installed (`pip install porespy`); the real volumes are compared where
CATHODE_TF_REAL_DATA names the folder that holds them (volumes/ of TauFactor and SuperRes, both MIT). Every
size and every program runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SPACING = (1.0, 1.0, 1.0)
ROUNDS = 3


def spheres(side: int, path: Path, seed: int = 0) -> None:
    """Overlapping and touching balls of 12-28 voxels radius (lognormal), about 45 % of the volume; a .npy file."""
    rng = np.random.default_rng(seed)
    volume = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(side,) * 3)
    number = int(0.6 * side**3 / (4 / 3 * np.pi * 18**3))
    for centre, radius in zip(
        rng.uniform(0, side, (number, 3)),
        np.clip(rng.lognormal(np.log(18), 0.2, number), 12, 28),
        strict=True,
    ):
        low = np.maximum((centre - radius).astype(int), 0)
        high = np.minimum((centre + radius).astype(int) + 2, side)
        grid = np.ogrid[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        inside = sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) <= radius**2
        block = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        volume[block] |= inside.astype(np.uint8)


def ours(path: str) -> dict:
    """The full sheet, with everything but tortuosity."""
    from cathode_tf import Phases
    from cathode_tf.volumes import analyze_volume, open_volume

    with open_volume(path, Phases.from_names(["pore", "ncm"])) as volume:
        analysis = analyze_volume(volume)
    density = analysis.summary["surface_density"]["ncm"].value  # surface per volume, 1/px
    return {
        "grains": len(analysis.instances),
        "fraction": analysis.summary["fraction"]["ncm"].value,
        "surface": density * np.load(path, mmap_mode="r").size,
    }


def labelled(path: str) -> np.ndarray:
    """The label image on which both measure the same columns."""
    from cathode_tf.volumes.grains import coarse_share, coarse_shrink, find_grains

    solid = np.load(path) == 1
    shrink = coarse_shrink(solid.shape, SPACING)
    share = coarse_share(lambda a, b: solid[a:b], solid.shape, shrink)
    grains = find_grains(share, tuple(map(float, shrink)), shrink)
    return grains.slab(0, solid).astype(np.int32)


def ours_columns(path: str) -> dict:
    """Volume, diameter, surface, sphericity, centroid, border, contacts of each label."""
    from cathode_tf.volumes.grains import CoarseLabels, measure_grains

    labels = np.load(path)
    labels = labels.astype(np.min_scalar_type(int(labels.max())))
    grains = CoarseLabels(labels, (1, 1, 1))
    table, _ = measure_grains(
        lambda a, b: np.asarray(labels[a:b]) > 0, labels.shape, grains, spacing=SPACING, unit="px"
    )
    return {
        "grains": len(table),
        "volume": float(table["volume_px3"].sum()),
        "surface": float(table["surface_px2"].sum()),
    }


def porespy_columns(path: str) -> dict:
    """The same columns by PoreSpy: volume, equivalent diameter, centroid, and its mesh surface and sphericity."""
    import porespy

    porespy.settings.tqdm["disable"] = True
    labels = np.load(path)
    regions = porespy.metrics.regionprops_3D(labels)
    volumes = np.array([region.volume for region in regions])
    [(region.centroid, region.equivalent_diameter_area) for region in regions]
    surfaces = porespy.metrics.region_surface_areas(regions=labels)
    return {"grains": len(volumes), "volume": float(volumes.sum()), "surface": float(surfaces.sum())}


JOBS = {"ours": ours, "ours_columns": ours_columns, "porespy_columns": porespy_columns}


def run(job: str, path: Path) -> dict:
    """One job in its own process: its result, seconds and peak memory."""
    done = subprocess.run(
        [sys.executable, __file__, "--job", job, str(path)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def job_main(job: str, path: str) -> None:
    start = time.perf_counter()
    result = JOBS[job](path)
    result["seconds"] = time.perf_counter() - start
    result["memory_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps(result))


def row(*cells: object) -> None:
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def sizes_table(sides: list[int]) -> None:
    print("## Full sheet and per-instance columns\n")
    row("voxels", "program", "instances", "seconds", "peak memory, GB", "surface, px^2")
    row(*["---"] * 6)
    for side in sides:
        with tempfile.TemporaryDirectory() as folder:
            path, labels = Path(folder) / "volume.npy", Path(folder) / "labels.npy"
            spheres(side, path)
            jobs = [("cathode_tf, full sheet", "ours", path)]
            if side <= 512:
                np.save(labels, labelled(str(path)))
                jobs += [
                    ("cathode_tf, columns only", "ours_columns", labels),
                    ("PoreSpy, same columns", "porespy_columns", labels),
                ]
            # In turns, so that what else the machine does hits all alike.
            rounds = ROUNDS if side <= 512 else 1
            found = [[run(job, source) for _, job, source in jobs] for _ in range(rounds)]
            for (name, _, _), results in zip(jobs, zip(*found, strict=True), strict=True):
                if "error" in results[0]:
                    row(f"{side}^3", name, results[0]["error"], "", "", "")
                    continue
                seconds = statistics.median(result["seconds"] for result in results)
                memory = max(result["memory_gb"] for result in results)
                grains, surface = results[0]["grains"], results[0]["surface"]
                row(f"{side}^3", name, grains, f"{seconds:.1f}", f"{memory:.1f}", f"{surface:.5g}")


def opinions_table(folder: Path) -> None:
    """Fractions, surfaces, contacts and tortuosity of the real volumes, by us and by others."""
    import tifffile
    from skimage.measure import marching_cubes, mesh_surface_area

    from cathode_tf import Phases
    from cathode_tf.volumes import Volume, analyze_volume

    print("\n## Second opinions on real volumes\n")
    row("volume", "quantity", "cathode_tf", "other", "other program", "ratio")
    row(*["---"] * 6)
    for name in ("electrode_three_phase_256.tif", "nmc_two_phase_128.tif", "sofc_three_phase_62.tif"):
        labels = tifffile.imread(folder / name)
        values = np.unique(labels)
        indices = np.searchsorted(values, labels).astype(np.uint8)[:64, :64, :64]
        phases = Phases.from_names(["pore", *[f"solid{k}" for k in range(1, len(values))]])
        summary = analyze_volume(Volume(indices, phases), thickness=True, tortuosity=True).summary
        meshes = []
        for index, phase in enumerate(phases.names):
            solid = indices == index
            mine = summary["fraction"][phase].value
            row(
                name,
                f"fraction {phase}",
                f"{mine:.4f}",
                f"{solid.mean():.4f}",
                "numpy",
                _ratio(mine, solid.mean()),
            )
            mesh = marching_cubes(solid.astype(np.float32), 0.5)
            theirs = mesh_surface_area(mesh[0], mesh[1]) / solid.size
            meshes.append(theirs)
            mine = summary["surface_density"][phase].value
            row(
                name,
                f"S_V {phase}, 1/px",
                f"{mine:.4f}",
                f"{theirs:.4f}",
                "scikit-image mesh",
                _ratio(mine, theirs),
            )
        for i, j in itertools.combinations(range(len(meshes)), 2) if len(meshes) == 3 else ():
            # What two phases have in common is half of what their surfaces have more than their union's.
            key = f"{phases.names[i]}|{phases.names[j]}"
            theirs = (meshes[i] + meshes[j] - meshes[3 - i - j]) / 2
            mine = summary["contact_density"][key].value
            row(
                name,
                f"contact {key}, 1/px",
                f"{mine:.4f}",
                f"{theirs:.4f}",
                "scikit-image mesh",
                _ratio(mine, theirs),
            )
        _porespy_rows(name, indices, phases, summary)


def _porespy_rows(name: str, indices: np.ndarray, phases, summary) -> None:
    try:
        import porespy
    except ImportError:
        row(name, "PoreSpy", "", "", "not installed", "")
        return
    porespy.settings.tqdm["disable"] = True
    pore = indices == 0
    thickness = porespy.filters.local_thickness(pore)
    mine, theirs = summary["local_thickness"]["pore"].value, 2 * thickness[pore].mean()
    row(name, "local thickness pore, px", f"{mine:.3f}", f"{theirs:.3f}", "PoreSpy", _ratio(mine, theirs))
    tau = summary["tortuosity_factor"]["pore|z"]
    try:
        import taufactor

        solver = taufactor.Solver(pore.astype(np.uint8), device="cpu")
        theirs = float(np.ravel(solver.solve(verbose=False))[0])
        row(
            name,
            "tortuosity factor pore, z",
            tau.value and f"{tau.value:.3f}",
            f"{theirs:.3f}",
            "TauFactor",
            _ratio(tau.value or np.nan, theirs),
        )
    except ImportError:
        row(name, "tortuosity factor pore, z", tau, "", "TauFactor not installed", "")
    _size_rows(name, indices == 1)
    if len(phases) > 2:
        areas = porespy.metrics.region_interface_areas(
            regions=indices + 1, areas=np.asarray(porespy.metrics.region_surface_areas(regions=indices + 1))
        )
        for (i, j), area in zip(areas.conns, areas.area, strict=True):
            key = f"{phases.names[i]}|{phases.names[j]}"
            mine = summary["contact_density"][key].value
            theirs = float(area) / indices.size
            row(name, f"contact {key}, 1/px", f"{mine:.4f}", f"{theirs:.4f}", "PoreSpy", _ratio(mine, theirs))


def _size_rows(name: str, solid: np.ndarray) -> None:
    """Sizes and surfaces of the same instances."""
    import porespy

    from cathode_tf.volumes.grains import find_grains, measure_grains

    grains = find_grains(solid.astype(np.float32), SPACING, (1, 1, 1))
    mine, _ = measure_grains(lambda a, b: solid[a:b], solid.shape, grains, spacing=SPACING, unit="px")
    labels = grains.slab(0, solid).astype(np.int32)
    theirs = [region.equivalent_diameter_area for region in porespy.metrics.regionprops_3D(labels)]
    ours, other = float(mine["equivalent_diameter_px"].median()), float(np.median(theirs))
    row(name, "median diameter solid1, px", f"{ours:.3f}", f"{other:.3f}", "PoreSpy", _ratio(ours, other))


def powder_rows(folder: Path) -> None:
    """The masks of four images of powder: fraction, outline, sizes, contacts of the same instances."""
    import powder
    from skimage.measure import regionprops_table

    from cathode_tf import Phases
    from cathode_tf.analysis import analyze
    from cathode_tf.particles.instances import label_instances
    from cathode_tf.particles.measures import measure_instances

    for name, points in powder.polygons(folder).items():
        mask = np.any([powder.with_outline(p) for p in points], axis=0).astype(np.uint8)
        labels = label_instances(mask, 1)
        mine = measure_instances(labels, min_shape_px=0)
        names = ("equivalent_diameter_area", "perimeter_crofton", "feret_diameter_max", "solidity")
        theirs = regionprops_table(labels, properties=names)
        result = analyze({name: mask}, Phases.from_names(["pore", "ncm"])).summary["fraction"]["ncm"].value
        pairs = {
            "fraction": (result, mask.mean(), "numpy"),
            "median diameter, px": (
                mine["equivalent_diameter_px"].median(),
                np.median(theirs[names[0]]),
                "scikit-image",
            ),
            "sum of perimeters, px": (mine["perimeter_px"].sum(), theirs[names[1]].sum(), "scikit-image"),
            "median of largest Feret, px": (
                mine["feret_max_px"].median(),
                np.median(theirs[names[2]]),
                "scikit-image",
            ),
            "median solidity": (mine["solidity"].median(), np.median(theirs[names[3]]), "scikit-image"),
        }
        for quantity, (ours, other, program) in pairs.items():
            row(name[:22], quantity, f"{ours:.4f}", f"{other:.4f}", program, _ratio(ours, other))


def _ratio(mine: float, theirs: float) -> str:
    return f"{mine / theirs:.3f}"


def main() -> None:
    if sys.argv[1:2] == ["--job"]:
        job_main(sys.argv[2], sys.argv[3])
        return
    sides = [int(text) for text in sys.argv[1:] if text.isdigit()]
    if sides:
        sizes_table(sides)
    folder = os.environ.get("CATHODE_TF_REAL_DATA")
    if folder and "opinions" in sys.argv:
        opinions_table(Path(folder) / "volumes")
        powder_rows(Path(folder) / "powder_sem")


if __name__ == "__main__":
    main()
