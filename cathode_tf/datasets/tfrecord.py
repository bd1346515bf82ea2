"""TFRecord files and `tf.train.Example` messages, byte for byte reproducible and without TensorFlow.

Values in, bytes out, and back. TensorFlow's own serialisation leaves the order of the features open; here
they are sorted. Workers that convert images thus start in a blink and need little memory.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import google_crc32c
import numpy as np

from cathode_tf.errors import InputError

Bytes = bytes | memoryview
Value = Bytes | str | int | float
_LENGTH = struct.Struct("<QI")


def frame(message: bytes) -> list[bytes]:
    """The message as it stands in a TFRecord file: length with checksum, message, checksum."""
    length = struct.pack("<Q", len(message))
    return [length + struct.pack("<I", _masked(length)), message, struct.pack("<I", _masked(message))]


def read_frames(path: str | Path, *, verify: bool = False) -> Iterator[bytes]:
    """The messages of a TFRecord file, one after the other.

    Args:
        path: The file.
        verify: Compare the checksums of the messages too, not only those of their lengths.

    Raises:
        InputError: If the file cannot be read, is truncated, or a checksum is wrong.
    """
    try:
        with open(path, "rb") as file:
            while head := file.read(12):
                if len(head) < 12:
                    raise InputError(f"{path}: ends in the middle of a record. Copy or convert it again.")
                length, checksum = _LENGTH.unpack(head)
                if checksum != _masked(head[:8]):
                    raise InputError(f"{path}: is damaged, or is no TFRecord file. Copy or convert it again.")
                message, tail = file.read(length), file.read(4)
                if len(message) + len(tail) < length + 4:
                    raise InputError(f"{path}: ends in the middle of a record. Copy or convert it again.")
                if verify and struct.unpack("<I", tail)[0] != _masked(message):
                    raise InputError(
                        f"{path}: the checksum of a record is wrong. Copy or convert the set again."
                    )
                yield message
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error


def locate_frames(path: str | Path) -> list[tuple[int, int]]:
    """Position and length of each message in a TFRecord file, by jumping from head to head."""
    places = []
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            position = 0
            while position < size:
                file.seek(position)
                head = file.read(12)
                if len(head) < 12 or _LENGTH.unpack(head)[1] != _masked(head[:8]):
                    raise InputError(f"{path}: is damaged, or is no TFRecord file. Copy or convert it again.")
                length = _LENGTH.unpack(head)[0]
                places.append((position + 12, length))
                position += length + 16
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    return places


def read_message(path: str | Path, position: int, message: np.ndarray) -> None:
    """Fill `message`, uint8 of the length that `locate_frames` found, from where it found it."""
    try:
        with open(path, "rb") as file:
            file.seek(position)
            filled = file.readinto(message.data)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    if filled < message.size:
        raise InputError(f"{path}: ends in the middle of a record. Copy or convert it again.")


def encode_example(values: Mapping[str, Value]) -> bytes:
    """A `tf.train.Example` with one value a feature, features in the order of their names.

    Args:
        values: bytes, memoryview and str become bytes features, int an int64, float a float32.

    Example:
        >>> decode_example(encode_example({"id": "a", "round": 3}))
        {'id': [b'a'], 'round': [3]}
    """
    entries: list[Bytes] = []
    for key in sorted(values):
        entries += field(1, [*field(1, [key.encode()]), *field(2, _feature(values[key]))])
    # Pieces are put together once: an image is megabytes, and lies five fields deep.
    return b"".join(field(1, entries))


def decode_example(message: bytes | memoryview, *, copy: bool = True) -> dict[str, list]:
    """The values of each feature of a `tf.train.Example`.

    Args:
        message: The bytes.
        copy: Give `bytes`; else `memoryview`s of the message.

    Raises:
        InputError: If the bytes are no such message.
    """
    view = memoryview(message)
    out: dict[str, list] = {}
    try:
        for _, features in _fields(view):
            for _, entry in _fields(features):
                parts = dict(_fields(entry))
                out[bytes(parts[1]).decode()] = _values(parts.get(2, memoryview(b"")), copy)
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            "record: must be a tf.train.Example message. Received other or damaged bytes."
        ) from error
    return out


def _feature(value: Value) -> list[Bytes]:
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, (bytes, memoryview)):
        return field(1, field(1, [value]))
    if isinstance(value, int):
        return field(3, field(1, [_varint(value & 0xFFFFFFFFFFFFFFFF)]))
    return field(2, field(1, [struct.pack("<f", value)]))


def _values(feature: memoryview, copy: bool) -> list:
    values: list = []
    for kind, content in _fields(feature):
        for _, item in _fields(content):
            if kind == 1:
                values.append(bytes(item) if copy else item)
            elif kind == 2:
                values += np.frombuffer(item, "<f4").tolist()
            else:
                values += _unpack(item)
    return values


def _unpack(item: memoryview | int) -> list[int]:
    if isinstance(item, int):
        return [_signed(item)]
    values, position = [], 0
    while position < len(item):
        value, position = _read_varint(item, position)
        values.append(_signed(value))
    return values


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def field(number: int, pieces: Sequence[Bytes]) -> list[Bytes]:
    """One length-delimited field of a protocol buffer, in pieces; `number` below 16."""
    return [bytes([number << 3 | 2]) + _varint(sum(map(len, pieces))), *pieces]


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(view: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = view[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")


def _fields(view: memoryview | bytes) -> Iterator[tuple[int, memoryview]]:
    view = memoryview(view)
    position = 0
    while position < len(view):
        key, position = _read_varint(view, position)
        kind = key & 7
        if kind == 0:
            value, position = _read_varint(view, position)
            yield key >> 3, value  # type: ignore[misc]
            continue
        if kind == 5:
            length = 4
        elif kind == 2:
            length, position = _read_varint(view, position)
        else:
            raise ValueError("an unknown kind of field")
        if position + length > len(view):
            raise ValueError("a field is longer than its message")
        yield key >> 3, view[position : position + length]
        position += length


def _masked(content: bytes) -> int:
    """CRC-32C of the content, turned and shifted as TFRecord wants it."""
    crc = google_crc32c.value(content)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
