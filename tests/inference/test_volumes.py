"""Stacks: drift and flicker that are known by construction, and label volumes in every form."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import tifffile
import zarr

from cathode_tf import InputError
from cathode_tf.imaging.stories import CHANGED, MODEL, stories_beside
from cathode_tf.imaging.volume_writing import write_tiff_volume
from cathode_tf.imaging.volumes import FolderVolume, TiffVolume, open_volume, trust_beside
from cathode_tf.inference.segmentation import Segmentation
from cathode_tf.inference.volumes import segment_volume
from cathode_tf.phases import Phases
from cathode_tf.reporting import write_volume_report
from cathode_tf.volumes import Trust, analyze_volume
from cathode_tf.volumes import open_volume as open_labels
from cathode_tf.volumes.trust import QUANTITIES


class Threshold:
    """Stands for a segmenter: bright is ncm, dark is pore, and it is sure of it."""

    phases = Phases.from_names(("pore", "ncm"))
    card: ClassVar = {"title": "Half-way"}
    sources: tuple[str, ...] = ()
    fingerprint = "0"

    def segment(self, image):
        mask = (image.pixels > 100).astype(np.uint8)
        return Segmentation(mask, np.full_like(mask, 255), np.zeros_like(mask), {}, 0.0)

    def probabilities(self, image):
        return np.eye(2, dtype=np.float32)[(image.pixels > 100).astype(int)]


def stack(path: Path, slices: np.ndarray) -> TiffVolume:
    tifffile.imwrite(path, slices, photometric="minisblack")
    return TiffVolume(path)


def blobs(height=96, width=80, seed=0):
    rng = np.random.default_rng(seed)
    return (np.kron(rng.integers(0, 2, (height // 8, width // 8)), np.ones((8, 8))) * 150 + 40).astype(
        np.uint8
    )


def test_labels_fractions_and_pages(tmp_path):
    slices = np.stack([blobs(seed=seed) for seed in range(4)])
    result = segment_volume(Threshold(), stack(tmp_path / "s.tif", slices), tmp_path / "s_mask.tif")
    labels = tifffile.imread(result.path)
    np.testing.assert_array_equal(labels, slices > 100)
    assert result.phase_fractions["ncm"] == pytest.approx((slices > 100).mean())
    content = json.loads((tmp_path / "s_mask.json").read_text())
    assert content["shape"] == [4, 96, 80] and content["voxel_nm"] == [None, None, None]
    story = stories_beside([result.path])[0]
    assert story.origin == MODEL and story.model["title"] == "Half-way"
    assert story.image["path"] == str(tmp_path / "s.tif")
    result.path.write_bytes(result.path.read_bytes() + b" ")
    assert stories_beside([result.path])[0].origin == CHANGED
    with pytest.raises(InputError, match="exists already"):
        segment_volume(Threshold(), TiffVolume(tmp_path / "s.tif"), tmp_path / "s_mask.tif")


@pytest.mark.slow
def test_trust_goes_from_the_reconstruction_into_the_report(tmp_path):
    slices = np.stack([blobs(seed=seed) for seed in range(4)])
    volume = stack(tmp_path / "v.tif", slices)
    changes = dict.fromkeys(QUANTITIES, 0.0123)
    trust = Trust(
        dict.fromkeys(QUANTITIES, 0.5),
        "1/um",
        (("drift", "each step by 0.10 px", changes),),
        changes,
        (105.0,),
        (4, 96, 80),
    )
    (tmp_path / "v.json").write_text(json.dumps({"voxel_nm": [20, 10, 10], "trust": asdict(trust)}))
    result = segment_volume(Threshold(), volume, tmp_path / "v_mask.tif")
    found = trust_beside(result.path)
    assert found is not None and Trust.from_dict(found) == trust
    assert trust_beside(tmp_path / "nowhere.tif") is None
    with pytest.raises(InputError, match="must be as reconstruct wrote it"):
        Trust.from_dict({"rows": []})
    with open_labels(result.path, Threshold.phases) as labels:
        analysis = analyze_volume(labels, thickness=False, fragmentation=False)
    page = write_volume_report(analysis, tmp_path / "r.html", trust=Trust.from_dict(found)).read_text()
    assert "How far to trust this volume" in page and "each step by 0.10 px" in page
    assert "How far to trust" not in write_volume_report(analysis, tmp_path / "plain.html").read_text()


def test_flicker_is_reported_and_smoothed(tmp_path):
    slices = np.stack([blobs()] * 5)
    slices[2, :12, :8] = 230 - slices[2, :12, :8]  # 96 of 7680 pixels change sides for one slice
    volume = stack(tmp_path / "f.tif", slices)
    raw = segment_volume(Threshold(), volume, tmp_path / "raw.tif")
    assert raw.flicker == [0, 0, pytest.approx(96 / 7680), 0, 0]
    segment_volume(Threshold(), volume, tmp_path / "smooth.tif", smooth=True)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "smooth.tif"), np.stack([blobs() > 100] * 5))


def test_three_axes_agree_where_every_axis_does(tmp_path):
    rng = np.random.default_rng(1)
    cubes = np.kron(rng.integers(0, 2, (3, 4, 5)), np.ones((6, 6, 6))).astype(np.uint8) * 150 + 40
    result = segment_volume(
        Threshold(), stack(tmp_path / "c.tif", cubes), tmp_path / "c3.tif", three_axes=True
    )
    np.testing.assert_array_equal(tifffile.imread(result.path), cubes > 100)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.tif", "c3.json", "c3.tif", "masks.json"]


def test_three_axes_average_the_networks_probabilities(segmenter, tmp_path, image):
    slices = (np.stack([image(20, 24, seed) for seed in range(16)]) >> 8).astype(np.uint8)
    result = segment_volume(segmenter, stack(tmp_path / "n.tif", slices), tmp_path / "o.tif", three_axes=True)
    mean = np.zeros((16, 20, 24, 4))
    for axis, length in enumerate(slices.shape):
        for index in range(length):
            found = segmenter.probabilities(np.ascontiguousarray(slices.take(index, axis)))
            np.moveaxis(mean, axis, 0)[index] += found / 3
    assert (tifffile.imread(result.path) == mean.argmax(-1)).mean() > 0.999
    assert 0 < result.score < 1


def test_folders_are_volumes_and_odd_ones_are_refused(tmp_path):
    import cv2

    folder = tmp_path / "slices"
    folder.mkdir()
    for index in (2, 10, 1):
        cv2.imwrite(str(folder / f"s{index}.png"), np.full((8, 8), index * 20, np.uint8))
    volume = open_volume(folder)
    assert [int(pixels[0, 0]) for pixels in volume.slices()] == [20, 40, 200]
    cv2.imwrite(str(folder / "s11.png"), np.zeros((8, 9), np.uint8))
    with pytest.raises(InputError, match="must be of one size"):
        list(open_volume(folder).slices())
    with pytest.raises(InputError, match="at least one slice"):
        FolderVolume([])
    tifffile.imwrite(tmp_path / "flat.tif", np.zeros((4, 4), np.uint8))
    with pytest.raises(InputError, match="must be a stack"):
        TiffVolume(tmp_path / "flat.tif")


@pytest.mark.parametrize("photometric", ["miniswhite", "palette"])
def test_slices_are_the_grey_values_that_samples_stand_for(tmp_path, photometric):
    slices = np.stack([blobs(seed=seed) for seed in range(3)])
    # In both forms sample s stands for the grey value 255 - s.
    ramp = np.arange(255, -1, -1, dtype=np.uint16) * 257
    colors = {"colormap": np.stack([ramp] * 3)} if photometric == "palette" else {}
    with tifffile.TiffWriter(tmp_path / "s.tif") as writer:
        for pixels in slices:
            writer.write(255 - pixels, photometric=photometric, **colors)
    result = segment_volume(Threshold(), TiffVolume(tmp_path / "s.tif"), tmp_path / "s_mask.tif")
    np.testing.assert_array_equal(tifffile.imread(result.path), slices > 100)


def test_ome_zarr_in_and_out(tmp_path):
    slices = np.stack([blobs(seed=seed) for seed in range(3)])
    group = zarr.open_group(str(tmp_path / "v.zarr"), mode="w", zarr_format=2)
    group.create_array("0", shape=(1, 1, *slices.shape), dtype="uint8")[:] = slices[None, None]
    result = segment_volume(Threshold(), open_volume(tmp_path / "v.zarr"), tmp_path / "labels.zarr")
    segment_volume(Threshold(), open_volume(tmp_path / "v.zarr"), tmp_path / "labels.zarr", force=True)
    (tmp_path / "other.zarr").mkdir()
    (tmp_path / "other.zarr" / "photo.png").write_text("mine")
    with pytest.raises(InputError, match=r"also photo\.png"):
        segment_volume(Threshold(), open_volume(tmp_path / "v.zarr"), tmp_path / "other.zarr", force=True)
    np.testing.assert_array_equal(zarr.open(str(result.path), mode="r")["0"][:], slices > 100)
    again = open_volume(tmp_path / "labels.zarr")
    assert again.shape == slices.shape


def test_voxel_edges_of_the_slices_are_those_of_the_labels(tmp_path):
    slices = np.stack([blobs(seed=seed) for seed in range(3)])
    write_tiff_volume(tmp_path / "g.tif", slices, slices.shape, np.uint8, (30.0, 10.0, 10.0))
    for name in ("l.tif", "l.zarr"):
        result = segment_volume(Threshold(), open_volume(tmp_path / "g.tif"), tmp_path / name)
        assert result.voxel_nm == pytest.approx((30.0, 10.0, 10.0))
        (tmp_path / "l.json").unlink()
        with open_labels(result.path, Threshold.phases) as labels:
            assert labels.voxel_size_nm == pytest.approx((30.0, 10.0, 10.0))
    described = zarr.open(str(tmp_path / "l.zarr"), mode="r").attrs["image-label"]
    assert described["properties"][1] == {"label-value": 1, "phase": "ncm"}
