"""Synthetic samples: a seed and parameters in, image, mask, particles and truth out, also as files."""

from __future__ import annotations

import dataclasses
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
from cathode_tf.synthesis.body import Body, Section
from cathode_tf.synthesis.drawing import draw_imaging
from cathode_tf.synthesis.lattice import Grid
from cathode_tf.synthesis.microscope import OF_THE_BEAM, Imaging
from cathode_tf.synthesis.parameters import Parameters
from cathode_tf.synthesis.relief import Relief, look_behind
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
        second: The same section by a second detector, where one was asked for.
    """

    image: np.ndarray
    mask: np.ndarray
    labels: np.ndarray
    truth: dict[str, Any]
    pixel_size_nm: float
    phases: Phases
    id: str
    second: np.ndarray | None = None


class _Samples(Sequence[SyntheticSample]):
    """Samples made when they are asked for; each depends on seed, index and the cuts through a body alone."""

    def __init__(
        self, count: int, seed: int, size: tuple[int, int], parameters: Draw, cuts: int, second: bool
    ) -> None:
        self._count, self._seed, self._size, self._parameters = count, seed, size, parameters
        self._cuts, self._second = cuts, second
        self._latest: tuple[int, Parameters, Body] | None = None

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
        return self._make(index % self._count)

    def __iter__(self) -> Iterator[SyntheticSample]:
        return (self[index] for index in range(self._count))

    def _body(self, number: int) -> tuple[Parameters, Body]:
        """Parameters and body that sections `number` x cuts and on are cut from; the latest one is kept."""
        if self._latest is None or self._latest[0] != number:
            self._latest = None
            draw = self._parameters
            chosen = draw(np.random.default_rng([self._seed, number, 0])) if callable(draw) else draw
            height, width = self._size
            planes = [_depth(chosen, cut) for cut in range(self._cuts)]
            body = Body(
                chosen,
                seed=(self._seed, number, 1),
                height=height - round(chosen.imaging.databar_px),
                width=width,
                planes=planes,
            )
            self._latest = number, chosen, body
        return self._latest[1:]

    def _imaging(self, chosen: Parameters, index: int) -> Imaging:
        """Another picture for each further cut through a body, where parameters are drawn."""
        if not callable(self._parameters) or index % self._cuts == 0:
            return chosen.imaging
        rng = np.random.default_rng([self._seed, index, 3])
        for _ in range(16):
            drawn = self._parameters(rng)
            if _shows(drawn) == _shows(chosen):
                sharp = min(drawn.imaging.blur_px, 1.5 * chosen.imaging.blur_px)
                return dataclasses.replace(drawn.imaging, blur_px=sharp)
        return chosen.imaging

    def _beside(self, chosen: Parameters, imaging: Imaging, index: int) -> Imaging:
        """The second detector, drawn where parameters are drawn: of the same beam, so blur and drift are shared."""
        other = imaging.other()
        if not callable(self._parameters):
            return other
        across_px = chosen.particle_um * 1000 / chosen.pixel_size_nm
        drawn = draw_imaging(
            np.random.default_rng([self._seed, index, 4]),
            other.modality,
            across_px,
            apart=chosen.binder_fraction > 0,
        )
        return dataclasses.replace(drawn, **{name: getattr(other, name) for name in OF_THE_BEAM})

    def _make(self, index: int) -> SyntheticSample:
        # Structure and imaging draw from streams of their own: another noise leaves the cathode as it was.
        number, cut = divmod(index, self._cuts)
        chosen, body = self._body(number)
        imaging = self._imaging(chosen, index)
        bar = round(imaging.databar_px)
        grid = Grid(self._size[0] - bar, self._size[1])
        z = _depth(chosen, cut)
        section = body.section(z, grid)
        detectors = [imaging, *([self._beside(chosen, imaging, index)] if self._second else [])]
        pictures = expose(body, section, grid, detectors, (self._seed, index, 2))
        pictures = [databar(image, bar, chosen.pixel_size_nm) if bar else image for image in pictures]
        mask, labels = section.mask, section.labels
        if bar:
            mask = np.pad(mask, ((0, bar), (0, 0)), constant_values=IGNORE)
            labels = np.pad(labels, ((0, bar), (0, 0)))
        phases = Phases.default()
        truth = {"seed": self._seed, "index": index, "body": number}
        truth |= tell_truth(section, phases, dataclasses.replace(chosen, imaging=imaging))
        if chosen is self._parameters and self._cuts == 1:  # what was drawn at random nobody asked for
            _warn_unless_met(truth)
        return SyntheticSample(
            pictures[0],
            mask,
            labels,
            truth,
            chosen.pixel_size_nm,
            phases,
            f"synthetic_{self._seed}_{index:04d}",
            pictures[1] if self._second else None,
        )


def _shows(parameters: Parameters) -> tuple[str, float, bool]:
    """What pictures of one body have in common."""
    imaging = parameters.imaging
    return imaging.modality, imaging.databar_px, parameters.binder_fraction > 0


def _depth(parameters: Parameters, cut: int) -> float:
    """Where a cut lies, in pixels: cuts are a little more than a median particle diameter apart."""
    return 1.05 * (cut + 0.5) * parameters.particle_um * 1000 / parameters.pixel_size_nm


def expose(
    body: Body, section: Section, grid: Grid, detectors: Sequence[Imaging], seed: tuple[int, ...]
) -> list[np.ndarray]:
    """Pictures of one section by several detectors, registered: uint8 or uint16 (height, width) each."""
    relief: Relief | None = None
    if any(imaging.shine_through > 0 for imaging in detectors):
        relief = look_behind(body, section.depth, grid)
    return [
        acquire(np.random.default_rng([*seed, number] if number else [*seed]), section, imaging, relief)
        for number, imaging in enumerate(detectors)
    ]


def synthesize(
    count: int = 1,
    *,
    seed: int = 0,
    height: int = 512,
    width: int = 512,
    parameters: Draw | None = None,
    cuts: int = 1,
    second: bool = False,
) -> Sequence[SyntheticSample]:
    """Annotated cathode sections with known answers, for training, tests and for checking an analysis.

    Args:
        count: How many sections.
        seed: The same seed gives the same samples; sample i does not depend on `count`.
        height: Rows, at least 32.
        width: Columns, at least 32.
        parameters: Structure and imaging, or a function that draws them anew for each body, such as
            `Parameters.random`; default `Parameters()`.
        cuts: Sections that are cut from one body, a median particle diameter or more apart; 1 to 64, default 1. On a
            single section the fractions are met to a pixel, on several they are met on the whole. Drawn parameters
            give each cut its own imaging. More cuts are faster, a body a section is more varied.
        second: Also make the picture of a second detector, registered: backscattered electrons beside secondary
            ones, and the reverse.

    Returns:
        A sequence of `SyntheticSample`, each made when it is asked for.

    Raises:
        InputError: If a number is out of its range.

    Example:
        >>> sample = synthesize(seed=1, height=64, width=96)[0]
        >>> sample.image.shape, sample.mask.dtype, sample.phases.names
        ((64, 96), dtype('uint8'), ('pore', 'ncm', 'additive', 'binder'))
    """
    for name, value, least in (
        ("count", count, 1),
        ("height", height, 32),
        ("width", width, 32),
        ("cuts", cuts, 1),
    ):
        if value < least:
            raise InputError(f"synthesis: {name} must be at least {least}. Received {value}.")
    if cuts > 64:
        raise InputError(f"synthesis: cuts must be 1 to 64. Received {cuts}.")
    bar = 0 if parameters is None or callable(parameters) else parameters.imaging.databar_px
    if bar and not 16 <= bar <= height - 32:
        raise InputError(
            f"synthesis: databar_px must be 0, or at least 16 and leave 32 rows of image. Received {bar:g} of {height}."
        )
    if seed < 0:
        raise InputError(f"synthesis: seed must be 0 or more. Received {seed}.")
    return _Samples(count, seed, (height, width), parameters or Parameters(), cuts, second)


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
        out: Folder to make: `images/<id>.tif` (with the pixel size), `second/<id>.tif` where there is a second
            detector, `masks/<id>.png` (phase ids),
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
            write_image(folder / "images" / f"{sample.id}.tif", sample.image, sample.pixel_size_nm)
            if sample.second is not None:
                write_image(folder / "second" / f"{sample.id}.tif", sample.second, sample.pixel_size_nm)
            write_mask(folder / "masks" / f"{sample.id}.png", sample.mask, sample.phases)
            (folder / "labels").mkdir(exist_ok=True)
            tifffile.imwrite(folder / "labels" / f"{sample.id}.tif", sample.labels, compression="zlib")
            truth[sample.id] = sample.truth
        (folder / "phases.toml").write_text(sample.phases.to_toml(), encoding="utf-8")
        write_json(folder / "truth.json", truth)
    return Path(out)


def write_image(path: Path, image: np.ndarray, pixel_size_nm: float) -> None:
    """TIFF with the pixel size where ImageJ keeps it, so that every reader finds it."""
    path.parent.mkdir(exist_ok=True)
    per_um = 1000.0 / pixel_size_nm
    tifffile.imwrite(
        path, image, imagej=True, resolution=(per_um, per_um), metadata={"unit": "um"}, compression="zlib"
    )
