"""How a stored image lies (TIFF tag 274, EXIF of PNG and JPEG) in, pixels as every viewer shows them out.

The eight numbers are those of EXIF: 1 lies as it is shown, 3 on its head, 6 and 8 on a side, the others are mirrored.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any, BinaryIO

import numpy as np

UPRIGHT = 1
TAG = 274


def known(value: Any) -> int:
    """The orientation that a file states, or 1, as for viewers, where it is none of the eight."""
    return int(value) if isinstance(value, (int, np.integer)) and 1 <= value <= 8 else UPRIGHT


def lies_on_side(orientation: int) -> bool:
    """Whether rows are shown as columns."""
    return orientation >= 5


def shown_shape(height: int, width: int, orientation: int) -> tuple[int, int]:
    """(height, width) as shown."""
    return (width, height) if lies_on_side(orientation) else (height, width)


def turned(samples: np.ndarray, orientation: int) -> np.ndarray:
    """The samples as they are shown.

    Args:
        samples: (height, width) or (height, width, channels).
        orientation: 1 to 8.

    Example:
        >>> turned(np.array([[1, 2, 3]]), 6).tolist()     # on its left side: turned clockwise
        [[1], [2], [3]]
        >>> turned(np.array([[1, 2, 3]]), 3).tolist()
        [[3, 2, 1]]
    """
    if orientation == UPRIGHT:
        return samples
    if lies_on_side(orientation):
        samples = samples.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    return np.ascontiguousarray(samples)


def of_jpeg(image: Any) -> int:
    """What the EXIF of an open Pillow JPEG states."""
    try:
        return known(image.getexif().get(TAG))
    except Exception:  # EXIF is parsed where it is looked at, and a damaged one says nothing
        return UPRIGHT


def of_png(file: BinaryIO) -> int:
    """What the EXIF of a PNG states, in a chunk of its own or as text, before or behind the pixels."""
    exif = _exif_of_png(file)
    file.seek(0)
    if not exif:
        return UPRIGHT
    from PIL import Image

    found = Image.Exif()
    try:
        found.load(exif)
        return known(found.get(TAG))
    except Exception:  # as in of_jpeg
        return UPRIGHT


def _exif_of_png(file: BinaryIO) -> bytes:
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IEND":
            break
        if kind == b"eXIf":
            return b"Exif\0\0" + file.read(length)
        if kind in (b"zTXt", b"tEXt") and length < 1 << 20:
            exif = _exif_of_text(kind, file.read(length))
            if exif:
                return exif
            file.seek(4, 1)
        else:
            file.seek(length + 4, 1)
    return b""


def _exif_of_text(kind: bytes, content: bytes) -> bytes:
    """From `Raw profile type exif`, as ImageMagick writes it: a name, a length, and the bytes in hexadecimal."""
    key, _, text = content.partition(b"\0")
    if key not in (b"Raw profile type exif", b"Raw profile type APP1"):
        return b""
    try:
        if kind == b"zTXt":
            text = zlib.decompressobj().decompress(text[1:], 1 << 20)
        return bytes.fromhex("".join(text.decode("latin-1").split("\n")[3:]))
    except (ValueError, zlib.error):
        return b""
