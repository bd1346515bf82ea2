"""The page of random points, from its routes to what `analyze` makes of the answers."""

import cv2
import numpy as np
import pytest
from starlette.testclient import TestClient

from cathode_tf import InputError, Phases
from cathode_tf.analysis import analyze
from cathode_tf.analysis.checks import verification_beside, verify
from cathode_tf.imaging import write_mask
from cathode_tf.review.verify import build_verify_app, surroundings

PHASES = Phases.from_names(("pore", "ncm", "binder"))


@pytest.fixture
def masks(tmp_path):
    rng = np.random.default_rng(0)
    paths = []
    for name in "abc":
        mask = rng.choice(np.array([0, 1, 1, 2], np.uint8), (12, 12)).repeat(10, 0).repeat(10, 1)
        paths.append(write_mask(tmp_path / f"{name}_mask.png", mask, PHASES))
    return paths


def client_of(checks, paths):
    micrographs = {path.stem: np.arange(14400, dtype=np.uint16).reshape(120, 120) for path in paths}
    app = build_verify_app(checks, micrographs, token="t" * 24, hosts={"testserver"}, who="Ann")
    client = TestClient(app)
    client.get("/?token=" + "t" * 24)
    return client


def test_answers_are_kept_taken_back_and_resumed(masks):
    checks = verify(masks, PHASES, points=40)
    client = client_of(checks, masks)
    state = client.get("/api/verify").json()
    assert len(state["answers"]) == 40 and "With 40 points" in state["promise"]
    picture = client.get("/api/verify/0/view?wide=2").content
    assert cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE).shape == (320, 320)
    assert client.post("/api/verify/3", json={"reference": "ncm"}).json()["answers"][3] == "ncm"
    client.post("/api/verify/4", json={"reference": "?"})
    client.post("/api/verify/3", json={"reference": ""})
    again = verify(masks, PHASES, points=99)
    assert (len(again.table), again.labelled, again.by) == (40, 1, "Ann")
    assert client.post("/api/verify/3", json={"reference": "gold"}).status_code == 400
    assert client.post("/api/verify/400", json={"reference": "ncm"}).status_code == 400
    assert client.post("/api/verify/3", json=[]).status_code == 400
    assert client.get("/api/verify/400/view").status_code == 404
    assert TestClient(client.app).get("/api/verify").status_code == 401


def test_analyze_takes_what_was_found_and_leaves_it_where_masks_changed(masks):
    checks = verify(masks, PHASES, points=60)
    wrong = {"pore": "binder"}
    for point, mapped in enumerate(checks.table["mapped"]):
        checks.table.loc[point, "reference"] = wrong.get(mapped, mapped) if point % 3 else mapped
    checks.by = "Ann"
    checks.write()
    from cathode_tf.imaging import read_mask

    read = {path.stem: read_mask(path, PHASES) for path in masks}
    analysis = analyze(read, PHASES)
    hashes = {path.name: image.sha256 for path, image in zip(masks, analysis.images, strict=True)}
    found, why = verification_beside(masks, hashes)
    assert found is not None and not why

    from dataclasses import replace

    verified = replace(analysis, verification=found)
    assert verified.worth.verdict == "verified" and "checked at 60 random points" in verified.worth.sentence
    raw, corrected = verified.summary["fraction"]["pore"], verified.summary["fraction_by_points"]["pore"]
    assert corrected.value < raw.value
    # A band, never a correction: the value of a coverage stays, its interval grows.
    before, after = (a.summary["contact_fraction"]["ncm|pore"] for a in (analysis, verified))
    assert after.value == before.value and "BORDER_BAND" in after.flags
    assert after.ci[1] - after.ci[0] > before.ci[1] - before.ci[0]
    found, why = verification_beside(masks, {**hashes, "a_mask.png": "0" * 64})
    assert found is None and "other masks" in why
    write_mask(masks[0], np.zeros((120, 120), np.uint8), PHASES, force=True)
    with pytest.raises(InputError, match="must belong to these masks"):
        verify(masks, PHASES)


def test_the_point_lies_in_the_middle_and_beyond_the_frame_is_no_grey():
    tiny = np.array([[1, 2]], np.uint8)
    picture = surroundings(tiny, 0, 0, 6)
    assert picture.shape == (6, 6, 3) and picture[3, 3].tolist() == [1, 1, 1]
    assert picture[3, 4].tolist() == [2, 2, 2]
    # All but these two pixels lie beyond; blue is none of a micrograph's greys.
    assert (picture.max(-1) != picture.min(-1)).sum() == 34
