"""Masks for every image of a batch: a project, or a folder of micrographs, comes in, `batches/NAME/masks` goes out.

Beside them lie their stories (who or what made each) and `batch.json`, a list of what became of each image.
"""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path
from typing import Any

from cathode_tf.errors import InputError
from cathode_tf.files import read_json, write_json
from cathode_tf.imaging.stories import MODEL, Story, write_stories
from cathode_tf.progress import track
from cathode_tf.rounds import Project
from cathode_tf.rounds.exchange import image_facts, story_of
from cathode_tf.rounds.state import ImageState

DOUBTFUL = 0.25
"""Mean entropy (0-1) from which on an image is listed as doubtful: look at it before you believe its numbers."""

KEEP_S = 3.0


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
    from cathode_tf.inference.facts import model_facts

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
            score, foreign = None, ""
            if accepted is None:
                segmenter = segmenter or _segmenter(project)
                micrograph = project.micrograph(image)
                found = segmenter.segment(micrograph, phases=project.active)
                mask, score = found.mask, round(found.score, 4)
                kind = segmenter.kind(micrograph)
                foreign = kind["reason"] if kind and kind["foreign"] else ""
                story = Story(
                    MODEL,
                    model=model_facts(segmenter),
                    image=image_facts(project, image),
                    kind=kind,
                )
            else:
                mask, story = accepted, story_of(project, image)
            written_mask = write_mask(folder / "masks" / f"{stem}_mask.png", mask, project.phases, force=True)
            write_overlay(
                folder / "masks" / f"{stem}_overlay.png",
                project.pixels(image),
                mask,
                project.phases,
                pixel_size_nm=image.pixel_size_nm,
                force=True,
            )
            write_stories(folder / "masks", {written_mask.name: story})
            row = {
                "key": image.key,
                "of": of,
                "score": score,
                "mask": f"masks/{stem}_mask.png",
                "foreign": foreign,
            }
        about = {
            "name": image.name,
            "state": "accepted" if accepted is not None else "segmented",
            "pixel_size_nm": image.pixel_size_nm,
            "group": image.group,
        }
        rows.append({**row, **about, "doubtful": _is_doubtful(row)})
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
        row |= {"pixel_size_nm": size, "group": "", "foreign": report.foreign.get(stem, "")}
        known[stem] = {**row, "doubtful": _is_doubtful(row)}
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


def _is_doubtful(row: dict[str, Any]) -> bool:
    """Whether a person should look at the mask before its numbers are believed."""
    return bool(row.get("foreign")) or (row["score"] or 0.0) >= DOUBTFUL


def _segmenter(project: Project) -> Any:
    from cathode_tf.inference import Segmenter

    champion = project.state.champion
    return Segmenter("default" if champion is None else str(project.path / champion.path))


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
