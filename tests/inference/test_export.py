"""An exported SavedModel stands alone and gives the Python API's bytes."""

import subprocess
import sys

import numpy as np
import pytest

from cathode_tf import InputError
from cathode_tf.inference import Segmenter, export_savedmodel
from cathode_tf.learning.prior import Prior


def test_versions_count_up_and_are_never_replaced(exported, small_tiles):
    assert exported.name == "1"
    with pytest.raises(InputError, match="must not hold the version"):
        export_savedmodel(small_tiles, exported.parent, version=1)


@pytest.mark.slow
def test_the_savedmodel_answers_without_this_package(exported, small_tiles, image, tmp_path):
    pixels = image(150, 170)
    np.save(tmp_path / "image.npy", pixels)
    code = f"""
import sys, json
import numpy as np, tensorflow as tf
model = tf.saved_model.load({str(exported)!r})
out = model.signatures["serving_default"](image=tf.constant(np.load({str(tmp_path / "image.npy")!r})[None, ..., None]))
np.savez({str(tmp_path / "out.npz")!r}, **{{k: v.numpy() for k, v in out.items()}})
print(json.loads(model.signatures["describe"]()["card"].numpy())["phases"][1]["name"])
assert not [name for name in sys.modules if name.startswith("cathode_tf")]
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "ncm"
    with np.load(tmp_path / "out.npz") as served:
        expected = small_tiles.segment(pixels)
        np.testing.assert_array_equal(served["mask"][0], expected.mask)
        np.testing.assert_array_equal(served["margin"][0], expected.margin)
        np.testing.assert_allclose(
            served["phase_fractions"][0], list(expected.phase_fractions.values()), atol=1e-6
        )


@pytest.mark.slow
def test_a_segmenter_of_the_savedmodel_is_the_segmenter_that_was_exported(exported, small_tiles, image):
    for folder in (exported, exported.parent):
        again = Segmenter(folder)
        assert again.phases == small_tiles.phases and again.grid == small_tiles.grid
        a, b = again.segment(image(140, 60)), small_tiles.segment(image(140, 60))
        np.testing.assert_array_equal(a.mask, b.mask)
        np.testing.assert_array_equal(a.entropy, b.entropy)
        assert a.score == b.score


def test_a_savedmodel_cut_short_is_one_sentence(exported, tmp_path):
    (tmp_path / "saved_model.pb").write_bytes((exported / "saved_model.pb").read_bytes()[:1000])
    with pytest.raises(InputError, match="whole SavedModel"):
        Segmenter(tmp_path)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (500, 3), (17, 23), (200, 140)])
def test_tile_by_tile_gives_the_same_bytes_as_one_call_of_the_graph(small_tiles, image, shape):
    """The one is what Python and the shell do, the other what a server does."""
    pixels = image(*shape)
    tiles = small_tiles.segment(pixels)
    whole = small_tiles.graph.segment(pixels[None, ..., None])
    for name in ("mask", "margin", "entropy"):
        assert getattr(tiles, name).shape == shape
        np.testing.assert_array_equal(whole[name][0], getattr(tiles, name))
    assert tiles.score == whole["score"][0]
    np.testing.assert_allclose(whole["phase_fractions"][0], list(tiles.phase_fractions.values()), atol=1e-6)


@pytest.mark.slow
def test_a_model_whose_start_model_keeps_its_say_is_exported_whole(tiny, image, tmp_path):
    pooled = Prior(tiny(seed=1), tiny(seed=2)).pooled(0.4)
    here, served = Segmenter(pooled), Segmenter(export_savedmodel(Segmenter(pooled), tmp_path / "pooled"))
    pixels = image(90, 70)
    np.testing.assert_array_equal(served.segment(pixels).mask, here.segment(pixels).mask)
    assert (here.segment(pixels).mask != Segmenter(tiny(seed=1)).segment(pixels).mask).any()
    assert served.card["prior"]["weight"] == 0.4
