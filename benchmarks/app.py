"""What the page of all stations costs: from a cold start to first masks, large images, a long queue.

Run: python benchmarks/app.py [cold] [large] [queue]
Wall time beside the processor time of server and worker together, and that of Chromium: on a computer with other
work, these say what the first would be about on free cores. What the browser does, it does on one core mostly.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import psutil
from playwright.sync_api import Page, sync_playwright

from cathode_tf import Phases
from cathode_tf.imaging import write_mask
from cathode_tf.rounds import Project, create_project
from cathode_tf.synthesis import synthesize

TICKS = os.sysconf("SC_CLK_TCK")
OPEN = "key => window.editor && editor.card?.key !== key && editor.labels && !editor.readonly"


class Served:
    """`cathode-tf app` in a process of its own; `processor_s` is that of it and its worker."""

    def __init__(self, place: Path, home: Path) -> None:
        command = [sys.executable, "-m", "cathode_tf.tools", "app", str(place), "--no-browser", "--port", "0"]
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, "HOME": str(home)}
        )
        assert self.process.stdout is not None
        found = re.search(r"http\S+", self.process.stdout.readline())
        assert found is not None
        self.address = found.group()
        self.announced = time.perf_counter() - self.began

    def processor_s(self) -> float:
        pids = [self.process.pid]
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        pids += [int(child) for child in children]
        ticks = 0
        for pid in pids:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / TICKS

    def told(self) -> str:
        return f"{time.perf_counter() - self.began:.1f} s | {self.processor_s():.1f} s |"


@contextlib.contextmanager
def served(place: Path, home: Path) -> Iterator[Served]:
    server = Served(place, home)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()


def cold(page: Page, folder: Path) -> None:
    """Six images of 1024 x 768 px, nothing loaded, no project yet."""
    photos = folder / "photos"
    photos.mkdir()
    image = synthesize(seed=1, height=768, width=1024)[0].image
    for index, turned in enumerate(
        (image, image[::-1], image[:, ::-1], image[::-1, ::-1], image // 2, image[::-1] // 2)
    ):
        cv2.imwrite(str(photos / f"{index}.png"), np.ascontiguousarray(turned))
    with served(photos, folder / "home") as server:
        print(f"| address printed | {server.announced:.1f} s | {server.processor_s():.1f} s |")
        page.goto(server.address)
        page.click("#use")
        page.click("#phases-go")
        print(f"| images in a project, phases chosen | {server.told()}")
        page.click("#propose-first")
        page.wait_for_selector("img[alt^=proposal]")
        print(f"| first proposal seen | {server.told()}")
        page.wait_for_selector("#to-review")
        print(f"| three proposals | {server.told()}")


def proposed(folder: Path, images: list[np.ndarray], mask: np.ndarray) -> Project:
    """A project of these images, the mask proposed for each."""
    (folder / "in").mkdir()
    for number, image in enumerate(images):
        cv2.imwrite(str(folder / "in" / f"image_{number:04d}.png"), image, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    made = create_project(folder / "project", Phases.default(), [folder / "in"], test_share=0)
    rows = []
    for rank, key in enumerate(made.state.images, start=1):
        path, map_ = f"proposals/{key}/r001_mask.png", f"proposals/{key}/r001_uncertainty.png"
        write_mask(made.path / path, mask, made.phases)
        cv2.imwrite(str(made.path / map_), np.zeros(mask.shape, np.uint8))
        rows.append({"key": key, "rank": rank, "score": 0.1, "mask": path, "uncertainty": map_})
    made.ledger.append("propose", round=1, model=1, proposals=rows)
    return made


def browser_s() -> float:
    """Processor seconds of Chromium so far, its processes for pages and pictures together."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "chrom" in process.name():
                total += sum(process.cpu_times()[:2])
    return total


def timed(page: Page, server: Served, name: str, do, wait: str, argument=None) -> None:
    """A row of the table; what wakes the page is its next frame, so that looking costs nothing."""
    before, drawn, start = server.processor_s(), browser_s(), time.perf_counter()
    do()
    page.wait_for_function(wait, arg=argument)
    took = time.perf_counter() - start
    used = f"{server.processor_s() - before:.2f} s | {browser_s() - drawn:.2f} s"
    print(f"| {name} | {took:.2f} s | {used} |", flush=True)


def decide(page: Page, server: Served, name: str, times: int = 4) -> None:
    """Accept several images, each looked at for a while, in which the next is fetched; a row for each but the first."""
    for count in range(times):
        page.wait_for_timeout(4000)
        key = page.evaluate("() => editor.card.key")
        if count:
            timed(page, server, name, lambda: page.keyboard.press("Enter"), OPEN, key)
        else:
            page.keyboard.press("Enter")
            page.wait_for_function(OPEN, arg=key)


def large(page: Page, folder: Path) -> None:
    """Six images of 4096 x 3072 px with detailed masks."""
    tile = synthesize(seed=5, height=768, width=1024)[0]
    image = np.tile(tile.image, (4, 4))
    rng = np.random.default_rng(0)
    images = [image, *(np.roll(image, int(shift), 0) for shift in rng.integers(1, 3000, 5))]
    made = proposed(folder, images, np.tile(tile.mask, (4, 4)))
    with served(made.path, folder / "home") as server:
        page.goto(server.address)
        page.wait_for_selector("#station h1")
        page.wait_for_function("() => desk.state.speed.ready", timeout=600_000)
        page.goto(server.address.split("?")[0] + "review")
        page.wait_for_function(OPEN, arg=None)
        page.wait_for_timeout(3000)
        for far in (5, 3):  # none of them was fetched ahead
            key = list(made.state.images)[far]
            timed(
                page,
                server,
                "open a 4096 x 3072 px image",
                lambda key=key: page.evaluate("key => void editor.open(key)", key),
                "key => editor.card?.key === key && !editor.readonly",
                key,
            )
            page.wait_for_timeout(3000)
        decide(page, server, "accept, and have the next 4096 x 3072 px image")


def queue(page: Page, folder: Path) -> None:
    """2,000 images."""
    tile = synthesize(seed=5, height=96, width=128)[0]
    rng = np.random.default_rng(0)
    images = [
        np.clip(tile.image + rng.integers(0, 9, tile.image.shape), 0, 255).astype(np.uint8)
        for _ in range(2000)
    ]
    made = proposed(folder, images, tile.mask)
    with served(made.path, folder / "home") as server:
        page.goto(server.address)
        page.wait_for_function("() => desk.state.speed.ready", timeout=600_000)
        address = server.address.split("?")[0]
        timed(
            page,
            server,
            "the page of 2,000 images",
            lambda: page.goto(address + "#images"),
            "() => document.querySelectorAll('#station tbody tr').length === 2000",
        )
        timed(page, server, "the review page of 2,000 images", lambda: page.goto(address + "review"), OPEN)
        decide(page, server, "accept, and have the next of 2,000")


def main() -> None:
    chosen = sys.argv[1:] or ["cold", "large", "queue"]
    chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        for name in chosen:
            page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
            page.set_default_timeout(600_000)
            print(f"\n{name}; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors\n")
            chromium_too = " Chromium |\n|---|---:|---:|---:|" if name != "cold" else "\n|---|---:|---:|"
            print(f"| | wall | server and worker |{chromium_too}")
            with tempfile.TemporaryDirectory() as scratch:
                {"cold": cold, "large": large, "queue": queue}[name](page, Path(scratch))
            page.context.close()
        browser.close()


if __name__ == "__main__":
    main()
