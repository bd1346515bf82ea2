"""The Python and the commands in the pages on formats run, in the order of the pages."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

DOCS = Path(__file__).parents[2] / "docs"


def run(page, variables, begin=""):
    """Run the blocks of a page from a heading on; what they print, commands too."""
    from cathode_tf.tools.main import cli

    text = (DOCS / page).read_text(encoding="utf-8")
    text = text[text.index(begin) :]
    printed = []
    for language, code in re.findall(r"```(\w*)\n(.*?)```", text, flags=re.DOTALL):
        if language == "python":
            exec(code, variables)
        elif not language:
            for line in code.splitlines():
                assert line.startswith("cathode-tf "), line
                result = CliRunner().invoke(cli, shlex.split(line)[1:], catch_exceptions=False)
                assert result.exit_code == 0, result.output
                printed.append(result.output)
    return "".join(printed)


@pytest.mark.slow
def test_tutorial_and_formats(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    commands = run("tutorial-vendor-files.md", {})
    assert "(Zeiss tag 34118, AP_WIDTH)" in commands and "40 rows cut at the bottom" in commands
    assert "Wrote records/first (version 1.0.0): 2 train, 1 validation, 1 test." in commands
    assert "records/first: OK (0 errors" in commands
    assert capsys.readouterr().out.count("100% labelled") == 4
    picture = Image.open("overlays/cathode_01.png")
    assert picture.width == 512 and 384 < picture.height < 450  # the legend hangs below
    run("formats.md", {})
    assert Path("tasks.json").exists() and Path("for_labelme.json").exists()
