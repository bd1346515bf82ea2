"""Members of the kinds that concern pixels: white as 0, pages and channels, turning, tables, codecs, tags."""

import io
import struct

import numpy as np
import tifffile
from PIL import Image

from cathode_tf.imaging import read_annotation, read_mask, read_micrograph
from cathode_tf.phases import Phases

from .members import BW, DEFAULT, judge, labelled, member, scene, truth


def pixels_of(path):
    found = read_micrograph(path)
    return [m.pixels for m in found] if isinstance(found, list) else found.pixels


# White as 0

WHITE = "white as zero"
FLIPS = {
    "uint8": 255,
    "uint16": 65535,
    "uint32": 2**32 - 1,
    "int8": -1,
    "int16": -1,
    "int32": -1,
    "float32": 0,
    "float64": 0,
}


def white_micrograph(dtype):
    @member(WHITE, f"micrograph of {dtype}")
    def make(folder):
        shown = scene().astype(dtype) if dtype != "int8" else (scene() // 2).astype(dtype)
        stored = (FLIPS[dtype] - shown.astype(object)).astype(dtype)
        tifffile.imwrite(folder / "a.tif", stored, photometric="miniswhite")
        tifffile.imwrite(folder / "b.tif", shown, photometric="minisblack")
        return judge(lambda: pixels_of(folder / "a.tif"), pixels_of(folder / "b.tif"))


for dtype in FLIPS:
    white_micrograph(dtype)


def white_mask(bits, compression, expected, said):
    @member(WHITE, f"mask of {bits} bit, {compression or 'not compressed'}", expected)
    def make(folder):
        if compression == "group4":
            image = Image.fromarray(truth() == 1)
            image.save(folder / "a.tif", compression="group4", tiffinfo={262: 0})
            with tifffile.TiffFile(folder / "a.tif") as tiff:
                assert int(tiff.pages[0].photometric) == 0
        else:
            top = (1 << bits) - 1
            stored = (truth() == 0) if bits == 1 else (top * (truth() == 0)).astype(f"u{bits // 8}")
            tifffile.imwrite(folder / "a.tif", stored, photometric="miniswhite", compression=compression)
        phases = (
            BW
            if bits < 16
            else Phases.from_list(
                [{"name": "a", "id": 0, "values": [0]}, {"name": "b", "id": 1, "values": [65535]}]
            )
        )
        return judge(lambda: read_mask(folder / "a.tif", phases), truth(), said)


white_mask(1, None, "right", "")
white_mask(1, "group4", "right", "")
white_mask(8, None, "warned", "tag 262")
white_mask(8, "zlib", "warned", "tag 262")
white_mask(16, None, "warned", "tag 262")


@member(WHITE, "one binary mask a phase")
def _(folder):
    tifffile.imwrite(folder / "a_ncm.tif", truth() == 0, photometric="miniswhite")
    return judge(lambda: read_annotation(folder / "a_{phase}.tif", DEFAULT), labelled())


@member(WHITE, "mask with ImageJ's inverting table", "refused")
def _(folder):
    tifffile.imwrite(folder / "a.tif", truth() * 255, photometric="miniswhite", imagej=True)
    with tifffile.TiffFile(folder / "a.tif") as tiff:
        assert tiff.is_imagej and int(tiff.pages[0].photometric) == 0
    return judge(lambda: read_mask(folder / "a.tif", BW), truth(), "inverting lookup table")


@member(WHITE, "micrograph with ImageJ's inverting table", "warned")
def _(folder):
    tifffile.imwrite(folder / "a.tif", 255 - scene(), photometric="miniswhite", imagej=True)
    return judge(lambda: pixels_of(folder / "a.tif"), scene(), "inverting lookup table")


# Pages, planes and channels
# ---------------------------------------------------------------------------------------------

PAGES = "pages and channels"
STACK = np.stack([scene() + i for i in range(5)])


def pages(name, planes, said="", meant=None, expected="refused", options=()):
    @member(PAGES, name, expected)
    def make(folder):
        with tifffile.TiffWriter(folder / "a.tif") as writer:
            for index, plane in enumerate(planes):
                more = dict(options[index]) if index < len(options) else {}
                more.setdefault("photometric", "rgb" if plane.ndim == 3 else "minisblack")
                writer.write(plane, contiguous=False, metadata=None, **more)
        return judge(lambda: pixels_of(folder / "a.tif"), meant, said)


RGB = np.stack([scene()] * 3, axis=2)
TABLE = np.zeros((3, 256), np.uint16)
pages("a page of another width", [*STACK[:2], STACK[2][:, :60], *STACK[3:]], "page 2 of 60 x 64")
pages("a page of another height", [*STACK[:3], STACK[3][:50], STACK[4]], "page 3 of 64 x 50")
pages("a page of 16 bit", [*STACK[:2], STACK[2].astype(np.uint16), *STACK[3:]], "page 2 of .*uint16")
pages("a page of float", [*STACK[:4], STACK[4].astype(np.float32)], "page 4 of .*float32")
pages("a page of RGB", [*STACK[:2], RGB, *STACK[3:]], "page 2 of .*3 channels")
pages(
    "a page with a palette",
    [STACK[0], STACK[1], STACK[2]],
    "page 1 of .*palette",
    options=[{}, {"photometric": "palette", "colormap": TABLE}],
)
pages("the first page smaller than a stack", [STACK[0][:32, :32], *STACK[1:]], "page 0 of 32 x 32")
pages(
    "a flagged preview first",
    [scene()[::4, ::4], scene()],
    meant=scene(),
    expected="right",
    options=[{"subfiletype": 1}],
)
pages(
    "a flagged preview last",
    [scene(), scene()[::4, ::4]],
    meant=scene(),
    expected="right",
    options=[{}, {"subfiletype": 1}],
)
pages("a preview without a flag first", [scene()[::4, ::4], scene()], "page 0 .*preview", scene(), "warned")
pages("a preview without a flag last", [scene(), RGB[::2, ::2]], "page 1 .*preview", scene(), "warned")
pages(
    "a pyramid without flags",
    [scene(), scene()[::2, ::2], scene()[::4, ::4]],
    "page 1 .*page 2 .*previews",
    scene(),
    "warned",
)
pages(
    "a transparency mask",
    [scene(), scene() > 99],
    meant=scene(),
    expected="right",
    options=[{}, {"subfiletype": 4}],
)
pages(
    "the larger page flagged as a preview",
    [scene(), np.kron(scene(), np.ones((2, 2), np.uint8))],
    "flagged as a preview",
    options=[{}, {"subfiletype": 1}],
)
pages(
    "the only page flagged as a preview",
    [scene()],
    meant=scene(),
    expected="right",
    options=[{"subfiletype": 1}],
)
pages(
    "pages turned to one size",
    [scene(64, 48), scene(48, 64)],
    "orientation",
    expected="warned",
    meant=[scene(64, 48), np.rot90(scene(48, 64), -1)],
    options=[{"extratags": [(274, 3, 1, 1, True)]}, {"extratags": [(274, 3, 1, 6, True)]}],
)


def axes(name, axes_, shape, said, options, expected="refused", meant=None):
    @member(PAGES, name, expected)
    def make(folder):
        planes = np.zeros(shape, np.uint8) + scene(20, 30)[:, :30] * 0
        tifffile.imwrite(
            folder / "a.tif", planes, photometric="minisblack", metadata={"axes": axes_}, **options
        )
        return judge(lambda: len(pixels_of(folder / "a.tif")), meant, said)


for label, options in (("OME", {"ome": True}), ("ImageJ", {"imagej": True}), ("tifffile", {})):
    axes(f"2 channels, {label}", "CYX", (2, 20, 30), r"2 \(axes CYX\)", options)
    axes(f"slices and channels, {label}", "ZCYX", (3, 2, 20, 30), r"2 \(axes ZCYX\)", options)
    axes(f"slices, {label}", "ZYX", (4, 20, 30), "", options, "right", 4)
axes("frames in time, ImageJ", "TYX", (4, 20, 30), "in time", {"imagej": True}, "warned", 4)


@member(PAGES, "an OME-TIFF of two images", "refused")
def _(folder):
    with tifffile.TiffWriter(folder / "a.ome.tif", ome=True) as writer:
        writer.write(scene(), photometric="minisblack")
        writer.write(scene(), photometric="minisblack")
    return judge(lambda: pixels_of(folder / "a.ome.tif"), None, "OME-TIFF of 2 images")


@member(PAGES, "a mask of two sizes", "refused")
def _(folder):
    with tifffile.TiffWriter(folder / "a.tif") as writer:
        for mask in (truth(), truth()[:, :50], truth()):
            writer.write(mask, contiguous=False, photometric="minisblack")
    return judge(lambda: read_mask(folder / "a.tif", DEFAULT), None, "page 1 of 50 x 64")


@member(PAGES, "an animated PNG", "refused")
def _(folder):
    first, second = Image.fromarray(scene()), Image.fromarray(255 - scene())
    first.save(folder / "a.png", save_all=True, append_images=[second])
    return judge(lambda: pixels_of(folder / "a.png"), None, "2 frames")


# Turning

TURNED = "orientation"
# How to store a picture so that it is shown as it is: the inverse of what EXIF's number does to it.
STORE = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.T,
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(a.T, 2),
    8: lambda a: np.rot90(a, -1),
}


def store(path, picture, orientation):
    stored = np.ascontiguousarray(STORE[orientation](picture))
    if path.suffix == ".tif":
        tifffile.imwrite(path, stored, extratags=[(274, 3, 1, orientation, True)], photometric="minisblack")
        return
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(stored).save(path, exif=exif, **({"quality": 100} if path.suffix == ".jpg" else {}))


def turned(orientation, suffix):
    expected = "right" if orientation == 1 and suffix != ".jpg" else "warned"

    @member(TURNED, f"orientation {orientation} in a {suffix[1:].upper()} and its annotation", expected)
    def make(folder):
        picture = scene(64, 80)
        store(folder / f"a{suffix}", picture, orientation)
        said = "loss" if orientation == 1 else f"orientation {orientation}"

        def brightness():
            pixels = pixels_of(folder / f"a{suffix}")
            assert pixels.shape == picture.shape
            return (pixels > 180).astype(np.uint8)

        return judge(brightness, truth(64, 80), said)


for orientation in range(1, 9):
    for suffix in (".tif", ".png", ".jpg"):
        turned(orientation, suffix)


def turned_mask(suffix):
    @member(TURNED, f"a mask turned in a {suffix[1:].upper()}", "warned")
    def make(folder):
        store(folder / f"a{suffix}", truth(64, 80), 6)
        return judge(lambda: read_mask(folder / f"a{suffix}", DEFAULT), truth(64, 80), "orientation 6")


turned_mask(".tif")
turned_mask(".png")


@member(TURNED, "EXIF as a text of a PNG, as ImageMagick writes it", "warned")
def _(folder):
    from PIL.PngImagePlugin import PngInfo

    exif = Image.Exif()
    exif[274] = 3
    content = exif.tobytes()
    info = PngInfo()
    text = f"\nexif\n{len(content):8d}\n" + content.hex() + "\n"
    info.add_text("Raw profile type exif", text, zip=True)
    Image.fromarray(np.ascontiguousarray(np.rot90(scene(), 2))).save(folder / "a.png", pnginfo=info)
    return judge(lambda: pixels_of(folder / "a.png"), scene(), "orientation 3")


# Alpha, palettes, one bit

TABLES = "alpha and palettes"


def bmp(path, header, palette, rows, bits, height, width):
    """A BMP: its info header after the common one, palette, rows from below."""
    offset = 14 + len(header) + len(palette)
    path.write_bytes(b"BM" + struct.pack("<IHHI", offset + len(rows), 0, 0, offset) + header + palette + rows)


@member(TABLES, "BMP of 32 bit whose alpha is 0")
def _(folder):
    mask = truth()
    colors = np.zeros((*mask.shape, 4), np.uint8)
    colors[..., :3] = (mask * 255)[..., None]
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = (
        struct.pack("<IiiHHIIiiII", 108, 64, 64, 1, 32, 3, colors.size, 2835, 2835, 0, 0) + masks + bytes(52)
    )
    bmp(folder / "a.bmp", header, b"", colors[::-1].tobytes(), 32, 64, 64)
    return judge(lambda: read_mask(folder / "a.bmp", BW), truth())


@member(TABLES, "RGBA PNG transparent everywhere", "refused")
def _(folder):
    colors = np.zeros((64, 64, 4), np.uint8)
    colors[..., :3] = (truth() * 255)[..., None]
    Image.fromarray(colors).save(folder / "a.png")
    return judge(lambda: read_mask(folder / "a.png", BW), truth(), "transparent everywhere")


@member(TABLES, "RGBA TIFF whose fourth channel is 0")
def _(folder):
    colors = np.zeros((64, 64, 4), np.uint8)
    colors[..., :3] = (truth() * 255)[..., None]
    tifffile.imwrite(folder / "a.tif", colors, photometric="rgb", extrasamples=["unspecified"])
    return judge(lambda: read_mask(folder / "a.tif", BW), truth())


@member(TABLES, "a mosaic with transparent corners", "warned")
def _(folder):
    alpha = np.full((64, 64), 255, np.uint8)
    alpha[:8, -8:] = 0
    Image.fromarray(np.dstack([scene(), alpha])).save(folder / "a.png")
    return judge(lambda: pixels_of(folder / "a.png"), scene(), "64 pixels are transparent")


def palette(name, colors, indices, phases, expected="right", said="", suffix=".png"):
    @member(TABLES, name, expected)
    def make(folder):
        image = Image.fromarray(indices.astype(np.uint8))
        image.putpalette(np.asarray(colors, np.uint8).ravel().tolist())
        if suffix == ".tif":
            table = np.zeros((3, 256), np.uint16)
            table[:, : len(colors)] = np.asarray(colors, np.uint16).T * 257
            tifffile.imwrite(
                folder / "a.tif", indices.astype(np.uint8), photometric="palette", colormap=table
            )
        else:
            image.save(folder / f"a{suffix}")
        return judge(lambda: read_mask(folder / f"a{suffix}", phases), truth(), said)


RED, GREEN, BLACK, WHITE_ = (200, 30, 30), (30, 200, 30), (0, 0, 0), (255, 255, 255)
DECLARED = Phases.from_list(
    [{"name": "pore", "id": 0, "values": [0, "#c81e1e"]}, {"name": "ncm", "id": 1, "values": [1, "#1ec81e"]}]
)
for order, colors, indices in (("one", [RED, GREEN], truth()), ("the other", [GREEN, RED], 1 - truth())):
    for suffix in (".png", ".tif", ".bmp"):
        form = suffix[1:].upper()
        palette(
            f"colours of no phase in {order} order, {form}",
            colors,
            indices,
            DEFAULT,
            "refused",
            "colours of phases.toml",
            suffix,
        )
        palette(f"declared colours in {order} order, {form}", colors, indices, DECLARED, suffix=suffix)
for order, colors, indices in (
    ("black, white", [BLACK, WHITE_], truth()),
    ("white, black", [WHITE_, BLACK], 1 - truth()),
):
    palette(f"one bit, palette {order}, PNG", colors, indices, DEFAULT)
palette(
    "grey in one order",
    [(0,) * 3, (128,) * 3],
    truth(),
    Phases.from_list([{"name": "a", "id": 0, "values": [0]}, {"name": "b", "id": 1, "values": [128]}]),
)
palette(
    "grey in the other order",
    [(128,) * 3, (0,) * 3],
    1 - truth(),
    Phases.from_list([{"name": "a", "id": 0, "values": [0]}, {"name": "b", "id": 1, "values": [128]}]),
)


def bmp_bits(name, colors, indices):
    @member(TABLES, name)
    def make(folder):
        rows = np.packbits(indices.astype(np.uint8), axis=1)[::-1].tobytes()
        header = struct.pack("<IiiHHIIiiII", 40, 64, 64, 1, 1, 0, len(rows), 2835, 2835, 2, 2)
        table = b"".join(bytes((*color, 0)) for color in colors)
        bmp(folder / "a.bmp", header, table, rows, 1, 64, 64)
        return judge(lambda: read_mask(folder / "a.bmp", DEFAULT), truth())


bmp_bits("BMP of 1 bit, palette black, white", [BLACK, WHITE_], truth())
bmp_bits("BMP of 1 bit, palette white, black", [WHITE_, BLACK], 1 - truth())


# Lossy codecs
# -----------------------------------------------------------------------------------------------------------

CODECS = "lossy codecs"


def codec(name, expected, compression, args, dtype=np.uint8):
    @member(CODECS, name, expected)
    def make(folder):
        pixels = np.stack([scene()] * 3, axis=2) if "WebP" in name else scene().astype(dtype)
        options = {"photometric": "rgb"} if pixels.ndim == 3 else {}
        tifffile.imwrite(folder / "a.tif", pixels, compression=compression, compressionargs=args, **options)
        shape = judge(lambda: pixels_of(folder / "a.tif").shape, (64, 64), "compressed with loss")
        mask = judge(lambda: read_mask(folder / "a.tif", DEFAULT), None, "without loss|Received")
        assert mask == "refused"
        return shape


codec("JPEG", "warned", "jpeg", {"level": 80})
codec("JPEG 2000, irreversible", "warned", "jpeg2000", {"level": 30, "reversible": False})
codec("JPEG 2000, reversible", "right", "jpeg2000", {"reversible": True})
codec("JPEG XL", "warned", "jpegxl", {"level": 50, "lossless": False})
codec("JPEG XR", "warned", "jpegxr", {"level": 50})
codec("LERC with an error of 0.1", "warned", "lerc", {"level": 0.1}, np.float32)
codec("LERC without an error", "right", "lerc", {"level": 0.0}, np.float32)
codec("WebP with loss", "warned", "webp", {"level": 50, "lossless": False})
codec("WebP without loss", "right", "webp", {"level": 80, "lossless": True})
for lossless in ("lzw", "zlib", "zstd", "packbits", "lzma", "png"):
    codec(lossless, "right", lossless, {})


# Tags that lie
# ------------------------------------------------------------------------------------------------------------

TAGS = "tags that lie"


def lying(name, tag, value, expected="right", said="", picture=None, **options):
    @member(TAGS, name, expected)
    def make(folder):
        pixels = scene() if picture is None else picture
        tifffile.imwrite(folder / "a.tif", pixels, **options)
        with tifffile.TiffFile(folder / "a.tif", mode="r+b") as tiff:
            entry = tiff.pages[0].tags[tag]
            entry.overwrite([value] * entry.count if entry.count > 1 else value)
        return judge(lambda: pixels_of(folder / "a.tif"), scene(), said)


lying("strip byte count 0", 279, 0)
lying("strip byte count 100 000 000", 279, 100_000_000)
lying("strip byte count too small", 279, 7)
lying("byte counts of several strips 0", 279, 0, rowsperstrip=10)
lying("tile byte counts 0", 325, 0, tile=(16, 16))
lying("compressed, byte count 0", 279, 0, compression="zlib")
lying(
    "compressed, byte count beyond the end",
    279,
    10_000_000,
    "refused",
    r"StripByteCounts \(279\) of page 0",
    compression="zlib",
)
lying("strip offset beyond the end", 273, 10_000_000, "refused", r"StripOffsets \(273\) of page 0")
lying("strip offset 0", 273, 0, "refused", r"StripOffsets \(273\) of page 0")


@member(TAGS, "a file cut short", "refused")
def _(folder):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, scene())
    (folder / "a.tif").write_bytes(buffer.getvalue()[:-100])
    return judge(lambda: pixels_of(folder / "a.tif"), None, "beyond the end of the file")


# No data
# ------------------------------------------------------------------------------------------------------------------

NO_DATA = "no data"


def no_data(name, value, dtype, expected, said):
    @member(NO_DATA, name, expected)
    def make(folder):
        pixels = scene().astype(dtype)
        pixels[:8, :8] = value
        tifffile.imwrite(folder / "a.tif", pixels)
        return judge(lambda: pixels_of(folder / "a.tif").shape, (64, 64), said)


no_data("NaN", np.nan, np.float32, "refused", "64 NaN or infinite pixels, the first at row 0, column 0")
no_data("infinity", np.inf, np.float64, "refused", "64 NaN or infinite")
no_data("-9999 in float", -9999, np.float32, "warned", "64 pixels are -9999")
no_data("the smallest of int16", -32768, np.int16, "warned", "64 pixels are -32768")
no_data("the smallest of int32", -2147483648, np.int32, "warned", "64 pixels are -2.14748e")
no_data("the smallest of float32", np.finfo(np.float32).min, np.float32, "warned", "64 pixels are -3.4")
