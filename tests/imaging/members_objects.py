"""Members of the kinds that concern annotations: whose an object is, whether it is drawn, its shape, and texts."""

import json
import unicodedata

import numpy as np
from PIL import Image

from cathode_tf.imaging import find_images, match_masks, read_annotation, read_instances
from cathode_tf.imaging.runs import encode_brush, encode_coco_string, encode_runs
from cathode_tf.phases import Phases

from .members import BOX, BW, DEFAULT, judge, labelled, member, scene, truth

FLAT = [float(v) for point in BOX for v in point]
TINY = [[0.125, 0.1], [0.4, 0.1], [0.4, 0.5], [0.125, 0.5]]
FAR = [[x + 100, y + 100] for x, y in BOX]
SMALL = [[40.1, 40.1], [40.3, 40.1], [40.3, 40.3]]


def coco(annotations, images=None, categories=None):
    return {
        "images": images
        or [{"id": i, "file_name": f"im{i}.png", "width": 64, "height": 64} for i in range(2)],
        "categories": categories or [{"id": 1, "name": "ncm"}, {"id": 2, "name": "pore"}],
        "annotations": [
            {"id": n, "image_id": 0, "category_id": 1, "bbox": [8, 5, 20, 30]} | a
            for n, a in enumerate(annotations)
        ],
    }


def labelme(*shapes):
    return {
        "shapes": [{"label": "ncm", "shape_type": "polygon"} | s for s in shapes],
        "imagePath": "im0.png",
        "imageHeight": 64,
        "imageWidth": 64,
    }


def via(*regions):
    listed = [{"region_attributes": {"phase": "ncm"}} | {"shape_attributes": r} for r in regions]
    return {"im0.png1": {"filename": "im0.png", "size": 1, "regions": listed, "file_attributes": {}}}


def via_polygon(points):
    xs, ys = zip(*points, strict=True)
    return {"name": "polygon", "all_points_x": list(xs), "all_points_y": list(ys)}


def cvat(inner, outer=""):
    return f'<?xml version="1.0" encoding="utf-8"?><annotations><image id="0" name="im0.png" width="64" height="64">{inner}</image>{outer}</annotations>'


def cvat_polygon(points, label='label="ncm"'):
    return f'<polygon {label} points="{";".join(f"{x},{y}" for x, y in points)}" z_order="0"/>'


def result(value, **more):
    return {
        "id": "x",
        "type": "polygonlabels",
        "original_width": 64,
        "original_height": 64,
        "image_rotation": 0,
        "value": value,
    } | more


def percent(points):
    return [[x / 64 * 100, y / 64 * 100] for x, y in points]


def studio(*annotations, **task):
    return [
        {"id": 1, "data": {"image": "/data/upload/1/0a1b2c3d-im0.png"}, "annotations": list(annotations)}
        | task
    ]


def answer(*results, date="2024-01-02", **more):
    return {"result": list(results), "was_cancelled": False, "updated_at": date, **more}


GOOD = result({"points": percent(BOX), "polygonlabels": ["ncm"]})
PORE = result({"points": percent(BOX), "polygonlabels": ["pore"]})


def reading(kind, name, content, expected="right", said="", meant=None, image="im0.png", encoding="utf-8"):
    @member(kind, name, expected)
    def make(folder):
        text = content if isinstance(content, str) else json.dumps(content)
        path = folder / ("a.xml" if text.startswith("<") else "a.json")
        path.write_bytes(text.encode(encoding))
        expected_mask = labelled() if meant is None else meant
        return judge(
            lambda: read_annotation(path, DEFAULT, shape=(64, 64), image_name=image), expected_mask, said
        )


# Whose an object is

IDS = "identity"
POLYGON = {"segmentation": [FLAT]}
NOTHING = np.full((64, 64), 255, np.uint8)
reading(IDS, "COCO, image id as text everywhere", coco([POLYGON | {"image_id": "0"}]))
reading(IDS, "COCO, image id as text in one", coco([POLYGON | {"image_id": "0"}, POLYGON | {"image_id": 1}]))
reading(IDS, "COCO, image id as 0.0", coco([POLYGON | {"image_id": 0.0}]))
reading(IDS, "COCO, category id as text", coco([POLYGON | {"category_id": "1"}]))
TWO = [{"id": 0, "file_name": f"im{i}.png", "width": 64, "height": 64} for i in range(2)]
reading(
    IDS,
    "COCO, two images with one id",
    coco([POLYGON], images=TWO),
    "refused",
    "each image must have an id of its own",
)
TWICE = [{"id": 1, "name": "ncm"}, {"id": 1, "name": "pore"}]
reading(
    IDS,
    "COCO, two categories with one id",
    coco([POLYGON], categories=TWICE),
    "refused",
    "each category must have an id",
)
MIXED = [{"id": 1, "name": "ncm"}, {"id": "1", "name": "pore"}]
reading(
    IDS,
    "COCO, two categories with 1 and '1'",
    coco([POLYGON], categories=MIXED),
    "refused",
    "each category must have an id",
)
reading(
    IDS,
    "COCO, an object of no image",
    coco([POLYGON, POLYGON | {"image_id": 99}]),
    "refused",
    "1 object of image 99",
)
reading(
    IDS,
    "COCO, an object of no category",
    coco([POLYGON | {"category_id": 7}]),
    "refused",
    "1 object of category 7",
)
reading(
    IDS,
    "COCO, two objects with one id",
    coco([POLYGON, POLYGON | {"id": 0}]),
    "warned",
    "share 1 id, 0 first",
)
reading(
    IDS,
    "COCO, a category of two ids",
    coco([POLYGON | {"category_id": 2}], categories=[{"id": 1, "name": "ncm"}, {"id": 2, "name": "ncm"}]),
)
SAME = [{"id": i, "file_name": "im0.png", "width": 64, "height": 64} for i in range(2)]
reading(
    IDS, "COCO, one image listed twice", coco([POLYGON], images=SAME), "refused", "must list im0.png once"
)
VIA_TEXT = json.dumps(via(via_polygon(BOX)))
reading(IDS, "VIA, one key twice", VIA_TEXT[:-1] + ", " + VIA_TEXT[1:], "refused", "'im0.png1' stands twice")
reading(
    IDS,
    "CVAT, one image twice",
    cvat(cvat_polygon(BOX), '<image id="0" name="im0.png" width="64" height="64"/>'),
    "refused",
    "must list im0.png once",
)
reading(
    IDS,
    "Label Studio, one image in two tasks",
    studio(answer(GOOD)) + studio(answer(PORE)),
    "refused",
    "must list im0.png once",
)


# Whether it is drawn
# ----------------------------------------------------------------------------------------------------

DRAWN = "objects without pixels"
EMPTY_RUNS = {"size": [64, 64], "counts": [64 * 64]}
for where, points, said in (
    ("in 0 to 1", TINY, "coordinates of 0 to 1"),
    ("outside the image", FAR, "lies outside the image"),
):
    flat = [float(v) for point in points for v in point]
    reading(DRAWN, f"COCO {where}", coco([{"segmentation": [flat]}]), "refused", said)
    reading(DRAWN, f"LabelMe {where}", labelme({"points": points}), "refused", said)
    reading(DRAWN, f"VIA {where}", via(via_polygon(points)), "refused", said)
    reading(DRAWN, f"CVAT {where}", cvat(cvat_polygon(points)), "refused", said)
    shares = points if where == "in 0 to 1" else percent(points)
    value = {"points": shares, "polygonlabels": ["ncm"]}
    reading(DRAWN, f"Label Studio {where}", studio(answer(result(value))), "refused", said)
both = [POLYGON, {"segmentation": [[float(v) for p in FAR for v in p]]}]
reading(
    DRAWN,
    "COCO, one of two outside",
    coco(both),
    "warned",
    "1 of 2 objects of im0.png are not drawn: 'ncm' lies outside",
)
reading(
    DRAWN,
    "LabelMe, one of two outside",
    labelme({"points": BOX}, {"points": FAR}),
    "warned",
    "1 of 2 objects are not drawn",
)
reading(DRAWN, "VIA, one of two outside", via(via_polygon(BOX), via_polygon(FAR)), "warned", "1 of 2 objects")
reading(
    DRAWN, "CVAT, one of two outside", cvat(cvat_polygon(BOX) + cvat_polygon(FAR)), "warned", "1 of 2 objects"
)
outside = result({"points": percent(FAR), "polygonlabels": ["ncm"]}, id="y")
reading(DRAWN, "Label Studio, one of two outside", studio(answer(GOOD, outside)), "warned", "1 of 2 objects")
reading(
    DRAWN,
    "LabelMe, one smaller than a pixel",
    labelme({"points": BOX}, {"points": SMALL}),
    "warned",
    "too small to cover",
)
reading(
    DRAWN, "COCO, only a box", coco([POLYGON, {"segmentation": []}]), "refused", "has no outline, only a box"
)
reading(DRAWN, "COCO, no segmentation at all", coco([POLYGON, {}]), "refused", "has no outline")
reading(
    DRAWN,
    "COCO, empty run lengths",
    coco([POLYGON, {"segmentation": EMPTY_RUNS}]),
    "warned",
    "a mask without a pixel",
)
reading(
    DRAWN,
    "Label Studio, an empty brush",
    studio(
        answer(
            GOOD,
            result(
                {"format": "rle", "rle": encode_brush(np.zeros((64, 64), bool)), "brushlabels": ["ncm"]},
                id="y",
            ),
        )
    ),
    "warned",
    "a mask without a pixel",
)


# Elements that are easily left out
# ----------------------------------------------------------------------------------------

LEFT = "elements left out"
TRACK = '<track id="0" label="ncm"><polygon frame="0" points="8,5;28,5;28,35;8,35"/></track>'
reading(LEFT, "CVAT, a track", cvat("", TRACK), "refused", "1 track")
reading(LEFT, "CVAT, a track beside an object", cvat(cvat_polygon(BOX), TRACK), "refused", "1 track")
reading(
    LEFT, "CVAT, a skeleton", cvat(cvat_polygon(BOX) + '<skeleton label="ncm"/>'), "refused", "is a skeleton"
)
reading(
    LEFT,
    "CVAT, a cuboid",
    cvat(cvat_polygon(BOX) + '<cuboid label="ncm"/>'),
    "refused",
    "'cuboid', which is not read",
)
reading(
    LEFT,
    "CVAT, a polyline",
    cvat(cvat_polygon(BOX) + '<polyline label="ncm" points="1,1;2,2"/>'),
    "refused",
    "is a polyline",
)
reading(LEFT, "CVAT, a polygon without a label", cvat(cvat_polygon(BOX, "")), "refused", "must have a label")
reading(LEFT, "CVAT, a tag of the image", cvat(cvat_polygon(BOX) + '<tag label="good"/>'))
reading(
    LEFT, "CVAT, an ellipse", cvat('<ellipse label="ncm" cx="18" cy="20" rx="2" ry="3"/>' + cvat_polygon(BOX))
)
reading(LEFT, "LabelMe, no label", labelme({"points": BOX, "label": None}), "refused", "must have a label")
reading(
    LEFT,
    "VIA, no label",
    {
        "i": {
            "filename": "im0.png",
            "regions": [{"shape_attributes": via_polygon(BOX), "region_attributes": {}}],
        }
    },
    "refused",
    "must have a label",
)
BARE = result({"points": percent(BOX)}, type="polygon")
LABELS = result({"points": percent(BOX), "labels": ["ncm"]}, type="labels")
reading(LEFT, "Label Studio, a region without a label", studio(answer(BARE)), "refused", "must have a label")
reading(LEFT, "Label Studio, shape and label as two results", studio(answer(BARE, LABELS)))
reading(
    LEFT,
    "Label Studio, a text to a region",
    studio(answer(GOOD, result({"points": percent(BOX), "text": ["crack"]}, type="textarea"))),
)
reading(
    LEFT, "Label Studio, a relation", studio(answer(GOOD, {"type": "relation", "from_id": "x", "to_id": "y"}))
)
reading(
    LEFT,
    "Label Studio, a choice for the image",
    studio(answer(GOOD, {"type": "choices", "value": {"choices": ["good"]}})),
)
reading(
    LEFT,
    "Label Studio, the newest annotation empty",
    studio(answer(GOOD), answer(date="2024-01-03")),
    "refused",
    "the newest is empty",
)
reading(
    LEFT,
    "Label Studio, a ground truth older than another",
    studio(answer(GOOD, ground_truth=True), answer(PORE, date="2024-01-03")),
)
reading(
    LEFT,
    "Label Studio, two annotations",
    studio(answer(PORE), answer(GOOD, date="2024-01-03")),
    "warned",
    "2 annotations",
)
reading(LEFT, "Label Studio, only a draft", studio(drafts=[{"result": [GOOD]}]), "refused", "only a draft")
MIN = {
    "image": "/u/im0.png",
    "brush": [],
    "poly": [GOOD["value"] | {"original_width": 64, "original_height": 64}],
}
SIZELESS = [{k: v for k, v in GOOD.items() if not k.startswith("original")}]
reading(LEFT, "Label Studio, no size", studio(answer(*SIZELESS)), "refused", "must say the size of its image")
SECOND = {
    "rle": encode_brush(truth() == 1),
    "format": "rle",
    "brushlabels": ["ncm"],
    "original_width": 64,
    "original_height": 64,
}
reading(LEFT, "Label Studio JSON-MIN, two controls", [MIN | {"brush": [SECOND]}])


# Shapes
# -----------------------------------------------------------------------------------------------------------------

SHAPES = "shapes"
for kind in ("rectangle", "rotation", "oriented_rectangle", "quadrilateral", "polygon"):
    reading(SHAPES, f"LabelMe, {kind} of four corners", labelme({"points": BOX, "shape_type": kind}))
reading(
    SHAPES,
    "LabelMe, rectangle of two corners",
    labelme({"points": [BOX[0], BOX[2]], "shape_type": "rectangle"}),
)
reading(
    SHAPES,
    "LabelMe, rectangle of two corners backwards",
    labelme({"points": [BOX[2], BOX[0]], "shape_type": "rectangle"}),
)
reading(
    SHAPES,
    "LabelMe, rectangle of three corners",
    labelme({"points": BOX[:3], "shape_type": "rectangle"}),
    "refused",
    "must have 2 or 4 corners. Received 3",
)
reading(
    SHAPES,
    "LabelMe, a cuboid",
    labelme({"points": BOX, "shape_type": "cuboid"}),
    "refused",
    "'cuboid', which is not read",
)
reading(
    SHAPES,
    "LabelMe, a line",
    labelme({"points": BOX[:2], "shape_type": "line"}),
    "refused",
    "is a line, which covers no pixel",
)
# 30 x 20 px about its centre (18, 20), turned by 90 degrees: 20 x 30.
TURNED_BOX = {"x": 3 / 64 * 100, "y": 10 / 64 * 100, "width": 30 / 64 * 100, "height": 20 / 64 * 100}
reading(
    SHAPES, "CVAT, a turned box", cvat('<box label="ncm" xtl="3" ytl="10" xbr="33" ybr="30" rotation="90"/>')
)
# Label Studio turns about the upper left corner: (28, 5) and 90 degrees lead to columns 8 to 28.
VALUE = {
    "x": 28 / 64 * 100,
    "y": 5 / 64 * 100,
    "width": 30 / 64 * 100,
    "height": 20 / 64 * 100,
    "rotation": 90,
    "rectanglelabels": ["ncm"],
}
reading(SHAPES, "Label Studio, a turned box", studio(answer(result(VALUE))))
reading(
    SHAPES,
    "COCO, compressed runs",
    coco(
        [
            {
                "segmentation": {
                    "size": [64, 64],
                    "counts": encode_coco_string(encode_runs((truth() == 1).T.ravel())),
                }
            }
        ]
    ),
)


# Strangers
# ----------------------------------------------------------------------------------------------------------------

OTHERS = "other tools' files"
reading(OTHERS, "YOLO labels", "0 0.28 0.31 0.31 0.47\n", "refused", "YOLO labels")
reading(OTHERS, "YOLO outlines", "1 0.125 0.08 0.44 0.08 0.44 0.55 0.125 0.55\n", "refused", "YOLO labels")
reading(
    OTHERS, "EISeg", [{"name": "ncm", "labelIdx": 1, "color": [1, 2, 3], "points": BOX}], "refused", "EISeg"
)
reading(
    OTHERS,
    "VIA 3",
    {"project": {}, "config": {}, "attribute": {}, "file": {}, "metadata": {}, "view": {}},
    "refused",
    "VIA 3",
)
reading(OTHERS, "Supervisely", {"size": {"height": 64, "width": 64}, "objects": []}, "refused", "Supervisely")


# Texts as Windows, macOS and Excel write them
# -----------------------------------------------------------------------------

TEXTS = "texts"
TOML = '# Stücke\n[[phase]]\nname = "pore"\nid = 0\n[[phase]]\nname = "ncm"\nid = 1\n'


def toml(name, encoding, expected="right", said="", content=TOML):
    @member(TEXTS, f"phases.toml, {name}", expected)
    def make(folder):
        (folder / "phases.toml").write_bytes(content.encode(encoding))
        return judge(lambda: Phases.from_toml(folder / "phases.toml").names, ("pore", "ncm"), said)


for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"):
    toml(encoding, encoding)
toml("Windows' line ends", "utf-8", content=TOML.replace("\n", "\r\n"))
toml("a decimal comma", "utf-8", "refused", "a point in them, not a comma", TOML + "values = 0,5\n")
toml("curly quotation marks", "utf-8", "refused", "straight", TOML.replace('"pore"', "“pore”"))
for encoding in ("utf-8-sig", "utf-16", "cp1252"):
    reading(TEXTS, f"COCO, {encoding}", coco([POLYGON]), encoding=encoding)
reading(TEXTS, "CVAT, utf-16", cvat(cvat_polygon(BOX)).replace("utf-8", "utf-16"), encoding="utf-16")
reading(
    TEXTS,
    "CVAT that declares windows-1251",
    cvat(cvat_polygon(BOX)).replace("utf-8", "windows-1251"),
    encoding="cp1251",
)


def table(name, text, encoding="utf-8"):
    @member(TEXTS, f"groups.csv, {name}")
    def make(folder):
        from cathode_tf.datasets.sheets import read_groups

        (folder / "g.csv").write_bytes(text.encode(encoding))
        return judge(lambda: sorted(read_groups(folder / "g.csv").items()), [("Stück 1", "a"), ("b", "c")])


CSV = "id,group\nStück 1,a\nb,c\n"
for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp1252"):
    table(encoding, CSV, encoding)
table("semicolons", CSV.replace(",", ";"))
table("tabs", CSV.replace(",", "\t"))
table("Excel's sep=", "sep=;\n" + CSV.replace(",", ";"))
table("blanks and empty lines", CSV.replace(",", " , ") + "\n,\n")
table("decomposed accents", unicodedata.normalize("NFD", CSV))


def numbers(name, text):
    @member(TEXTS, f"gauge table, {name}")
    def make(folder):
        from cathode_tf.texts import number, read_table

        (folder / "t.csv").write_text(text, encoding="utf-8")
        return judge(lambda: [number(row["value"]) for row in read_table(folder / "t.csv").rows], [0.5, 1.25])


numbers("decimal points", "part,value\na,0.5\nb,1.25\n")
numbers("decimal commas", "part;value\na;0,5\nb;1,25\n")
numbers("decimal commas in quotation marks", 'part,value\na,"0,5"\nb,"1,25"\n')


def spelled(name, image, mask, content=None):
    @member(TEXTS, f"names, {name}")
    def make(folder):
        Image.fromarray(scene()).save(folder / image)
        if content is None:
            Image.fromarray(truth() * 255).save(folder / mask)
        else:
            (folder / mask).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        masks = folder / mask if mask == "all.json" else None
        (pair,) = match_masks(find_images(folder), masks, phases=DEFAULT)
        meant = truth() if content is None and "_ncm" not in mask else labelled()
        phases = BW if content is None and "_ncm" not in mask else DEFAULT
        return judge(lambda: read_annotation(pair[1], phases, shape=(64, 64), image_name=image), meant)


NFC, NFD = "Pr\u00fcfung", "Pru\u0308fung"
for one, other in ((NFC, NFD), (NFD, NFC)):
    kind = "composed" if one == NFC else "decomposed"
    spelled(f"{kind} image, the other mask", f"{one}.png", f"{other}_mask.png")
    drawn = labelme({"points": BOX}) | {"imagePath": f"{other}.png"}
    spelled(f"{kind} image, the other LabelMe file", f"{one}.png", f"{other}.json", drawn)
    listed = [{"id": 0, "file_name": f"{other}.png", "width": 64, "height": 64}]
    spelled(
        f"{kind} image, the other in a COCO file", f"{one}.png", "all.json", coco([POLYGON], images=listed)
    )
    spelled(f"{kind} image, the other binary mask", f"{one}.png", f"{other}_ncm.png")


@member(TEXTS, "objects of a COCO file in UTF-16 one by one")
def _(folder):
    (folder / "a.json").write_bytes(json.dumps(coco([POLYGON])).encode("utf-16"))
    return judge(lambda: [r.area_px for r in read_instances(folder / "a.json", "im0.png", (64, 64))], [600])
