"""Bytes against TensorFlow's own, and damage of every kind."""

import contextlib
import struct

import numpy as np
import pytest
import tensorflow as tf

from cathode_tf.datasets.tfrecord import (
    decode_example,
    encode_example,
    frame,
    locate_frames,
    read_frames,
    read_message,
)
from cathode_tf.errors import InputError

# No name begins another: protobuf would put the longer one first.
VALUES = {"raw": b"\x00\xff" * 300, "a": "Größe", "n": -3, "big": 1 << 40, "zero": 0, "x": 1.5, "empty": ""}


def framed(message):
    return b"".join(frame(message))


def test_an_example_has_the_bytes_of_tensorflows_deterministic_serialisation():
    def feature(value):
        if isinstance(value, (bytes, str)):
            content = value.encode() if isinstance(value, str) else value
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=[content]))
        if isinstance(value, int):
            return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
        return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))

    example = tf.train.Example(
        features=tf.train.Features(feature={name: feature(value) for name, value in VALUES.items()})
    )
    assert encode_example(VALUES) == example.SerializeToString(deterministic=True)


def test_values_come_back():
    back = decode_example(encode_example(VALUES))
    assert {name: value[0] for name, value in back.items()} == VALUES | {"a": "Größe".encode(), "empty": b""}


def test_tensorflow_reads_our_file_and_we_read_tensorflows(tmp_path):
    messages = [b"one", b"", b"three" * 5000]
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.write_bytes(b"".join(map(framed, messages)))
    with tf.io.TFRecordWriter(str(theirs)) as writer:
        for message in messages:
            writer.write(message)
    assert ours.read_bytes() == theirs.read_bytes()
    assert [item.numpy() for item in tf.data.TFRecordDataset(str(ours))] == messages
    assert list(read_frames(theirs, verify=True)) == messages
    for (position, length), message in zip(locate_frames(theirs), messages, strict=True):
        filled = np.empty(length, np.uint8)
        read_message(theirs, position, filled)
        assert filled.tobytes() == message


@pytest.mark.parametrize("cut", [1, 4, 5, 11, 13, 20, 29])
def test_a_truncated_file_is_an_input_error(tmp_path, cut):
    path = tmp_path / "file"
    path.write_bytes((framed(b"first") + framed(b"second"))[:-cut] if cut < 29 else b"\x05")
    with pytest.raises(InputError, match="file: "):
        list(read_frames(path))


def test_a_flipped_bit_is_found_when_asked_for(tmp_path):
    path = tmp_path / "file"
    content = bytearray(framed(b"content"))
    content[14] ^= 1
    path.write_bytes(content)
    assert len(list(read_frames(path))) == 1
    with pytest.raises(InputError, match="checksum"):
        list(read_frames(path, verify=True))


def test_a_wrong_length_is_no_reason_to_ask_for_all_memory(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(struct.pack("<QI", 1 << 60, 0) + b"x")
    for read in (lambda: list(read_frames(path)), lambda: locate_frames(path)):
        with pytest.raises(InputError, match="damaged"):
            read()


def test_damaged_messages_are_input_errors_and_nothing_else():
    rng = np.random.default_rng(0)
    whole = encode_example(VALUES)
    for _ in range(2000):
        damaged = bytearray(whole[: rng.integers(1, len(whole) + 1)])
        for position in rng.integers(0, min(len(damaged), 60), 3):
            damaged[position] = rng.integers(256)
        with contextlib.suppress(InputError):
            decode_example(bytes(damaged))
