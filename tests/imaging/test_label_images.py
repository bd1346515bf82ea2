"""Label image files: written and read back; what is none is told."""

import numpy as np
import pytest
import tifffile

from cathode_tf import InputError
from cathode_tf.imaging.label_images import read_labels, write_labels


def test_labels_come_back_as_they_were(tmp_path):
    labels = np.random.default_rng(0).integers(0, 100_000, (20, 30)).astype(np.int32)
    assert np.array_equal(read_labels(write_labels(tmp_path / "a_labels.tif", labels)), labels)
    with pytest.raises(InputError, match="exists"):
        write_labels(tmp_path / "a_labels.tif", labels)


@pytest.mark.parametrize("wrong", [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.float32)])
def test_other_images_are_refused(tmp_path, wrong):
    tifffile.imwrite(tmp_path / "a.tif", wrong)
    with pytest.raises(InputError, match="label image"):
        read_labels(tmp_path / "a.tif")
    with pytest.raises(InputError, match="0 to"):
        read_labels(write_labels(tmp_path / "b.tif", np.full((2, 2), -1)))
    (tmp_path / "c.tif").write_bytes(b"no image")
    with pytest.raises(InputError, match="cannot be read"):
        read_labels(tmp_path / "c.tif")
