"""The page that corrects particles: what it tells, edits that last and can be taken back, and whom it refuses."""

import numpy as np
import pytest

from cathode_tf.imaging.label_images import read_labels
from cathode_tf.review.drafts import Draft
from cathode_tf.review.particles import ParticleSheet
from cathode_tf.review.runs import Stroke, encode_stroke

ME = {"session": "session-of-ann", "who": "ann"}


@pytest.fixture
def image(small_project, monkeypatch):
    """Its particles are two blocks that touch, found as one."""

    def separate(mask, phases, pixels, network=None):
        labels = np.zeros(mask.shape, np.int32)
        labels[10:30, 10:50] = 1
        return labels

    monkeypatch.setattr("cathode_tf.inference.separation.separate", separate)
    return next(iter(small_project.state.images.values()))


@pytest.fixture
def reach(client, image):
    """Asks for the particles of the image, or posts an edit."""
    path = f"/api/images/{image.key}/particles"
    return lambda **edit: client.post(path, json={**ME, **edit}) if edit else client.get(path)


def test_split_merge_redraw_undo_and_a_reload(reach, small_project, image):
    assert reach().json()["count"] == 1
    split = reach(kind="split", points=[[5, 30], [35, 30]]).json()
    assert (split["count"], split["steps"], len(split["outlines"])) == (2, 1, 2)
    redrawn = reach(kind="redraw", points=[[32, 2], [32, 8], [38, 8], [38, 2]]).json()
    assert redrawn["count"] == 3
    merged = reach(kind="merge", points=[[20, 15], [20, 45]]).json()
    assert (merged["count"], merged["steps"], merged["stale"]) == (2, 3, False)
    assert reach(kind="undo").json()["count"] == 3
    # Another sheet knows it all from the disk, as after a killed server.
    sheet = ParticleSheet(small_project, image)
    assert sheet.view()["steps"] == 2 and sheet.view()["undone"] == 1
    labels = read_labels(sheet.result)
    assert np.array_equal(labels, sheet.labels()) and (labels[32:39, 2:9] == 3).all()
    assert reach(kind="redo").json()["steps"] == 3
    assert reach(kind="anew").json()["steps"] == 0


def test_a_mask_that_changed_since_is_told(reach, small_project, image):
    reach()
    stroke = encode_stroke(Stroke("do", np.array([0]), np.array([8]), np.array([1]), np.array([0])))
    Draft(small_project, image).append(stroke, 0, who="ann")
    assert reach().json()["stale"]


@pytest.mark.parametrize(
    ("edit", "status", "message"),
    [
        ({"kind": "split", "points": [[0, 0], [0, 5]]}, 400, "parts none"),
        ({"kind": "split", "points": [[0, 0]]}, 400, "2 to"),
        ({"kind": "split", "points": "across"}, 400, "points"),
        ({"kind": "shred", "points": [[0, 0], [9, 9]]}, 400, "split, merge, redraw"),
        ({"kind": "undo"}, 400, "no step to undo"),
        ({"kind": 3}, 400, "kind of edit"),
    ],
)
def test_wrong_edits_are_told_and_change_nothing(reach, edit, status, message):
    before = reach().json()
    answer = reach(**edit)
    assert answer.status_code == status and message in answer.text
    assert reach().json() == before


def test_another_tab_at_work_and_unknown_images_are_refused(reach, client, image):
    reach(kind="split", points=[[5, 30], [35, 30]])
    other = {"session": "session-of-bob", "who": "bob", "kind": "undo"}
    assert client.post(f"/api/images/{image.key}/particles", json=other).status_code == 409
    assert client.get("/api/images/0123456789abcdef/particles").status_code == 404
    assert client.get("/particles").status_code == 200
