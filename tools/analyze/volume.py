"""`cathode-tf analyze --volume`: a label volume in; its folder and the headline out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click


def measure_volume(
    path: Path, phases, voxel_size_nm, neck_depth: float | None, tortuosity: bool, out: Path, force: bool
) -> None:
    """Measure a label volume, write its folder, print the headline."""
    from cathode_tf.analysis.worth import Worth
    from cathode_tf.files import atomic_folder
    from cathode_tf.imaging.stories import stories_beside
    from cathode_tf.imaging.volumes import trust_beside
    from cathode_tf.reporting import write_volume_report
    from cathode_tf.volumes import Trust, analyze_volume, open_volume

    worth = Worth((path.stem,), {path.stem: stories_beside([path])[0]})
    options: dict[str, Any] = {} if neck_depth is None else {"neck_depth": neck_depth}
    with open_volume(path, phases, voxel_size_nm=voxel_size_nm) as volume:
        analysis = analyze_volume(volume, tortuosity=tortuosity, **options)
    found = trust_beside(path)
    trust = None if found is None else Trust.from_dict(found)
    # Plausible masks are not drawn in three dimensions: numbers of a model's labels say that their error is unknown.
    told = {quantity: worth.tell(estimates) for quantity, estimates in analysis.summary.items()}
    analysis = replace(analysis, summary=told, masks=worth.to_dict())
    with atomic_folder(out, force=force) as folder:
        analysis.write(folder)
        write_volume_report(analysis, folder / "report.html", worth=worth, trust=trust)
    click.echo(worth.sentence)
    if analysis.voxel_size_nm is None:
        click.echo("Voxel size unknown: lengths are in voxel edges (give --voxel-size-nm for micrometres).")
    for quantity in ("fraction", "surface_density", "local_thickness", "x50_3", "tortuosity_factor"):
        for name, estimate in analysis.summary.get(quantity, {}).items():
            click.echo(f"{quantity} {name}: {estimate}")
    click.echo(f"Wrote instances.csv, instances.parquet, report.html, summary.json to {out}.")
