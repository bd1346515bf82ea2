"""Decisions of people: masks accepted, images rejected or put off, and what that cost.

A decision comes in, with the mask where there is one; the mask goes to the disk, then the event to
the ledger, with the pixels changed and the Dice between what was proposed and what was accepted.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.files import temporary_folder
from cathode_tf.phases import IGNORE, Phases
from cathode_tf.rounds.project import Project

DECISIONS = ("accept", "reject", "skip")


def record_review(
    project: Project,
    key: str,
    decision: str,
    *,
    mask: np.ndarray | None = None,
    who: str | None = None,
    minutes: float = 0.0,
    origin: str | None = None,
) -> dict[str, Any]:
    """Keep a person's decision on one image.

    Args:
        project: The project.
        key: Key or name of the image.
        decision: `"accept"` (the mask becomes ground truth), `"reject"` (the image is of no use) or
            `"skip"` (doubtful: later).
        mask: The mask to accept, uint8 ids (height, width); default: the proposal as it is.
        who: Name of the person; default: the user of this process.
        minutes: Time spent, idle time excluded.
        origin: `"human"` or `"corrected"`; default: `corrected` where there was a proposal.

    Returns:
        The event written to the ledger.

    Raises:
        InputError: If the mask has another shape or foreign ids, nothing is labelled, or there is
            nothing to accept.
    """
    if decision not in DECISIONS:
        raise InputError(f"decision: must be one of {', '.join(DECISIONS)}. Received {decision!r}.")
    image = project.image(key)
    facts: dict[str, Any] = {"minutes": round(float(minutes), 3)}
    if decision != "accept":
        return project.ledger.append(
            "review", who=who, key=image.key, decision=decision, round=project.state.round, **facts
        )
    from cathode_tf.imaging import write_mask

    proposal = project.proposal(image)
    mask = proposal if mask is None else np.asarray(mask)
    if mask is None:
        raise InputError(f"{image.name}: has no proposal to accept. Annotate it: cathode-tf review")
    check_annotation(mask, (image.height, image.width), project.phases, image.name)
    before = proposal if proposal is not None else np.full_like(mask, IGNORE)
    facts |= {
        "untouched": bool(np.array_equal(before, mask)),
        "pixels_changed": _changes(before, mask, project.phases),
        "dice": _dice(proposal, mask, project.phases) if proposal is not None else None,
    }
    # Written before the project is locked: others need not wait for a large mask.
    with temporary_folder(project.path / "masks" / image.key) as temporary:
        written = write_mask(temporary / "mask.png", mask, project.phases)
        with project.ledger.locked():
            revision = project.image(image.key).revisions + 1
            path = f"masks/{image.key}/{revision:03d}.png"
            # A file without its event is the rest of a killed process: replace it.
            os.replace(written, project.path / path)
            return project.ledger.append(
                "review",
                who=who,
                key=image.key,
                decision="accept",
                round=project.state.round,
                origin=origin or ("corrected" if proposal is not None else "human"),
                proposal_model=image.proposal["model"] if image.proposal else None,
                revision=revision,
                mask=path,
                **facts,
            )


def check_annotation(mask: np.ndarray, shape: tuple[int, int], phases: Phases, name: str) -> None:
    """Raise unless `mask` can be the annotation of an image of this shape."""
    if mask.shape != shape:
        raise InputError(
            f"{name}: its mask must be {shape[0]} x {shape[1]} pixels as the image is. Received {mask.shape}."
        )
    phases.check_mask(mask, name)
    if not (mask != IGNORE).any():
        raise InputError(
            f"{name}: its mask must label at least one pixel. Received nothing but 255 (ignored)."
        )


def _changes(before: np.ndarray, after: np.ndarray, phases: Phases) -> dict[str, dict[str, int]]:
    """Pixels each phase gained and lost; `ignore` is listed where it took part."""
    changed = before != after
    lost = np.bincount(before[changed], minlength=256)
    gained = np.bincount(after[changed], minlength=256)
    values = [*zip(phases.names, phases.ids, strict=True), ("ignore", IGNORE)]
    return {
        name: {"gained": int(gained[id_]), "lost": int(lost[id_])}
        for name, id_ in values
        if gained[id_] or lost[id_]
    }


def _counts(mask: np.ndarray, where: np.ndarray) -> np.ndarray:
    """How many pixels have each id (256,) where it counts; of twelve megapixels in a hundredth of a second."""
    import cv2

    found = cv2.calcHist([np.ascontiguousarray(mask)], [0], where.view(np.uint8), [256], [0, 256])
    return found.ravel().astype(float)


def _dice(proposal: np.ndarray, mask: np.ndarray, phases: Phases) -> dict[str, Any]:
    """Dice of the proposal against the accepted mask, by phase and on average; None where undefined.

    The same figure as `learning.scores` gives, without loading TensorFlow into the review server.
    """
    counted = mask != IGNORE
    overlap = _counts(mask, counted & (mask == proposal))
    area = _counts(mask, counted) + _counts(proposal, counted)
    result: dict[str, Any] = {
        name: round(2.0 * float(overlap[id_]) / float(area[id_]), 5) if area[id_] else None
        for name, id_ in zip(phases.names, phases.ids, strict=True)
    }
    defined = [score for score in result.values() if score is not None]
    result["mean"] = round(sum(defined) / len(defined), 5) if defined else None
    return result
