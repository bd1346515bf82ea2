"""Members of the kinds that concern how samples are stored: tags left out, pages, codecs, opacity, no data."""

import struct

import numpy as np
import tifffile
from PIL import Image

from cathode_tf.imaging import read_mask, read_micrograph

from .members import BW, judge, member, scene, truth
from .members_pixels import CODECS, NO_DATA, PAGES, TABLES, TAGS, WHITE, pixels_of

# A little-endian TIFF by hand: eight-bit grey of 64 x 64 px without compression, its samples at byte 300.
PLAIN = {256: 64, 257: 64, 258: 8, 259: 1, 262: 1, 273: 300, 277: 1, 278: 64, 279: 4096}


def by_hand(tags, samples, next_page=0):
    entries = b"".join(struct.pack("<HHII", code, 4, 1, value) for code, value in sorted(tags.items()))
    directory = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + struct.pack("<I", next_page)
    return directory.ljust(300, b"\0") + samples


def stored(name, change, expected="right", said="", shown=None, next_page=0):
    """`change` says what differs from `PLAIN`; None leaves the tag out."""

    @member(TAGS, name, expected)
    def make(folder):
        tags = {code: value for code, value in (PLAIN | change).items() if value is not None}
        (folder / "a.tif").write_bytes(by_hand(tags, scene().tobytes(), next_page))
        return judge(lambda: pixels_of(folder / "a.tif"), scene() if shown is None else shown, said)


stored("no photometric interpretation", {262: None})
stored("no rows per strip", {278: None})
stored("rows per strip 0", {278: 0})
stored("rows per strip without end", {278: 2**32 - 1})
stored("no byte counts", {279: None})
stored("no samples per pixel", {277: None})
stored("a predictor without compression", {317: 2})
stored("planes apart, of one sample", {284: 2})
stored("orientation 0", {274: 0})
stored("no bits per sample", {258: None}, "refused", r"no BitsPerSample \(258\)")
stored("float of 8 bit", {339: 3}, "refused", "8 bit of the sample format 3")
stored("more rows than there are", {257: 128}, "refused", r"StripOffsets \(273\)")
stored("tiles of no size", {322: 0, 323: 0}, "refused", "tiles of no size")
stored(
    "the first page follows itself", {}, "refused", "page 0 is followed by page 0, in a circle", next_page=8
)
stored("a second page beyond the end", {}, "refused", "ends before its last page", next_page=999_999)

# White as 0
# -------------------------------------------------------------------------------------------------------------------


@member(WHITE, "mask with an opacity", "warned")
def _(folder):
    opaque = np.full((64, 64), 255, np.uint8)
    picture = np.dstack([255 - truth() * 255, opaque])
    tifffile.imwrite(folder / "a.tif", picture, photometric="miniswhite", extrasamples=["unassalpha"])
    return judge(lambda: read_mask(folder / "a.tif", BW), truth(), "tag 262")


@member(WHITE, "micrograph with a transparent corner", "warned")
def _(folder):
    opacity = np.full((64, 64), 255, np.uint8)
    opacity[:4, :4] = 0
    picture = np.dstack([255 - scene(), opacity])
    tifffile.imwrite(folder / "a.tif", picture, photometric="miniswhite", extrasamples=["unassalpha"])
    return judge(lambda: pixels_of(folder / "a.tif"), scene(), "16 pixels are transparent")


@member(WHITE, "every second page")
def _(folder):
    with tifffile.TiffWriter(folder / "a.tif") as writer:
        for flipped in (False, True):
            kind = "miniswhite" if flipped else "minisblack"
            writer.write(
                255 - scene() if flipped else scene(), photometric=kind, contiguous=False, metadata=None
            )
    return judge(lambda: pixels_of(folder / "a.tif"), [scene()] * 2)


# Pages, planes and channels
# -----------------------------------------------------------------------------------------------------


def pages(name, expected, said, meant, *planes):
    """Each of `planes`: pixels, and how tifffile writes them."""

    @member(PAGES, name, expected)
    def make(folder):
        with tifffile.TiffWriter(folder / "a.tif") as writer:
            for plane, options in planes:
                writer.write(plane, contiguous=False, metadata=None, photometric="minisblack", **options)
        return judge(lambda: len(pixels_of(folder / "a.tif")), meant, said)


def called(text):
    return {"extratags": [(285, 2, len(text) + 1, text, True)]}


def detector(name):
    text = f"[Beam]\r\nBeam=EBeam\r\n[Detectors]\r\nNumber=1\r\nName={name}\r\n".encode()
    return {"extratags": [(34682, 1, len(text), text, True)]}


BOTH = (scene(), 255 - scene())
pages(
    "pages called SE2 and InLens",
    "warned",
    "called SE2, InLens",
    2,
    *zip(BOTH, map(called, ("SE2", "InLens")), strict=True),
)
pages(
    "pages called slice 1 and slice 2",
    "right",
    "",
    2,
    *zip(BOTH, map(called, ("slice 1", "slice 2")), strict=True),
)
pages(
    "pages of two Thermo detectors",
    "warned",
    "called ETD, CBS",
    2,
    *zip(BOTH, map(detector, ("ETD", "CBS")), strict=True),
)
WIDE = scene().astype(np.uint16) * 16
pages(
    "a page of 12 bit among 16",
    "refused",
    "page 1 .*uint16 of 12 bit",
    None,
    (WIDE, {}),
    (WIDE, {"bitspersample": 12}),
)


@member(PAGES, "two grey planes in one page", "warned")
def _(folder):
    tifffile.imwrite(folder / "a.tif", np.stack(BOTH), photometric="minisblack", planarconfig="separate")
    return judge(lambda: len(pixels_of(folder / "a.tif")), 2, "the 2 planes of its page are taken for slices")


@member(PAGES, "slices in one page (ImageDepth)", "refused")
def _(folder):
    tifffile.imwrite(
        folder / "a.tif",
        np.stack([scene()] * 16),
        volumetric=True,
        tile=(16, 16, 16),
        photometric="minisblack",
    )
    return judge(lambda: len(pixels_of(folder / "a.tif")), None, "one page of 16 slices")


@member(PAGES, "three slices stored as red, green and blue", "warned")
def _(folder):
    tifffile.imwrite(folder / "a.tif", np.dstack([scene(), scene() + 3, scene() + 6]), photometric="rgb")
    # 0.299 x + 0.587 (x + 3) + 0.114 (x + 6) = x + 2.445
    return judge(lambda: pixels_of(folder / "a.tif"), scene() + 2, "red, green and blue differ")


@member(PAGES, "an OME-TIFF with a pyramid below its page")
def _(folder):
    with tifffile.TiffWriter(folder / "a.ome.tif", ome=True) as writer:
        writer.write(scene(), subifds=1, photometric="minisblack")
        writer.write(scene()[::2, ::2], subfiletype=1, photometric="minisblack")
    return judge(lambda: pixels_of(folder / "a.ome.tif"), scene())


@member(PAGES, "a mask behind its preview", "warned")
def _(folder):
    with tifffile.TiffWriter(folder / "a.tif") as writer:
        for mask in (truth()[::2, ::2], truth()):
            writer.write(mask, contiguous=False, metadata=None, photometric="minisblack")
    return judge(lambda: read_mask(folder / "a.tif", BW), truth(), "page 0 .*preview")


# Alpha, palettes, one bit
# -------------------------------------------------------------------------------------------------------


@member(TABLES, "PNG of two bit")
def _(folder):
    # Grey of 2 bit is shown as 0, 85, 170 and 255, whatever program makes a PNG smaller so.
    import zlib

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    levels = truth() * 3
    packed = (levels[:, 0::4] << 6) | (levels[:, 1::4] << 4) | (levels[:, 2::4] << 2) | levels[:, 3::4]
    rows = b"".join(b"\0" + row.tobytes() for row in packed)
    head = struct.pack(">IIBBBBB", 64, 64, 2, 0, 0, 0, 0)
    content = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (folder / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    return judge(lambda: read_mask(folder / "a.png", BW), truth())


@member(TABLES, "PNG of grey and opacity in 16 bit")
def _(folder):
    import cv2

    picture = np.dstack([truth().astype(np.uint16) * 65535] * 3 + [np.full((64, 64), 65535, np.uint16)])
    cv2.imwrite(str(folder / "a.png"), picture)
    return judge(lambda: read_mask(folder / "a.png", BW), truth())


@member(TABLES, "PNG with one transparent grey", "right")
def _(folder):
    # What is transparent was not labelled: the grey 7 around the rectangle.
    Image.fromarray(np.where(truth() == 1, np.uint8(1), np.uint8(7))).save(folder / "a.png", transparency=7)
    return judge(lambda: read_mask(folder / "a.png", BW), np.where(truth() == 1, np.uint8(1), np.uint8(255)))


# Lossy codecs
# -------------------------------------------------------------------------------------------------------------------


def packed(name, expected, said, **options):
    @member(CODECS, name, expected)
    def make(folder):
        noise = np.random.default_rng(0).integers(0, 40, (64, 64))
        pixels = (scene() // 2 + noise).astype(options.pop("dtype", np.uint8))
        tifffile.imwrite(folder / "a.tif", pixels, photometric="minisblack", **options)
        return judge(lambda: pixels_of(folder / "a.tif").shape, (64, 64), said)


J2K = {"compression": "jpeg2000"}
packed(
    "JPEG 2000, reversible and cut to a size",
    "warned",
    "perhaps cut to a size",
    compressionargs={"level": 30, "reversible": True},
    **J2K,
)
packed(
    "JPEG 2000, reversible, of noise", "right", "", compressionargs={"level": 0, "reversible": True}, **J2K
)
packed(
    "LERC of integers with an error of 2", "warned", "LERC", compression="lerc", compressionargs={"level": 2}
)
packed(
    "LERC packed once more, with an error",
    "warned",
    "LERC",
    compression="lerc",
    compressionargs={"level": 0.1, "compression": "zstd"},
    dtype=np.float32,
)


@member(CODECS, "the second page as JPEG", "warned")
def _(folder):
    with tifffile.TiffWriter(folder / "a.tif") as writer:
        for codec in (None, "jpeg"):
            writer.write(
                scene(), contiguous=False, metadata=None, photometric="minisblack", compression=codec
            )
    return judge(lambda: len(pixels_of(folder / "a.tif")), 2, "compressed with loss")


# No data
# ------------------------------------------------------------------------------------------------------------------------


def missing(name, value, dtype, count, said, expected="warned"):
    @member(NO_DATA, name, expected)
    def make(folder):
        pixels = scene().astype(dtype)
        pixels.ravel()[:count] = value
        tifffile.imwrite(folder / "a.tif", pixels, photometric="minisblack")
        return judge(lambda: pixels_of(folder / "a.tif").shape, (64, 64), said)


missing("65535 in uint16", 65535, np.uint16, 64, "64 pixels are 65535, far above all others")
missing("the largest of uint32", 2**32 - 1, np.uint32, 64, "64 pixels are 4.29")
missing("the smallest of int64", -(2**63), np.int64, 64, "64 pixels are -9.22")
missing("1e20 in more than half", 1e20, np.float32, 2500, r"2500 pixels are 1e\+20")
missing("netCDF's fill value", 9.96921e36, np.float32, 64, r"64 pixels are 9.9692")
missing("-999 in float", -999, np.float32, 64, "64 pixels are -999, far below")
missing("minus infinity", -np.inf, np.float32, 3, "3 NaN or infinite pixels", "refused")


@member(NO_DATA, "what GDAL's tag states", "warned")
def _(folder):
    pixels = scene()
    pixels[:2] = 0
    tifffile.imwrite(folder / "a.tif", pixels, extratags=[(42113, 2, 2, "0", True)])
    return judge(
        lambda: pixels_of(folder / "a.tif"), pixels, r"128 pixels are 0, which the file states for no data"
    )


@member(NO_DATA, "NaN in a later slice", "refused")
def _(folder):
    stack = np.stack([scene()] * 3).astype(np.float32)
    stack[2, 3, 4] = np.nan
    tifffile.imwrite(folder / "a.tif", stack, photometric="minisblack")
    return judge(
        lambda: read_micrograph(folder / "a.tif"),
        None,
        "1 NaN or infinite pixels, the first at row 3, column 4",
    )


@member(NO_DATA, "NaN in a mask", "refused")
def _(folder):
    mask = truth().astype(np.float32)
    mask[3, 4] = np.nan
    tifffile.imwrite(folder / "a.tif", mask)
    return judge(
        lambda: read_mask(folder / "a.tif", BW), None, "nan in 1 pixels, the first at row 3, column 4"
    )
