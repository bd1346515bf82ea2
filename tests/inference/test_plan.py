"""What segmenting a folder will do, as a value: which images, how, and what is done already."""

import cv2
import pytest

from cathode_tf import InputError, Phases
from cathode_tf.inference.folders import segment_files
from cathode_tf.inference.plan import Manner, plan_segmentation

pytestmark = pytest.mark.usefixtures("untraced")


def files_of(folder):
    return {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))}


def test_a_plan_tells_what_is_done_and_what_is_not(segmenter, images, image, tmp_path):
    out = tmp_path / "out"
    segment_files(segmenter, [images], out)
    cv2.imwrite(str(images / "i1.png"), image(24, 32, 9))
    (images / "i2.png").rename(images / "renamed.png")
    cv2.imwrite(str(out / "i0_mask.png"), image(24, 32))  # corrected, say
    before = files_of(tmp_path)
    plan = plan_segmentation(segmenter, [images], out, Manner(), resume=True)
    assert files_of(tmp_path) == before
    assert [task.path.name for task in plan.tasks] == ["i1.png"]
    assert [task.path.name for task in plan.done] == ["renamed.png"]
    assert [(path.name, name) for path, name in plan.kept] == [("i0.png", "i0_mask.png")]
    said = str(plan).splitlines()
    assert said[0].startswith("1 image to segment") and "Done before: renamed.png." in said
    other = plan_segmentation(segmenter, [images], out, Manner(uncertainty=True), resume=True)
    assert [task.path.name for task in other.tasks] == ["i1.png", "renamed.png"]  # another manner, other work


def test_without_resume_nothing_may_be_there(segmenter, images, tmp_path):
    segment_files(segmenter, [images / "i0.png"], tmp_path / "out")
    with pytest.raises(InputError, match="exists already"):
        plan_segmentation(segmenter, [images], tmp_path / "out", Manner())
    plan = plan_segmentation(segmenter, [images], tmp_path / "out", Manner(), force=True)
    assert plan.replaces and len(plan.tasks) == 3


def test_a_manner_that_cannot_be_is_refused_at_once(segmenter, images, tmp_path):
    for wrong, message in (({"draws": 1}, "at least 2"), ({"pixel_size_nm": 0.0}, "must be above 0")):
        with pytest.raises(InputError, match=message):
            Manner(**wrong)
    with pytest.raises(InputError, match="two names or roles"):
        plan_segmentation(segmenter, [images], tmp_path / "out", Manner(phases=Phases.from_names(("a", "b"))))
