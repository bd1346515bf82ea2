"""Simulated plants with known causes and shifts: what the ledger's charts, bridges and effects are worth.

    python benchmarks/lots.py                  # everything, some minutes
    python benchmarks/lots.py --only charts    # or effects, whole

Lots have 4 to 40 images, so that the uncertainty of a point changes from lot to lot. `whole` takes 200 lots with sheet
and lot effects, factors and a change of model in the middle through the ledger itself.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from scipy import stats

from cathode_tf.lots import Ledger, Place
from cathode_tf.lots.bridges import build_bridge, system_names
from cathode_tf.lots.causes import causes
from cathode_tf.lots.charts import Options, control_chart
from cathode_tf.lots.intake import Intake, Number, uncertainties
from cathode_tf.lots.mixed import fit_mixed
from cathode_tf.lots.monitoring import freeze, monitor
from cathode_tf.lots.phase_one import phase_one
from cathode_tf.lots.run_length import run_length
from cathode_tf.lots.series import moderated, read_series
from cathode_tf.lots.settings import Setting
from cathode_tf.statistics import Estimate

PROCESS_SD, SHEET_SD, IMAGE_SD = 1.0, 0.5, 4.0
PHASE = 40
MODEL_CHANGE, MODEL_SHIFT = 100, 3.0
"""Of 200 lots the second hundred is measured by another model, which finds more."""


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
    for kind in ("individuals", "ewma", "cusum"):
        random = np.random.default_rng(seed)
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


def whole(plants, seed):
    """Plants through the ledger: factors, lots, sheets, images, another model from lot 100 on, a bridge of 8 lots."""
    random = np.random.default_rng(seed)
    truth = {"line_load": 0.01, "calender": 1.0, "thickness": 0.0, "drying": 0.05}
    spans = {}
    inside = dict.fromkeys(truth, 0)
    jumps, left, alarms, told = [], [], [0, 0], []
    for _ in range(plants):
        with tempfile.TemporaryDirectory() as folder:
            ledger = Ledger.create(Path(folder) / "plant.db")
            true = fill(ledger, random, truth, spans)
            before = next(iter(system_names(ledger, "porosity")))
            old, new = read_series(ledger, "porosity", system=before), read_series(ledger, "porosity")
            apart = np.concatenate([old.values, new.values[-MODEL_CHANGE:]])
            phase = freeze(ledger, "porosity", first=PHASE, spread="all", system=before)
            chart = control_chart("individuals", apart[MODEL_CHANGE:], new.u[-MODEL_CHANGE:], phase)
            alarms[0] += len(chart.alarms)
            bridge = build_bridge(ledger, "porosity", before=before)
            seen = monitor(ledger, "porosity")
            assert seen.frozen and len(seen.chart.labels) == 200
            error = seen.series.values - true - MODEL_SHIFT
            jumps.append((apart - true)[MODEL_CHANGE:].mean() - (apart - true)[:MODEL_CHANGE].mean())
            left.append(error[MODEL_CHANGE:].mean() - error[:MODEL_CHANGE].mean())
            alarms[1] += sum(a.index >= MODEL_CHANGE for a in seen.chart.alarms)
            told.append(1 / seen.run_length.estimated)
            assert abs(bridge.offset.value - MODEL_SHIFT) < 1
            found = causes(ledger, "porosity", factors=list(truth))
            for factor, slope in truth.items():
                low, high = found[factor].change.ci
                inside[factor] += low <= slope * spans.get(factor, 1.0) <= high
            ledger.close()
    later = plants * MODEL_CHANGE
    print(f"\n{plants} plants of 200 lots, two sheets each, through the ledger:")
    print(
        f"jump without a bridge {np.mean(jumps):+.2f}, alarms in {alarms[0] / later:.0%} of the later lots;"
    )
    print(f"with one {np.mean(left):+.2f} +- {np.std(left):.2f}, alarms in {alarms[1] / later:.1%} "
          f"(told: {np.mean(told):.1%}).")  # fmt: skip
    print(
        "effects inside their interval: " + ", ".join(f"{name} {n} of {plants}" for name, n in inside.items())
    )


def fill(ledger, random, truth, spans):
    """Enter a plant; the true value of each lot, without what a model adds. `spans`: highest minus lowest setting."""
    load = random.choice([100.0, 150.0, 200.0, 300.0], 200)
    new = random.permutation(200) % 2
    new = new ^ new[0]  # the first lot has the old one: effects are told from the first word that occurs
    thickness, drying = 75 + random.normal(size=200), 120 + 5 * random.normal(size=200)
    spans.update(line_load=np.ptp(load), thickness=np.ptp(thickness), drying=np.ptp(drying))
    process = truth["line_load"] * load + truth["calender"] * new + truth["drying"] * drying
    process += PROCESS_SD * random.normal(size=200)
    measured = np.zeros(200)
    both = random.choice(MODEL_CHANGE, 8, replace=False)
    for lot in range(200):
        settings = [
            Setting("line_load", load[lot], None, "N/mm"),
            Setting("calender", None, ("old", "new")[new[lot]], ""),
            Setting("thickness", thickness[lot], None, "um"),
            Setting("drying", drying[lot], None, "C"),
        ]
        made_on = f"2026-{lot // 28 + 1:02d}-{lot % 28 + 1:02d}"
        sheets = process[lot] + SHEET_SD * random.normal(size=2)
        measured[lot] = sheets.mean()
        for sheet, value in enumerate(sheets):
            images = value + IMAGE_SD * random.normal(size=random.integers(4, 41))
            place = Place(f"L{lot:03d}", sheet=str(sheet))
            for model in ("a", "b"):
                if (lot < MODEL_CHANGE) == (model == "a") or (lot in both and model == "b"):
                    seen = images + (MODEL_SHIFT + 0.8 * random.normal(size=len(images))) * (model == "b")
                    ledger.add(
                        analysis(seen, model, random), place, made_on=made_on,
                        settings=settings if model == "a" or lot >= MODEL_CHANGE else (),
                    )  # fmt: skip
    return measured


def analysis(values, model, random):
    """What `read_analysis` makes of an analysis whose images have these values."""
    n, mean, u = len(values), float(values.mean()), float(values.std(ddof=1) / len(values) ** 0.5)
    half = float(stats.t.ppf(0.975, n - 1)) * u
    found = Estimate(mean, ci=(mean - half, mean + half), n=n, components={"between_images": u})
    images = tuple({"name": f"image{i}", "field": None, "mask_sha256": None, "measures": {"porosity/pore": float(x)}}
                   for i, x in enumerate(values))  # fmt: skip
    number = Number("porosity", "pore", found, *uncertainties(found))
    return Intake(
        Path("/plant"), random.bytes(32).hex(), 50.0, (number,), images, {"masks": f"model {model}"}, {}, {}
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--plants", type=int, default=400)
    parser.add_argument("--effects", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=["charts", "effects", "whole"])
    options = parser.parse_args()
    for name, run, count in (
        ("charts", charts, options.plants),
        ("effects", effects, options.effects),
        ("whole", whole, max(options.plants // 10, 1)),
    ):
        if options.only in (None, name):
            run(count, options.seed)


if __name__ == "__main__":
    main()
