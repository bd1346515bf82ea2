"""Each annotation tool's file gives the mask that was drawn; odd files one clear sentence."""

import base64
import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.imaging import (
    annotated_images,
    read_annotation,
    read_instances,
    write_annotation,
    write_coco,
    write_label_studio,
)
from cathode_tf.imaging.exports import FORMATS
from cathode_tf.imaging.runs import (
    decode_brush,
    decode_coco_string,
    decode_runs,
    encode_coco_string,
    encode_runs,
)
from cathode_tf.phases import Phases

DEFAULT = Phases.default()
SHAPE = (6, 8)
BOX = [[1, 1], [5, 1], [5, 4], [1, 4]]  # columns 1-4, rows 1-3


def expected(**boxes):
    """255, with (top, bottom, left, right) of each phase in order."""
    mask = np.full(SHAPE, 255, np.uint8)
    for name, (top, bottom, left, right) in boxes.items():
        mask[top:bottom, left:right] = DEFAULT[name].id
    return mask


def save(folder, content, name="a.json"):
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def read(path, **options):
    return read_annotation(path, DEFAULT, **({"shape": SHAPE} | options))


def labelme(*shapes):
    return {"shapes": list(shapes), "imagePath": "a.png", "imageHeight": SHAPE[0], "imageWidth": SHAPE[1]}


def test_labelme_polygons_and_their_overlap(tmp_path):
    first = {"label": "ncm", "points": BOX, "shape_type": "polygon"}
    second = {"label": "pore", "points": [[3, 2], [8, 6]], "shape_type": "rectangle"}
    assert np.array_equal(
        read(save(tmp_path, labelme(first, second))), expected(ncm=(1, 4, 1, 5), pore=(2, 6, 3, 8))
    )
    assert read(save(tmp_path, labelme(second, first)))[2, 3] == 1  # the later one lies on top


def test_labelme_circle_and_mask(tmp_path):
    circle = {"label": "ncm", "points": [[3, 3], [3, 4.5]], "shape_type": "circle"}
    # Centres within 1.5 of (3, 3): the 3 x 3 ... offsets +-0.5 and (+-0.5, +-1.5 is 1.58 > 1.5): 2 x 2.
    assert (read(save(tmp_path, labelme(circle))) == 1).sum() == 4
    buffer = io.BytesIO()
    Image.fromarray(np.array([[True, False], [True, True]])).save(buffer, "PNG")
    text = base64.b64encode(buffer.getvalue()).decode()
    mask = {"label": "binder", "points": [[2, 1], [3, 2]], "shape_type": "mask", "mask": text}
    result = read(save(tmp_path, labelme(mask)))
    assert np.argwhere(result == 3).tolist() == [[1, 2], [2, 2], [2, 3]]


@pytest.mark.parametrize("kind", ["line", "point", "linestrip"])
def test_shapes_without_area_are_refused(tmp_path, kind):
    with pytest.raises(InputError, match=f"'ncm' is a {kind}"):
        read(save(tmp_path, labelme({"label": "ncm", "points": [[1, 1], [2, 2]], "shape_type": kind})))


def coco(*annotations, **image):
    return {
        "images": [{"id": 7, "file_name": "sub/a.png", "height": SHAPE[0], "width": SHAPE[1]} | image],
        "categories": [{"id": 3, "name": "ncm"}, {"id": 4, "name": "pore"}],
        "annotations": [{"image_id": 7, "category_id": 3} | a for a in annotations],
    }


def test_coco_polygons_and_runs(tmp_path):
    flat = np.array(BOX, float).ravel().tolist()
    assert np.array_equal(read(save(tmp_path, coco({"segmentation": [flat]}))), expected(ncm=(1, 4, 1, 5)))
    inside = expected(ncm=(1, 4, 1, 5)) == 1
    counts = encode_runs(inside.T.ravel())  # column after column
    assert counts[:3] == [7, 3, 3]
    for runs in (counts, encode_coco_string(counts)):
        segmentation = {"size": list(SHAPE), "counts": runs}
        result = read(save(tmp_path, coco({"segmentation": segmentation, "iscrowd": 1})))
        assert np.array_equal(result, expected(ncm=(1, 4, 1, 5)))


def test_coco_parts_of_one_object_are_united(tmp_path):
    # Two boxes that overlap in columns 3-4: the even-odd rule would make a hole of it.
    rings = [[1, 1, 5, 1, 5, 4, 1, 4], [3, 1, 7, 1, 7, 4, 3, 4]]
    assert np.array_equal(read(save(tmp_path, coco({"segmentation": rings}))), expected(ncm=(1, 4, 1, 7)))


def test_coco_compressed_string_of_the_reference_implementation():
    # pycocotools.mask.encode of a 6 x 8 mask with rows 1-3 of columns 1-4 set.
    runs = [7, 3, 3, 3, 3, 3, 3, 3, 20]
    assert decode_coco_string("73300000a0") == runs
    assert encode_coco_string(runs) == "73300000a0"


def test_the_image_meant_is_found_by_name(tmp_path):
    content = coco({"segmentation": [[0, 0, 1, 0, 1, 1]]})
    content["images"].append({"id": 8, "file_name": "b.png", "height": 6, "width": 8})
    path = save(tmp_path, content)
    assert annotated_images(path) == ["sub/a.png", "b.png"]
    assert (read(path, image_name="b.tif") == 255).all()
    assert (read(path, image_name="a.png") == 1).any()
    with pytest.raises(InputError, match="say which one"):
        read(path)
    with pytest.raises(InputError, match=r"must list c\.png once"):
        read(path, image_name="c.png")


def via(*regions, wrapped=True):
    images = {"a.png100": {"filename": "a.png", "size": 100, "regions": list(regions), "file_attributes": {}}}
    return {"_via_settings": {}, "_via_img_metadata": images} if wrapped else images


@pytest.mark.parametrize("wrapped", [True, False])
def test_via(tmp_path, wrapped):
    polygon = {"name": "polygon", "all_points_x": [1, 5, 5, 1], "all_points_y": [1, 1, 4, 4]}
    rect = {"name": "rect", "x": 5, "y": 2, "width": 2, "height": 3}
    regions = [
        {"shape_attributes": polygon, "region_attributes": {"Quality": "good", "Phase": "ncm"}},
        {"shape_attributes": rect, "region_attributes": {"Phase": {"pore": True, "ncm": False}}},
    ]
    path = save(tmp_path, via(*regions, wrapped=wrapped))
    assert np.array_equal(read(path), expected(ncm=(1, 4, 1, 5), pore=(2, 5, 5, 7)))
    assert [r.area_px for r in read_instances(path, "a.png", SHAPE)] == [12, 6]
    with pytest.raises(InputError, match="give the shape"):
        read_annotation(path, DEFAULT)


def test_via_circle_and_ellipse(tmp_path):
    regions = [
        {"shape_attributes": {"name": "circle", "cx": 3, "cy": 3, "r": 1}, "region_attributes": {"p": "ncm"}},
        {"shape_attributes": {"name": "ellipse", "cx": 6, "cy": 3, "rx": 0.8, "ry": 2.8},
         "region_attributes": {"p": "pore"}},
    ]  # fmt: skip
    assert np.array_equal(read(save(tmp_path, via(*regions))), expected(ncm=(2, 4, 2, 4), pore=(1, 5, 5, 7)))


def test_cvat(tmp_path):
    xml = """<?xml version="1.0" encoding="utf-8"?>
    <annotations><version>1.1</version><meta><task/></meta>
      <image id="0" name="folder/a.png" width="8" height="6">
        <polygon label="ncm" source="manual" occluded="0" points="1,1;5,1;5,4;1,4" z_order="1"/>
        <box label="pore" xtl="3" ytl="2" xbr="8" ybr="6" z_order="0"/>
        <mask label="binder" rle="0, 1, 2, 1" left="6" top="0" width="2" height="2" z_order="2"/>
        <tag label="good"/>
      </image></annotations>"""
    result = expected(pore=(2, 6, 3, 8), ncm=(1, 4, 1, 5))
    result[0, 6] = result[1, 7] = 3
    xml = xml.replace('        <tag label="good"/>\n', "")
    assert np.array_equal(read(save(tmp_path, xml, "a.xml")), result)
    assert annotated_images(tmp_path / "a.xml") == ["folder/a.png"]


def test_cvat_turned_box(tmp_path):
    xml = (
        '<annotations><image name="a.png" width="8" height="6">'
        '<box label="ncm" xtl="1" ytl="2" xbr="5" ybr="4" rotation="90"/></image></annotations>'
    )
    assert np.array_equal(read(save(tmp_path, xml, "a.xml")), expected(ncm=(1, 5, 2, 4)))


def brush_task(results, **task):
    return {"data": {"image": "/data/upload/1/0a1b2c3d-a.png"}, "annotations": [{"result": results}]} | task


def brush(mask, label):
    from cathode_tf.imaging.runs import encode_brush

    return {
        "original_width": SHAPE[1],
        "original_height": SHAPE[0],
        "image_rotation": 0,
        "value": {"format": "rle", "rle": encode_brush(mask), "brushlabels": [label]},
        "type": "brushlabels",
    }


def test_label_studio_brush_polygon_and_box(tmp_path):
    inside = expected(ncm=(1, 4, 1, 5)) == 1
    percent = [[x / 8 * 100, y / 6 * 100] for x, y in ((5, 2), (7, 2), (7, 5), (5, 5))]
    polygon = brush(inside, "x") | {"value": {"points": percent, "polygonlabels": ["pore"]}}
    value = {"x": 0, "y": 0, "width": 12.5, "height": 100, "rotation": 0, "rectanglelabels": ["binder"]}
    path = save(tmp_path, [brush_task([brush(inside, "ncm"), polygon, polygon | {"value": value}])])
    result = expected(ncm=(1, 4, 1, 5), pore=(2, 5, 5, 7), binder=(0, 6, 0, 1))
    assert np.array_equal(read(path, image_name="a.tif"), result)


def test_label_studio_results_that_are_refused(tmp_path):
    inside = np.ones(SHAPE, bool)
    two = brush(inside, "ncm")
    two["value"]["brushlabels"] = ["ncm", "pore"]
    for result, message in [
        (two, "one label. Received ncm, pore"),
        (brush(inside, "ncm") | {"image_rotation": 90}, "rotated"),
        (
            brush(inside, "ncm") | {"value": {"x": 1, "y": 2, "width": 0.3, "keypointlabels": ["ncm"]}},
            "is a keypoint",
        ),
        (brush(inside, "ncm") | {"original_width": 9}, "must cover its 9 x 6 pixels"),
    ]:
        with pytest.raises(InputError, match=message):
            read(save(tmp_path, brush_task([result])))
    choice = {"value": {"choices": ["good"]}, "original_width": 8, "original_height": 6}
    assert (read(save(tmp_path, brush_task([choice]))) == 255).all()


@pytest.mark.parametrize(
    "address",
    ["/data/local-files/?d=images%2Fa.png", "s3://bucket/folder/a.png", "https://x.org/i/a.png?token=abc.def&n=3",
     "/data/upload/7/0a1b2c3d-a.png", "C:\\\\images\\\\a.png"],
)  # fmt: skip
def test_label_studio_addresses(tmp_path, address):
    other = brush_task([brush(np.ones(SHAPE, bool), "pore")], data={"image": "/x/b.png"})
    task = brush_task([brush(np.ones(SHAPE, bool), "ncm")], data={"number": 3, "photo": address})
    path = save(tmp_path, [other, task])
    assert annotated_images(path)[0] == "b.png"
    assert (read(path, image_name="a.tif") == 1).all()


def test_label_studio_takes_the_newest_annotation_that_was_not_cancelled(tmp_path):
    inside = np.ones(SHAPE, bool)

    def annotation(label, date, **more):
        return {"result": [brush(inside, label)], "updated_at": date, **more}

    task = brush_task([], annotations=[
        annotation("pore", "2024-01-01"), annotation("ncm", "2024-03-01"), annotation("binder", "2024-02-01"),
        annotation("additive", "2024-04-01", was_cancelled=True),
    ])  # fmt: skip
    with pytest.warns(InputWarning, match="has 3 annotations; that of 2024-03-01 counts"):
        assert (read(save(tmp_path, task)) == 1).all()


@pytest.mark.filterwarnings("ignore:.*what counts is a prediction", "ignore:.*reach out of the image")
def test_label_studio_turned_box_and_ellipse(tmp_path):
    # A box of 4 x 2 px at (1, 1), turned by 90 degrees clockwise about that corner: columns -1 to 0, rows 1 to 4.
    box = {
        "x": 12.5,
        "y": 100 / 6,
        "width": 50,
        "height": 200 / 6,
        "rotation": 90,
        "rectanglelabels": ["ncm"],
    }
    result = {"original_width": 8, "original_height": 6, "value": box}
    assert np.array_equal(read(save(tmp_path, brush_task([result]))), expected(ncm=(1, 5, 0, 1)))
    # An ellipse of radii 3 and 1 px about (4, 3), turned by 90 degrees: 1 and 3.
    value = {"x": 50, "y": 50, "radiusX": 37.5, "radiusY": 100 / 6, "rotation": 90, "ellipselabels": ["ncm"]}
    upright = {"x": 50, "y": 50, "radiusX": 12.5, "radiusY": 50, "rotation": 0, "ellipselabels": ["ncm"]}
    masks = [read(save(tmp_path, brush_task([result | {"value": v}]))) for v in (value, upright)]
    assert np.array_equal(*masks) and (masks[0] == 1).any()


def test_label_studio_json_min(tmp_path):
    inside = expected(ncm=(1, 4, 1, 5)) == 1
    full = brush(inside, "ncm")
    tag = full["value"] | {"original_width": 8, "original_height": 6}
    assert np.array_equal(
        read(save(tmp_path, [{"image": "/x/a.png", "id": 1, "tag": [tag]}])), expected(ncm=(1, 4, 1, 5))
    )


def test_brush_of_the_reference_implementation():
    # label_studio_converter.brush.encode_rle of a 1 x 2 mask, its second pixel set.
    packed = [0, 0, 0, 8, 57, 27, 252, 96, 17, 255, 128]
    assert decode_brush(packed, 1, 2).tolist() == [[False, True]]


masks = hnp.arrays(
    np.uint8,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=9),
    elements=st.sampled_from([0, 1, 2, 3, 255]),
)


@pytest.mark.filterwarnings("ignore:.*what counts is a prediction")
@settings(max_examples=60, deadline=None)
@given(mask=masks, format=st.sampled_from(FORMATS))
def test_every_format_gives_the_mask_back(tmp_path_factory, mask, format):
    path = tmp_path_factory.mktemp("m") / ("a.png" if format in ("indexed", "rgb") else "a.json")
    write_annotation(path, mask, DEFAULT, format=format, image_name="s 07.png")
    read = read_annotation(path, DEFAULT, shape=mask.shape, image_name="s 07.tif")
    assert np.array_equal(read, mask)


@pytest.mark.filterwarnings("ignore:.*what counts is a prediction")
def test_several_images_in_one_file(tmp_path):
    masks = {f"s{i}.png": np.full((3, 4), i, np.uint8) for i in range(3)}
    write_coco(tmp_path / "coco.json", masks, DEFAULT)
    write_label_studio(tmp_path / "ls.json", masks, DEFAULT, scores={"s1.png": 0.25}, model_version="run-1")
    for file in ("coco.json", "ls.json"):
        for name, mask in masks.items():
            assert np.array_equal(read_annotation(tmp_path / file, DEFAULT, image_name=name), mask)
    tasks = json.loads((tmp_path / "ls.json").read_text())
    assert tasks[1]["predictions"][0]["score"] == 0.25
    assert tasks[1]["predictions"][0]["model_version"] == "run-1"
    assert "score" not in tasks[0]["predictions"][0]


def test_a_file_is_parsed_once_and_again_when_it_changed(tmp_path, monkeypatch):
    loads, calls = json.loads, []
    monkeypatch.setattr(json, "loads", lambda *a, **k: calls.append(1) or loads(*a, **k))
    masks = {f"s{i}.png": np.full((3, 4), i, np.uint8) for i in range(3)}
    path = write_coco(tmp_path / "coco.json", masks, DEFAULT)
    for name in masks:
        read_annotation(path, DEFAULT, image_name=name)
    assert len(calls) == 1
    write_coco(path, {"s0.png": np.full((5, 5), 3, np.uint8)}, DEFAULT, force=True)
    assert (read_annotation(path, DEFAULT) == 3).all()


def test_annotation_from_before_the_databar_was_cut(tmp_path):
    path = save(tmp_path, labelme({"label": "ncm", "points": BOX}))
    assert read(path, shape=(5, 8), databar_rows=1).shape == (5, 8)
    with pytest.raises(InputError, match=r"8 x 5\. Received 8 x 6"):
        read(path, shape=(5, 8))


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "{}", "[1, 2]", "null", "<a/>", "<annotations>", "[" * 100_000, '{"shapes": 3}', '{"shapes": [{}]}',
     '{"images": [], "annotations": [], "categories": []}', '{"images": 1, "annotations": 2}', "\x00\x01{",
     '{"_via_img_metadata": {"a": {"filename": "a.png"}}}', '[{"data": {}, "annotations": []}]',
     '{"shapes": [], "imageHeight": 1e9, "imageWidth": 1e9}', '{"shapes": [], "imageHeight": "x", "imageWidth": 3}',
     '{"shapes": [{"label": "ncm", "points": [[1, 2], [3, 4], [5, 1e400]]}]}'],
    ids=lambda t: t[:30],
)  # fmt: skip
def test_malformed_files_are_refused(tmp_path, text):
    with pytest.raises(InputError, match=r"a\.json"):
        read(save(tmp_path, text))


def test_runs_must_fill_the_image():
    assert decode_runs([0, 2], 2).tolist() == [True, True]
    for counts in ([1], [3], [-1, 3], [[1, 1]], [2**40, 1]):
        with pytest.raises(InputError, match="runs of a mask"):
            decode_runs(counts, 2)
    for text in ("\x10", "o", "zzzz~"):
        with pytest.raises((InputError, UnicodeEncodeError)):
            decode_coco_string(text)
    for packed in ([], [0, 0, 0, 8], [300], [0, 0, 0, 9, 59, 155, 251, 4]):
        with pytest.raises(InputError, match="brush"):
            decode_brush(packed, 1, 2)
