"""Which images to annotate next: the current model's proposals, how unsure it is, and how different they are.

A project and its model come in; a proposed mask and an uncertainty map for each image that waits, and
their order, go out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.files import atomic_file, read_json, write_json
from cathode_tf.imaging.looks import look_of
from cathode_tf.imaging.outliers import tamed
from cathode_tf.inference.segmentation import maps_of
from cathode_tf.learning.counterparts import counterparts, told_in, translation
from cathode_tf.phases import Phases
from cathode_tf.progress import track
from cathode_tf.rounds.project import Project
from cathode_tf.rounds.promotion import set_stable
from cathode_tf.rounds.state import OPEN, ImageState

if TYPE_CHECKING:
    from cathode_tf.imaging import Micrograph
    from cathode_tf.inference import Segmenter

# Each with the way back: as it is, turned by a half, turned by a quarter, mirrored on the diagonal.
ORIENTATIONS: tuple[tuple[Callable[..., np.ndarray], Callable[..., np.ndarray]], ...] = (
    (lambda a: a, lambda a: a),
    (lambda a: a[::-1, ::-1], lambda a: a[::-1, ::-1]),
    (np.rot90, lambda a: np.rot90(a, -1)),
    (lambda a: a.swapaxes(0, 1), lambda a: a.swapaxes(0, 1)),
)


def propose(
    project: Project,
    *,
    only: Sequence[str] | None = None,
    ensemble: int = 1,
    seed: int = 0,
    who: str | None = None,
) -> list[dict[str, Any]]:
    """Predict every image that waits for a person, rank them, and begin a round.

    Every model of the ensemble sees each image in four orientations; the views vote, each pixel with its
    margin. The score is one minus the mean Dice, over phases and views, between a view and the outcome:
    an image on which the views disagree is one that the model has not understood. The order takes the score
    times the squared distance, in looks, to all that is annotated or already chosen, so that of ten neighbours
    one is picked. Frozen test images come first, since each has to be reviewed once, and keep the proposal they
    got first: a reference that began as the champion's proposal would favour the champion.

    A project without a model of its own is shown what the model that ships with the package makes of its
    images; two to learn from come before the test images then. Phases that were switched off are not proposed.

    A round that began with `only` some images, to look at them first, goes on with the others as long as
    nothing was decided or learned meanwhile.

    Args:
        project: With a promoted model, or with phases of which the shipped model knows two at least.
        only: Keys of the images to propose masks for; default: all that wait.
        ensemble: Use so many of the newest models, the champion first.
        seed: Breaks ties.
        who: Name for the ledger; default: the user of this process.

    Returns:
        The proposals, best ranked first: `key`, `rank`, `score`, `diversity`, `mask`, `uncertainty`.

    Raises:
        InputError: If there is no model that knows the phases, or no image waits.
    """
    state = project.state
    waiting = state.with_status(*OPEN)
    if not waiting:
        raise InputError(
            f"{project.path}: every image is annotated or rejected. Add more: cathode-tf rounds add"
        )
    if only is not None:
        waiting = [image for image in waiting if image.key in set(only)]
        if not waiting:
            raise InputError(
                f"only: must name images that wait for a person. Received {', '.join(only) or 'none'}."
            )
    names, segmenters = _opinions(project, ensemble)
    number = state.round if _goes_on(project, names) else state.round + 1
    results = [
        image.proposal
        if image.role == "test" and image.proposal
        else _predict(project, image, number, names, segmenters)
        for image in track(waiting, "Proposing", total=len(waiting))
    ]
    looks = standardized_looks([look_of(tamed(project.pixels(i))) for i in [*waiting, *state.annotated()]])
    # An image of a kind that the model does not know is the first to be looked at, whatever it thinks of it.
    scores = np.array([result["score"] + result.get("foreign", False) for result in results])
    test = np.array([image.role == "test" for image in waiting])
    order, diversity = rank(
        scores,
        looks[: len(waiting)],
        looks[len(waiting) :],
        first=test if state.champion else ~test,
        seed=seed,
    )
    if state.champion is None:
        begin = max(0, 2 - len(state.annotated("pool")))
        pool = [index for index in order if not test[index]]
        order = pool[:begin] + [index for index in order if test[index]] + pool[begin:]
    ranked = []
    for place, index in enumerate(order, start=1):
        ranked.append({**results[index], "rank": place, "diversity": round(float(diversity[index]), 4)})
    project.ledger.append("propose", who=who, round=number, model=names[0], ensemble=names, proposals=ranked)
    return ranked


def _goes_on(project: Project, names: list[Any]) -> bool:
    """Whether the present round has images left to propose, by the same models, with nothing decided since."""
    for event in reversed(project.ledger.events()):
        if event["event"] in ("train", "promote", "rollback", "phases", "image") or (
            event["event"] == "review" and event["decision"] == "accept"
        ):
            return False
        if event["event"] == "propose":
            left = [
                image
                for image in project.state.with_status(*OPEN)
                if image.proposal is None
                or (image.role != "test" and image.proposal["round"] < event["round"])
            ]
            return event.get("ensemble") == names and bool(left)
    return False


def _opinions(project: Project, ensemble: int) -> tuple[list[Any], list[Segmenter]]:
    """Names of the models to ask, and the models, all of which know phases of the project."""
    from cathode_tf.inference import Segmenter

    state = project.state
    if state.champion is None:
        if translation(Phases.default(), project.active) is None:
            raise InputError(
                f"{project.path}: must have a model that knows its phases ({project.phases.describe()}). "
                "Annotate two images or more (cathode-tf review), then: cathode-tf rounds train"
            )
        return ["default"], [Segmenter("default")]
    set_stable(project)  # in case a promotion was interrupted
    numbers = [state.champion.number]
    numbers += sorted(set(state.models) - set(numbers), reverse=True)[: max(0, ensemble - 1)]
    found = [Segmenter(str(project.path / state.models[n].path)) for n in numbers]
    for segmenter in found:
        counterparts(segmenter.phases, project.active)
    return numbers, found


def _predict(
    project: Project,
    image: ImageState,
    number: int,
    names: list[Any],
    segmenters: Sequence[Segmenter],
) -> dict[str, Any]:
    """One image's proposal; one that an interrupted call made with the same models is taken as it is."""
    import cv2

    from cathode_tf.imaging import write_mask
    from cathode_tf.rounds.strokes import write_probabilities

    place = f"proposals/{image.key}/r{number:03d}"
    card = project.path / f"{place}.json"
    if card.exists() and (made := read_json(card))["models"] == names:
        return made["proposal"]
    phases = project.active
    mask, uncertainty, score, probabilities = _seen_from_all_sides(
        project.micrograph(image), segmenters, phases
    )
    write_mask(project.path / f"{place}_mask.png", mask, project.phases, force=True)
    full = np.zeros((*mask.shape, len(project.phases)), np.float32)
    full[..., [project.phases.names.index(name) for name in phases.names]] = probabilities
    write_probabilities(project.path / f"{place}_probabilities.png", full)
    with atomic_file(project.path / f"{place}_uncertainty.png", force=True) as temporary:
        temporary.write_bytes(cv2.imencode(".png", uncertainty)[1].tobytes())
    proposal = {
        "key": image.key,
        "score": round(score, 5),
        "foreign": bool((segmenters[0].kind(project.micrograph(image)) or {}).get("foreign")),
        "mean_entropy": round(float(uncertainty.mean()) / 255, 5),
        "mask": f"{place}_mask.png",
        "uncertainty": f"{place}_uncertainty.png",
        "probabilities": f"{place}_probabilities.png",
    }
    write_json(card, {"models": names, "proposal": proposal}, force=True)
    return proposal


def _seen_from_all_sides(
    micrograph: Micrograph, segmenters: Sequence[Segmenter], phases: Phases
) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
    """What the views agree on, in these phases: mask, uncertainty (uint8), how far they differ (0-1), mean
    probabilities."""
    shape = micrograph.pixels.shape
    views, margins, entropy = [], [], np.zeros(shape, np.float32)
    total = np.zeros((*shape, len(phases)), np.float32)
    for segmenter in segmenters:
        for turn, back in ORIENTATIONS:
            turned = np.ascontiguousarray(turn(micrograph.pixels))
            probabilities = segmenter.probabilities(dataclasses.replace(micrograph, pixels=turned))
            if not segmenter.phases.same_classes(phases):
                probabilities = told_in(probabilities, segmenter.phases, phases)
            seen = maps_of(probabilities, phases)
            views.append(back(seen.mask))
            margins.append(back(seen.margin))
            entropy += back(seen.entropy)
            total += back(probabilities)
    mask = vote(views, margins, phases)
    uncertainty = np.rint(entropy / len(views)).astype(np.uint8)
    return mask, uncertainty, disagreement(mask, views, phases), total / len(views)


def vote(masks: Sequence[np.ndarray], margins: Sequence[np.ndarray], phases: Phases) -> np.ndarray:
    """The phase that most opinions hold at each pixel, each counting by how sure it is there.

    Args:
        masks: uint8 ids (height, width), one an opinion.
        margins: uint8 (height, width), 255 = sure.
        phases: The ids.

    Example:
        >>> masks = [np.array([[0]], np.uint8), np.array([[1]], np.uint8), np.array([[1]], np.uint8)]
        >>> margins = [np.array([[200]], np.uint8), np.array([[60]], np.uint8), np.array([[70]], np.uint8)]
        >>> vote(masks, margins, Phases.default())
        array([[0]], dtype=uint8)
    """
    best = np.zeros(masks[0].shape, np.uint32)
    winner = np.full(masks[0].shape, phases.ids[0], np.uint8)
    for id_ in phases.ids:
        weight = np.zeros(best.shape, np.uint32)
        for mask, margin in zip(masks, margins, strict=True):
            weight += (mask == id_) * (margin.astype(np.uint32) + 1)
        ahead = weight > best
        best[ahead] = weight[ahead]
        winner[ahead] = id_
    return winner


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
        # Beyond twice the typical distance, more of it is no reason to prefer an image.
        distance = np.minimum(1.0, nearest / 2)
        value = (scores + 1e-6) * distance**2 + tie + np.where(first, 1e6, 0.0)
        best = max(left, key=lambda index: value[index])
        chosen_at[best] = distance[best]
        order.append(best)
        left.remove(best)
        nearest = np.minimum(nearest, np.linalg.norm(looks - looks[best], axis=1))
    return order, chosen_at
