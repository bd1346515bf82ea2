"""What a model's probabilities and numbers are worth: measured on bodies it did not learn from, kept in its card.

    python benchmarks/calibrate.py --model default --bodies /tmp/bodies --install

Draws `--count` bodies of two sections each into the folder, where they are not there yet (`trust_bodies.py`), segments
their pictures, scales the probabilities until they hold (`learning.calibration`), draws plausible masks of one section
of each, measures mask, draws and truth with the analysis that users run (cracks on every third body), and fits how the
three relate for every quantity (`statistics.spreads`). With `--install` the model's card gets it, weights stay as they
are: run it again after each training of that model. What was measured is kept beside the bodies, by model and rule, so
that it goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import pickle
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from trust_answers import Answers
from trust_bodies import MODALITIES, DrawnBody

from cathode_tf.analysis.image import ImageMeasures, Settings, measure_image
from cathode_tf.analysis.segmentation import Values, measure_draws, values_of
from cathode_tf.analysis.sums import Batch
from cathode_tf.inference.draws import DRAWS, draw_masks
from cathode_tf.learning.calibration import Calibration, Looked, calibrate, draw_reliability, look
from cathode_tf.statistics.spreads import Spread, fit_spread, scaled

CUTS = 2
ABOUT = "sections of randomised synthetic bodies (SE, BSE, nano-CT) that the model did not learn from"
Row = dict[str, tuple[float, float, float]]
"""By `quantity/phase`: how far draws moved, how far they lie apart, how far the truth lies from the mask."""


def row_of(answers: Answers, calibration: Calibration, body: DrawnBody) -> Row:
    """What the first section of a body teaches."""
    phases, answer = answers.phases, answers.to(body, CUTS)
    settings = Settings(fragmentation=body.number // len(MODALITIES) % 3 == 0)
    given = {"pixel_size_nm": body.pixel_size_nm, "settings": settings}

    def numbers(image: ImageMeasures) -> Values:
        return values_of(Batch((image,), phases, body.pixel_size_nm, settings))

    draws = draw_masks(answer.probabilities[0], calibration, phases, count=DRAWS, seed=body.number)
    found = measure_draws("section", answer.masks[0], draws, phases, labels=answer.labels[0], **given)
    base, drawn = numbers(found.base), [numbers(each) for each in found.draws]
    true = measure_image("section", body.masks[0], phases, labels=body.labels[0], quick=True, **given)
    truth = numbers(true)
    row: Row = {}
    for (quantity, phase), value in base.items():
        ends = [scaled(quantity, v) for v in (value, truth.get((quantity, phase))) if v is not None]
        spread = [scaled(quantity, d[quantity, phase]) for d in drawn if d.get((quantity, phase)) is not None]
        known = [each for each in spread if each is not None]
        if len(ends) == 2 and None not in ends and len(known) > DRAWS // 2:
            moved = float(np.mean(known)) - ends[0]
            row[f"{quantity}/{phase}"] = moved, float(np.std(known, ddof=1)), ends[1] - ends[0]
    return row


def fit(rows: list[Row]) -> dict[str, Spread]:
    """How draws and truth relate, of each number that enough sections have."""
    columns: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for row in rows:
        for key, values in row.items():
            columns[key].append(values)
    fitted = {key: fit_spread(*np.array(values).T) for key, values in columns.items()}
    return {key: spread for key, spread in sorted(fitted.items()) if spread is not None}


def looks(answers: Answers, body: DrawnBody) -> list[Looked]:
    """What the fits of the probabilities need of a body's sections."""
    channels = np.zeros(256, np.uint8)
    channels[list(answers.phases.ids)] = range(len(answers.phases))
    probabilities = answers.to(body, CUTS).probabilities
    found = [
        look(probabilities[cut], channels[mask], body=str(body.number), seed=cut)
        for cut, mask in enumerate(body.masks)
    ]
    return [each for each in found if each is not None]


def install(path: Path, calibration: Calibration) -> None:
    """Write what was found into the card of a `.keras` file."""
    from cathode_tf.learning import load_model
    from cathode_tf.learning.models import save_model, write_card

    model, card = load_model(path)
    write_card(model, {**card, "calibration": calibration.to_dict()})
    save_model(model, path, force=True)
    print(f"wrote the card of {path}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="default", help="run, .keras file, or default")
    parser.add_argument("--bodies", type=Path, required=True, help="folder for bodies and what was measured")
    parser.add_argument("--count", type=int, default=60, help="bodies, of two sections each")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so many; run again to go on")
    parser.add_argument("--install", action="store_true", help="write what was found into the model's card")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    end = time.monotonic() + 60 * options.minutes
    options.bodies.mkdir(parents=True, exist_ok=True)
    answers = Answers(options.model, options.bodies)
    state = answers.folder / "calibration.pkl"
    looked: dict[int, list[Looked]] = {}
    rows: dict[int, Row] = {}
    if state.exists():
        looked, rows = pickle.loads(state.read_bytes())

    def bodies(done: dict) -> list[int]:
        return [number for number in range(options.count) if number not in done]

    for number in bodies(looked):
        if time.monotonic() > end:
            break
        looked[number] = looks(answers, answers.body(number, CUTS))
        state.write_bytes(pickle.dumps((looked, rows)))
    if bodies(looked):
        print(f"looked at {len(looked)} of {options.count} bodies; run again to go on")
        return
    calibration = calibrate([each for n in range(options.count) for each in looked[n]], about=ABOUT)
    before, after = calibration.error
    print(f"calibration error {before:.4f} -> {after:.4f}, errors reach {calibration.length_px:.1f} px")
    shared, own = (np.sqrt(np.diag(matrix)).round(2) for matrix in (calibration.shared, calibration.own))
    print(f"images lean, shared {shared}, own {own}")
    for number in bodies(rows):
        if time.monotonic() > end:
            break
        rows[number] = row_of(answers, calibration, answers.body(number, CUTS))
        state.write_bytes(pickle.dumps((looked, rows)))
    if bodies(rows):
        print(f"measured {len(rows)} of {options.count} sections; run again to go on")
        return
    fitted = fit([rows[n] for n in range(options.count)])
    spreads = {key: list(vars(spread).values()) for key, spread in fitted.items()}
    calibration = replace(calibration, images=options.count, spreads=spreads)
    print("| number | constant | follow | widen | rest |\n|---|---|---|---|---|")
    for key, values in spreads.items():
        if key.startswith(("fraction/", "coverage/", "surface", "x50_3", "number_density", "crack_length")):
            print(f"| {key} | " + " | ".join(f"{value:.3f}" for value in values) + " |")
    cv2.imwrite(str(answers.folder / "reliability.png"), draw_reliability(calibration)[..., ::-1])
    if options.install:
        install(answers.path, calibration)


if __name__ == "__main__":
    main()
