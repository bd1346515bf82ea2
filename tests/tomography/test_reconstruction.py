"""From files to a volume: every voxel from its raw pixel, repeated to the byte, resumed, and refused by name."""

import json
import math

import cv2
import numpy as np
import pytest
import tifffile
import zarr

from cathode_tf import InputError, reconstruct
from cathode_tf.imaging.volumes import open_volume as open_grey
from cathode_tf.phases import Phases
from cathode_tf.tomography import work as work_module
from cathode_tf.volumes import open_volume

STRAIGHT = {"tilt_deg": 90, "voxel_size_nm": (20.0, 10.0, 10.0)}


@pytest.fixture
def folder(tmp_path, make_stack):
    made = make_stack(count=12, side=128, seed=1)
    made.write(tmp_path / "raw")
    return tmp_path / "raw", made


def test_every_voxel_is_followed_to_its_raw_pixel(tmp_path, folder):
    raw, made = folder
    result = reconstruct(
        raw, tmp_path / "v.zarr", without=("curtains", "background", "brightness"), **STRAIGHT
    )
    record = json.loads((tmp_path / "v.zarr" / "reconstruction.json").read_text())
    volume = zarr.open(str(tmp_path / "v.zarr"), mode="r")["0"][:]
    assert volume.shape == result.shape and result.voxel_nm == (20.0, 10.0, 10.0)
    origin, step = record["transforms"]["origin_px"], record["transforms"]["step_px"]
    for index in (0, 5, 11):
        entry = record["slices"][index]
        assert entry["file"] == f"slice_{index:03}.png"
        row = origin[0] + 40 * step[0] + entry["shift_px"][0]
        column = origin[1] + 30 * step[1] + entry["shift_px"][1]
        # Linear between the four raw pixels around that place.
        low, left = int(row), int(column)
        a, b = row - low, column - left
        four = made.slices[index][low : low + 2, left : left + 2].astype(float)
        value = np.array([1 - a, a]) @ four @ np.array([1 - b, b])
        assert abs(volume[index, 40, 30] - value) <= 0.51


def test_a_record_repeats_the_volume_to_the_byte(tmp_path, folder):
    raw, _ = folder
    reconstruct(raw, tmp_path / "v.zarr", **STRAIGHT)
    again = reconstruct(raw, tmp_path / "w.tif", repeat=tmp_path / "v.zarr" / "reconstruction.json")
    first = zarr.open(str(tmp_path / "v.zarr"), mode="r")["0"][:]
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "w.tif"), first)
    assert again.record_path == tmp_path / "w.json"
    assert not list(tmp_path.glob(".*partial"))


def test_a_killed_run_goes_on_to_the_same_volume(tmp_path, folder, monkeypatch):
    raw, _ = folder
    reconstruct(raw, tmp_path / "whole.zarr", **STRAIGHT)
    read: list[str] = []
    fatal = 7
    log = work_module.Work.log

    def dying(self, name, entry):
        read.append(name)
        if len(read) == fatal:
            raise KeyboardInterrupt
        log(self, name, entry)

    monkeypatch.setattr(work_module.Work, "log", dying)
    with pytest.raises(KeyboardInterrupt):  # in the first pass
        reconstruct(raw, tmp_path / "v.zarr", **STRAIGHT)
    read.clear()
    fatal = 9  # six slices were left of the first pass, so in the second
    with pytest.raises(KeyboardInterrupt):
        reconstruct(raw, tmp_path / "v.zarr", **STRAIGHT)
    read.clear()
    fatal = 0
    reconstruct(raw, tmp_path / "v.zarr", **STRAIGHT)
    assert 0 < len(read) < 12  # the rest of the second pass only
    volumes = [zarr.open(str(tmp_path / name), mode="r")["0"][:] for name in ("whole.zarr", "v.zarr")]
    np.testing.assert_array_equal(*volumes)


def test_rows_are_stretched_for_the_tilt(tmp_path, folder):
    raw, _ = folder
    result = reconstruct(raw, tmp_path / "v.zarr", tilt_deg=52, trend="remove", without=("align",))
    sine = math.sin(math.radians(52))
    assert result.record["transforms"]["step_px"] == [pytest.approx(sine), 1.0]
    assert result.shape[1] == int(127 / sine) + 1
    assert "1 / sin 52 = 1.269" in result.steps["tilt"]


def test_a_receding_face_moves_the_picture(tmp_path, make_stack):
    # 16 nm slices at 60 degrees on 10 nm pixels: 16 cos 60 / 10 = 0.8 rows a slice, upwards.
    made = make_stack(count=16, side=128, walk=0.3, z_step=1.6, slope=(-0.8, 0.0), seed=2)
    made.write(tmp_path / "raw")
    told = {
        "tilt_deg": 60,
        "voxel_size_nm": (16, 10, 10),
        "without": ("curtains", "background", "brightness"),
    }
    with pytest.raises(InputError, match="--view fixed"):
        reconstruct(tmp_path / "raw", tmp_path / "v.zarr", **told)
    result = reconstruct(tmp_path / "raw", tmp_path / "v.zarr", view="fixed", **told)
    trend = result.record["alignment"]["trend"]
    assert trend["geometry_px"][0] == pytest.approx(-0.8)
    shift = np.array([entry["shift_px"] for entry in result.record["slices"]])
    assert shift[-1, 0] == pytest.approx(-0.8 * 15, abs=1.0)
    # Upside down, the same face moves the picture down.
    (tmp_path / "turned").mkdir()
    for index, pixels in enumerate(made.slices):
        cv2.imwrite(str(tmp_path / "turned" / f"slice_{index:03}.png"), pixels[::-1])
    turned = reconstruct(tmp_path / "turned", tmp_path / "t.zarr", view="fixed", **told)
    assert turned.record["alignment"]["trend"]["geometry_px"][0] == pytest.approx(0.8)


def test_voxel_edges_travel_to_the_analysis(tmp_path, folder):
    raw, _ = folder
    phases = Phases.from_names(["pore", "ncm"])
    for name in ("v.zarr", "v.tif"):
        reconstruct(raw, tmp_path / name, **STRAIGHT)
        assert open_grey(tmp_path / name).voxel_nm == (20.0, 10.0, 10.0)
    (tmp_path / "v.json").unlink()  # what ImageJ reads is in the file itself
    assert open_grey(tmp_path / "v.tif").voxel_nm == pytest.approx((20.0, 10.0, 10.0))
    labels = (tifffile.imread(tmp_path / "v.tif") > 100).astype(np.uint8)
    tifffile.imwrite(
        tmp_path / "ome.tif", labels, ome=True,
        metadata={"axes": "ZYX", "PhysicalSizeX": 0.01, "PhysicalSizeY": 0.01, "PhysicalSizeZ": 20.0,
                  "PhysicalSizeZUnit": "nm"},
    )  # fmt: skip
    imagej = {"imagej": True, "metadata": {"axes": "ZYX", "spacing": 20.0, "unit": "nm"}}
    tifffile.imwrite(tmp_path / "ij.tif", labels, resolution=(0.1, 0.1), **imagej)
    np.save(tmp_path / "n.npy", labels)
    (tmp_path / "n.json").write_text('{"voxel_nm": [20, 10, 10]}')
    for name in ("ome.tif", "ij.tif", "n.npy"):
        with open_volume(tmp_path / name, phases) as volume:
            assert volume.voxel_size_nm == pytest.approx((20.0, 10.0, 10.0))


def test_cubes_keep_the_depth(tmp_path, folder):
    raw, _ = folder
    result = reconstruct(raw, tmp_path / "v.zarr", isotropic=True, **STRAIGHT)
    assert result.voxel_nm == (10.0, 10.0, 10.0)
    assert result.shape[0] == 23  # 11 steps of 20 nm are 220 nm: 0 ... 220 every 10
    with pytest.raises(InputError, match="--isotropic: needs the thickness"):
        reconstruct(raw, tmp_path / "w.zarr", isotropic=True, tilt_deg=90)


def test_raw_files_are_only_read(tmp_path, folder):
    raw, _ = folder
    before = {path.name: path.read_bytes() for path in raw.iterdir()}
    reconstruct(raw, tmp_path / "v.zarr", **STRAIGHT)
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == before
    with pytest.raises(InputError, match="must not hold what is read"):
        reconstruct(raw, tmp_path, **STRAIGHT)
    with pytest.raises(InputError, match="exists already"):
        reconstruct(raw, tmp_path / "v.zarr", **STRAIGHT)
    assert reconstruct(raw, tmp_path / "v.zarr", force=True, **STRAIGHT).shape[0] == 12


def spoil_missing(raw):
    (raw / "slice_005.png").unlink()


def spoil_twice(raw):
    (raw / "slice_005 (1).png").write_bytes((raw / "slice_005.png").read_bytes())


def spoil_repeated(raw):
    (raw / "slice_006.png").write_bytes((raw / "slice_005.png").read_bytes())


def spoil_size(raw):
    cv2.imwrite(str(raw / "slice_007.png"), np.zeros((64, 64), np.uint8))


def spoil_two_left(raw):
    for path in sorted(raw.iterdir())[2:]:
        path.unlink()


def spoil_order(raw):
    names = sorted(raw.iterdir())
    pixels = [path.read_bytes() for path in names]
    rng = np.random.default_rng(0)
    for path in names:
        cv2.imwrite(str(path), rng.integers(0, 255, (128, 128)).astype(np.uint8))
    assert len(pixels) == 12


def spoil_damaged(raw):
    content = (raw / "slice_003.png").read_bytes()
    (raw / "slice_003.png").write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_missing, r"no slice must be missing. 1 are, between slice_004.png and slice_006.png \(1\)"),
        (spoil_twice, r"each slice must be there once. Received 2 of number 5"),
        (
            spoil_repeated,
            r"slice_006.png: each slice must be there once. It holds the very pixels of slice_005",
        ),
        (spoil_size, r"slice_007.png: the slices must be of one size"),
        (spoil_two_left, "must hold at least 3 slices. Received 2"),
        (spoil_order, "the slices must show one volume, in order"),
        (spoil_damaged, r"slice_003.png: .*damaged"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_no_single_volume_is_refused(tmp_path, folder, spoil, message):
    raw, _ = folder
    spoil(raw)
    with pytest.raises(InputError, match=message):
        reconstruct(raw, tmp_path / "v.zarr", **STRAIGHT)
    assert not (tmp_path / "v.zarr").exists()


def test_a_gap_is_filled_if_asked(tmp_path, folder):
    raw, _ = folder
    spoil_missing(raw)
    with pytest.warns(UserWarning, match="1 slices are missing"):
        result = reconstruct(raw, tmp_path / "v.zarr", gaps="fill", **STRAIGHT)
    assert result.shape[0] == 12 and result.record["slices"][5] == {"filled": True}
    volume = zarr.open(str(result.path), mode="r")["0"][:].astype(float)
    np.testing.assert_allclose(volume[5], (volume[4] + volume[6]) / 2, atol=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "does not say at which angle"),
        ({"tilt_deg": 3}, "--tilt-deg: must be"),
        ({"tilt_deg": 90, "trend": "edge"}, "needs --edge-px"),
        ({"tilt_deg": 90, "voxel_size_nm": (0, 1, 1)}, "must be three lengths above 0"),
        ({"tilt_deg": 90, "without": ("colour",)}, "--without: must be one of"),
        ({"tilt_deg": 52, "view": "fixed"}, "only thickness and pixel size can tell"),
        ({"tilt_deg": 90, "order": "z"}, "must say where each cut lies"),
        ({"tilt_deg": 90, "detector": "SE"}, "--detector: must be one of"),
    ],
)
def test_what_nobody_said_is_asked_for(tmp_path, folder, options, message):
    with pytest.raises(InputError, match=message):
        reconstruct(folder[0], tmp_path / "v.zarr", **options)


def test_a_record_of_other_slices_is_refused(tmp_path, folder, make_stack):
    raw, _ = folder
    reconstruct(raw, tmp_path / "v.zarr", **STRAIGHT)
    record = tmp_path / "v.zarr" / "reconstruction.json"
    make_stack(count=5, side=128).write(tmp_path / "five")
    with pytest.raises(InputError, match=r"as many slices. It has 12, and there are 5"):
        reconstruct(tmp_path / "five", tmp_path / "w.zarr", repeat=record)
    (tmp_path / "odd.json").write_text("{}")
    with pytest.raises(InputError, match=r"must be a reconstruction.json"):
        reconstruct(raw, tmp_path / "w.zarr", repeat=tmp_path / "odd.json")


def vendor_folder(folder, made, corrected="no", angle=0.663225, pixels="1e-08", detectors="TLD"):
    """An Auto Slice & View folder: Thermo's tag in every file, the thickness in the project's file."""
    images = folder / "Images" / "SEM Image"
    images.mkdir(parents=True)
    (folder / "ProjectData.xml").write_text("<Project><SliceThickness>2E-08</SliceThickness></Project>")
    height, width = made.slices[0].shape
    for index, picture in enumerate(made.slices):
        # Several values, by blank: the last of them from the middle slice on.
        pixel, detector = (
            words.split()[-1 if index >= len(made.slices) // 2 else 0] for words in (pixels, detectors)
        )
        text = (
            "[User]\r\nDate=08/18/2026\r\n[Beam]\r\nBeam=EBeam\r\nScan=EScan\r\n[EBeam]\r\nHV=2000\r\n"
            f"TiltCorrectionIsOn={corrected}\r\nTiltCorrectionAngle={angle}\r\n"
            # Every slice the view is moved by 20 nm cos 52 = 12.3 nm along with the face.
            f"BeamShiftY={index * 1.23e-8}\r\nStageY=0.001\r\n"
            f"[EScan]\r\nPixelWidth={pixel}\r\nPixelHeight={pixel}\r\n"
            f"[Image]\r\nResolutionX={width}\r\nResolutionY={height}\r\n[Detectors]\r\nName={detector}\r\n"
        ).encode()
        path = images / f"SEM Image - SliceImage - {index + 1:03}.tif"
        tifffile.imwrite(path, picture, extratags=[(34682, 2, len(text) + 1, text, True)])
    return images


def test_an_auto_slice_and_view_folder_needs_no_options(tmp_path, make_stack):
    made = make_stack(count=10, side=128, seed=4)
    images = vendor_folder(tmp_path / "project", made)
    result = reconstruct(images, tmp_path / "v.zarr")
    # The file's 38 degrees are those to the normal: 52 to the face.
    assert result.record["geometry"]["angle_deg"] == pytest.approx(52.0, abs=0.01)
    assert result.record["transforms"]["step_px"][0] == pytest.approx(math.sin(math.radians(52)), abs=1e-4)
    assert result.voxel_nm == pytest.approx((20.0, 10.0, 10.0))
    assert "moved along y with the face" in result.steps["tilt"]
    done = vendor_folder(tmp_path / "stretched", made, corrected="yes")
    assert reconstruct(done, tmp_path / "w.zarr").record["transforms"]["step_px"] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        ({"pixels": "1e-08 2e-08"}, "must be of one magnification"),
        ({"detectors": "TLD ETD"}, r"must be of one detector. Received ETD, TLD. Choose one with --detector"),
    ],
)
def test_what_changes_in_the_middle_is_named(tmp_path, make_stack, spoilt, message):
    images = vendor_folder(tmp_path / "project", make_stack(count=4, side=96), **spoilt)
    with pytest.raises(InputError, match=message):
        reconstruct(images, tmp_path / "v.zarr")
    assert not (tmp_path / "v.zarr").exists()


def test_cuts_that_go_back_are_named(tmp_path, make_stack):
    made = make_stack(count=4, side=96)
    (tmp_path / "raw").mkdir()
    for index, (place, picture) in enumerate(zip((1.0, 1.02, 1.01, 1.03), made.slices, strict=True)):
        cv2.imwrite(str(tmp_path / "raw" / f"slice_{index:03}_z={place}um.png"), picture)
    with pytest.raises(InputError, match=r"slice_002_z=1.01um.png: the cuts must lie one behind the other"):
        reconstruct(tmp_path / "raw", tmp_path / "v.zarr", tilt_deg=90)


@pytest.mark.slow
def test_a_torn_slice_stays_with_a_warning_and_a_charged_one_spoils_no_other(tmp_path, make_stack):
    made = make_stack(count=14, side=192, seed=1)
    made.slices[5] = np.random.default_rng(0).integers(0, 255, made.slices[5].shape)
    made.slices[9] = np.clip(made.slices[9] * 1.45, 0, 255)
    made.write(tmp_path / "raw")
    result = reconstruct(tmp_path / "raw", tmp_path / "v.zarr", **STRAIGHT)
    assert result.shape[0] == 14
    text = " ".join(result.warnings)
    assert (
        "slice_005.png: its step was refused" in text and "half of the step from slice 4 to slice 6" in text
    )
    assert "slice 6: charged, or without the stable material; its brightness is left" in text
    # One charged slice is no material of the stack: the others keep their brightness.
    gain = np.array([entry["gain"] for entry in result.record["slices"]])
    assert np.abs(np.delete(gain, [5, 9]) - 1).max() < 0.01


def test_real_vendors_state_their_angle(real_data):
    from cathode_tf.imaging.rasters import open_raster
    from cathode_tf.imaging.vendors import read_metadata
    from cathode_tf.tomography.acquisition import read_cut

    (atlas,) = (real_data / "vendor" / "atlas").glob("*.tif")
    with open_raster(atlas) as raster:
        cut = read_cut(raster, read_metadata(raster).acquisition)
    assert cut.angle_deg == 54.0 and cut.corrected is None  # "Tilt Corrn. Angle = -36.0"
    assert cut.z_nm == pytest.approx(1665.895, abs=0.01)
    with open_raster(real_data / "vendor" / "thermo" / "SEM_Image-SliceImage-001.tif") as raster:
        cut = read_cut(raster, read_metadata(raster).acquisition)
    assert cut.angle_deg == pytest.approx(56.0, abs=0.01) and cut.corrected is False
