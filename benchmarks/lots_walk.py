"""From bodies to a verdict: a plant whose laws are known, imaged, segmented by the shipped model, analysed, asked.

    python benchmarks/lots_walk.py --out /tmp/walk               # goes on where it was stopped
    python benchmarks/lots_walk.py --out /tmp/walk --minutes 9   # stops after so long

Twelve lots: five line loads with the old calender, then with the new one. Porosity falls with line load as
0.24 + 0.16 exp(-q / 150), whichever the calender; the share of broken particles is 0.05 + 0.35 (1 - exp(-q / 200)), and
0.20 more with the new calender. Thickness before the press, loading and drying vary, and do nothing. Of each lot a body
is imaged at four depths: backscattered electrons, 1024 px of 50 nm, so that cracks of 0.25 um are five pixels wide.
Every lot is measured twice: with the true masks, and with those of `cathode-tf segment default`.
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path

import numpy as np

from cathode_tf.analysis import analyze
from cathode_tf.imaging.phase_files import phases_beside
from cathode_tf.inference.batches import Masks
from cathode_tf.lots import Ledger
from cathode_tf.lots.causes import Causes, causes
from cathode_tf.lots.report import write_lots_report
from cathode_tf.lots.series import read_series
from cathode_tf.particles.fragmentation import CRACKED_LENGTH
from cathode_tf.progress import track
from cathode_tf.synthesis import Parameters, synthesize, write_samples
from cathode_tf.tools.main import cli

LOADS = (50, 100, 180, 180, 300, 480)
CUTS, SIDE, PIXEL_NM = 4, 1024, 50
LIMIT, START, GAMMA = 0.24, 0.40, 150.0
MORE_BROKEN = 0.20
KINDS = {"true": "true masks", "model": "the model's masks"}
IDLE = ("thickness_before", "loading", "drying")
ASKED = (
    ("fraction/pore", "line_load", "exponential"),
    ("crack_length_density", "line_load", "linear"),
    ("crack_length_density", "calender", "linear"),
    ("cracked_particle_fraction", "line_load", "linear"),
    ("cracked_particle_fraction", "calender", "linear"),
    ("fragments_per_particle", "calender", "linear"),
)


@dataclasses.dataclass(frozen=True)
class Lot:
    """One lot as it was made."""

    name: str
    date: str
    line_load: float
    calender: str
    others: tuple[float, float, float]  # thickness before the press (um), loading (g/m2), drying (degrees C)
    porosity: float
    broken: float

    @property
    def parameters(self) -> Parameters:
        """Of its bodies: a loose cathode, and what the press made of it."""
        loose = Parameters.preset("bse").replace(
            ncm_fraction=0.49, additive_fraction=0.09, binder_fraction=0.02, particle_um=5, crack_um=0.25,
            fragment_ratio=0.45, fragmentation=self.broken, pixel_size_nm=PIXEL_NM,
        )  # fmt: skip
        return loose.calendered(1 - (1 - loose.porosity) / (1 - self.porosity))


def plant(seed: int = 0) -> list[Lot]:
    """The lots in the order in which they were made."""
    random = np.random.default_rng(seed)
    lots = []
    for calender in ("old", "new"):
        for load in random.permutation(LOADS).tolist():
            porosity = LIMIT + (START - LIMIT) * np.exp(-load / GAMMA) + 0.004 * random.normal()
            broken = 0.05 + 0.35 * (1 - np.exp(-load / 200)) + MORE_BROKEN * (calender == "new")
            others = (75 + random.normal(), 200 + 2 * random.normal(), 120 + 5 * random.normal())
            day = len(lots) + 1
            lots.append(
                Lot(
                    f"L{day:02d}",
                    f"2026-03-{day:02d}",
                    load,
                    calender,
                    others,
                    porosity,
                    broken + 0.02 * random.normal(),
                )
            )
    return lots


def sections(lot: Lot, folder: Path) -> None:
    """Images, true masks and truth of sections through a body, which meets its fractions over them."""
    seed = int(lot.name[1:])
    cuts = synthesize(CUTS, seed=seed, height=SIDE, width=SIDE, parameters=lot.parameters, cuts=CUTS)
    write_samples(list(cuts), folder)


def run(*words: object) -> None:
    """A command, as one types it."""
    cli.main([str(word) for word in words], standalone_mode=False)


def measure(lot: Lot, out: Path, kind: str) -> None:
    """One of the lot's analyses, if it is not there yet: what `cathode-tf analyze` writes, without its page."""
    source, masks = out / "sections" / lot.name, out / "masks" / lot.name
    if (out / kind / lot.name).exists():
        return
    if not source.exists():
        sections(lot, source)
    if kind == "model":  # plausible masks widen what is told of one lot, and tell no lot from another
        run("segment", "default", source / "images", "--out", masks, "--draws", 0, "--resume")
    paths = sorted((source / "masks").glob("*.png") if kind == "true" else masks.glob("*_mask.png"))
    phases, _ = phases_beside(paths, source / "phases.toml" if kind == "true" else None)
    batch = Masks(paths, phases, PIXEL_NM)
    found = analyze(batch, phases, pixel_size_nm=PIXEL_NM)
    dataclasses.replace(found, stories=batch.stories).write(out / kind / lot.name)


def comma(number: float) -> str:
    """As a German spreadsheet writes it."""
    return f"{number:.1f}".replace(".", ",")


def ledger(lots: list[Lot], out: Path, kind: str) -> Ledger:
    """The lots' analyses of one kind and the table of settings, entered by the commands that one types."""
    path, table = out / f"{kind}.db", out / "factors.csv"
    path.unlink(missing_ok=True)
    rows = [
        ";".join([lot.name, lot.date, f"{lot.line_load:g}", lot.calender, *map(comma, lot.others)])
        for lot in lots
    ]
    head = "lot;date;line load [N/mm];calender;thickness before [µm];loading [g/m²];drying [°C]"
    table.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    run("lots", "init", path)
    for lot in lots:
        masks = out / "masks" / lot.name if kind != "true" else out / "sections" / lot.name / "masks"
        run("lots", "add", path, out / kind / lot.name, "--masks", masks)
    run("lots", "import", path, table)
    return Ledger(path)


def truths(lots: list[Lot], out: Path) -> dict[str, np.ndarray]:
    """By quantity: what is true of each lot: of its body the porosity, of its sections the cracks."""
    densities, shares = [], []
    for lot in lots:
        told = json.loads((out / "sections" / lot.name / "truth.json").read_text()).values()
        rows = [row for each in told for row in each["particles"]]
        length, area = (
            np.array([row[key] for row in rows]) for key in ("crack_length_um", "section_area_um2")
        )
        densities.append(length.sum() / area.sum())
        shares.append(np.mean(length > CRACKED_LENGTH * np.sqrt(4 * area / np.pi)))
    return {
        "fraction/pore": np.array([lot.porosity for lot in lots]),
        "crack_length_density": np.array(densities),
        "cracked_particle_fraction": np.array(shares),
    }


def built_in(lots: list[Lot], values: np.ndarray) -> dict[str, float]:
    """What line load (from the lowest to the highest) and calender do to these true values, by least squares."""
    load = np.array([lot.line_load for lot in lots])
    new = np.array([float(lot.calender == "new") for lot in lots])
    _, slope, shift = np.linalg.lstsq(np.column_stack([load**0, load, new]), values, rcond=None)[0]
    return {"line_load": slope * (load.max() - load.min()), "calender": shift}


def answers(lots: list[Lot], out: Path, kinds: list[str]) -> None:
    """What was built in, and what is found with each kind of masks."""
    true = truths(lots, out)
    print(f"{len(lots)} lots, {len(lots) * CUTS} sections. Built in: porosity {LIMIT} + {START - LIMIT:.2f} "
          f"exp(-q / {GAMMA:g}).")  # fmt: skip
    for quantity, values in true.items():
        print(f"{quantity}: mean {values.mean():.3f}; by least squares {built_in(lots, values)}")
    for kind in kinds:
        book = ledger(lots, out, kind)
        print(f"\n## With {KINDS[kind]}", flush=True)
        for quantity, values in true.items():
            found = read_series(book, quantity, pooled=False)
            print(f"{quantity}: r with the truth {np.corrcoef(values, found.values)[0, 1]:.2f}, "
                  f"mean {found.values.mean():.3f} of {values.mean():.3f}")  # fmt: skip
        for quantity, factor, form in ASKED:
            told(causes(book, quantity, factors=[factor], form=form))
            bare = causes(book, quantity, factors=[factor], form=form, without=IDLE)[factor]
            print(f"  without what does nothing: {bare.change} ({bare.verdict})")
        write_lots_report(book, out / f"{kind}.html", force=True, title=f"Twelve lots: {KINDS[kind]}")
        book.close()


def told(found: Causes) -> None:
    """The answer, the law where one was fitted, and what else the model holds."""
    effect = found.effects[0]
    print(f"{found.series.name} and {effect.factor}: {effect.change}. {found.answer}")
    print("  " + effect.sentence(found.series.name))
    if effect.law is not None:
        print(f"  limit {effect.law.limit}, at no load {effect.law.start}, gamma {effect.law.gamma}")
    for other in found.effects[1:]:
        print(f"  {other.factor}: {other.change} ({other.verdict})")
    for note in found.notes:
        print(f"  {note}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=None)
    parser.add_argument("--kind", choices=KINDS, action="append", help="of masks; repeatable; default: all")
    parser.add_argument("--lot", action="append", help="measure this one alone; repeatable; default: all")
    options = parser.parse_args()
    begun = time.monotonic()
    lots = [lot for lot in plant() if not options.lot or lot.name in options.lot]
    kinds = options.kind or list(KINDS)
    todo = [(lot, kind) for kind in kinds for lot in lots]
    for lot, kind in track(todo, "Measuring"):
        measure(lot, options.out, kind)
        if options.minutes and time.monotonic() - begun > 60 * options.minutes:
            print("Stopped for the time; call again to go on.")
            return
    answers(lots, options.out, kinds)


if __name__ == "__main__":
    main()
