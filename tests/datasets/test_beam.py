"""A Beam pipeline writes the same bytes, and speaks as clearly."""

import importlib.util

import pytest

from cathode_tf.datasets import convert
from cathode_tf.datasets.beam import open_pipeline
from cathode_tf.errors import InputError

installed = importlib.util.find_spec("apache_beam") is not None
needs_beam = pytest.mark.skipif(not installed, reason='pip install "cathode-tf[beam]"')


def files_of(folder):
    return {p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@needs_beam
def test_the_local_runner_writes_the_same_bytes(pairs, tmp_path, phases):
    once = convert(pairs, out=tmp_path / "once", phases=phases)
    again = convert(pairs, out=tmp_path / "again", phases=phases, runner="DirectRunner")
    assert files_of(once) == files_of(again)


@needs_beam
def test_what_is_wrong_with_an_image_is_one_sentence(pairs, tmp_path, phases):
    (pairs / "a3_mask.png").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"a3_mask\.png") as error:
        convert(pairs, out=tmp_path / "set", phases=phases, runner="DirectRunner")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "set").exists()


@needs_beam
def test_an_unknown_runner_is_refused(pairs, tmp_path, phases):
    with pytest.raises(InputError, match="NoRunner"):
        convert(pairs, out=tmp_path / "set", phases=phases, runner="NoRunner")


@needs_beam
@pytest.mark.skipif(not importlib.util.find_spec("distributed"), reason='pip install "cathode-tf[dask]"')
def test_dask_is_found_by_its_name_and_a_cluster_that_is_away_is_one_sentence(pairs, tmp_path, phases):
    _, pipeline = open_pipeline("DaskRunner")
    assert type(pipeline.runner).__name__ == "DaskRunner"
    options = ("--dask_client_address=tcp://127.0.0.1:9", "--dask_connection_timeout=1")
    with pytest.raises(InputError, match="must reach a running cluster"):
        convert(pairs, out=tmp_path / "set", phases=phases, runner="DaskRunner", runner_options=options)
    assert not (tmp_path / "set").exists()


@needs_beam
def test_without_dask_the_message_says_how_to_get_it(pairs, tmp_path, phases, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "distributed" else real(name)
    )
    with pytest.raises(InputError, match=r"cathode-tf\[dask\]"):
        convert(pairs, out=tmp_path / "set", phases=phases, runner="DaskRunner")


@pytest.mark.skipif(installed, reason="Apache Beam is installed")
def test_without_beam_the_message_says_how_to_get_it(pairs, tmp_path, phases):
    with pytest.raises(InputError, match=r"cathode-tf\[beam\]"):
        convert(pairs, out=tmp_path / "set", phases=phases, runner="DirectRunner")
