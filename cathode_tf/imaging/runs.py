"""Run-length codes of annotation tools: COCO's (plain and compressed), CVAT's, and Label Studio's brush."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cathode_tf.errors import InputError


def decode_runs(counts: Sequence[int] | np.ndarray, size: int) -> np.ndarray:
    """Bool array of `size` values from alternating run lengths, the first of them of false.

    Example:
        >>> decode_runs([1, 2, 1], 4)
        array([False,  True,  True, False])
    """
    lengths = np.asarray(counts, np.int64)
    if lengths.ndim != 1 or (lengths < 0).any() or (lengths > size).any() or int(lengths.sum()) != size:
        raise InputError(
            f"the runs of a mask must add up to its {size} pixels. Received {int(lengths.sum())}."
        )
    return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)


def encode_runs(values: np.ndarray) -> list[int]:
    """Alternating run lengths of a flat bool array; the inverse of `decode_runs`."""
    changes = np.flatnonzero(np.diff(values.astype(np.int8), prepend=0, append=2))
    runs = np.diff(changes, prepend=0)
    return [int(n) for n in runs] if values.size else [0]


def decode_coco_string(text: str) -> list[int]:
    """Run lengths from COCO's compressed string: 5 bits a character, from the third one on as differences."""
    counts: list[int] = []
    value = shift = 0
    for byte in text.encode("ascii"):
        code = byte - 48
        if not 0 <= code < 64 or shift > 60:
            raise InputError("a compressed COCO mask holds characters that are no code.")
        value |= (code & 31) << shift
        shift += 5
        if not code & 32:
            if code & 16:
                value -= 1 << shift
            counts.append(value + counts[-2] if len(counts) > 2 else value)
            value = shift = 0
    if shift:
        raise InputError("a compressed COCO mask ends within a number.")
    return counts


def encode_coco_string(counts: Sequence[int]) -> str:
    """COCO's compressed string of run lengths; the inverse of `decode_coco_string`.

    Example:
        >>> decode_coco_string(encode_coco_string([5, 70, 3, 2000, 7]))
        [5, 70, 3, 2000, 7]
    """
    text = bytearray()
    for index, count in enumerate(counts):
        value = int(count) - (int(counts[index - 2]) if index > 2 else 0)
        while True:
            code = value & 31
            value >>= 5
            more = value != (-1 if code & 16 else 0)
            text.append(code + (32 if more else 0) + 48)
            if not more:
                break
    return text.decode("ascii")


_SIZE_BITS = (3, 4, 8, 16)


def decode_brush(rle: Sequence[int], height: int, width: int) -> np.ndarray:
    """Bool (height, width): where the alpha of Label Studio's packed RGBA brush is not 0.

    The format is a stream of bits: 32 for the number of bytes, 5 for the width of a value - 1, four times 4
    for the widths of run lengths - 1; then for each run a flag, 2 bits that choose the width, the length - 1,
    and one value (flag 1) or as many as the length says.
    """
    size = height * width * 4
    packed = np.asarray(rle)
    if (
        packed.ndim != 1
        or packed.dtype.kind not in "iu"
        or (packed.size and (packed.min() < 0 or packed.max() > 255))
    ):
        raise InputError("a brush must be a list of bytes.")
    bits = np.unpackbits(packed.astype(np.uint8))
    data = packed.astype(np.uint8).tobytes() + b"\0" * 8
    place = 0

    def read(count: int) -> int:
        nonlocal place
        start, place = place, place + count
        if place > bits.size:
            raise InputError("a brush ends before its last run.")
        word = int.from_bytes(data[start // 8 : start // 8 + 8], "big")
        return (word >> (64 - start % 8 - count)) & ((1 << count) - 1)

    total, word_size = read(32), read(5) + 1
    if total != size:
        raise InputError(
            f"a brush must cover its {width} x {height} pixels ({size} bytes). Received {total}."
        )
    widths = [read(4) + 1 for _ in range(4)]
    values = np.zeros(size, np.uint32)
    filled = 0
    while filled < size:
        same = read(1)
        end = min(filled + read(widths[read(2)]) + 1, size)
        if same:
            values[filled:end] = read(word_size)
        else:
            count = end - filled
            if place + count * word_size > bits.size:
                raise InputError("a brush ends before its last run.")
            block = bits[place : place + count * word_size].reshape(count, word_size)
            values[filled:end] = block @ (1 << np.arange(word_size - 1, -1, -1, dtype=np.uint64)).astype(
                np.uint32
            )
            place += count * word_size
        filled = end
    return values.reshape(height, width, 4)[..., 3] > 0


def encode_brush(inside: np.ndarray) -> list[int]:
    """Label Studio's packed brush of a bool (height, width); the inverse of `decode_brush`.

    Example:
        >>> brush = np.eye(3, dtype=bool)
        >>> bool((decode_brush(encode_brush(brush), 3, 3) == brush).all())
        True
    """
    text = [f"{inside.size * 4:032b}", f"{8 - 1:05b}", *(f"{bits - 1:04b}" for bits in _SIZE_BITS)]
    for index, run in enumerate(encode_runs(inside.ravel())):
        left = run * 4  # red, green, blue and alpha alike
        while left:
            length = min(left, 1 << _SIZE_BITS[-1])
            kind = next(k for k, bits in enumerate(_SIZE_BITS) if length <= 1 << bits)
            text.append(
                f"1{kind:02b}{length - 1:0{_SIZE_BITS[kind]}b}" + ("11111111" if index % 2 else "00000000")
            )
            left -= length
    stream = "".join(text)
    stream += "0" * (-len(stream) % 8)
    return list(int(stream, 2).to_bytes(len(stream) // 8, "big")) if stream else []
