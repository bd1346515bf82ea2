"""The quick way to read a PNG gives what a general decoder gives, or steps aside."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cathode_tf.imaging.png import decode_plain_png


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(rows, *, width=None, bits=8, color=0, interlace=0, parts=1, end=True):
    """A PNG of rows that begin with their filter byte, packed, in so many IDAT chunks."""
    head = struct.pack(">IIBBBBB", width or rows.shape[1] - 1, rows.shape[0], bits, color, 0, 0, interlace)
    packed = zlib.compress(rows.tobytes())
    size = -(-len(packed) // parts)
    data = [chunk(b"IDAT", packed[i : i + size]) for i in range(0, len(packed), size)]
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(data) + (chunk(b"IEND", b"") if end else b"")
    )


def pillow(pixels, **options):
    file = io.BytesIO()
    pixels.save(file, "PNG", **options)
    return file.getvalue()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 4), st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_rows_as_they_are_or_all_filtered_alike(height, width, parts, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    left, above = (np.pad(pixels, pad)[:height, :width] for pad in (((0, 0), (1, 0)), ((1, 0), (0, 0))))
    for kind, rows in enumerate((pixels, pixels - left, pixels - above)):
        content = png(np.insert(rows, 0, kind, axis=1), parts=parts)
        np.testing.assert_array_equal(decode_plain_png(content), pixels)
        memory = np.empty(height * (width + 1) + 5, np.uint8)
        np.testing.assert_array_equal(decode_plain_png(content, memory=lambda size, m=memory: m), pixels)
        general = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(general, pixels)


def test_palette_indices_are_given_only_where_they_are_asked_for():
    indices = np.arange(12, dtype=np.uint8).reshape(3, 4)
    picture = Image.fromarray(indices)
    picture.putpalette([7] * 768)
    content = pillow(picture)
    assert decode_plain_png(content) is None
    np.testing.assert_array_equal(decode_plain_png(content, palette=True), indices)


ROWS = np.zeros((4, 9), np.uint8)
MIXED = ROWS.copy()
MIXED[2, 0] = 2
AVERAGED = ROWS.copy()
AVERAGED[:, 0] = 3


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no image at all, though long enough to hold a head",
        png(MIXED),
        png(MIXED[::-1]),
        png(AVERAGED),
        png(ROWS, interlace=1),
        png(ROWS, bits=4),
        png(ROWS, color=2),
        png(ROWS, width=7),
        png(ROWS, width=60_000),
        png(ROWS, end=False),
        png(ROWS)[:-20],
        png(ROWS).replace(zlib.compress(ROWS.tobytes())[-4:], b"\1\2\3\4"),
        cv2.imencode(".png", np.zeros((4, 8), np.uint16))[1].tobytes(),
    ],
)
def test_anything_else_is_left_to_a_general_decoder(content):
    assert decode_plain_png(content) is None
