"""Other editors: what goes out comes back, pixel for pixel."""

import numpy as np
import pytest
import tifffile

from cathode_tf import InputError, Phases
from cathode_tf.files import read_json
from cathode_tf.rounds import create_project, export_masks, import_masks, record_review
from cathode_tf.rounds.exchange import FORMATS


@pytest.mark.filterwarnings("ignore:.*what counts is a prediction")
@pytest.mark.parametrize("format", FORMATS)
def test_masks_come_back_pixel_exact(small_project, tmp_path, format):
    project = small_project
    rng = np.random.default_rng(0)
    speckled = rng.choice(np.array([0, 1, 2, 3, 255], np.uint8), (48, 64))
    key = next(iter(project.state.images))
    record_review(project, key, "accept", mask=speckled)
    out = export_masks(project, tmp_path / "out", format=format)
    assert len(list((out / "images").iterdir())) == 4
    record_review(project, key, "accept", mask=project.truth)
    changed = import_masks(project, out, who="ann", minutes=4)
    image = project.image(key)
    assert np.array_equal(project.mask(image), speckled)
    assert len(changed) == 4 and image.annotator == "ann"
    assert import_masks(project, out) == []  # nothing new


def test_label_studio_gets_all_tasks_in_one_file(small_project, tmp_path):
    out = export_masks(small_project, tmp_path / "out", format="label-studio")
    assert len(read_json(out / "tasks.json")) == 4


@pytest.mark.filterwarnings("ignore:.*what counts is a prediction")
@pytest.mark.parametrize("format", FORMATS)
def test_two_images_of_one_name_do_not_replace_each_other(tmp_path, format):
    masks = [np.full((16, 20), id_, np.uint8) for id_ in (1, 2)]
    for folder, mask in zip(("mon", "tue"), masks, strict=True):
        (tmp_path / folder).mkdir()
        tifffile.imwrite(tmp_path / folder / "cell.tif", 50 * mask)
    folders = [tmp_path / "mon", tmp_path / "tue"]
    project = create_project(tmp_path / "project", Phases.default(), folders, test_share=0)
    keys = list(project.state.images)
    for key, mask in zip(keys, masks, strict=True):
        record_review(project, key, "accept", mask=mask)
    out = export_masks(project, tmp_path / "out", format=format)
    for key in keys:
        record_review(project, key, "accept", mask=np.zeros((16, 20), np.uint8))
    assert len(import_masks(project, out)) == 2
    assert all(np.array_equal(project.mask(project.image(k)), m) for k, m in zip(keys, masks, strict=True))


def test_napari_may_save_wider_integers(small_project, tmp_path):
    (tmp_path / "back").mkdir()
    name = next(iter(small_project.state.images.values())).name
    tifffile.imwrite(tmp_path / "back" / f"{name}.tif", small_project.truth.astype(np.int32))
    [image] = import_masks(small_project, tmp_path / "back")
    assert np.array_equal(small_project.mask(image), small_project.truth)


def test_one_bad_file_stops_all_of_them(small_project, tmp_path):
    out = export_masks(small_project, tmp_path / "out")
    name = list(small_project.state.images.values())[-1].name
    tifffile.imwrite(out / "masks" / f"{name}.tif", np.full((48, 64), 9, np.uint8))
    (out / "masks" / f"{name}.png").unlink()
    with pytest.raises(InputError, match="9"):
        import_masks(small_project, out)
    assert not small_project.state.annotated()


def test_foreign_names_are_refused(small_project, tmp_path):
    (tmp_path / "other").mkdir()
    tifffile.imwrite(tmp_path / "other" / "unknown.tif", small_project.truth)
    with pytest.raises(InputError):
        import_masks(small_project, tmp_path / "other")
