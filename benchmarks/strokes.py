"""What are a few strokes on an image worth, beside other images that are annotated wholly?

    CATHODE_TF_REAL_DATA=/path/to/data python benchmarks/strokes.py --model default --model 3=/tmp/run3 [--forest]

A simulated person paints strokes 3 px wide and up to 20 px long (7 and 40 px on the large SEM images): "anywhere",
each phase in turn at a random pixel of it, or "where wrong", at a random pixel that the mask has wrong, three
strokes before the mask follows. Of both only the pixels of the phase are painted; "slipping" paints whole lines
anywhere of which up to 30 % is of other phases. Dice (mean over images of the mean over phases) counts
the pixels that were not painted. Models know pore, particle and binder, as `nmc_xct.py` and
`from_default.py` train them; the word default stands for the model that ships. `--forest` adds a random forest
that is taught by the same strokes alone, on the features of scikit-image's trainable segmentation (needs
scikit-learn). Data: Su et al., npj Comput. Mater. 8 (2022) 30; ZeliangSu/SegmentPy, Apache-2.0; rccohn/AMPIS, MIT.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from default_model import nano_ct, powder, synthetic
from nmc_xct import VALIDATION

from cathode_tf.imaging import display
from cathode_tf.inference import Segmenter
from cathode_tf.inference.strokes import follow_strokes
from cathode_tf.learning.counterparts import told_in
from cathode_tf.learning.scores import confusion, dice_per_phase
from cathode_tf.phases import IGNORE, Phase, Phases
from cathode_tf.progress import track

COUNTS = (3, 9, 30, 90)
NANO_CT = Phases.from_names(("pore", "particle", "binder"))
SEM = Phases.default()
POWDER = Phases.from_names(("pore", "particle"))
Follow = Callable[[np.ndarray], np.ndarray]  # strokes in, probabilities out
Item = tuple[np.ndarray, np.ndarray, np.ndarray]  # image, reference, the model's probabilities


def items(data: str, segmenter: Segmenter) -> Iterator[Item]:
    """Images of a set, with what the model says of them in the phases of the set."""
    sets: dict[str, tuple[Callable, Phases]] = {
        "real nano-CT": (nano_ct, NANO_CT),
        "synthetic SEM": (partial(synthetic, "sem"), SEM),
        "real SEM of a powder": (powder, POWDER),
    }
    draw, phases = sets[data]
    for name, image, reference in draw():
        if data == "real nano-CT" and name not in VALIDATION:
            continue
        probabilities = segmenter.probabilities(image)
        if data == "real SEM of a powder":  # all that is no particle counts as pore
            particle = probabilities[..., 1]
            yield image, reference, np.stack([1 - particle, particle], axis=-1)
        else:
            yield image, reference, told_in(probabilities, segmenter.phases, phases)


def paint(
    strokes: np.ndarray, reference: np.ndarray, start: tuple[int, int], size: tuple[int, int], rng
) -> None:
    """One stroke from a pixel on, in a random direction, on all pixels that are of the phase of that pixel."""
    width, length = size
    row, column = start
    angle = rng.random() * 2 * np.pi
    end = (int(column + length * np.cos(angle)), int(row + length * np.sin(angle)))
    line = cv2.line(np.zeros(reference.shape, np.uint8), (int(column), int(row)), end, 1, width) > 0
    phase = reference[row, column]
    strokes[line & (reference == phase)] = phase


def slip(
    strokes: np.ndarray, reference: np.ndarray, start: tuple[int, int], size: tuple[int, int], rng
) -> None:
    """One stroke that leaves its phase on up to 30 % of its pixels; where no direction will do, one as of `paint`."""
    width, length = size
    row, column = start
    for _ in range(30):
        angle = rng.random() * 2 * np.pi
        end = (int(column + length * np.cos(angle)), int(row + length * np.sin(angle)))
        line = cv2.line(np.zeros(reference.shape, np.uint8), (int(column), int(row)), end, 1, width) > 0
        if (reference[line] == reference[row, column]).mean() >= 0.7:
            strokes[line] = reference[row, column]
            return
    paint(strokes, reference, start, size, rng)


def dice(answer: np.ndarray, reference: np.ndarray, strokes: np.ndarray) -> float:
    """Mean over the phases of the reference, of the pixels that were not painted."""
    left = np.where(strokes == IGNORE, reference, IGNORE)
    return float(np.nanmean(dice_per_phase(confusion(left, answer.argmax(-1), answer.shape[-1]))))


def anywhere(
    reference: np.ndarray, follow: Follow, size: tuple[int, int], rng, draw: Callable = paint
) -> list[float]:
    """Dice after each of COUNTS."""
    strokes = np.full(reference.shape, IGNORE, np.uint8)
    there, found = np.unique(reference), []
    for number in range(1, max(COUNTS) + 1):
        rows, columns = np.nonzero(reference == there[number % len(there)])
        at = rng.integers(len(rows))
        draw(strokes, reference, (rows[at], columns[at]), size, rng)
        if number in COUNTS:
            found.append(dice(follow(strokes), reference, strokes))
    return found


def where_wrong(
    begin: np.ndarray, reference: np.ndarray, follow: Follow, size: tuple[int, int], rng
) -> list[float]:
    """Dice after each of COUNTS."""
    strokes = np.full(reference.shape, IGNORE, np.uint8)
    answer, found = begin, []
    for number in range(1, max(COUNTS) + 1):
        rows, columns = np.nonzero(answer.argmax(-1) != reference)
        at = rng.integers(len(rows))
        paint(strokes, reference, (rows[at], columns[at]), size, rng)
        if number % 3 == 0:
            answer = follow(strokes)
        if number in COUNTS:
            found.append(dice(answer, reference, strokes))
    return found


def forest_of(image: np.ndarray, phases: int) -> Follow:
    """A random forest that knows nothing but the strokes."""
    from skimage.feature import multiscale_basic_features
    from sklearn.ensemble import RandomForestClassifier

    features = multiscale_basic_features(image, sigma_min=1, sigma_max=16)
    features = features.reshape(image.size, -1)

    def follow(strokes: np.ndarray) -> np.ndarray:
        painted = strokes.ravel() != IGNORE
        forest = RandomForestClassifier(100, max_depth=10, max_samples=0.5, random_state=0)
        forest.fit(features[painted], strokes.ravel()[painted])
        answer = np.zeros((image.size, phases), np.float32)
        answer[:, forest.classes_] = forest.predict_proba(features)
        return answer.reshape(*image.shape, phases)

    return follow


def line(name: str, annotator: str, before: float | None, rows: list[list[float]]) -> str:
    """Mean over images and seeds, and the spread of the seeds' means."""
    table = np.array(rows)  # image and seed, count
    values = " | ".join(f"{value:.3f}" for value in table.mean(axis=0))
    return f"| {name} | {annotator} | {'' if before is None else f'{before:.3f}'} | {values} |"


def picture(segmenter: Segmenter, path: Path, strokes: int = 15, side: int = 380) -> None:
    """Two slices: strokes on the image, the mask without them, the mask that follows them, the reference."""
    rows, colours = [], np.array([phase_color(phase) for phase in NANO_CT], np.uint8)
    for name, image, reference in nano_ct():
        if name not in ("622", "1504"):
            continue
        rng = np.random.default_rng(1)
        painted = np.full(reference.shape, IGNORE, np.uint8)
        for number in range(strokes):
            places = np.argwhere(reference[:side, :side] == number % 3)
            paint(painted, reference, tuple(places[rng.integers(len(places))]), (3, 20), rng)
        grey = cv2.cvtColor(display(image), cv2.COLOR_GRAY2RGB)
        shown = cv2.dilate((painted != IGNORE).astype(np.uint8), np.ones((3, 3))) > 0
        grey[shown] = 255
        grey[painted != IGNORE] = colours[painted[painted != IGNORE]]
        masks = [
            segmenter.segment(image, phases=NANO_CT).mask,
            segmenter.segment(image, phases=NANO_CT, strokes=painted).mask,
            reference,
        ]
        rows.append(np.hstack([part[:side, :side] for part in (grey, *(colours[mask] for mask in masks))]))
    cv2.imwrite(str(path), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])


def phase_color(phase: Phase) -> list[int]:
    return [int(phase.color[place : place + 2], 16) for place in (1, 3, 5)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", action="append", required=True, help="default, or name=run")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--forest", action="store_true")
    parser.add_argument(
        "--picture", type=Path, help="write two slices and their masks there, and nothing else"
    )
    options = parser.parse_args()
    if options.picture:
        picture(Segmenter(options.model[0]), options.picture)
        return
    print("| set | model | strokes | 0 | " + " | ".join(map(str, COUNTS)) + " |")
    print("|---" * (4 + len(COUNTS)) + "|")
    for model in options.model:
        name, _, path = model.partition("=")
        segmenter = Segmenter(path or name)
        sets = ["real nano-CT"] if path else ["real nano-CT", "synthetic SEM", "real SEM of a powder"]
        for data in sets:
            measure(data, name, segmenter, options.seeds, options.forest and not path)


def measure(data: str, name: str, segmenter: Segmenter, seeds: int, forest: bool) -> None:
    """Print the lines of one set and model."""
    size = (7, 40) if data == "real SEM of a powder" else (3, 20)
    before: list[float] = []
    rows: dict[tuple[str, str], list[list[float]]] = {}
    for image, reference, begin in track(list(items(data, segmenter)), data):
        phases = Phases.from_names([f"phase{index}" for index in range(begin.shape[-1])])
        before.append(dice(begin, reference, np.full(reference.shape, IGNORE, np.uint8)))

        def follow(strokes: np.ndarray, begin=begin, image=image, phases=phases) -> np.ndarray:
            return follow_strokes(begin, image, strokes, phases)

        alone = forest_of(image, begin.shape[-1]) if forest else None
        for seed in range(seeds):
            ways = {
                (name, "anywhere"): anywhere(reference, follow, size, np.random.default_rng(seed)),
                (name, "slipping"): anywhere(reference, follow, size, np.random.default_rng(seed), slip),
                (name, "where wrong"): where_wrong(
                    begin, reference, follow, size, np.random.default_rng(seed)
                ),
            }
            if alone:
                ways["forest, strokes alone", "anywhere"] = anywhere(
                    reference, alone, size, np.random.default_rng(seed)
                )
            for key, values in ways.items():
                rows.setdefault(key, []).append(values)
    for (who, annotator), values in rows.items():
        start = float(np.mean(before)) if who == name else None
        print(f"| {data} " + line(who, annotator, start, values), flush=True)


if __name__ == "__main__":
    main()
