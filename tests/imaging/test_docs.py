"""The Python and the commands in the pages on formats run, in the order of the pages."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from .test_members import ALL

DOCS = Path(__file__).parents[2] / "docs"
HERE = Path(__file__).parent


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


def promises(text):
    """The sentences and rows of tables of a page, without its code and heads."""
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    found = []
    for block in re.split(r"\n(?=\n|- |\||#)", text):
        block = " ".join(block.split()).replace("**", "")
        if block.startswith("|"):
            found += [block] if re.search(r"\w", block) else []
        elif block and not block.startswith("#"):
            found += re.split(r"(?<=[.:])\s+(?=[A-Z`])", block.removeprefix("- "))
    return found


def exists(name):
    """Whether a test, or a member of a kind, begins with this name."""
    if "::" not in name:
        return any(f"{member.kind}: {member.name}".startswith(name) for member in ALL)
    file, _, test = name.partition("::")
    return re.search(rf"def {test}\b", (HERE / file).read_text(encoding="utf-8")) is not None


def test_each_promise_has_its_tests():
    held = tomllib.loads((HERE / "promises.toml").read_text(encoding="utf-8"))
    sentences = promises((DOCS / "formats.md").read_text(encoding="utf-8"))
    assert len(sentences) > 90
    assert [s for s in sentences if sum(s.startswith(begin) for begin in held) != 1] == []
    assert [begin for begin in held if not any(s.startswith(begin) for s in sentences)] == []
    assert [name for names in held.values() for name in names if not exists(name)] == []
