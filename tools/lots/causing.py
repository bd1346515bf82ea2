"""`cathode-tf lots causes, next`: which settings a quantity goes with, and which to try."""

from __future__ import annotations

from pathlib import Path

import click

from cathode_tf.tools.lots.group import (
    command,
    force_option,
    ledger_argument,
    opened,
    quantity_argument,
    system_option,
)
from cathode_tf.words import counted


@command.command(epilog="\b\nExample: cathode-tf lots causes plant.db crack_length_density --factor calender")
@ledger_argument
@quantity_argument
@click.option(
    "--factor", "factors", multiple=True, help="Whose effect you want; repeatable; default: all that vary."
)
@click.option(
    "--without", multiple=True, help="Setting to leave out, as thickness after the press; repeatable."
)
@click.option(
    "--form",
    type=click.Choice(["auto", "linear", "quadratic", "exponential"]),
    default="auto",
    show_default=True,
    help="Of the first factor; exponential is the law of calendering, with a limit.",
)
@system_option
@click.option("--out", type=click.Path(path_type=Path), help="Write the effects to this CSV.")
@force_option
def causes(ledger, quantity, factors, without, form, system, out, force) -> None:
    """Tell which settings QUANTITY goes with, by how much, how surely, and what confounds them."""
    from cathode_tf.files import atomic_file
    from cathode_tf.lots.causes import causes as causes_of
    from cathode_tf.lots.units import name_of

    found = causes_of(
        opened(ledger), quantity, factors=[name_of(each) for each in factors],
        without=[name_of(each) for each in without], form=form, system=system,
    )  # fmt: skip
    click.echo(f"{found.series.name}: {counted(found.fit.lots, 'lot')}, {counted(found.images, 'image')}.")
    if factors:
        click.echo(found.answer)
    for effect in found.effects:
        click.echo(effect.sentence(found.series.name))
        for name, estimate in () if effect.law is None else (
            ("limit", effect.law.limit), ("at no load", effect.law.start), ("gamma", effect.law.gamma)
        ):  # fmt: skip
            click.echo(
                f"  {name}: {estimate}{'; ' + next(iter(estimate.flags.values())) if estimate.flags else ''}"
            )
    for note in found.notes:
        click.echo(note)
    if out is not None:
        with atomic_file(out, force=force) as path:
            found.table().to_csv(path, index=False)
        click.echo(f"Wrote {out}.")


@command.command(
    "next", epilog="\b\nExample: cathode-tf lots next plant.db --target fraction/pore=0.30+-0.01"
)
@ledger_argument
@click.option(
    "--target", "targets", multiple=True, required=True, help="fraction/pore=0.30+-0.01, or NAME<0.05."
)
@click.option("--factor", "factors", multiple=True, help="Of the model; default: all that vary.")
@click.option(
    "--vary", multiple=True, help="Which of them can be set; default: all but thickness and loading."
)
def next_command(ledger, targets, factors, vary) -> None:
    """Tell which settings would meet the targets, and which run would teach most."""
    from cathode_tf.lots.trial import Target, next_trial
    from cathode_tf.lots.units import name_of

    wanted = [Target.parse(text) for text in targets]
    names = [name_of(factor) for factor in factors]
    found = next_trial(opened(ledger), wanted, factors=names, vary=[name_of(each) for each in vary])
    click.echo(
        "To meet the targets: " + ", ".join(f"{name} = {value}" for name, value in found.settings.items())
    )
    for name, estimate in found.predictions.items():
        click.echo(f"  {name} would be {estimate}")
    click.echo(
        f"  A lot made so meets {'; '.join(w.text for w in wanted)} with a probability of {found.probability:.0%}."
    )
    click.echo("To learn most: " + ", ".join(f"{name} = {value}" for name, value in found.teach.items()))
    for name, (now, then) in found.narrower.items():
        click.echo(f"  that lot would narrow {name} from +- {now:.3g} to +- {then:.3g}")
    for note in found.notes:
        click.echo(note)
