"""The bytes of a record and the files around it, against tensorflow-datasets."""

import json
import math

import numpy as np
import pytest
import tensorflow_datasets as tfds
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cathode_tf.datasets.instances import labelled, outlines_from_text
from cathode_tf.datasets.schema import Example, check_example, deserialize, features_json, serialize
from cathode_tf.datasets.tfrecord import encode_example
from cathode_tf.errors import InputError
from cathode_tf.phases import Phases


@given(data=st.data(), dtype=st.sampled_from([np.uint8, np.uint16]))
@settings(max_examples=25, deadline=None)
def test_any_image_and_mask_come_back_to_the_pixel(data, dtype):
    shape = data.draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    image = data.draw(hnp.arrays(dtype, shape))
    mask = data.draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 2, 3, 255])))
    text = data.draw(st.text(max_size=20))
    size = data.draw(st.floats(1, 1e6, width=32))
    example = Example(image, mask, "id", text, size, "tag 34118", "human", 3, text, {"kV": 5.0, "ü": [1]})
    message, *hashes = serialize(example)
    back, *written = deserialize(message, "test")
    np.testing.assert_array_equal(back.image, image)
    np.testing.assert_array_equal(back.mask, mask)
    assert back.image.dtype == dtype
    assert written == hashes
    assert (back.group, back.pixel_size_nm, back.round, back.annotator, back.acquisition) == (
        text,
        size,
        3,
        text,
        {"kV": 5.0, "ü": [1]},
    )


def test_unknown_pixel_size_is_nan():
    pixels = np.zeros((2, 2), np.uint8)
    back, *_ = deserialize(serialize(Example(pixels, pixels, "a", "a"))[0], "test")
    assert math.isnan(back.pixel_size_nm)


@pytest.mark.parametrize(("dtype", "schema"), [("uint8", 1), ("uint16", 1), ("uint8", 2)])
def test_features_json_is_what_tensorflow_datasets_would_write(tmp_path, dtype, schema):
    text = tfds.features.Text()
    names = (
        "id",
        "group",
        "pixel_size_source",
        "image_sha256",
        "mask_sha256",
        "origin",
        "annotator",
        "acquisition",
    )
    image = {"shape": (None, None, 1), "encoding_format": "png"}
    more = {"instance_labels": tfds.features.Image(dtype=np.uint16, **image), "outlines": text}
    tfds.features.FeaturesDict(
        dict.fromkeys(names, text)
        | (more if schema == 2 else {})
        | {
            "image": tfds.features.Image(dtype=np.dtype(dtype), **image),
            "segmentation_mask": tfds.features.Image(dtype=np.uint8, **image),
            "pixel_size_nm": np.float32,
            "round": np.int32,
        }
    ).save_config(tmp_path)
    assert json.loads((tmp_path / "features.json").read_text()) == features_json(dtype, schema)


def test_check_example_names_what_is_wrong():
    image, mask = np.zeros((4, 6), np.uint8), np.zeros((4, 6), np.uint8)
    phases = Phases.default()
    check_example(Example(image, mask, "a", "a"), phases, "a.png")
    with pytest.raises(InputError, match=r"a.png.*\(4, 6\).*\(4, 5\)"):
        check_example(Example(image, mask[:, 1:], "a", "a"), phases, "a.png")
    with pytest.raises(InputError, match="Received 9 in 24 pixels"):
        check_example(Example(image, mask + np.uint8(9), "a", "a"), phases, "a.png")
    with pytest.raises(InputError, match="float32"):
        check_example(Example(image.astype(np.float32), mask, "a", "a"), phases, "a.png")


@pytest.mark.parametrize(
    "values",
    [{}, {"id": "a"}, {"id": "a", "image": "no png"}, {"image": b"", "segmentation_mask": b"", "id": "a"}],
)
def test_a_record_of_another_schema_is_an_input_error(values):
    with pytest.raises(InputError):
        deserialize(encode_example(values), "other.tfrecord")


def disks_that_overlap():
    """Two disks of radius 6, of which the second hides part of the first, and one alone; as outlines."""
    outlines = []
    for row, column in ((10, 10), (10, 18), (30, 30)):
        y, x = np.mgrid[-6:7, -6:7]
        outlines.append(((slice(row - 6, row + 7), slice(column - 6, column + 7)), x * x + y * y <= 36))
    return outlines


def test_instances_come_back_whole_where_some_hide_others():
    outlines = disks_that_overlap()
    mask = np.zeros((40, 40), np.uint8)
    for window, inside in outlines:
        mask[window][inside] = 1
    labels, whole = labelled(outlines, mask.shape, mask, "test")
    example = Example(mask, mask, "a", "a", labels=labels, outlines=whole)
    back, *_ = deserialize(serialize(example)[0], "test")
    assert np.array_equal(back.labels, labels) and back.labels.dtype == np.int32
    assert [int(inside.sum()) for _, inside in back.instances] == [113] * 3  # pixels within 6 of a pixel
    for (window, inside), (there, pixels) in zip(outlines, back.instances, strict=True):
        assert window == there and np.array_equal(inside, pixels)
    alone, none = labelled(outlines[1:], mask.shape, mask, "test")
    assert none == () and len(Example(mask, mask, "a", "a", labels=alone).instances) == 2
    with pytest.raises(InputError, match="instances must have the mask's height"):
        check_example(Example(mask, mask, "a", "a", labels=labels[1:]), Phases.default(), "a.png")
    assert deserialize(serialize(example)[0], "test", with_instances=False)[0].labels is None


@pytest.mark.parametrize("text", ["[1]", "{", '[{"box":[0,0,2,2],"runs":[5]}]'])
def test_outlines_that_are_none_are_an_input_error(text):
    with pytest.raises(InputError, match="run lengths"):
        outlines_from_text(text, "a.png")
