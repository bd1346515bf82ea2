"""All stations in a real browser, as a newcomer goes through them; without Chromium these are skipped."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tifffile

from cathode_tf.rounds import Project, record_review

LONG_MS = 400_000

pytestmark = pytest.mark.skipif(
    "CATHODE_TF_STATIONS" not in os.environ,
    reason="minutes of a quiet computer: set CATHODE_TF_STATIONS=1 to drive all stations",
)


class App:
    """`cathode-tf app` as a process that can be killed and started again on the same port."""

    def __init__(self, folder, home):
        self.folder, self.home, self.port = folder, home, 0
        self.start()

    def start(self):
        command = [sys.executable, "-m", "cathode_tf.tools", "app", str(self.folder), "--no-browser"]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "HOME": str(self.home), "OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1"},
        )
        self.address = re.search(r"http\S+", self.process.stdout.readline()).group()
        self.port = int(re.search(r":(\d+)/", self.address).group(1))

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def start(tmp_path):
    """Start the app for a folder; it ends with the test."""
    apps = []

    def begin(folder):
        apps.append(App(folder, tmp_path / "home"))
        return apps[-1]

    yield begin
    for app in apps:
        app.kill()


@pytest.fixture
def photos(tmp_path):
    """Six synthetic micrographs of the size of a stamp."""
    from cathode_tf import synthesize

    folder = tmp_path / "photos"
    folder.mkdir()
    image = synthesize(seed=3, height=96, width=128)[0].image
    turned = (image, image[::-1], image[:, ::-1], image[::-1, ::-1], image[::-1] // 2, image[:, ::-1] // 2)
    for index, pixels in enumerate(turned):
        tifffile.imwrite(folder / f"cell_{index}.tif", np.ascontiguousarray(pixels))
    return folder


def stations(new_page, address):
    page = new_page().page
    page.set_default_timeout(LONG_MS)
    page.goto(address)
    page.wait_for_selector("#station h1")
    return page


def through_jobs(page, kind):
    page.wait_for_selector(f"#job-{kind}")
    page.wait_for_selector(f"#job-{kind}", state="detached")


@pytest.mark.slow
def test_a_newcomer_gets_from_a_folder_to_a_report(new_page, start, photos, tmp_path):
    """Nothing is typed; the server is killed in the middle of the training, and the tab closed."""
    app = start(photos)
    page = stations(new_page, app.address)
    page.click("#use")
    page.click("#preset-three")
    page.wait_for_selector("#preset-three[aria-pressed=true]")
    page.click("#phases-go")
    page.click("#propose-first")
    page.wait_for_selector("#to-review")
    assert page.locator("img[alt^=proposal]").count() == 3
    project = Project(photos / "cathode-project")
    for image in project.state.queue()[:3]:
        page.goto(app.address.split("?")[0] + f"review#{image.key}")
        page.wait_for_function(
            f"() => window.editor?.card?.key === '{image.key}' && !editor.readonly && editor.outbox"
        )
        page.click("#accept")
        if image.role == "test":
            page.click("text=It is right")
        page.wait_for_function(f"() => !editor.deciding && editor.card?.key !== '{image.key}'")
    assert len(project.state.annotated()) == 3
    page.goto(app.address.split("?")[0] + "#train")
    page.fill("#minutes", "0.5")
    page.click("#train")
    page.wait_for_selector("#job-train")
    state = photos / "cathode-project" / "jobs" / "002-train" / "state.json"
    until(lambda: json.loads(state.read_text()).get("step"))
    app.kill()
    page.close()
    os.kill(json.loads(state.read_text())["pid"], signal.SIGKILL)
    app.start()
    page = stations(new_page, app.address)
    page.wait_for_selector("#job-train")
    page.wait_for_selector("#job-train", state="detached")
    page.click("#to-train")
    page.wait_for_selector("#verdict")
    assert "On your 1 test image: mean Dice" in page.inner_text("#verdict")
    assert list(project.state.models) == [1]  # the same training went on
    page.click("#to-apply-button")
    page.click("#apply")
    through_jobs(page, "apply")
    page.click("#to-report-button")
    page.click("#make-report")
    page.wait_for_selector("#open-report")
    with page.expect_download() as coming:
        page.click("#get-project")
    coming.value.save_as(tmp_path / "project.zip")
    # The project moves to another place and is found there.
    app.kill()
    shutil.move(photos, tmp_path / "moved")
    moved = start(tmp_path / "moved")
    page = stations(new_page, moved.address)
    assert "6 images" in page.inner_text("#to-images")
    page.set_viewport_size({"width": 390, "height": 844})
    page.click("#to-report")
    page.wait_for_selector("#open-report")
    assert page.evaluate("() => document.documentElement.scrollWidth <= 390")


def until(true, seconds=300):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


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
    page.click(f"#queue button[data-key='{test.key}']")
    page.wait_for_function(f"() => editor.card.key === '{test.key}' && editor.outbox && !editor.readonly")
    page.keyboard.press("Enter")
    page.click("text=Look closer")
    assert small_project.image(test.key).status == "proposed"
    page.keyboard.press("Enter")
    page.click("text=It is right")
    until(lambda: small_project.image(test.key).status == "accepted", 30)


@pytest.mark.slow
def test_two_people_by_links_of_their_own(new_page, small_project, tmp_path):
    command = [
        sys.executable,
        "-m",
        "cathode_tf.tools",
        "app",
        str(small_project.path),
        "--no-browser",
        "--lan",
    ]
    env = {**os.environ, "HOME": str(tmp_path / "home")}
    refused = subprocess.run([*command, "--port", "0"], input="n\n", capture_output=True, text=True, env=env)
    assert refused.returncode != 0 and "not encrypted" in refused.stderr and "http" not in refused.stdout
    process = subprocess.Popen(
        [*command, "--yes", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=env,
    )
    try:
        address = re.search(r"http\S+", process.stdout.readline()).group()
        page = stations(new_page, address)
        page.click("#to-people")
        page.fill("#invite-name", "Bob")
        page.click("#invite")
        link = page.inner_text("#station code")
        assert "token=" in link and "127.0.0.1" in address
        key = next(iter(small_project.state.images))
        record_review(small_project, key, "accept", mask=small_project.truth, who="ann")
        page.click("#to-images")
        page.click("#to-people")
        assert "accept" in page.inner_text(".log")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
