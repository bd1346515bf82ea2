"""Raw slices in; a volume that can be measured, and the record of everything that was done, out.

Two passes over the slices, one at a time: the first finds the steps between them, the second writes the volume.
What is found is kept beside the output, so that a run that was killed goes on where it stopped.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.files import pixel_sha256, plain, read_json, refuse_overwrite, write_json
from cathode_tf.imaging.volume_writing import OURS, OmeZarr, read_back, write_tiff_volume
from cathode_tf.ownership import refuse_foreign, refuse_inputs, unlike_entry
from cathode_tf.progress import track
from cathode_tf.tomography.brightness import (
    Illumination,
    Material,
    find_material,
    gains,
    level_of,
)
from cathode_tf.tomography.curtains import find_pattern
from cathode_tf.tomography.geometry import Geometry, Settings, find_geometry
from cathode_tf.tomography.path import Path as DriftPath
from cathode_tf.tomography.path import find_path, too_many_refused
from cathode_tf.tomography.slices import Stack, open_slices
from cathode_tf.tomography.steps import Step, StepEstimator
from cathode_tf.tomography.thickness import Ruler, Thickness, find_thickness
from cathode_tf.tomography.transforms import Transforms, as_type, common_field
from cathode_tf.tomography.trends import particles_lean, thinning
from cathode_tf.version import __version__

SAMPLES = 40
RECORD = "reconstruction.json"
T = TypeVar("T")
S = TypeVar("S")


@dataclass(frozen=True)
class Reconstruction:
    """What was made, and how.

    Attributes:
        path: The volume.
        record_path: `reconstruction.json`.
        shape: Slices, height, width.
        voxel_nm: Edges along z, y, x; None = unknown.
        record: What `reconstruction.json` holds.
    """

    path: Path
    record_path: Path
    shape: tuple[int, int, int]
    voxel_nm: tuple[float | None, float | None, float | None]
    record: dict[str, Any]

    @property
    def steps(self) -> dict[str, str]:
        """What each step did, a sentence each."""
        return self.record["steps"]

    @property
    def warnings(self) -> list[str]:
        """What the user should look at."""
        return self.record["warnings"]


def reconstruct(
    slices: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    settings: Settings | None = None,
    repeat: str | Path | None = None,
    force: bool = False,
    **options: Any,
) -> Reconstruction:
    """Make a volume from raw FIB-SEM slices: tilt, alignment, crop, curtains, background, brightness, thickness.

    Args:
        slices: A folder, files in any order, or a multi-page TIFF; 8 or 16 bits. They are only read.
        out: `.zarr` (OME-Zarr) or `.tif`.
        settings: What is done; default: all steps, with what the files say.
        repeat: A `reconstruction.json`: the same transforms are used, and nothing is looked for. The slices may be
            those of another detector.
        force: Replace what is at `out`, if cathode-tf wrote it.
        **options: Fields of `Settings`, in place of `settings`.

    Returns:
        The reconstruction; the same command goes on where a run was killed.

    Raises:
        InputError: If the slices are not those of one volume, or something is needed that no file says.

    Example:
        >>> made = reconstruct("slices", "volume.zarr", tilt_deg=52, view="followed")   # doctest: +SKIP
        >>> made.voxel_nm                                                              # doctest: +SKIP
        (20.0, 10.0, 10.0)
    """
    if settings is not None and options:
        raise InputError("settings: must not be given together with single options.")
    settings = settings or Settings(**options)
    out = Path(out)
    record_path = _record_path(out)
    given = [slices] if isinstance(slices, (str, Path)) else list(slices)
    refuse_inputs(out, [*given, repeat])
    if out.is_dir() and force:
        refuse_foreign(out, unlike_entry(out, OURS))
    else:
        refuse_overwrite(out, force)
    earlier = None if repeat is None else read_json(repeat)
    if earlier is not None:
        settings = _earlier_settings(earlier, settings)
    stack = open_slices(
        slices,
        order=settings.order,
        gaps=settings.gaps,
        detector=settings.detector,
        databar=settings.databar,
    )
    work = _Work(out, stack, settings, earlier)
    made = _Run(stack, settings, work, earlier).run()
    return _put_in_place(made, work, out, record_path, force)


class _Work:
    """The folder beside the output in which a run keeps what it found; the same command finds it again."""

    def __init__(self, out: Path, stack: Stack, settings: Settings, earlier: dict[str, Any] | None) -> None:
        self.folder = out.with_name(f".{out.name}.partial")
        files = [[str(item.path.resolve()), item.page, *_stamp(item.path)] for item in stack.slices]
        told = asdict(settings)
        mine = json.loads(json.dumps({"version": __version__, "files": files, "settings": told, "from": earlier}))
        self.resumed = False
        plan = self.folder / "plan.json"
        try:
            if self.folder.exists() and not (plan.exists() and read_json(plan) == mine):
                # What another command, or the same one on other files, has begun is of no use.
                shutil.rmtree(self.folder)
            self.resumed = plan.exists()
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{out}: cannot be written ({error.strerror}).") from error
        if not self.resumed:
            write_json(plan, mine)

    def lines(self, name: str) -> list[dict[str, Any]]:
        """The whole lines of a log that an earlier run wrote; a last one that was cut off is left out."""
        found: list[dict[str, Any]] = []
        path = self.folder / name
        if path.exists():
            for line in path.read_text("utf-8").splitlines():
                try:
                    found.append(json.loads(line))
                except ValueError:
                    break
            path.write_text("".join(json.dumps(entry) + "\n" for entry in found), "utf-8")
        return found

    def log(self, name: str, entry: dict[str, Any]) -> None:
        with (self.folder / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


def _stamp(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


class _Run:
    """One reconstruction, step by step."""

    def __init__(
        self, stack: Stack, settings: Settings, work: _Work, earlier: dict[str, Any] | None
    ) -> None:
        self.stack, self.settings, self.work, self.earlier = stack, settings, work, earlier
        self.said: dict[str, str] = {}
        self.warnings: list[str] = []

    def run(self) -> dict[str, Any]:
        geometry = find_geometry(self.stack, self.settings)
        self.said["read"] = (
            f"{len(self.stack)} slices of {self.stack.shape[1]} x {self.stack.shape[0]} px, {self.stack.dtype}."
        )
        self.said["tilt"] = " ".join(geometry.said)
        if self.earlier is None:
            samples = self._samples()
            found = self._first_pass(samples)
            transforms, details = self._transforms(geometry, samples, found)
        else:
            transforms, details = self._repeated()
        volume, ruler = self._write(transforms)
        thickness = self._thickness(ruler, geometry)
        volume, voxel = self._isotropic(volume, geometry, thickness)
        volume.finish(voxel, "volume")
        return self._record(volume, voxel, geometry, transforms, thickness, details)

    # What is common to the stack

    def _samples(self) -> _Samples:
        """Material, illumination and steady curtains, from slices spread over the stack."""
        settings, stack = self.settings, self.stack
        number = min(len(stack), SAMPLES)
        places = np.unique(np.linspace(0, len(stack) - 1, number).round().astype(int)).tolist()

        def read() -> Iterator[np.ndarray]:
            return ahead(stack.read, places)

        top = float(max(int(pixels[::4, ::4].max()) for pixels in read()))
        top = 255.0 if stack.dtype == np.uint8 else float(2 ** max(8, int(np.ceil(np.log2(top + 1)))) - 1)
        material = None
        if settings.does("background") or settings.does("brightness"):
            material = find_material(read(), top)
        field = None
        if settings.does("background") and material:
            illumination = Illumination(top)
            for pixels in read():
                illumination.add(pixels)
            field = illumination.field(material)
        pattern = find_pattern(read()) if settings.does("curtains") else None
        return _Samples(material, field, pattern)

    # First pass

    def _first_pass(self, samples: _Samples) -> _Found:
        """Steps, and the material's level, slice by slice."""
        stack, settings = self.stack, self.settings
        align = settings.does("align")
        estimator = StepEstimator(stack.shape) if align else None
        edge = settings.edge_px
        window = None if edge is None else StepEstimator((edge[2], edge[3]))
        done = self.work.lines("found.jsonl")
        start = len(done)
        first = max(0, start - 2)

        def look(index: int) -> tuple[np.ndarray, Any, Any]:
            pixels = stack.read(index)
            spectra = estimator.spectra(pixels) if estimator else None
            cut = None if edge is None else _cut(pixels, edge)
            return pixels, spectra, window.spectra(cut) if window and cut is not None else None

        recent: list[Any] = []
        hashes = [entry["sha256"] for entry in done[-1:]]
        numbers = range(first, len(stack))
        for index, (pixels, spectra, edge_spectra) in zip(
            numbers, track(ahead(look, numbers), "Comparing slices", total=len(numbers)), strict=True
        ):
            recent = [*recent, (spectra, edge_spectra)][-3:]
            if index < start:
                continue
            entry: dict[str, Any] = {"index": index, "sha256": pixel_sha256(pixels)}
            if index and estimator:
                entry["step"] = asdict(estimator.step(recent[-2][0], spectra))
                before = done[-1].get("step") if done else None
                if index > 1 and (entry["step"]["refused"] and before and before["refused"]):
                    entry["across"] = asdict(estimator.step(recent[-3][0], spectra))
            if index and window:
                entry["edge"] = asdict(window.step(recent[-2][1], edge_spectra))
            if samples.material and settings.does("brightness"):
                entry["level"] = level_of(pixels, samples.material)
            entry["same"] = bool(hashes and hashes[-1] == entry["sha256"])
            hashes = [entry["sha256"]]
            self.work.log("found.jsonl", entry)
            done.append(entry)
        self._refuse_twice(done)
        return _Found(done)

    def _refuse_twice(self, found: list[dict[str, Any]]) -> None:
        same = [entry["index"] for entry in found if entry["same"]]
        if same and len(same) < len(found) / 2:
            one, other = self.stack.slices[same[0] - 1].name, self.stack.slices[same[0]].name
            raise InputError(f"{other}: each slice must be there once. It holds the very pixels of {one}.")

    # What the first pass says

    def _transforms(
        self, geometry: Geometry, samples: _Samples, found: _Found
    ) -> tuple[Transforms, dict[str, Any]]:
        stack, settings = self.stack, self.settings
        shift, details = np.zeros((len(stack), 2)), {}
        if settings.does("align"):
            shift, details = self._aligned(geometry, found)
        else:
            self.said["align"] = "Left out."
        shape, origin = common_field(stack.shape, shift, geometry.row_step)
        self.said["crop"] = f"{shape[1]} x {shape[0]} px are common to all slices."
        gain = np.ones(len(stack))
        if not settings.does("brightness"):
            self.said["brightness"] = "Left out."
        elif samples.material is None:
            self.said["brightness"] = "Left as it is: no material stands out by its grey level."
        else:
            gain, odd = gains([entry.get("level") for entry in found.entries], samples.material)
            self.said["brightness"] = (
                f"Gain {gain.min():.3f} to {gain.max():.3f} on the material of grey level {samples.material.level:.0f}."
            )
            if odd:
                self._warn(f"{_slices(odd)}: charged, or without the stable material; its brightness is left.")
        for step, thing, what in (
            ("curtains", samples.pattern, "that stay in place"),
            ("background", samples.field, "of uneven light"),
        ):
            self.said[step] = "Left out." if not settings.does(step) else f"{'Some' if thing else 'None'} {what}."
        transforms = Transforms(
            shape,
            origin,
            (geometry.row_step, 1.0),
            shift,
            gain,
            settings.does("curtains"),
            samples.pattern,
            samples.field,
        )
        return transforms.rounded(), details

    def _aligned(self, geometry: Geometry, found: _Found) -> tuple[np.ndarray, dict[str, Any]]:
        path = find_path(found.steps("step"), found.across(), self.stack.missing)
        if too_many_refused(path):
            raise InputError(
                f"{self.stack.slices[0].path.parent}: the slices must show one volume, in order. "
                f"{len(path.refused)} of {len(path.steps_px)} do not look like the slice before "
                f"({_slices(sorted(path.refused))}). Check their order, or give --without align."
            )
        slope, trend = self._trend(geometry, path, found)
        for later, reason in path.refused.items():
            self._warn(
                f"{self.stack.slices[later].name}: its step was refused ({reason}); {path.bridged[later]} was taken."
            )
        shift = path.shifts(slope)
        drift = np.sqrt(np.square(path.wander_px).mean())
        self.said["align"] = (
            ("Nothing but chance moves the slices. " if path.still else f"Drift of {drift:.2f} px a step (rms). ")
            + f"{len(path.refused)} of {len(path.steps_px)} steps refused. {trend['said']}"
        )
        details = {
            "still": path.still,
            "steps": [
                {"px": step, "u_px": u, "refused": path.refused.get(i + 1, ""), "bridged": path.bridged.get(i + 1, "")}
                for i, (step, u) in enumerate(zip(path.steps_px.tolist(), path.u_px.tolist(), strict=True))
            ],
            "trend": trend,
        }
        return shift, details

    def _trend(
        self, geometry: Geometry, path: DriftPath, found: _Found
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """By how much the picture is taken to move with each slice, raw (row, column)."""
        kind = self.settings.trend
        told = np.array([geometry.slope_px, 0.0])
        if abs(path.trend_px[0] + told[0]) < abs(path.trend_px[0] - told[0]):
            told = -told  # the picture hangs upside down
        trend: dict[str, Any] = {"kind": kind, "found_px": path.trend_px, "u_px": path.u_trend_px}
        trend |= {"geometry_px": told}
        left = path.trend_px - told
        if kind == "keep":
            trend |= {"taken_px": told, "kept_px": left, "half_width_px": None}
            trend["said"] = (
                f"A trend of ({left[0]:.3f}, {left[1]:.3f}) px a slice beyond the geometry is kept: nobody can tell "
                "drift from structure that leans."
            )
            return told, trend
        if kind == "remove":
            trend |= {"taken_px": path.trend_px, "kept_px": np.zeros(2), "half_width_px": None}
            trend["said"] = (
                f"A trend of ({path.trend_px[0]:.3f}, {path.trend_px[1]:.3f}) px a slice is removed as drift."
            )
            return path.trend_px, trend
        slope, half = self._edge(path, found) if kind == "edge" else self._particles(geometry, path)
        trend |= {"taken_px": slope, "kept_px": path.trend_px - slope, "half_width_px": half}
        trend["said"] = (
            f"By the {'edge' if kind == 'edge' else 'particles'}, ({slope[0]:.3f}, {slope[1]:.3f}) px a slice are "
            f"drift, within ({half[0]:.3f}, {half[1]:.3f}) at 95 %; "
            f"({path.trend_px[0] - slope[0]:.3f}, {path.trend_px[1] - slope[1]:.3f}) are kept as structure."
        )
        return slope, trend

    def _edge(self, path: DriftPath, found: _Found) -> tuple[np.ndarray, np.ndarray]:
        edge = find_path(found.steps("edge"), {}, self.stack.missing)
        if too_many_refused(edge):
            raise InputError(f"--edge-px: must hold an edge that all slices show. Received {self.settings.edge_px}.")
        known = np.isfinite(edge.u_trend_px)
        slope = np.where(known, edge.trend_px, path.trend_px)
        return slope, 1.96 * np.where(known, edge.u_trend_px, np.inf)

    def _particles(self, geometry: Geometry, path: DriftPath) -> tuple[np.ndarray, np.ndarray]:
        """The drift at which round particles do not lean."""
        stack, step = self.stack, (geometry.row_step, 1.0)
        shift = path.shifts(path.trend_px)
        shape, origin = common_field(stack.shape, shift, step[0])
        flat = Transforms(shape, origin, step, shift, np.ones(len(stack)))
        thin = thinning((len(stack), *shape))
        coarse = np.empty((len(stack), -(-shape[0] // thin), -(-shape[1] // thin)), np.float32)

        def small(index: int) -> np.ndarray:
            import cv2

            values = flat.stages(stack.read(index), index)["align"]
            return cv2.blur(values, (thin, thin))[::thin, ::thin] if thin > 1 else values

        numbers = range(len(stack))
        for index, values in enumerate(track(ahead(small, numbers), "Looking for particles", total=len(stack))):
            coarse[index] = values
        z, _, x = geometry.voxel_nm
        lean = particles_lean(coarse, (z / x / thin if z and x else 1.0 / thin, 1.0, 1.0))
        if lean is None:
            raise InputError(
                "--trend particles: must find at least 8 whole, round, bright particles. It found fewer. "
                "Give --trend keep or remove."
            )
        scale = thin * np.array(step)
        return path.trend_px + np.array(lean.slope) * scale, np.array(lean.half_width) * scale

    def _repeated(self) -> tuple[Transforms, dict[str, Any]]:
        earlier = self.earlier or {}
        entries = [entry for entry in earlier.get("slices", []) if "filled" not in entry]
        if len(entries) != len(self.stack):
            raise InputError(
                f"--from: must be the record of as many slices. It has {len(entries)}, and there are {len(self.stack)}."
            )
        if earlier.get("raw_shape") != list(self.stack.shape):
            raise InputError(
                f"--from: must be the record of slices of {self.stack.shape[1]} x {self.stack.shape[0]} px. "
                f"It is of {earlier.get('raw_shape')}."
            )
        self.said |= {k: v for k, v in earlier.get("steps", {}).items() if k not in ("read",)}
        return Transforms.from_dict(earlier.get("transforms", {}), entries), earlier.get("alignment", {})

    # Second pass

    def _write(self, transforms: Transforms) -> tuple[OmeZarr, Ruler]:
        """Every slice, corrected, into the volume; gaps are filled with what lies between."""
        stack = self.stack
        count = len(stack) + sum(stack.missing.values())
        volume = OmeZarr(self.work.folder / "volume.zarr", (count, *transforms.shape), stack.dtype)
        written = len(self.work.lines("written.jsonl"))
        ruler = Ruler()
        place, index = 0, 0
        places = []  # of each raw slice in the volume
        for index in range(len(stack)):
            place += stack.missing.get(index, 0)
            places.append(place)
            place += 1

        def one(index: int) -> np.ndarray:
            if index < written:
                return volume.read(places[index])
            return transforms.apply(stack.read(index), index)

        before: np.ndarray | None = None
        numbers = range(len(stack))
        for index, pixels in enumerate(track(ahead(one, numbers), "Writing slices", total=len(stack))):
            if index >= written:
                gap = stack.missing.get(index, 0)
                for k in range(gap):
                    share = (k + 1) / (gap + 1)
                    between = before * (1 - share) + pixels.astype(np.float32) * share  # type: ignore[operator]
                    volume.write(places[index] - gap + k, as_type(between, stack.dtype))
                volume.write(places[index], pixels)
                self.work.log("written.jsonl", {"index": index})
            if self.settings.does("thickness"):
                ruler.add(pixels)
            before = pixels.astype(np.float32) if index + 1 in stack.missing else None
        return volume, ruler

    def _thickness(self, ruler: Ruler, geometry: Geometry) -> Thickness:
        z, _, x = geometry.voxel_nm
        if not self.settings.does("thickness"):
            self.said["thickness"] = "Left out."
            return Thickness(np.ones(len(self.stack) - 1), np.nan, np.nan, "left out")
        found = find_thickness(ruler, z, x, self.stack.z_nm())
        self.said["thickness"] = found.note[:1].upper() + found.note[1:] + "."
        if "one of them is wrong" in found.note:
            self._warn(f"Thickness: {found.note}.")
        return found

    def _isotropic(
        self, volume: OmeZarr, geometry: Geometry, thickness: Thickness
    ) -> tuple[OmeZarr, tuple[float | None, float | None, float | None]]:
        """Cubes, if they are asked for: along z, grey levels linear between the slices where these really lie."""
        z, y, x = geometry.voxel_nm
        if not self.settings.isotropic:
            return volume, geometry.voxel_nm
        if not (z and y and x) or abs(y / x - 1) > 0.01:
            raise InputError(
                "--isotropic: needs the thickness and square pixels of known size. Give --voxel-size-nm Z Y X."
            )
        stated = self.stack.z_nm()
        if self.stack.missing:
            stated = None
            relative = np.ones(volume.shape[0] - 1)
        else:
            relative = thickness.relative / max(thickness.relative.mean(), 1e-9)
        places = stated if stated is not None else np.append(0.0, np.cumsum(relative * z))
        count = int(places[-1] // x) + 1
        cubes = OmeZarr(self.work.folder / "cubes.zarr", (count, *volume.shape[1:]), self.stack.dtype)
        lower, held = -1, (np.zeros(0), np.zeros(0))
        for index in track(range(count), "Resampling along z"):
            below = int(np.clip(np.searchsorted(places, index * x, "right") - 1, 0, len(places) - 2))
            if below != lower:
                first = held[1] if below == lower + 1 and lower >= 0 else volume.read(below).astype(np.float32)
                lower, held = below, (first, volume.read(below + 1).astype(np.float32))
            share = np.float32(np.clip((index * x - places[below]) / (places[below + 1] - places[below]), 0, 1))
            cubes.write(index, as_type(held[0] * (1 - share) + held[1] * share, self.stack.dtype))
        self.said["isotropic"] = f"{count} layers of {x:g} nm, linear between slices."
        return cubes, (x, y, x)

    def _warn(self, text: str) -> None:
        self.warnings.append(text)

    def _record(
        self,
        volume: OmeZarr,
        voxel: tuple[float | None, float | None, float | None],
        geometry: Geometry,
        transforms: Transforms,
        thickness: Thickness,
        details: dict[str, Any],
    ) -> dict[str, Any]:
        z = geometry.voxel_nm[0]
        relative = np.append(1.0, thickness.relative)
        entries = []
        for index, item in enumerate(self.stack.slices):
            entries += [{"filled": True}] * self.stack.missing.get(index, 0)
            entries.append(
                {
                    "file": item.path.name,
                    "page": item.page,
                    "shift_px": [round(float(v), 5) for v in transforms.shift_px[index]],
                    "gain": round(float(transforms.gain[index]), 6),
                    "thickness_nm": None if z is None else float(relative[index] * z),
                    "thickness_relative": float(relative[index]),
                }
            )
        return {
            "version": __version__,
            "shape": list(volume.shape),
            "voxel_nm": list(voxel),
            "raw_shape": list(self.stack.shape),
            "settings": asdict(self.settings),
            "geometry": geometry.to_dict(),
            "transforms": transforms.to_dict(),
            "alignment": details,
            "thickness": {"mean_px": thickness.mean_px, "ratio": thickness.ratio, "note": thickness.note},
            "steps": self.said,
            "warnings": self.warnings,
            "slices": entries,
            "volume": volume.folder.name,
        }


@dataclass(frozen=True)
class _Samples:
    """What slices spread over the stack say of all of it."""

    material: Material | None
    field: Any
    pattern: Any


@dataclass(frozen=True)
class _Found:
    """What the first pass says of each slice."""

    entries: list[dict[str, Any]]

    def steps(self, key: str) -> list[Step]:
        return [_step(entry[key]) for entry in self.entries[1:]]

    def across(self) -> dict[int, Step]:
        return {entry["index"]: _step(entry["across"]) for entry in self.entries if "across" in entry}


def _step(content: dict[str, Any]) -> Step:
    quarters = tuple((float(y), float(x)) for y, x in content["quarters_px"])
    shift, u = content["shift_px"], content["u_px"]
    return Step((shift[0], shift[1]), (u[0], u[1]), content["disagreement_px"], quarters, content["refused"])


def ahead(function: Callable[[T], S], items: Sequence[T] | range, workers: int = 2) -> Iterator[S]:
    """The results in order, a few items ahead on other threads; never more than a few in memory."""
    with ThreadPoolExecutor(workers) as pool:
        waiting: list[Any] = []
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > workers:
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()


def _cut(pixels: np.ndarray, edge: tuple[int, int, int, int]) -> np.ndarray:
    row, column, height, width = edge
    part = pixels[row : row + height, column : column + width]
    if part.shape != (height, width) or min(part.shape) < 16:
        raise InputError(
            f"--edge-px: must be a window of at least 16 x 16 px in slices of {pixels.shape[1]} x {pixels.shape[0]}. "
            f"Received {edge}."
        )
    return part


def _slices(numbers: Sequence[int]) -> str:
    shown = ", ".join(str(number + 1) for number in numbers[:5])
    more = f" and {len(numbers) - 5} more" if len(numbers) > 5 else ""
    return f"slice{'s' if len(numbers) > 1 else ''} {shown}{more}"


def _record_path(out: Path) -> Path:
    if out.suffix == ".zarr":
        return out / RECORD
    if out.suffix.lower() in (".tif", ".tiff"):
        return out.with_suffix(".json")
    raise InputError(f"--out: must end in .zarr or .tif. Received {out.name}.")


def _earlier_settings(earlier: Any, settings: Settings) -> Settings:
    """Those of the record; only what chooses the slices may be given anew."""
    try:
        old = dict(earlier["settings"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError("--from: must be a reconstruction.json of cathode-tf. It has no settings.") from error
    for name in ("voxel_size_nm", "edge_px", "without"):
        old[name] = None if old.get(name) is None else tuple(old[name])
    try:
        before = Settings(**old)
    except TypeError as error:
        raise InputError(f"--from: must be a reconstruction.json of this version ({error}).") from error
    return replace(before, detector=settings.detector or before.detector)


def _put_in_place(
    record: dict[str, Any], work: _Work, out: Path, record_path: Path, force: bool
) -> Reconstruction:
    """The finished volume takes the place of `out`."""
    source = work.folder / record.pop("volume")
    shape = (record["shape"][0], record["shape"][1], record["shape"][2])
    voxel = (record["voxel_nm"][0], record["voxel_nm"][1], record["voxel_nm"][2])
    if out.suffix == ".zarr":
        write_json(source / RECORD, record)
        if out.exists():
            refuse_foreign(out, unlike_entry(out, OURS))
            shutil.rmtree(out)
        source.rename(out)
    else:
        volume = OmeZarr(source, shape, np.uint8 if not source.exists() else _dtype(source))
        slices = track(read_back(volume), "Writing the TIFF", total=shape[0])
        how = "reconstruction.json"
        write_tiff_volume(out, slices, shape, _dtype(source), voxel, source=how, force=force)
        write_json(record_path, record, force=force)
    shutil.rmtree(work.folder, ignore_errors=True)
    return Reconstruction(out, record_path, shape, voxel, plain(record))


def _dtype(folder: Path) -> np.dtype:
    import zarr

    group: Any = zarr.open_group(str(folder), mode="r")
    return np.dtype(group["0"].dtype)
