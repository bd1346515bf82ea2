"""Real micrographs of five vendors and real annotations; needs CATHODE_TF_REAL_DATA."""

import shutil

import numpy as np
import pytest
import tifffile

from cathode_tf import convert, open_records
from cathode_tf.errors import InputWarning
from cathode_tf.imaging import iter_masks, label_image, read_instances, read_mask, read_micrograph
from cathode_tf.imaging.plausibility import grey_order
from cathode_tf.phases import Phases

# (file, pixel size in nm, rows of the databar) as the card of the data states them; the databars were looked at.
TABLE = [
    ("zeiss/1-as-cast_16_Sch_10k_InLens.tif", 11.16, 78),
    ("zeiss/1-as-cast_18_Sch_10k_BSD-Compo.tif", 11.16, 78),
    ("zeiss/FeMoOx_AntiA_04_1k5x_CN.tif", 74.43, 78),
    ("zeiss/auriga_v06_img08.tif", 9.766, 166),
    ("atlas/InLens_keyframe_00001_slice_00006_z=1.6659um.tif", 44.7154, 0),
    ("thermo/SEM_Image-SliceImage-001.tif", 385.417, 0),
    ("jeol/image001_1280_all.tif", 100_000 / 101, 64),
    ("jeol/Standard_BSE_800-600.bmp", 100_000 / 45 * 1280 / 800, 40),
]


@pytest.mark.parametrize(("name", "size", "rows"), TABLE, ids=lambda v: v if isinstance(v, str) else "")
def test_vendor_table(real_data, name, size, rows):
    micrograph = read_micrograph(real_data / "vendor" / name)
    assert micrograph.pixel_size_nm == pytest.approx(size, rel=3e-4)
    assert micrograph.acquisition.get("databar_rows", 0) == rows
    assert {"vendor", "kV", "detector", "date"} <= set(micrograph.acquisition)


def test_tescan_header(real_data, tmp_path):
    shutil.copy(real_data / "vendor/tescan/tescan-minimal.hdr", tmp_path)
    tifffile.imwrite(tmp_path / "tescan-minimal.tif", np.zeros((20, 30), np.uint8))
    with pytest.warns(InputWarning, match="not for how many pixels"):
        micrograph = read_micrograph(tmp_path / "tescan-minimal.tif")
    assert micrograph.pixel_size_nm == pytest.approx(50)
    assert micrograph.acquisition["instrument"] == "TESCAN SOLARIS X" and micrograph.acquisition["kV"] == 5.0


def test_via_particles(real_data):
    shape, counts = (1024, 1536), []
    for image in sorted((real_data / "powder_sem/images").iterdir()):
        path = real_data / "powder_sem/via_powder_particle_masks_training.json"
        particles = read_instances(path, image.name, shape)
        counts.append(len(particles))
        assert label_image(particles, shape).max() == len(particles)
    assert counts == [219, 351, 259, 293]


@pytest.mark.filterwarnings("ignore:.*(of the area|no image shows)")
@pytest.mark.slow
def test_the_field_widths_of_the_particles_file_are_taken_as_given(real_data, tmp_path):
    """1036 um in one entry, 103.6 um, a slip of the source, in the others; over 1536 pixels."""
    out = convert(
        real_data / "powder_sem/images",
        real_data / "powder_sem/via_powder_particle_masks_training.json",
        out=tmp_path / "set",
        phases=Phases.from_names(["powder", "ground"]),
        split="50/25/25",
        group_regex=".*",
    )
    sizes = {}
    for split, _ in (records := open_records(out)).splits.items():
        for example in records.examples(split):
            sizes[example.id] = example.pixel_size_nm
            assert example.pixel_size_source == "VIA via_powder_particle_masks_training.json, HFW"
    assert sizes == {
        "Sc1Tile_001-001-000_0-000": pytest.approx(1_036_000 / 1536),
        "Sc1Tile_001-002-000_0-000": pytest.approx(103_600 / 1536),
        "Sc2Tile_001-001-000_0-000": pytest.approx(103_600 / 1536),
        "Sc3Tile_008-007-000_0-000": pytest.approx(103_600 / 1536),
    }


@pytest.mark.filterwarnings("ignore:.*planes of its page are taken for slices")
def test_label_volumes_of_odd_types(real_data):
    def phases(*values):
        return Phases.from_list([{"name": f"p{i}", "id": i, "values": [v]} for i, v in enumerate(values)])

    for name, values, shape in [
        ("electrode_three_phase_256.tif", (0, 85, 170), (256, 256, 256)),
        ("nmc_two_phase_128.tif", (0, 1), (128, 128, 128)),
        ("sofc_three_phase_62.tif", (0, 1, 2), (62, 62, 62)),
        ("cathode_sem_labels_4x427.tif", (0, 1, 2), (4, 427, 427)),
    ]:
        volume = np.stack(list(iter_masks(real_data / "volumes" / name, phases(*values))))
        assert volume.shape == shape and volume.dtype == np.uint8
        assert set(np.unique(volume)) == set(range(len(values)))


def test_nano_ct_slices_and_labels(real_data):
    phases = Phases.from_names(("ncm", "binder", "pore"))
    labels = sorted((real_data / "nmc_xct").glob("*_label.tif"))
    assert len(labels) == 16
    for label in labels:
        micrograph = read_micrograph(label.with_name(label.name.replace("_label", "")))
        mask = read_mask(label, phases, shape=micrograph.pixels.shape)
        assert set(np.unique(mask)) == {0, 1, 2}
        assert micrograph.pixels.dtype == np.uint16 and micrograph.pixel_size_nm is None
        assert (micrograph.pixels.min(), micrograph.pixels.max()) == (0, 65535)


def test_swapped_phases_of_nano_ct_are_seen_and_the_right_ones_left_alone(real_data):
    right, swapped = (
        Phases.from_names(names) for names in (("ncm", "binder", "pore"), ("pore", "binder", "ncm"))
    )
    for label in sorted((real_data / "nmc_xct").glob("*_label.tif")):
        pixels = read_micrograph(label.with_name(label.name.replace("_label", ""))).pixels
        mask = read_mask(label, right, shape=pixels.shape)
        assert grey_order(pixels, mask, right) == ""
        assert "pore is brighter than ncm" in grey_order(pixels, mask, swapped)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name, *_ in TABLE if name.startswith(("zeiss", "thermo"))])
def test_pixel_size_agrees_with_rosettasciio(real_data, name):
    tiff = pytest.importorskip("rsciio.tiff")
    axis = tiff.file_reader(str(real_data / "vendor" / name))[0]["axes"][-1]
    factor = {"m": 1e9, "µm": 1e3, "nm": 1.0}[str(axis["units"])]
    assert read_micrograph(real_data / "vendor" / name).pixel_size_nm == pytest.approx(
        axis["scale"] * factor, rel=1e-3
    )
