"""What the README shows is what runs: its Python and its commands, on a folder of synthetic sections."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_the_two_commands_stand_at_the_top():
    first, second = blocks("")[:2]
    assert first == "python -m pip install -e . && cathode-tf demo\n"
    assert second == 'python -m pip install -e ".[test]" && pytest\n'


@pytest.mark.slow
def test_the_python_runs(tmp_path, monkeypatch, capsys):
    (code,) = blocks("python")
    assert "time_limit_s=90" in code and code.count(", seed=") == 2
    monkeypatch.chdir(tmp_path)
    # The same lines with a shorter training: two steps in place of ninety seconds.
    code = code.replace("time_limit_s=90", "epochs=1, steps_per_epoch=2, batch=2")
    exec(re.sub(r"(synthesize\(\d, seed=\d)", r"\1, height=512, width=512", code), {})
    printed = capsys.readouterr().out
    assert "mean over images" in printed
    assert "3 images" in printed
    assert (tmp_path / "models/first/1/saved_model.pb").exists()


def test_links_lead_to_files():
    text = README.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (README.parent / target).exists(), target


def test_every_page_stands_in_the_menu_of_the_site():
    menu = (README.parent / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    pages = {path.name for path in (README.parent / "docs").glob("*.md")}
    assert pages <= set(re.findall(r"\S+\.md", menu))


@pytest.mark.slow
def test_the_commands_run(tmp_path, monkeypatch):
    from cathode_tf.synthesis import synthesize, write_samples
    from cathode_tf.tools.main import cli

    monkeypatch.chdir(tmp_path)
    write_samples(synthesize(8, seed=2, height=256, width=256), "samples")
    Path("photos").mkdir()
    Path("new").mkdir()
    for image in sorted(Path("samples/images").iterdir()):
        shutil.copy(image, Path("photos") / image.name)
        shutil.copy(image, Path("new") / image.name)
        mask = next(Path("samples/masks").glob(f"{image.stem}.*"))
        shutil.copy(mask, Path("photos") / f"{image.stem}_mask{mask.suffix}")
    shutil.copy("samples/phases.toml", "phases.toml")
    (commands,) = blocks("console")
    for line in commands.strip().splitlines():
        words = shlex.split(line.removeprefix("$ cathode-tf "))
        words = [
            str(path) for word in words for path in (sorted(Path().glob(word)) if "*" in word else [word])
        ]
        if words[0] == "train":
            words[words.index("25m")] = "5s"
        cli.main(args=words, standalone_mode=False)
    assert Path("analysis/report.html").exists()
    assert len(list(Path("masks").glob("*_mask.png"))) == 8
