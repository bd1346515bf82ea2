"""A reconstruction and its raw slices in; one table of how far its numbers can be trusted, out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from cathode_tf.files import plain, write_json
from cathode_tf.reporting.page import Section, Table
from cathode_tf.tomography import Reconstruction
from cathode_tf.tomography.perturbed import perturbations
from cathode_tf.tomography.slices import Stack, open_slices
from cathode_tf.volumes.trust import QUANTITIES, Trust, how_far_to_trust

DIGITS = {"porosity": 4, "carbon-binder share": 4, "surface of the pores": 3, "tau_z": 3, "tau_x": 3}


def stack_of(made: Reconstruction, slices: Sequence[str | Path]) -> Stack:
    """The raw slices of a reconstruction, opened as it opened them."""
    settings = made.record["settings"]
    return open_slices(
        list(slices), **{name: settings[name] for name in ("order", "gaps", "detector", "databar")}
    )


def reconstruction_trust(made: Reconstruction, slices: Sequence[str | Path]) -> Trust:
    """What each step's own uncertainty does to porosity, carbon-binder share, surface and tortuosity.

    The middle of the volume is made again, each time with one step changed, and measured by one fixed segmentation;
    the result is also added to `reconstruction.json`, as `trust`.

    Args:
        made: What `reconstruct` returned.
        slices: The raw slices that it was given.
    """
    known = None not in made.record["geometry"]["voxel_nm"]
    trust = how_far_to_trust(perturbations(made, stack_of(made, slices)), known=known)
    made.record["trust"] = plain(asdict(trust))
    write_json(made.record_path, made.record, force=True)
    return trust


def trust_section(trust: Trust) -> Section:
    """The table."""

    def cells(values: dict[str, float | None], sign: str) -> list[str]:
        return [
            "-" if (value := values[name]) is None else f"{sign}{value:.{DIGITS[name]}f}"
            for name in QUANTITIES
        ]

    names = [f"{name}, {trust.unit}" if name.startswith("surface") else name for name in QUANTITIES]
    rows = [["the volume", "as it is", *cells(trust.values, "")]]
    rows += [[step, how, *cells(changes, "± ")] for step, how, changes in trust.rows]
    rows.append(["all together", "root of the sum of squares", *cells(trust.total, "± ")])
    levels = ", ".join(f"{level:.0f}" for level in trust.thresholds)
    z, y, x = trust.shape
    notes = [
        f"Measured on the middle {z} x {y} x {x} voxels by fixed grey thresholds ({levels}), the same for all rows. "
        "Only the changes count here: the values themselves are for your segmentation to tell.",
    ]
    if trust.values["carbon-binder share"] is None:
        notes.append(
            "No grey level of its own lies between pore and active material: carbon and binder are not told."
        )
    if trust.values["tau_z"] is None or trust.values["tau_x"] is None:
        notes.append("Where tau is missing, the pores do not reach from face to face in this part.")
    return Section(
        "How far to trust this volume",
        texts=["Each row makes the volume again with one step off by its own standard uncertainty."],
        tables=[Table(["step", "changed", *names], rows, numeric=False, notes=notes)],
    )
