"""Synthetic samples: a seed and parameters in, image, mask, particles and truth out, also as files."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import tifffile

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.files import atomic_folder, write_json
from cathode_tf.imaging import write_mask
from cathode_tf.phases import IGNORE, Phases
from cathode_tf.synthesis.acquisition import acquire, databar
from cathode_tf.synthesis.geometry import cut_section
from cathode_tf.synthesis.parameters import Parameters
from cathode_tf.synthesis.truth import tell_truth

Draw = Parameters | Callable[[np.random.Generator], Parameters]


@dataclass(frozen=True)
class SyntheticSample:
    """One synthetic section with everything that is known about it.

    Attributes:
        image: Micrograph, uint8 or uint16 (height, width).
        mask: Phase ids, uint8 (height, width).
        labels: Secondary particles, int32 (height, width), 0 = none. Cracks and inner pores carry the number
            of their particle; they are pore in `mask`.
        truth: Fractions, sizes and fragmentation, JSON-able.
        pixel_size_nm: Edge of a pixel.
        phases: Names and ids of `mask`.
        id: Name of the sample, unique for seed and index.
    """

    image: np.ndarray
    mask: np.ndarray
    labels: np.ndarray
    truth: dict[str, Any]
    pixel_size_nm: float
    phases: Phases
    id: str


class _Samples(Sequence[SyntheticSample]):
    """Samples made when they are asked for; each depends on seed and index alone."""

    def __init__(self, count: int, seed: int, height: int, width: int, parameters: Draw) -> None:
        self._count, self._seed, self._height, self._width = count, seed, height, width
        self._parameters = parameters

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> SyntheticSample: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[SyntheticSample]: ...
    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._count))]
        if not -self._count <= index < self._count:
            raise IndexError(index)
        return _make(index % self._count, self._seed, self._height, self._width, self._parameters)

    def __iter__(self) -> Iterator[SyntheticSample]:
        return (self[index] for index in range(self._count))


def synthesize(
    count: int = 1,
    *,
    seed: int = 0,
    height: int = 512,
    width: int = 512,
    parameters: Draw | None = None,
) -> Sequence[SyntheticSample]:
    """Annotated cathode sections with known answers, for training, tests and for checking an analysis.

    Args:
        count: How many sections; each is cut from a cathode of its own.
        seed: The same seed gives the same samples; sample i does not depend on `count`.
        height: Rows, at least 32.
        width: Columns, at least 32.
        parameters: Structure and imaging, or a function that draws them anew for each section, such as
            `Parameters.random`; default `Parameters()`.

    Returns:
        A sequence of `SyntheticSample`, each made when it is asked for.

    Raises:
        InputError: If a number is out of its range.

    Example:
        >>> sample = synthesize(seed=1, height=64, width=96)[0]
        >>> sample.image.shape, sample.mask.dtype, sample.phases.names
        ((64, 96), dtype('uint8'), ('pore', 'ncm', 'additive', 'binder'))
    """
    for name, value, least in (("count", count, 1), ("height", height, 32), ("width", width, 32)):
        if value < least:
            raise InputError(f"synthesis: {name} must be at least {least}. Received {value}.")
    bar = 0 if parameters is None or callable(parameters) else parameters.imaging.databar_px
    if bar and not 16 <= bar <= height - 32:
        raise InputError(
            f"synthesis: databar_px must be 0, or at least 16 and leave 32 rows of image. Received {bar:g} of {height}."
        )
    if seed < 0:
        raise InputError(f"synthesis: seed must be 0 or more. Received {seed}.")
    return _Samples(count, seed, height, width, parameters or Parameters())


def _make(index: int, seed: int, height: int, width: int, parameters: Draw) -> SyntheticSample:
    # Structure and imaging draw from streams of their own: another noise leaves the cathode as it was.
    choice, structure, imaging = (np.random.default_rng([seed, index, part]) for part in range(3))
    chosen = parameters(choice) if callable(parameters) else parameters
    bar = round(chosen.imaging.databar_px)
    section = cut_section(structure, height - bar, width, chosen)
    image, mask, labels = acquire(imaging, section, chosen.imaging), section.mask, section.labels
    if bar:
        image = databar(image, bar, chosen.pixel_size_nm)
        mask = np.pad(mask, ((0, bar), (0, 0)), constant_values=IGNORE)
        labels = np.pad(labels, ((0, bar), (0, 0)))
    phases = Phases.default()
    truth = {"seed": seed, "index": index, **tell_truth(section, phases, chosen)}
    if chosen is parameters:  # what was drawn at random nobody asked for
        _warn_unless_met(truth)
    return SyntheticSample(
        image, mask, labels, truth, chosen.pixel_size_nm, phases, f"synthetic_{seed}_{index:04d}"
    )


def _warn_unless_met(truth: dict[str, Any]) -> None:
    """Warn where cracks, inner pores and gaps left too little room for the solids that were asked for."""
    name = max(truth["fractions"], key=lambda n: truth["target_fractions"][n] - truth["fractions"][n])
    asked, has = truth["target_fractions"][name], truth["fractions"][name]
    if asked - has > 0.01:
        text = f"synthesis: section {truth['index']} has {has:.3f} {name} where {asked:.3f} was asked for: cracks, "
        warnings.warn(
            InputWarning(text + "gaps and inner pores leave no more room. Ask for less of them."),
            stacklevel=4,
        )


def write_samples(samples: Iterable[SyntheticSample], out: str | Path, *, force: bool = False) -> Path:
    """Write samples as the folder that `convert` reads.

    Args:
        samples: From `synthesize`.
        out: Folder to make: `images/<id>.tif` (with the pixel size), `masks/<id>.png` (phase ids),
            `labels/<id>.tif` (particles, int32), `phases.toml` and `truth.json` (by sample id).
        force: Replace an existing folder.

    Returns:
        The folder.

    Raises:
        InputError: If `out` exists and is not empty, or cannot be written.
    """
    truth = {}
    with atomic_folder(out, force=force) as folder:
        for sample in samples:
            _write_image(folder / "images" / f"{sample.id}.tif", sample)
            write_mask(folder / "masks" / f"{sample.id}.png", sample.mask, sample.phases)
            (folder / "labels").mkdir(exist_ok=True)
            tifffile.imwrite(folder / "labels" / f"{sample.id}.tif", sample.labels, compression="zlib")
            truth[sample.id] = sample.truth
        (folder / "phases.toml").write_text(sample.phases.to_toml(), encoding="utf-8")
        write_json(folder / "truth.json", truth)
    return Path(out)


def _write_image(path: Path, sample: SyntheticSample) -> None:
    """TIFF with the pixel size where ImageJ keeps it, so that every reader finds it."""
    path.parent.mkdir(exist_ok=True)
    per_um = 1000.0 / sample.pixel_size_nm
    tifffile.imwrite(
        path,
        sample.image,
        imagej=True,
        resolution=(per_um, per_um),
        metadata={"unit": "um"},
        compression="zlib",
    )
