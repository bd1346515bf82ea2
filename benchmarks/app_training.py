"""Are the minutes left that the page tells of a training right? Real images, through the app's own job, no browser.

Run: CATHODE_TF_REAL_DATA=... python benchmarks/app_training.py [minutes ...]
Six slices of real cathodes with their masks accepted, two of them test images; one project, one training for each
number of minutes, one after the other. The time left is what `/api/app/jobs` tells the page, read every few seconds,
and is held against the time that it then took.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from app import served

from cathode_tf.imaging import read_mask
from cathode_tf.phases import Phases
from cathode_tf.review.forecast import training_stages
from cathode_tf.rounds import Project, create_project, record_review

SLICES = ("1", "100", "103", "360", "394", "546")
EVERY_S = 2.0
LOOKS_S = (5, 30, 60, 120, 180, 240, 300)
"""When a row of the table is told, seconds after the button."""


def annotated(data: Path, out: Path) -> Project:
    """Six slices whose masks are accepted."""
    phases = Phases.from_list(
        [{"name": name, "id": number} for number, name in enumerate(("ncm", "binder", "pore"))]
    )
    images = [data / "nmc_xct" / f"{name}.tif" for name in SLICES]
    made = create_project(out, phases, images, test_share=0.3)
    for image in list(made.state.images.values()):
        mask = read_mask(data / "nmc_xct" / f"{image.name}_label.tif", phases)
        record_review(made, image.key, "accept", mask=mask, origin="human")
    return made


Told = list[tuple[float, dict[str, Any]]]


def watched(client: httpx.Client, minutes: float) -> Told:
    """Train; what the page is told, by seconds since the button, the last when it is done."""
    began = time.monotonic()
    wish = {"kind": "train", "minutes": minutes, "who": "ann"}
    client.post("/api/app/jobs", json=wish).raise_for_status()
    told: Told = []
    while True:
        job = client.get("/api/app/jobs").json()[0]
        told.append((time.monotonic() - began, job))
        if job["state"] in ("done", "failed", "stopped"):
            assert job["state"] == "done", job
            return told
        time.sleep(EVERY_S)


def table(minutes: float, steps: float, foretold: float, told: Told) -> None:
    """Foretold beside taken, at a few looks, and the worst of all that were taken from the first minute on."""
    end, last = told[-1]
    print(f"\n{minutes:g} minutes asked: {steps:.0f} steps foretold, {last['step']} made; {foretold:.0f} s foretold "
          f"for all, {end:.0f} s taken (ratio {foretold / end:.2f}).\n")  # fmt: skip
    print("| seconds after the button | told left | was left | told / was |\n|---:|---:|---:|---:|")
    labels = dict.fromkeys(job["label"] for _, job in told)
    spans = {label: [at for at, job in told if job["label"] == label] for label in labels}
    print(
        "; ".join(f"{label} {min(each):.0f} to {max(each):.0f} s" for label, each in spans.items()),
        end=".\n\n",
    )
    running = [(at, job) for at, job in told if job["state"] == "running" and "left_s" in job]
    for look in LOOKS_S:
        near = min(running, key=lambda row: abs(row[0] - look))
        if abs(near[0] - look) < 2 * EVERY_S:
            at, job = near
            late = " (longer than foretold)" if job.get("late") else ""
            print(
                f"| {at:.0f} | {job['left_s']:.0f} s{late} | {end - at:.0f} s | {job['left_s'] / (end - at):.2f} |"
            )
    counted = [job["left_s"] / (end - at) for at, job in running if at >= 60 and end - at >= 20]
    off = sum(not 0.7 <= ratio <= 1.3 for ratio in counted)
    if counted:
        print(f"\nFrom the first minute until 20 s before the end: {min(counted):.2f} to {max(counted):.2f}; "
              f"{off} of {len(counted)} looks more than 30 % off.")  # fmt: skip


def main() -> None:
    data = Path(os.environ["CATHODE_TF_REAL_DATA"])
    asked = [float(value) for value in sys.argv[1:]] or [2.0, 4.0]
    with tempfile.TemporaryDirectory() as scratch:
        made = annotated(data, Path(scratch) / "project")
        with served(made.path, Path(scratch) / "home") as server:
            base, _, token = server.address.partition("?token=")
            client = httpx.Client(base_url=base, timeout=60, follow_redirects=True)
            client.get("/", params={"token": token}).raise_for_status()
            while not client.get("/api/app").json()["speed"].get("ready"):
                time.sleep(1)
            for minutes in asked:
                print(f"\nload average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors", flush=True)
                shown = client.get("/api/app").json()
                steps = 60 * minutes / shown["project"]["step_s"]
                pace = shown["speed"]["s_per_megapixel"]
                foretold = sum(s for _, s in training_stages(Project(made.path), 60 * minutes, pace))
                table(minutes, steps, foretold, watched(client, minutes))
                sys.stdout.flush()


if __name__ == "__main__":
    main()
