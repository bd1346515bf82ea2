"""Micrograph in, `Segmentation` out: mask, uncertainty, phase fractions and one score."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from cathode_tf.errors import InputError
from cathode_tf.imaging import Micrograph
from cathode_tf.imaging.draws import Draws
from cathode_tf.imaging.looks import alike, look_of
from cathode_tf.imaging.outliers import tamed
from cathode_tf.inference.draws import draw_masks
from cathode_tf.inference.scale import Block, ScaledImage, image_pixels, scale_to_model
from cathode_tf.inference.segmentation import MAPS, Segmentation, maps_of, put_together
from cathode_tf.inference.sources import Source, Traced, trace
from cathode_tf.inference.streams import tile_by_tile
from cathode_tf.inference.strokes import check_strokes, follow_strokes
from cathode_tf.inference.trials import known_trials, trial_like
from cathode_tf.learning.calibration import Calibration
from cathode_tf.learning.counterparts import told_in
from cathode_tf.learning.kinds import KINDS, VERSION, Kinds, shipped
from cathode_tf.phases import Phases

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
    def known(self) -> Kinds | None:
        """Which kind of image the model learned; None where its card does not tell."""
        told = self.card.get("kind") or {}
        return shipped() if told.get("version") == VERSION and KINDS.exists() else None

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
        return look_of(self._seen(image))

    def _seen(self, image: np.ndarray | Micrograph) -> np.ndarray:
        pixels, scale = tamed(image_pixels(image)), scale_to_model(image, self.card)
        return ScaledImage(lambda *window: pixels[window], pixels.shape, scale).whole()

    def kind(self, image: np.ndarray | Micrograph) -> dict[str, Any] | None:
        """How far an image is from what the model learned, and the test on images of its kind, if there was one.

        Returns:
            `score` (above 1: foreign), `foreign`, `reason`, and `test` (None: none on such images); None where the
            model's card does not tell what it learned (then `score` is None), nor any test is known. Images like those
            that a training went on with are not foreign.
        """
        if self.known is None and not self.trials:
            return None
        pixels = self._seen(image)
        look = look_of(pixels)
        judged = (
            {"score": None, "foreign": False, "reason": ""}
            if self.known is None
            else self.known.judge(pixels)
        )
        if judged["foreign"] and alike(look, np.asarray(self.card["kind"].get("looks", ()), float)):
            judged |= {"foreign": False, "reason": ""}
        return {**judged, "test": trial_like(look, self.trials)}

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
            seen = ScaledImage.of(image, self.card)
            return put_together(self.stream(seen), seen.own_shape, self.phases)
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

    def stream(self, image: ScaledImage) -> Iterator[Block]:
        """Segment an image of any size, one tile in memory at a time.

        The answer is that of the whole image: the same tiles, weights and order of sums.

        Yields:
            First row, first column, and the finished maps (`mask`, `margin`, `entropy`) from there on, at the
            image's own pixels; the blocks cover it once, row by row.

        Example:
            >>> from cathode_tf import Phases, build_unet
            >>> segmenter = Segmenter(build_unet(Phases.default(), filters=(4, 8)))
            >>> pixels = np.zeros((6, 9), np.uint8)
            >>> image = ScaledImage(lambda rows, columns: pixels[rows, columns], (6, 9), scale=2.0)
            >>> [(row, column, maps["mask"].shape) for row, column, maps in segmenter.stream(image)]
            [(0, 0, (6, 9))]
        """
        if self.grid.fits(image.shape):
            found = self._whole("segment", image.whole())
            yield image.block_back((0, 0, {key: found[key].numpy() for key in MAPS}))
            return
        rule = self.card["standardization"]
        for seen in tile_by_tile(self._run, image.read, image.shape, self.grid, len(self.phases), rule):
            block = image.block_back(seen)
            if block[2]["mask"].size:
                yield block

    def probabilities(self, image: np.ndarray | Micrograph) -> np.ndarray:
        """Probability of each phase, float32 (height, width, phases), for images that fit in memory.

        A `Micrograph` is resampled as for `segment`, and the probabilities brought back like the mask.
        """
        seen = ScaledImage.of(image, self.card)
        return seen.back(self._whole("probabilities", seen.whole())["probabilities"].numpy())

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
