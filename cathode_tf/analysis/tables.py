"""An analysis in; its tables, and the files they go into, out."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cathode_tf.analysis.image import ImageMeasures
from cathode_tf.analysis.interfaces import boundary_lengths
from cathode_tf.files import atomic_file, write_json
from cathode_tf.particles.fragmentation import parent_estimates
from cathode_tf.statistics.summaries import summary_dict
from cathode_tf.version import __version__

if TYPE_CHECKING:
    from cathode_tf.analysis.batch import Analysis


def plain_values(analysis: Analysis) -> dict[str, Any]:
    """Everything but the instances: what `summary.json` holds."""
    return {
        "masks": analysis.worth.to_dict(),
        "version": __version__,
        "python": platform.python_version(),
        "pixel_size_nm": analysis.pixel_size_nm,
        "pixel_size_source": analysis.pixel_size_source,
        "length_unit": analysis.unit,
        **({"pixel_sizes_nm": list(analysis.mixed)} if analysis.mixed else {}),
        **({"same_place": [list(members) for members in analysis.families]} if analysis.families else {}),
        "phases": analysis.phases.to_list(),
        "settings": vars(analysis.settings),
        "images": [
            {
                "image": image.name,
                "group": image.group,
                "shape": list(image.shape),
                "mask_sha256": image.sha256,
                **({"mask": analysis.mask_files[image.name]} if image.name in analysis.mask_files else {}),
                "separation": image.separation,
            }
            for image in analysis.images
        ],
        "summary": summary_dict(analysis.summary),
        "by_depth": summary_dict(analysis.by_depth),
        "by_image": summary_dict(analysis.by_image),
        "sizes": {name: sizes.to_dict() for name, sizes in analysis.sizes.items()},
        "planning": analysis.planning,
        "by_group": {group: summary_dict(summary) for group, summary in analysis.by_group.items()},
        "per_image": analysis.per_image.to_dict("records"),
        "methods": analysis.methods,
    }


def image_table(analysis: Analysis) -> pd.DataFrame:
    """One row an image: size, known share, fractions, boundary densities, numbers of instances."""
    return pd.DataFrame([_row(image, analysis) for image in analysis.images])


def _row(image: ImageMeasures, analysis: Analysis) -> dict[str, Any]:
    known = int(image.counts.sum())
    scale = 1.0 if analysis.pixel_size_nm is None else 1000 / analysis.pixel_size_nm
    lengths, areas = boundary_lengths([image.intercepts])
    row: dict[str, Any] = {
        "image": image.name,
        "masks": analysis.worth.of(image.name),
        "group": image.group,
        "height_px": image.shape[0],
        "width_px": image.shape[1],
        "known_share": known / (image.shape[0] * image.shape[1]),
    }
    for index, name in enumerate(analysis.phases.names):
        row[f"fraction_{name}"] = image.counts[index] / known
    for index, name in enumerate(analysis.phases.names):
        per_area = lengths[0, index].sum() / areas[0] if areas[0] else np.nan
        row[f"boundary_density_{name}_per_{analysis.unit}"] = per_area * scale
    for name in analysis.batch.instance_phases:
        table = image.instances
        row[f"count_{name}"] = int((table["phase"] == name).sum()) if len(table) else 0
    return row | _cracks_row(image, analysis)


def _cracks_row(image: ImageMeasures, analysis: Analysis) -> dict[str, float | None]:
    """Cracks of one image, named as in the summary; None where it shows no particle."""
    if not len(image.parents.columns):
        return {}
    found = parent_estimates(image.parents, [image.name], analysis.pixel_size_nm)
    particles = "+".join(analysis.phases.with_role("particle"))
    units = {"crack_length_density": f"_per_{analysis.unit}"}
    names = ("crack_length_density", "fragments_per_particle", "cracked_particle_fraction")
    return {f"{name}_{particles}{units.get(name, '')}": found[name].value for name in names}


def write_tables(analysis: Analysis, folder: Path) -> None:
    """Write `summary.json`, `per_image.csv`, `instances.csv` and `instances.parquet` into an existing folder."""
    write_json(folder / "summary.json", plain_values(analysis))
    for name, table in ("per_image", analysis.per_image), ("instances", analysis.instances):
        with atomic_file(folder / f"{name}.csv") as path:
            table.to_csv(path, index=False, float_format="%.6g")
    with atomic_file(folder / "instances.parquet") as path:
        analysis.instances.to_parquet(path, index=False)
