"""The verb `rounds`: what it prints and how it fails."""

import json

import cv2
import numpy as np
import pytest

from cathode_tf.rounds import record_review
from cathode_tf.tools.main import main


def run(capsys, *args):
    """(exit code, standard output, standard error) of the command line."""
    code = 0
    try:
        main([str(arg) for arg in args])
    except SystemExit as end:
        code = end.code or 0
    out, err = capsys.readouterr()
    return code, out, err


def test_init_status_accept_log_export_import(tmp_path, capsys, small_project):
    project = small_project.path
    code, out, _ = run(capsys, "rounds", "status", project)
    assert code == 0 and "4 images (4 proposed)" in out and "Next:" in out
    assert "annotate a few images first" in out
    code, out, _ = run(capsys, "rounds", "accept", project, "cell_0", "--who", "ann")
    assert code == 0 and "masks/" in out
    code, out, _ = run(capsys, "rounds", "export", project, "--out", tmp_path / "out", "--format", "labelme")
    assert code == 0 and (tmp_path / "out/masks/cell_0.json").exists()
    code, out, _ = run(capsys, "rounds", "import", project, tmp_path / "out")
    assert code == 0 and "Accepted 3 masks" in out
    code, out, _ = run(capsys, "rounds", "log", project, "--last", 1)
    assert code == 0 and "untouched" in out
    code, out, _ = run(capsys, "rounds", "status", project, "--json")
    assert json.loads(out)["counts"] == {"accepted": 4}


def test_init_makes_a_project_and_refuses_to_replace_it(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    for index in range(5):
        cv2.imwrite(str(tmp_path / "in" / f"{index}.png"), np.full((8, 8), index, np.uint8))
    args = ("rounds", "init", tmp_path / "p", "--images", tmp_path / "in")
    out = run(capsys, *args)[1]
    assert out.startswith(f"Wrote {tmp_path / 'p'}: 5 images, 1 of them frozen")
    assert (
        f"Next: Let the model that comes with the package propose masks: cathode-tf rounds propose {tmp_path / 'p'}"
        in out
    )
    code, _, err = run(capsys, *args)
    assert code == 1 and "must be a new folder" in err


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("promote",), "not yet promoted"),
        (("promote", "--force", " "), "must give the reason"),
        (("rollback", "--reason", "x"), "to roll back"),
        (("train",), "accepted mask to learn from"),
        (("accept", "nobody"), "one image named 'nobody'"),
        (("accept", "cell_0", "cell_1", "--mask", "m.png"), "must go with one image"),
        (("export", "--what", "accepted", "--out", "o"), "no mask to export"),
        (("import", "nowhere"), "There is none"),
    ],
)
def test_errors_are_one_sentence_and_exit_with_1(small_project, capsys, args, says):
    code, _, err = run(capsys, "rounds", args[0], small_project.path, *args[1:])
    assert code == 1 and says in err and err.count("\n") == 1


def test_a_time_limit_must_be_a_time(small_project, capsys):
    code, _, err = run(capsys, "rounds", "train", small_project.path, "--time-limit", "soon")
    assert code == 2 and "90s, 25m" in err


def test_the_log_names_every_event(small_project, capsys):
    record_review(small_project, "cell_0", "reject")
    code, out, _ = run(capsys, "rounds", "log", small_project.path)
    assert code == 0 and "begin project" in out and "reject cell_0" in out and "proposes 4 masks" in out
