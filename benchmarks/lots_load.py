"""A ledger of 10,000 lots of 20 images: how long entering, charts and the report take, and how large the file is.

    python benchmarks/lots_load.py --ledger /tmp/load.db
    python benchmarks/lots_load.py --ledger /tmp/load.db --lots 1000

Each analysis is what `analyze` makes of sections, its numbers moved a little: all of its quantities, the measures of
20 images, a microscope's settings, the picture of a typical section. The first 200 lots are entered, and timed; their
rows are copied with other names, hashes and values until there are 10,000; the last 200 are entered, and timed. Times
are of the wall and of the processor; on a machine that does other things, too, the second says more.
"""

import argparse
import contextlib
import dataclasses
import datetime
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from cathode_tf.analysis import analyze
from cathode_tf.lots import Ledger, Place
from cathode_tf.lots.entering import Micrograph
from cathode_tf.lots.intake import Intake, read_analysis
from cathode_tf.lots.monitoring import freeze, monitor
from cathode_tf.lots.pictures import small_picture
from cathode_tf.lots.settings import Setting
from cathode_tf.progress import track
from cathode_tf.synthesis import synthesize

IMAGES, FIRST = 20, 200
QUANTITY = "fraction/pore"


def pattern(folder: Path) -> tuple[Intake, bytes]:
    """What `analyze` makes of two sections, and the picture of one."""
    samples = list(synthesize(2, seed=0, height=256, width=256))
    found = analyze(
        {s.id: s.mask for s in samples}, samples[0].phases, pixel_size_nm=samples[0].pixel_size_nm
    )
    intake = read_analysis(found.write(folder / "analysis"))
    return intake, small_picture(np.tile(samples[0].mask, (2, 2)), samples[0].phases)


def moved(intake: Intake, lot: int, random: np.random.Generator) -> Intake:
    """The same analysis of other images: every number a little to the side."""

    def number(each):
        if each.estimate.value is None:
            return each
        shift = 1 + 0.02 * random.normal()
        ci = each.estimate.ci and tuple(end * shift for end in each.estimate.ci)
        return dataclasses.replace(
            each,
            estimate=dataclasses.replace(each.estimate, value=each.estimate.value * shift, ci=ci, n=IMAGES),
            u=0.01 * abs(each.estimate.value) * random.uniform(0.5, 1.5),
        )

    images = tuple(
        {
            "name": f"lot{lot}_{i}",
            "field": None,
            "mask_sha256": random.bytes(32).hex(),
            "measures": {
                k: v * (1 + 0.1 * random.normal()) for k, v in intake.images[i % 2]["measures"].items()
            },
        }
        for i in range(IMAGES)
    )
    return dataclasses.replace(
        intake, sha256=random.bytes(32).hex(), numbers=tuple(map(number, intake.numbers)), images=images
    )


def enter(ledger: Ledger, lots: range, intake: Intake, picture: bytes) -> np.ndarray:
    """Enter lots; (n, 2) seconds of the wall and of the processor for each `add`."""
    microscope = {
        "vendor": "a vendor",
        "kV": 5.0,
        "detector": "BSE",
        "working_distance_mm": 4.1,
        "dwell_us": 3.0,
    }
    took = []
    for lot in track(lots, "Adding"):
        random = np.random.default_rng(lot)
        mine = moved(intake, lot, random)
        micrographs = {i["name"]: Micrograph(random.bytes(32).hex(), microscope) for i in mine.images}
        settings = [
            Setting("line_load", float(random.integers(100, 400)), None, "N/mm"),
            Setting("loading", 200 + random.normal(), None, "g/m2"),
        ]
        day = datetime.date(2000, 1, 1) + datetime.timedelta(lot)
        wall, processor = time.perf_counter(), time.process_time()
        ledger.add(
            mine, Place(f"L{lot:05d}", sheet="1"), made_on=day.isoformat(), settings=settings,
            micrographs=micrographs, picture=picture,
        )  # fmt: skip
        took.append((time.perf_counter() - wall, time.process_time() - processor))
    return np.array(took)


COPIES = """
INSERT INTO lots SELECT id + :o, printf('L%05d', id - 1 + :o), slurry_id, date(made_on, :o || ' days') FROM lots
    WHERE id <= :n;
INSERT INTO places SELECT id + :o, lot_id + :o, sheet, position_m, lane, section, spelled FROM places WHERE id <= :n;
INSERT INTO analyses SELECT id + :o, place_id + :o, system_id, date(measured_on, :o || ' days'), folder,
    lower(hex(randomblob(32))), pixel_size_nm, images, trust, facts, picture, added_at, who, NULL, NULL
    FROM analyses WHERE id <= :n;
INSERT INTO images SELECT NULL, analysis_id + :o,
    printf('lot%d_', analysis_id - 1 + :o) || substr(name, instr(name, '_') + 1), field,
    lower(hex(randomblob(32))), lower(hex(randomblob(32))), instrument, measures FROM images WHERE analysis_id <= :n;
INSERT INTO numbers SELECT quantity_id, analysis_id + :o, value * (1 + 0.00002 * (random() % 1000)), low, high, u,
    u_common, n, notes FROM numbers WHERE analysis_id <= :n;
INSERT INTO settings SELECT NULL, lot_id + :o, sheet, kind, name, value * (1 + 0.00002 * (random() % 1000)), text, unit,
    u, source, added_at, who, NULL FROM settings WHERE lot_id <= :n;
INSERT INTO events SELECT NULL, at, who, event, facts FROM events WHERE id <= :n;
"""


def copy(path: Path, lots: int) -> None:
    """Copy the rows of the first lots until there are so many."""
    with contextlib.closing(sqlite3.connect(path)) as raw:
        for offset in track(range(FIRST, lots, FIRST), "Copying"):
            with raw:
                for statement in COPIES.split(";\n")[:-1]:
                    raw.execute(statement, {"o": offset, "n": min(FIRST, lots - offset)})


def told(took: np.ndarray) -> str:
    """Median and 99 % of times, in milliseconds."""
    wall, processor = 1000 * took.T
    return f"{np.median(wall):.0f} ({np.median(processor):.0f}) ms; 99 %: {np.quantile(wall, 0.99):.0f} ms"


def timed(what: str, run) -> None:
    """Print a row of the table."""
    wall, processor = time.perf_counter(), time.process_time() + children()
    run()
    print(
        f"| {what} | {time.perf_counter() - wall:.2f} ({time.process_time() + children() - processor:.2f}) s |",
        flush=True,
    )


def children() -> float:
    """Seconds of the processor of commands that ran."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ledger", type=Path, required=True)
    parser.add_argument("--lots", type=int, default=10_000)
    options = parser.parse_args()
    ledger = Ledger.create(options.ledger)
    with tempfile.TemporaryDirectory() as scratch:
        intake, picture = pattern(Path(scratch))
        print(
            f"{len(intake.numbers)} numbers an analysis, {IMAGES} images, a picture of {len(picture)} bytes"
        )
        print(
            f"| `add` of one of the first {FIRST} lots | {told(enter(ledger, range(FIRST), intake, picture))} |"
        )
        copy(options.ledger, options.lots - FIRST)
        took = enter(ledger, range(options.lots - FIRST, options.lots), intake, picture)
        print(
            f"| `add` of one of the last {FIRST}, {len(ledger.lots()):,} in the ledger | {told(took)} |",
            flush=True,
        )
        print(f"| file | {options.ledger.stat().st_size / 2**20:.0f} MiB |")
        for kind in ("individuals", "moving_range", "ewma", "cusum"):
            timed(f"{kind} chart", lambda kind=kind: monitor(ledger, QUANTITY, kind=kind))
        freeze(ledger, QUANTITY)
        command = [sys.executable, "-m", "cathode_tf.tools", "lots"]
        quiet = {"check": True, "stdout": subprocess.DEVNULL}
        for words in (
            ["chart", options.ledger, QUANTITY],
            ["chart", options.ledger, QUANTITY, "--out", Path(scratch) / "chart.svg"],
            ["causes", options.ledger, QUANTITY],
            ["show", options.ledger, "L00017"],
            ["report", options.ledger, "--out", Path(scratch) / "lots.html"],
        ):
            text = " ".join(word for word in map(str, words) if not word.startswith("/"))
            timed(
                f"`cathode-tf lots {text}`", lambda words=words: subprocess.run([*command, *words], **quiet)
            )
        new = Path(scratch) / "analysis"
        timed(
            "`cathode-tf lots add` of one lot",
            lambda: subprocess.run([*command, "add", options.ledger, new, "--lot", "new"], **quiet),
        )
        timed(
            "`cathode-tf --version`, for comparison",
            lambda: subprocess.run([*command[:-1], "--version"], **quiet),
        )
    ledger.close()


if __name__ == "__main__":
    main()
