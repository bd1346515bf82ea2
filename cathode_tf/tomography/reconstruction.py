"""Raw slices in; a volume that can be measured, and the record of everything that was done, out.

Two passes over the slices, one at a time: the first finds the steps between them, the second writes the volume.
What is found is kept beside the output, so that a run that was killed goes on where it stopped.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.files import plain, read_json, refuse_overwrite, write_json
from cathode_tf.imaging.volume_writing import OURS, OmeZarr, read_back, write_tiff_volume
from cathode_tf.ownership import refuse_foreign, refuse_inputs, unlike_entry
from cathode_tf.progress import track
from cathode_tf.tomography.alignment import Alignment
from cathode_tf.tomography.brightness import gain_uncertainty, gains
from cathode_tf.tomography.first_pass import Found, first_pass, named
from cathode_tf.tomography.geometry import Geometry, Settings, find_geometry
from cathode_tf.tomography.ruler import Ruler
from cathode_tf.tomography.samples import Samples, look_at_samples
from cathode_tf.tomography.slices import Stack, open_slices
from cathode_tf.tomography.thickness import Thickness, find_thickness
from cathode_tf.tomography.transforms import Transforms, as_type, common_field
from cathode_tf.tomography.work import Work, ahead
from cathode_tf.version import __version__

RECORD = "reconstruction.json"


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
    given = [slices] if isinstance(slices, (str, Path)) else list(slices)
    refuse_inputs(out, [*given, repeat])
    record_path = _record_path(out)
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
    work = Work(out, stack, settings, earlier)
    made = _Run(stack, settings, work, earlier).run()
    return _put_in_place(made, work, out, record_path, force)


class _Run:
    """One reconstruction, step by step."""

    def __init__(self, stack: Stack, settings: Settings, work: Work, earlier: dict[str, Any] | None) -> None:
        self.stack, self.settings, self.work, self.earlier = stack, settings, work, earlier
        self.said: dict[str, str] = {}
        self.warnings: list[str] = []
        self.u_gain = float("nan")

    def run(self) -> dict[str, Any]:
        geometry = find_geometry(self.stack, self.settings)
        self.said["read"] = (
            f"{len(self.stack)} slices of {self.stack.shape[1]} x {self.stack.shape[0]} px, {self.stack.dtype}."
        )
        self.said["tilt"] = " ".join(geometry.said)
        if self.earlier is None:
            samples = look_at_samples(self.stack, self.settings)
            found = first_pass(self.stack, self.settings, samples, self.work)
            transforms, details = self._transforms(geometry, samples, found)
        else:
            transforms, details = self._repeated()
        volume, ruler = self._write(transforms)
        thickness = self._thickness(ruler, geometry)
        volume, voxel = self._isotropic(volume, geometry, thickness)
        volume.finish(voxel, "volume")
        return self._record(volume, voxel, geometry, transforms, thickness, details)

    # What the first pass says

    def _transforms(
        self, geometry: Geometry, samples: Samples, found: Found
    ) -> tuple[Transforms, dict[str, Any]]:
        stack, settings = self.stack, self.settings
        shift = np.zeros((len(stack), 2))
        details: dict[str, Any] = {}
        if settings.does("align"):
            alignment = Alignment(stack, settings, geometry, found)
            shift, details = alignment.shift_px, alignment.record
            self.said["align"] = alignment.said
            self.warnings += alignment.warnings
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
            gain, odd = gains(found.levels())
            self.u_gain = gain_uncertainty(found.levels())
            self.said["brightness"] = (
                f"Gain {gain.min():.3f} to {gain.max():.3f} on the material of grey level {samples.material.level:.0f}."
            )
            if odd:
                self.warnings.append(
                    f"{named(odd)}: charged, or without the stable material; its brightness is left."
                )
        for step, thing, what in (
            ("curtains", samples.pattern, "that stay in place"),
            ("background", samples.light, "of uneven light"),
        ):
            self.said[step] = (
                "Left out." if not settings.does(step) else f"{'Some' if thing else 'None'} {what}."
            )
        transforms = Transforms(
            shape,
            origin,
            (geometry.row_step, 1.0),
            shift,
            gain,
            settings.does("curtains"),
            samples.pattern,
            samples.light,
        )
        return transforms.rounded(), details

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
        missing = self.stack.missing
        gaps = np.array([1.0 + missing.get(later, 0) for later in range(1, len(self.stack))])
        found = find_thickness(ruler, z, x, self.stack.z_nm(), gaps)
        self.said["thickness"] = found.note[:1].upper() + found.note[1:] + "."
        if "one of them is wrong" in found.note or found.seen_through or not np.isfinite(found.mean_px):
            self.warnings.append(f"Thickness: {found.note}.")
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
        count = int(places[-1] / x + 1e-6) + 1
        cubes = OmeZarr(self.work.folder / "cubes.zarr", (count, *volume.shape[1:]), self.stack.dtype)
        lower = -1
        held: list[np.ndarray] = []
        for index in track(range(count), "Resampling along z"):
            below = int(np.clip(np.searchsorted(places, index * x, "right") - 1, 0, len(places) - 2))
            if below != lower:
                first = (
                    held[1] if below == lower + 1 and lower >= 0 else volume.read(below).astype(np.float32)
                )
                lower, held = below, [first, volume.read(below + 1).astype(np.float32)]
            share = np.float32(
                np.clip((index * x - places[below]) / (places[below + 1] - places[below]), 0, 1)
            )
            cubes.write(index, as_type(held[0] * (1 - share) + held[1] * share, self.stack.dtype))
        self.said["isotropic"] = f"{count} layers of {x:g} nm, linear between slices."
        return cubes, (x, y, x)

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
        entries: list[dict[str, Any]] = []
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
            "thickness": {k: v for k, v in asdict(thickness).items() if k != "relative"},
            "u_gain": self.u_gain,
            "steps": self.said,
            "warnings": self.warnings,
            "slices": entries,
            "volume": volume.folder.name,
        }


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
        raise InputError(
            "--from: must be a reconstruction.json of cathode-tf. It has no settings."
        ) from error
    for name in ("voxel_size_nm", "edge_px", "without"):
        old[name] = None if old.get(name) is None else tuple(old[name])
    try:
        before = Settings(**old)
    except TypeError as error:
        raise InputError(f"--from: must be a reconstruction.json of this version ({error}).") from error
    return replace(before, detector=settings.detector or before.detector)


def _put_in_place(
    record: dict[str, Any], work: Work, out: Path, record_path: Path, force: bool
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
