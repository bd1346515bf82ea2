"""How long after a pointer moves is the stroke on the screen? 4096 x 3072 px, headless Chromium.

Run: python benchmarks/review.py
The browser draws at 60 frames a second, so one frame, 16.7 ms, is the least that can be seen. The rows `hover` move
the pointer without painting: what the browser and the machine take anyway. `work` is what our code itself takes for
one movement of the pointer.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import sync_playwright

from cathode_tf import Phases
from cathode_tf.imaging import write_mask
from cathode_tf.rounds import create_project
from cathode_tf.synthesis import synthesize

STROKE = """async ([scale, size, painting]) => {
  const v = editor.view, stage = document.getElementById("stage"), box = stage.getBoundingClientRect();
  if (scale) v.zoomTo(scale); else v.fit();
  await new Promise((r) => setTimeout(r, 1500));
  editor.setSize(size); editor.setPhase(0);
  stage.setPointerCapture = () => {};
  const fire = (type, x, y) => stage.dispatchEvent(new PointerEvent(
    type, { clientX: box.left + x, clientY: box.top + y, button: 0, pointerId: 1, bubbles: true }));
  const latency = [], work = [];
  if (painting) fire("pointerdown", 200, 250);
  for (let i = 0; i < 100; i++) {
    const start = performance.now();
    await new Promise((done) => {
      v.onframe = done;
      fire("pointermove", 200 + 5 * i, 250 + 60 * Math.sin(i / 3));
      work.push(performance.now() - start);
    });
    latency.push(performance.now() - start);
  }
  v.onframe = null; fire("pointerup", 700, 250);
  for (const list of [latency, work]) list.sort((a, b) => a - b);
  return [latency[50], latency[95], work[50]];
}"""


def project(folder: Path):
    """Two 4096 x 3072 images with detailed masks as proposals."""
    tiles = list(synthesize(2, seed=5, height=768, width=1024))
    rng = np.random.default_rng(0)
    (folder / "in").mkdir()
    truth = np.tile(tiles[0].mask, (4, 4))
    for number, tile in enumerate(tiles):
        cv2.imwrite(str(folder / "in" / f"large_{number}.png"), np.tile(tile.image, (4, 4)))
    made = create_project(folder / "project", Phases.default(), [folder / "in"], test_share=0)
    rows = []
    for rank, key in enumerate(made.state.images, start=1):
        mask, map_ = f"proposals/{key}/r001_mask.png", f"proposals/{key}/r001_uncertainty.png"
        write_mask(made.path / mask, truth, made.phases)
        cv2.imwrite(str(made.path / map_), rng.integers(0, 255, truth.shape, np.uint8))
        rows.append({"key": key, "rank": rank, "score": 0.1, "mask": mask, "uncertainty": map_})
    made.ledger.append("propose", round=1, model=1, proposals=rows)
    return made


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        made = project(Path(scratch))
        command = [
            sys.executable,
            "-m",
            "cathode_tf.tools",
            "review",
            str(made.path),
            "--no-browser",
            "--port",
            "0",
        ]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        address = re.search(r"http\S+", server.stdout.readline()).group()
        try:
            with sync_playwright() as playwright:
                chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
                flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
                browser = playwright.chromium.launch(executable_path=chromium, args=flags)
                page = browser.new_page(bypass_csp=True, viewport={"width": 1440, "height": 900})
                measure(page, address)
                browser.close()
        finally:
            server.kill()
            server.wait()


def measure(page, address: str) -> None:
    """Print the tables."""
    start = time.perf_counter()
    page.goto(address)
    page.wait_for_function("() => window.editor?.labels && !editor.readonly", timeout=60_000)
    opened = time.perf_counter() - start
    page.wait_for_timeout(3000)
    print(f"4096 x 3072 px; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    print("| zoom | brush | pointer to screen, median | 95 % | work |\n|---|---:|---:|---:|---:|")
    for scale, size in ((None, 25), (None, 200), (1, 0), (1, 25), (1, 200), (8, 0), (8, 15)):
        median, most, work = page.evaluate(STROKE, [scale, size or 25, size > 0])
        zoom = f"{scale} : 1" if scale else "whole image"
        brush = f"{size} px" if size else "hover"
        print(f"| {zoom} | {brush} | {median:.1f} ms | {most:.1f} ms | {work:.1f} ms |")
    print("\n| action | time |\n|---|---:|")
    print(f"| open the page and the first image | {opened:.1f} s |")
    for name, script in (
        ("undo a stroke", "editor.labels.undo()"),
        ("fill a region", "editor.labels.begin(); editor.labels.fill(1500, 2000, 2); editor.labels.end()"),
    ):
        ms = page.evaluate(
            f"() => {{ const t = performance.now(); {script}; return performance.now() - t; }}"
        )
        print(f"| {name} | {ms:.1f} ms |")
    key = page.evaluate("() => editor.card.key")
    start = time.perf_counter()
    page.keyboard.press("Enter")
    page.wait_for_function("key => editor.card?.key !== key && editor.labels && !editor.readonly", arg=key)
    print(f"| accept and have the next image open | {time.perf_counter() - start:.1f} s |")


if __name__ == "__main__":
    main()
