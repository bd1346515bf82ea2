"""`cathode-tf inspect`: what a record set holds, as a table and a picture."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(name="inspect")
@click.argument("records", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), help="Picture to write; default: RECORDS-inspect.png."
)
@click.option(
    "--images", default=4, show_default=True, type=click.IntRange(1), help="Images drawn of each split."
)
@click.option("--force", is_flag=True, help="Replace an existing picture.")
def command(records: Path, out: Path | None, images: int, force: bool) -> None:
    """Print images, sizes, pixel sizes and phase shares of RECORDS for each split, and draw some.

    \b
    Example:
      cathode-tf inspect records/sample --out sample.png
    """
    from cathode_tf.datasets import open_records
    from cathode_tf.datasets.summary import draw_records, summarize
    from cathode_tf.files import refuse_overwrite
    from cathode_tf.ownership import refuse_inputs

    if out is not None:
        refuse_inputs(out, [records])
        refuse_overwrite(out, force)
    found = open_records(records)
    click.echo(f"{found.path}: version {found.version}, schema {found.metadata['schema']}")
    click.echo(f"Fingerprint: {found.fingerprint}")
    click.echo(f"Split: {_rule(found.metadata['split'])}")
    for row in summarize(found):
        click.echo(f"\n{row['split']}: {row['images']} images in {row['groups']} groups")
        click.echo(f"  size        {_counted(row['sizes'], lambda size: f'{size[1]} x {size[0]} px')}")
        click.echo(f"  pixel size  {_counted(row['pixel_sizes_nm'], _nanometres)}")
        shares = ", ".join(f"{name} {share:.1%}" for name, share in row["fractions"].items())
        click.echo(f"  phases      {shares}; {row['ignored_fraction']:.1%} of all pixels ignored")
    path = out or records.resolve().parent / f"{records.resolve().name}-inspect.png"
    if out is None and path.exists() and not force:
        click.echo(f"\n{path} is there already; --force draws it anew.")
        return
    draw_records(found, path, images_per_split=images, force=force)
    click.echo(f"\nWrote {path}")


def _rule(rule: dict) -> str:
    if "ratios" not in rule:
        return rule["rule"]
    shares = "/".join(f"{100 * share:g}" for share in rule["ratios"].values())
    return f"{rule['rule']}, {shares}, seed {rule['seed']}"


def _nanometres(size: float | None) -> str:
    return "unknown" if size is None else f"{size:.6g} nm"


def _counted(counter, text) -> str:
    """The most frequent values with how often they occur."""
    parts = [f"{text(value)} ({count})" for value, count in counter.most_common(4)]
    return ", ".join(parts) + (f", and {len(counter) - 4} others" if len(counter) > 4 else "")
