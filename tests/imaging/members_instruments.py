"""Members of the kinds that concern what instruments state: sizes that are read amiss, stages, containers, sidecars."""

import json
import unicodedata

import numpy as np
import pytest
import tifffile

from cathode_tf.imaging import read_micrograph

from .members import judge, member, scene
from .members_pixels import CODECS, TURNED, pixels_of
from .members_scale import (
    CUT,
    FEI,
    FIBICS,
    FIELDS,
    HITACHI,
    JEOL,
    OTHER,
    PIXELS,
    TESCAN,
    WHOLE,
    ZEISS,
    acquired,
    beside,
    plain,
    sized,
    tag,
)  # fmt: skip
from .test_containers import GREY, write_berkeley, write_czi, write_velox

TEXTS = "texts"
STORED = "DP_IMAGE_STORE\r\nStore resolution = 128 * 96\r\n"
TALL = ZEISS.replace(STORED, "AP_HEIGHT\r\nHeight = 4.8 um\r\n")

# Of another image size
sized(OTHER, "Zeiss, edges of the field alone", 50, plain(**tag(34118, TALL)))
sized(
    OTHER, "Zeiss, edges of the field alone, cut", None, plain(CUT, **tag(34118, TALL)), "warned", "was cut"
)
sized(
    OTHER,
    "Zeiss, a databar below",
    50,
    plain(np.vstack([PIXELS, np.zeros((10, 128), np.uint8)]), **tag(34118, ZEISS)),
)
TWICE = np.kron(PIXELS, np.ones((2, 2), np.uint8))
sized(OTHER, "Zeiss, enlarged", 25, plain(TWICE, **tag(34118, ZEISS)))
sized(OTHER, "JEOL, enlarged", 25, beside("a.txt", JEOL, TWICE))
sized(
    OTHER,
    "Fibics, a turned scan",
    50,
    plain(
        **tag(
            51023,
            FIBICS.replace(
                "<Ux>0.05</Ux><Uy>0</Uy><Vx>0</Vx><Vy>0.05</Vy>",
                "<Ux>0.03</Ux><Uy>0.04</Uy><Vx>-0.04</Vx><Vy>0.03</Vy>",
            ),
        )
    ),
)


def velox(path, **more):
    """A Velox file with more metadata than `write_velox` gives it."""
    import h5py

    write_velox(path)
    with h5py.File(path, "a") as file:
        group = next(iter(file["Data/Image"].values()))
        metadata = json.loads(bytes(np.asarray(group["Metadata"])[:, 0]).split(b"\0")[0])
        metadata["BinaryResult"] |= more.pop("BinaryResult", {})
        text = np.frombuffer(json.dumps(metadata | more).encode().ljust(4000, b"\0"), np.uint8)
        del group["Metadata"]
        group["Metadata"] = text[:, None]
    return path


def edge_of(path):
    return read_micrograph(path).pixel_size_nm


@member(OTHER, "Velox, at half size")
def _(folder):
    size = {"ImageSize": {"width": "112", "height": "80"}}
    return judge(lambda: edge_of(velox(folder / "a.emd", BinaryResult=size)), pytest.approx(100))


@member(OTHER, "Velox, cut", "warned")
def _(folder):
    size = {"ImageSize": {"width": "112", "height": "40"}}
    return judge(lambda: edge_of(velox(folder / "a.emd", BinaryResult=size)), None, "was cut")


def axis(name, change, size, expected="right", said=""):
    @member(OTHER, f"EMD of Berkeley, {name}", expected)
    def make(folder):
        import h5py

        write_berkeley(folder / "a.emd", GREY, 50.0)
        with h5py.File(folder / "a.emd", "a") as file:
            change(file["experiment/image"])
        return judge(lambda: edge_of(folder / "a.emd"), None if size is None else pytest.approx(size), said)


def replaced(places, units="[n_m]"):
    def change(group):
        attributes = dict(group["dim2"].attrs)
        del group["dim2"]
        group["dim2"] = places
        for name, value in (attributes | {"units": units}).items():
            group["dim2"].attrs[name] = value

    return change


axis(
    "fewer places than pixels",
    replaced(np.arange(10) * 50.0),
    None,
    "warned",
    "a place for each of its 56 pixels",
)
axis("places not evenly apart", replaced(np.arange(56.0) ** 2), None, "warned", "evenly apart")
axis("two places for all", replaced(np.array([0.0, 50.0])), 50)
axis("in angstrom", replaced(np.arange(56) * 500.0, "\u00c5"), 50)

# Fields that are overlooked
for text in ("6.400,0 nm", "6,400.0 nm", "64000 \u00c5"):
    sized(
        FIELDS,
        f"Zeiss, Width = {text}",
        50,
        plain(**tag(34118, ZEISS.replace("6.40 um", text))),
        source="AP_WIDTH",
    )
for unit, per in (("cm", 118.11), ("centimeter", 118.11), ("inch", 300)):
    sized(
        FIELDS,
        f"ImageJ, dots per {unit} are no scale",
        None,
        plain(imagej=True, resolution=(per, per), metadata={"unit": unit}),
    )
sized(
    FIELDS,
    "JEOL, bar and field contradict",
    None,
    beside("a.txt", JEOL + "$CM_FIELD_OF_VIEW 0.0128mm 0.0096mm\n"),
    "warned",
    "must state one pixel size",
)
sized(
    FIELDS,
    "JEOL, bar and field agree",
    50,
    beside("a.txt", JEOL + "$CM_FIELD_OF_VIEW 6.4um 4.8um\n"),
    source="SM_MICRON_BAR",
)
NEWER = "$CM_FORMAT JEOL-SEM\n$CM_IMAGE_SIZE 128 96\n$CM_PIXEL_SIZE 50.0nm\n$CM_STAGE_POSITION X=37.1761, Y=44.9344, R=354.9968, Z=16.90, T=45.50\n"
sized(FIELDS, "JEOL, CM_PIXEL_SIZE of newer programs", 50, beside("a.txt", NEWER), source="CM_PIXEL_SIZE")
sized(FIELDS, "JEOL, CM_PIXEL_SIZE, at half size", 100, beside("a.txt", NEWER, PIXELS[::2, ::2]))
sized(
    FIELDS,
    "Zeiss before ImageJ",
    50,
    plain(imagej=True, resolution=(1, 1), metadata={"unit": "um"}, **tag(34118, ZEISS)),
    source="Zeiss",
)
sized(
    FIELDS,
    "Thermo, tag 34682 before 34680",
    50,
    plain(
        extratags=[
            *tag(34680, FEI.format(**WHOLE | {"pixel": 6e-8}))["extratags"],
            *tag(34682, FEI.format(**WHOLE))["extratags"],
        ]
    ),
    source="34682",
)

# Tilt and stage
acquired("JEOL, newer", beside("a.txt", NEWER), tilt_deg=45.5, stage_z_nm=16900000.0)
acquired(
    "JEOL, older",
    beside("a.txt", JEOL + "$CM_STAGE_POS 32.0647 -37.3427 10.1810 0 0 0\n"),
    stage_z_nm=10181000.0,
)
acquired(
    "Hitachi",
    beside("a.txt", HITACHI + "StagePositionZ=8000000\nStagePositionT=5.2\n"),
    tilt_deg=5.2,
    stage_z_nm=8000000.0,
)
acquired("Hitachi, not tilted", beside("a.txt", HITACHI + "StagePositionT=0\n"), tilt_deg=0.0)


@member("tilt and stage", "Hitachi, a tilt without a unit as it stands")
def _(folder):
    beside("a.txt", HITACHI + "StagePositionT=52000\n")(folder / "a.tif")
    known = read_micrograph(folder / "a.tif").acquisition
    return judge(lambda: ("tilt_deg" in known, known["tilt_stated"]), (False, "StagePositionT=52000"))


@member("tilt and stage", "Velox")
def _(folder):
    stage = {"AlphaTilt": "0.907571211", "Position": {"z": "0.001"}}  # 52 degrees
    known = read_micrograph(velox(folder / "a.emd", Stage=stage, Scan={"DwellTime": "1e-6"})).acquisition
    return judge(lambda: [known[n] for n in ("tilt_deg", "stage_z_nm", "dwell_us")], [52.0, 1e6, 1.0])


@member("tilt and stage", "distance of slices in a CZI")
def _(folder):
    pytest.importorskip("czifile")
    stack = read_micrograph(write_czi(folder / "a.czi", np.stack([GREY] * 3)))
    return judge(lambda: round(stack[0].acquisition["slice_thickness_nm"], 6), 20.0)


# Texts beside images


def sidecar(name, image, text_name, text, encoding="utf-8"):
    @member(TEXTS, f"sidecar, {name}")
    def make(folder):
        tifffile.imwrite(folder / image, PIXELS)
        (folder / text_name).write_bytes(text.encode(encoding))
        return judge(lambda: edge_of(folder / image), pytest.approx(50))


MICRO = JEOL.replace("1um", "1\u00b5m")
for encoding in ("utf-8-sig", "utf-16", "utf-16-le", "cp1252"):
    sidecar(f"JEOL in {encoding}", "a.tif", "a.txt", MICRO, encoding)
sidecar("JEOL in Shift JIS", "a.tif", "a.txt", JEOL.replace("1um", "1\u03bcm"), "cp932")
sidecar("JEOL with decimal commas", "a.tif", "a.txt", JEOL.replace("1um", "1,0um"))
sidecar(
    "TESCAN in UTF-16 with decimal commas", "a.tif", "a.hdr", TESCAN.replace("5e-8", "0,00000005"), "utf-16"
)
sidecar("Hitachi with decimal commas", "a.tif", "a.txt", HITACHI.replace("=50", "=50,0"))
COMPOSED = "Pr\u00fcf"
sidecar("accents apart", f"{COMPOSED}.tif", unicodedata.normalize("NFD", COMPOSED) + ".txt", JEOL)
sidecar("accents together", unicodedata.normalize("NFD", COMPOSED) + ".tif", f"{COMPOSED}.txt", JEOL)
sidecar("in capitals", "a.TIF", "A.TXT", JEOL)


def settings(name, text, encoding="utf-8"):
    @member(TEXTS, f"settings of lots, {name}")
    def make(folder):
        from cathode_tf.lots.settings import read_settings

        (folder / "s.csv").write_bytes(text.encode(encoding))
        return judge(lambda: [row.settings[0].value for row in read_settings(folder / "s.csv")], [0.5, 1.25])


LOTS = "lot;line load [N/mm]\nA;0,5\nB;1,25\n"
for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"):
    settings(encoding, LOTS, encoding)
settings("Excel's sep=", "sep=;\n" + LOTS)
settings("line ends of old Macs", LOTS.replace("\n", "\r"))

# Containers
CZI = "CZI and EMD"


def of_zeiss(name, expected, said, meant, **options):
    """Written by the library of the vendor, if it is there."""

    @member(CZI, name, expected)
    def make(folder):
        czi = pytest.importorskip("pylibCZIrw.czi")
        tiles, packing = options.get("tiles", [(GREY, (0, 0))]), options.get("packing", "uncompressed:")
        with czi.create_czi(str(folder / "a.czi"), compression_options=packing) as file:
            for pixels, place in tiles:
                file.write(data=pixels if pixels.ndim == 3 else pixels[..., None], location=place)
            file.write_metadata("a", scale_x=5e-8, scale_y=5e-8)

        def read():
            micrograph = read_micrograph(folder / "a.czi")
            assert micrograph.pixel_size_nm == pytest.approx(50)
            return micrograph.pixels

        return judge(read, meant, said)


DEEP = GREY.astype(np.uint16) * 200
of_zeiss("Zeiss' writer, 8 bit", "right", "", GREY)
of_zeiss("Zeiss' writer, 16 bit", "right", "", DEEP, tiles=[(DEEP, (0, 0))])
of_zeiss(
    "Zeiss' writer, Zstandard", "right", "", DEEP, tiles=[(DEEP, (0, 0))], packing="zstd0:ExplicitLevel=3"
)
of_zeiss(
    "Zeiss' writer, Zstandard, bytes apart",
    "right",
    "",
    DEEP,
    tiles=[(DEEP, (0, 0))],
    packing="zstd1:ExplicitLevel=3;PreProcess=HiLoByteUnpack",
)
of_zeiss(
    "Zeiss' writer, grey as blue, green and red",
    "right",
    "",
    GREY,
    tiles=[(np.dstack([GREY] * 3), (0, 0))],
    packing="zstd0:ExplicitLevel=3",
)
of_zeiss(
    "Zeiss' writer, two tiles",
    "right",
    "",
    np.hstack([GREY, 255 - GREY]),
    tiles=[(GREY, (0, 0)), (255 - GREY, (56, 0))],
)
GAP = np.hstack([GREY, np.zeros((40, 4), np.uint8), 255 - GREY])
of_zeiss(
    "Zeiss' writer, a gap between tiles",
    "warned",
    "160 pixels belong to none of its tiles",
    GAP,
    tiles=[(GREY, (0, 0)), (255 - GREY, (60, 0))],
)


@member(CZI, "channels of a CZI", "refused")
def _(folder):
    pytest.importorskip("czifile")
    planes = np.stack([GREY, 255 - GREY])
    return judge(lambda: read_micrograph(write_czi(folder / "a.czi", planes, axis="C")), None, "2 along C")


@member(CZI, "an EMD with an axis of channels", "refused")
def _(folder):
    path = write_berkeley(folder / "a.emd", np.stack([GREY, 255 - GREY]), 50.0, "cyx")
    return judge(lambda: read_micrograph(path), None, "an axis 'c', which is no place")


@member(CODECS, "HDF5's scale-offset of float", "warned")
def _(folder):
    import h5py

    with h5py.File(folder / "a.emd", "w") as file:
        group = file.create_group("a")
        group.attrs["emd_group_type"] = 1
        group.create_dataset("data", data=scene().astype(np.float32), scaleoffset=1, chunks=(64, 64))
    return judge(lambda: read_micrograph(folder / "a.emd").pixels.shape, (64, 64), "loss .HDF5 scale-offset")


@member(TURNED, "a BMP whose rows run downwards")
def _(folder):
    import struct

    head = struct.pack("<IiiHHIIiiII", 40, 64, -64, 1, 8, 0, 4096, 2835, 2835, 256, 256)
    table = b"".join(bytes((level, level, level, 0)) for level in range(256))
    size = 14 + len(head) + len(table)
    content = b"BM" + struct.pack("<IHHI", size + 4096, 0, 0, size) + head + table + scene().tobytes()
    (folder / "a.bmp").write_bytes(content)
    return judge(lambda: read_micrograph(folder / "a.bmp").pixels, scene())


def turned_tiff(name, **options):
    @member(TURNED, name, "warned")
    def make(folder):
        picture = options.get("picture", scene(64, 80))
        lying = np.ascontiguousarray(np.rot90(picture, 1, axes=(-2, -1)))
        tags = [(274, options.get("type", 3), 1, 6, False)]
        tifffile.imwrite(folder / "a.tif", lying, photometric="minisblack", extratags=tags)
        return judge(lambda: pixels_of(folder / "a.tif"), picture, "orientation 6")


turned_tiff("a tag 274 of four bytes", type=4)
turned_tiff("16 bit", picture=scene(64, 80).astype(np.uint16) * 200)
turned_tiff("a stack", picture=np.stack([scene(64, 80)] * 3))
