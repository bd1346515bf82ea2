"""`cathode-tf evaluate`: the table, and files a program can read."""

import json

import pytest
from click.testing import CliRunner

from cathode_tf import InputError, Phases, build_unet, convert
from cathode_tf.synthesis import synthesize, write_samples
from cathode_tf.tools.main import cli


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A tiny model, and a record set of four sections."""
    folder = tmp_path_factory.mktemp("world")
    write_samples(synthesize(4, height=64, width=64), folder / "samples")
    phases = Phases.from_toml(folder / "samples" / "phases.toml")
    convert(folder / "samples/images", folder / "samples/masks", out=folder / "set", phases=phases)
    build_unet(phases, filters=(4, 8)).save(folder / "tiny.keras")
    return folder


def run(*arguments):
    return CliRunner().invoke(cli, ["evaluate", *map(str, arguments)], catch_exceptions=False)


def test_it_prints_the_table_and_writes_it(world, tmp_path):
    done = run(world / "tiny.keras", world / "set", "--split", "train", "--out", tmp_path / "out")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["image", "pore", "ncm", "additive", "binder", "mean_dice"]
    content = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert f"{content['mean_dice']:.3f}" in next(line for line in lines if line.startswith("mean over"))
    assert len(list((tmp_path / "out").glob("*.png"))) == len(content["images"])
    with pytest.raises(InputError, match="exists already"):
        run(world / "tiny.keras", world / "set", "--split", "train", "--out", tmp_path / "out")


def test_a_model_of_other_phases_is_refused(world, tmp_path):
    build_unet(Phases.from_names(("a", "b")), filters=(4,)).save(tmp_path / "other.keras")
    with pytest.raises(InputError, match="must share two names or roles"):
        run(tmp_path / "other.keras", world / "set", "--split", "train", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()
