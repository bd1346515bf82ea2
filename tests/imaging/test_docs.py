"""The Python in the pages on formats runs, in the order of the pages."""

import re
from pathlib import Path

import pytest
from PIL import Image

DOCS = Path(__file__).parents[2] / "docs"


def run(page, variables):
    text = (DOCS / page).read_text(encoding="utf-8")
    for code in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL):
        exec(code, variables)


@pytest.mark.slow
def test_tutorial_and_formats(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run("tutorial-vendor-files.md", {})
    printed = capsys.readouterr().out
    assert "Zeiss tag 34118, AP_WIDTH; 40 rows of databar cut" in printed
    assert printed.count("100% labelled") == 4
    assert Image.open("overlays/cathode_01.png").size == (512, 384)
    run("formats.md", {})
    assert Path("tasks.json").exists() and Path("for_labelme.json").exists()
