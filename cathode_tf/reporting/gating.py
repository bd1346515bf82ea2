"""A batch's `summary.json` and a file of specifications in, a decision for each and one verdict out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cathode_tf.analysis.worth import worth_of
from cathode_tf.errors import InputError
from cathode_tf.files import read_json
from cathode_tf.reporting.page import Card, Page, Section, Table, write_page
from cathode_tf.reporting.tables import for_page, split_text
from cathode_tf.statistics import Decision, Estimate, Spec, decide
from cathode_tf.texts import read_toml

WORST_FIRST = ("FAIL", "CONDITIONAL_FAIL", "INSUFFICIENT", "CONDITIONAL_PASS", "PASS")
COLORS = dict(zip(WORST_FIRST, ("#b3261e", "#d9822b", "#8a8f98", "#5aa469", "#1b7f3b"), strict=True))


@dataclass(frozen=True)
class Gate:
    """What the specifications say about a batch.

    Attributes:
        decisions: One a specification, in the order of the file.
        masks: What the masks are, in one sentence.
        checked: Whether anybody, or a test of their kind, vouches for the masks.
    """

    decisions: tuple[Decision, ...]
    masks: str = ""
    checked: bool = True

    @property
    def verdict(self) -> str:
        """The worst verdict of all: a batch is as good as its worst quantity."""
        return min((decision.verdict for decision in self.decisions), key=WORST_FIRST.index)

    @property
    def accepted(self) -> bool:
        """Whether every quantity passed, surely or conditionally."""
        return all(decision.accepted for decision in self.decisions)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        decisions = [decision.to_dict() for decision in self.decisions]
        masks = {"sentence": self.masks, "checked": self.checked}
        return {
            "masks": masks,
            "verdict": self.verdict,
            "accepted": self.accepted,
            "decisions": decisions,
        }


def read_specs(path: str | Path) -> list[Spec]:
    """The specifications of a TOML file with one `[[spec]]` table each.

    Args:
        path: Each table holds `name` (`"fraction/pore"`), `lower` and/or `upper`, `unit`, and optionally `rule`,
            `max_pfa`, `method` and `bias`, as `Spec` explains them.

    Raises:
        InputError: If the file cannot be read or a table is wrong.
    """
    path = Path(path)
    tables = read_toml(path).get("spec")
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise InputError(
            f"{path}: must hold at least one [[spec]] table with name and limits. Received none."
        )
    specs = []
    for table in tables:
        wrong = [key for key in ("lower", "upper", "max_pfa", "bias") if not _is_number(table.get(key, 0))]
        if wrong:
            raise InputError(f"{path}: {wrong[0]} must be a number. Received {table[wrong[0]]!r}.")
        wrong = [key for key in ("name", "unit", "rule", "method") if not isinstance(table.get(key, ""), str)]
        if wrong:
            raise InputError(f"{path}: {wrong[0]} must be a text. Received {table[wrong[0]]!r}.")
        try:
            specs.append(Spec.from_dict(table))
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
    return specs


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def gate(analysis: str | Path, specs: Sequence[Spec], *, unchecked: bool = False) -> Gate:
    """Hold a batch against specifications.

    Args:
        analysis: Folder that `analyze` wrote, or its `summary.json`.
        specs: What the batch must keep to.
        unchecked: Decide by masks that nobody, and no test of their kind, vouches for.

    Returns:
        The decisions; a quantity without an interval, or with too wide a one, is INSUFFICIENT, never a pass.

    Raises:
        InputError: If the analysis lacks a quantity that a specification names, or its masks are unchecked and
            `unchecked` is not set.
    """
    path = Path(analysis)
    path = path / "summary.json" if path.is_dir() else path
    content = read_json(path)
    summary = content.get("summary") if isinstance(content, dict) else None
    if not isinstance(summary, dict):
        raise InputError(f"{path}: must be the summary.json that `cathode-tf analyze` writes.")
    sentence, checked = worth_of(content)
    if not checked and not unchecked:
        raise InputError(
            f"{path}: must rest on checked masks for a verdict. Received: {sentence} Check them in ten minutes "
            "(cathode-tf verify), or decide by them as they are with --unchecked."
        )
    decisions = []
    for spec in specs:
        quantity, _, name = spec.name.partition("/")
        if name not in summary.get(quantity, {}):
            known = ", ".join(f"{q}/{n}" for q in summary for n in summary[q])
            raise InputError(f"{path}: has no {spec.name}. It has {known}.")
        try:
            estimate = Estimate.from_dict(summary[quantity][name])
        except (AttributeError, TypeError, ValueError) as error:
            raise InputError(f"{path}: must be the summary.json that analyze wrote ({error}).") from error
        decisions.append(decide(estimate, spec))
    return Gate(tuple(decisions), sentence, checked)


def write_gate_report(result: Gate, path: str | Path, *, title: str = "Gate", force: bool = False) -> Path:
    """Write the decisions as one HTML page."""
    rows = []
    for decision in result.decisions:
        p = "unknown" if decision.p_conform is None else f"{100 * decision.p_conform:.1f} %"
        number, basis = split_text(decision.estimate)
        limits = for_page(decision.spec.text)
        rows.append([decision.spec.name, _words(decision.verdict), number, basis, limits, p])
    header = ["quantity", "decision", "measured", "rests on", "must be", "probability of conformity"]
    sections = [
        Section("Decisions", tables=[Table(header, rows)], open=True),
        Section(
            "In words", texts=[for_page(f"{decision.sentence}.") for decision in result.decisions], open=True
        ),
    ]
    cards = [
        Card(name, verdict.capitalize(), f"{number}; must be {limits}", color=COLORS[decision.verdict])
        for decision, (name, verdict, number, _, limits, _) in zip(result.decisions, rows, strict=True)
    ]
    lead = f"{_words(result.verdict).capitalize()}: the worst of {len(rows)} decisions."
    page = Page(title, lead, cards, sections=sections, masks=result.masks, checked=result.checked)
    return write_page(page, path, force=force)


def _words(verdict: str) -> str:
    return verdict.replace("_", " ").lower()
