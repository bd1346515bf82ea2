"""All stations in a real browser, as a newcomer goes through them; without Chromium these are skipped."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile

from cathode_tf.rounds import Project, record_review

LONG_MS = 400_000
PHONE = {"width": 390, "height": 844}
COUNT = """for (const kind of ["click", "keydown"]) addEventListener(kind, (event) => {
  if (event.isTrusted) localStorage[kind] = 1 + Number(localStorage[kind] || 0); }, true);"""
"""Counts what a person does, over all pages of the app."""


class App:
    """`cathode-tf app` as a process that can be killed and started again on the same port."""

    def __init__(self, folder, home, *options):
        self.folder, self.home, self.port, self.options = folder, home, 0, options
        self.start()

    def start(self):
        place = [str(self.folder)] if self.folder else []
        command = [sys.executable, "-m", "cathode_tf.tools", "app", *place, "--no-browser", *self.options]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port)],
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "HOME": str(self.home),
                "OMP_NUM_THREADS": "1",
                "TF_NUM_INTRAOP_THREADS": "1",
                "CUDA_VISIBLE_DEVICES": "",
            },
        )
        self.address = re.search(r"http\S+", self.process.stdout.readline()).group()
        self.port = int(re.search(r":(\d+)/", self.address).group(1))

    def at(self, place):
        return self.address.split("?")[0] + place

    def kill(self):
        if not self.process.stdout.closed:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()


@pytest.fixture
def start(tmp_path):
    """Start the app for a folder; it ends with the test."""
    apps = []

    def begin(folder, *options):
        apps.append(App(folder, tmp_path / "home", *options))
        return apps[-1]

    yield begin
    for app in apps:
        app.kill()


@pytest.fixture
def photos(tmp_path):
    """Six micrographs of the size of a stamp: cut from a real cathode where the data are at hand, else synthetic."""
    folder = tmp_path / "photos"
    folder.mkdir()
    real = Path(os.environ.get("CATHODE_TF_REAL_DATA", "")) / "fibsem_sparse" / "4_phase.tif"
    if real.is_file():
        whole = tifffile.imread(real)
    else:
        from cathode_tf import synthesize

        whole = synthesize(seed=3, height=300, width=500)[0].image
    for index in range(6):
        row, column = 128 * (index // 3), 160 * (index % 3)
        cut = np.ascontiguousarray(whole[row : row + 128, column : column + 160])
        tifffile.imwrite(folder / f"cell_{index}.tif", cut)
    return folder


def stations(new_page, address, size=None):
    page = new_page().page
    page.set_default_timeout(LONG_MS)
    page.add_init_script(COUNT)
    if size:
        page.set_viewport_size(size)
    page.goto(address)
    page.wait_for_selector("#station h1")
    return page


def through_job(page, kind):
    """Wait until a job is over; a failed one is told of in its own words."""
    page.wait_for_function(
        "kind => { const jobs = desk.state?.project?.jobs || []; const job = jobs.find((j) => j.kind === kind);"
        " return job && ['done', 'failed', 'stopped'].includes(job.state); }",
        arg=kind,
    )
    job = page.evaluate("kind => desk.job(kind)", kind)
    assert job["state"] == "done", job
    return job["result"]


def until(true, seconds=400):
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return found


def correct(page, app, image):
    """Paint a stroke on an image that is learned from, look at one that measures; accept either."""
    page.goto(app.at(f"review#{image.key}"))
    page.wait_for_function(
        f"() => window.editor?.card?.key === '{image.key}' && !editor.readonly && editor.outbox"
    )
    if image.role == "pool":
        page.keyboard.press("2")
        box = page.locator("#stage").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 40, y + 10, steps=3)
        page.mouse.up()
    page.keyboard.press("Enter")
    if image.role == "test":
        page.click("text=It is right")
    page.wait_for_function(f"() => !editor.deciding && editor.card?.key !== '{image.key}'")


def kill_in_the_middle_of_the_training(app, page, folder):
    """The tab is closed and the server killed; the process that trains goes on, and the next server finds it."""
    state = folder / "state.json"
    pid = until(lambda: (found := json.loads(state.read_text())).get("step") and found["pid"])
    page.close()
    app.kill()
    os.kill(pid, 0)  # alive
    app.start()


@pytest.mark.slow
def test_a_newcomer_gets_from_a_folder_to_a_checked_report(new_page, start, photos, tmp_path):
    """Nothing is typed, but for the minutes that a test has; killed, closed and moved on the way."""
    app = start(photos)
    page = stations(new_page, app.address)
    # What is taken is seen before.
    page.wait_for_function("() => document.querySelector('#station td img')?.naturalWidth > 0")
    page.click("#use")
    page.click("#preset-three")
    page.wait_for_selector("#preset-three[aria-pressed=true]")
    page.click("#phases-go")
    page.click("#propose-first")
    page.wait_for_selector("#to-review")
    assert page.locator("img[alt^=proposal]").count() == 3
    project = Project(photos / "cathode-project")
    for image in project.state.queue()[:3]:
        correct(page, app, image)
    assert len(project.state.annotated()) == 3
    page.goto(app.at("#train"))
    page.fill("#minutes", "0.1")
    page.click("text=Begin with")
    page.select_option("#begin-with", "scratch")
    page.click("#train")
    page.wait_for_selector("#job-train")
    kill_in_the_middle_of_the_training(app, page, project.path / "jobs" / "002-train")
    page = stations(new_page, app.address)
    page.click("#to-train")
    through_job(page, "train")
    page.wait_for_selector("#verdict")
    assert "On your 1 test image: mean Dice" in page.inner_text("#verdict")
    assert list(project.state.models) == [1]  # the same training went on
    assert json.loads((project.path / "jobs" / "002-train" / "state.json").read_text())["attempts"] == 1
    page.click("#to-apply-button")
    page.click("#apply")
    assert through_job(page, "apply")["images"] == 6
    page.click("#to-report-button")
    page.click("#make-report")
    assert "3 of 6: UNCHECKED" in through_job(page, "report")["worth"]
    clicks, keys = page.evaluate("() => [Number(localStorage.click), Number(localStorage.keydown)]")
    # Strokes, the choice of a quick network and the minutes are in it, too; nothing else is typed.
    assert clicks <= 18 and keys <= 8, (clicks, keys)
    label_points(page, 20)
    page.click("#make-report")
    page.wait_for_function("() => desk.job('report').id === '005-report'")
    assert "checked at 20 random points" in through_job(page, "report")["worth"]
    page.wait_for_selector("#open-report")
    names = {what: downloaded(page, what, tmp_path) for what in ("tables", "masks", "figures", "project")}
    assert {"summary.json", "instances.csv", "tables.xlsx"} <= names["tables"]
    assert {f"cell_{index}_mask.png" for index in range(6)} <= names["masks"]
    assert any(name.endswith(".svg") for name in names["figures"])
    assert "ledger.jsonl" in names["project"] and not any("token" in name for name in names["project"])
    # The folder moves, and is opened on a phone.
    app.kill()
    shutil.move(photos, tmp_path / "moved")
    moved = start(tmp_path / "moved")
    page = stations(new_page, moved.address, PHONE)
    assert "6 images" in page.text_content("#to-images")  # not shown on a phone
    for station in ("images", "phases", "propose", "correct", "train", "apply", "report", "people"):
        page.click(f"#to-{station}")
        page.wait_for_function("id => desk.at === id && document.querySelector('#station h1')", arg=station)
        assert page.evaluate("() => document.documentElement.scrollWidth <= 390"), station
        if station in ("images", "apply"):  # names and groups are not cut off
            page.wait_for_selector("#station td")
            cells = "() => [...document.querySelectorAll('#station td')].map((td) => td.getBoundingClientRect().right)"
            assert max(page.evaluate(cells)) <= 390, station
    page.click("#to-report")
    page.wait_for_selector("#open-report")
    page.goto(moved.at("verify?batch=project"))
    page.wait_for_function("() => document.getElementById('picture').naturalWidth > 0")


def label_points(page, count):
    """Answer points by the first key; the mask is not shown, so nobody can copy it."""
    page.click("#label-points")
    page.wait_for_selector("#answers button")
    for done in range(1, count + 1):
        page.keyboard.press("1" if done % 2 else "2")
        page.wait_for_function(
            f"() => document.getElementById('count').textContent.includes('; {done} of 100')"
        )
    page.click("#back")
    page.wait_for_selector("#label-points")
    assert f"{count} of 100" in page.inner_text("#label-points")


def downloaded(page, what, folder):
    with page.expect_download() as coming:
        page.click(f"#get-{what}")
    path = folder / f"{what}.zip"
    coming.value.save_as(path)
    with zipfile.ZipFile(path) as archive:
        return {name.partition("/")[2] for name in archive.namelist()}


@pytest.mark.slow
def test_the_scale_bar_is_clicked(new_page, start, tmp_path):
    folder = tmp_path / "jeol"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(2):
        pixels = rng.integers(60, 200, (320, 400), np.uint8)
        pixels[280:] = 0  # a strip below, with a bar of 100 px
        pixels[300:304, 250:350] = 255
        tifffile.imwrite(folder / f"a{index}.tif", pixels)
    app = start(folder)
    page = stations(new_page, app.address)
    page.click("#use")
    page.wait_for_selector("#to-phases[aria-current]")  # the next station comes by itself
    page.click("#to-images")
    page.click("#measure")
    page.wait_for_function("() => document.querySelector('#measure-box img').naturalWidth > 0")
    page.wait_for_timeout(300)

    def at(row, column):
        return page.evaluate(
            """([r, c]) => { const i = document.querySelector('#measure-box img'), b = i.getBoundingClientRect();
            const s = b.width / i.naturalWidth; return [b.left + c * s, b.top + r * s]; }""",
            [row, column],
        )

    page.mouse.click(*at(302, 250))
    page.mouse.click(*at(302, 350))
    page.fill("#bar-length", "0,5")
    page.check("#bar-all")
    page.click("#bar-keep")
    page.wait_for_selector("#measure", state="detached")
    images = Project(folder / "cathode-project").state.images.values()
    # 500 nm over 100 px, to the half pixel that a click is exact to.
    assert all(image.pixel_size_nm == pytest.approx(5.0, rel=0.01) for image in images)
    assert all(image.pixel_size_source.startswith("scale bar measured by") for image in images)


@pytest.mark.slow
def test_a_test_image_asks_before_it_is_accepted_at_a_glance(page, small_project):
    test = next(i for i in small_project.state.images.values() if i.role == "test")
    page.evaluate("key => editor.open(key)", test.key)  # to its end, also where it is the image that is open
    page.evaluate("() => (editor.before = -1e6)")  # however slow the computer is, not 20 s have passed
    page.click("#accept")
    page.click("text=Look closer")
    assert small_project.image(test.key).status == "proposed"
    page.click("#accept")
    page.click("text=It is right")
    until(lambda: small_project.image(test.key).status == "accepted", 30)


@contextlib.contextmanager
def read_only(folder):
    """Nobody can write in the folder, root included, who heeds no permissions: it is mounted on itself for reading."""
    if os.geteuid():
        folder.chmod(0o555)
        yield
        folder.chmod(0o755)
        return
    for options in (("--bind", folder, folder), ("-o", "remount,ro,bind", folder)):
        if subprocess.run(["mount", *options], capture_output=True).returncode:
            pytest.skip("root may write everywhere, and cannot mount here")
    yield
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.slow
def test_folders_that_cannot_be_written(new_page, start, photos, tmp_path):
    """Micrographs on a read-only share give a project in the home; a read-only project can be looked at."""
    with read_only(photos):
        app = start(photos)
        page = stations(new_page, app.address)
        page.click("#use")
        page.wait_for_selector("#phases-go")
        app.kill()
    [project] = (tmp_path / "home" / "cathode-tf" / "projects").iterdir()
    assert len(Project(project).state.images) == 6 and len(list(photos.iterdir())) == 6
    with read_only(project):
        app = start(project)
        page = stations(new_page, app.address)
        page.wait_for_selector("text=read-only")
        page.click("#to-images")
        page.wait_for_selector("#station table")
        page.click("#to-phases")
        page.click("#preset-three")
        page.wait_for_selector("#station [role=alert]")
        assert "Read-only file system" in page.inner_text("#station [role=alert]") or os.geteuid()
        app.kill()


@pytest.mark.slow
def test_two_people_by_links_of_their_own(new_page, start, small_project):
    command = [
        sys.executable,
        "-m",
        "cathode_tf.tools",
        "app",
        str(small_project.path),
        "--no-browser",
        "--lan",
    ]
    refused = subprocess.run([*command, "--port", "0"], input="n\n", capture_output=True, text=True)
    assert refused.returncode != 0 and "not encrypted" in refused.stderr and "http" not in refused.stdout
    app = start(small_project.path, "--lan", "--yes")
    assert "127.0.0.1" in app.address
    page = stations(new_page, app.address)
    page.click("#to-people")
    page.fill("#invite-name", "Bob")
    page.click("#invite")
    link = page.inner_text("#station code")
    # Bob comes by his link, in a browser of his own as far as cookies go, and has no say over folders.
    bob = stations(new_page, link)
    assert bob.input_value("#who") == "Bob" and bob.is_disabled("#who")
    bob.click("#to-images")
    assert bob.locator("text=Open another folder").count() == 0
    # What Bob is at work on is taken for Ann.
    key = next(image.key for image in small_project.state.queue() if image.role == "pool")
    ready = f"() => window.editor?.card?.key === '{key}' && editor.outbox"
    bob.goto(link.split("?")[0] + f"review#{key}")
    bob.wait_for_function(f"{ready} && !editor.readonly")
    page.goto(app.at(f"review#{key}"))
    page.wait_for_function("() => !document.getElementById('banner').hidden")
    assert "Bob is at work on it" in page.inner_text("#banner")
    bob.keyboard.press("Enter")
    until(lambda: small_project.image(key).status == "accepted")
    # Both on the same image: how far they agree, and who changed what.
    record_review(small_project, key, "accept", mask=small_project.truth, who="ann")
    page.goto(app.at("#people"))
    page.wait_for_selector(".log")
    assert "Bob" in page.inner_text(".log") and "Agreement" in page.inner_text("#station")
