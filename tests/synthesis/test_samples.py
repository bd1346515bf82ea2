"""Sections keep their promises: shapes, fractions, particles, reproducibility, files."""

import json

import numpy as np
import pytest
import tifffile

from cathode_tf import InputError, Phases, read_mask, read_micrograph, synthesize
from cathode_tf.synthesis import Parameters, write_samples


@pytest.fixture(scope="module")
def sample():
    return synthesize(seed=3, height=192, width=256)[0]


def test_arrays_agree_in_shape_and_type(sample):
    assert sample.image.shape == sample.mask.shape == sample.labels.shape == (192, 256)
    assert (sample.image.dtype, sample.mask.dtype, sample.labels.dtype) == (np.uint8, np.uint8, np.int32)
    sample.phases.check_mask(sample.mask)


def test_phase_fractions_are_met_to_a_pixel():
    parameters = Parameters(ncm_fraction=0.5, additive_fraction=0.1, binder_fraction=0.05)
    sample = synthesize(seed=1, height=200, width=200, parameters=parameters)[0]
    # 200 * 200 = 40000 pixels: 20000 ncm, 4000 additive, 2000 binder, 14000 pore.
    assert np.bincount(sample.mask.ravel(), minlength=4).tolist() == [14000, 20000, 4000, 2000]


def test_same_seed_same_sample_whatever_the_count(sample):
    again = synthesize(5, seed=3, height=192, width=256)
    assert np.array_equal(again[0].image, sample.image) and again[0].truth == sample.truth
    assert not np.array_equal(again[1].mask, sample.mask)


def test_particles_of_the_label_image_are_those_of_the_truth(sample):
    assert set(np.unique(sample.labels)) - {0} == {row["label"] for row in sample.truth["particles"]}
    assert ((sample.labels > 0) >= (sample.mask == sample.phases["ncm"].id)).all()


def test_files_are_read_back_with_pixel_size(sample, tmp_path):
    out = write_samples([sample], tmp_path / "sections")
    micrograph = read_micrograph(out / "images" / f"{sample.id}.tif")
    assert micrograph.pixel_size_nm == pytest.approx(sample.pixel_size_nm)
    assert np.array_equal(micrograph.pixels, sample.image)
    phases = Phases.from_toml(out / "phases.toml")
    assert np.array_equal(read_mask(out / "masks" / f"{sample.id}.png", phases), sample.mask)
    assert np.array_equal(tifffile.imread(out / "labels" / f"{sample.id}.tif"), sample.labels)
    assert sample.id in json.loads((out / "truth.json").read_text())


@pytest.mark.parametrize("changes", [{"ncm_fraction": 1.2}, {"ncm_fraction": 0.9, "binder_fraction": 0.2}])
def test_impossible_parameters_are_refused(changes):
    with pytest.raises(InputError, match="synthesis"):
        Parameters(**changes)


@pytest.mark.parametrize("bad", [{"count": 0}, {"height": 8}, {"seed": -1}])
def test_impossible_requests_are_refused(bad):
    with pytest.raises(InputError, match="synthesis"):
        synthesize(**bad)
