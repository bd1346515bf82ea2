"""Damages files of every kind at random and reads them: a result or an InputError, and nothing else.

As a program: `python tests/imaging/fuzz.py 2000 [seed]` prints what else happened, and the memory it took.
"""

import io
import json
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import Image

from cathode_tf.errors import InputError
from cathode_tf.imaging import read_annotation, read_instances, read_micrograph, write_annotation
from cathode_tf.phases import Phases

PHASES = Phases.default()
SHAPE = (40, 56)
MEGAPIXELS = 4.0
SECONDS = 5
JEOL = "$CM_FORMAT JEOL-SEM\n$CM_FULL_SIZE 56 40\n$$SM_MICRON_BAR 10\n$$SM_MICRON_MARKER 1um\n"
HITACHI = "[SemImageFile]\nDataSize=56x40\nPixelSize=10\n"
TESCAN = "[MAIN]\nPixelSizeX=1e-8\nPixelSizeY=1e-8\nImageStripSize=4\n"


def corpus(folder: Path) -> list[Path]:
    """One whole file of each kind that the readers know."""
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, SHAPE, np.uint8)
    deep = rng.integers(0, 65536, SHAPE, np.uint16)
    ids = rng.choice(np.array([0, 1, 2, 3, 255], np.uint8), SHAPE)
    color = np.repeat(grey[..., None], 3, axis=2)
    stack = np.stack([grey] * 4)
    cz = b"0\r\n1\r\nAP_WIDTH\r\nWidth = 12.8 um\r\nDP_IMAGE_STORE\r\nStore resolution = 56 * 40\r\n"
    fei = b"[Beam]\r\nScan=EScan\r\n[EScan]\r\nPixelWidth=1e-8\r\n[Image]\r\nResolutionX=56\r\nResolutionY=38\r\n"
    xml = b"<Fibics><Image><Width>56</Width><Height>40</Height></Image><Scan><Ux>0.1</Ux><Vy>0.1</Vy></Scan></Fibics>"
    tiffs = {
        "plain": (grey, {}),
        "deep": (deep, {"byteorder": ">"}),
        "lzw": (grey, {"compression": "lzw", "predictor": True}),
        "deflate": (deep, {"compression": "zlib", "rowsperstrip": 7}),
        "packbits": (grey, {"compression": "packbits"}),
        "zstd": (grey, {"compression": "zstd"}),
        "jpeg": (grey, {"compression": "jpeg"}),
        "tiles": (grey, {"tile": (16, 16), "compression": "zlib"}),
        "big": (grey, {"bigtiff": True}),
        "float": (deep.astype(np.float32), {}),
        "signed": (deep.astype(np.int16), {}),
        "rgb": (color, {"photometric": "rgb"}),
        "planes": (np.moveaxis(color, 2, 0), {"photometric": "rgb", "planarconfig": "separate"}),
        "palette": (ids, {"photometric": "palette", "colormap": np.zeros((3, 256), np.uint16)}),
        "stack": (stack, {"photometric": "minisblack"}),
        "imagej": (stack, {"imagej": True, "resolution": (10, 10), "metadata": {"unit": "um"}}),
        "ome": (stack, {"ome": True, "metadata": {"axes": "ZYX", "PhysicalSizeX": 0.1}}),
        "bits": (grey > 128, {}),
        "zeiss": (grey, {"extratags": [(34118, 1, len(cz), cz, True)]}),
        "thermo": (grey, {"extratags": [(34682, 1, len(fei), fei, True)]}),
        "fibics": (grey, {"extratags": [(51023, 1, len(xml), xml, True)]}),
    }
    for name, (pixels, options) in tiffs.items():
        tifffile.imwrite(folder / f"{name}.tif", pixels, **options)
    for name, image in {"grey": grey, "deep": deep, "color": color, "bits": grey > 128}.items():
        Image.fromarray(image).save(folder / f"{name}.png")
    (folder / "deepcolor.png").write_bytes(cv2.imencode(".png", np.stack([deep] * 3, axis=2))[1].tobytes())
    Image.fromarray(grey).save(folder / "grey.bmp")
    Image.fromarray(color).save(folder / "color.bmp")
    Image.fromarray(color).save(folder / "color.jpg")
    for format in ("indexed", "rgb"):
        write_annotation(folder / f"mask_{format}.png", ids, PHASES, format=format)
    blocks = np.kron(rng.choice(np.array([0, 1, 255], np.uint8), (5, 7)), np.ones((8, 8), np.uint8))
    for format in ("labelme", "coco", "label-studio"):
        write_annotation(folder / f"{format}.json", blocks, PHASES, format=format)
    form = {"name": "polygon", "all_points_x": [1, 9, 9], "all_points_y": [1, 1, 9]}
    region = {"shape_attributes": form, "region_attributes": {"p": "ncm"}}
    via = {"_via_img_metadata": {"a": {"filename": "a.png", "regions": [region]}}}
    (folder / "via.json").write_text(json.dumps(via))
    buffer = io.BytesIO()
    Image.fromarray(grey[:4, :4]).save(buffer, "PNG")
    (folder / "cvat.xml").write_text(
        '<?xml version="1.0"?><annotations><image id="0" name="a.png" width="56" height="40">'
        '<polygon label="ncm" points="1,1;9,1;9,9" z_order="1"/><ellipse label="pore" cx="9" cy="9" rx="3" ry="4"/>'
        '<mask label="binder" rle="0,1,2,1" left="6" top="0" width="2" height="2"/></image></annotations>'
    )
    return sorted(folder.iterdir())


def damaged(content: bytes, others: list[bytes], rng: np.random.Generator) -> bytes:
    """The content after one to three random accidents."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(0, max(1, len(data))))
        kind = rng.integers(0, 9)
        if kind == 0:
            del data[at:]
        elif kind == 1:
            for place in rng.integers(0, max(1, len(data)), rng.integers(1, 20)):
                if data:
                    data[place] ^= 1 << int(rng.integers(0, 8))
        elif kind == 2:  # in the head, where sizes are declared
            at = int(rng.integers(0, max(1, min(len(data), 400))))
            data[at : at + 4] = rng.choice(
                [b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f"]
            )
        elif kind == 3:
            data[at:at] = rng.bytes(int(rng.integers(1, 40)))
        elif kind == 4:
            del data[at : at + int(rng.integers(1, 60))]
        elif kind == 5:
            other = others[rng.integers(0, len(others))]
            data = data[:at] + other[min(at, len(other)) :]
        elif kind == 6:
            data[:4] = rng.choice(
                [b"II*\0", b"MM\0*", b"\x89PNG", b"BM\0\0", b"\xff\xd8\xff\xe0", b'{"a"', b"<ann", b'[{"d']
            )
        elif kind == 7:  # a number in a text becomes another
            text = bytes(data)
            digits = [i for i, c in enumerate(text[:4000]) if 48 <= c < 58]
            if digits:
                place = digits[rng.integers(0, len(digits))]
                data[place : place + 1] = rng.choice(
                    [b"999999999999", b"-1", b"1e309", b"null", b'"x"', b"[]", b"{}"]
                )
        else:
            data[at : at + 64] = bytes(min(64, len(data) - at))
    return bytes(data)


def read_all(path: Path) -> None:
    """Every reader that a user could give the file to."""
    for read in (
        lambda: read_micrograph(path, max_megapixels=MEGAPIXELS),
        lambda: read_annotation(path, PHASES, max_megapixels=MEGAPIXELS),
        lambda: read_annotation(path, PHASES, shape=SHAPE, image_name="a.png", max_megapixels=MEGAPIXELS),
        lambda: read_instances(path, "a.png", SHAPE, max_megapixels=MEGAPIXELS),
    ):
        try:
            read()
        except InputError as error:
            assert path.name in str(error), f"the message does not name the file: {error}"


class Slow(Exception):
    """A file took longer than `SECONDS`."""


def run(count: int, seed: int = 0) -> list[str]:
    """What went wrong while reading so many damaged files; empty = nothing."""
    rng = np.random.default_rng(seed)
    wrong = []

    def alarm(signum, frame):
        raise Slow

    previous = signal.signal(signal.SIGALRM, alarm)
    try:
        with tempfile.TemporaryDirectory() as temporary, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            whole = Path(temporary) / "whole"
            whole.mkdir()
            files = corpus(whole)
            contents = [file.read_bytes() for file in files]
            for number in range(count):
                pick = number % len(files)
                path = Path(temporary) / f"n{number}{files[pick].suffix}"
                path.write_bytes(damaged(contents[pick], contents, rng))
                for suffix, text in ((".txt", (JEOL, HITACHI)[number % 2]), (".hdr", TESCAN)):
                    if number % 5 == 0:
                        path.with_suffix(suffix).write_bytes(damaged(text.encode(), contents, rng))
                signal.alarm(SECONDS)
                start = time.perf_counter()
                try:
                    read_all(path)
                except BaseException as error:
                    if isinstance(error, KeyboardInterrupt):
                        raise
                    kept = Path(tempfile.gettempdir()) / f"cathode_tf_fuzz_{seed}_{number}{path.suffix}"
                    kept.write_bytes(path.read_bytes())
                    last = traceback.extract_tb(error.__traceback__)[-1]
                    seconds = time.perf_counter() - start
                    wrong.append(
                        f"{files[pick].name} {number}: {error!r:.200} at {last.filename}:{last.lineno} "
                        f"after {seconds:.1f} s; kept as {kept}"
                    )
                finally:
                    signal.alarm(0)
                for leftover in Path(temporary).glob(f"n{number}.*"):
                    leftover.unlink()
    finally:
        signal.signal(signal.SIGALRM, previous)
    return wrong


if __name__ == "__main__":
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = run(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    print(*found, sep="\n")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{sys.argv[1]} files, {len(found)} wrong, {grown:.0f} MiB more than at the start")
    sys.exit(bool(found))
