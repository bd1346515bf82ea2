"""Micrograph in, `Segmentation` out: mask, uncertainty, phase fractions and one score."""

from __future__ import annotations

import functools
import itertools
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from cathode_tf.datasets.standardization import scale_of, statistics_of_counts, table_of
from cathode_tf.errors import InputError
from cathode_tf.imaging import Micrograph
from cathode_tf.imaging.draws import Draws
from cathode_tf.imaging.looks import Known, look_of
from cathode_tf.imaging.outliers import histogram, tamed
from cathode_tf.imaging.resampling import Reader, Resampling
from cathode_tf.inference.draws import draw_masks
from cathode_tf.inference.graph import sample_places
from cathode_tf.inference.segmentation import (
    MAPS,
    Segmentation,
    image_pixels,
    maps_of,
    mean_entropy,
    phase_fractions,
    scale_to_model,
    segment_at_scale,
)
from cathode_tf.inference.sources import Source, Traced, trace
from cathode_tf.inference.strokes import check_strokes, follow_strokes
from cathode_tf.inference.tiles import reflect
from cathode_tf.inference.trials import known_trials, trial_like
from cathode_tf.learning.calibration import Calibration
from cathode_tf.learning.counterparts import told_in
from cathode_tf.phases import Phases

WHOLE_PX = 1 << 22
"""Images of up to this many pixels are answered in one call of the graph; larger ones tile by tile."""

PART_PX = 2048
MOST_PX = 1 << 24
"""Probabilities of larger images would take too much memory; they get no plausible masks."""


class Segmenter:
    """Segments micrographs of any size.

    Images up to `tile_px` wide and high go through the network whole; larger ones in overlapping tiles
    that leave no seams: the tiles overlap by as far as the network sees, and all are normalised alike.

    Args:
        model: A run's folder, a `.keras` file, an exported SavedModel, `"default"`, or a Keras model of
            `build_unet`; or a list of these (not SavedModels), whose probabilities are averaged.
        max_memory: What the process may take, as `"2GB"` or in bytes; the tiles are chosen to fit.
        tile_px: Largest side of a tile, in pixels, where it shall not be chosen.
        orientations: Average over this many flips and quarter turns: 1, 2, 4 or 8.

    Raises:
        InputError: If the model cannot be used.

    Example:
        >>> from cathode_tf import Phases, build_unet
        >>> segmenter = Segmenter(build_unet(Phases.default(), filters=(4, 8)))
        >>> segmentation = segmenter.segment(np.zeros((5, 7), np.uint8))
        >>> segmentation.mask.shape, sorted(segmentation.phase_fractions)
        ((5, 7), ['additive', 'binder', 'ncm', 'pore'])
    """

    def __init__(
        self,
        model: Source | Sequence[Source],
        *,
        max_memory: str | int | None = None,
        tile_px: int | None = None,
        orientations: int = 1,
    ):
        options = {"max_memory": max_memory, "tile_px": tile_px, "orientations": orientations}
        self._arguments: dict[str, Any] = {"model": model, **options}
        self._traced: Traced = trace(model, max_memory=max_memory, tile_px=tile_px, orientations=orientations)
        self._functions: dict[str, Any] = {}

    @property
    def phases(self):
        """Names and ids of what is told apart."""
        return self._traced.phases

    @property
    def card(self) -> dict[str, Any]:
        """The model card."""
        return self._traced.card

    @property
    def grid(self):
        """How large images are cut."""
        return self._traced.grid

    @property
    def fingerprint(self) -> str:
        """SHA-256 of everything that decides an answer; an exported SavedModel keeps that of its source."""
        return self._traced.fingerprint

    @property
    def graph(self):
        """The traced TensorFlow functions, as they are exported."""
        return self._traced.graph

    @property
    def sources(self) -> list[str]:
        """What the models were called; empty where they are Keras models in memory."""
        model = self._arguments["model"]
        members = list(model) if isinstance(model, (list, tuple)) else [model]
        return [str(member) for member in members] if all(isinstance(m, (str, Path)) for m in members) else []

    @functools.cached_property
    def known(self) -> Known | None:
        """The looks that the model learned from; None where its card does not tell."""
        return Known.from_dict(self.card.get("kind"))

    @functools.cached_property
    def calibration(self) -> Calibration | None:
        """What the probabilities are worth; None where the card does not tell, or several models are averaged."""
        alone = len(self.sources) < 2
        return Calibration.from_dict(self.card.get("calibration")) if alone else None

    @functools.cached_property
    def trials(self) -> list[dict[str, Any]]:
        """The tests that the model has passed, as `evaluate` noted them beside it."""
        sources = self.sources
        return known_trials(sources[0], self.card) if len(sources) == 1 else []

    def look(self, image: np.ndarray | Micrograph) -> np.ndarray:
        """What an image looks like at the model's pixel size (`look_of`)."""
        pixels, scale = tamed(image_pixels(image)), scale_to_model(image, self.card)
        return look_of(pixels if scale == 1.0 else Resampling(pixels.shape, scale)(pixels))

    def kind(self, image: np.ndarray | Micrograph) -> dict[str, Any] | None:
        """How far an image is from what the model learned, and the test on images of its kind, if there was one.

        Returns:
            `score` (above 1: foreign), `foreign`, `reason`, and `test` (None: none on such images); None where the
            model's card does not tell what it learned (then `score` is None), nor any test is known.
        """
        if self.known is None and not self.trials:
            return None
        look = self.look(image)
        judged = (
            {"score": None, "foreign": False, "reason": ""} if self.known is None else self.known.judge(look)
        )
        return {**judged, "test": trial_like(look, self.known, self.trials)}

    def recipe(self) -> dict[str, Any]:
        """What to call `Segmenter` with for the same one in another process, as JSON can say it.

        Raises:
            InputError: If it was made of a Keras model, not of files.
        """
        if not self.sources:
            raise InputError("model: must be files that other processes can read. Received a Keras model.")
        names = [source if source == "default" else str(Path(source).resolve()) for source in self.sources]
        return {**self._arguments, "model": names if len(names) > 1 else names[0]}

    def segment(
        self,
        image: np.ndarray | Micrograph,
        *,
        strokes: np.ndarray | None = None,
        phases: Phases | None = None,
    ) -> Segmentation:
        """Mask and uncertainty of one image.

        A `Micrograph` of known pixel size is resampled to the model's, if that is known too, and the maps
        are brought back to its own.

        Args:
            image: A `Micrograph`, or its pixels: uint8 or uint16 (height, width), as acquired.
            strokes: A few strokes by hand, uint8 (height, width) of phase ids with 255 where nothing is painted: the
                rest of the image follows them (`follow_strokes`). The image must then fit in memory.
            phases: Of the strokes and of the mask; default: the model's. Those of the model that share a
                name or else a role with them stand for them. The image must then fit in memory.

        Raises:
            InputError: If `image` is no two-dimensional uint8 or uint16 array with at least one pixel, if the
                strokes do not fit it, or if the model knows fewer than two of the phases.
        """
        if strokes is None and phases is None:
            return segment_at_scale(image, self.card, self._segment, self.phases)
        phases = phases or self.phases
        pixels = image_pixels(image)
        if strokes is not None:
            check_strokes(strokes, pixels.shape, phases, "strokes")
        probabilities = self.probabilities(image)
        if phases != self.phases:
            probabilities = told_in(probabilities, self.phases, phases)
        if strokes is not None:
            probabilities = follow_strokes(probabilities, pixels, strokes, phases)
        return maps_of(probabilities, phases)

    def _segment(self, pixels: np.ndarray) -> Segmentation:
        maps: dict[str, Any]
        if pixels.size <= WHOLE_PX:
            found = self._whole("segment", pixels)
            maps = {key: found[key].numpy() for key in MAPS}
        else:
            maps = {key: np.empty(pixels.shape, np.uint8) for key in MAPS}
            for row, column, block in self.stream(lambda *window: pixels[window], pixels.shape):
                for key, values in block.items():
                    maps[key][row : row + values.shape[0], column : column + values.shape[1]] = values
        mask, entropy = maps["mask"], maps["entropy"]
        score = mean_entropy(int(entropy.sum(dtype=np.int64)), mask.size)
        return Segmentation(mask, maps["margin"], entropy, phase_fractions(mask, self.phases), score)

    def probabilities(self, image: np.ndarray | Micrograph) -> np.ndarray:
        """Probability of each phase, float32 (height, width, phases), for images that fit in memory.

        A `Micrograph` is resampled as for `segment`, and the probabilities brought back like the mask.
        """
        pixels = image_pixels(image)
        scale = scale_to_model(image, self.card)
        if scale == 1.0:
            return self._whole("probabilities", pixels)["probabilities"].numpy()
        resampling = Resampling(pixels.shape, scale)
        return resampling.back(self.probabilities(resampling(pixels)))

    def segment_with_draws(
        self, image: np.ndarray | Micrograph, count: int
    ) -> tuple[Segmentation, Draws | None]:
        """`segment`, and so many plausible masks (`draw_masks`); None where nothing tells what probabilities are worth.

        The image must fit in memory.
        """
        pixels = image_pixels(image)
        if not count or self.calibration is None or pixels.size > MOST_PX:
            return self.segment(image), None
        probabilities = self.probabilities(image)
        # The same image gives the same draws, whatever it is called.
        seed = zlib.crc32(pixels.tobytes())
        draws = draw_masks(probabilities, self.calibration, self.phases, count=count, seed=seed)
        return maps_of(probabilities, self.phases), draws

    def stream(
        self,
        read: Reader,
        shape: tuple[int, int],
        *,
        scale: float = 1.0,
    ) -> Iterator[tuple[int, int, dict[str, np.ndarray]]]:
        """Segment an image of any size, one tile in memory at a time.

        The answer is that of the whole image: the same tiles, weights and order of sums.

        Args:
            read: Gives the pixels of some rows and columns, uint8 or uint16: `read(slice(0, 9), slice(5, 7))`.
            shape: Height and width.
            scale: By what to enlarge the image for the model, as `scale_to_model` says.

        Yields:
            First row, first column, and the finished maps (`mask`, `margin`, `entropy`) from there on; the
            blocks cover the image once, row by row.
        """
        if scale == 1.0:
            yield from self._stream(read, shape)
            return
        resampling = Resampling(shape, scale)
        resampled = functools.partial(resampling.window, read)
        for row, column, maps in self._stream(resampled, resampling.target):
            height, width = maps["mask"].shape
            first_row, rows = resampling.nearest(0, slice(row, row + height))
            first_column, columns = resampling.nearest(1, slice(column, column + width))
            if rows.size and columns.size:
                yield first_row, first_column, {k: v[rows][:, columns] for k, v in maps.items()}

    def _stream(
        self, read: Reader, shape: tuple[int, int]
    ) -> Iterator[tuple[int, int, dict[str, np.ndarray]]]:
        height, width = shape
        if self.grid.fits(shape):
            pixels = read(slice(0, height), slice(0, width))
            found = self._whole("segment", pixels)
            yield 0, 0, {key: found[key].numpy() for key in MAPS}
            return
        read, statistics = prepared_in_parts(read, shape, self.card["standardization"])
        offset, factor = scale_of(*statistics)
        packed = self._run("measure", self._samples(read, shape), offset, factor)
        down, across, n = self.grid.axis(height), self.grid.axis(width), len(self.phases)
        above = np.zeros((across.padded, 0, n), np.float32)
        for row in range(down.count):
            top, bottom = down.owned(row)
            belows, left = [], np.zeros((0, down.tile, n), np.float32)
            for column in range(across.count):
                y, x = down.start(row), across.start(column)
                begin, end = across.owned(column)
                pixels = read(slice(y, min(y + down.tile, height)), slice(x, min(x + across.tile, width)))
                geometry = [
                    down.tile,
                    across.tile,
                    top - y,
                    bottom - y,
                    begin - x,
                    end - x,
                    row == 0,
                    column == 0,
                ]
                maps, left, below = self._run(
                    "tile", pixels, offset, factor, packed, left, above[begin:end], geometry
                )
                belows.append(below.numpy())
                # The maps come with the width first.
                yield top, begin, {k: v.numpy()[: width - begin, : height - top].T for k, v in maps.items()}
            above = np.concatenate(belows)

    def _whole(self, name: str, pixels: np.ndarray) -> Any:
        """All maps of an image in one call; SavedModels of earlier versions have no function for a single tile."""
        if self.grid.fits(pixels.shape) and hasattr(self.graph, f"{name}_single"):
            return self._run(f"{name}_single", pixels)
        return {key: values[0] for key, values in self._run(name, pixels[None, :, :, None]).items()}

    def _run(self, name: str, *values: Any) -> Any:
        """Call a function of the graph; TensorFlow's warning about many traced functions is not for us."""
        if name not in self._functions:
            self._functions[name] = getattr(self.graph, name).get_concrete_function()
        function = self._functions[name]
        specs = function.structured_input_signature[0]
        tensors = (
            value if isinstance(value, tf.Tensor) else np.asarray(value, spec.dtype.as_numpy_dtype)
            for value, spec in zip(values, specs, strict=True)
        )
        return function(*map(tf.convert_to_tensor, tensors))

    def _samples(self, read: Reader, shape: tuple[int, int]) -> np.ndarray:
        (down, side_y), (across, side_x) = (
            (starts.numpy(), int(side)) for starts, side in sample_places(shape, self.grid)
        )
        samples = []
        for rows in (reflect(start + np.arange(side_y), shape[0]) for start in down):
            for columns in (reflect(start + np.arange(side_x), shape[1]) for start in across):
                block = read(_span(rows), _span(columns))
                samples.append(block[rows - rows.min()][:, columns - columns.min()])
        return np.stack(samples)


def _span(positions: np.ndarray) -> slice:
    return slice(int(positions.min()), int(positions.max()) + 1)


def prepared_in_parts(read: Reader, shape: tuple[int, int], rule: str) -> tuple[Reader, tuple[float, float]]:
    """What reads the pixels as a rule takes them, and their mean and standard deviation, from exact integer sums."""
    starts = itertools.product(range(0, shape[0], PART_PX), range(0, shape[1], PART_PX))
    counts = histogram(
        read(slice(row, min(row + PART_PX, shape[0])), slice(column, min(column + PART_PX, shape[1])))
        for row, column in starts
    )
    table = table_of(counts, rule)
    statistics = statistics_of_counts(counts, table)
    if table is None:
        return read, statistics
    return lambda rows, columns: table[read(rows, columns)], statistics
