"""Is the challenger better? Both on the same frozen test images, image by image, and nowhere significantly worse.

Models and test masks come in; a comparison with intervals, and a champion, go out.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.files import atomic_file
from cathode_tf.learning.counterparts import translation
from cathode_tf.phases import IGNORE, Phases
from cathode_tf.progress import track
from cathode_tf.rounds.curve import NOISE
from cathode_tf.rounds.project import Project
from cathode_tf.rounds.state import ImageState, ModelState

if TYPE_CHECKING:
    from cathode_tf.inference import Segmenter

DRAWS = 4000


@dataclass(frozen=True)
class Difference:
    """Challenger minus champion, mean over images, with the 95 % interval of the paired bootstrap.

    Attributes:
        where: `"mean Dice"`, a phase's name, or `"group ..."`.
        champion: Mean Dice of the champion (0-1).
        challenger: Mean Dice of the challenger (0-1).
        difference: Challenger minus champion.
        low: Lower end of the interval; None for one image, which carries no interval.
        high: Upper end.
        images: How many images it rests on.
    """

    where: str
    champion: float
    challenger: float
    difference: float
    low: float | None
    high: float | None
    images: int

    @property
    def worse(self) -> bool:
        """Whether the challenger is significantly worse here."""
        return self.high is not None and self.high < 0

    @property
    def better(self) -> bool:
        """Whether the challenger is significantly better here."""
        return self.low is not None and self.low > 0


def knows_default(project: Project) -> bool:
    """Whether the model that ships with the package can segment what the project shows, and so be compared with."""
    return translation(Phases.default(), project.active) is not None


def evaluate_models(project: Project, *, who: str | None = None) -> None:
    """Measure every model on every annotated test image that it was not measured on yet.

    The model that ships with the package is measured too, where it knows the phases: what no annotation reaches.
    Each model's masks are kept in `measured/`, to be looked at.

    Raises:
        InputError: If no test image is annotated.
    """
    state = project.state
    tests = state.annotated("test")
    if not tests:
        frozen = [image.name for image in state.images.values() if image.role == "test"]
        raise InputError(
            f"{project.path}: must hold an annotated test image to compare models on. "
            f"Annotate {', '.join(frozen[:3]) or 'one'} (cathode-tf review); it is never trained on."
        )
    measured: list[tuple[ModelState | None, dict[str, Any]]] = [(m, m.test) for m in state.models.values()]
    if state.models and knows_default(project):
        measured.append((None, state.baseline))
    todo = [
        (model, [image for image in tests if not _is_measured(test, image, state.off)])
        for model, test in measured
    ]
    todo = [(model, images) for model, images in todo if images]
    for model, images in track(todo, "Measuring models", total=len(todo)):
        found = _measure(project, model, images, tests)
        if model is None:
            project.ledger.append("baseline", who=who, test=found)
        else:
            project.ledger.append("evaluate", who=who, model=model.number, test=found)


def _is_measured(test: dict[str, Any], image: ImageState, off: tuple[str, ...]) -> bool:
    """Whether a model was measured against the present mask, with the present phases."""
    row = test.get(image.key, {})
    return row.get("revision") == image.revisions and tuple(row.get("off", ())) == off


def _measure(
    project: Project, model: ModelState | None, images: list[ImageState], tests: list[ImageState]
) -> dict[str, Any]:
    """Dice of a model (None: the one that ships with the package) on each image, by key.

    What it reaches on all of `tests` is noted beside the model: masks that it makes of such images are then tested.
    """
    from cathode_tf.imaging import write_mask
    from cathode_tf.inference import Segmenter
    from cathode_tf.learning.scores import confusion, dice_per_phase, mean_dice

    segmenter = Segmenter("default" if model is None else str(project.path / model.path))
    phases, off = project.phases, project.state.off
    told_in = None if segmenter.phases.same_classes(phases) and not off else project.active
    found: dict[str, Any] = {}
    for image in images:
        mask = project.mask(image)
        assert mask is not None
        mask = np.where(np.isin(mask, [phases[name].id for name in off]), np.uint8(IGNORE), mask)
        prediction = segmenter.segment(project.micrograph(image), phases=told_in).mask
        write_mask(measured_path(project, model, image), prediction, phases, force=True)
        table = confusion(phases.to_indices(mask), phases.to_indices(prediction), len(phases))
        dice = dice_per_phase(table)
        found[image.key] = {
            "revision": image.revisions,
            **({"off": list(off)} if off else {}),
            "dice": {
                n: None if np.isnan(d) else round(float(d), 6)
                for n, d in zip(phases.names, dice, strict=True)
            },
            "mean": round(mean_dice(dice), 6),
            "confusion": table.tolist(),
        }
    if model is not None:
        _note(project, model, segmenter, tests, {**model.test, **found})
    return found


def _note(
    project: Project,
    model: ModelState,
    segmenter: Segmenter,
    tests: list[ImageState],
    measured: dict[str, Any],
) -> None:
    from cathode_tf.inference.trials import note_trial, trial_of

    rows = [measured[image.key] for image in tests]
    trial = trial_of(
        f"test images of {project.path.name}",
        [image.name for image in tests],
        {name: [row["dice"][name] for row in rows] for name in project.active.names},
        [row["mean"] for row in rows],
        np.array([segmenter.look(project.micrograph(image)) for image in tests]),
    )
    note_trial(project.path / model.path, segmenter.fingerprint, trial)


def measured_path(project: Project, model: ModelState | None, image: ImageState) -> Path:
    """Where a model's mask of a test image is kept."""
    return project.path / "measured" / ("default" if model is None else model.name) / f"{image.key}.png"


def compare_models(
    project: Project, champion: ModelState | None, challenger: ModelState, *, seed: int = 0
) -> list[Difference]:
    """All differences between two measured models: overall, by phase, by group of two images or more.

    Args:
        project: The project.
        champion: What is behind `stable`; None for the model that ships with the package.
        challenger: What may take its place.
        seed: Of the bootstrap.
    """
    tests = project.state.annotated("test")
    before = project.state.baseline if champion is None else champion.test
    old, new = ([test[i.key] for i in tests] for test in (before, challenger.test))
    rows = [difference("mean Dice", [r["mean"] for r in old], [r["mean"] for r in new], seed=seed)]
    for name in project.phases.names:
        pairs = [(a["dice"][name], b["dice"][name]) for a, b in zip(old, new, strict=True)]
        pairs = [(a, b) for a, b in pairs if a is not None and b is not None]
        if pairs:
            rows.append(difference(name, *map(list, zip(*pairs, strict=True)), seed=seed))
    groups: dict[str, list[int]] = {}
    for index, image in enumerate(tests):
        groups.setdefault(image.group, []).append(index)
    for group, members in groups.items():
        if len(members) > 1 and len(groups) > 1:
            a, b = ([rows_[i]["mean"] for i in members] for rows_ in (old, new))
            rows.append(difference(f"group {group}", a, b, seed=seed))
    return rows


def difference(where: str, champion: list[float], challenger: list[float], *, seed: int = 0) -> Difference:
    """Paired bootstrap over images: draws of images with replacement, the mean difference of each draw.

    A bootstrap of few images is too narrow: it cannot draw what it has not seen. Its percentiles are
    widened about the mean by sqrt(n / (n - 1)) t / z, as they should be for a normal sample [1], and
    reach at least as far as Student's interval of a spread of 0.01, by which one training differs from the
    next; two images then prove next to nothing.

    Args:
        where: What is compared.
        champion: One Dice an image.
        challenger: The same images in the same order.
        seed: Of the draws.

    Example:
        >>> difference("ncm", [0.8, 0.7, 0.9, 0.6], [0.9, 0.8, 0.98, 0.7]).better
        True
        >>> difference("ncm", [0.8, 0.7], [0.79, 0.69]).worse
        False

    Reference:
        [1] Hesterberg, What teachers should know about the bootstrap, Am. Stat. 69 (2015) 371.
    """
    a, b = np.asarray(champion, float), np.asarray(challenger, float)
    change = b - a
    low = high = None
    if len(change) > 1:
        draws = np.random.default_rng(seed).integers(0, len(change), (DRAWS, len(change)))
        ends = np.percentile(change[draws].mean(axis=1), (2.5, 97.5)) - change.mean()
        low, high = (float(v) for v in change.mean() + _for_few(ends, change))
    return Difference(where, float(a.mean()), float(b.mean()), float(change.mean()), low, high, len(change))


def _for_few(ends: np.ndarray, sample: np.ndarray) -> np.ndarray:
    """Ends of a bootstrap interval about the mean, made honest for a small sample.

    Two or three differences may agree by chance; that they spread as trainings do is taken for granted.
    """
    from scipy.special import ndtri, stdtrit

    n = len(sample)
    t = stdtrit(n - 1, 0.975)
    student = t * max(float(sample.std(ddof=1)), NOISE) / np.sqrt(n)
    widened = ends * np.sqrt(n / (n - 1)) * t / ndtri(0.975)
    return np.array([min(widened[0], -student), max(widened[1], student)])


@dataclass(frozen=True)
class Verdict:
    """Whether to promote, why, and the differences it rests on."""

    promote: bool
    reason: str
    differences: list[Difference]


def judge(differences: list[Difference]) -> Verdict:
    """Promote what is at least as good on average and nowhere significantly worse."""
    worse = [d for d in differences if d.worse]
    overall = differences[0]
    if worse:
        places = ", ".join(f"{d.where} {d.difference:+.4f} [{d.low:+.4f}, {d.high:+.4f}]" for d in worse)
        return Verdict(False, f"significantly worse: {places}", differences)
    if overall.difference < 0:
        return Verdict(False, f"mean Dice fell by {-overall.difference:.4f}", differences)
    few = "" if overall.low is not None else " (one test image carries no interval: annotate more)"
    certain = "significantly better" if overall.better else "not worse anywhere, but not surely better"
    return Verdict(True, f"{certain}: mean Dice {overall.difference:+.4f}{few}", differences)


def promote(
    project: Project, *, model: int | None = None, force_reason: str | None = None, who: str | None = None
) -> Verdict:
    """Put the challenger behind `stable` if the test images allow it.

    The first model of a project is compared with the model that ships with the package, which is in use until then.

    Args:
        project: With a challenger and at least one annotated test image.
        model: Number of the model to promote; default: the newest.
        force_reason: Promote in spite of a regression; the ledger keeps this sentence.
        who: Name for the ledger; default: the user of this process.

    Returns:
        The verdict; `promote` says whether the champion changed.

    Raises:
        InputError: If there is no challenger, or nothing to compare on.
    """
    state = project.state
    challenger = state.challenger if model is None else state.models.get(model)
    if challenger is None:
        raise InputError(
            f"{project.path}: must have a model that was trained and not yet promoted (stable points to the one that "
            f"was). Received {'none' if model is None else model}. Train one: cathode-tf rounds train {project.path}"
        )
    number = state.champion.number if state.champion else None
    if number == challenger.number:
        raise InputError(f"{project.path}: model {challenger.name} is behind stable already.")
    evaluate_models(project, who=who)
    state = project.state
    verdict = judge(compare_models(project, state.champion, state.models[challenger.number]))
    facts = {
        "model": challenger.number,
        "champion": number,
        "reason": force_reason or verdict.reason,
        "verdict": verdict.reason,
        "differences": [asdict(d) for d in verdict.differences],
    }
    if not verdict.promote and force_reason is None:
        project.ledger.append("refuse", who=who, **facts)
        return verdict
    project.ledger.append("promote", who=who, forced=not verdict.promote, **facts)
    set_stable(project)
    return Verdict(True, verdict.reason, verdict.differences)


def rollback(project: Project, *, reason: str, who: str | None = None) -> ModelState | None:
    """Put the previous champion back behind `stable`, or, before the first one, use the model that ships again.

    Returns:
        The champion now; None where it is the model that ships with the package.

    Raises:
        InputError: If there is nothing to go back to.
    """
    with project.ledger.locked():
        champions = project.state.champions
        if len(champions) < (1 if knows_default(project) else 2):
            raise InputError(
                f"{project.path}: must have a model behind stable, and one before it, to roll back. Received "
                f"{len(champions)}."
            )
        project.ledger.append("rollback", who=who, model=champions[-1], reason=reason)
        set_stable(project)
    return project.state.champion


def set_stable(project: Project) -> None:
    """Make `models/stable.keras` the champion's file; the ledger is what counts, this is for other tools."""
    from cathode_tf.inference.trials import trials_path

    champion = project.state.champion
    if champion is None:
        for name in ("stable.keras", "stable.tests.json"):
            (project.path / "models" / name).unlink(missing_ok=True)
    else:
        with atomic_file(project.path / "models" / "stable.keras", force=True) as temporary:
            shutil.copyfile(project.path / champion.path, temporary)
        tests = trials_path(project.path / champion.path)
        if tests is not None and tests.exists():
            with atomic_file(project.path / "models" / "stable.tests.json", force=True) as temporary:
                shutil.copyfile(tests, temporary)
