"""Batches whose content can be told from the image they were cut from."""

import itertools
import time

import cv2
import numpy as np
import pytest
import tensorflow as tf
import tifffile

from cathode_tf.datasets import convert, image_statistics, open_records, patches, standardize
from cathode_tf.datasets.sampling import PatchSampler
from cathode_tf.errors import InputError
from cathode_tf.phases import Phases

from .conftest import stripes, write_pair

PLAIN = {"patch_px": 16, "batch": 8, "seed": 0, "turns": False, "balanced": False, "memory_mb": 100}


def take(iterable, count):
    return list(itertools.islice(iterable, count))


def test_a_patch_is_a_cut_of_an_image_standardised_by_the_whole_of_it(records_path):
    records = open_records(records_path)
    whole = [
        (standardize(e.image, *image_statistics(e.image)), records.phases.to_indices(e.mask))
        for e in records.examples("train")
    ]
    image, target = next(iter(patches(records, patch_px=16, batch=8, augment=False)))
    assert (image.shape, image.dtype) == ((8, 16, 16, 1), tf.float32)
    assert (target.shape, target.dtype) == ((8, 16, 16), tf.uint8)
    for patch, classes in zip(image.numpy()[..., 0], target.numpy(), strict=True):
        assert any(
            (z[row : row + 16, column : column + 16] == patch).all()
            and (t[row : row + 16, column : column + 16] == classes).all()
            for z, t in whole
            for row in range(25)
            for column in range(49)
        )


@pytest.mark.parametrize(
    ("memory_mb", "augment"),
    [
        (1, False),
        (2048, True),
        pytest.param(2048, False, marks=pytest.mark.slow),
        pytest.param(1, True, marks=pytest.mark.slow),
    ],
)
def test_a_seed_gives_the_same_batches_again(records_path, memory_mb, augment):
    records = open_records(records_path)

    def batches(seed):
        data = patches(records, patch_px=16, batch=8, seed=seed, augment=augment, memory_mb=memory_mb)
        return [(image.numpy(), target.numpy()) for image, target in data.take(5)]

    for first, second in zip(batches(1), batches(1), strict=True):
        np.testing.assert_array_equal(first[0], second[0])
        np.testing.assert_array_equal(first[1], second[1])
    assert (batches(1)[0][0] != batches(2)[0][0]).any()


@pytest.mark.parametrize(
    ("memory_mb", "first_step"),
    [
        (1, 60),
        pytest.param(1, 1, marks=pytest.mark.slow),
        pytest.param(2048, 1, marks=pytest.mark.slow),
        pytest.param(2048, 60, marks=pytest.mark.slow),
    ],
)
def test_a_training_that_goes_on_sees_the_batches_it_would_have_seen(tmp_path, memory_mb, first_step):
    records = grey_set(tmp_path / "in", 12, size=400)
    options = {"patch_px": 16, "batch": 16, "memory_mb": memory_mb}
    whole = list(patches(records, **options).take(first_step + 3))[first_step:]
    rest = list(patches(records, first_step=first_step, **options).take(3))
    for one, other in zip(whole, rest, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


def grey_set(folder, count, size=64):
    """Images of one grey value each, 10 x their number, so that a patch tells where it is from."""
    import cv2

    folder.mkdir()
    for index in range(count):
        cv2.imwrite(str(folder / f"g{index}.png"), np.full((size, size), 10 * index, np.uint8))
        cv2.imwrite(str(folder / f"g{index}_mask.png"), np.full((size, size), index % 4, np.uint8))
    return open_records(convert(folder, out=folder / "set", phases=Phases.default(), split="1/0/0"))


def test_batches_mix_images_and_all_images_count_the_same(tmp_path):
    records = grey_set(tmp_path / "in", 20)
    sampler = PatchSampler(records, "train", **PLAIN)
    batches = take(sampler, 500)
    origins = np.array([batch.pixels[:, 0, 0] // 10 for batch in batches])
    assert np.mean([len(set(row)) for row in origins]) > 5  # of 8; 6.7 expected from 20 at random
    counts = np.bincount(origins[40:].ravel(), minlength=20)
    assert counts.min() > 0.7 * counts.mean()
    assert counts.max() < 1.4 * counts.mean()


def test_a_set_larger_than_the_memory_given_is_gone_through_round_by_round(tmp_path):
    # 20 images of 400 x 400 take 320 kB each with their masks: 3 fit into 1 MB.
    records = grey_set(tmp_path / "in", 20, size=400)
    sampler = PatchSampler(records, "train", **PLAIN | {"memory_mb": 1})
    assert not sampler.fits
    # An image leaves for the next after 64 patches = 8 batches: 20 images take 160 batches.
    origins = np.array([batch.pixels[:, 0, 0] // 10 for batch in take(sampler, 400)])
    assert set(origins[:200].ravel()) == set(range(20))
    assert max(len(set(row)) for row in origins[20:]) <= 3
    counts = np.bincount(origins.ravel(), minlength=20)
    assert counts.min() > 0.4 * counts.mean()


def test_memory_that_is_used_again_mixes_no_images(tmp_path):
    """Image k holds k * 64 and noise below 64, which is stored unpacked, and phase k everywhere."""
    for index in range(4):
        noise = np.random.default_rng(index).integers(0, 64, (500 + 40 * index, 600), np.uint8)
        (tmp_path / "in").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "in" / f"a{index}.png"), noise + np.uint8(64 * index))
        cv2.imwrite(str(tmp_path / "in" / f"a{index}_mask.png"), np.full(noise.shape, index, np.uint8))
    path = convert(tmp_path / "in", out=tmp_path / "set", phases=Phases.default(), split="1/0/0")
    sampler = PatchSampler(open_records(path), "train", **PLAIN | {"memory_mb": 1})
    for batch in itertools.islice(sampler, 200):
        np.testing.assert_array_equal(batch.pixels // 64, batch.target)


def test_images_smaller_than_a_patch_are_mirrored_and_what_was_added_is_ignored(records_path):
    records = open_records(records_path)
    batch = next(iter(PatchSampler(records, "train", **PLAIN | {"patch_px": 100})))
    # 40 x 64 in 100 x 100: 30 rows above and below, 18 columns on either side.
    inside = batch.target[:, 30:70, 18:82]
    assert (inside != 255).all()
    assert (batch.target != 255).sum() == inside.size
    np.testing.assert_array_equal(batch.pixels[:, 29], batch.pixels[:, 30])


def test_turns_keep_image_and_mask_together(records_path):
    records = open_records(records_path)
    seen = set()
    for batch in take(PatchSampler(records, "train", **PLAIN | {"turns": True}), 30):
        # Grey value 50 x id + noise below 20: pixels tell the class.
        np.testing.assert_array_equal(batch.pixels // 50, batch.target)
        for target in batch.target:
            seen.add("upright" if (target == target[:1]).all() else "lying")
    assert seen == {"upright", "lying"}


def test_warps_keep_image_and_mask_together(records_path):
    records = open_records(records_path)
    same = ignored = 0
    for batch in take(PatchSampler(records, "train", **PLAIN | {"warps": True}), 30):
        counts = batch.target != 255
        same += (batch.pixels // 50 == batch.target)[counts].mean() / 30
        ignored += 1 - counts.mean()
    # Interpolation mixes the two sides of a border, two pixels wide, in half of the patches.
    assert same > 0.9
    assert 0 < ignored / 30 < 0.3


@pytest.mark.filterwarnings("ignore:.*(covers .* of the area|no image shows|is brighter than)")
def test_balanced_batches_show_a_rare_phase(tmp_path):
    mask = np.zeros((300, 300), np.uint8)
    mask[7, 9] = 3
    for index in range(3):
        write_pair(tmp_path / "in", f"a{index}", mask)
    records = open_records(
        convert(tmp_path / "in", out=tmp_path / "s", phases=Phases.default(), split="1/0/0")
    )
    share = {}
    for balanced in (False, True):
        batches = take(PatchSampler(records, "train", **PLAIN | {"balanced": balanced}), 100)
        share[balanced] = np.mean([(target == 3).any() for batch in batches for target in batch.target])
    # By chance 7 x 9 of 285 x 285 places hold the pixel. A third is forced to the rare phase, nearly always.
    assert share[False] < 0.02
    assert 0.28 < share[True] < 0.38


def test_patches_without_any_label_are_not_cut_where_others_are(tmp_path):
    mask = np.full((400, 400), 255, np.uint8)
    mask[:20, :20] = 1
    write_pair(tmp_path / "in", "a", mask)
    records = open_records(
        convert(tmp_path / "in", out=tmp_path / "s", phases=Phases.default(), split="1/0/0")
    )
    for batch in take(PatchSampler(records, "train", **PLAIN), 20):
        assert (batch.target != 255).any(axis=(1, 2)).all()


def test_a_set_without_labels_is_refused(tmp_path):
    write_pair(tmp_path / "in", "a", np.full((20, 20), 255, np.uint8))
    records = open_records(
        convert(tmp_path / "in", out=tmp_path / "s", phases=Phases.default(), split="1/0/0")
    )
    with pytest.raises(InputError, match="labelled pixels"):
        patches(records, patch_px=16)


@pytest.mark.parametrize("options", [{"patch_px": 0}, {"batch": 0}, {"memory_mb": 0}])
def test_numbers_below_one_are_refused(records_path, options):
    with pytest.raises(InputError, match=f"{next(iter(options))}: must be at least 1"):
        patches(open_records(records_path), **options)


def test_images_of_another_pixel_size_are_resampled(tmp_path):
    """Stripes of 16 px at 10 nm, and the same of 32 px at 5 nm: at 10 nm all are 16 px wide."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name, mask, per_um in (("a", stripes(), 100), ("b", stripes(80, 128), 200)):
        image = (50 * mask).astype(np.uint8)
        tifffile.imwrite(
            folder / f"{name}.tif",
            image,
            imagej=True,
            resolution=(per_um, per_um),
            metadata={"unit": "um"},
        )
        cv2.imwrite(str(folder / f"{name}_mask.png"), mask)
    path = convert(folder, out=tmp_path / "s", phases=Phases.default(), split="1/0/0", databar="none")
    records = open_records(path)
    for batch in take(PatchSampler(records, "train", **PLAIN | {"patch_px": 40}, pixel_size_nm=10.0), 4):
        for pixels, target in zip(batch.pixels, batch.target, strict=True):
            inner = np.diff(np.flatnonzero(np.diff(target[0].astype(int))))
            assert inner.size and set(inner) == {16}
            assert np.abs(pixels.astype(int) - 50 * target.astype(int)).max() == 0


def test_an_empty_split_is_refused(records_path):
    with pytest.raises(InputError, match="images in 'nothing'"):
        patches(open_records(records_path), "nothing")


@pytest.mark.filterwarnings("ignore:.*(covers .* of the area|no image shows|is brighter than)")
def test_ids_become_class_indices(tmp_path):
    phases = Phases.from_list([{"name": "ncm", "id": 7}, {"name": "pore", "id": 2}])
    mask = np.where(stripes() < 2, 7, 2).astype(np.uint8)
    write_pair(tmp_path / "in", "a", mask)
    records = open_records(convert(tmp_path / "in", out=tmp_path / "s", phases=phases, split="1/0/0"))
    _, target = next(iter(patches(records, patch_px=32, batch=4, augment=False)))
    assert set(np.unique(target)) == {0, 1}


def test_a_dataset_that_is_left_early_ends_its_threads(records_path):
    import threading

    before = threading.active_count()
    for seed in range(3):
        next(iter(PatchSampler(open_records(records_path), "train", **PLAIN | {"seed": seed})))
    for _ in range(50):
        if threading.active_count() <= before:
            break
        time.sleep(0.1)
    assert threading.active_count() <= before
