"""The tutorial on vendor files, walked with micrographs of five microscopes; needs CATHODE_TF_REAL_DATA."""

import shutil

import numpy as np
import pytest

from cathode_tf import Phases, open_records, read_micrograph
from cathode_tf.imaging import write_annotation

from ..imaging.test_docs import run

VENDOR_FILES = {
    "zeiss": "zeiss/1-as-cast_16_Sch_10k_InLens.tif",
    "zeiss_2": "zeiss/FeMoOx_AntiA_04_1k5x_CN.tif",
    "atlas": "atlas/InLens_keyframe_00001_slice_00006_z=1.6659um.tif",
    "thermo": "thermo/SEM_Image-SliceImage-001.tif",
    "jeol": "jeol/image001_1280_all.tif",
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::cathode_tf.errors.InputWarning")
def test_from_vendor_files_and_labelme_to_a_checked_record_set(real_data, tmp_path, monkeypatch, capsys):
    """Four phases by grey level, in blocks of 16 x 16 pixels, as outlines of LabelMe, databar and all."""
    monkeypatch.chdir(tmp_path)
    phases = Phases.default()
    (tmp_path / "microscope").mkdir()
    for name, file in VENDOR_FILES.items():
        path = tmp_path / "microscope" / f"{name}.tif"
        shutil.copy(real_data / "vendor" / file, path)
        sidecar = (real_data / "vendor" / file).with_suffix(".txt")
        if sidecar.exists():
            shutil.copy(sidecar, path.with_suffix(".txt"))
        pixels = read_micrograph(path, databar="none").pixels
        height, width = (16 * (side // 16) for side in pixels.shape)
        blocks = pixels[:height, :width].reshape(height // 16, 16, width // 16, 16).mean((1, 3))
        levels = np.searchsorted(np.quantile(blocks, (0.25, 0.5, 0.75)), blocks).astype(np.uint8)
        mask = np.full(pixels.shape, 255, np.uint8)
        mask[:height, :width] = np.kron(levels, np.ones((16, 16), np.uint8))
        write_annotation(path.with_suffix(".json"), mask, phases, format="labelme", image_name=path.name)
    printed = run("tutorial-vendor-files.md", {}, begin="## 1. Is the scale right?")
    for line in (
        "11.1621 nm (Zeiss tag 34118", "74.4336 nm (Zeiss tag 34118", "44.7154 nm (Fibics tag 51023",
        "385.417 nm (Thermo tag 34682", "990.099 nm (JEOL jeol.txt",
    ):  # fmt: skip
        assert line in printed
    assert "records/first: OK (0 errors" in printed
    assert "pixel size: jeol: from 11.16 nm (zeiss) to 990.1 nm" in printed
    rows = {row.id: row for row in open_records("records/first").rows}
    assert set(rows) == set(VENDOR_FILES) and {row.split for row in rows.values()} == {
        "train",
        "validation",
        "test",
    }
    assert (rows["zeiss"].height, rows["zeiss"].width) == (690, 1024)
    assert (rows["jeol"].height, rows["jeol"].width) == (960, 1280)
    assert "% labelled" in capsys.readouterr().out
