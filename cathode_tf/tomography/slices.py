"""A folder of slices, files, or a multi-page TIFF in; the slices of one volume, in order, checked, out.

Only metadata are read at first; pixels come one slice at a time. Whatever makes the slices no single volume is
refused with the names of the files: two of one number, another size, detector or magnification, a gap.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.imaging import find_images, read_micrograph
from cathode_tf.imaging.databar import find_databar
from cathode_tf.imaging.grey import one_channel, to_integers
from cathode_tf.imaging.rasters import open_raster
from cathode_tf.imaging.vendors import read_metadata
from cathode_tf.tomography.acquisition import Cut, project_thickness_nm, read_cut
from cathode_tf.words import some

FEWEST = 3
_COPY = re.compile(r"( ?\(\d+\)| ?- ?copy( ?\(?\d*\)?)?|_copy\d*)$", re.IGNORECASE)


@dataclass(frozen=True)
class Slice:
    """One slice, not yet read.

    Attributes:
        path: Its file.
        page: Which page of it.
        number: What the file's name counts; None where names do not count.
        pixel_size_nm: None = unknown.
        detector: "" = unknown.
        cut: What the file states of the cut.
    """

    path: Path
    page: int = 0
    number: int | None = None
    pixel_size_nm: float | None = None
    detector: str = ""
    cut: Cut = field(default_factory=Cut)

    @property
    def name(self) -> str:
        return self.path.name if self.page == 0 else f"{self.path.name}, page {self.page + 1}"


@dataclass(frozen=True)
class Stack:
    """The slices of one volume, in order.

    Attributes:
        slices: In the order of the cuts.
        shape: (height, width) of each, without the databar.
        dtype: uint8 or uint16.
        databar_rows: Cut at the bottom.
        pixel_size_nm: None = unknown.
        pixel_size_source: Where that was read.
        thickness_nm: What metadata say of every slice: the mean distance; None = unknown.
        thickness_source: Where that was read.
        missing: Positions in `slices` (as index of the later slice) before which slices are missing, and how many.
    """

    slices: tuple[Slice, ...]
    shape: tuple[int, int]
    dtype: np.dtype
    databar_rows: int
    pixel_size_nm: float | None
    pixel_size_source: str
    thickness_nm: float | None
    thickness_source: str
    missing: dict[int, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.slices)

    def read(self, index: int) -> np.ndarray:
        """Pixels of a slice, (height, width).

        Raises:
            InputError: If it is damaged or of another size or type than the first.
        """
        item = self.slices[index]
        with open_raster(item.path) as raster:
            samples, _ = one_channel(raster.read(item.page), item.path)
        pixels, scaling = to_integers(samples, item.path)
        if scaling.get("scale", 1.0) != 1.0:
            raise InputError(
                f"{item.path}: slices must hold whole numbers of 8 or 16 bits. Received {samples.dtype}, which would "
                "be stretched slice by slice. Save them with one scale for all."
            )
        rows = pixels.shape[0] - self.databar_rows
        pixels = pixels[:rows]
        if pixels.shape != self.shape or pixels.dtype != self.dtype:
            raise InputError(
                f"{item.name}: the slices must be of one size and type, {_size(self.shape)} {self.dtype}. "
                f"Received {_size(pixels.shape)} {pixels.dtype}."
            )
        return pixels

    def z_nm(self) -> np.ndarray | None:
        """Position of each cut, from the first, as metadata state it; None where some do not."""
        z = [item.cut.z_nm for item in self.slices]
        if any(value is None for value in z):
            return None
        positions = np.array(z, float)
        return np.abs(positions - positions[0])


def open_slices(
    paths: str | Path | Sequence[str | Path],
    *,
    order: str = "name",
    gaps: str = "refuse",
    detector: str | None = None,
    databar: str | int = "auto",
) -> Stack:
    """The stack in a folder, in files, or in the pages of one TIFF.

    Args:
        paths: Where the slices lie.
        order: `"name"`: as the files' names count; `"z"`: as their metadata say where the cuts lie.
        gaps: `"refuse"` slices that are missing, or `"fill"` them with what lies between.
        detector: Takes only the slices of this detector.
        databar: As for `read_micrograph`; the first slice's counts for all.

    Raises:
        InputError: If they are not the slices of one volume.
    """
    files = find_images(paths)
    found = _pages(files[0]) if len(files) == 1 else [_described(path) for path in files]
    if detector is not None:
        kept = [item for item in found if item.detector == detector]
        if not kept:
            seen = some(sorted({item.detector or "unknown" for item in found}))
            raise InputError(f"--detector: must be one of the slices' ({seen}). Received {detector}.")
        found = kept
    if len(found) < FEWEST:
        raise InputError(
            f"{files[0].parent if len(files) > 1 else files[0]}: must hold at least {FEWEST} slices. "
            f"Received {len(found)}."
        )
    found = _numbered(found)
    _one_of_each(found)
    _one_kind(found)
    if order == "z":
        if any(item.cut.z_nm is None for item in found):
            raise InputError("--order z: the slices' metadata must say where each cut lies. Some do not.")
        found.sort(key=lambda item: item.cut.z_nm or 0.0)
    _in_order(found)
    missing = _missing(found, gaps)
    return _stack(found, databar, missing)


def _pages(path: Path) -> list[Slice]:
    with open_raster(path, max_megapixels=np.inf) as raster:
        metadata = read_metadata(raster)
        cut = read_cut(raster, metadata.acquisition)
        count = raster.count
    details = metadata.acquisition
    return [
        Slice(
            path,
            page,
            None,
            metadata.pixel_size_nm,
            str(details.get("detector", "")),
            cut
            if count == 1
            else Cut(cut.angle_deg, cut.corrected, None, cut.thickness_nm, None, cut.source),
        )
        for page in range(count)
    ]


def _described(path: Path) -> Slice:
    with open_raster(path) as raster:
        metadata = read_metadata(raster)
        cut = read_cut(raster, metadata.acquisition)
        if raster.count != 1:
            raise InputError(
                f"{path}: must be one slice. Received {raster.count} pages; give that stack alone."
            )
    detector = str(metadata.acquisition.get("detector", ""))
    return Slice(path, 0, None, metadata.pixel_size_nm, detector, cut)


def _numbered(found: list[Slice]) -> list[Slice]:
    """The slices with the number that their names count by: the last number that differs between them."""
    if any(item.page for item in found) or len({item.path.parent for item in found}) > 1:
        return found
    stems = [_COPY.sub("", re.sub(r"[_\s-]z\s*=.*$", "", item.path.stem)) for item in found]
    parts = [re.split(r"(\d+)", stem) for stem in stems]
    if len({len(part) for part in parts}) != 1:
        return found
    columns = [k for k in range(1, len(parts[0]), 2) if len({part[k] for part in parts}) > len(found) / 2]
    if not columns:
        return found
    from dataclasses import replace

    return [replace(item, number=int(part[columns[-1]])) for item, part in zip(found, parts, strict=True)]


def _one_of_each(found: list[Slice]) -> None:
    counts = Counter((item.number, item.detector) for item in found if item.number is not None)
    twice = next((key for key, count in counts.items() if count > 1), None)
    if twice is not None:
        names = [item.name for item in found if (item.number, item.detector) == twice]
        raise InputError(
            f"{found[0].path.parent}: each slice must be there once. Received {len(names)} of number {twice[0]}: "
            f"{some(names)}. Take one of them away."
        )


def _one_kind(found: list[Slice]) -> None:
    detectors = sorted({item.detector for item in found})
    if len(detectors) > 1:
        raise InputError(
            f"{found[0].path.parent}: the slices must be of one detector. Received {some(detectors)}. "
            "Choose one with --detector."
        )
    first = found[0]
    for item in found:
        size, other = first.pixel_size_nm, item.pixel_size_nm
        if (size is None) != (other is None) or (size and other and abs(other / size - 1) > 0.01):
            raise InputError(
                f"{item.path}: the slices must be of one magnification. {first.name} has pixels of "
                f"{_nm(size)}, this one of {_nm(other)}. Reconstruct the parts apart."
            )


def _in_order(found: list[Slice]) -> None:
    z = [item.cut.z_nm for item in found]
    if all(value is not None for value in z):
        steps = np.diff(np.array(z, float))
        wrong = np.flatnonzero(steps * np.sign(np.median(steps)) <= 0)
        if wrong.size:
            i = int(wrong[0])
            raise InputError(
                f"{found[i + 1].path}: the cuts must lie one behind the other. This one lies at {z[i + 1]:.6g} nm, "
                f"the one before ({found[i].name}) at {z[i]:.6g} nm. If z is right and the names are not, "
                "give --order z."
            )


def _missing(found: list[Slice], gaps: str) -> dict[int, int]:
    """Index of the slice behind each gap, and how many are missing there."""
    numbers = [item.number for item in found]
    if any(number is None for number in numbers):
        return {}
    steps = np.abs(np.diff(np.array(numbers, int)))
    usual = int(np.median(steps)) or 1
    holes = {int(i) + 1: round(float(steps[i]) / usual) - 1 for i in np.flatnonzero(steps > 1.5 * usual)}
    if not holes:
        return {}
    text = some([f"{found[i - 1].name} and {found[i].name} ({count})" for i, count in holes.items()])
    if gaps == "refuse":
        raise InputError(
            f"{found[0].path.parent}: no slice must be missing. {sum(holes.values())} are, between {text}. "
            "Add them, or give --gaps fill: what lies between is then interpolated, and marked."
        )
    warnings.warn(
        f"{sum(holes.values())} slices are missing, between {text}; what lies between is interpolated.",
        InputWarning,
        stacklevel=3,
    )
    return holes


def _stack(found: list[Slice], databar: str | int, missing: dict[int, int]) -> Stack:
    first = found[0]
    with open_raster(first.path, max_megapixels=np.inf) as raster:
        metadata = read_metadata(raster)
        samples, _ = one_channel(raster.read(first.page), first.path)
    pixels, _ = to_integers(samples, first.path)
    rows = _databar_rows(pixels, databar, metadata.field_rows, first.path)
    thickness, source = _stated_thickness(found, missing)
    return Stack(
        tuple(found),
        (pixels.shape[0] - rows, pixels.shape[1]),
        pixels.dtype,
        rows,
        metadata.pixel_size_nm,
        metadata.source,
        thickness,
        source,
        missing,
    )


def _databar_rows(pixels: np.ndarray, databar: str | int, field_rows: int | None, path: Path) -> int:
    height = pixels.shape[0]
    if databar == "auto":
        return height - field_rows if field_rows else find_databar(pixels)
    cut: Any = read_micrograph(path, databar=databar)
    return height - (cut[0] if isinstance(cut, list) else cut).height


def _stated_thickness(found: list[Slice], missing: dict[int, int]) -> tuple[float | None, str]:
    z = [item.cut.z_nm for item in found]
    if all(value is not None for value in z):
        span = abs(float(z[-1] or 0) - float(z[0] or 0))
        if span:
            return span / (len(found) - 1 + sum(missing.values())), "where each cut lies, by its file"
    stated = [item.cut.thickness_nm for item in found]
    if all(stated):
        return float(np.mean([value for value in stated if value])), "each slice's own metadata"
    project = project_thickness_nm(found[0].path.parent)
    return (project[0], f"SliceThickness in {project[1]}") if project else (None, "")


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]} px"


def _nm(size: float | None) -> str:
    return "unknown size" if size is None else f"{size:.5g} nm"
