"""Situations in which a file's content is easily read wrong: each makes its own small file, and says how it was read.

A member returns "right" (what the file means, without a word), "warned" (what it means, and a sentence that names the
doubt) or "refused" (a sentence that names what is wrong), and raises AssertionError for anything else.
`benchmarks/files.py` counts them.
"""

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.phases import Phases

DEFAULT = Phases.default()
BW = Phases.from_list(
    [{"name": "pore", "id": 0, "values": [0]}, {"name": "ncm", "id": 1, "values": [1, 255]}]
)
MEMBERS = []


@dataclass(frozen=True)
class Member:
    kind: str
    name: str
    make: Callable
    expected: str


def member(kind, name, expected="right"):
    """Register a function that takes a folder and returns how its file was read."""

    def register(make):
        MEMBERS.append(Member(kind, name, make, expected))
        return make

    return register


def judge(call, meant, said=""):
    """How `call` reads a file that means `meant` (None: nothing can be known): `said` is in the warning or refusal."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = call()
        except InputError as error:
            assert said and re.search(said, str(error)), f"refused with: {error}"
            return "refused"
    messages = [str(w.message) for w in caught if issubclass(w.category, InputWarning)]
    if meant is None:
        assert result is None, f"nothing can be known, but it is {result}"
    else:
        np.testing.assert_array_equal(result, meant)
    if messages:
        assert said and any(re.search(said, m) for m in messages), f"warned with: {messages}"
        return "warned"
    return "right"


def scene(height=64, width=64):
    """Dark ground, a bright rectangle of 30 x 20 px off the centre, and a ramp, so that no turn looks like another."""
    pixels = np.full((height, width), 60, np.uint8)
    pixels += np.arange(width, dtype=np.uint8)[None] // 2
    pixels[5:35, 8:28] = (200 + np.arange(height, dtype=np.uint8) % 32)[5:35, None]
    return pixels


def truth(height=64, width=64):
    """The mask of the scene: 1 in the rectangle of 600 px, 0 elsewhere."""
    mask = np.zeros((height, width), np.uint8)
    mask[5:35, 8:28] = 1
    return mask


BOX = [[8, 5], [28, 5], [28, 35], [8, 35]]
"""The outline of the rectangle, as x, y."""


def labelled():
    """What an annotation of the rectangle alone means: 1 in it, 255 elsewhere."""
    return np.where(truth() == 1, np.uint8(1), np.uint8(255))
