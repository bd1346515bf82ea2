"""`cathode-tf export`: versions, and what stands beside them."""

import pytest
from click.testing import CliRunner

from cathode_tf import InputError, Phases, build_unet
from cathode_tf.tools.main import cli


def run(*arguments):
    return CliRunner().invoke(cli, ["export", *map(str, arguments)], catch_exceptions=False)


@pytest.mark.slow
def test_it_writes_a_version_and_the_servers_files(tmp_path):
    build_unet(Phases.default(), filters=(4, 8)).save(tmp_path / "tiny.keras")
    done = run(tmp_path / "tiny.keras", "--out", tmp_path / "models" / "cathode")
    assert done.exit_code == 0 and str(tmp_path / "models" / "cathode" / "1") in done.output
    names = {path.name for path in (tmp_path / "models" / "cathode").iterdir()}
    assert names == {"1", "models.config", "batching.config", "compose.yaml"}


def test_a_wrong_model_leaves_nothing(tmp_path):
    (tmp_path / "cut.keras").write_bytes(b"PK\3\4")
    with pytest.raises(InputError, match=r"cut\.keras"):
        run(tmp_path / "cut.keras", "--out", tmp_path / "models")
    assert not (tmp_path / "models").exists()
