"""Changes annotation files of every format at random and reads them: no object is lost without a word.

What is drawn and what is named must add up to the objects that the changed file holds, counted here from the file
itself; everything else must end in an InputError that names the file. As a program:
`python tests/imaging/fuzz_annotations.py 10000 [seed]` prints what was otherwise.
"""

import copy
import json
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.imaging.annotations import annotated_images, read_drawing
from cathode_tf.imaging.runs import encode_brush, encode_runs

SHAPE = (24, 32)
BOX = [[2.0, 3.0], [9.0, 3.0], [9.0, 11.0], [2.0, 11.0]]
VALUES = [None, "", 0, 1, -1, 7, 1e9, 0.25, "x", "1", True, [], {}, [[1, 2]], 1e-3]


def corpus():
    """Whole files by format: JSON content, or the text of an XML."""
    inside = np.zeros(SHAPE, bool)
    inside[4:9, 5:12] = True
    flat = [v for point in BOX for v in point]
    runs = {"size": list(SHAPE), "counts": encode_runs(inside.T.ravel())}
    coco = {
        "images": [{"id": i, "file_name": f"{n}.png", "height": 24, "width": 32} for i, n in enumerate("ab")],
        "categories": [{"id": 1, "name": "ncm"}, {"id": 2, "name": "pore"}],
        "annotations": [
            {"id": 1, "image_id": 0, "category_id": 1, "segmentation": [flat], "bbox": [2, 3, 7, 8]},
            {"id": 2, "image_id": 1, "category_id": 2, "segmentation": runs},
            {"id": 3, "image_id": 1, "category_id": 1, "segmentation": [flat, [20, 1, 25, 1, 25, 9]]},
        ],
    }
    labelme = {
        "imagePath": "a.png", "imageHeight": 24, "imageWidth": 32,
        "shapes": [
            {"label": "ncm", "points": BOX, "shape_type": "polygon"},
            {"label": "pore", "points": [BOX[0], BOX[2]], "shape_type": "rectangle"},
            {"label": "ncm", "points": [[15.0, 9.0], [15.0, 13.0]], "shape_type": "circle"},
        ],
    }  # fmt: skip
    forms = [
        {"name": "polygon", "all_points_x": [2, 9, 9, 2], "all_points_y": [3, 3, 11, 11]},
        {"name": "rect", "x": 12, "y": 2, "width": 6, "height": 5},
        {"name": "ellipse", "cx": 20, "cy": 15, "rx": 4, "ry": 3, "theta": 0.5},
    ]
    regions = [{"shape_attributes": f, "region_attributes": {"phase": "ncm"}} for f in forms]
    via = {"_via_img_metadata": {"a": {"filename": "a.png", "regions": regions, "file_attributes": {}}}}
    sizes = {"original_width": 32, "original_height": 24, "image_rotation": 0}
    values = [
        {"points": [[x / 0.32, y / 0.24] for x, y in BOX], "polygonlabels": ["ncm"]},
        {"x": 40.0, "y": 10.0, "width": 20.0, "height": 30.0, "rotation": 20, "rectanglelabels": ["pore"]},
        {"format": "rle", "rle": encode_brush(inside), "brushlabels": ["binder"]},
    ]
    results = [{"id": str(i), "type": "labels", **sizes, "value": v} for i, v in enumerate(values)]
    studio = [{"id": 1, "data": {"image": "/data/upload/a.png"}, "annotations": [{"result": results}]}]
    cvat = (
        '<annotations><image id="0" name="a.png" width="32" height="24">'
        '<polygon label="ncm" points="2,3;9,3;9,11;2,11" z_order="0"/>'
        '<box label="pore" xtl="12" ytl="2" xbr="18" ybr="7" rotation="0"/>'
        '<ellipse label="ncm" cx="20" cy="15" rx="4" ry="3"/>'
        '<mask label="binder" rle="0,1,2,1" left="6" top="0" width="2" height="2"/></image></annotations>'
    )
    return {"labelme": labelme, "coco": coco, "via": via, "label-studio": studio, "cvat": cvat}


def places(node, found=None):
    """Every (container, key) in a JSON content."""
    found = [] if found is None else found
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in entries:
        if isinstance(node, list) and len(node) > 40 and key % 17:
            continue  # long lists of numbers would be all that is ever changed
        found.append((node, key))
        places(value, found)
    return found


def changed(content, rng):
    """The JSON content after one to three changes of its structure."""
    content = copy.deepcopy(content)
    for _ in range(rng.integers(1, 4)):
        candidates = places(content)
        if not candidates:
            break
        node, key = candidates[rng.integers(0, len(candidates))]
        kind = rng.integers(0, 8)
        if kind == 0:
            del node[key]
        elif kind == 1:
            node[key] = copy.deepcopy(VALUES[rng.integers(0, len(VALUES))])
        elif kind == 2 and isinstance(node, list):
            node.insert(int(rng.integers(0, len(node) + 1)), copy.deepcopy(node[key]))
        elif kind == 3 and isinstance(node[key], (int, float)):
            node[key] = float(node[key]) * float(rng.choice([0.01, -1.0, 100.0, 1.0]))
        elif kind == 4 and isinstance(node[key], (int, float)):
            node[key] = str(node[key])
        elif kind == 5 and isinstance(node, dict):
            node[str(rng.choice(["Labels", "shape", "segments", "id"]))] = node.pop(key)
        elif kind == 6 and isinstance(node[key], list):
            node[key] = node[key][: len(node[key]) // 2]
        else:
            other, place = candidates[rng.integers(0, len(candidates))]
            node[key] = copy.deepcopy(other[place])
    return content


def changed_xml(text, rng):
    root = ElementTree.fromstring(text)
    for _ in range(rng.integers(1, 4)):
        every = list(root.iter())
        node = every[rng.integers(0, len(every))]
        kind = rng.integers(0, 6)
        if kind == 0 and node.attrib:
            del node.attrib[rng.choice(sorted(node.attrib))]
        elif kind == 1 and node.attrib:
            node.set(str(rng.choice(sorted(node.attrib))), str(VALUES[rng.integers(0, len(VALUES))]))
        elif kind == 2:
            node.tag = str(
                rng.choice(["polygon", "box", "points", "skeleton", "tag", "track", "image", "mask"])
            )
        elif kind == 3 and len(node):
            node.append(copy.deepcopy(node[rng.integers(0, len(node))]))
        elif kind == 4 and len(node):
            node.remove(node[rng.integers(0, len(node))])
        else:
            for name in ("xtl", "xbr", "cx", "left"):
                if name in node.attrib:
                    node.set(name, str(rng.choice([-500, 0.5, 500])))
    return ElementTree.tostring(root, encoding="unicode")


SHAPES = {"points", "rle", "radiusX", "width", "vertices"}


def count(kind, content):
    """How many objects a file holds, counted from its content alone; None where nobody could say."""
    try:
        if kind == "labelme":
            return len(content["shapes"])
        if kind == "coco":
            return len(content["annotations"])
        if kind == "via":
            return sum(len(e["regions"]) for e in content.get("_via_img_metadata", content).values())
        if kind == "cvat":
            root = ElementTree.fromstring(content)
            return len([e for i in root.findall("image") for e in i if e.tag != "tag"]) + len(
                root.findall("track")
            )
        results = [
            r
            for t in content
            for a in t.get("annotations") or t.get("predictions") or ()
            for r in a["result"]
        ]
        return sum(
            any(k.endswith("labels") for k in r["value"]) and bool(SHAPES & set(r["value"])) for r in results
        )
    except (KeyError, TypeError, AttributeError):
        return None


def objects_read(path):
    """How many objects the reader draws or names, over all images of the file."""
    return sum(
        len(drawing.regions) + len(drawing.left_out)
        for name in annotated_images(path)
        for drawing in [read_drawing(path, Path(name).name, SHAPE, 4.0)]
    )


def run(number, seed=0):
    """What was lost, or raised something else than an InputError that names the file; empty = nothing."""
    rng = np.random.default_rng(seed)
    whole, wrong = corpus(), []
    kinds = sorted(whole)
    with tempfile.TemporaryDirectory() as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for index in range(number):
            kind = kinds[index % len(kinds)]
            content = whole[kind]
            content = changed_xml(content, rng) if kind == "cvat" else changed(content, rng)
            path = Path(temporary) / f"n{index}.{'xml' if kind == 'cvat' else 'json'}"
            path.write_text(content if kind == "cvat" else json.dumps(content))
            try:
                with warnings.catch_warnings(record=True) as said:
                    warnings.simplefilter("always")
                    found, there = objects_read(path), count(kind, content)
                # Of several annotations of a task one counts, and a sentence says that the others do not.
                named = any("annotations; that of" in str(warning.message) for warning in said)
                if there is not None and found < there and not named:
                    wrong.append(f"{kind} {index}: {found} of {there} objects; {path.read_text()[:2000]}")
            except InputError as error:
                if path.name not in str(error):
                    wrong.append(f"{kind} {index}: the message does not name the file: {error}")
            except Exception as error:
                last = traceback.extract_tb(error.__traceback__)[-1]
                wrong.append(
                    f"{kind} {index}: {error!r:.200} at {last.filename}:{last.lineno}; {path.read_text()[:800]}"
                )
            path.unlink()
    return wrong


if __name__ == "__main__":
    lost = run(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    print(*lost[:20], sep="\n")
    print(f"{sys.argv[1]} files, {len(lost)} wrong", dict(Counter(text.split()[0] for text in lost)))
    sys.exit(bool(lost))
