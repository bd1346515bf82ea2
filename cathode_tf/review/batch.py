"""Masks for every image of a batch: a project, or a folder of micrographs, comes in, `batches/NAME/masks` goes out.

Beside them lie their stories (who or what made each) and `batch.json`, a list of what became of each image.
"""

from __future__ import annotations

import re
import shutil
import time
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.files import pixel_sha256, read_json, write_json
from cathode_tf.imaging.draws import write_draws
from cathode_tf.imaging.label_images import write_labels
from cathode_tf.imaging.stories import MODEL, Story, write_stories
from cathode_tf.progress import track
from cathode_tf.rounds import Project
from cathode_tf.rounds.exchange import image_facts, story_of
from cathode_tf.rounds.particles import corrected_labels
from cathode_tf.rounds.state import ImageState

if TYPE_CHECKING:
    from cathode_tf.inference import Segmenter

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

    Beside a model's mask lie its plausible masks, as `cathode-tf segment` leaves them, and its particles; beside an
    accepted one the particles that somebody corrected. What an earlier call made with the same model is kept.
    """
    folder = batch_folder(project, "project")
    known = {row["key"]: row for row in read_batch(project, "project")}
    state = project.state
    model = state.champion.name if state.champion else "default"
    images = [image for image in state.images.values() if image.status != "rejected"]
    segmenter, rows = None, []
    names, written = _file_names(images), time.monotonic()
    # What is accepted is only written: it comes first, and says nothing of how long the others take.
    accepted_ones = [image for image in images if image.status == "accepted"]
    others = [image for image in images if image.status != "accepted"]
    for image in chain(accepted_ones, track(others, "Segmenting", total=len(others))):
        accepted = project.mask(image)
        labels = None if accepted is None else corrected_labels(project, image, accepted)
        of = f"model {model} {state.off} with draws"
        if accepted is not None:
            of = f"accepted, revision {image.revisions}{'' if labels is None else f', particles {_sha(labels)}'}"
        row = known.get(image.key)
        if row is None or row["of"] != of or not (folder / row["mask"]).exists():
            target = folder / "masks" / names[image.key]
            for kind in ("labels", "draws"):
                target.with_name(f"{target.name}_{kind}.tif").unlink(missing_ok=True)
            if accepted is None:
                segmenter = segmenter or _segmenter(project)
                mask, facts, story = _segment(project, segmenter, image, target)
            else:
                mask, facts, story = accepted, {"score": None, "foreign": ""}, story_of(project, image)
                if labels is not None:
                    write_labels(target.with_name(f"{target.name}_labels.tif"), labels)
            _write_mask(project, image, mask, story, target)
            row = {"key": image.key, "of": of, "mask": f"masks/{target.name}_mask.png", **facts}
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


def _segment(
    project: Project, segmenter: Segmenter, image: ImageState, target: Path
) -> tuple[np.ndarray, dict[str, Any], Story]:
    """The model's mask of an image, what is said of it, and its story; particles and plausible masks are written."""
    from cathode_tf.inference.draws import DRAWS
    from cathode_tf.inference.facts import model_facts
    from cathode_tf.inference.separation import separate

    micrograph, phases = project.micrograph(image), project.active
    draws = None
    if segmenter.phases.same_classes(phases):
        found, draws = segmenter.segment_with_draws(micrograph, DRAWS)
    else:  # of other phases than its own a model does not know what its probabilities are worth
        found = segmenter.segment(micrograph, phases=phases)
    if draws is not None:
        write_draws(target.with_name(f"{target.name}_draws.tif"), draws)
    if phases.with_role("particle"):
        labels = separate(found.mask, phases, micrograph, network=project.separation)
        write_labels(target.with_name(f"{target.name}_labels.tif"), labels)
    kind = segmenter.kind(micrograph)
    story = Story(MODEL, model=model_facts(segmenter), image=image_facts(project, image), kind=kind)
    foreign = kind["reason"] if kind and kind["foreign"] else ""
    return found.mask, {"score": round(found.score, 4), "foreign": foreign}, story


def _write_mask(project: Project, image: ImageState, mask: np.ndarray, story: Story, target: Path) -> None:
    from cathode_tf.imaging import write_mask, write_overlay

    written = write_mask(target.with_name(f"{target.name}_mask.png"), mask, project.phases, force=True)
    write_overlay(
        target.with_name(f"{target.name}_overlay.png"),
        project.pixels(image),
        mask,
        project.phases,
        pixel_size_nm=image.pixel_size_nm,
        force=True,
    )
    write_stories(target.parent, {written.name: story})


def _sha(labels: np.ndarray) -> str:
    return pixel_sha256(labels)[:12]


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


def _segmenter(project: Project) -> Segmenter:
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
