"""How often the intervals of segmented sections hold what is true of the body they were cut from.

    python benchmarks/trust_coverage.py --model default --bodies /tmp/bodies --count 30
    CATHODE_TF_REAL_DATA=/path/to/data python benchmarks/trust_coverage.py --model default --bodies /tmp/bodies --real

Bodies of parameters and microscope settings that neither training nor calibration saw, 1 to 4 sections each, are
segmented, and analysed as users do. The truth is the body's: fractions that it was asked for, volume-weighted median
of all its particles, and of what has no such number the mean over all eight sections that were cut from it. Beside the
intervals stand those of sampling alone. `--real` holds the segmentation's part alone against the masks of nano-CT
slices. The model's card must hold a calibration (`calibrate.py`). Goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy import stats
from trust_answers import Answers
from trust_bodies import DrawnBody

from cathode_tf.analysis import Analysis, Settings, analyze
from cathode_tf.analysis.segmentation import together
from cathode_tf.imaging import read_micrograph
from cathode_tf.inference.draws import DRAWS, draw_masks
from cathode_tf.learning.calibration import Calibration
from cathode_tf.phases import Phases
from cathode_tf.statistics import Estimate
from cathode_tf.statistics.spreads import scaled

FIRST, CUTS = 10_000, 8
SETTINGS = Settings(fragmentation=False)
QUANTITIES = (
    ("fraction", "pore"),
    ("fraction", "ncm"),
    ("fraction", "additive"),
    ("fraction", "binder"),
    ("fraction", "additive+binder"),
    ("coverage", "ncm|binder+additive"),
    ("surface_density", "ncm"),
    ("x50_3", "ncm"),
    ("number_density", "ncm"),
)
Cell = dict[str, Any]


def numbers(analysis: Analysis) -> dict[str, Estimate]:
    """The estimates that are looked at, by `quantity/phase`."""
    found = {}
    for quantity, phase in QUANTITIES:
        if phase == "additive+binder":
            found[f"{quantity}/{phase}"] = analysis.share_of(together(analysis.phases))
        elif phase in analysis.summary.get(quantity, {}):
            found[f"{quantity}/{phase}"] = analysis.summary[quantity][phase]
    return found


def truth_of(body: DrawnBody, phases: Phases) -> dict[str, float | None]:
    """What is true of the body."""
    masks = [(str(i), body.masks[i], None, body.labels[i]) for i in range(len(body.masks))]
    known = numbers(analyze(masks, phases, pixel_size_nm=body.pixel_size_nm, settings=SETTINGS))
    truth = {key: estimate.value for key, estimate in known.items()}
    truth |= {f"fraction/{name}": float(body.fractions[i]) for i, name in enumerate(phases.names)}
    truth["fraction/additive+binder"] = float(body.fractions[2:].sum())
    return {**truth, "x50_3/ncm": body.x50_3_um}


def cell_of(key: str, estimate: Estimate | None, plain: Estimate | None, truth: float | None) -> Cell | None:
    """Value, both intervals and the truth; None where there is no value or no truth."""
    if estimate is None or plain is None or estimate.value is None or truth is None:
        return None
    return {"key": key, "value": estimate.value, "ci": estimate.ci, "sampling": plain.ci, "truth": truth}


def cells_of(answers: Answers, body: DrawnBody) -> list[Cell]:
    """What the first sections of a body say of it, one to four of them."""
    phases, sections = answers.phases, 1 + body.number % 4
    calibration = Calibration.from_dict(answers.card["calibration"])
    assert calibration is not None
    answer = answers.to(body, sections)
    batch = []
    for cut in range(sections):
        seed = 16 * body.number + cut
        draws = draw_masks(answer.probabilities[cut], calibration, phases, count=DRAWS, seed=seed)
        batch.append((str(cut), answer.masks[cut], None, answer.labels[cut], draws))
    analysis = analyze(batch, phases, pixel_size_nm=body.pixel_size_nm, settings=SETTINGS)
    mine, plain, truth = numbers(analysis), numbers(replace(analysis, drawn={})), truth_of(body, phases)
    cells = [cell_of(key, mine[key], plain.get(key), truth.get(key)) for key in mine]
    return [{**cell, "sections": sections, "body": body.number} for cell in cells if cell is not None]


def real_cells(segmenter: Any, folder: Path) -> list[Cell]:
    """Whole nano-CT slices: fractions of the mask against those of the labels, the segmentation's part alone."""
    phases, cells = segmenter.phases, []
    names = sorted(path.stem for path in folder.glob("*.tif") if "label" not in path.stem)
    for name in names:
        label = cv2.imread(str(folder / f"{name}_label.tif"), cv2.IMREAD_UNCHANGED)
        micrograph = read_micrograph(folder / f"{name}.tif")
        found, draws = segmenter.segment_with_draws(micrograph, DRAWS)
        analysis = analyze([(name, found.mask, None, None, draws)], phases, settings=SETTINGS)
        assert analysis.doubt is not None
        plain = {f"fraction/{p}": Estimate(e.value) for p, e in analysis.summary["fraction"].items()}
        shares = {"fraction/pore": (label == 2).mean(), "fraction/ncm": (label == 0).mean()}
        shares["fraction/additive+binder"] = (label == 1).mean()
        plain["fraction/additive+binder"] = Estimate(
            sum(plain[f"fraction/{p}"].value for p in phases.names[2:])
        )
        # Labels have carbon and binder as one; sampling is no question, for the slice itself is asked after.
        for key, share in shares.items():
            quantity, phase = key.split("/")
            alone = analysis.doubt.join({quantity: {phase: plain[key]}})[quantity][phase]
            cell = cell_of(key, alone, plain[key], float(share))
            cells += [] if cell is None else [{**cell, "image": name}]
    return cells


def table(cells: Sequence[Cell]) -> str:
    """Coverage and widths by quantity, as Markdown."""
    lines = [
        "| number | n | inside | sampling alone | no interval, both | median width | needed | width / needed |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for key in dict.fromkeys(cell["key"] for cell in cells):
        mine = [cell for cell in cells if cell["key"] == key]
        lines.append("| " + " | ".join([key, str(len(mine)), *_row(key.split("/")[0], mine)]) + " |")
    return "\n".join(lines)


def _row(quantity: str, cells: Sequence[Cell]) -> list[str]:
    with_ci = [cell for cell in cells if cell["ci"] is not None]
    plain = [cell for cell in cells if cell["sampling"] is not None]
    # Widths and errors on the scale on which small and large numbers err alike.
    widths, errors = [], []
    for cell in with_ci:
        low, high = (scaled(quantity, end) for end in cell["ci"])
        value, truth = scaled(quantity, cell["value"]), scaled(quantity, cell["truth"])
        if None not in (low, high, value, truth):
            widths.append(high - low)
            errors.append(truth - value)
    needed = 2 * 1.96 * float(np.sqrt(np.mean(np.square(errors)))) if errors else np.nan
    median = float(np.median(widths)) if widths else np.nan
    return [
        _share(with_ci, "ci"),
        _share(plain, "sampling"),
        f"{len(cells) - len(with_ci)}, {len(cells) - len(plain)}",
        f"{median:.3f}",
        f"{needed:.3f}",
        f"{median / needed:.2f}",
    ]


def _share(cells: Sequence[Mapping[str, Any]], name: str) -> str:
    if not cells:
        return ""
    inside = sum(cell[name][0] - 1e-12 <= cell["truth"] <= cell[name][1] + 1e-12 for cell in cells)
    low, high = stats.beta.ppf([0.025, 0.975], inside + 0.5, len(cells) - inside + 0.5)
    return f"{100 * inside / len(cells):.0f} % ({100 * low:.0f}-{100 * high:.0f})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="default", help="run, .keras file, or default")
    parser.add_argument("--bodies", type=Path, required=True, help="folder for bodies and what was measured")
    parser.add_argument("--count", type=int, default=30, help="bodies")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so many; run again to go on")
    parser.add_argument("--real", action="store_true", help="the nano-CT slices instead")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    answers = Answers(options.model, options.bodies)
    if Calibration.from_dict(answers.card.get("calibration")) is None:
        parser.error(f"{options.model} has no calibration; run benchmarks/calibrate.py --install")
    if options.real:
        from cathode_tf.inference import Segmenter

        print(
            table(real_cells(Segmenter(answers.path), Path(os.environ["CATHODE_TF_REAL_DATA"]) / "nmc_xct"))
        )
        return
    end = time.monotonic() + 60 * options.minutes
    told = hashlib.sha256(json.dumps(answers.card["calibration"]).encode()).hexdigest()[:8]
    state = answers.folder / f"coverage_{told}.json"
    done: dict[str, list[Cell]] = json.loads(state.read_text()) if state.exists() else {}
    for number in range(FIRST, FIRST + options.count):
        if str(number) in done:
            continue
        if time.monotonic() > end:
            break
        done[str(number)] = cells_of(answers, answers.body(number, CUTS))
        state.write_text(json.dumps(done))
    mine = [done[str(n)] for n in range(FIRST, FIRST + options.count) if str(n) in done]
    print(f"{len(mine)} bodies\n\n" + table([cell for cells in mine for cell in cells]))


if __name__ == "__main__":
    main()
