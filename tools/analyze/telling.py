"""What `cathode-tf analyze` prints of an analysis, and of the phases it found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

CORRECTIONS = {
    "fraction_corrected": "corrected by the test set's error rates",
    "fraction_by_points": "corrected by reference points",
}


def show(analysis) -> None:
    """Print what the masks are, then the headline numbers."""
    from cathode_tf.analysis.likeness import sentence_of
    from cathode_tf.imaging.plausibility import odd_shares

    click.echo(analysis.worth.sentence)
    if analysis.families:
        click.echo(sentence_of(analysis.families))
    shares = {name: each.value or 0.0 for name, each in analysis.summary["fraction"].items()}
    for doubt in odd_shares(shares, analysis.phases):
        click.echo(f"Look again: {doubt}.")
    if analysis.pixel_size_nm is None and not analysis.mixed:
        click.echo("Pixel size unknown: lengths are in pixels (give --pixel-size-nm for micrometres).")
    corrected = any(analysis.summary.get(quantity) for quantity in CORRECTIONS)
    for name, estimate in analysis.summary["fraction"].items():
        click.echo(f"{name} fraction{', as the masks have it' if corrected else ''}: {estimate}")
    for quantity, words in CORRECTIONS.items():
        for name, estimate in analysis.summary.get(quantity, {}).items():
            click.echo(f"{name} fraction, {words}: {estimate}")
    for name, estimate in analysis.summary.get("x50_3", {}).items():
        click.echo(f"{name} D50 (volume): {estimate}")
    for name, estimate in analysis.summary.get("crack_length_density", {}).items():
        click.echo(f"{name} crack length per area: {estimate}")
    for quantity in ("porosity_total", "porosity_gravimetric", "porosity_difference"):
        for estimate in analysis.summary.get(quantity, {}).values():
            agreement = estimate.flags.get("AGREEMENT")
            click.echo(f"{quantity.replace('_', ' ')}: {estimate}{f'; {agreement}' if agreement else ''}")
    for row in analysis.planning:
        if row["need"] is not None:
            click.echo(row["sentence"])


def read_phases(masks: Sequence[Path], given: Path | None):
    """The phases of the masks; where nobody named their file, it says which one it took."""
    from cathode_tf.imaging.phase_files import phases_beside

    phases, source = phases_beside(masks, given)
    if given is None:
        click.echo(f"Phases of {source}: {phases.describe()}.")
    return phases


def without_pictures(paths: list[Path]) -> list[Path]:
    """The masks among what `segment` wrote; what else lies there is told."""
    from cathode_tf.inference.batches import pictures_among
    from cathode_tf.words import counted, some

    pictures = pictures_among(paths)
    if pictures:
        names = some([path.name for path in pictures])
        click.echo(f"Left out {counted(len(pictures), 'picture')} beside the masks: {names}.")
    return [path for path in paths if path not in set(pictures)]
