"""The routes of all stations: what they do to a project, and whom and what they refuse."""

import io
import json
import shutil
import stat
import zipfile

import cv2
import numpy as np
import pytest

from cathode_tf import InputWarning
from cathode_tf.analysis.checks import Checks
from cathode_tf.review import people
from cathode_tf.review.app import build_app
from cathode_tf.review.batch import apply_to_project
from cathode_tf.review.desk import PROJECT, Desk
from cathode_tf.review.jobs import Jobs, Worker, is_held, lock_of, note
from cathode_tf.review.report import report_on
from cathode_tf.rounds import Project, record_review

from .conftest import TOKEN, TestClient

ADDRESS = "http://127.0.0.1:8765"


class NoWorker(Worker):
    """Takes jobs, and does none."""

    def __init__(self, facts):
        super().__init__(facts)
        self.taken = []

    def start(self):
        pass

    @property
    def alive(self):
        return True

    def take(self, folder):
        self.taken.append(folder.name)


def opened(desk):
    app = build_app(desk, token=TOKEN, hosts={"127.0.0.1:8765"}, who="ann")
    client = TestClient(app, base_url=ADDRESS)
    assert client.get(f"/?token={TOKEN}").status_code == 200
    return client


@pytest.fixture
def make_desk(tmp_path):
    def make(place):
        desk = Desk(place, who="ann", home=tmp_path / "home", stations=True)
        desk.worker = NoWorker(tmp_path / "speed.json")
        if desk.has_project:
            desk.reload()
        return desk

    return make


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(5):
        cv2.imwrite(str(folder / f"cell_{index}.png"), rng.integers(0, 255, (40, 60), np.uint8))
    cv2.imwrite(str(folder / "cell_0_mask.png"), np.zeros((40, 60), np.uint8))
    cv2.imwrite(str(folder / "wide.png"), rng.integers(0, 255, (40, 99), np.uint8))
    (folder / "torn.tif").write_bytes(b"II*\0torn")
    return folder


@pytest.fixture
def desk(make_desk, small_project):
    return make_desk(small_project.path)


@pytest.fixture
def client(desk):
    return opened(desk)


def tell(client, path, **wish):
    return client.post(path, json=wish)


# ---- a folder becomes a project


def test_a_folder_is_shown_with_what_is_odd_and_becomes_a_project(make_desk, photos):
    desk = make_desk(photos)
    client = opened(desk)
    rows = {row["name"]: row for row in client.get("/api/app/files").json()}
    assert not rows["cell_0_mask.png"]["use"] and "mask" in rows["cell_0_mask.png"]["note"]
    assert not rows["torn.tif"]["use"] and "damaged" in rows["torn.tif"]["note"]
    assert rows["wide.png"]["odd"] == ["size"]
    assert client.get("/api/app").json()["next"] == "images"
    assert tell(client, "/api/app/create").json() == {"images": 6, "broken": []}
    assert (photos / PROJECT / "project.json").is_file()
    assert tell(client, "/api/app/phases", names=["pore", "ncm"]).status_code == 200
    state = client.get("/api/app").json()
    assert (state["next"], state["project"]["name"]) == ("propose", "photos")
    # The next start finds the project of the folder.
    assert make_desk(photos).project.phases.names == ("pore", "ncm")


def test_files_are_seen_before_they_are_taken(make_desk, photos):
    import tifffile

    # From -1 to 3: shown by its own numbers.
    tifffile.imwrite(photos / "float.tif", np.linspace(-1, 3, 40 * 60, dtype=np.float32).reshape(40, 60))
    desk = make_desk(photos)
    client = opened(desk)
    see = lambda what, name, **more: client.get(f"/api/app/files/{what}", params={"name": name, **more})  # noqa: E731
    small = see("thumbnail", "wide.png")
    assert cv2.imdecode(np.frombuffer(small.content, np.uint8), cv2.IMREAD_GRAYSCALE).shape == (65, 160)
    levels = see("levels", "float.tif").json()
    assert levels["offset"] + levels["scale"] * levels["most"] == pytest.approx(3, abs=1e-3)
    dark, bright = (
        cv2.imdecode(np.frombuffer(see("picture", "float.tif", black=a, white=b).content, np.uint8), 0).mean()
        for a, b in ((60000, 65535), (0, 1000))
    )
    assert dark < 15 and bright > 240
    # Another picture under the same name is not the one that was kept.
    cv2.imwrite(str(photos / "wide.png"), np.zeros((99, 40), np.uint8))
    tall = cv2.imdecode(np.frombuffer(see("thumbnail", "wide.png").content, np.uint8), 0)
    assert tall.shape == (160, 65)
    assert not (photos / PROJECT).exists()
    (photos.parent / "secret.png").write_bytes((photos / "cell_1.png").read_bytes())
    for name in ("../secret.png", str(photos.parent / "secret.png"), "none.png", "", ".", "torn.tif"):
        assert see("thumbnail", name).status_code == 400, name
    assert see("mask", "cell_1.png").status_code == 404
    assert (
        opened(make_desk(None)).get("/api/app/files/thumbnail", params={"name": "a.png"}).status_code == 400
    )


def test_a_pixel_size_is_typed_for_images_of_which_none_is_known(make_desk, photos):
    desk = make_desk(photos)
    client = opened(desk)
    for wrong in ("much", "0", "-3", "nan", "1e9", "0.011"):
        answer = tell(client, "/api/app/create", pixel_size_nm=wrong)
        assert answer.status_code == 400 and "0.05 to 100,000" in answer.json()["error"], wrong
    assert not desk.has_project
    assert tell(client, "/api/app/create", pixel_size_nm="11,16", who="bob").status_code == 200
    images = list(desk.project.state.images.values())
    assert {(i.pixel_size_nm, i.pixel_size_source) for i in images} == {(11.16, "typed by bob")}
    assert tell(client, "/api/app/scale", keys=[images[0].key], pixel_size_nm="5").status_code == 200
    assert desk.project.image(images[0].key).pixel_size_source == "typed by ann"


def test_test_images_are_chosen_and_groups_say_what_belongs_together(make_desk, photos):
    whole = cv2.GaussianBlur(np.random.default_rng(1).normal(128, 90, (80, 200)), (0, 0), 2)
    for index, left in enumerate((0, 60)):
        cv2.imwrite(str(photos / f"crop_{index}.png"), whole[:, left : left + 100])
    desk = make_desk(photos)
    client = opened(desk)
    tell(client, "/api/app/create")
    said = tell(client, "/api/app/groups", how="likeness").json()["said"]
    assert "crop_0, crop_1" in said and "cell" not in said
    image = desk.project.image
    assert image("crop_0").group == image("crop_1").group
    tell(client, "/api/app/groups", how="each")
    answer = tell(client, "/api/app/tests", keys=[image("wide").key]).json()
    assert answer == {"with": []} and image("wide").role == "test" and image("crop_0").role == "pool"
    assert tell(client, "/api/app/tests", keys=[]).status_code == 400
    assert tell(client, "/api/app/tests", keys=["0" * 16]).status_code == 400
    assert tell(client, "/api/app/tests").status_code == 400


def test_a_report_waits_for_the_masks(client, desk):
    assert tell(client, "/api/app/jobs", kind="apply").status_code == 200
    answer = tell(client, "/api/app/jobs", kind="report")
    assert answer.status_code == 400 and "must wait until all masks are there" in answer.json()["error"]
    tell(client, f"/api/app/jobs/{desk.jobs.latest('apply')['id']}", wish="stop")
    assert tell(client, "/api/app/jobs", kind="report").status_code == 200


def test_a_folder_that_cannot_be_written_gets_its_project_in_the_home(
    make_desk, photos, monkeypatch, tmp_path
):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    desk = make_desk(photos)
    assert desk.make().path.parent == tmp_path / "home" / "projects"
    assert not (photos / PROJECT).exists()
    assert make_desk(photos).has_project


def test_dropped_files_are_kept_in_a_folder_of_their_own(make_desk, photos, tmp_path):
    desk = make_desk(None)
    client = opened(desk)
    data = (photos / "cell_1.png").read_bytes()
    for name in ("cell_1.png", "../../up.png"):
        assert client.post("/api/app/upload", params={"name": name}, content=data).status_code == 200
    folder = tmp_path / "home" / "dropped" / "001"
    assert sorted(p.name for p in folder.iterdir()) == ["cell_1.png", "up.png"]
    assert desk.folder == folder


@pytest.mark.parametrize("name", ["run.exe", "", "..", ".png", "a" * 300 + ".png"])
def test_files_that_are_no_images_by_name_are_refused(make_desk, photos, name, tmp_path):
    client = opened(make_desk(None))
    answer = client.post("/api/app/upload", params={"name": name}, content=b"x")
    assert answer.status_code == 400 and not list((tmp_path / "home").rglob("*.*"))


def test_files_that_are_no_images_by_content_leave_nothing(make_desk, tmp_path):
    client = opened(make_desk(None))
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("a", "b")
    answer = client.post("/api/app/upload", params={"name": "a.tif"}, content=zipped.getvalue())
    assert answer.status_code == 400 and "a.tif" in answer.json()["error"]
    assert not [p for p in (tmp_path / "home").rglob("*") if p.is_file()]


# ---- choices


def test_a_clicked_bar_sets_pixel_sizes_with_their_source(client, small_project):
    keys = list(small_project.state.images)
    answer = tell(client, "/api/app/scale", keys=keys, length_px=213, length_nm=1000, who="Bob")
    assert answer.json()["pixel_size_nm"] == pytest.approx(1000 / 213)
    image = small_project.image(keys[0])
    assert image.pixel_size_source == "scale bar measured by Bob: 213.0 px = 1 um"
    for wrong in (
        {"length_px": 0, "length_nm": 1000},
        {"length_px": 9, "length_nm": -1},
        {},
        {"length_px": "x"},
    ):
        assert tell(client, "/api/app/scale", keys=keys, **wrong).status_code == 400


def test_phases_are_switched_off_on_the_page(client, small_project):
    assert tell(client, "/api/app/phases", off=["additive"]).status_code == 200
    assert small_project.state.off == ("additive",)
    names = [phase["name"] for phase in client.get("/api/project").json()["phases"]]
    assert names == ["pore", "ncm", "binder"]
    assert tell(client, "/api/app/phases", off=["steel"]).status_code == 400
    assert tell(client, "/api/app/phases", names=["other", "names"]).status_code == 400  # masks are there


def test_a_test_image_is_not_accepted_at_a_glance(client, small_project):
    from cathode_tf.review.runs import encode_mask

    test = next(i for i in small_project.state.images.values() if i.role == "test")
    body = encode_mask(small_project.proposal(test))
    query = {"session": "session-of-ann", "decision": "accept", "seconds": 2}
    answer = client.post(f"/api/images/{test.key}/decision", params=query, content=body)
    assert answer.status_code == 400 and "sure=1" in answer.json()["error"]
    answer = client.post(f"/api/images/{test.key}/decision", params={**query, "sure": 1}, content=body)
    assert answer.status_code == 200 and small_project.image(test.key).status == "accepted"


# ---- jobs


def test_a_job_is_asked_for_once_and_told_to_stop(client, desk):
    first = tell(client, "/api/app/jobs", kind="propose", first=True).json()
    assert first["id"] == "001-propose" and len(first["options"]["only"]) == 3
    assert desk.worker.taken == ["001-propose"]
    assert "at work already" in tell(client, "/api/app/jobs", kind="propose").json()["error"]
    assert tell(client, "/api/app/jobs/001-propose", wish="stop").json()["state"] == "stopped"
    assert tell(client, "/api/app/jobs/001-propose", wish="resume").json()["state"] == "waiting"


@pytest.mark.parametrize("id_", ["..", "001-x/../..", "%2e%2e", "999-train"])
def test_no_job_outside_the_project_is_told_anything(client, id_):
    assert tell(client, f"/api/app/jobs/{id_}", wish="stop").status_code in (400, 404, 405)


def test_wrong_wishes_are_refused(client):
    assert tell(client, "/api/app/jobs", kind="explode").status_code == 400
    assert tell(client, "/api/app/jobs").status_code == 400
    assert client.post("/api/app/jobs", content=b"[1").status_code == 400
    assert client.post("/api/app/jobs", content=b"[1]").status_code == 400
    assert "corrected image" in tell(client, "/api/app/jobs", kind="train", minutes=1).json()["error"]
    assert tell(client, "/api/app/jobs", kind="report", batch="../..").status_code == 400


def test_a_training_is_told_only_what_is_offered(client, desk, small_project):
    key = next(i.key for i in small_project.state.images.values() if i.role == "pool")
    record_review(small_project, key, "accept", mask=small_project.truth)
    for how in ({"preset": "huge"}, {"out": "/etc"}, {"start": "../x.keras"}):
        answer = tell(client, "/api/app/jobs", kind="train", minutes=1, how=how)
        assert answer.status_code == 400 and "must be told one of" in answer.json()["error"]
    asked = {"start": "scratch", "preset": "small"}
    assert tell(client, "/api/app/jobs", kind="train", minutes=1, how=asked).json()["options"]["how"] == asked


def test_what_a_dead_worker_left_is_handed_on_and_given_up_after_three_times(small_project, tmp_path):
    worker = NoWorker(tmp_path / "speed.json")
    folder = small_project.path / "jobs" / "001-train"
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps({"kind": "train", "options": {}, "who": "ann", "at": ""}))
    note(folder, state="running", share=0.5, label="Training", attempts=1)
    Jobs(small_project, worker).look_after()
    assert worker.taken == ["001-train"]
    with lock_of(folder):  # a worker of a killed server is still at it
        assert is_held(folder)
        Jobs(small_project, worker).look_after()
    assert worker.taken == ["001-train"]
    note(folder, attempts=3)
    jobs = Jobs(small_project, worker)
    jobs.look_after()
    assert jobs.latest("train")["state"] == "failed"


# ---- batch, report, downloads


@pytest.fixture
def applied(small_project):
    """All four images accepted, their masks written."""
    for key in small_project.state.images:
        record_review(small_project, key, "accept", mask=small_project.truth)
    apply_to_project(small_project)
    return small_project


def test_masks_numbers_and_a_report_come_of_accepted_masks(client, applied):
    assert "corrected" in report_on(applied, "project")["worth"]
    found = client.get("/api/app/batch/project").json()
    assert [row["state"] for row in found["images"]] == ["accepted"] * 4 and found["report"]
    page = client.get("/api/app/report/project")
    assert page.status_code == 200 and "<html" in page.text
    # Four stripes of equal width: a quarter each.
    summary = json.loads((applied.path / "batches/project/analysis/summary.json").read_text())
    assert summary["summary"]["fraction"]["ncm"]["value"] == pytest.approx(0.25)
    from openpyxl import load_workbook

    figures = zipfile.ZipFile(io.BytesIO(client.get("/api/app/download/figures").content)).namelist()
    assert any(name.endswith(".svg") for name in figures) and any("overlays/" in name for name in figures)
    book = load_workbook(io.BytesIO(client.get("/api/app/download/xlsx").content))
    assert book.sheetnames == ["numbers", "images", "particles and pores"]


@pytest.mark.slow
def test_images_of_two_pixel_sizes_have_lengths_of_their_own(client, applied):
    from cathode_tf.rounds.choices import set_scale

    keys = list(applied.state.images)
    set_scale(applied, keys[:2], 5.0, "by hand")
    apply_to_project(applied)
    with pytest.warns(InputWarning, match="no pixel size is known"):
        report_on(applied, "project")
    set_scale(applied, keys[2:], 9.0, "by hand")
    apply_to_project(applied)
    report_on(applied, "project")
    assert client.get("/api/app/batch/project").json()["sizes"] == ["5nm", "9nm"]
    page = client.get("/api/app/report/project", params={"size": "9nm"})
    assert page.status_code == 200 and "9 nm a pixel" in page.text
    for size in ("../analysis", "7nm", ""):
        assert client.get("/api/app/report/project", params={"size": size}).status_code == 404
    tables = zipfile.ZipFile(io.BytesIO(client.get("/api/app/download/tables").content)).namelist()
    assert "project-tables/5nm/instances.csv" in tables


def test_labelled_points_tell_what_the_masks_are_worth(client, applied):
    assert client.get("/api/verify", params={"batch": "project"}).status_code == 400  # none are drawn
    drawn = tell(client, "/api/app/points", batch="project", points=40).json()
    assert drawn == {"of": 40, "labelled": 0, "result": None}
    of = {"batch": "project"}
    picture = client.get("/api/verify/0/view", params=of).content
    assert cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE).shape == (160, 160)
    table = Checks(applied.path / "batches/project/masks", _read_points(applied)).table
    for point, mapped in enumerate(table["mapped"]):
        answer = client.post(f"/api/verify/{point}", params=of, json={"reference": mapped, "who": "Bob"})
        assert answer.status_code == 200
    found = client.get("/api/app/batch/project").json()["points"]
    assert (found["of"], found["labelled"]) == (40, 40) and found["result"]
    report_on(applied, "project")
    summary = json.loads((applied.path / "batches/project/analysis/summary.json").read_text())["summary"]
    # Every answer was what the mask shows: the share that the points give is the mask's.
    assert summary["fraction_by_points"]["ncm"]["value"] == pytest.approx(0.25)
    # Other points, and the answers of before are kept beside them.
    drawn = tell(client, "/api/app/points", batch="project", points=50, again=True).json()
    assert (drawn["of"], drawn["labelled"]) == (50, 0)
    assert (applied.path / "batches/project/masks/verified-1.json").exists()
    assert client.get("/api/verify", params=of).json()["answers"] == [""] * 50


def _read_points(project):
    return json.loads((project.path / "batches/project/masks/verified.json").read_text())


@pytest.mark.slow
def test_points_of_masks_that_changed_are_drawn_anew(client, applied):
    tell(client, "/api/app/points", points=40)
    key = next(iter(applied.state.images))
    record_review(applied, key, "accept", mask=applied.truth[::-1, ::-1].copy())
    apply_to_project(applied)
    with pytest.warns(InputWarning, match="drawn on other masks"):
        report_on(applied, "project")
    assert tell(client, "/api/app/points", points=50).json()["of"] == 50


@pytest.mark.parametrize(
    ("wish", "status"),
    [({"points": 3}, 400), ({"points": 10**6}, 400), ({"batch": "../.."}, 400), ({"points": "x"}, 400)],
)
def test_wrong_wishes_for_points_are_refused(client, applied, wish, status):
    assert tell(client, "/api/app/points", **wish).status_code == status
    assert not list(applied.path.rglob("verified*.json"))


def test_points_are_answered_under_ones_own_name_and_within_bounds(client, desk, applied):
    tell(client, "/api/app/points", points=20)
    token = people.invite(applied, "Bob")
    guest = TestClient(client.app, base_url=ADDRESS)
    assert guest.get("/api/verify").status_code == 401
    guest.get(f"/?token={token}")
    guest.post("/api/verify/0", json={"reference": "ncm", "who": "ann"})
    assert _read_points(applied)["by"] == "Bob"
    assert guest.post("/api/verify/0", json={"reference": "gold"}).status_code == 400
    assert guest.post("/api/verify/99", json={"reference": "ncm"}).status_code == 400
    assert guest.post("/api/verify/0", content=b"x" * (2**20 + 1)).status_code == 413
    assert guest.get("/api/verify/99/view").status_code == 404
    assert guest.get("/api/verify", params={"batch": "../../x"}).status_code == 400
    evil = guest.post("/api/verify/0", json={"reference": "pore"}, headers={"origin": "http://evil.example"})
    assert evil.status_code == 403


def test_a_projects_zip_opens_elsewhere_and_holds_no_token(client, applied, make_desk, tmp_path):
    people.invite(applied, "Bob")
    (applied.path / ".review-token").write_text("secret")
    data = client.get("/api/app/download/project").content
    names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    assert not [name for name in names if "token" in name or "people" in name or "claims" in name]
    shutil.move(applied.path, tmp_path / "gone")
    other = make_desk(None)
    answer = opened(other).post("/api/app/archive", content=data)
    assert answer.status_code == 200
    assert other.project.state.images.keys() == Project(tmp_path / "gone").state.images.keys()
    for image in other.project.state.images.values():
        assert np.array_equal(other.project.mask(image), applied.truth)


def packed(*entries):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, mode in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, "x")
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"no zip at all",
        packed(("../evil/project.json", 0o644)),
        packed(("/etc/passwd", 0o644)),
        packed(("p/../../x", 0o644)),
        packed(("p\\..\\x/a", 0o644)),
        packed(("p/link", stat.S_IFLNK | 0o777)),
        packed(("a/project.json", 0o644), ("b/project.json", 0o644)),
        packed(("p/other.txt", 0o644)),
        packed(("project.json", 0o644)),
    ],
)
def test_archives_that_lead_elsewhere_or_hold_no_project_leave_nothing(make_desk, data, tmp_path):
    client = opened(make_desk(None))
    assert client.post("/api/app/archive", content=data).status_code == 400
    home = tmp_path / "home"
    assert [p for p in home.rglob("*") if p.is_file()] == [] and not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    "what", ["../project", "%2e%2e%2fledger", "ledger.jsonl", ".review-token", "nothing"]
)
def test_only_what_is_meant_to_leave_can_be_downloaded(client, applied, what):
    assert client.get(f"/api/app/download/{what}").status_code == 404
    assert client.get("/api/app/download/masks", params={"batch": "../../x"}).status_code == 400


def test_pictures_are_of_images_and_masks_of_the_project_alone(client, small_project):
    key = next(iter(small_project.state.images))
    assert client.get(f"/api/images/{key}/picture/proposal").content[:3] == b"\xff\xd8\xff"
    assert client.get(f"/api/images/{key}/strip").content[:4] == b"\x89PNG"
    for what in ("accepted", "..%2f..%2fledger", "001", "x"):
        assert client.get(f"/api/images/{key}/picture/{what}").status_code == 404
    assert client.get("/api/images/0123456789abcdef/strip").status_code == 404


# ---- who may

PATHS = [
    "/api/app", "/api/app/folders", "/api/app/files", "/api/app/jobs", "/api/app/verdict", "/api/app/history",
    "/api/app/batch/project", "/api/app/report/project", "/api/app/download/project", "/api/app/people",
]  # fmt: skip
WISHES = [
    "open", "create", "upload", "archive", "phases", "scale", "groups", "jobs", "jobs/001-train", "promote",
    "rollback", "people",
]  # fmt: skip


def test_without_a_token_nothing_is_shown_or_done(desk):
    anyone = TestClient(build_app(desk, token=TOKEN, hosts={"127.0.0.1:8765"}, who="ann"), base_url=ADDRESS)
    assert {anyone.get(path).status_code for path in PATHS} == {401}
    assert {anyone.post(f"/api/app/{wish}", json={}).status_code for wish in WISHES} == {401}


def test_other_sites_and_hosts_are_refused_everywhere(client):
    evil = {"origin": "http://evil.example"}
    assert {client.get(path, headers=evil).status_code for path in PATHS} == {403}
    assert {client.post(f"/api/app/{wish}", json={}, headers=evil).status_code for wish in WISHES} == {403}
    host = {"host": "evil.example:8765"}
    assert {client.get(path, headers=host).status_code for path in PATHS} == {421}


@pytest.mark.parametrize(
    ("path", "most"), [("upload", 2**31), ("archive", 2**35), ("jobs", 2**20), ("phases", 2**20)]
)
def test_a_body_that_is_too_long_is_refused_by_its_length_alone(client, path, most):
    answer = client.post(f"/api/app/{path}", headers={"content-length": str(most + 1)}, content=b"")
    assert answer.status_code == 413


def test_a_guest_reviews_but_reaches_no_folder(desk, client, small_project):
    token = people.invite(small_project, "Bob")
    assert people.invite(small_project, "Bob") == token
    path = small_project.path / ".people.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    app = build_app(desk, token=TOKEN, hosts={"127.0.0.1:8765"}, who="ann")
    guest = TestClient(app, base_url=ADDRESS)
    assert guest.get(f"/?token={token}").status_code == 200
    state = guest.get("/api/app").json()
    assert (state["owner"], state["guest"]) == (False, "Bob")
    for path in (
        "/api/app/folders?path=/",
        "/api/app/files",
        "/api/app/files/thumbnail?name=a.png",
        "/api/app/lots",
        "/api/app/lots/report?ledger=a",
    ):
        assert guest.get(path).status_code == 403
    for wish in ("open", "create", "people"):
        assert guest.post(f"/api/app/{wish}", json={"path": "/", "invite": "Eve"}).status_code == 403
    assert tell(guest, "/api/app/jobs", kind="apply", folder="/", guest=False).status_code == 403
    assert guest.post("/api/app/upload", params={"name": "a.png"}, content=b"x").status_code == 403
    assert guest.post("/api/app/archive", content=b"x").status_code == 403
    # Who is known by a token does not pass for someone else.
    assert tell(guest, "/api/app/phases", off=["additive"], who="ann").status_code == 200
    assert small_project.ledger.events()[-1]["who"] == "Bob"
    assert tell(client, "/api/app/people", remove="Bob").status_code == 200
    assert guest.get("/api/app").status_code == 401


@pytest.mark.slow
def test_a_ledger_of_lots_beside_the_project_is_shown_and_no_other_file(client, small_project, tmp_path):
    pytest.importorskip("sqlalchemy")
    from cathode_tf.analysis import analyze
    from cathode_tf.lots import Ledger, Place
    from cathode_tf.phases import Phases

    mask = np.zeros((48, 48), np.uint8)
    mask[:, :20] = 1
    path = small_project.path.parent / "plant.db"
    ledger = Ledger.create(path)
    folder = analyze({"a": mask, "b": np.roll(mask, 9, 0)}, Phases.default()).write(tmp_path / "analysis")
    ledger.add(folder, Place("L1"))
    ledger.close()
    (small_project.path.parent / "notes.db").write_text("no ledger")
    assert client.get("/api/app/lots").json() == {"ledgers": [{"name": "plant.db", "path": str(path)}]}
    page = client.get("/api/app/lots/report", params={"ledger": str(path)})
    assert page.status_code == 200 and "L1" in page.text
    elsewhere = client.get("/api/app/lots/report", params={"ledger": "/etc/passwd"})
    assert elsewhere.status_code == 400 and "must be a ledger beside" in elsewhere.json()["error"]


def test_two_people_on_one_image_are_compared(client, small_project):
    key = next(iter(small_project.state.images))
    record_review(small_project, key, "accept", mask=small_project.truth, who="ann")
    other = small_project.truth.copy()
    other[:, :8] = 1  # half of pore
    record_review(small_project, key, "accept", mask=other, who="Bob")
    [row] = client.get("/api/app/people").json()["agreements"]
    # pore: 2 x 8 / (16 + 8); ncm: 2 x 16 / (16 + 24); additive and binder 1.
    assert row["people"] == ["Bob", "ann"] and row["by_phase"]["pore"] == pytest.approx(2 / 3, abs=1e-4)
    assert row["mean"] == pytest.approx((2 / 3 + 0.8 + 1 + 1) / 4, abs=1e-4)


def test_the_review_alone_has_no_stations(small_project):
    app = build_app(small_project, token=TOKEN, hosts={"127.0.0.1:8765"}, who="ann")
    client = TestClient(app, base_url=ADDRESS)
    client.get(f"/?token={TOKEN}")
    assert client.get("/api/app").status_code == 404 and "Queue" in client.get("/").text
