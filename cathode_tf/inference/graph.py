"""Networks in, one TensorFlow module out that answers for whole images, rows of tiles and servers alike.

Everything between raw integer pixels and phase ids is in here: standardisation, padding, tiles, blending,
uncertainty. The Python API, the command line and an exported SavedModel call these very functions, so that
they give equal bytes; the module keeps no reference to Keras code once its functions are traced.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from cathode_tf.datasets.standardization import RULE, check_rule
from cathode_tf.inference.graph_pixels import decoded_png, image_constants, padded_window, standardized
from cathode_tf.inference.network import Network
from cathode_tf.inference.parts import Parts
from cathode_tf.inference.tiles import Grid
from cathode_tf.phases import Phases

_PIXELS = tf.TensorSpec((None, None), tf.uint16)
_BATCH = tf.TensorSpec((None, None, None, 1), tf.uint16, name="image")
_INT = tf.TensorSpec((), tf.int32)
_FLOAT = tf.TensorSpec((), tf.float32)

SERVED = ("mask", "margin", "phase_fractions", "score")
"""What goes over the wire."""


class SegmentationGraph(tf.Module):
    """The traced functions of a segmenter.

    Args:
        networks: The members of the ensemble; their probabilities are averaged.
        phases: Names and ids of the output channels.
        grid: How large images are cut.
        description: What `describe` gives back as JSON: the card, the phases, the grid.
        orientations: How many of the eight flips and quarter turns are averaged: 1, 2, 4 or 8.
        rule: Of the standardisation, as the model's card tells.
    """

    def __init__(
        self,
        networks: Sequence[Network],
        phases: Phases,
        grid: Grid,
        *,
        description: dict[str, Any],
        orientations: int = 1,
        rule: str = RULE,
    ):
        super().__init__(name="segmenter")
        self.weights = [network.variables for network in networks]
        parts = Parts(tuple(networks), phases, grid, orientations, check_rule(rule))
        text = json.dumps(description)

        @tf.function(input_signature=[_BATCH], autograph=False)
        def segment(image):
            return tf.map_fn(
                lambda one: parts.whole(one[..., 0], parts.finish),
                image,
                fn_output_signature=parts.signature(parts.finish),
                parallel_iterations=1,
            )

        @tf.function(input_signature=[_BATCH], autograph=False)
        def serve(image):
            maps = segment(image)
            return {key: maps[key] for key in SERVED}

        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="png")], autograph=False)
        def serve_png(png):
            shape = tf.shape(decoded_png(png[0]))

            def one(content):
                pixels = decoded_png(content)
                tf.debugging.assert_equal(
                    tf.shape(pixels), shape, "png: the images of a batch must be of one size."
                )
                maps = parts.whole(pixels, parts.finish)
                return {key: maps[key] for key in SERVED}

            specs = parts.signature(parts.finish)
            return tf.map_fn(
                one,
                png,
                fn_output_signature={key: specs[key] for key in SERVED},
                parallel_iterations=1,
            )

        @tf.function(input_signature=[_BATCH], autograph=False)
        def probabilities(image):
            return tf.map_fn(
                lambda one: parts.whole(one[..., 0], parts.keep),
                image,
                fn_output_signature=parts.signature(parts.keep),
                parallel_iterations=1,
            )

        # Most images need no tiles; without the loops over them this is traced in a tenth of the time.
        @tf.function(input_signature=[_PIXELS], autograph=False)
        def segment_single(pixels):
            pixels = parts.prepared(pixels)
            return parts.single(pixels, *image_constants(pixels), parts.finish)

        @tf.function(input_signature=[_PIXELS], autograph=False)
        def probabilities_single(pixels):
            pixels = parts.prepared(pixels)
            return parts.single(pixels, *image_constants(pixels), parts.keep)

        @tf.function(input_signature=[], autograph=False)
        def describe():
            return {"card": tf.constant(text)}

        @tf.function(input_signature=[tf.TensorSpec((), tf.string, name="any")], autograph=False)
        def describe_by_rest(any):
            # TF Serving's REST front refuses signatures without an input.
            return {"card": tf.constant(text)}

        sample = tf.TensorSpec((None, None, None), tf.uint16)

        @tf.function(input_signature=[sample, _FLOAT, _FLOAT], autograph=False)
        def measure(samples, mean, inverse):
            return parts.normalization(samples, mean, inverse)

        carry = tf.TensorSpec((None, None, len(phases)), tf.float32)
        tile_signature = [_PIXELS, _FLOAT, _FLOAT, parts.packed_spec, carry, carry]

        @tf.function(input_signature=[*tile_signature, tf.TensorSpec((8,), tf.int32)], autograph=False)
        def tile(pixels, mean, inverse, packed, left, above, geometry):
            predicted = parts.predict(
                standardized(padded_window(pixels, geometry[0], 0, geometry[1]), mean, inverse), packed
            )
            return parts.blend(predicted, left, above, tf.unstack(geometry[2:]), parts.finish)

        self.segment, self.serve, self.serve_png, self.probabilities = (
            segment,
            serve,
            serve_png,
            probabilities,
        )
        self.segment_single, self.probabilities_single = segment_single, probabilities_single
        self.describe_by_rest = describe_by_rest
        self.describe, self.measure, self.tile = describe, measure, tile
