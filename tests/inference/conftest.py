"""A tiny network with random weights: what is tested here is where its answers go, not how good they are."""

import cv2
import numpy as np
import pytest

from cathode_tf.phases import Phases


@pytest.fixture(scope="session")
def tiny():
    def make(phases=None, **options):
        from cathode_tf.learning import build_unet

        return build_unet(phases or Phases.default(), **{"filters": (4, 8), "seed": 3, **options})

    return make


@pytest.fixture(scope="session")
def model(tiny):
    return tiny()


@pytest.fixture(scope="session")
def segmenter(model):
    from cathode_tf.inference import Segmenter

    return Segmenter(model)


@pytest.fixture(scope="session")
def small_tiles(model):
    """The same network with small tiles, so that small images need several."""
    from cathode_tf.inference import Segmenter

    return Segmenter(model, tile_px=128)


@pytest.fixture(scope="session")
def exported(small_tiles, shared):
    """`small_tiles` as version 1 of a SavedModel: ten seconds of tracing and writing, so once for all."""
    from cathode_tf.inference import export_savedmodel

    return shared("models", lambda folder: export_savedmodel(small_tiles, folder / "tiny")) / "tiny" / "1"


@pytest.fixture
def image():
    """Blobs of three grey levels and noise, uint16 (height, width)."""

    def make(height, width, seed=0):
        rng = np.random.default_rng(seed)
        blobs = np.kron(rng.integers(0, 3, (-(-height // 16), -(-width // 16))), np.ones((16, 16)))
        noise = rng.normal(0, 300, (height, width))
        return (8000 + 4000 * blobs[:height, :width] + noise).clip(0, 65535).astype(np.uint16)

    return make


@pytest.fixture
def images(image, tmp_path):
    """A folder of three images."""
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(3):
        cv2.imwrite(str(folder / f"i{index}.png"), image(40, 50, index))
    return folder
