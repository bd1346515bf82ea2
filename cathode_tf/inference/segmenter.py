"""Micrograph in, `Segmentation` out: mask, uncertainty, phase fractions and one score."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from cathode_tf.datasets.standardize import image_statistics, scale_of
from cathode_tf.imaging import Micrograph
from cathode_tf.inference.graph import sample_places
from cathode_tf.inference.segmentation import (
    MAPS,
    Segmentation,
    image_pixels,
    phase_fractions,
    segment_at_scale,
)
from cathode_tf.inference.sources import Source, Traced, trace
from cathode_tf.inference.tiles import reflect

WHOLE_PX = 1 << 22
"""Images of up to this many pixels are answered in one call of the graph; larger ones row by row."""


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

    def segment(self, image: np.ndarray | Micrograph) -> Segmentation:
        """Mask and uncertainty of one image.

        A `Micrograph` of known pixel size is resampled to the model's, if that is known too, and the maps
        are brought back to its own.

        Args:
            image: A `Micrograph`, or its pixels: uint8 or uint16 (height, width), as acquired.

        Raises:
            InputError: If `image` is no two-dimensional uint8 or uint16 array with at least one pixel.
        """
        return segment_at_scale(image, self.card, self._segment, self.phases)

    def _segment(self, pixels: np.ndarray) -> Segmentation:
        maps: dict[str, Any]
        if pixels.size <= WHOLE_PX:
            found = self._run("segment", pixels.astype(np.uint16)[None, :, :, None])
            maps = {key: found[key][0].numpy() for key in MAPS}
        else:
            maps = {key: np.empty(pixels.shape, np.uint8) for key in MAPS}
            for first, rows in self.stream(lambda start, stop: pixels[start:stop], pixels.shape):
                for key, values in rows.items():
                    maps[key][first : first + len(values)] = values
        mask, entropy = maps["mask"], maps["entropy"]
        score = float(np.float32(entropy.sum(dtype=np.int64) / mask.size / 255.0))
        return Segmentation(mask, maps["margin"], entropy, phase_fractions(mask, self.phases), score)

    def probabilities(self, image: np.ndarray | Micrograph) -> np.ndarray:
        """Probability of each phase, float32 (height, width, phases), for images that fit in memory."""
        pixels = image_pixels(image)
        return self._run("probabilities", pixels.astype(np.uint16)[None, :, :, None])["probabilities"][
            0
        ].numpy()

    def stream(
        self,
        read: Callable[[int, int], np.ndarray],
        shape: tuple[int, int],
        *,
        statistics: tuple[float, float] | None = None,
    ) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """Segment an image of any size, one row of tiles in memory at a time.

        The answer is that of the whole image: the same tiles, weights and order of sums.

        Args:
            read: Gives the rows from `start` to `stop` as uint8 or uint16 (rows, width).
            shape: Height and width.
            statistics: Mean and standard deviation of the image; default: from reading it whole.

        Yields:
            The first row, and the finished maps (`mask`, `margin`, `entropy`) from there on.
        """
        height, width = shape
        if self.grid.fits(shape):
            found = self._run("segment", read(0, height).astype(np.uint16)[None, :, :, None])
            yield 0, {key: found[key][0].numpy() for key in MAPS}
            return
        axis = self.grid.axis(height)
        if statistics is None:
            statistics = image_statistics(read(0, height))
        offset, factor = scale_of(*statistics)
        packed = self._run("measure", self._samples(read, shape), offset, factor)
        above = tf.zeros((self.grid.padded(width), 0, len(self.phases)))
        for index in range(axis.count):
            start = axis.start(index)
            top, bottom = axis.owned(index)
            pixels = read(start, min(start + axis.tile, height)).astype(np.uint16)
            geometry = (axis.tile, top - start, bottom - start, int(index == 0))
            maps, above = self._run("row", pixels, offset, factor, packed, above, *geometry)
            yield top, {key: values.numpy()[: height - top] for key, values in maps.items()}

    def _run(self, name: str, *values: Any) -> Any:
        """Call a function of the graph; TensorFlow's warning about many traced functions is not for us."""
        if name not in self._functions:
            self._functions[name] = getattr(self.graph, name).get_concrete_function()
        function = self._functions[name]
        specs = function.structured_input_signature[0]
        return function(
            *(tf.convert_to_tensor(value, spec.dtype) for value, spec in zip(values, specs, strict=True))
        )

    def _samples(self, read: Callable[[int, int], np.ndarray], shape: tuple[int, int]) -> np.ndarray:
        (down, side_y), (across, side_x) = (
            tuple(np.asarray(value) for value in sample_places(length, self.grid)) for length in shape
        )
        columns = [reflect(start + np.arange(side_x), shape[1]) for start in across]
        samples = []
        for start in down:
            rows = reflect(start + np.arange(side_y), shape[0])
            block = read(int(rows.min()), int(rows.max()) + 1)[rows - rows.min()]
            samples.extend(block[:, chosen] for chosen in columns)
        return np.stack(samples).astype(np.uint16)
