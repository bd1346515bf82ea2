"""`cathode-tf trace`: where a number comes from."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("trace", epilog="\b\nExample: cathode-tf trace analysis/b7 fraction/pore --recompute")
@click.argument("summary", type=click.Path(path_type=Path), metavar="REPORT_OR_SUMMARY")
@click.argument("number", required=False)
@click.option(
    "--recompute", is_flag=True, help="Compare the files at hand with their hashes, and measure again."
)
@click.pass_context
def command(ctx: click.Context, summary: Path, number: str | None, recompute: bool) -> None:
    """Print the chain of NUMBER (quantity/phase, as in summary.json), or of a whole batch.

    Exit code 3: something is no longer as it was.
    """
    from cathode_tf.analysis.tracing import trace

    found = trace(summary, number, recompute=recompute)
    for line in found.lines:
        click.echo(line)
    for sentence in found.broken:
        click.echo(f"CHANGED: {sentence}.")
    if recompute:
        changed = len(found.broken)
        click.echo(f"{found.checked} hashes and numbers compared, {changed or 'none'} changed.")
    if found.broken:
        ctx.exit(3)
