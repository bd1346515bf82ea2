"""A review server in this process, and one in a process of its own with a real browser before it."""

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

with warnings.catch_warnings():
    # It works with httpx, but would like another name of it better.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

from cathode_tf.review.app import build_app

TOKEN = "a-token-of-more-than-twenty-letters"
CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def app(small_project):
    return build_app(small_project, token=TOKEN, hosts={"127.0.0.1:8765"}, who="ann")


@pytest.fixture
def reach(app):
    """Make a client for an address, without the token."""
    return lambda address: TestClient(app, base_url=address)


@pytest.fixture
def anyone(reach):
    """A client without the token."""
    return reach("http://127.0.0.1:8765")


@pytest.fixture
def client(reach):
    """A client that opened the printed address."""
    client = reach("http://127.0.0.1:8765")
    assert client.get(f"/?token={TOKEN}").status_code == 200
    return client


class Server:
    """`cathode-tf review` as a process that can be killed and started again on the same port."""

    def __init__(self, project):
        self.project, self.port = project, 0
        self.start()

    def start(self):
        command = [sys.executable, "-m", "cathode_tf.tools", "review", str(self.project.path), "--no-browser"]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port)], stdout=subprocess.PIPE, text=True
        )
        self.address = re.search(r"http\S+", self.process.stdout.readline()).group()
        self.port = int(re.search(r":(\d+)/", self.address).group(1))

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def serve():
    """Start a server for a project; it ends with the test."""
    servers = []

    def start(project):
        servers.append(Server(project))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


@pytest.fixture
def server(serve, small_project):
    return serve(small_project)


@pytest.fixture(scope="session")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip(f"needs Chromium at {CHROMIUM}; apt-get install chromium, or set CHROMIUM")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


class Page:
    """The review page with what the tests do to it."""

    def __init__(self, page):
        self.page = page
        self.errors = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def __getattr__(self, name):
        return getattr(self.page, name)

    def open(self, address):
        self.page.goto(address)
        self.ready()
        return self

    def ready(self):
        self.page.wait_for_function(
            "() => window.editor?.labels && editor.outbox && (!editor.readonly || !banner.hidden)"
        )

    def saved(self):
        self.page.wait_for_function("() => editor.outbox.empty && editor.outbox.kept > 0")

    def screen(self, row, column):
        """Where the centre of an image pixel is on the page."""
        x, y = self.page.evaluate(
            "([r, c]) => { const v = editor.view, b = v.host.getBoundingClientRect();"
            " const [y, x] = v.toScreen(r + 0.5, c + 0.5); return [b.left + x / v.ratio, b.top + y / v.ratio]; }",
            [row, column],
        )
        return x, y

    def drag(self, *places):
        self.page.mouse.move(*self.screen(*places[0]))
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*self.screen(*place), steps=4)
        self.page.mouse.up()

    def click_at(self, row, column, **options):
        self.page.mouse.click(*self.screen(row, column), **options)

    def mask(self):
        """What is painted now, as the browser has it."""
        import numpy as np

        height, width, data = self.page.evaluate(
            "() => [editor.labels.height, editor.labels.width, Array.from(editor.labels.data)]"
        )
        return np.array(data, np.uint8).reshape(height, width)


@pytest.fixture
def new_page(browser):
    """Make a page of one browser window; its scripts may throw nothing."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, bypass_csp=True)
    context.set_default_timeout(20_000)
    pages = []

    def make():
        pages.append(Page(context.new_page()))
        return pages[-1]

    yield make
    context.close()
    assert not [error for page in pages for error in page.errors]


@pytest.fixture
def page(new_page, server):
    return new_page().open(server.address)


@pytest.fixture
def probabilities(small_project):
    """Proposals of a second round that keep what the model thought: 85 % for the phase that it proposes."""
    import numpy as np

    from cathode_tf.rounds.strokes import write_probabilities

    rows = []
    for rank, image in enumerate(small_project.state.images.values(), start=1):
        thought = 0.05 + 0.8 * np.eye(4, dtype=np.float32)[small_project.proposal(image)]
        path = f"proposals/{image.key}/r002_probabilities.png"
        write_probabilities(small_project.path / path, thought)
        rows.append({**image.proposal, "key": image.key, "rank": rank, "probabilities": path})
    small_project.ledger.append("propose", round=2, model=1, proposals=rows)
