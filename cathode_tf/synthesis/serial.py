"""Serial cuts through one body: how they are cut in, slices with their drift, thickness and brightness out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from cathode_tf.errors import InputError
from cathode_tf.files import atomic_folder, write_json
from cathode_tf.imaging import write_mask
from cathode_tf.phases import Phases
from cathode_tf.synthesis.acquisition import Placement, acquire
from cathode_tf.synthesis.body import Body, Section
from cathode_tf.synthesis.lattice import Grid
from cathode_tf.synthesis.limits import check_numbers, numbers_of, parse_numbers
from cathode_tf.synthesis.parameters import Parameters
from cathode_tf.synthesis.relief import look_behind
from cathode_tf.synthesis.samples import write_image


def _number(default: float, low: float, high: float, about: str) -> Any:
    return field(default=default, metadata={"limits": (low, high), "about": about})


@dataclass(frozen=True)
class Cutting:
    """How a body is cut and how steadily it is imaged; the defaults are a usable, unaligned FIB-SEM run."""

    thickness_nm: float = _number(0, 0, 5000, "mean distance of two cuts; 0: as thick as a pixel is wide")
    thickness_spread: float = _number(0.15, 0, 0.5, "standard deviation of the distance over its mean")
    drift_px: float = _number(0.7, 0, 10, "standard deviation of the shift from one slice to the next")
    trend_row_px: float = _number(0, -3, 3, "steady drift downwards, pixels a slice")
    trend_column_px: float = _number(0, -3, 3, "steady drift to the right, pixels a slice")
    gain_spread: float = _number(0.03, 0, 0.3, "standard deviation of each slice's factor of brightness")
    offset_spread: float = _number(0, 0, 40, "standard deviation of each slice's added grey levels")
    row_scale: float = _number(
        1, 0.3, 1, "height of the picture over that of the face: sine of the viewing angle"
    )

    def __post_init__(self) -> None:
        check_numbers(self)

    @classmethod
    def parse(cls, changes: Iterable[str]) -> Cutting:
        """Settings from texts such as `"drift_px=2"`; the rest stays at its default.

        Example:
            >>> Cutting.parse(["drift_px=2"]).drift_px
            2.0
        """
        return cls(**parse_numbers(changes, [name for name, _ in numbers_of(cls)]))


@dataclass(frozen=True)
class Slice:
    """One of the serial cuts, as imaged and as it is.

    Attributes:
        image: uint8 or uint16 (picture height, width), as the microscope shows it.
        second: The same by a second detector, or None.
        mask: Phase ids, uint8, as imaged: pixel on pixel with `image`.
        labels: Particles, int32, as imaged; a particle has one number in all slices.
        frame_mask: Phase ids, uint8 (height, width), in the undistorted frame that all slices share.
        frame_labels: Particles, int32, in the undistorted frame.
        truth: Where it lies and what was done to it, JSON-able.
    """

    image: np.ndarray
    second: np.ndarray | None
    mask: np.ndarray
    labels: np.ndarray
    frame_mask: np.ndarray
    frame_labels: np.ndarray
    truth: dict[str, Any]


class SerialCuts:
    """Slices of one body, each made when it is asked for; `synthesize_stack` makes them.

    Attributes:
        truth: What is true of all of it, JSON-able: parameters, cutting, and `slices`, a row for each slice: `z_nm`,
            `thickness_nm` (distance to the slice before), `shift_px` (row, column: how far the picture shows the
            body below and right of the frame), `gain`, `offset`.
        body: The body.
    """

    def __init__(
        self,
        count: int,
        seed: int,
        size: tuple[int, int],
        parameters: Parameters,
        cutting: Cutting,
        second: bool,
    ) -> None:
        self._seed, self._size, self._second, self._parameters = seed, size, second, parameters
        rng = np.random.default_rng([seed, 0, 5])
        pixel = parameters.pixel_size_nm
        mean = cutting.thickness_nm or pixel
        thickness = mean * np.clip(1 + cutting.thickness_spread * rng.standard_normal(count), 0.2, 2.5)
        shift = np.cumsum(cutting.drift_px * rng.standard_normal((count, 2)), axis=0)
        shift += np.arange(count)[:, None] * (cutting.trend_row_px, cutting.trend_column_px)
        shift -= shift[0]
        gain = np.clip(1 + cutting.gain_spread * rng.standard_normal(count), 0.5, 1.5)
        offset = cutting.offset_spread * rng.standard_normal(count)
        self._z = (np.cumsum(thickness) - thickness[0]) / pixel
        reach = np.abs(shift / (cutting.row_scale, 1)).max()
        self._margin = int(np.ceil(reach)) + 2
        self._grid = Grid(size[0] + 2 * self._margin, size[1] + 2 * self._margin)
        self.body = Body(
            parameters,
            seed=(seed, 0, 1),
            height=self._grid.height,
            width=self._grid.width,
            planes=self._z.tolist(),
        )
        self._placements = [
            Placement(
                row=float(row),
                column=float(column),
                row_scale=cutting.row_scale,
                margin=self._margin,
                height=round(size[0] * cutting.row_scale),
                width=size[1],
                gain=float(gain[k]),
                offset=float(offset[k]),
            )
            for k, (row, column) in enumerate(shift)
        ]
        self.phases = Phases.default()
        self.pixel_size_nm = pixel
        self.truth: dict[str, Any] = {
            "seed": seed,
            "pixel_size_nm": pixel,
            "row_scale": cutting.row_scale,
            "parameters": dataclasses.asdict(parameters),
            "cutting": dataclasses.asdict(cutting),
            "slices": [
                {
                    "z_nm": float(z * pixel),
                    "thickness_nm": float(thickness[k]),
                    "shift_px": [float(shift[k, 0]), float(shift[k, 1])],
                    "gain": float(gain[k]),
                    "offset": float(offset[k]),
                }
                for k, z in enumerate(self._z)
            ],
        }

    def __len__(self) -> int:
        return len(self._placements)

    def __iter__(self) -> Iterator[Slice]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Slice:
        if not 0 <= index < len(self):
            raise IndexError(index)
        section = self.body.section(float(self._z[index]), self._grid)
        place = self._placements[index]
        detectors = [self._parameters.imaging]
        if self._second:
            detectors.append(self._parameters.imaging.other())
        relief = None
        if any(imaging.shine_through > 0 for imaging in detectors):
            relief = look_behind(self.body, section.depth, self._grid)
        pictures = [
            acquire(
                # The scene is that of all slices; noise and jitter are a slice's own.
                np.random.default_rng([self._seed, 0, 2, number]),
                section,
                imaging,
                relief,
                placement=place,
                noise=np.random.default_rng([self._seed, index, 6, number]),
            )
            for number, imaging in enumerate(detectors)
        ]
        frame = (slice(self._margin, -self._margin), slice(self._margin, -self._margin))
        labels = body_labels(section)
        mask = section.mask[frame]
        fractions = np.bincount(mask.ravel(), minlength=256) / mask.size
        truth = self.truth["slices"][index] | {
            "fractions": {phase.name: float(fractions[phase.id]) for phase in self.phases}
        }
        return Slice(
            pictures[0],
            pictures[1] if self._second else None,
            place.show(section.mask, linear=False),
            place.show(labels, linear=False),
            mask,
            labels[frame],
            truth,
        )


def body_labels(section: Section) -> np.ndarray:
    """int32 (height, width): particles by their number in the body, which is the same in all its sections."""
    return np.concatenate([[0], section.identity]).astype(np.int32)[section.labels]


def synthesize_stack(
    slices: int = 50,
    *,
    seed: int = 0,
    height: int = 256,
    width: int = 256,
    parameters: Parameters | None = None,
    cutting: Cutting | None = None,
    second: bool = False,
) -> SerialCuts:
    """Serial cuts through one body with known drift, thickness and brightness: truth for what works on stacks.

    Args:
        slices: How many, at least 2.
        seed: The same seed gives the same stack.
        height: Rows of the frame that all slices share, at least 32.
        width: Columns, at least 32.
        parameters: Structure and imaging; default `Parameters.se()`.
        cutting: Thickness, drift, brightness; default `Cutting()`.
        second: Also make the pictures of a second detector, registered.

    Returns:
        A `SerialCuts`: iterate over its `Slice`s; `truth` says where each lies.

    Raises:
        InputError: If a number is out of its range.

    Example:
        >>> stack = synthesize_stack(3, seed=1, height=64, width=64)
        >>> [piece.image.shape for piece in stack], len(stack.truth["slices"])
        ([(64, 64), (64, 64), (64, 64)], 3)
    """
    for name, value, least in (
        ("slices", slices, 2),
        ("height", height, 32),
        ("width", width, 32),
        ("seed", seed, 0),
    ):
        if value < least:
            raise InputError(f"synthesis: {name} must be at least {least}. Received {value}.")
    parameters = parameters or Parameters.se()
    if parameters.imaging.databar_px:
        raise InputError(
            f"synthesis: serial cuts have no databar; databar_px must be 0. Received {parameters.imaging.databar_px:g}."
        )
    return SerialCuts(slices, seed, (height, width), parameters, cutting or Cutting(), second)


def write_stack(
    stack: SerialCuts, out: str | Path, *, pieces: Iterable[Slice] | None = None, force: bool = False
) -> Path:
    """Write serial cuts as a folder.

    Args:
        stack: Of `synthesize_stack`.
        out: Folder to make: `images/` and `masks/`, `labels/` as imaged, pixel on pixel; `second/` where there is
            one; `frame/masks/` and `frame/labels/` in the undistorted frame; `phases.toml` and `truth.json`.
        pieces: The slices, where progress is to be told; default `stack`.
        force: Replace an existing folder.

    Returns:
        The folder.

    Raises:
        InputError: If `out` exists and is not empty, or cannot be written.
    """
    rows, total = [], np.zeros(256)
    with atomic_folder(out, force=force) as folder:
        for index, piece in enumerate(pieces if pieces is not None else stack):
            name = f"slice_{index:04d}"
            write_image(folder / "images" / f"{name}.tif", piece.image, stack.pixel_size_nm)
            if piece.second is not None:
                write_image(folder / "second" / f"{name}.tif", piece.second, stack.pixel_size_nm)
            for place, mask, labels in (
                (folder, piece.mask, piece.labels),
                (folder / "frame", piece.frame_mask, piece.frame_labels),
            ):
                write_mask(place / "masks" / f"{name}.png", mask, stack.phases)
                (place / "labels").mkdir(parents=True, exist_ok=True)
                tifffile.imwrite(place / "labels" / f"{name}.tif", labels, compression="zlib")
            rows.append({"name": name, **piece.truth})
            total += np.bincount(piece.frame_mask.ravel(), minlength=256)
        (folder / "phases.toml").write_text(stack.phases.to_toml(), encoding="utf-8")
        fractions = {phase.name: float(total[phase.id] / total.sum()) for phase in stack.phases}
        write_json(folder / "truth.json", stack.truth | {"fractions": fractions, "slices": rows})
    return Path(out)
