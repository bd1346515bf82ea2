"""Which images to annotate next: the current model's proposals, how unsure it is, and how different they are.

A project and its model come in; a proposed mask and an uncertainty map for each image that waits, and
their order, go out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.files import atomic_file
from cathode_tf.phases import Phases
from cathode_tf.progress import track
from cathode_tf.rounds.project import Project
from cathode_tf.rounds.state import ImageState

ORIENTATIONS = 4


def propose(
    project: Project, *, ensemble: int = 1, seed: int = 0, who: str | None = None
) -> list[dict[str, Any]]:
    """Predict every image that waits for a person, rank them, and begin a round.

    The mask is the average over flips and turns, and over the models of an ensemble. The score is one
    minus the mean Dice, over phases, between that mask and what each single view of it gives: an image
    on which the views disagree is one that the model has not understood. The order takes the score
    times the distance, in looks and composition, to all that is annotated or already chosen, so that
    of ten neighbours one is picked. Frozen test images come first, since each has to be reviewed once.

    Args:
        project: With at least one promoted model.
        ensemble: Use so many of the newest models, the champion first.
        seed: Breaks ties.
        who: Name for the ledger; default: the user of this process.

    Returns:
        The proposals, best ranked first: `key`, `rank`, `score`, `diversity`, `mask`, `uncertainty`.

    Raises:
        InputError: If there is no model yet, or no image waits.
    """
    state = project.state
    if state.champion is None:
        raise InputError(
            f"{project.path}: must have a promoted model to propose with. Annotate two images or more "
            "(cathode-tf review), then: cathode-tf rounds train"
        )
    waiting = state.with_status("new", "proposed", "skipped")
    if not waiting:
        raise InputError(
            f"{project.path}: every image is annotated or rejected. Add more: cathode-tf rounds add"
        )
    numbers = [state.champion.number]
    numbers += sorted(set(state.models) - set(numbers), reverse=True)[: max(0, ensemble - 1)]
    views = _Views([str(project.path / state.models[n].path) for n in numbers], project.phases)
    number = state.round + 1
    results = [
        _predict(project, image, views, number) for image in track(waiting, "Proposing", total=len(waiting))
    ]
    annotated = state.annotated()
    looks = standardized_looks(
        [result.pop("looks") for result in results]
        + [look_of(project.pixels(i), project.mask(i), project.phases) for i in annotated]
    )
    scores = np.array([result["score"] for result in results])
    test = np.array([image.role == "test" for image in waiting])
    order, diversity = rank(scores, looks[: len(waiting)], looks[len(waiting) :], first=test, seed=seed)
    ranked = []
    for place, index in enumerate(order, start=1):
        ranked.append({**results[index], "rank": place, "diversity": round(float(diversity[index]), 4)})
    project.ledger.append(
        "propose", who=who, round=number, model=state.champion.number, ensemble=numbers, proposals=ranked
    )
    return ranked


class _Views:
    """The models, averaged over orientations, and each alone."""

    def __init__(self, models: Sequence[str], phases: Phases) -> None:
        from cathode_tf.inference import Segmenter

        self.consensus = Segmenter(list(models), orientations=ORIENTATIONS)
        if not self.consensus.phases.same_classes(phases):
            raise InputError(
                f"{models[0]}: must have the phases of the project ({phases.describe()}). "
                f"Received {self.consensus.phases.describe()}."
            )
        self.single = [Segmenter(model) for model in models]


def _predict(project: Project, image: ImageState, views: _Views, number: int) -> dict[str, Any]:
    import cv2

    from cathode_tf.imaging import write_mask

    pixels = project.pixels(image)
    consensus = views.consensus.segment(pixels)
    # A quarter turn with a flip is the view that shares no axis with the image as it is.
    singles = [single.segment(pixels).mask for single in views.single]
    singles += [views.single[0].segment(np.ascontiguousarray(pixels[::-1].T)).mask.T[::-1]]
    folder = f"proposals/{image.key}/r{number:03d}"
    write_mask(project.path / f"{folder}_mask.png", consensus.mask, project.phases, force=True)
    with atomic_file(project.path / f"{folder}_uncertainty.png", force=True) as temporary:
        temporary.write_bytes(cv2.imencode(".png", consensus.entropy)[1].tobytes())
    return {
        "key": image.key,
        "score": round(disagreement(consensus.mask, singles, project.phases), 5),
        "mean_entropy": round(consensus.score, 5),
        "mask": f"{folder}_mask.png",
        "uncertainty": f"{folder}_uncertainty.png",
        "looks": look_of(pixels, consensus.mask, project.phases),
    }


def disagreement(mask: np.ndarray, others: Sequence[np.ndarray], phases: Phases) -> float:
    """One minus the mean Dice, over phases and `others`, between `mask` and other opinions on it.

    Example:
        >>> a = np.array([[0, 0, 1, 1]], np.uint8)
        >>> disagreement(a, [a], Phases.from_names(("pore", "ncm")))
        0.0
    """
    from cathode_tf.learning.scores import confusion, dice_per_phase, mean_dice

    first = phases.to_indices(mask)
    values = [
        mean_dice(dice_per_phase(confusion(first, phases.to_indices(other), len(phases)))) for other in others
    ]
    return 1.0 - float(np.mean(values))


def look_of(pixels: np.ndarray, mask: np.ndarray | None, phases: Phases) -> np.ndarray:
    """What an image looks like in few numbers: contrast, texture at four scales, grey levels, composition."""
    import cv2

    grey = pixels.astype(np.float32)
    grey = (grey - grey.mean()) / max(float(grey.std()), 1.0)
    texture = []
    for _ in range(4):
        smooth = cv2.GaussianBlur(grey, (0, 0), 1.0)
        texture.append(np.log(1e-3 + float((grey - smooth).std())))
        if min(smooth.shape) < 8:
            break
        grey = smooth[::2, ::2]
    texture += [texture[-1]] * (4 - len(texture))
    levels = np.percentile(grey, (5, 25, 50, 75, 95))
    counts = (
        np.bincount(mask.ravel(), minlength=256)[list(phases.ids)]
        if mask is not None
        else np.zeros(len(phases))
    )
    shares = np.sqrt(counts / max(1, counts.sum()))
    return np.concatenate([texture, levels, shares])


def standardized_looks(looks: Sequence[np.ndarray]) -> np.ndarray:
    """Looks (n, features) on one scale: the typical distance between two images is 1."""
    table = np.stack(looks)
    spread = table.std(axis=0)
    table = (table - table.mean(axis=0)) / np.where(spread > 1e-9, spread, 1.0)
    distances = np.linalg.norm(table[:, None] - table[None], axis=2)
    typical = np.median(distances[np.triu_indices(len(table), 1)]) if len(table) > 1 else 1.0
    return table / (typical if typical > 1e-9 else 1.0)


def rank(
    scores: np.ndarray, looks: np.ndarray, known: np.ndarray, *, first: np.ndarray, seed: int = 0
) -> tuple[list[int], np.ndarray]:
    """Order in which to annotate: unsure images unlike those annotated or chosen before.

    Args:
        scores: Uncertainty of each image, (n,).
        looks: From `standardized_looks`, (n, features).
        known: Looks of the annotated images, (m, features).
        first: Which images come before all others, bool (n,).
        seed: Breaks ties.

    Returns:
        Indices, best first, and for each image its distance when it was chosen (0-1).

    Example:
        >>> looks = np.array([[0.0], [0.01], [2.0]])  # the second is nearly the first
        >>> rank(np.array([0.5, 0.45, 0.3]), looks, np.empty((0, 1)), first=np.zeros(3, bool))[0]
        [0, 2, 1]
    """
    tie = np.random.default_rng(seed).uniform(0, 1e-9, len(scores))
    nearest = np.full(len(scores), np.inf)
    for look in known:
        nearest = np.minimum(nearest, np.linalg.norm(looks - look, axis=1))
    left = list(range(len(scores)))
    order: list[int] = []
    chosen_at = np.ones(len(scores))
    while left:
        # Beyond the typical distance, more of it is no reason to prefer an image.
        distance = np.minimum(1.0, nearest)
        value = (scores + 1e-6) * distance + tie + np.where(first, 1e6, 0.0)
        best = max(left, key=lambda index: value[index])
        chosen_at[best] = distance[best]
        order.append(best)
        left.remove(best)
        nearest = np.minimum(nearest, np.linalg.norm(looks - looks[best], axis=1))
    return order, chosen_at
