"""The tables of `reconstruction.py`, from what it measured."""

from __future__ import annotations

from collections import defaultdict

import numpy as np


def tables(results):
    """Markdown of everything that was measured."""
    parts = defaultdict(dict)
    for (part, key), row in results.items():
        parts[part][key] = row
    return "\n\n".join(TABLES[part](parts[part]) for part in TABLES if part in parts)


def _table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _by_name(rows):
    """Rows of several seeds by all of their key but the last part, the seed."""
    found = defaultdict(list)
    for key, row in rows.items():
        found["|".join(key.split("|")[:-1])].append(row)
    return found


def _rms(values):
    return float(np.sqrt(np.square(values).mean()))


def drift(rows):
    ways = {"none": "no correction", "cathode_tf": "cathode_tf"}
    ways |= {"multibaseline": "NUScope-TOMO, as it comes", "pairwise": "NUScope-TOMO, pairwise"}

    def cell(several, way):
        known = [row[way] for row in several if row[way] is not None]
        if not known:
            return "-"
        steps, sums = (_rms(column) for column in zip(*known, strict=True))
        return f"{steps:.3f} / {sums:.2f}"

    body = [[name, *(cell(several, way) for way in ways)] for name, several in _by_name(rows).items()]
    return (
        "## Drift: error of a step / of their sum without its trend, rms px, 100 slices, two seeds\n\n"
        + _table(["stack", *ways.values()], body)
    )


def curtains(rows):
    ways = {"none": "before", "cathode_tf": "cathode_tf", "nuscope": "NUScope-TOMO"}

    def cell(several, way):
        known = [row[way] for row in several if row[way] is not None]
        return ", ".join(f"{value:+.4f}" for value in known) or "-"

    body = [
        [*name.split("|"), *(cell(several, way) for way in ways)] for name, several in _by_name(rows).items()
    ]
    return (
        "## Curtains that stay: bias of the bright fraction by a threshold half-way, two seeds\n\n"
        + _table(["stack", "stripes, grey levels", *ways.values()], body)
    )


def thickness(rows):
    body = [
        [
            name,
            ", ".join(f"{row['each']:.1%}" for row in several),
            ", ".join(f"{row['mean']:+.1%}" for row in several),
            ", ".join(f"{row['u_mean']:.1%}" for row in several),
            ", ".join(f"{row['blur_px']:g}" for row in several),
        ]
        for name, several in _by_name(rows).items()
    ]
    head = ["stack", "a slice, rms", "mean", "stated uncertainty of the mean", "blur found, px"]
    return (
        "## Thickness: error, 100 slices of 400 x 400 px every 2 px, scatter 25 %, three seeds\n\n"
        + _table(head, body)
    )


def particles(rows):
    found = {int(key): row for key, row in rows.items() if row["particles"]}
    body = []
    for name, chosen in (
        ("all", list(found.values())),
        ("without leaning structure", [row for seed, row in found.items() if seed % 2 == 0]),
        ("with it", [row for seed, row in found.items() if seed % 2]),
    ):
        if chosen:
            off, half = (np.array([row[name] for row in chosen]) for name in ("off", "half"))
            number = np.mean([row["particles"] for row in chosen])
            inside = (np.abs(off) <= half).mean()
            body.append(
                [
                    name,
                    len(chosen),
                    f"{number:.0f}",
                    f"{inside:.1%}",
                    f"{np.median(half):.3f}",
                    f"{_rms(off):.3f}",
                ]
            )
    head = ["stacks", "number", "particles each", "interval holds the truth", "median half-width, px a slice"]
    return "## `--trend particles`: ellipsoids sheared by up to 0.3 px a slice, both axes\n\n" + _table(
        [*head, "rms error"], body
    )


def ablation(rows):
    named = {"align": "without alignment", "background": "without background"} | {
        step: f"without {step}" for step in ("curtains", "brightness")
    }
    body = []
    for name, several in _by_name(rows).items():
        means = {
            quantity: np.mean([row[quantity] for row in several])
            for quantity in ("porosity", "carbon-binder share", "surface of the pores")
        }
        tau = [row["tau_z"] / row["tau_x"] for row in several if row["tau_z"] and row["tau_x"]]
        porosity, binder, surface = means.values()
        body.append(
            [
                named.get(name, name),
                f"{porosity:.4f}",
                f"{binder:.4f}",
                f"{surface:.2f}",
                f"{np.mean(tau):.3f}" if tau else "-",
            ]
        )
    head = ["volume", "porosity", "carbon-binder share", "surface of the pores, 1/um", "tau_z / tau_x"]
    return "## What each step is worth: mean of two bodies, one fixed segmentation\n\n" + _table(head, body)


def speed(rows):
    body = [
        [row["slices"], f"{row['s']:.2f}", f"{row['peak_GB']:.2f}", f"{row['s'] * 500 / 2 / 60:.1f}"]
        for row in rows.values()
    ]
    head = ["slices", "processor s a slice", "peak memory, GB", "500 slices on two cores, min"]
    return "## Slices of 2048 x 1768\n\n" + _table(head, body)


TABLES = {part.__name__: part for part in (drift, curtains, thickness, particles, ablation, speed)}
