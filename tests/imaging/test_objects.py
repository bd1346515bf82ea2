"""Every object of an annotation file is drawn or named: both together are as many as the file holds."""

import importlib.util
import json
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.imaging.annotations import read_drawing

HEIGHT, WIDTH = 24, 32
FUZZ = Path(__file__).with_name("fuzz_annotations.py")


def corners(box):
    left, top, right, bottom = box
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def labelme(boxes):
    shapes = [{"label": "ncm", "points": corners(box), "shape_type": "polygon"} for box in boxes]
    return json.dumps({"shapes": shapes, "imagePath": "a.png", "imageHeight": HEIGHT, "imageWidth": WIDTH})


def coco(boxes):
    outlines = [[[v for point in corners(box) for v in point]] for box in boxes]
    return json.dumps({
        "images": [{"id": 5, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}],
        "categories": [{"id": 1, "name": "ncm"}],
        "annotations": [{"id": i, "image_id": 5, "category_id": 1, "segmentation": s} for i, s in enumerate(outlines)],
    })  # fmt: skip


def via(boxes):
    forms = [{"name": "rect", "x": x, "y": y, "width": r - x, "height": b - y} for x, y, r, b in boxes]
    regions = [{"shape_attributes": form, "region_attributes": {"p": "ncm"}} for form in forms]
    return json.dumps({"a": {"filename": "a.png", "regions": regions}})


def cvat(boxes):
    inner = "".join(f'<box label="ncm" xtl="{x}" ytl="{y}" xbr="{r}" ybr="{b}"/>' for x, y, r, b in boxes)
    return f'<annotations><image name="a.png" width="{WIDTH}" height="{HEIGHT}">{inner}</image></annotations>'


def label_studio(boxes):
    results = []
    for index, (x, y, r, b) in enumerate(boxes):
        value = {"x": x / WIDTH * 100, "y": y / HEIGHT * 100, "width": (r - x) / WIDTH * 100,
                 "height": (b - y) / HEIGHT * 100, "rectanglelabels": ["ncm"]}  # fmt: skip
        results.append({"id": str(index), "original_width": WIDTH, "original_height": HEIGHT, "value": value})
    return json.dumps([{"data": {"image": "a.png"}, "annotations": [{"result": results}]}])


WRITERS = {"labelme": labelme, "coco": coco, "via": via, "cvat": cvat, "label_studio": label_studio}
# Quarters are exact in binary and in percent of 32; of 24 rows they are not, and lie off the centres of pixels.
boxes = st.tuples(st.integers(-80, 160), st.integers(-60, 120), st.integers(0, 60), st.integers(0, 60)).map(
    lambda b: (b[0] / 4 + 0.03, b[1] / 4 + 0.03, (b[0] + b[2]) / 4 + 0.05, (b[1] + b[3]) / 4 + 0.05)
)


def pixels_of(box):
    """By hand: the pixels whose centres lie in the box and in the image."""
    left, top, right, bottom = box
    inside = np.zeros((HEIGHT, WIDTH), bool)
    for row in range(HEIGHT):
        for column in range(WIDTH):
            inside[row, column] = left <= column + 0.5 < right and top <= row + 0.5 < bottom
    return inside


@settings(max_examples=60, deadline=None)
@given(boxes=st.lists(boxes, max_size=6), tool=st.sampled_from(sorted(WRITERS)))
def test_drawn_and_named_add_up(tmp_path_factory, boxes, tool):
    path = tmp_path_factory.mktemp("d") / ("a.xml" if tool == "cvat" else "a.json")
    path.write_text(WRITERS[tool](boxes))
    shown = [inside for box in boxes if (inside := pixels_of(box)).any()]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", InputWarning)
        try:
            drawing = read_drawing(path, "a.png", (HEIGHT, WIDTH))
        except InputError as error:
            systematic = "coordinates of 0 to 1" in str(error)
            assert boxes and (not shown or systematic)
            named = int(re.search(r"Received (\d+) of", str(error))[1])
            assert named + len(shown) == len(boxes)
            return
    assert len(drawing.regions) + len(drawing.left_out) == len(boxes)
    assert len(drawing.regions) == len(shown)
    for region, inside in zip(drawing.regions, shown, strict=True):
        drawn = np.zeros((HEIGHT, WIDTH), bool)
        drawn[region.window] = region.inside
        np.testing.assert_array_equal(drawn, inside)
    messages = [str(w.message) for w in caught if issubclass(w.category, InputWarning)]
    counted = [
        int(found[1])
        for message in messages
        if (found := re.search(r": (\d+) of \d+ object.* not drawn", message))
    ]
    assert sum(counted) == len(drawing.left_out)


def load():
    spec = importlib.util.spec_from_file_location("fuzz_annotations", FUZZ)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_hundreds_of_mutated_annotations():
    assert load().run(400, seed=1) == []


@pytest.mark.slow
def test_ten_thousand_mutated_annotations():
    done = subprocess.run([sys.executable, FUZZ, "10000"], capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout
