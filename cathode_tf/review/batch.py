"""The last stations of the page: masks for every image of a batch, then its numbers.

A project (or a folder of micrographs) comes in; `batches/NAME/` with masks, a list of what became of each image,
tables and a report goes out.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.files import atomic_folder, read_json, write_json
from cathode_tf.progress import tell, track
from cathode_tf.rounds import Project
from cathode_tf.rounds.project import read_png
from cathode_tf.rounds.state import ImageState

DOUBTFUL = 0.25
"""Mean entropy (0-1) from which on an image is listed as doubtful: look at it before you believe its numbers."""

KEEP_S = 3.0

SHOWN = 6
"""So many images are drawn in a report."""


def batch_folder(project: Project, name: str) -> Path:
    """Where a batch's files are; `project` is the name of the project's own images."""
    if not re.fullmatch(r"[\w.-]{1,80}", name) or name.startswith("."):
        raise InputError(f"{name!r}: there is no such batch.")
    return project.path / "batches" / name


def batches(project: Project) -> list[str]:
    """Names of the batches that there are."""
    folder = project.path / "batches"
    return sorted(p.name for p in folder.iterdir() if (p / "batch.json").is_file()) if folder.is_dir() else []


def read_batch(project: Project, name: str) -> list[dict[str, Any]]:
    """What became of each image: `name`, `state`, `score`, `mask`, `pixel_size_nm` ...; the most doubtful first."""
    path = batch_folder(project, name) / "batch.json"
    rows = read_json(path)["images"] if path.exists() else []
    return sorted(rows, key=lambda row: (row["state"] != "broken", -(row["score"] or 0.0)))


def apply_to_project(project: Project) -> dict[str, Any]:
    """A mask for each image of the project that is not rejected: the accepted one, else the model's.

    What an earlier call made with the same model is kept.
    """
    from cathode_tf.imaging import write_mask, write_overlay

    folder = batch_folder(project, "project")
    known = {row["key"]: row for row in read_batch(project, "project")}
    state = project.state
    model = state.champion.name if state.champion else "default"
    images = [image for image in state.images.values() if image.status != "rejected"]
    segmenter, rows = None, []
    names, written = _file_names(images), time.monotonic()
    for image in track(images, "Segmenting", total=len(images)):
        accepted = project.mask(image)
        of = f"accepted, revision {image.revisions}" if accepted is not None else f"model {model} {state.off}"
        row = known.get(image.key)
        if row is None or row["of"] != of or not (folder / row["mask"]).exists():
            stem = names[image.key]
            score = None
            if accepted is None:
                segmenter = segmenter or _segmenter(project)
                found = segmenter.segment(project.micrograph(image), phases=project.active)
                mask, score = found.mask, round(found.score, 4)
            else:
                mask = accepted
            write_mask(folder / "masks" / f"{stem}_mask.png", mask, project.phases, force=True)
            write_overlay(
                folder / "masks" / f"{stem}_overlay.png",
                project.pixels(image),
                mask,
                project.phases,
                pixel_size_nm=image.pixel_size_nm,
                force=True,
            )
            row = {"key": image.key, "of": of, "score": score, "mask": f"masks/{stem}_mask.png"}
        about = {
            "name": image.name,
            "state": "accepted" if accepted is not None else "segmented",
            "pixel_size_nm": image.pixel_size_nm,
            "group": image.group,
        }
        rows.append({**row, **about, "doubtful": (row["score"] or 0.0) >= DOUBTFUL})
        if time.monotonic() - written > KEEP_S:  # so that little is done again after a kill
            done = {one["key"] for one in rows}
            _write_rows(folder, model, rows + [one for key, one in known.items() if key not in done])
            written = time.monotonic()
    _write_rows(folder, model, rows)
    _write_phases(folder, project)
    return _outcome("project", rows)


def apply_to_folder(project: Project, images: Path) -> dict[str, Any]:
    """Masks for the micrographs of a folder, by the project's model; nothing is added to the project.

    Images that were done before by the same model are not done again.
    """
    from cathode_tf.inference.folders import segment_files

    if not images.is_dir():
        raise InputError(f"{images}: must be a folder of micrographs. There is none.")
    name = re.sub(r"[^\w.-]+", "_", images.resolve().name).strip(".") or "folder"
    folder = batch_folder(project, name if name != "project" else "folder-project")
    segmenter = _segmenter(project)
    same = segmenter.phases.same_classes(project.active)
    phases = None if same else project.active
    report = segment_files(segmenter, [images], folder / "masks", resume=True, phases=phases)
    state = project.state
    known = {row["name"]: row for row in read_batch(project, folder.name)}
    rows = []
    for stem, score in report.scores.items():
        size, _ = report.pixel_sizes[stem]
        row = {"key": stem, "name": stem, "state": "segmented", "score": round(score, 4), "of": ""}
        known[stem] = {**row, "pixel_size_nm": size, "group": "", "doubtful": score >= DOUBTFUL}
    for stem in known:
        if (folder / "masks" / f"{stem}_mask.png").exists():
            rows.append({**known[stem], "mask": f"masks/{stem}_mask.png"})
    for path, why in report.broken:
        rows.append(
            {"key": path.stem, "name": path.stem, "state": "broken", "score": None, "why": why, "mask": None,
             "of": "", "pixel_size_nm": None, "group": "", "doubtful": True}
        )  # fmt: skip
    _write_rows(folder, state.champion.name if state.champion else "default", rows, source=str(images))
    _write_phases(folder, project)
    return _outcome(folder.name, rows)


def report_on(project: Project, name: str) -> dict[str, Any]:
    """Analyse the masks of a batch and write tables and a report beside them.

    Raises:
        InputError: If there are no masks, or images of different pixel sizes.
    """
    from cathode_tf.analysis import analyze
    from cathode_tf.reporting import write_report

    folder = batch_folder(project, name)
    rows = [row for row in read_batch(project, name) if row["mask"]]
    if not rows:
        raise InputError("report: needs masks. Received none. Segment all images first (Apply).")
    rows.sort(key=lambda row: row["name"])
    size, source = _common_size(project, rows)
    phases = project.phases
    shown: dict[str, np.ndarray] = {}
    pictures: dict[str, np.ndarray] = {}

    def each() -> Iterator[tuple[str, np.ndarray]]:
        for row in track(rows, "Measuring", total=len(rows)):
            mask = _read_mask(folder / row["mask"])
            if len(shown) < SHOWN:
                shown[row["name"]] = mask
                if name == "project":
                    pictures[row["name"]] = project.pixels(project.image(row["key"]))
            yield row["name"], mask

    groups = {row["name"]: row["group"] for row in rows if row["group"]}
    grouped = groups if 1 < len(set(groups.values())) < len(rows) else None
    analysis = replace(analyze(each(), phases, pixel_size_nm=size, groups=grouped), pixel_size_source=source)
    tell("Drawing", 0, 1)
    with atomic_folder(folder / "analysis", force=True) as out:
        analysis.write_into(out)
        _write_workbook(analysis, out / "tables.xlsx")
        write_report(
            analysis, out / "report.html", masks=shown, micrographs=pictures, title=project.state.name
        )
    tell("Drawing", 1, 1)
    fractions = {phase: str(value) for phase, value in analysis.summary["fraction"].items()}
    return {"batch": name, "fractions": fractions, "images": len(rows)}


def _common_size(project: Project, rows: list[dict[str, Any]]) -> tuple[float | None, str]:
    """Pixel size of the batch and where it is known from; None where one image's is unknown."""
    sizes = {row["name"]: row["pixel_size_nm"] for row in rows}
    known = {name: size for name, size in sizes.items() if size}
    if not known:
        return None, ""
    first, size = next(iter(known.items()))
    other = next((n for n, s in known.items() if abs(s - size) > 1e-3 * size), None)
    if other is not None:
        raise InputError(
            f"{other}: must have the pixel size of the batch ({size:.5g} nm, of {first}). It has "
            f"{known[other]:.5g} nm. Report them separately."
        )
    if len(known) < len(sizes):
        missing = next(name for name, value in sizes.items() if not value)
        raise InputError(
            f"{missing}: must have a known pixel size, as others of the batch do ({first}, {size:.5g} nm). "
            "Measure its scale bar (Images), or reject it."
        )
    sources = {image.pixel_size_source for image in project.state.images.values() if image.pixel_size_nm}
    return size, next(iter(sources)) if len(sources) == 1 else f"{len(sources)} sources"


def _segmenter(project: Project) -> Any:
    from cathode_tf.inference import Segmenter

    champion = project.state.champion
    return Segmenter("default" if champion is None else str(project.path / champion.path))


def _read_mask(path: Path) -> np.ndarray:
    from PIL import Image

    with Image.open(path) as file:
        shape = file.height, file.width
    return read_png(path, shape)


def _file_names(images: list[ImageState]) -> dict[str, str]:
    """A file's stem for each image, by key; images of one name carry a part of their key."""
    from collections import Counter

    safe = {image.key: re.sub(r"[^\w.-]+", "_", image.name).strip(".") or "image" for image in images}
    count = Counter(name.casefold() for name in safe.values())
    return {k: name if count[name.casefold()] == 1 else f"{name}-{k[:8]}" for k, name in safe.items()}


def _write_rows(folder: Path, model: str, rows: list[dict[str, Any]], **about: Any) -> None:
    write_json(folder / "batch.json", {"model": model, **about, "images": rows}, force=True)


def _write_phases(folder: Path, project: Project) -> None:
    (folder / "masks").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(project.path / "phases.toml", folder / "masks" / "phases.toml")


def _outcome(name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "batch": name,
        "images": len(rows),
        "doubtful": [row["name"] for row in rows if row["doubtful"] and row["state"] != "broken"],
        "broken": [[row["name"], row["why"]] for row in rows if row["state"] == "broken"],
    }


def _write_workbook(analysis: Any, path: Path) -> None:
    """The numbers as a workbook: a sheet of estimates, one of images, one of particles and pores."""
    import pandas as pd

    estimates = [
        {
            "quantity": quantity,
            "of": of,
            "value": estimate.value,
            "low": estimate.ci[0] if estimate.ci else None,
            "high": estimate.ci[1] if estimate.ci else None,
            "text": str(estimate),
        }
        for quantity, mine in analysis.summary.items()
        for of, estimate in mine.items()
    ]
    with pd.ExcelWriter(path, engine="openpyxl") as book:
        pd.DataFrame(estimates).to_excel(book, sheet_name="numbers", index=False)
        analysis.per_image.to_excel(book, sheet_name="images", index=False)
        analysis.instances.head(1_000_000).to_excel(book, sheet_name="particles and pores", index=False)
