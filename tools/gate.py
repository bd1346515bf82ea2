"""`cathode-tf gate`: an analysis and specifications in, a verdict and an exit code out."""

from __future__ import annotations

from pathlib import Path

import click

EPILOG = """\b
Example: cathode-tf gate analysis/b7 --spec spec.toml

\b
spec.toml:
  [[spec]]
  name = "fraction/pore"   # as in summary.json: quantity/phase
  lower = 0.20
  upper = 0.30
"""


@click.command("gate", epilog=EPILOG)
@click.argument("analysis", type=click.Path(path_type=Path))
@click.option("--spec", "spec_file", required=True, type=click.Path(path_type=Path), help="What must hold.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for gate.json and gate.html.")
@click.option(
    "--unchecked", is_flag=True, help="Decide by masks that nobody, and no test of their kind, vouches for."
)
@click.option("--force", is_flag=True, help="Replace what is in --out.")
@click.pass_context
def command(
    ctx: click.Context, analysis: Path, spec_file: Path, out: Path | None, unchecked: bool, force: bool
) -> None:
    """Decide whether a batch is within a specification, with its uncertainty counted in.

    ANALYSIS is a folder that `analyze` wrote. Exit code 0: every quantity passes (or lies within, if not surely);
    3: one fails, or the data cannot tell.
    """
    from cathode_tf.files import atomic_folder, refuse_overwrite, write_json
    from cathode_tf.ownership import refuse_inputs
    from cathode_tf.reporting.gating import gate, read_specs, write_gate_report

    if out is not None:
        refuse_inputs(out, [analysis, spec_file])
        refuse_overwrite(out, force)
    result = gate(analysis, read_specs(spec_file), unchecked=unchecked)
    click.echo(result.masks)
    for decision in result.decisions:
        click.echo(f"{decision.verdict:17} {decision.sentence}.")
    click.echo(f"Batch: {result.verdict}")
    if out is not None:
        with atomic_folder(out, force=force) as folder:
            write_json(folder / "gate.json", result.to_dict())
            write_gate_report(result, folder / "gate.html", title=f"Gate: {analysis.name}")
        click.echo(f"Wrote {out / 'gate.json'} and {out / 'gate.html'}.")
    if not result.accepted:
        ctx.exit(3)
