"""Members of the kinds that concern the pixel size: of another image size, in fields that are overlooked, misnamed."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from cathode_tf.imaging import read_micrograph

from .members import judge, member

PIXELS = np.random.default_rng(0).integers(0, 200, (96, 128), np.uint8)
HALF, CUT = PIXELS[::2, ::2], PIXELS[:, :50]


def tag(code, text, encoding="cp1252"):
    content = text if isinstance(text, bytes) else text.encode(encoding)
    return {"extratags": [(code, 1, len(content), content, True)]}


def sized(kind, name, size, write, expected="right", said="", source=""):
    """`write(path, pixels)` writes the file; `size` is its pixel size in nm, None = unknown."""

    @member(kind, name, expected)
    def make(folder):
        write(folder / "a.tif")

        def read():
            micrograph = read_micrograph(folder / "a.tif")
            assert source in micrograph.pixel_size_source, micrograph.pixel_size_source
            found = micrograph.pixel_size_nm
            assert found is None or found == pytest.approx(size, rel=1e-5), found
            return None if found is None else size

        return judge(read, size, said)


def plain(pixels=PIXELS, **options):
    return lambda path: tifffile.imwrite(path, pixels, **options)


def beside(name, text, pixels=PIXELS):
    def write(path):
        tifffile.imwrite(path, pixels)
        (path.parent / name).write_text(text, encoding="utf-8")

    return write


# One size of 50 nm, stated for 128 x 96 pixels by every vendor
# ------------------------------------------------------------

OTHER = "pixel size of another image size"
ZEISS = (
    "0\r\n0\r\n0\r\n1e-8\r\nAP_WIDTH\r\nWidth = 6.40 um\r\nDP_IMAGE_STORE\r\nStore resolution = 128 * 96\r\n"
)
ZEISS_PIXEL = "0\r\n0\r\nAP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = 50.0 nm\r\nDP_IMAGE_STORE\r\nStore resolution = 128 * 96\r\n"
FEI = "[Beam]\r\nBeam=EBeam\r\nScan=EScan\r\n[EBeam]\r\nHFW={hfw}\r\nVFW={vfw}\r\n[EScan]\r\nPixelWidth={pixel}\r\nPixelHeight={pixel}\r\n[Image]\r\nResolutionX={x}\r\nResolutionY={y}\r\n"
WHOLE = {"hfw": 6.4e-6, "vfw": 4.8e-6, "pixel": 5e-8, "x": 128, "y": 96}
FEI_XML = "<Metadata><BinaryResult><PixelSize><X unit='m'>5e-8</X><Y unit='m'>5e-8</Y></PixelSize><ImageSize><X>128</X><Y>96</Y></ImageSize></BinaryResult></Metadata>"
PHENOM = "<FeiImage><pixelWidth unit='um'>0.05</pixelWidth><pixelHeight unit='um'>0.05</pixelHeight><cropHint><left>0</left><top>0</top><right>128</right><bottom>96</bottom></cropHint></FeiImage>"
FIBICS = "<Fibics><Image><Width>128</Width><Height>96</Height></Image><Scan><Ux>0.05</Ux><Uy>0</Uy><Vx>0</Vx><Vy>0.05</Vy></Scan></Fibics>"
TESCAN = "[MAIN]\nPixelSizeX=5e-8\nPixelSizeY=5e-8\nImageWidth=128\nImageHeight=96\n"
JEOL = "$CM_FORMAT JEOL-SEM\n$CM_FULL_SIZE 128 96\n$$SM_MICRON_BAR 20\n$$SM_MICRON_MARKER 1um\n"
VIEW = "$CM_FORMAT JEOL-SEM\n$CM_FULL_SIZE 128 96\n$CM_FIELD_OF_VIEW 0.0064mm 0.0048mm\n"
HITACHI = "[SemImageFile]\nDataSize=128x96\nPixelSize=50\n"
OME = {
    "ome": True,
    "metadata": {
        "axes": "YX",
        "PhysicalSizeX": 50,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 50,
        "PhysicalSizeYUnit": "nm",
    },
}
FIBSEM = json.dumps(
    {
        "image": {"resolution": [128, 96], "hfw": 6.4e-6, "beam_type": "ELECTRON"},
        "pixel_size": {"x": 5e-8, "y": 5e-8},
        "microscope_state": {"stage_position": {"z": 0.004, "t": 0.5}, "electron_beam": {"voltage": 2000.0}},
    }
)


def ome_of_whole(pixels):
    """An OME-TIFF whose description is that of the whole image."""

    def write(path):
        tifffile.imwrite(path, PIXELS, **OME)
        with tifffile.TiffFile(path) as tiff:
            description = tiff.ome_metadata
        tifffile.imwrite(path, pixels, description=description.encode(), metadata=None)

    return write


VENDORS = {
    "Zeiss, AP_WIDTH": lambda p: plain(p, **tag(34118, ZEISS)),
    "Zeiss, AP_IMAGE_PIXEL_SIZE": lambda p: plain(p, **tag(34118, ZEISS_PIXEL)),
    "Thermo, PixelWidth": lambda p: plain(p, **tag(34682, FEI.format(**WHOLE))),
    "Thermo, HFW": lambda p: plain(p, **tag(34682, FEI.format(**WHOLE | {"pixel": ""}))),
    "Thermo, HFW and VFW without a resolution": lambda p: plain(
        p, **tag(34682, FEI.format(**WHOLE | {"pixel": "", "x": "", "y": ""}))
    ),
    "Thermo, PixelWidth and HFW without a resolution": lambda p: plain(
        p, **tag(34680, FEI.format(**WHOLE | {"x": "", "y": ""}))
    ),
    "Thermo, XML": lambda p: plain(p, **tag(34683, FEI_XML)),
    "Phenom": lambda p: plain(p, **tag(34683, PHENOM)),
    "Fibics": lambda p: plain(p, **tag(51023, FIBICS)),
    "TESCAN": lambda p: beside("a.hdr", TESCAN, p),
    "JEOL, bar": lambda p: beside("a.txt", JEOL, p),
    "JEOL, field of view": lambda p: beside("a.txt", VIEW, p),
    "Hitachi": lambda p: beside("a.txt", HITACHI, p),
    "OpenFIBSEM": lambda p: plain(p, description=FIBSEM, metadata=None),
    "OME": ome_of_whole,
}
for vendor, write in VENDORS.items():
    sized(OTHER, f"{vendor}, as it was", 50, write(PIXELS))
    sized(OTHER, f"{vendor}, at half size", 100, write(HALF))
    sized(OTHER, f"{vendor}, cut", None, write(CUT), "warned", "was cut")


# Fields that are overlooked
# -------------------------------------------------------------------------------------------------

FIELDS = "size fields"
sized(
    FIELDS,
    "JEOL, CM_FIELD_OF_VIEW without a size",
    50,
    beside("a.txt", VIEW.replace("$CM_FULL_SIZE 128 96\n", "")),
    source="CM_FIELD_OF_VIEW",
)
sized(
    FIELDS,
    "Thermo, source of HFW",
    50,
    plain(**tag(34682, FEI.format(**WHOLE | {"pixel": ""}))),
    source="tag 34682, HFW",
)
sized(
    FIELDS,
    "Thermo, source of tag 34680",
    50,
    plain(**tag(34680, FEI.format(**WHOLE))),
    source="tag 34680, PixelWidth",
)
sized(
    FIELDS,
    "Thermo, a reduced area",
    50,
    plain(**tag(34682, FEI.format(**WHOLE | {"hfw": 12.8e-6}))),
    source="PixelWidth",
)
sized(FIELDS, "Phenom, source", 50, VENDORS["Phenom"](PIXELS), source="pixelWidth")
sized(
    FIELDS,
    "OpenFIBSEM, source",
    50,
    VENDORS["OpenFIBSEM"](PIXELS),
    source="OpenFIBSEM ImageDescription, pixel_size.x",
)
for text in ("6,40 µm", "6.40 µm", "6400,0 nm", "0,0064 mm"):
    sized(
        FIELDS,
        f"Zeiss, Width = {text}",
        50,
        plain(**tag(34118, ZEISS.replace("6.40 um", text))),
        source="AP_WIDTH",
    )
sized(FIELDS, "Zeiss, tag 34119 in UTF-16 alone", 50, plain(**tag(34119, ZEISS, "utf-16-le")), source="34119")
DOUBLED = (
    ZEISS + "AP_PIXEL_SIZE\r\nPixel Size = 100.0 nm\r\nAP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = 50.0 nm\r\n"
)
sized(FIELDS, "Zeiss, AP_PIXEL_SIZE of the screen doubled", 50, plain(**tag(34118, DOUBLED)))
for unit in ("microns", "micrometers", "Micrometer", "µm", "\\u00B5m", "um", "µ"):
    description = f"ImageJ=1.53t\nunit={unit}\n".encode("cp1252")
    sized(
        FIELDS, f"ImageJ, unit {unit}", 50, plain(description=description, metadata=None, resolution=(20, 20))
    )
for unit, said in (
    ("mircons", "'mircons' is read as micron"),
    ("micrometrs", "read as micromet"),
    ("nanometrs", "read as nanomet"),
):
    per = 0.02 if unit[0] == "n" else 20
    sized(
        FIELDS,
        f"ImageJ, misspelt {unit}",
        50,
        plain(imagej=True, resolution=(per, per), metadata={"unit": unit}),
        "warned",
        said,
    )
for unit in ("pixels", "inches", "seconds", "miles"):
    sized(
        FIELDS,
        f"ImageJ, {unit} are no scale",
        None,
        plain(imagej=True, resolution=(20, 20), metadata={"unit": unit}),
    )
Y_IN_NM = {"unit": "um", "yunit": "nm"}
sized(FIELDS, "ImageJ, yunit in nm", 50, plain(imagej=True, resolution=(20, 0.02), metadata=Y_IN_NM))
sized(
    FIELDS,
    "ImageJ, yunit in nm, rows of 0.05 nm",
    None,
    plain(imagej=True, resolution=(20, 20), metadata=Y_IN_NM),
    "warned",
    "must be square",
)
sized(
    FIELDS,
    "ImageJ, yunit is no length",
    None,
    plain(imagej=True, resolution=(20, 20), metadata={"unit": "um", "yunit": "sec"}),
    "warned",
    "must be square",
)


def stack(kind, **options):
    @member(FIELDS, f"voxel size of {kind}")
    def make(folder):
        tifffile.imwrite(folder / "a.tif", np.stack([PIXELS] * 3), photometric="minisblack", **options)

        def read():
            first = read_micrograph(folder / "a.tif")[0]
            return [round(first.acquisition["slice_thickness_nm"], 3), round(first.pixel_size_nm, 3)]

        return judge(read, [20.0, 50.0])


stack("ImageJ", imagej=True, resolution=(20, 20), metadata={"axes": "ZYX", "unit": "um", "spacing": 0.02})
stack(
    "ImageJ, zunit",
    imagej=True,
    resolution=(20, 20),
    metadata={"axes": "ZYX", "unit": "um", "zunit": "nm", "spacing": 20},
)
stack(
    "OME",
    ome=True,
    metadata={"axes": "ZYX", "PhysicalSizeX": 0.05, "PhysicalSizeY": 0.05, "PhysicalSizeZ": 0.02},
)


# Tilt and stage
# -------------------------------------------------------------------------------------------------------------

TILT = "tilt and stage"


def acquired(name, write, **meant):
    @member(TILT, name)
    def make(folder):
        write(folder / "a.tif")
        found = read_micrograph(folder / "a.tif").acquisition
        names = (
            "tilt_deg",
            "stage_z_nm",
            "tilt_correction",
            "tilt_correction_deg",
            "slice_thickness_nm",
            "slice_z_nm",
        )
        return judge(
            lambda: [f"{n}={found[n]}" for n in names if n in found],
            [f"{n}={meant[n]}" for n in names if n in meant],
        )


STAGE = "AP_STAGE_AT_T\r\nStage at T =  54.0 °\r\nAP_STAGE_AT_Z\r\nStage at Z = 41.835 mm\r\nDP_TILT_CORRECTION\r\nTilt Corrn. = {}\r\nAP_TILT_ANGLE\r\nTilt Angle =  36.0 °\r\n"
acquired(
    "Zeiss, corrected",
    plain(**tag(34118, ZEISS + STAGE.format("On"))),
    tilt_deg=54.0,
    stage_z_nm=41835000.0,
    tilt_correction="on",
    tilt_correction_deg=36.0,
)
acquired(
    "Zeiss, not corrected",
    plain(**tag(34118, ZEISS + STAGE.format("Off"))),
    tilt_deg=54.0,
    stage_z_nm=41835000.0,
    tilt_correction="off",
)
# 0.907571 rad are 52 degrees.
MORE = FEI.format(**WHOLE).replace(
    "[EScan]",
    "TiltCorrectionIsOn={}\r\nTiltCorrectionAngle=0.663225116\r\n[Stage]\r\nStageT=0.907571211\r\nStageZ=0.004\r\n[EScan]",
)
acquired(
    "Thermo, corrected",
    plain(**tag(34682, MORE.format("yes"))),
    tilt_deg=52.0,
    stage_z_nm=4000000.0,
    tilt_correction="on",
    tilt_correction_deg=38.0,
)
acquired(
    "Thermo, not corrected",
    plain(**tag(34682, MORE.format("no"))),
    tilt_deg=52.0,
    stage_z_nm=4000000.0,
    tilt_correction="off",
)
acquired(
    "Fibics",
    plain(
        **tag(
            51023,
            FIBICS.replace(
                "</Scan>",
                '</Scan><Stage><Z units="um">4</Z><Tilt units="deg">54</Tilt></Stage><ScanInfo><item name="Tilt Corrn. Angle">= -36.0°</item></ScanInfo><ATLAS3D><Slice><ZPos>1.5</ZPos></Slice></ATLAS3D>',
            ),
        )
    ),
    tilt_deg=54.0,
    stage_z_nm=4000.0,
    tilt_correction_deg=-36.0,
    slice_z_nm=1500.0,
)
acquired("OpenFIBSEM", VENDORS["OpenFIBSEM"](PIXELS), tilt_deg=28.6478898, stage_z_nm=4000000.0)
acquired(
    "TESCAN",
    beside("a.hdr", TESCAN + "PixelSizeZ=2e-8\n[SEM]\nStageTilt=55.0\nStageZ=0.006\n"),
    tilt_deg=55.0,
    stage_z_nm=6000000.0,
    slice_thickness_nm=20.0,
)


# Containers and formats that are refused
# --------------------------------------------------------------------------------------

FORMATS = "other formats"


def stranger(name, file, content, said):
    @member(FORMATS, name, "refused")
    def make(folder):
        (folder / file).write_bytes(content)
        return judge(lambda: read_micrograph(folder / file), None, said)


stranger("DM3", "a.dm3", b"\0\0\0\x03\0\0\x10\0\0\0\0\1" + bytes(50), "Gatan's DM3; save it as TIFF")
stranger("DM4", "a.dm4", b"\0\0\0\x04\0\0\0\0\0\0\x10\0" + bytes(50), "Gatan's DM4; save it as TIFF")
stranger("Bruker BCF", "a.bcf", b"AAMVHFSS" + bytes(500), "Bruker's BCF; export")
stranger(
    "zip under another name", "a.tif", b"PK\3\4" + bytes(50), "a zip archive under another name; unpack it"
)
stranger("Phenom ELID", "a.elid", b"PK\3\4" + bytes(50), "Phenom's .*export")
stranger("JEOL ASW", "a.asw", b"\1\0\0\0abcd" + bytes(50), "JEOL's Analysis Station project; export")
stranger("JEOL img", "a.img", b"\1\0\0\0abcd" + bytes(50), "JEOL's Analysis Station image; export")
stranger("GIF", "a.gif", b"GIF89a" + bytes(50), "a GIF; save it as PNG")


@member(FORMATS, "grey stored as RGB")
def _(folder):
    Image.fromarray(np.stack([PIXELS] * 3, axis=2)).save(folder / "a.png")
    return judge(lambda: read_micrograph(folder / "a.png").pixels, PIXELS)
