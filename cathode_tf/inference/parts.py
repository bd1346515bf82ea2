"""Networks and a grid in; the pieces of which a segmenter's graph is made out: predict, blend, finish, row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from cathode_tf.datasets.standardization import RULES
from cathode_tf.inference.graph_pixels import (
    image_constants,
    padded_window,
    positions,
    sample_places,
    standardized,
    tamed,
)
from cathode_tf.inference.network import Network
from cathode_tf.inference.tiles import Grid, reflect
from cathode_tf.phases import Phases

Maps = dict[str, tf.Tensor]


class Parts:
    """The pieces the traced functions are made of. A plain object: nothing in here is saved."""

    def __init__(
        self, networks: tuple[Network, ...], phases: Phases, grid: Grid, orientations: int, rule: str
    ):
        self.rule = rule
        self.networks, self.phases, self.grid, self.orientations = networks, phases, grid, orientations
        self.packed_size = max(network.packed_size for network in networks)
        self.packed_spec = tf.TensorSpec((len(networks) * orientations, self.packed_size), tf.float32)
        self.rising = tf.constant(grid.ramp())

    # What one tile's probabilities become.

    def finish(self, probabilities: tf.Tensor) -> Maps:
        """Phase ids, top-two margin and entropy of probabilities (h, w, n); each uint8 (h, w)."""
        best = tf.argmax(probabilities, -1, output_type=tf.int32)
        highest = tf.reduce_max(probabilities, -1)
        n = len(self.phases)
        if n > 1:
            second = tf.reduce_max(probabilities - 2.0 * tf.one_hot(best, n), -1)
            entropy = -tf.reduce_sum(tf.math.xlogy(probabilities, probabilities), -1) / np.log(n)
        else:
            second, entropy = tf.zeros_like(highest), tf.zeros_like(highest)
        return {
            "mask": tf.gather(tf.constant(self.phases.ids, tf.uint8), best),
            "margin": _as_byte(highest - second),
            "entropy": _as_byte(entropy),
        }

    def keep(self, probabilities: tf.Tensor) -> Maps:
        return {"probabilities": probabilities}

    def signature(self, finish: Any) -> dict[str, tf.TensorSpec]:
        if finish == self.keep:
            return {"probabilities": tf.TensorSpec((None, None, len(self.phases)), tf.float32)}
        byte = tf.TensorSpec((None, None), tf.uint8)
        return {
            "mask": byte,
            "margin": byte,
            "entropy": byte,
            "phase_fractions": tf.TensorSpec((len(self.phases),), tf.float32),
            "score": tf.TensorSpec((), tf.float32),
        }

    # The network, in every member and orientation.

    def measure(self, samples: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean probabilities (b, h, w, n) and the packed normalisations of standardised samples."""
        total: Any = 0.0
        packed: list[tf.Tensor] = []
        for network in self.networks:
            for orientation in range(self.orientations):
                probabilities, values = network.measure(_turned(_after(total, samples), orientation))
                total += _turned_back(probabilities, orientation)
                packed.append(tf.pad(values, [[0, self.packed_size - values.shape[0]]]))
        return total / float(len(packed)), tf.stack(packed)

    def normalization(self, samples: tf.Tensor, mean: tf.Tensor, inverse: tf.Tensor) -> tf.Tensor:
        """The packed normalisations of raw samples (b, h, w); nothing is run for networks without any."""
        if self.packed_size == 0:
            return tf.zeros(self.packed_spec.shape)
        return self.measure(standardized(samples, mean, inverse))[1]

    def predict(self, image: tf.Tensor, packed: tf.Tensor) -> tf.Tensor:
        """Mean probabilities (h, w, n) of one standardised tile (h, w, 1)."""
        total: Any = 0.0
        for member, network in enumerate(self.networks):
            for orientation in range(self.orientations):
                values = packed[member * self.orientations + orientation, : network.packed_size]
                probabilities = network.apply(_turned(_after(total, image[None]), orientation), values)
                total += _turned_back(probabilities, orientation)
        return total[0] / float(len(self.networks) * self.orientations)

    # Images.

    def whole(self, pixels: tf.Tensor, finish: Any) -> Maps:
        """All maps of one image (h, w) uint16."""
        tf.debugging.assert_positive(tf.size(pixels), "image: must hold at least one pixel. Received none.")
        height, width = tf.unstack(tf.shape(pixels))
        pixels = self.prepared(pixels)
        mean, inverse = image_constants(pixels)
        maps = tf.cond(
            self.grid.fits((tf.cast(height, tf.int64), tf.cast(width, tf.int64))),
            lambda: self.single(pixels, mean, inverse, finish),
            lambda: self.rows(pixels, mean, inverse, finish),
        )
        if finish == self.keep:
            return maps
        counts = tf.stack([tf.math.count_nonzero(maps["mask"] == id_) for id_ in self.phases.ids])
        size = tf.cast(tf.size(pixels), tf.float64)
        doubt = tf.cast(tf.reduce_sum(tf.cast(maps["entropy"], tf.int64)), tf.float64)
        fractions = tf.cast(tf.cast(counts, tf.float64) / size, tf.float32)
        return {**maps, "phase_fractions": fractions, "score": tf.cast(doubt / size / 255.0, tf.float32)}

    def prepared(self, pixels: tf.Tensor) -> tf.Tensor:
        """The pixels (h, w) uint16 as the rule of the model's card wants them before anything is measured."""
        return pixels if self.rule == RULES[0] else tamed(pixels)

    def single(self, pixels: tf.Tensor, mean: tf.Tensor, inverse: tf.Tensor, finish: Any) -> Maps:
        """An image that needs no tiles goes through the network as it is."""
        height, width = tf.unstack(tf.shape(pixels))
        image = padded_window(pixels, self.grid.padded(height), 0, self.grid.padded(width))
        probabilities, _ = self.measure(standardized(image[None], mean, inverse))
        return finish(probabilities[0, :height, :width])

    def rows(self, pixels: tf.Tensor, mean: tf.Tensor, inverse: tf.Tensor, finish: Any) -> Maps:
        """A large image, one row of tiles after the other."""
        height, width = tf.unstack(tf.shape(pixels))
        packed = self.normalization(self.samples(pixels), mean, inverse)
        axis = self.grid.axis(height)

        def body(index, above, arrays):
            start = axis.start(index)
            top, bottom = axis.owned(index)
            geometry = (axis.tile, top - start, bottom - start, tf.cast(index == 0, tf.int32))
            maps, below = self.row(
                pixels[start : start + axis.tile], mean, inverse, packed, above, geometry, finish
            )
            return index + 1, below, {key: arrays[key].write(index, maps[key]) for key in arrays}

        arrays = self.arrays(finish, axis.count)
        above = tf.zeros((self.grid.padded(width), 0, len(self.phases)))
        anything = tf.TensorShape((None, None, len(self.phases)))
        _, _, arrays = tf.while_loop(
            lambda index, *_: index < axis.count,
            body,
            (tf.constant(0), above, arrays),
            shape_invariants=(tf.TensorShape(()), anything, {key: tf.TensorShape(None) for key in arrays}),
            parallel_iterations=1,
        )
        return {key: array.concat()[:height] for key, array in arrays.items()}

    def samples(self, pixels: tf.Tensor) -> tf.Tensor:
        """The pieces (b, h, w) of an image on which its normalisation is measured."""
        height, width = tf.unstack(tf.shape(pixels))
        (down, side_y), (across, side_x) = sample_places((height, width), self.grid)
        rows = tf.gather(pixels, reflect(positions(down, side_y), height))
        both = tf.gather(rows, reflect(positions(across, side_x), width), axis=1)
        count_y, count_x = tf.size(down), tf.size(across)
        blocks = tf.transpose(tf.reshape(both, (count_y, side_y, count_x, side_x)), (0, 2, 1, 3))
        return tf.reshape(blocks, (-1, side_y, side_x))

    def row(
        self,
        pixels: tf.Tensor,
        mean: tf.Tensor,
        inverse: tf.Tensor,
        packed: tf.Tensor,
        above: tf.Tensor,
        geometry: tuple[Any, Any, Any, Any],
        finish: Any,
    ) -> tuple[Maps, tf.Tensor]:
        """One row of tiles.

        Args:
            pixels: The rows the tiles read, uint16 (h, w).
            above: What the row above left for the passage, float32 (padded width, ramp or 0, n).
            geometry: Height of the tiles; first and end row they own; whether this is the first row.

        Returns:
            The finished maps (bottom - top, w), and what this row leaves for the next.
        """
        tile, top, bottom, first = geometry
        width = tf.shape(pixels)[1]
        axis = self.grid.axis(width)

        def body(index, left, belows, arrays):
            start = axis.start(index)
            begin, end = axis.owned(index)
            window = padded_window(pixels, tile, start, axis.tile)
            predicted = self.predict(standardized(window, mean, inverse), packed)
            local = (top, bottom, begin - start, end - start, first, tf.cast(index == 0, tf.int32))
            maps, right, below = self.blend(predicted, left, above[begin:end], local, finish)
            belows = belows.write(index, below)
            return index + 1, right, belows, {key: arrays[key].write(index, maps[key]) for key in arrays}

        n = len(self.phases)
        belows = tf.TensorArray(tf.float32, axis.count, element_shape=(None, None, n), infer_shape=False)
        arrays = self.arrays(finish, axis.count)
        loop = (tf.constant(0), tf.zeros((0, tile, n)), belows, arrays)
        invariants = (tf.TensorShape(()), tf.TensorShape((None, None, n)), tf.TensorShape(None))
        _, _, belows, arrays = tf.while_loop(
            lambda index, *_: index < axis.count,
            body,
            loop,
            shape_invariants=(*invariants, {key: tf.TensorShape(None) for key in arrays}),
            parallel_iterations=1,
        )
        turned = {key: array.concat()[:width] for key, array in arrays.items()}
        return {key: _upright(value) for key, value in turned.items()}, belows.concat()

    def blend(
        self, predicted: tf.Tensor, left: tf.Tensor, above: tf.Tensor, geometry: Any, finish: Any
    ) -> tuple[Maps, tf.Tensor, tf.Tensor]:
        """What a tile finishes, and what it leaves for its right and lower neighbours.

        Width comes first in all but `predicted`: the passage is then the first axis in both directions, and
        so are the parts of which rows are put together.

        Args:
            predicted: Probabilities (h, w, n).
            left: What the tile to the left leaves, (ramp or 0, h, n).
            above: What the tiles above leave for the columns this tile owns, (columns, ramp or 0, n).
            geometry: First and end row, first and end column that the tile owns; whether it is in the first
                row, and in the first column (1 or 0).
        """
        top, bottom, begin, end, first_row, first_column = geometry
        strip, right = self.passage(
            tf.transpose(predicted, (1, 0, 2)), left, begin, end, self.ramp_unless(first_column)
        )
        block, below = self.passage(
            _upright(strip), _upright(above), top, bottom, self.ramp_unless(first_row)
        )
        return finish(_upright(block)), right, _upright(below)

    def ramp_unless(self, first: Any) -> tf.Tensor:
        return self.rising[: (1 - first) * self.grid.ramp_px]

    def passage(
        self, values: tf.Tensor, before: tf.Tensor, begin: Any, end: Any, ramp: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The owned part of `values` along its first axis, blended with `before`; the share of the next."""
        wide = tf.shape(ramp)[0]
        mixed = values[begin : begin + wide] * ramp[:, None, None] + before
        owned = tf.concat([mixed, values[begin + wide : end]], 0)
        following = values[end : end + self.grid.ramp_px]  # nothing is left after the last tile
        falling = (1.0 - self.rising)[: tf.shape(following)[0], None, None]
        return owned, following * falling

    def arrays(self, finish: Any, count: Any) -> dict[str, tf.TensorArray]:
        return {
            key: tf.TensorArray(spec.dtype, count, element_shape=spec.shape, infer_shape=False)
            for key, spec in self.signature(finish).items()
            if spec.shape.rank and spec.shape.rank > 1
        }


def _upright(values: tf.Tensor) -> tf.Tensor:
    """First two axes exchanged."""
    return tf.transpose(values, (1, 0) if values.shape.rank == 2 else (1, 0, 2))


def _after(done: Any, images: tf.Tensor) -> tf.Tensor:
    """The images, once `done` is there: networks that ran side by side would need the memory of all."""
    with tf.control_dependencies([done] if isinstance(done, tf.Tensor) else []):
        return tf.identity(images)


def _turned(images: tf.Tensor, orientation: int) -> tf.Tensor:
    """Images (b, h, w, c) in one of eight orientations: quarter turns, and flipped from the fifth on."""
    if orientation >= 4:
        images = tf.reverse(images, [2])
    return tf.image.rot90(images, orientation % 4) if orientation % 4 else images


def _turned_back(images: tf.Tensor, orientation: int) -> tf.Tensor:
    if orientation % 4:
        images = tf.image.rot90(images, 4 - orientation % 4)
    return tf.reverse(images, [2]) if orientation >= 4 else images


def _as_byte(values: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.round(tf.clip_by_value(values, 0.0, 1.0) * 255.0), tf.uint8)
