"""The numbers of a batch: its masks in, `batches/NAME/analysis` with tables, figures and a report out.

The random points that somebody labelled on them (`points`) say in the report what the masks are worth.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.files import atomic_folder
from cathode_tf.imaging.draws import Draws, draws_beside, read_draws
from cathode_tf.imaging.label_images import read_labels
from cathode_tf.imaging.stories import MODEL, Story, micrograph_of, stories_beside
from cathode_tf.inference.ledger import labels_beside
from cathode_tf.progress import tell
from cathode_tf.review.batch import batch_folder, read_batch
from cathode_tf.review.forecast import measuring_seconds
from cathode_tf.rounds import Project
from cathode_tf.rounds.project import read_png

SHOWN = 6
"""So many images are drawn in a report."""


def report_on(project: Project, name: str) -> dict[str, Any]:
    """Analyse the masks of a batch and write tables, figures and a report beside them.

    Where the images have several pixel sizes, lengths are told of each size by itself, in a folder of its own.

    Raises:
        InputError: If there are no masks.
    """
    from cathode_tf.analysis import analyze
    from cathode_tf.analysis.checks import verification_beside
    from cathode_tf.inference.batches import several_sizes
    from cathode_tf.reporting import write_by_magnification, write_report

    folder = batch_folder(project, name)
    rows = [row for row in read_batch(project, name) if row["mask"]]
    if not rows:
        raise InputError("report: needs masks. Received none. Segment all images first (Apply).")
    rows.sort(key=lambda row: row["name"])
    paths = {_label(row): folder / row["mask"] for row in rows}
    stories = dict(zip(paths, stories_beside(list(paths.values())), strict=True))
    sizes = {_label(row): row["pixel_size_nm"] for row in rows}
    mixed = several_sizes(sizes.values())
    size, source = (None, "") if mixed else _size_of_all(project, sizes)
    phases = project.phases
    shown: dict[str, np.ndarray] = {}
    pictures: dict[str, np.ndarray] = {}

    def each() -> Iterator[tuple[str, np.ndarray, np.ndarray | None, np.ndarray | None, Draws | None]]:
        for row in _told(rows, [measuring_seconds(folder / row["mask"]) for row in rows]):
            label = _label(row)
            mask = read_mask_at(paths[label])
            if len(shown) < SHOWN:
                shown[label] = mask
                pixels = micrograph_at(project, row, stories[label], mask.shape)
                if pixels is not None:
                    pictures[label] = pixels
            yield label, mask, None, _labels_of(paths[label]), _draws_of(paths[label], stories[label])

    groups = {_label(row): row["group"] for row in rows if row["group"]}
    grouped = groups if 1 < len(set(groups.values())) < len(rows) else None
    analysis = analyze(each(), phases, pixel_size_nm=size, groups=grouped)
    files = {label: str(path.absolute()) for label, path in paths.items()}
    analysis = replace(analysis, pixel_size_source=source, stories=stories, mask_files=files, mixed=mixed)
    hashes = {paths[image.name].name: image.sha256 for image in analysis.images}
    found, why_not = verification_beside(list(paths.values()), hashes)
    if why_not:
        warnings.warn(why_not, InputWarning, stacklevel=2)
    if found is not None:  # the points know masks by their files, the report by their images
        found = replace(found, images=tuple(name.removesuffix("_mask") for name in found.images))
    analysis = replace(analysis, verification=found)
    tell("Drawing", 0, 1)
    title = project.state.name if name == "project" else f"{project.state.name}: {name}"
    with atomic_folder(folder / "analysis", force=True) as out:
        analysis.write_into(out)
        write_workbook(analysis, out / "tables.xlsx")
        figures = out / "figures"
        write_report(
            analysis, out / "report.html", masks=shown, micrographs=pictures, title=title, figures=figures
        )
        again = lambda: (  # noqa: E731
            (label, read_mask_at(path), None, _labels_of(path), _draws_of(path, stories[label]))
            for label, path in paths.items()
        )
        write_by_magnification(analysis, again, sizes, out)
    tell("Drawing", 1, 1)
    # As the report has them: corrected by labelled points, where there are any.
    told = analysis.summary.get("fraction_by_points") or analysis.summary["fraction"]
    fractions = {phase: str(value) for phase, value in told.items()}
    return {"batch": name, "fractions": fractions, "images": len(rows), "worth": analysis.worth.sentence}


def _told(rows: list[dict[str, Any]], seconds: list[float]) -> Iterator[dict[str, Any]]:
    """The rows, while it is told how far the work is: by what each takes, as plausible masks take the most."""
    began, done = time.monotonic(), 0.0
    tell("Measuring", 0.0, 1.0)
    for row, mine in zip(rows, seconds, strict=True):
        yield row
        done += mine
        share = min(1.0, done / sum(seconds))
        tell("Measuring", share, 1.0, left_s=(time.monotonic() - began) * (1 / share - 1))


def _labels_of(mask: Path) -> np.ndarray | None:
    """The particles that lie beside a mask."""
    beside = labels_beside(mask)
    return None if beside is None else read_labels(beside)


def _draws_of(mask: Path, story: Story | None) -> Draws | None:
    """The plausible masks beside a model's mask; what a person corrected has none."""
    beside = draws_beside(mask) if story is not None and story.origin == MODEL else None
    return None if beside is None else read_draws(beside)


def _label(row: dict[str, Any]) -> str:
    """What an image is called in a report; images of one name carry a part of their key, as their files do."""
    return Path(row["mask"]).stem.removesuffix("_mask")


def _size_of_all(project: Project, sizes: dict[str, float | None]) -> tuple[float | None, str]:
    """Pixel size of the batch and where it is known from; None where that of one image is unknown."""
    known = [size for size in sizes.values() if size]
    if not known:
        return None, ""
    if len(known) < len(sizes):
        missing = [label for label, size in sizes.items() if not size]
        warnings.warn(
            f"{', '.join(missing[:5])}{' ...' * (len(missing) > 5)}: no pixel size is known, so all lengths are in "
            "pixels. Measure the scale bar (Images), and make the report again.",
            InputWarning,
            stacklevel=3,
        )
        return None, ""
    sources = {image.pixel_size_source for image in project.state.images.values() if image.pixel_size_nm}
    return known[0], next(iter(sources)) if len(sources) == 1 else f"{len(sources)} sources"


def micrograph_at(
    project: Project, row: dict[str, Any], story: Any, shape: tuple[int, int]
) -> np.ndarray | None:
    """The micrograph of a row of a batch, (height, width), if it is still where it was."""
    image = project.state.images.get(row["key"])
    return micrograph_of(story, shape) if image is None else project.pixels(image)


def read_mask_at(path: Path) -> np.ndarray:
    """A mask that `Apply` wrote: PNG of palette indices, or a large one's TIFF."""
    from PIL import Image

    if path.suffix.lower() != ".png":
        import tifffile

        return np.asarray(tifffile.imread(path))
    with Image.open(path) as file:
        shape = file.height, file.width
    return read_png(path, shape)


def write_workbook(analysis: Any, path: Path) -> None:
    """The numbers as a workbook: a sheet of estimates, one of images, one of particles and pores."""
    import pandas as pd

    estimates = [
        {
            "quantity": quantity,
            "of": of,
            "value": estimate.value,
            "low": estimate.ci[0] if estimate.ci else None,
            "high": estimate.ci[1] if estimate.ci else None,
            "text": str(estimate),
        }
        for quantity, mine in analysis.summary.items()
        for of, estimate in mine.items()
    ]
    with pd.ExcelWriter(path, engine="openpyxl") as book:
        pd.DataFrame(estimates).to_excel(book, sheet_name="numbers", index=False)
        analysis.per_image.to_excel(book, sheet_name="images", index=False)
        analysis.instances.head(1_000_000).to_excel(book, sheet_name="particles and pores", index=False)
