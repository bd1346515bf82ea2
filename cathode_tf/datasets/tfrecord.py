"""TFRecord files and `tf.train.Example` messages, byte for byte reproducible and without TensorFlow.

Values in, bytes out, and back. TensorFlow's own serialisation leaves the order of the features open; here
they are sorted. Workers that convert images thus start in a blink and need little memory.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from cathode_tf.errors import InputError

Value = bytes | str | int | float
_LENGTH = struct.Struct("<QI")
_LANE = 1024  # bytes of a lane in `crc32c`


def frame(message: bytes) -> bytes:
    """The message as it stands in a TFRecord file: length, checksum, message, checksum."""
    length = struct.pack("<Q", len(message))
    return b"".join(
        (length, struct.pack("<I", _masked(length)), message, struct.pack("<I", _masked(message)))
    )


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


def read_message(path: str | Path, position: int, length: int) -> bytes:
    """One message, from where `locate_frames` found it."""
    try:
        with open(path, "rb") as file:
            file.seek(position)
            message = file.read(length)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    if len(message) < length:
        raise InputError(f"{path}: ends in the middle of a record. Copy or convert it again.")
    return message


def encode_example(values: Mapping[str, Value]) -> bytes:
    """A `tf.train.Example` with one value a feature, features in the order of their names.

    Args:
        values: bytes and str become bytes features, int an int64, float a float32.

    Example:
        >>> decode_example(encode_example({"id": "a", "round": 3}))
        {'id': [b'a'], 'round': [3]}
    """
    entries = []
    for key in sorted(values):
        feature = _feature(values[key])
        entry = _field(1, key.encode()) + _field(2, feature)
        entries.append(_field(1, entry))
    return _field(1, b"".join(entries))


def decode_example(message: bytes) -> dict[str, list]:
    """The values of each feature of a `tf.train.Example`.

    Raises:
        InputError: If the bytes are no such message.
    """
    view = memoryview(message)
    out: dict[str, list] = {}
    try:
        for _, features in _fields(view):
            for _, entry in _fields(features):
                parts = dict(_fields(entry))
                out[bytes(parts[1]).decode()] = _values(parts.get(2, b""))
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            "record: must be a tf.train.Example message. Received other or damaged bytes."
        ) from error
    return out


def _feature(value: Value) -> bytes:
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return _field(1, _field(1, value))
    if isinstance(value, int):
        return _field(3, _field(1, _varint(value & 0xFFFFFFFFFFFFFFFF)))
    return _field(2, _field(1, struct.pack("<f", value)))


def _values(feature: memoryview) -> list:
    values: list = []
    for kind, content in _fields(feature):
        for _, item in _fields(content):
            if kind == 1:
                values.append(bytes(item))
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


def _field(number: int, content: bytes) -> bytes:
    return b"".join((bytes([number << 3 | 2]), _varint(len(content)), content))


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


# CRC-32C (Castagnoli), as TFRecord wants it; Python's zlib has another polynomial. The bytes are cut into
# lanes of equal length that numpy takes forward together, and a checksum is linear: that of a whole follows
# from those of its halves by a table that stands for as many zero bytes as the second half is long.


def crc32c(content: bytes) -> int:
    """CRC-32C of bytes.

    Example:
        >>> hex(crc32c(b"123456789"))
        '0xe3069283'
    """
    lanes = len(content) // _LANE
    state = 0xFFFFFFFF
    if lanes:
        words = np.frombuffer(content, "<u4", lanes * _LANE // 4).reshape(lanes, _LANE // 4)
        state = _fold(_advance_lanes(np.ascontiguousarray(words.T)), state)
    for byte in memoryview(content)[lanes * _LANE :]:
        state = int(_BYTE[(state ^ byte) & 255]) ^ state >> 8
    return state ^ 0xFFFFFFFF


def _masked(content: bytes) -> int:
    crc = crc32c(content)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _advance_lanes(words: np.ndarray) -> np.ndarray:
    """Checksum of each lane from state 0; `words` is uint32 (words of a lane, lanes)."""
    state = np.zeros(words.shape[1], np.uint32)
    low, high = np.empty_like(state), np.empty_like(state)
    for row in words:
        np.bitwise_xor(state, row, out=state)
        np.bitwise_and(state, 0xFFFF, out=low)
        np.right_shift(state, 16, out=high)
        np.bitwise_xor(_LOW[low], _HIGH[high], out=state)
    return state


def _fold(crcs: np.ndarray, state: int) -> int:
    """The checksum after all lanes, in order, from `state`."""
    # The first lane begins with `state`, all others with 0: carry it over the zero bytes of that lane.
    crcs = crcs.copy()
    crcs[0] ^= _apply(_skip(_LANE), np.array([state], np.uint32))[0]
    length = _LANE
    # An odd lane goes in front as an empty one: a state of 0 stays 0 over zero bytes.
    while len(crcs) > 1:
        if len(crcs) % 2:
            crcs = np.concatenate([np.zeros(1, np.uint32), crcs])
        crcs = _apply(_skip(length), crcs[::2]) ^ crcs[1::2]
        length *= 2
    return int(crcs[0])


def _apply(columns: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The linear map with these 32 columns on each value."""
    out = np.zeros_like(values)
    for bit in range(32):
        out ^= np.where(values >> np.uint32(bit) & np.uint32(1), columns[bit], np.uint32(0))
    return out


_skips: dict[int, np.ndarray] = {}


def _skip(length: int) -> np.ndarray:
    """The map that takes a state over `length` zero bytes (a power of two)."""
    if length not in _skips:
        if length == 1:
            unit = np.uint32(1) << np.arange(32, dtype=np.uint32)
            _skips[1] = _BYTE[unit & np.uint32(255)] ^ unit >> np.uint32(8)
        else:
            half = _skip(length // 2)
            _skips[length] = _apply(half, half)
    return _skips[length]


def _byte_table() -> np.ndarray:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ np.uint32(0x82F63B78), table >> 1).astype(np.uint32)
    return table


def _word_tables() -> tuple[np.ndarray, np.ndarray]:
    """What a state's lower and upper 16 bits become after 4 bytes."""
    values = np.arange(65536, dtype=np.uint32)
    tables = []
    for state in (values, values << np.uint32(16)):
        for _ in range(4):
            state = _BYTE[state & np.uint32(255)] ^ state >> np.uint32(8)
        tables.append(state)
    return tables[0], tables[1]


_BYTE = _byte_table()
_LOW, _HIGH = _word_tables()
