"""One round's training: everything annotated so far becomes records, the champion learns on, a challenger comes out."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.files import atomic_file, temporary_folder
from cathode_tf.phases import IGNORE
from cathode_tf.rounds.project import Project
from cathode_tf.rounds.promotion import knows_default, set_stable
from cathode_tf.rounds.state import ImageState, ModelState

VALIDATION_SHARE = 0.2
"""Of the labelled rows of each image: the lower part chooses the checkpoint, the upper part is learned from."""

UNWISE = (
    "--new-only learns from the newest images only. What the model knew of the others fades "
    "(catastrophic forgetting), and its Dice on them falls without a sign. Training on all rounds' "
    "images costs the same time."
)


def train_round(
    project: Project,
    *,
    start: str = "champion",
    new_only: bool = False,
    who: str | None = None,
    force: bool = False,
    **options: Any,
) -> ModelState:
    """Train a challenger on all images annotated so far, beginning with the champion's weights.

    A killed training is taken up again by the same call. The first model of a project is promoted at once where
    nothing can be compared: no test image is annotated yet, or the model that ships does not know these phases.

    Args:
        project: With at least one annotated image that is not a test image.
        start: `"champion"` (without one: the model that ships with the package, if it does), `"default"`
            or `"scratch"`.
        new_only: Learn only from images annotated since the champion was trained; unwise.
        who: Name for the ledger; default: the user of this process.
        force: Begin again where a run with other options was interrupted.
        options: Passed to `cathode_tf.train`: `epochs`, `time_limit_s`, `preset`, `seed` ...

    Phases that were switched off, and phases of which no mask has a pixel, are left out of the model.

    Raises:
        InputError: If there is nothing to learn from.
    """
    from cathode_tf.datasets import open_records
    from cathode_tf.learning import train

    state = project.state
    images = state.annotated("pool")
    if new_only:
        warnings.warn(UNWISE, InputWarning, stacklevel=2)
        known = set(state.champion.images) if state.champion else set()
        images = [image for image in images if image.key not in known]
    if not images:
        raise InputError(
            f"{project.path}: must hold an accepted mask to learn from; test images do not count. Received none. "
            f"Annotate some: cathode-tf review {project.path}"
        )
    number = max(state.models, default=0) + 1
    records = write_records(project, images, f"new-{number:03d}" if new_only else None)
    begin, named = _start(project, start)
    run_path = f"runs/{number:03d}-{records['fingerprint'][:8]}"
    learned = open_records(project.path / records["path"]).skipping(state.off)
    options.setdefault("patch_px", _patch_px(images))
    run = train(learned, project.path / run_path, start=begin, force=force, **options)
    path = f"models/{number:03d}.keras"
    with atomic_file(project.path / path, force=True) as temporary:
        shutil.copyfile(run.best_path, temporary)
    project.ledger.append(
        "train",
        who=who,
        model=number,
        round=state.round,
        path=path,
        run=run_path,
        records=records,
        start=named,
        new_only=new_only,
        images=[image.key for image in images],
        minutes=round(project.state.minutes, 3),
        validation_dice=round(float(run.best_dice), 5),
        stopped=run.stopped,
    )
    if not state.champions and not (state.annotated("test") and knows_default(project)):
        project.ledger.append("promote", who=who, model=number, reason="first model", forced=False)
        set_stable(project)
    return project.state.models[number]


def _patch_px(images: Sequence[ImageState]) -> int:
    """Side of the patches: 256, or what holds the largest image, where all are smaller than that.

    A patch beyond the frame is filled with nothing to learn from, and costs as much.
    """
    side = max(max(image.height, image.width) for image in images)
    return min(256, max(64, -(-side // 32) * 32))


def _start(project: Project, start: str) -> tuple[str | Path | None, str]:
    from cathode_tf.learning.models import DEFAULT

    champion = project.state.champion
    if start == "champion" and champion is not None:
        return project.path / champion.path, champion.name
    if start == "scratch":
        return None, "scratch"
    if start not in ("champion", "default"):
        raise InputError(f"--from: must be champion, default or scratch. Received {start!r}.")
    if DEFAULT.exists():
        return "default", "default"
    if start == "default":
        raise InputError("--from default: this installation ships no default model. Take --from scratch.")
    return None, "scratch"


def write_records(project: Project, images: Sequence[ImageState], name: str | None = None) -> dict[str, Any]:
    """Put these images and all annotated test images into a record set of the project.

    What a set holds already is not written again: new images become shards of its next version. Where
    a mask that it holds was corrected since, a new set begins.

    Args:
        project: The project.
        images: Images to learn from; each gives its upper part to `train`, its lower to `validation`.
        name: Name of a set for these images alone; default: the project's growing one.

    Returns:
        `path` within the project, `version` and `fingerprint`.
    """
    from cathode_tf.datasets import open_records

    wanted = {f"{i.key}_{i.revisions:03d}": i for i in [*images, *project.state.annotated("test")]}
    folder = _set_for(project, set(wanted), name)
    path = project.path / folder
    there = _ids(path)
    new = [image for stem, image in wanted.items() if stem not in there]
    batches: dict[tuple[str, int, str], list[ImageState]] = {}
    for image in sorted(new, key=lambda i: i.role == "test"):
        batches.setdefault((image.origin, image.mask_round, image.annotator), []).append(image)
    for (origin, number, annotator), batch in batches.items():
        _convert(project, batch, path, add=bool(_ids(path)), origin=origin, round=number, annotator=annotator)
    records = open_records(path)
    return {"path": folder, "version": str(records.version), "fingerprint": records.fingerprint}


def _ids(path: Path) -> set[str]:
    """Stems (key and revision) of the images of a record set; empty where there is none yet."""
    from cathode_tf.datasets import open_records

    if not path.exists() or not any(path.iterdir()):
        return set()
    return {row.id.rsplit("-", 1)[0] for row in open_records(path).rows}


def _set_for(project: Project, wanted: set[str], name: str | None) -> str:
    """The growing set, or the next one where the present one holds something that is no longer wanted."""
    if name:
        return f"records/{name}"
    number = len(list((project.path / "records").glob("set-*")))
    current = f"records/set-{max(1, number):02d}"
    if _ids(project.path / current) <= wanted:
        return current
    return f"records/set-{number + 1:02d}"


def _convert(
    project: Project,
    images: Sequence[ImageState],
    out: Path,
    *,
    add: bool,
    **about: Any,
) -> None:
    from cathode_tf.datasets import convert
    from cathode_tf.imaging import write_mask

    splits: dict[str, str] = {}
    groups: dict[str, str] = {}
    with temporary_folder(project.path) as staging:
        pictures, masks = staging / "images", staging / "masks"
        pictures.mkdir()
        for image in images:
            mask, pixels = project.mask(image), project.pixels(image)
            assert mask is not None
            for split, rows in _parts(mask, image.role).items():
                stem = f"{image.key}_{image.revisions:03d}-{split}"
                _write_tiff(pictures / f"{stem}.tif", pixels[rows], image.pixel_size_nm)
                write_mask(masks / f"{stem}.png", mask[rows], project.phases)
                splits[stem] = split
                # Both parts of one image are meant to be on two sides: see VALIDATION_SHARE.
                groups[stem] = image.group if split != "validation" else f"{image.group} (lower part)"
        out.parent.mkdir(parents=True, exist_ok=True)
        convert(
            pictures,
            masks,
            out=out,
            phases=project.phases,
            groups=groups,
            split_file=splits,
            databar="none",
            add=add,
            **about,
        )


def _parts(mask: np.ndarray, role: str) -> dict[str, slice]:
    """Rows of each split: a test image whole, another cut where its labelled pixels divide 80 to 20.

    A few images then serve both purposes, and an image never changes sides: it is on both from the start.
    Each part has labelled pixels; one labelled row alone cannot be divided, and is learned from.
    """
    if role == "test":
        return {"test": slice(None)}
    counts = (mask != IGNORE).sum(axis=1)
    labelled = np.flatnonzero(counts)
    if len(labelled) == 1:
        return {"train": slice(None)}
    row = int(np.searchsorted(np.cumsum(counts), (1 - VALIDATION_SHARE) * counts.sum()))
    row = min(max(labelled[0] + 1, row), labelled[-1])
    return {"train": slice(0, row), "validation": slice(row, None)}


def _write_tiff(path: Path, pixels: np.ndarray, pixel_size_nm: float | None) -> None:
    """A TIFF that carries its pixel size along."""
    import tifffile

    if pixel_size_nm is None:
        tifffile.imwrite(path, pixels)
    else:
        per_um = 1000.0 / pixel_size_nm
        tifffile.imwrite(path, pixels, imagej=True, resolution=(per_um, per_um), metadata={"unit": "um"})
