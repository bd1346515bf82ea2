"""Pixel size and acquisition of each vendor, from files made here; the real ones are in tests/real."""

import warnings

import numpy as np
import pytest
import tifffile
from PIL import Image

from cathode_tf.errors import InputWarning
from cathode_tf.imaging import read_micrograph

NOISE = np.random.default_rng(0).integers(0, 256, (96, 128), np.uint8)


def tiff(folder, pixels=NOISE, name="a.tif", **options):
    tifffile.imwrite(folder / name, pixels, **options)
    return folder / name


def tag(code, text):
    content = text.encode("cp1252") if isinstance(text, str) else text
    return {"extratags": [(code, 1, len(content), content, True)]}


def zeiss(**fields):
    named = {
        "AP_WIDTH": "Width = 12.80 µm",
        "AP_PIXEL_SIZE": "Pixel Size = 200.0 nm",
        "AP_ACTUALKV": "EHT = 5.00 kV",
        "AP_WD": "WD = 4.9 mm",
        "DP_DETECTOR_CHANNEL": "Signal A = InLens",
        "AP_DATE": "Date :9 Dec 2019",
        "AP_TIME": "Time :11:18:36",
        "DP_DWELL_TIME": "Dwell Time = 100 ns",
    } | fields
    header = ["0", "0", "0", "1.25e-8"]
    return "\r\n".join([*header, *(f"{k}\r\n{v}" for k, v in named.items() if v)]) + "\r\n"


def test_zeiss_width_beats_the_pixel_size_of_the_screen(tmp_path):
    micrograph = read_micrograph(tiff(tmp_path, **tag(34118, zeiss())))
    assert micrograph.pixel_size_nm == pytest.approx(12800 / 128)
    assert "34118" in micrograph.pixel_size_source
    assert micrograph.acquisition == {
        "vendor": "Zeiss",
        "kV": 5.0,
        "detector": "InLens",
        "working_distance_mm": 4.9,
        "date": "9 Dec 2019 11:18:36",
        "dwell_us": 0.1,
    }


@pytest.mark.parametrize(
    ("width", "encoding"),
    [
        ("12.80 µm", "cp1252"), ("12.80 µm", "utf-8"), ("12.80 μm", "utf-8"), ("12.80 um", "ascii"),
        ("0.0128 mm", "ascii"), ("12800 nm", "ascii"), ("1.28e-05 m", "ascii"), ("12800.0 nm", "utf-8"),
    ],
)  # fmt: skip
def test_zeiss_width_in_any_unit_and_encoding(tmp_path, width, encoding):
    content = zeiss(AP_WIDTH=f"Width = {width}", DP_DETECTOR_CHANNEL="Signal A = SE2").encode(
        encoding, "replace"
    )
    micrograph = read_micrograph(tiff(tmp_path, **tag(34118, content)))
    assert micrograph.pixel_size_nm == pytest.approx(100)
    assert micrograph.acquisition["detector"] == "SE2"


def test_zeiss_old_pixel_size_of_the_screen_is_no_scale(tmp_path):
    """Stored at twice the size of the screen: 50 nm are right, the 100 nm of the screen are not."""
    pixels = np.kron(NOISE, np.ones((2, 2), np.uint8))
    fields = zeiss(AP_PIXEL_SIZE="Pixel Size = 100.0 nm", DP_IMAGE_STORE="Store resolution = 256 * 192")
    assert read_micrograph(tiff(tmp_path, pixels, **tag(34118, fields))).pixel_size_nm == pytest.approx(50)


def test_zeiss_with_little_in_its_tag(tmp_path):
    only = "AP_WIDTH\r\nWidth = 12.80 µm\r\n"
    micrograph = read_micrograph(tiff(tmp_path, **tag(34118, only)))
    assert micrograph.pixel_size_nm == pytest.approx(100)
    assert micrograph.acquisition == {"vendor": "Zeiss"}
    magnified = "AP_MAG\r\nMag = 10.00 K X\r\nAP_ACTUALKV\r\nEHT = 800.00 V\r\n"
    micrograph = read_micrograph(tiff(tmp_path, **tag(34118, magnified)))
    assert micrograph.pixel_size_nm is None and micrograph.acquisition["kV"] == 0.8


def test_zeiss_without_a_width(tmp_path):
    fields = zeiss(AP_WIDTH=None, AP_IMAGE_PIXEL_SIZE="Image Pixel Size = 99.5 nm")
    assert read_micrograph(tiff(tmp_path, **tag(34118, fields))).pixel_size_nm == pytest.approx(99.5)
    # The nameless header gives 12.5 nm for a screen of 1024 pixels: a field of 12.8 um, here in 128 pixels.
    fields = zeiss(AP_WIDTH=None)
    assert read_micrograph(tiff(tmp_path, **tag(34118, fields))).pixel_size_nm == pytest.approx(100)


def test_zeiss_resized_is_rescaled_and_cut_is_unknown(tmp_path):
    stored = zeiss(DP_IMAGE_STORE="Store resolution = 256 * 192")
    assert read_micrograph(tiff(tmp_path, **tag(34118, stored))).pixel_size_nm == pytest.approx(100)
    stored = zeiss(DP_IMAGE_STORE="Store resolution = 256 * 256")
    with pytest.warns(InputWarning, match="it was cut"):
        assert read_micrograph(tiff(tmp_path, **tag(34118, stored))).pixel_size_nm is None


def test_zeiss_without_its_store_resolution_is_known_to_be_cut_by_the_stored_pixel_size(tmp_path):
    stored = {"AP_IMAGE_PIXEL_SIZE": "Image Pixel Size = 50.0 nm"}  # 256 pixels across the field of 12.8 um
    half = zeiss(**stored, AP_HEIGHT="Height = 9.6 µm")
    assert read_micrograph(tiff(tmp_path, **tag(34118, half))).pixel_size_nm == pytest.approx(100)
    cut = zeiss(**stored, AP_HEIGHT="Height = 12.8 µm")
    with pytest.warns(InputWarning, match="it was cut"):
        assert read_micrograph(tiff(tmp_path, **tag(34118, cut))).pixel_size_nm is None


FEI = """[User]
Date=08/18/2020
Time=01:40:03 PM
[System]
SystemType=Helios G4
[Beam]
HV=15000
Beam=EBeam
Scan=EScan
[EBeam]
WD=0.004
BeamCurrent=1.6e-9
HFW=6.4e-6
[EScan]
Dwell=3e-7
PixelWidth={width}
PixelHeight={height}
HorFieldsize=6.4e-6
[Image]
ResolutionX={columns}
ResolutionY={rows}
[Detectors]
Name=ETD
[PrivateFei]
DatabarHeight={bar}
"""


def fei(width=5e-8, height=5e-8, columns=128, rows=96, bar=""):
    return FEI.format(width=width, height=height, columns=columns, rows=rows, bar=bar).replace("\n", "\r\n")


@pytest.mark.parametrize("code", [34680, 34682])
def test_thermo(tmp_path, code):
    micrograph = read_micrograph(tiff(tmp_path, **tag(code, fei())))
    assert micrograph.pixel_size_nm == pytest.approx(50)
    assert micrograph.acquisition == {
        "vendor": "Thermo Fisher",
        "instrument": "Helios G4",
        "kV": 15.0,
        "detector": "ETD",
        "working_distance_mm": 4.0,
        "dwell_us": 0.3,
        "beam_current_nA": 1.6,
        "date": "08/18/2020 01:40:03 PM",
    }


def test_thermo_with_nothing_but_the_general_section(tmp_path):
    text = "[Beam]\r\nHV=20000\r\n[Scan]\r\nPixelWidth=2.5e-08\r\nPixelHeight=2.5e-08\r\nDwelltime=3e-06\r\n"
    micrograph = read_micrograph(tiff(tmp_path, **tag(34680, text)))
    assert micrograph.pixel_size_nm == pytest.approx(25)
    assert micrograph.acquisition["kV"] == 20.0 and micrograph.acquisition["dwell_us"] == 3.0


def test_thermo_ion_beam_takes_its_own_scan(tmp_path):
    text = fei().replace("Beam=EBeam", "Beam=IBeam").replace("Scan=EScan", "Scan=IScan")
    text += "[IScan]\r\nPixelWidth=8e-08\r\nPixelHeight=8e-08\r\n[IBeam]\r\nHV=30000\r\n"
    micrograph = read_micrograph(tiff(tmp_path, **tag(34682, text)))
    assert micrograph.pixel_size_nm == pytest.approx(80) and micrograph.acquisition["kV"] == 30.0


def test_thermo_databar_is_what_lies_below_the_scanned_rows(tmp_path):
    micrograph = read_micrograph(tiff(tmp_path, **tag(34682, fei(rows=88))))
    assert (micrograph.height, micrograph.acquisition["databar_rows"]) == (88, 8)
    assert micrograph.pixel_size_nm == pytest.approx(50)
    columns = {"columns": "", "rows": ""}
    assert read_micrograph(tiff(tmp_path, **tag(34682, fei(bar=10, **columns)))).height == 86


def test_thermo_without_its_resolution_or_width_of_pixels(tmp_path):
    """Without a scanned size the file's own width counts; without PixelWidth, the width of the field does."""
    columns = {"columns": "", "rows": ""}
    assert read_micrograph(tiff(tmp_path, **tag(34682, fei(**columns)))).pixel_size_nm == pytest.approx(50)
    text = fei(width="", height="")
    assert read_micrograph(tiff(tmp_path, **tag(34682, text))).pixel_size_nm == pytest.approx(50)
    bare = "[Beam]\r\nHV=5000\r\nHFW=\r\n[Image]\r\nMagnification=5000\r\nMagCanvasRealWidth=0.128\r\n"
    micrograph = read_micrograph(tiff(tmp_path, **tag(34682, bare)))
    assert micrograph.pixel_size_nm is None and micrograph.acquisition["kV"] == 5.0


def test_thermo_resized_after_the_scan(tmp_path):
    micrograph = read_micrograph(tiff(tmp_path, **tag(34682, fei(columns=256, rows=192))))
    assert micrograph.pixel_size_nm == pytest.approx(100)


def test_pixels_that_are_not_square_have_no_size(tmp_path):
    with pytest.warns(InputWarning, match="50 nm wide and 70 nm high"):
        assert read_micrograph(tiff(tmp_path, **tag(34682, fei(height=7e-8)))).pixel_size_nm is None


def test_phenom(tmp_path):
    xml = (
        '<?xml version="1.0"?><FeiImage version="1.0"><pixelWidth unit="nm">40</pixelWidth>'
        '<pixelHeight unit="nm">40</pixelHeight><databarHeight>16</databarHeight></FeiImage>'
    )
    micrograph = read_micrograph(tiff(tmp_path, **tag(34683, xml)))
    assert (micrograph.pixel_size_nm, micrograph.height) == (40, 80)


ATLAS = (
    '<?xml version="1.0" encoding="iso-8859-1"?><Fibics version="1.0">'
    "<Application><Date>2017-04-20</Date></Application>"
    "<Image><Width>{width}</Width><Height>96</Height><Machine>AURIGA</Machine>"
    "<Aperture>[1] 30 µm [HC] (5.0 kV)</Aperture><Detector>InLens</Detector></Image>"
    '<Scan><Dwell units="ns">1000</Dwell><Ux>{ux}</Ux><Uy>{uy}</Uy><Vx>{vx}</Vx><Vy>{vy}</Vy></Scan>'
    '<BeamInfo><item name="Ext V">=  4.28 kV</item></BeamInfo></Fibics>'
)


def test_fibics_atlas(tmp_path):
    xml = ATLAS.format(width=128, ux=0.03, uy=0.04, vx=-0.04, vy=0.03)  # rotated scan: hypot = 0.05 um
    micrograph = read_micrograph(tiff(tmp_path, **tag(51023, xml)))
    assert micrograph.pixel_size_nm == pytest.approx(50)
    assert micrograph.acquisition["kV"] == 5.0 and micrograph.acquisition["dwell_us"] == 1.0


def test_fibics_atlas_that_gives_only_the_width_of_its_field(tmp_path):
    field = '<Fibics><Scan><FOV_X units="um">6.4</FOV_X><FOV_Y units="um">4.8</FOV_Y></Scan></Fibics>'
    micrograph = read_micrograph(tiff(tmp_path, **tag(51023, field)))
    assert micrograph.pixel_size_nm == pytest.approx(50) and "FOV_X" in micrograph.pixel_size_source


def test_xml_with_entities_is_not_expanded(tmp_path):
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>' + ATLAS.format(
        width=128, ux=1, uy=0, vx=0, vy=1
    )
    assert read_micrograph(tiff(tmp_path, **tag(51023, bomb))).pixel_size_nm is None


TESCAN = (
    "[MAIN]\r\nDevice=SOLARIS\r\nPixelSizeX=5e-008\r\nPixelSizeY=5e-008\r\n"
    "ImageWidth=128\r\nImageHeight=96\r\nImageStripSize={strip}\r\n[SEM]\r\nHV=5000.0\r\nWD=0.005\r\n"
)


@pytest.mark.parametrize("name", ["a.hdr", "a-tif.hdr", "a.HDR"])
def test_tescan_sidecar(tmp_path, name):
    (tmp_path / name).write_text(TESCAN.format(strip=16))
    micrograph = read_micrograph(tiff(tmp_path))
    assert micrograph.pixel_size_nm == pytest.approx(50) and name in micrograph.pixel_size_source
    assert micrograph.height == 80
    assert micrograph.acquisition["kV"] == 5.0 and micrograph.acquisition["working_distance_mm"] == 5.0


def test_tescan_tag_with_its_binary_head(tmp_path):
    micrograph = read_micrograph(
        tiff(tmp_path, **tag(50431, b"\x01\x00\xff\x13" + TESCAN.format(strip=0).encode()))
    )
    assert micrograph.pixel_size_nm == pytest.approx(50) and micrograph.height == 96


JEOL = (
    "$CM_FORMAT JEOL-SEM\n$CM_ACCEL_VOLT 10.00\n$$SM_WD 10.6\n$CM_MAG 500\n$$SM_MICRON_BAR {bar}\n"
    "$$SM_MICRON_MARKER {marker}\n$CM_FULL_SIZE {full}\n$CM_DETECTOR_NAME SEI\n$CM_DATE 2020/09/18\n"
)


@pytest.mark.parametrize(
    ("bar", "marker", "full", "size"),
    [
        (64, "1um", "128 96", 1000 / 64),
        (64, "500nm", "128 96", 500 / 64),
        (64, "0.1mm", "128 96", 100_000 / 64),
        (128, "10um", "256 192", 10_000 / 128 * 2),  # saved at half the size of the scan
        (64, "1um", "0 0", None),  # the size that the bar belongs to is unknown
        ("", "", "128 96", None),
    ],
)
def test_jeol_sidecar(tmp_path, bar, marker, full, size):
    (tmp_path / "a.txt").write_text(JEOL.format(bar=bar, marker=marker, full=full))
    micrograph = read_micrograph(tiff(tmp_path))
    assert micrograph.pixel_size_nm == (None if size is None else pytest.approx(size))
    assert micrograph.acquisition["vendor"] == "JEOL" and micrograph.acquisition["kV"] == 10.0


def test_jeol_text_bar_below_the_scan(tmp_path):
    (tmp_path / "a.txt").write_text(JEOL.format(bar=64, marker="1um", full="128 88"))
    assert read_micrograph(tiff(tmp_path)).acquisition["databar_rows"] == 8


HITACHI = (
    "[SemImageFile]\r\nInstructName=SU8000\r\nDataSize={data}\r\nPixelSize=25.0\r\nSignalName=SE(M)\r\n"
    "AcceleratingVoltage=5000 Volt\r\nWorkingDistance=8500 um\r\nMagnification=5000\r\n"
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_hitachi_sidecar(tmp_path, encoding):
    (tmp_path / "a.txt").write_bytes(HITACHI.format(data="128x96").encode(encoding))
    Image.fromarray(NOISE).save(tmp_path / "a.bmp")
    micrograph = read_micrograph(tmp_path / "a.bmp")
    assert micrograph.pixel_size_nm == pytest.approx(25)
    assert micrograph.acquisition["kV"] == 5.0 and micrograph.acquisition["working_distance_mm"] == 8.5


def test_hitachi_with_little_in_its_sidecar(tmp_path):
    (tmp_path / "a.txt").write_text("[TemImageFile]\r\nPixelSize=24.8\r\n")
    micrograph = read_micrograph(tiff(tmp_path))
    assert micrograph.pixel_size_nm == pytest.approx(24.8)
    assert micrograph.acquisition == {"vendor": "Hitachi"}
    (tmp_path / "a.txt").write_text("[SemImageFile]\r\nMagnification=5000\r\n")
    assert read_micrograph(tmp_path / "a.tif").pixel_size_nm is None


@pytest.mark.parametrize("marker", ["10µm", "10μm", "10um", "10 um", "0.01mm", "10000nm"])
@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1", "shift_jis", "utf-16"])
def test_jeol_marker_in_any_unit_and_encoding(tmp_path, marker, encoding):
    try:
        content = JEOL.format(bar=64, marker=marker, full="128 96").encode(encoding)
    except UnicodeEncodeError:
        pytest.skip(f"{encoding} has no such micro sign")
    (tmp_path / "a.txt").write_bytes(content)
    assert read_micrograph(tiff(tmp_path)).pixel_size_nm == pytest.approx(10_000 / 64)


def test_a_text_beside_an_image_that_is_no_sidecar_says_nothing(tmp_path):
    (tmp_path / "a.txt").write_text("Notes: the bar is 10 um, PixelSize=25\n")
    assert read_micrograph(tiff(tmp_path)).pixel_size_nm is None


def test_hitachi_image_saved_smaller(tmp_path):
    (tmp_path / "a.txt").write_text(HITACHI.format(data="1280x960"))
    assert read_micrograph(tiff(tmp_path)).pixel_size_nm == pytest.approx(250)


@pytest.mark.parametrize(
    ("unit", "per_unit", "size"),
    [("um", 20, 50), ("micron", 20, 50), ("\\u00B5m", 20, 50), ("nm", 0.02, 50), ("mm", 20000, 50),
     ("Microns", 20, 50), ("cm", 200_000, 50), ("angstrom", 0.002, 50), ("pm", 2e-5, 50),
     ("inch", 300, None), ("pixel", 1, None), ("", 1, None), ("sec", 1, None)],
)  # fmt: skip
def test_imagej_unit(tmp_path, unit, per_unit, size):
    path = tiff(tmp_path, imagej=True, resolution=(per_unit, per_unit), metadata={"unit": unit})
    assert read_micrograph(path).pixel_size_nm == (None if size is None else pytest.approx(size, rel=1e-6))


OME_UNITS = [
    ("m", 5e-8), ("dm", 5e-7), ("cm", 5e-6), ("mm", 5e-5), ("µm", 0.05), ("nm", 50), ("pm", 5e4), ("fm", 5e7),
    ("Å", 500), ("thou", 50 / 25_400), ("in", 50 / 25.4e6), ("pixel", 1), ("reference frame", 1),
]  # fmt: skip


@pytest.mark.parametrize(("unit", "value"), OME_UNITS)
def test_ome(tmp_path, unit, value):
    metadata = {"axes": "YX", "PhysicalSizeX": value, "PhysicalSizeXUnit": unit, "PhysicalSizeY": value,
                "PhysicalSizeYUnit": unit}  # fmt: skip
    path = tiff(tmp_path, name="a.ome.tif", ome=True, metadata=metadata)
    assert read_micrograph(path).pixel_size_nm == (
        None if unit in ("pixel", "reference frame") else pytest.approx(50)
    )


@pytest.mark.parametrize("unit", ["INCH", "CENTIMETER", "NONE"])
def test_dots_per_inch_are_never_a_scale(tmp_path, unit):
    path = tiff(tmp_path, resolution=(300, 300), resolutionunit=unit)
    assert read_micrograph(path).pixel_size_nm is None


def test_nonsense_in_a_tag_says_nothing(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for code in (34118, 34680, 34682, 34683, 50431, 51023):
            for content in (
                b"",
                b"\xff" * 40,
                b"[Beam]\nBeam=3",
                b"<a><b></a>",
                b"AP_WIDTH\r\nWidth = nan km\r\n",
            ):
                micrograph = read_micrograph(tiff(tmp_path, **tag(code, content or b"\0")))
                assert micrograph.pixel_size_nm is None
                assert np.array_equal(micrograph.pixels, NOISE)


def test_absurd_pixel_sizes_are_unknown(tmp_path):
    assert read_micrograph(tiff(tmp_path, **tag(34682, fei(width=1.0, height=1.0)))).pixel_size_nm is None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("vendor", ["zeiss", "thermo", "imagej", "thermo databar"])
def test_a_second_library_reads_the_same_pixel_size(tmp_path, vendor):
    reader = pytest.importorskip("rsciio.tiff").file_reader
    if vendor == "zeiss":
        # It multiplies the value of the nameless header, for a screen of 1024 pixels, by 1024 / width.
        path = tiff(tmp_path, **tag(34118, zeiss()))
    elif vendor == "imagej":
        path = tiff(tmp_path, imagej=True, resolution=(20, 20), metadata={"unit": "micron"})
    else:
        general = "[Scan]\r\nPixelWidth=5e-8\r\nPixelHeight=5e-8\r\n"  # it looks nowhere else
        path = tiff(tmp_path, **tag(34682, fei(rows=88 if "databar" in vendor else 96) + general))
    axis = reader(str(path))[0]["axes"][-1]
    factor = {"m": 1e9, "µm": 1e3, "nm": 1.0}[str(axis["units"])]
    assert read_micrograph(path).pixel_size_nm == pytest.approx(axis["scale"] * factor, rel=1e-3)
