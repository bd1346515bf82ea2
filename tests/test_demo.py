"""The demo in small: every step of it, and what a second one leaves behind."""

import re

import pytest

from cathode_tf import InputError, demo


@pytest.mark.slow
def test_the_demo_ends_in_a_report_and_force_leaves_nothing_of_the_last(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "SECTIONS", 6)
    monkeypatch.setattr(demo, "SECTION_PX", 128)
    monkeypatch.setattr(demo, "NEW_PX", (160, 192))
    monkeypatch.setattr(demo, "EPOCHS", 1)
    monkeypatch.setattr(demo, "STEPS_PER_EPOCH", 2)
    monkeypatch.setattr(demo, "BATCH", 1)
    told: list[str] = []
    for force in (False, True):
        result = demo.run_demo(tmp_path / "demo", force=force, tell=told.append)
    assert result.report == tmp_path / "demo" / "report.html"
    pictures = re.findall(r'src="([^"]{1,11})', result.report.read_text(encoding="utf-8"))
    assert pictures and set(pictures) == {"data:image/"}  # self-contained
    assert 0 < result.mean_dice <= 1
    assert [line[:3] for line in told if line[1:3] == "/7"] == [f"{step}/7" for step in range(1, 8)] * 2
    assert f"{result.mean_dice:.3f}" in next(line for line in reversed(told) if "mean over images" in line)
    versions = [path.name for path in (tmp_path / "demo" / "savedmodel").iterdir() if path.is_dir()]
    assert versions == ["1"]
    assert len(list((tmp_path / "demo" / "masks").glob("*_mask.png"))) == 4
    with pytest.raises(InputError, match="exists already"):
        demo.run_demo(tmp_path / "demo", tell=told.append)


def test_force_refuses_a_folder_with_a_file_of_somebody_else(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="also notes"):
        demo.run_demo(tmp_path, force=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"
