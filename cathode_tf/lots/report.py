"""A ledger in, one self-contained HTML page out: alarms first, run charts, causes, lots side by side, pictures."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from cathode_tf.errors import InputError
from cathode_tf.lots import schema as t
from cathode_tf.lots.bridges import system_names
from cathode_tf.lots.causes import Causes, causes
from cathode_tf.lots.cells import cell_metrics, regress
from cathode_tf.lots.comparing import lot_estimates
from cathode_tf.lots.drawings import factor_plot, regression_plot, run_chart, side_by_side
from cathode_tf.lots.effects import Effect
from cathode_tf.lots.ledger import Ledger
from cathode_tf.lots.monitoring import Monitor, monitor
from cathode_tf.reporting.page import Card, Drawing, Page, Picture, Section, Table, write_page
from cathode_tf.reporting.tables import for_page, split_text
from cathode_tf.statistics.sizes import display_name
from cathode_tf.words import counted

HEADLINES = ("fraction", "crack_length_density", "fragments_per_particle", "x50_3")
NOT_FROZEN = (
    "Phase I is not frozen for every chart: there the first lots serve as their own measure. Freeze it when they were "
    "in control: cathode-tf lots freeze LEDGER QUANTITY"
)
LOTS_SHOWN = 20
CHARTS = 6


def write_lots_report(
    ledger: Ledger,
    path: str | Path,
    *,
    quantities: Sequence[str] = (),
    title: str = "Cathode lots",
    force: bool = False,
) -> Path:
    """Write the page.

    Args:
        ledger: With at least one analysis.
        path: The HTML file; it needs nothing beside it and no network.
        quantities: `quantity/phase` to chart; default: fractions, cracks, D50.
        title: Heading.
        force: Replace an existing file.

    Raises:
        InputError: If there is no analysis, or a quantity is unknown.
    """
    lots = [lot for lot in ledger.lots() if lot["analyses"]]
    if not lots:
        raise InputError(
            "report: the ledger must have an analysis. It has none; add one: cathode-tf lots add"
        )
    names = list(quantities) or headline_names(ledger)
    monitors, told = _monitors(ledger, names, bool(quantities))
    found = _causes(ledger, names)
    alarms = [(m, alarm) for m in monitors for alarm in m.chart.alarms]
    sections = [
        _alarm_section(monitors, alarms),
        *[_chart_section(m) for m in monitors],
        *_cause_sections(found),
        *_cell_sections(ledger, names),
        _lot_section(ledger, lots[-LOTS_SHOWN:], names),
        *_picture_sections(ledger, lots[-LOTS_SHOWN:]),
        _system_section(ledger, names),
        _log_section(ledger),
    ]
    images = sum(lot["images"] for lot in lots)
    lead = (
        f"{counted(len(lots), 'lot')}, {counted(sum(lot['analyses'] for lot in lots), 'analysis', 'analyses')}, "
        f"{counted(images, 'image')}. Bars are 95 % intervals of the measurement; shaded: limits of each lot."
    )
    if any(not m.frozen for m in monitors):
        told.insert(0, NOT_FROZEN)
    page = Page(title, lead, _cards(lots, alarms, found), told, sections)
    return write_page(page, path, force=force)


def headline_names(ledger: Ledger) -> list[str]:
    """Names of the quantities that a reader looks for first, that most lots have."""
    q, n = t.quantities.c, t.numbers.c
    query = (
        sa.select(q.quantity, q.phase, sa.func.count(n.value).label("lots"))
        .join_from(t.quantities, t.numbers)
        .where(q.quantity.in_(HEADLINES))
        .group_by(q.quantity, q.phase)
    )
    with ledger.database.reading() as connection:
        rows = [row for row in connection.execute(query) if row.lots]
    broken = {row.phase for row in rows if row.quantity == "crack_length_density"}
    # Pores and particles tell of calendering; what fills up the rest follows from them.
    rows = [row for row in rows if row.quantity != "fraction" or row.phase == "pore" or row.phase in broken]
    rows.sort(key=lambda row: (HEADLINES.index(row.quantity), row.phase != "pore", -row.lots))
    return [f"{row.quantity}/{row.phase}" for row in rows][:CHARTS]


def _monitors(ledger: Ledger, names: Sequence[str], strict: bool) -> tuple[list[Monitor], list[str]]:
    found, told = [], []
    for name in names:
        try:
            found.append(monitor(ledger, name))
        except InputError as error:
            if strict and "phase I" not in str(error):
                raise
            told.append(f"{name} has no chart: {error}")
    return found, told


def _causes(ledger: Ledger, names: Sequence[str]) -> list[Causes]:
    found = []
    for name in names:
        try:
            found.append(causes(ledger, name))
        except InputError:
            continue
    return found


def _cards(lots: list[dict[str, Any]], alarms: list[Any], found: Sequence[Causes]) -> list[Card]:
    process = sum(alarm.grade == "process" for _, alarm in alarms)
    newest = lots[-1]
    moved = [
        (c, max(sure, key=_sureness))
        for c in found
        if (sure := [e for e in c.effects if e.verdict == "moves"])
    ]
    cards = [
        Card(
            "Alarms",
            str(len(alarms)),
            f"{process} of the process, {len(alarms) - process} may be the measurement",
        ),
        Card(
            "Newest lot",
            newest["name"],
            f"{newest['made_on'] or 'no date'}, {counted(newest['images'], 'image')}",
        ),
    ]
    for cause, effect in moved[:2]:
        number, _ = split_text(effect.change)
        span = for_page(f"from {effect.at[0]} to {effect.at[1]} of {effect.factor}")
        cards.append(Card(cause.series.name, number, span))
    return cards


def _sureness(effect: Effect) -> float:
    """How far a change is from none, in its own standard uncertainties."""
    return abs(effect.change.value or 0.0) / max(effect.change.standard_uncertainty or 0.0, 1e-300)


def _alarm_section(monitors: Sequence[Monitor], alarms: list[Any]) -> Section:
    section = Section("Alarms", open=True)
    if not alarms:
        section.texts.append("No lot breaks a rule." if monitors else "Too few lots for a chart.")
    else:
        rows = [
            [alarm.label, m.series.name, for_page(f"{m.series.values[alarm.index]:.4g} {m.series.unit}".strip()),
             alarm.reason, alarm.grade]
            for m, alarm in sorted(alarms, key=lambda item: (item[1].grade != "process", -item[1].index))
        ]  # fmt: skip
        section.tables.append(
            Table(
                ["lot", "quantity", "value", "rule", "grade"],
                rows[:40],
                "\u201cMay be the measurement\u201d: gone if the images' own uncertainty were twice as large; "
                "measure more images.",
            )
        )
    for m in monitors[:1]:
        section.texts.append(m.run_length.sentence)
    return section


def _chart_section(m: Monitor) -> Section:
    title = f"{display_name(m.series.quantity).replace('_', ' ')} of {m.series.phase}"
    section = Section(title, open=True)
    phase = m.chart.phase
    count = len(phase.labels)
    section.texts.append(
        for_page(
            f"Centre {phase.centre}. Standard deviation of the process, the measurement's taken off: "
            f"{phase.process_sd}; of a "
            f"usual lot's measurement: {phase.u_typical:.3g}."
        )
    )
    section.notes.extend(for_page(note) for note in m.notes if not note.startswith("Phase I is not frozen"))
    where = 0 if m.series.points["bridged"].any() else count
    section.drawings.append(
        Drawing(
            run_chart(m.chart, m.series.name, m.series.unit, where),
            "Each lot with its 95 % interval; shaded: its own limits. Red ring: alarm of the process; amber: may "
            "be the "
            "measurement. Dotted: end of phase I.",
        )
    )
    return section


def _cause_sections(found: Sequence[Causes]) -> list[Section]:
    shown = [c for c in found if c.effects]
    if not shown:
        return []
    section = Section("What goes with what", open=True)
    notes: dict[str, None] = {}
    for cause in shown:
        rows = [
            [
                effect.factor, for_page(f"{effect.at[0]} to {effect.at[1]}"), split_text(effect.change)[0], effect.form,
                effect.verdict, ", ".join(effect.aliased or effect.confounded) or "-",
                "-" if not effect.more_lots else str(effect.more_lots),
            ]
            for effect in cause.effects
        ]  # fmt: skip
        header = ["factor", "from, to", "change", "form", "verdict", "goes with", "lots wanting"]
        caption = f"{cause.series.name}: {counted(cause.fit.lots, 'lot')}, {counted(cause.images, 'image')}"
        section.tables.append(Table(header, rows, caption))
        notes.update(dict.fromkeys(for_page(note) for note in cause.notes))
        drawn = [e for e in cause.effects if e.verdict == "moves" and cause.design.index(e.factor)] or [
            e for e in cause.effects if cause.design.index(e.factor)
        ]
        for effect in drawn[:2]:
            section.drawings.append(
                Drawing(factor_plot(cause, effect), for_page(effect.sentence(cause.series.name)))
            )
    section.texts.extend(list(notes)[:8])
    return [section]


def _cell_sections(ledger: Ledger, names: Sequence[str]) -> list[Section]:
    metrics = list(dict.fromkeys(cell_metrics(ledger)["metric"]))
    if not metrics:
        return []
    section = Section("To the cell")
    for metric in metrics[:3]:
        for name in names[:2]:
            try:
                found = regress(ledger, metric, name)
            except InputError as error:
                section.notes.append(str(error))
                continue
            line = (float(found.intercept.value or 0), float(found.slope.value or 0))
            section.drawings.append(
                Drawing(
                    regression_plot(found.x, found.y, (found.x_u, found.y_u), line, (name, metric)),
                    for_page(found.sentence),
                )
            )
    section.notes = list(dict.fromkeys(section.notes))[:3]
    return [section]


def _lot_section(ledger: Ledger, lots: Sequence[dict[str, Any]], names: Sequence[str]) -> Section:
    section = Section("Lots side by side")
    estimates: dict[str, dict[str, Any]] = {name: {} for name in names}
    rows = []
    for lot in lots:
        numbers, _ = lot_estimates(ledger, lot["name"])
        cells = []
        for name in names:
            quantity, _, phase = name.partition("/")
            estimate = numbers.get((quantity, phase))
            if estimate is not None:
                estimates[name][lot["name"]] = estimate
            cells.append("-" if estimate is None else split_text(estimate)[0])
        rows.append([lot["name"], lot["made_on"] or "-", str(lot["images"]), *cells])
    caption = f"The last {counted(len(lots), 'lot')}; intervals: 95 %"
    section.tables.append(Table(["lot", "date", "images", *names], rows, caption))
    for name in names[:4]:
        unit = next((e.unit for e in estimates[name].values()), "")
        if estimates[name]:
            section.drawings.append(
                Drawing(side_by_side(estimates[name], name, unit), f"{name}, 95 % intervals.")
            )
    return section


def _picture_sections(ledger: Ledger, lots: Sequence[dict[str, Any]]) -> list[Section]:
    names = [lot["name"] for lot in lots]
    a = t.analyses.c
    query = (
        sa.select(t.lots.c.name, a.picture)
        .join_from(t.analyses, t.places)
        .join(t.lots)
        .where(t.lots.c.name.in_(names), a.picture.is_not(None), a.superseded_at.is_(None))
        .order_by(a.id)
    )
    with ledger.database.reading() as connection:
        pictures = {row.name: row.picture for row in connection.execute(query)}
    if not pictures:
        return []
    section = Section("A typical section of each lot")
    for name in reversed(names):
        if name in pictures:
            data = base64.b64encode(pictures[name]).decode("ascii")
            section.pictures.append(Picture(f"data:image/webp;base64,{data}", f"Lot {name}"))
    return [section]


def _system_section(ledger: Ledger, names: Sequence[str]) -> Section:
    section = Section("Measuring systems")
    rows = []
    for name in names[:1]:
        for mark, (facts, count) in system_names(ledger, name).items():
            text = "; ".join(f"{key} {value}" for key, value in facts.items() if value is not None)
            rows.append([mark[:8], str(count), text])
    section.tables.append(
        Table(
            ["system", "analyses", "what it is"],
            rows,
            f"What {names[0]} hangs on; series of two systems need a bridge",
        )
    )
    section.texts.append(f"The ledger keeps its changes by: {ledger.database.journal()}.")
    return section


def _log_section(ledger: Ledger) -> Section:
    events = ledger.events()
    rows = [
        [event["at"], event["who"], event["event"],
         ", ".join(f"{key} {value}" for key, value in event["facts"].items() if value and "sha256" not in key)]
        for event in events[-15:][::-1]
    ]  # fmt: skip
    section = Section("Log")
    section.tables.append(
        Table(["when", "who", "what", "of"], rows, f"The last of {counted(len(events), 'event')}")
    )
    return section


__all__ = ["headline_names", "write_lots_report"]
