"""Members of the kinds that concern annotations: of other images and sizes, kinds of objects, folders of other tools."""

import base64
import io
import json

import numpy as np
from PIL import Image

from cathode_tf.imaging import find_images, match_masks, read_annotation, read_micrograph
from cathode_tf.phases import Phases

from .members import BOX, DEFAULT, judge, labelled, member, scene, truth
from .members_objects import (
    DRAWN,
    FLAT,
    GOOD,
    IDS,
    LEFT,
    NOTHING,
    OTHERS,
    POLYGON,
    PORE,
    SHAPES,
    answer,
    coco,
    cvat,
    cvat_polygon,
    labelme,
    percent,
    reading,
    result,
    studio,
    via,
    via_polygon,
)  # fmt: skip

ELSEWHERE = [[40, 40], [60, 40], [60, 60], [40, 60]]
OTHER = {"points": percent(ELSEWHERE), "polygonlabels": ["pore"]}

# Whose an object is
reading(
    IDS,
    "LabelMe, drawn on another image",
    labelme({"points": BOX}) | {"imagePath": "im7.png"},
    "warned",
    "was drawn on im7.png",
)
reading(IDS, "LabelMe, a path of Windows", labelme({"points": BOX}) | {"imagePath": "..\\images\\im0.png"})
reading(IDS, "LabelMe, the image saved as TIFF since", labelme({"points": BOX}) | {"imagePath": "im0.tif"})
FOLDERS = [{"id": i, "file_name": f"{n}/im0.png", "width": 64, "height": 64} for i, n in enumerate("ab")]
reading(
    IDS, "COCO, one name in two folders", coco([POLYGON], images=FOLDERS), "refused", "must list im0.png once"
)
TWO = answer(GOOD | {"to_name": "se"}, result(OTHER, id="y", to_name="bse"))
reading(IDS, "Label Studio, objects on two images of a task", studio(TWO), "refused", "2 of its images")
LISTED = answer(GOOD | {"item_index": 0}, result(OTHER, id="y", item_index=1))
reading(IDS, "Label Studio, objects on two of a list of images", studio(LISTED), "refused", "2 of its images")
both = np.where(truth() == 1, np.uint8(1), np.uint8(255))
both[40:60, 40:60] = 0
reading(IDS, "Label Studio, two objects of one id", studio(answer(GOOD, result(OTHER))), meant=both)


@member(IDS, "phases that differ in upper and lower case", "refused")
def _(folder):
    tables = [{"name": "NCM", "id": 0}, {"name": "ncm", "id": 1}]
    return judge(lambda: Phases.from_list(tables), None, "differ by more than upper and lower case")


def missing(name, masks, more, expected, said):
    """A COCO file of im0 and im1, where im1 is `more`: nowhere, or an image with a mask of its own."""

    @member(IDS, name, expected)
    def make(folder):
        Image.fromarray(scene()).save(folder / "im0.png")
        (folder / "m").mkdir()
        (folder / "m" / "all.json").write_text(json.dumps(coco([POLYGON, POLYGON | {"image_id": 1}])))
        if more:
            Image.fromarray(scene()).save(folder / "im1.png")
            Image.fromarray(truth()).save(folder / "m" / "im1.png")
        place = folder / "m" / masks
        return judge(lambda: match_masks(find_images(folder), place)[0][1].name, "all.json", said)


missing(
    "COCO, an image that is not there",
    "all.json",
    False,
    "warned",
    "names 1 image of 2 that are not among those given: im1.png",
)
missing("COCO in a folder, an image that is not there", "", False, "warned", "names 1 image of 2")
missing("COCO, an image with a mask of its own", "", True, "right", "")

# Whether it is drawn
shares = {"x": 0.125, "y": 0.1, "width": 0.3, "height": 0.5, "rectanglelabels": ["ncm"]}
reading(
    DRAWN,
    "Label Studio, a rectangle in 0 to 1",
    studio(answer(result(shares))),
    "refused",
    "coordinates of 0 to 1",
)
shares = {"x": 0.125, "y": 0.1, "radiusX": 0.3, "radiusY": 0.5, "ellipselabels": ["ncm"]}
reading(
    DRAWN,
    "Label Studio, an ellipse in 0 to 1",
    studio(answer(result(shares))),
    "refused",
    "coordinates of 0 to 1",
)
flat = {"name": "rect", "x": 0.1, "y": 0.1, "width": 0.3, "height": 0.4}
reading(DRAWN, "VIA, a rectangle in 0 to 1", via(flat), "refused", "coordinates of 0 to 1")
twice = np.full((64, 64), 255, np.uint8)
twice[10:64, 16:56] = 1
reading(
    DRAWN,
    "VIA, drawn at twice the size",
    via(via_polygon([[2 * x, 2 * y] for x, y in BOX])),
    "warned",
    "'ncm' by 9%",
    twice,
)
edge = labelled().copy()
edge[30:64, 50:64] = 1
reading(
    DRAWN,
    "VIA, a hand slipped over the edge",
    via(via_polygon(BOX), {"name": "rect", "x": 50, "y": 30, "width": 16, "height": 36}),
    meant=edge,
)
reading(
    DRAWN,
    "COCO, a part of an object outside",
    coco([{"segmentation": [FLAT, [v + 200 for v in FLAT]]}]),
    "warned",
    "reach out of the image",
)
reading(
    DRAWN,
    "COCO, a box for an outline",
    coco([{"segmentation": [[8, 5, 28, 35]]}]),
    "refused",
    "at least 3 points",
)
reading(
    DRAWN,
    "COCO, an outline without points",
    coco([POLYGON, {"segmentation": [[]]}]),
    "refused",
    "at least 3 points",
)
reading(
    DRAWN,
    "COCO, NaN",
    json.dumps(coco([{"segmentation": [[float("nan"), *FLAT[1:]]]}])),
    "refused",
    "finite coordinates",
)
reading(
    DRAWN,
    "VIA, a circle of radius 0",
    via(via_polygon(BOX), {"name": "circle", "cx": 50, "cy": 50, "r": 0}),
    "warned",
    "too small",
)
reading(
    DRAWN,
    "CVAT, an object marked as outside",
    cvat(cvat_polygon(BOX) + '<box label="pore" outside="1" xtl="1" ytl="1" xbr="9" ybr="9"/>'),
    "warned",
    "marked as outside",
)

# Elements that are easily left out
BITS = {"imageDataURL": "data:image/png;base64,iVBO", "bitmasklabels": ["ncm"]}
reading(
    LEFT,
    "Label Studio, a bit mask",
    studio(answer(GOOD, result(BITS, id="z"))),
    "refused",
    "kind 'bitmask', which is not read. Draw with BrushLabels",
)
OPEN = {"points": percent(BOX), "closed": False, "polygonlabels": ["ncm"]}
reading(LEFT, "Label Studio, an open polygon", studio(answer(result(OPEN))), "refused", "is not closed")
reading(
    LEFT,
    "Label Studio, a video's object",
    studio(answer(GOOD, result({"sequence": [], "labels": ["ncm"]}, type="videorectangle", id="v"))),
    "refused",
    "'videorectangle', which is not read",
)
reading(
    LEFT,
    "Label Studio, a key point",
    studio(answer(GOOD, result({"x": 1, "y": 1, "width": 0.5, "keypointlabels": ["ncm"]}, id="k"))),
    "refused",
    "is a keypoint",
)
SKIPPED = studio(answer(GOOD) | {"was_cancelled": True}, predictions=[{"result": [PORE]}])
reading(LEFT, "Label Studio, a skipped task with a prediction", SKIPPED, "warned", "was skipped", NOTHING)
reading(
    LEFT,
    "Label Studio, a prediction alone",
    studio(predictions=[{"result": [GOOD]}]),
    "warned",
    "is a prediction",
)
reading(
    LEFT,
    "Label Studio, a draft beside an annotation",
    studio(answer(GOOD), drafts=[{"result": [PORE]}]),
    "warned",
    "has a draft beside",
)
reading(
    LEFT, "COCO, key points alone", coco([POLYGON, {"keypoints": [1, 2, 2]}]), "refused", "has no outline"
)
reading(
    LEFT,
    "CVAT, points",
    cvat(cvat_polygon(BOX) + '<points label="ncm" points="1,1"/>'),
    "refused",
    "which covers no pixel",
)

# Shapes


def png(inside):
    content = io.BytesIO()
    Image.fromarray(inside).save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()


mask = {"points": [[8, 5], [27, 34]], "shape_type": "mask", "mask": png(np.full((30, 20), 255, np.uint8))}
reading(SHAPES, "LabelMe, a mask", labelme(mask))
reading(
    SHAPES,
    "LabelMe, a mask of another size than its box",
    labelme(mask | {"mask": png(np.ones((10, 10), np.uint8))}),
    "refused",
    "as large as the box",
)
CROSSED = [BOX[0], BOX[2], BOX[1], BOX[3]]
reading(
    SHAPES,
    "LabelMe, corners of a rectangle crosswise",
    labelme({"points": CROSSED, "shape_type": "rectangle"}),
    "refused",
    "in the order of a walk around it",
)
reading(
    SHAPES,
    "LabelMe, a rotation of two corners",
    labelme({"points": BOX[:2], "shape_type": "rotation"}),
    "refused",
    "must have 4 corners",
)
reading(
    SHAPES,
    "LabelMe, a circle of one point",
    labelme({"points": BOX[:1], "shape_type": "circle"}),
    "refused",
    "its centre and a point on it",
)
reading(
    SHAPES,
    "VIA, a rectangle of negative width",
    via({"name": "rect", "x": 28, "y": 5, "width": -20, "height": 30}),
)
reading(SHAPES, "CVAT, a box backwards", cvat('<box label="ncm" xtl="28" ytl="35" xbr="8" ybr="5"/>'))
reading(
    SHAPES,
    "Label Studio, on a turned image",
    studio(answer(GOOD | {"image_rotation": 90})),
    "refused",
    "Received a rotated one",
)

# Other tools
reading(
    OTHERS,
    "Pascal VOC",
    "<annotation><filename>im0.png</filename></annotation>",
    "refused",
    "a Pascal VOC file",
)
reading(OTHERS, "GeoJSON", {"type": "FeatureCollection", "features": []}, "refused", "GeoJSON, as of QuPath")
reading(OTHERS, "Datumaro", {"info": {}, "categories": {}, "items": []}, "refused", "Datumaro")
reading(OTHERS, "Labelbox", [{"data_row": {"id": "x"}, "projects": {}}], "refused", "a Labelbox export")
reading(
    OTHERS,
    "CreateML",
    [{"image": "im0.png", "annotations": [{"label": "ncm", "coordinates": {}}]}],
    "refused",
    "CreateML",
)
reading(OTHERS, "SuperAnnotate", {"metadata": {}, "instances": []}, "refused", "a SuperAnnotate annotation")
reading(OTHERS, "V7", {"item": {"name": "im0.png"}, "annotations": []}, "refused", "a V7 Darwin annotation")
reading(
    OTHERS,
    "COCO panoptic",
    {"images": [], "annotations": [{"segments_info": []}]},
    "refused",
    "a COCO panoptic file",
)
reading(OTHERS, "YOLO labels behind an empty line", "\n0 0.28 0.31 0.31 0.47\n", "refused", "YOLO labels")


def masks_of(name, file, content, said):
    @member(OTHERS, f"a folder of masks with {name}", "refused")
    def make(folder):
        Image.fromarray(scene()).save(folder / "im0.png")
        (folder / "m").mkdir()
        (folder / "m" / file).write_bytes(content)
        return judge(lambda: match_masks(find_images(folder), folder / "m", phases=DEFAULT), None, said)


masks_of("YOLO labels", "im0.txt", b"0 .1 .2 .3 .4\n", "but im0.txt: YOLO labels")
masks_of("ImageJ's outlines", "RoiSet.zip", b"PK\3\4", "perhaps ImageJ's outlines")
masks_of("arrays", "im0.npy", b"\x93NUMPY", "a NumPy array")
masks_of("ilastik's HDF5", "im0_Probabilities.h5", b"\x89HDF", "in ilastik as Simple Segmentation")


@member(OTHERS, "an array beside masks", "warned")
def _(folder):
    Image.fromarray(scene()).save(folder / "im0.png")
    (folder / "m").mkdir()
    Image.fromarray(truth()).save(folder / "m" / "im0.png")
    (folder / "m" / "im1.npy").write_bytes(b"\x93NUMPY")
    pairs = lambda: match_masks(find_images(folder), folder / "m")[0][1].name  # noqa: E731
    return judge(pairs, "im0.png", "left out are im1.npy: a NumPy array")


FORMATS = "other formats"


@member(FORMATS, "a folder of DM3 alone", "refused")
def _(folder):
    (folder / "a.dm3").write_bytes(b"\0\0\0\3")
    return judge(lambda: find_images(folder), None, "Received none, but a.dm3: Gatan's DM3")


@member(FORMATS, "a DM4 beside a TIFF", "warned")
def _(folder):
    (folder / "a.dm4").write_bytes(b"\0\0\0\4")
    Image.fromarray(scene()).save(folder / "b.tif")
    return judge(lambda: [p.name for p in find_images(folder)], ["b.tif"], "left out are a.dm4: Gatan's DM4")


def stranger(file, content, said):
    @member(FORMATS, f"a {file[2:].upper()}", "refused")
    def make(folder):
        (folder / file).write_bytes(content)
        return judge(lambda: read_micrograph(folder / file), None, said)


stranger("a.ser", b"II\x97\x01" + bytes(50), "an SER of TIA; export it as TIFF")
stranger("a.mrc", bytes(300), "an MRC volume; save it as TIFF")
stranger("a.jp2", b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000; save it as TIFF or PNG")
stranger("a.nd2", b"\xda\xce\xbe\n" + bytes(20), "Nikon's ND2")
stranger("a.npy", b"\x93NUMPY\1\0" + bytes(20), "a NumPy array")


@member(LEFT, "a label of no phase named as the tool wrote it", "refused")
def _(folder):
    (folder / "a.json").write_text(json.dumps(labelme({"points": BOX, "label": "NMC"})))
    return judge(lambda: read_annotation(folder / "a.json", DEFAULT), None, "Received 'NMC'")
