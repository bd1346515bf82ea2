"""Simulated plants with known causes and shifts: what the ledger's charts, bridges and effects are worth.

    python benchmarks/lots.py            # everything but the load, some minutes
    python benchmarks/lots.py --load     # a ledger of 10,000 lots of 20 images, 72 numbers each

Each plant has 200 lots of 4 to 40 images, sheet and lot effects, factors, and a change of model in the middle.
"""

import argparse
import copy
import tempfile
import time
from pathlib import Path

import numpy as np

from cathode_tf.lots.bridges import bridge_study
from cathode_tf.lots.charts import Options, control_chart
from cathode_tf.lots.mixed import fit_mixed
from cathode_tf.lots.phase_one import phase_one
from cathode_tf.lots.run_length import run_length
from cathode_tf.lots.series import moderated

PROCESS_SD, IMAGE_SD = 1.0, 4.0
PHASE = 40


def lots_of(random, count, shift_at=None, shift=1.0):
    """Values, the uncertainties that an analysis would tell, and the true ones."""
    n = random.integers(4, 41, count)
    u_true = IMAGE_SD / np.sqrt(n)
    mean = PROCESS_SD * random.normal(size=count)
    if shift_at is not None:
        mean[shift_at:] += shift
    u_seen = u_true * np.sqrt(random.chisquare(n - 1) / (n - 1))
    return mean + u_true * random.normal(size=count), moderated(u_seen, n), u_seen


def first_alarm(chart, after):
    found = [alarm.index for alarm in chart.alarms if alarm.index >= after]
    return found[0] if found else None


def charts(plants, seed):
    """False alarms as stated, and the delay to a shift of 1 sd, beside charts that take the points for exact."""
    print(
        "| chart | rate told | rate found | delay, own intervals | delay, points taken for exact, same rate |"
    )
    print("|---|---|---|---|---|")
    random = np.random.default_rng(seed)
    for kind in ("individuals", "ewma", "cusum"):
        told, alarms, watched = [], 0, 0
        delays, blind = [], []
        limit = matched_limit(kind, np.random.default_rng(seed + 1))
        for plant in range(plants):
            x, u, _ = lots_of(random, 240)
            phase = phase_one(x[:PHASE], u[:PHASE], spread="all", labels=tuple(map(str, range(PHASE))))
            if plant < 12:
                told.append(1 / run_length(kind, u, phase, seed=plant).estimated)
            seen = control_chart(kind, x[PHASE:], u[PHASE:], phase)
            at = first_alarm(seen, 0)
            alarms += at is not None
            watched += 200 if at is None else at + 1
            y, v, _ = lots_of(random, 300, shift_at=PHASE + 60)
            phase = phase_one(y[:PHASE], v[:PHASE], spread="all")
            exact = phase_one(y[:PHASE], np.zeros(PHASE), spread="all")
            for found, u_used, by, options in (
                (delays, v, phase, Options()),
                (blind, np.zeros(300), exact, limit),
            ):
                at = first_alarm(
                    control_chart(kind, y[PHASE + 60 :], u_used[PHASE + 60 :], by, options=options), 0
                )
                found.append(240 if at is None else at + 1)
        rates = f"1 in {1 / np.mean(told):.0f} | 1 in {watched / max(alarms, 1):.0f}"
        print(f"| {kind} | {rates} | {np.mean(delays):.1f} lots | {np.mean(blind):.1f} lots |")


def matched_limit(kind, random):
    """Options of a chart that takes points for exact, with the false alarm rate of ours: found by halving."""
    data = [lots_of(random, 240)[:2] for _ in range(150)]

    def rate(options, own):
        alarms = watched = 0
        for x, u in data:
            u = u if own else np.zeros(240)
            phase = phase_one(x[:PHASE], u[:PHASE], spread="all")
            at = first_alarm(control_chart(kind, x[PHASE:], u[PHASE:], phase, options=options), 0)
            alarms, watched = alarms + (at is not None), watched + (200 if at is None else at + 1)
        return alarms / watched

    goal = rate(Options(), own=True)
    low, high = (2.0, 6.0) if kind != "cusum" else (2.0, 12.0)
    for _ in range(9):
        middle = (low + high) / 2
        options = Options(decision=middle) if kind == "cusum" else Options(limit=middle)
        low, high = (middle, high) if rate(options, own=False) > goal else (low, middle)
    return options


def effects(count, seed):
    """Share of 95 % intervals that hold the effect built in."""
    random = np.random.default_rng(seed)
    print("\n| lots | rows a lot | effects | inside |")
    print("|---|---|---|---|")
    for lots, rows in ((12, 1), (24, 1), (24, 3)):
        inside = total = 0
        while total < count:
            index = np.repeat(np.arange(lots), rows)
            between = random.normal(size=(lots, 3))
            x = np.column_stack([np.ones(lots * rows), between[index], (random.permutation(lots) % 2)[index]])
            truth = np.array([0, 0.5, -0.3, 0.0, 1.0])
            n = random.integers(4, 41, lots * rows)
            u = IMAGE_SD / np.sqrt(n)
            seen = moderated(u * np.sqrt(random.chisquare(n - 1) / (n - 1)), n)
            sheet = 0.5 * random.normal(size=lots * rows) if rows > 1 else 0.0
            y = (
                x @ truth
                + PROCESS_SD * random.normal(size=lots)[index]
                + sheet
                + u * random.normal(size=lots * rows)
            )
            fit = fit_mixed(y, x, seen, index)
            for column in range(1, 5):
                value, _, half = fit.interval(np.eye(5)[column])
                inside += abs(value - truth[column]) <= half
                total += 1
        print(f"| {lots} | {rows} | {total} | {inside / total:.1%} |")


def bridges(plants, seed):
    """A model change in the middle moves everything by 3 sd; images of 8 lots measured with both repair it."""
    random = np.random.default_rng(seed)
    jumps, repaired, alarms_before, alarms_after, watched = [], [], 0, 0, 0
    for _ in range(plants):
        x, u, _ = lots_of(random, 200)
        shift = 3.0
        new = x + np.where(np.arange(200) >= 100, shift, 0)
        images = 10 + IMAGE_SD * random.normal(size=64)
        both = bridge_study(images, images + shift + 0.8 * random.normal(size=64))
        carried = x + both.offset.value
        whole = np.concatenate([carried[:100], new[100:]])
        u_whole = np.hypot(u, np.where(np.arange(200) < 100, both.offset_u, 0))
        jumps.append(new[100:].mean() - new[:100].mean())
        repaired.append(whole[100:].mean() - whole[:100].mean())
        for values, own, before in ((new, u, True), (whole, u_whole, False)):
            phase = phase_one(values[:PHASE], own[:PHASE], spread="all")
            count = len(control_chart("individuals", values[100:], own[100:], phase).alarms)
            alarms_before, alarms_after = alarms_before + before * count, alarms_after + (not before) * count
        watched += 100
    found, left = f"{np.mean(jumps):+.2f} sd", f"{np.mean(repaired):+.2f} +- {np.std(repaired):.2f} sd"
    print(f"\nA jump of 3 sd at a change of model, {plants} plants:")
    print(f"without a bridge {found}, an alarm in {alarms_before / watched:.0%} of the lots;")
    print(f"with one of 64 images {left}, an alarm in {alarms_after / watched:.1%}.")


def load(lots):
    """A ledger of many lots: how long an analysis takes to enter, and a chart to draw; how large it is."""
    from cathode_tf.lots import Ledger, Place
    from cathode_tf.lots.intake import Intake, Number, uncertainties
    from cathode_tf.lots.monitoring import monitor
    from cathode_tf.statistics import Estimate

    random = np.random.default_rng(0)
    flags = {"NECK_DEPTH": "particles counted by neck depth: 51 at 0.17, 46 at 0.35, 41 at 0.7"}

    def estimate(k):
        value, u = 0.3 + 0.01 * k + 0.01 * random.normal(), 0.004
        return Estimate(
            value, ci=(value - 0.009, value + 0.009), n=20, method=f"method {k}", reference="a reference",
            components={"between_images": u, "integral_range": 0.9 * u}, flags=flags if k % 3 == 0 else {},
        )  # fmt: skip

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plant.db"
        ledger = Ledger.create(path)
        took = []
        for lot in range(lots):
            numbers = []
            for k in range(72):
                found = estimate(k)
                numbers.append(Number(f"q{k}", "ncm", found, *uncertainties(found)))
            images = tuple(
                {"name": f"lot{lot}_{i}", "field": None, "mask_sha256": random.bytes(32).hex(),
                 "measures": {f"q{k}/ncm": float(random.normal()) for k in range(8)}}
                for i in range(20)
            )  # fmt: skip
            intake = Intake(
                Path(f"/plant/{lot}"), random.bytes(32).hex(), 50.0, tuple(numbers), images, {"masks": "model a"},
                {"masks": "a model's"}, copy.copy({"version": "0.2"}),
            )  # fmt: skip
            start = time.perf_counter()
            ledger.add(intake, Place(f"L{lot:05d}", sheet="1"), made_on=f"{2000 + lot // 365}-01-01")
            took.append(time.perf_counter() - start)
        late = np.array(took[-min(500, lots) :])
        print(f"\n{lots} lots of 20 images, 72 numbers each: {path.stat().st_size / 2**20:.0f} MiB. `add`: median "
              f"{1000 * np.median(late):.0f} ms, 99 % below {1000 * np.quantile(late, 0.99):.0f} ms.")  # fmt: skip
        for kind in ("individuals", "ewma", "cusum"):
            start, cpu = time.perf_counter(), time.process_time()
            monitor(ledger, "q3/ncm", kind=kind)
            wall, used = time.perf_counter() - start, time.process_time() - cpu
            print(f"{kind} chart of all: {wall:.2f} s ({used:.2f} s of processor).")
        ledger.close()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--plants", type=int, default=400)
    parser.add_argument("--effects", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--load", type=int, nargs="?", const=10_000)
    options = parser.parse_args()
    if options.load:
        load(options.load)
        return
    charts(options.plants, options.seed)
    effects(options.effects, options.seed)
    bridges(options.plants, options.seed)


if __name__ == "__main__":
    main()
