"""A lot's numbers in; a fragment of a Battery Parameter eXchange file, and a file of their intervals, out.

BPX has no field for an interval, and one word for what papers call by three names; the side file has the intervals
and says what each quantity is:

tortuosity: length of the way through the pores over the thickness, tau;
tortuosity factor: by how much the pores' shape slows diffusion beyond their share, D_eff = D porosity / factor; for
    straight parallel tubes the factor is tau squared;
transport efficiency: D_eff / D = porosity / factor, 0-1; BPX's own field;
Bruggeman exponent: b in transport efficiency = porosity^b.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cathode_tf.errors import InputError
from cathode_tf.files import write_json
from cathode_tf.lots.comparing import lot_estimates
from cathode_tf.lots.design import settings_table
from cathode_tf.lots.ledger import Ledger
from cathode_tf.lots.units import convert
from cathode_tf.statistics import Estimate

VERSION = 1.1
DEFINITIONS = {
    "Porosity": "volume share of the pores, 0-1, from the area share of sections (Delesse)",
    "Transport efficiency": "D_eff / D = porosity / tortuosity factor, 0-1; not a tortuosity, and below 1",
    "Tortuosity factor": "porosity / transport efficiency, above 1; for straight parallel tubes tortuosity squared",
    "Bruggeman exponent": "b in transport efficiency = porosity^b; 1.5 for loose spheres",
    "Surface area per unit volume [m-1]": "surface of the active material per volume of electrode, S_V = (4/pi) L_A",
    "Particle radius [m]": "half the volume-weighted median diameter of the active material's particles",
    "Thickness [m]": "of the coating, as measured by the plant",
}
LOOSE = 0.10
"""By how much a R / 3 may differ from the active material's share before it is said."""


@dataclass(frozen=True)
class Fragment:
    """What goes into the two files.

    Attributes:
        content: The BPX fragment.
        sides: Name of the field -> Estimate in SI units.
        notes: What a user of the model must know.
    """

    content: dict[str, Any]
    sides: dict[str, Estimate]
    notes: tuple[str, ...]


def bpx_fragment(
    ledger: Ledger, lot: str, *, active: str | None = None, bruggeman: float | None = None
) -> Fragment:
    """The positive electrode of a lot.

    Args:
        ledger: With its analyses.
        lot: Its name.
        active: Phase of the active material; default: the one whose particle sizes are known.
        bruggeman: Exponent to take where no tortuosity was measured; None: the field is left out then.

    Raises:
        InputError: If the lot has no porosity in physical units.
    """
    numbers, _ = lot_estimates(ledger, lot)
    phases = [phase for quantity, phase in numbers if quantity == "x50_3"]
    active = active or (phases[0] if phases else None)
    porosity = numbers.get(("fraction", "pore"))
    if porosity is None or porosity.value is None:
        raise InputError(f"lot {lot}: must have a porosity (fraction/pore). It has none.")
    sides = {"Porosity": porosity}
    notes: list[str] = []
    _transport(numbers, porosity, bruggeman, sides, notes)
    if active is not None:
        _particles(numbers, active, sides, notes)
    thickness = _thickness(ledger, lot)
    if thickness is not None:
        sides["Thickness [m]"] = thickness
    else:
        notes.append(
            "The thickness is not in the ledger: import it as a setting or property named thickness."
        )
    fields = {
        name: e.value for name, e in sides.items() if name not in ("Tortuosity factor", "Bruggeman exponent")
    }
    content = {
        "Header": {"BPX": VERSION, "Title": f"Positive electrode of lot {lot}", "Model": "DFN"},
        "Parameterisation": {"Positive electrode": fields},
    }
    return Fragment(content, sides, tuple(notes))


def _transport(
    numbers: dict[tuple[str, str], Estimate],
    porosity: Estimate,
    bruggeman: float | None,
    sides: dict[str, Estimate],
    notes: list[str],
) -> None:
    factor = next(
        (
            e
            for (quantity, phase), e in numbers.items()
            if quantity == "tortuosity_factor" and "pore" in phase and e.value
        ),
        None,
    )
    e = float(porosity.value or 0)
    if factor is not None and factor.value:
        sides["Tortuosity factor"] = factor
        sides["Transport efficiency"] = _function(porosity, factor, lambda a, b: a / b)
        sides["Bruggeman exponent"] = _function(
            porosity, factor, lambda a, b: math.log(a / b) / math.log(a) if 0 < a < 1 and b > 0 else math.nan
        )
    elif bruggeman is not None:
        if not bruggeman >= 1:
            raise InputError(f"--bruggeman: must be 1 or more. Received {bruggeman}.")
        exact = Estimate(bruggeman, flags={"ASSUMED": "given by hand, not measured"})
        sides["Transport efficiency"] = _function(porosity, exact, lambda a, b: a**b)
        sides["Tortuosity factor"] = _function(porosity, exact, lambda a, b: a ** (1 - b))
        sides["Bruggeman exponent"] = exact
        notes.append(
            f"Transport efficiency is assumed: porosity^{bruggeman:g} = {e**bruggeman:.4g}. Nothing measured it."
        )
    else:
        notes.append("No tortuosity was measured: Transport efficiency is left out (or give --bruggeman).")


def _particles(
    numbers: dict[tuple[str, str], Estimate], active: str, sides: dict[str, Estimate], notes: list[str]
) -> None:
    surface, diameter = numbers.get(("surface_density", active)), numbers.get(("x50_3", active))
    for name, estimate, unit, scale in (
        ("Surface area per unit volume [m-1]", surface, "1/um", 1e6),
        ("Particle radius [m]", diameter, "um", 0.5e-6),
    ):
        if estimate is None or estimate.value is None:
            notes.append(f"{name} was not measured.")
        elif estimate.unit != unit:
            notes.append(f"{name} is left out: the pixel size was unknown.")
        else:
            sides[name] = _scaled(estimate, scale)
    share = numbers.get(("fraction", active))
    if share and share.value and {"Surface area per unit volume [m-1]", "Particle radius [m]"} <= set(sides):
        area, radius = (
            sides[n].value or 0.0 for n in ("Surface area per unit volume [m-1]", "Particle radius [m]")
        )
        implied = area * radius / 3
        if abs(implied / share.value - 1) > LOOSE:
            notes.append(
                f"Area x radius / 3 = {implied:.3f}, but the active material's share is {share.value:.3f}: BPX "
                "tells it by "
                "that product alone. The particles are no equal spheres; set one of the two to match the model's use."
            )


def _thickness(ledger: Ledger, lot: str) -> Estimate | None:
    table, units = settings_table(ledger, kind=None)
    for name in table.columns:
        if "thickness" in str(name) and (lot, "") in table.index:
            value = table.loc[(lot, ""), name]
            metres = (
                convert(float(value), units.get(str(name)) or "um", "m")
                if isinstance(value, (int, float))
                else None
            )
            if metres is not None and math.isfinite(metres):
                return Estimate(
                    metres, unit="m", n=1, unit_of_replication="lot", method="as entered in the ledger"
                )
    return None


def _scaled(estimate: Estimate, factor: float) -> Estimate:
    ci = None if estimate.ci is None else (estimate.ci[0] * factor, estimate.ci[1] * factor)
    return Estimate(
        (estimate.value or 0.0) * factor, ci=ci, n=estimate.n, unit_of_replication=estimate.unit_of_replication,
        method=estimate.method, reference=estimate.reference, flags=estimate.flags,
    )  # fmt: skip


def _function(a: Estimate, b: Estimate, of: Any) -> Estimate:
    """A function of two independent estimates, its interval from the moves that each alone makes."""
    value = of(a.value, b.value)
    moves = [
        [abs(of(end, b.value) - value) for end in (a.ci or (a.value, a.value))],
        [abs(of(a.value, end) - value) for end in (b.ci or (b.value, b.value))],
    ]
    half = math.hypot(max(moves[0]), max(moves[1]))
    fields: dict[str, Any] = {"n": a.n, "unit_of_replication": a.unit_of_replication, "flags": dict(b.flags)}
    return Estimate(
        value, ci=(value - half, value + half) if half else None, method="from porosity", **fields
    )


def write_fragment(fragment: Fragment, path: str | Path, *, force: bool = False) -> tuple[Path, Path]:
    """Write the fragment, and beside it `NAME.intervals.json`."""
    path = Path(path)
    side = path.with_name(f"{path.name.removesuffix('.json')}.intervals.json")
    content = {
        "of": path.name,
        "quantities": {
            name: {"definition": DEFINITIONS[name], **estimate.to_dict()}
            for name, estimate in fragment.sides.items()
        },
        "notes": list(fragment.notes),
    }
    write_json(side, content, force=force)
    return write_json(path, fragment.content, force=force), side
