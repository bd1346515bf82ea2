"""The console command itself: every verb explains itself, wrong use has its exit code, nothing heavy loads."""

import subprocess
import sys
from importlib.metadata import entry_points

import pytest
from click.testing import CliRunner

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.tools import main as main_module
from cathode_tf.tools.main import VERBS, cli, main

HEAVY = {"tensorflow", "keras", "tensorflow_datasets", "matplotlib", "pandas", "scipy", "cv2", "skimage"}


def test_the_console_command_is_installed():
    (script,) = entry_points(group="console_scripts", name="cathode-tf")
    assert script.load() is main


def test_help_lists_every_verb_in_the_order_of_use():
    text = CliRunner().invoke(cli, ["--help"]).output
    positions = [text.index(f"  {verb} ") for verb in VERBS]
    assert positions == sorted(positions)


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_explains_itself_with_an_example(verb):
    result = CliRunner().invoke(cli, [verb, "--help"])
    assert result.exit_code == 0
    example = result.output.index("Example:")
    assert result.output.index("Options:") < example < result.output.index(f"cathode-tf {verb}", example)


def test_help_of_all_verbs_loads_nothing_heavy():
    code = (
        "import sys; from click.testing import CliRunner; from cathode_tf.tools.main import VERBS, cli\n"
        "for verb in VERBS: assert CliRunner().invoke(cli, [verb, '--help']).exit_code == 0, verb\n"
        "print(*sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & HEAVY


def leave(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(list(words))
    return int(caught.value.code)


def test_a_mistyped_verb_gets_the_right_one_and_exit_code_2(capsys):
    assert leave("convrt") == 2
    assert "Did you mean 'convert'?" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["convert", "segment"])
def test_an_option_for_beam_alone_is_wrong_usage(verb, capsys):
    assert leave(verb, "a", "b", "--out", "c", "--runner-option", "--parallelism=8") == 2
    assert "--runner-option goes with --runner" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("segment default a.tif --out x --pixel-size-nm 11,16", "Numbers have a point in them: 11.16"),
        (
            "reconstruct a --voxel-size-nm 50 --out x",
            "--voxel-size-nm takes 3 numbers, also where they are equal: Z Y X",
        ),
    ],
)
def test_a_number_that_is_none_is_told_how_to_write(typed, said, capsys):
    with pytest.raises(SystemExit) as caught:
        main(typed.split())
    assert caught.value.code == 2 and said in " ".join(capsys.readouterr().err.split())


def test_an_input_error_is_one_sentence_and_exit_code_1(monkeypatch, capsys):
    def fail(*args, **kwargs):
        raise InputError("a.png: must be a micrograph. Received a song.")

    monkeypatch.setattr(main_module.cli, "main", fail)
    assert leave("check") == 1
    assert capsys.readouterr().err == "Error: a.png: must be a micrograph. Received a song.\n"


def test_ctrl_c_is_one_word(monkeypatch, capsys):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(main_module.cli, "main", stop)
    assert leave("train") == 130
    assert capsys.readouterr().err == "Stopped.\n"


def test_only_our_own_warnings_reach_the_user(capsys):
    show = main_module._warning_printer()
    show("the scale is doubtful", InputWarning, "f", 1)
    show("the scale is doubtful", InputWarning, "f", 1)
    show("numpy grumbles", RuntimeWarning, "f", 1)
    assert capsys.readouterr().err == "Warning: the scale is doubtful\n"
