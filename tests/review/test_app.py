"""The server: what it tells the page, drafts that last, claims, decisions, and whom it refuses."""

import asyncio

import cv2
import numpy as np
import pytest

from cathode_tf.review import claims
from cathode_tf.review.drafts import Draft
from cathode_tf.review.runs import Stroke, decode_mask, encode_mask, encode_stroke
from cathode_tf.review.views import Views, uncertain_regions
from cathode_tf.rounds import Project, add_images

TOKEN = "a-token-of-more-than-twenty-letters"  # of the fixture

ME = {"session": "session-of-ann"}
STROKE = encode_stroke(Stroke("do", np.array([0]), np.array([8]), np.array([1]), np.array([0])))


@pytest.fixture
def key(small_project):
    return next(iter(small_project.state.images))


def draft(client, key, data, at=0, **more):
    return client.post(f"/api/images/{key}/draft", params={**ME, "at": at, **more}, content=data)


def decide(client, key, decision, data=b"", **more):
    return client.post(
        f"/api/images/{key}/decision", params={**ME, "decision": decision, **more}, content=data
    )


def test_the_queue_lists_the_images_by_rank(client, small_project):
    card = client.get("/api/project").json()
    assert [row["key"] for row in card["images"]] == list(small_project.state.images)
    assert [phase["name"] for phase in card["phases"]] == ["pore", "ncm", "additive", "binder"]


def test_pixels_mask_and_uncertainty_are_exact(client, key, small_project):
    image = small_project.image(key)
    assert len(client.get(f"/api/images/{key}/pixels").content) == 48 * 64
    mask = decode_mask(client.get(f"/api/images/{key}/mask").content, (48, 64))
    assert np.array_equal(mask, small_project.proposal(image))
    uncertainty = np.frombuffer(client.get(f"/api/images/{key}/uncertainty").content, np.uint8)
    assert np.array_equal(uncertainty.reshape(48, 64), small_project.uncertainty(image))
    assert client.get(f"/api/images/{key}/thumbnail").content[:4] == b"\x89PNG"


def test_superpixels_cover_the_tile(client, key):
    labels = np.frombuffer(client.get(f"/api/images/{key}/superpixels/0/0/8").content, "<u2")
    assert labels.size == 48 * 64 and labels.min() == 0 and labels.max() > 20
    assert client.get(f"/api/images/{key}/superpixels/3/0/8").status_code == 400
    assert client.get(f"/api/images/{key}/superpixels/0/0/1").status_code == 400


def test_uncertain_places_are_worst_first_and_apart():
    uncertainty = np.zeros((128, 128), np.uint8)
    uncertainty[:32, :32], uncertainty[96:, 96:] = 250, 100
    uncertainty[:32, 32:64] = 240  # adjoins the first: shown with it
    places = uncertain_regions(uncertainty)
    assert [(p["row"], p["column"]) for p in places] == [(16, 16), (112, 112)]


def test_a_draft_outlives_the_server(client, key, small_project):
    assert draft(client, key, STROKE, seconds=7).json() == {"bytes": len(STROKE)}
    again = Project(small_project.path)
    kept = Draft(again, again.image(key))
    assert kept.strokes() == STROKE and kept.seconds == 7
    assert (kept.mask()[0, :8] == 0).all() and (kept.mask()[1, :8] == 1).all()


def test_what_a_killed_server_half_wrote_is_not_taken(client, key, small_project):
    draft(client, key, STROKE)
    with open(small_project.path / "drafts" / key / "strokes", "ab") as file:
        file.write(b"\0\1\2")
    assert client.get(f"/api/images/{key}/draft").content == STROKE
    assert draft(client, key, STROKE, at=len(STROKE)).json() == {"bytes": 2 * len(STROKE)}
    assert client.get(f"/api/images/{key}/draft").content == STROKE * 2


def test_what_a_killed_server_left_in_a_draft_does_not_stop_its_end(client, key, small_project):
    draft(client, key, STROKE)
    (small_project.path / "drafts" / key / ".tmp-cut.json").write_text("{")
    assert client.post(f"/api/images/{key}/draft/discard", json=ME).json() == {"ok": True}
    assert not (small_project.path / "drafts" / key).exists()


def test_a_draft_out_of_step_is_refused_and_kept(client, key):
    draft(client, key, STROKE)
    assert draft(client, key, STROKE, at=0).status_code == 409
    assert client.get(f"/api/images/{key}/draft").content == STROKE


def test_accepting_keeps_the_mask_to_the_pixel(client, key, small_project):
    draft(client, key, STROKE, seconds=60)
    rng = np.random.default_rng(0)
    mask = rng.choice(np.array([0, 1, 2, 3, 255], np.uint8), (48, 64))
    event = decide(client, key, "accept", encode_mask(mask), seconds=30, who="Bob").json()
    image = small_project.image(key)
    assert np.array_equal(small_project.mask(image), mask)
    assert (event["minutes"], event["who"]) == (1.5, "Bob")
    assert not Draft(small_project, image).exists
    assert claims.holder(small_project, key) is None


def test_skipping_keeps_the_draft_and_counts_the_time_once(client, key, small_project):
    draft(client, key, STROKE, seconds=60)
    assert decide(client, key, "skip").json()["minutes"] == 1.0
    assert client.get(f"/api/images/{key}/draft").content == STROKE
    decide(client, key, "accept", encode_mask(small_project.truth), seconds=30)
    assert small_project.image(key).minutes == 1.5


def test_a_second_person_sees_that_an_image_is_taken(client, key):
    other = {"session": "session-of-bob", "who": "Bob"}
    assert client.post(f"/api/images/{key}/claim", json=other).status_code == 200
    row = next(r for r in client.get("/api/project", params=ME).json()["images"] if r["key"] == key)
    assert row["taken_by"] == "Bob"
    for answer in (
        client.post(f"/api/images/{key}/claim", json=ME),
        draft(client, key, STROKE),
        decide(client, key, "accept", encode_mask(np.zeros((48, 64), np.uint8))),
    ):
        assert answer.status_code == 409 and "Bob" in answer.json()["error"]
    assert client.post(f"/api/images/{key}/claim", json={**ME, "force": True}).status_code == 200
    assert draft(client, key, STROKE).status_code == 200


def test_a_claim_lapses(client, key, small_project, monkeypatch):
    claims.claim(small_project, key, "session-of-bob", "Bob")
    monkeypatch.setattr(claims, "LAPSES_S", 0.0)
    assert claims.holder(small_project, key) is None


# ---- whom the server refuses


def test_without_the_token_nothing_is_served(anyone, key):
    for path in ("/", "/api/project", f"/api/images/{key}/pixels", "/static/app.js", "/?token=wrong"):
        assert anyone.get(path).status_code == 401


def test_other_sites_are_refused_even_with_the_cookie(client, key):
    answer = client.get("/api/project", headers={"origin": "http://evil.example"})
    assert answer.status_code == 403
    answer = client.post(
        f"/api/images/{key}/decision?decision=reject&session=session-of-eve",
        headers={"origin": "http://evil.example"},
    )
    assert answer.status_code == 403
    assert client.get("/api/project", headers={"sec-fetch-site": "cross-site"}).status_code == 403


def test_another_host_name_is_refused(reach):
    assert reach("http://evil.example:8765").get("/").status_code == 421


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2f..%2fphases.py",
        "/api/images/..%2f..%2fproject/pixels",
        "/api/images/%2e%2e/mask",
        "/api/images/0123456789abcdef/mask",
    ],
)
def test_no_path_leads_out_of_the_project(client, path):
    assert client.get(path).status_code == 404


def test_a_mask_of_another_size_is_refused(client, key, small_project):
    answer = decide(client, key, "accept", encode_mask(np.zeros((10, 10), np.uint8)))
    assert answer.status_code == 400 and "48 x 64" in answer.json()["error"]
    assert small_project.image(key).status == "proposed"


def test_foreign_ids_are_refused_and_the_draft_stays(client, key, small_project):
    draft(client, key, STROKE)
    foreign = encode_stroke(Stroke("do", np.array([0]), np.array([1]), np.array([0]), np.array([9])))
    assert draft(client, key, foreign, at=len(STROKE)).status_code == 400
    answer = decide(client, key, "accept", encode_mask(np.full((48, 64), 9, np.uint8)))
    assert answer.status_code == 400 and "Received 9" in answer.json()["error"]
    assert client.get(f"/api/images/{key}/draft").content == STROKE
    outside = encode_stroke(Stroke("do", np.array([48 * 64]), np.array([1]), np.array([0]), np.array([1])))
    assert draft(client, key, outside, at=len(STROKE)).status_code == 400


def test_a_gigabyte_is_refused_by_its_length_alone_and_the_draft_stays(client, key):
    draft(client, key, STROKE)
    answer = client.post(
        f"/api/images/{key}/draft", params=ME, headers={"content-length": str(2**30)}, content=b""
    )
    assert answer.status_code == 413
    assert client.get(f"/api/images/{key}/draft").content == STROKE


def test_a_larger_image_that_is_added_later_can_be_accepted(client, small_project, tmp_path):
    # Its mask of alternating ids takes 5 x 400 x 400 = 800 kB; what was there at the start allows 96 kB.
    noise = np.random.default_rng(0).integers(0, 255, (400, 400), np.uint8)
    cv2.imwrite(str(tmp_path / "large.png"), noise)
    [image] = add_images(small_project, [tmp_path / "large.png"])
    mask = np.indices((400, 400)).sum(axis=0).astype(np.uint8) % 2
    assert decide(client, image.key, "accept", encode_mask(mask)).status_code == 200
    assert np.array_equal(small_project.mask(small_project.image(image.key)), mask)


def test_a_body_without_length_is_cut_off(client, key, small_project):
    # The limit for this project is 10 bytes a pixel + 64 kB = 96 kB; a generator is sent in chunks.
    answer = client.post(f"/api/images/{key}/draft", params=ME, content=(b"\0" * 65536 for _ in range(9)))
    assert answer.status_code == 413
    assert not Draft(small_project, small_project.image(key)).exists


def test_a_tab_closed_while_it_sends_is_no_error_of_the_server(app, key, small_project):
    async def receive():
        return {"type": "http.disconnect"}

    answers = []

    async def send(message):
        answers.append(message)

    headers = [
        (b"host", b"127.0.0.1:8765"),
        (b"cookie", f"cathode_review_{TOKEN[:6].replace('-', '_')}={TOKEN}".encode()),
    ]
    scope = {"type": "http", "method": "POST", "path": f"/api/images/{key}/draft", "headers": headers}
    asyncio.run(app({**scope, "query_string": b"session=session-of-ann"}, receive, send))
    assert answers[0]["status"] == 400 and not Draft(small_project, small_project.image(key)).exists


def test_pages_may_not_be_framed_or_load_from_elsewhere(client):
    headers = client.get("/").headers
    assert headers["x-frame-options"] == "DENY"
    assert "default-src 'self'" in headers["content-security-policy"]


def test_odd_numbers_and_sessions_are_refused(client, key):
    assert draft(client, key, STROKE, seconds="nan").status_code == 400
    assert draft(client, key, STROKE, at=-1).status_code == 400
    assert client.post(f"/api/images/{key}/draft?session=../x", content=STROKE).status_code == 400
    assert client.post(f"/api/images/{key}/claim", content=b"[").status_code == 400
    assert decide(client, key, "explode").status_code == 400


def test_time_is_capped(client, key, small_project):
    draft(client, key, STROKE, seconds=1e9)
    assert Draft(small_project, small_project.image(key)).seconds <= 120


def test_grey_levels_are_shown_as_they_are_asked_for(client, key, small_project):
    pixels = small_project.pixels(small_project.image(key))
    facts = client.get(f"/api/images/{key}/window").json()
    assert (facts["least"], facts["most"]) == (pixels.min(), pixels.max())
    assert facts["least"] <= facts["black"] < facts["white"] <= facts["most"] and facts["scale"] == 1
    answer = client.get(f"/api/images/{key}/pixels", params={"black": 50, "white": 101})
    shown = np.frombuffer(answer.content, np.uint8).reshape(48, 64)
    # 51 levels become 255: five for each.
    assert np.array_equal(shown, np.clip((pixels.astype(int) - 50) * 5, 0, 255))
    for black, white in ((101, 50), (5, 5), ("nan", 3), (1, "inf"), ("x", 1)):
        wrong = client.get(f"/api/images/{key}/pixels", params={"black": black, "white": white})
        assert wrong.status_code == 400, (black, white)
    assert client.get("/api/images/0000000000000000/window").status_code == 404


def test_levels_of_a_float_image_are_those_of_its_file(small_project, tmp_path):
    import tifffile

    values = np.linspace(-1.5, 2.5, 48 * 64, dtype=np.float32).reshape(48, 64)
    tifffile.imwrite(tmp_path / "ct.tif", values)
    [image] = add_images(small_project, [tmp_path / "ct.tif"])
    facts = Views(small_project).window(image.key)
    assert facts["type"] == "uint16"
    ends = [facts["offset"] + facts["scale"] * facts[name] for name in ("least", "most")]
    assert ends == pytest.approx([-1.5, 2.5], abs=1e-3)
