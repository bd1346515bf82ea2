"""`cathode-tf app`: what it refuses and what it writes; the page itself is tested in tests/review."""

import stat
import sys

import pytest
from click.testing import CliRunner

from cathode_tf import InputError
from cathode_tf.review.bundle import INSTALLERS, write_bundle, write_installer
from cathode_tf.review.shortcut import SYSTEMS, launcher, write_shortcut
from cathode_tf.tools.app import command


def test_a_demo_brings_its_own_images(tmp_path):
    with pytest.raises(InputError, match="leave one out"):
        CliRunner().invoke(command, ["--demo", str(tmp_path)], catch_exceptions=False, standalone_mode=False)


def test_the_network_is_asked_for_and_warned_of(tmp_path):
    done = CliRunner().invoke(command, ["--lan", str(tmp_path)], input="n\n")
    assert done.exit_code == 1 and "not encrypted" in done.output and "http" not in done.stdout


def test_a_folder_without_images_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="must hold images"):
        CliRunner().invoke(command, [str(tmp_path)], catch_exceptions=False, standalone_mode=False)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_launcher_starts_this_interpreter(tmp_path, system):
    path = write_shortcut(tmp_path, system=system)
    text = path.read_bytes().decode()
    assert f"{sys.executable}" in text and "-m cathode_tf.tools app" in text
    assert path.name == SYSTEMS[system] and path.stat().st_mode & stat.S_IXUSR
    assert ("\r\n" in text) == (system == "win32")
    with pytest.raises(InputError, match="exists already"):
        write_shortcut(tmp_path, system=system)


def test_odd_letters_in_the_interpreters_path_start_nothing_else():
    assert '"C:\\100%%\\python.exe"' in launcher("win32", "C:\\100%\\python.exe")
    assert 'Exec="/a b/\\$x/python"' in launcher("linux", "/a b/$x/python")
    for path in ('/a"; rm -rf b', "/a\n/b", "/a'b"):
        with pytest.raises(InputError, match="no quotes"):
            launcher("darwin", path)
    with pytest.raises(InputError, match="must be one of"):
        write_shortcut(system="amiga")


@pytest.mark.parametrize("system", INSTALLERS)
def test_the_offline_script_installs_from_the_wheels_alone(tmp_path, system):
    path = write_installer(tmp_path, system, "3.12")
    text = path.read_bytes().decode()
    assert (
        '--no-index --find-links wheels "cathode-tf[lots]"' in text
        and "app --shortcut" in text
        and "3.12" in text
    )
    assert ("\r\n" in text) == (system == "win32") and "{" not in text.replace("${CATHODE_TF_HOME", "")
    told = (tmp_path / "READ ME FIRST.txt").read_text()
    assert path.name in told and ("never run" in told) == (system != "linux")
    assert (tmp_path / "python").is_dir()


def test_a_bundle_needs_a_clone_and_leaves_nothing_where_there_is_none(tmp_path):
    with pytest.raises(InputError, match="must be a clone"):
        write_bundle(tmp_path / "out", source=tmp_path)
    assert not (tmp_path / "out").exists()
