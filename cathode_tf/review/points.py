"""The random points of a batch, labelled on the page: a batch in, points with their micrographs out.

They lie in `verified.json` beside the masks, as `cathode-tf verify` keeps them, and the report takes them from there.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from cathode_tf.analysis.checks import FILE, Checks, verify
from cathode_tf.errors import InputError
from cathode_tf.files import read_json
from cathode_tf.imaging import display
from cathode_tf.imaging.stories import stories_beside
from cathode_tf.review.batch import batch_folder, read_batch
from cathode_tf.review.report import micrograph_at, read_mask_at
from cathode_tf.review.verify import Points
from cathode_tf.rounds import Project

LEAST, MOST = 20, 2000


class BatchPoints:
    """The points of the batches of one project; each is read once, and kept while the page is open.

    Args:
        project: The project.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self._open: dict[str, tuple[float, Points]] = {}

    def draw(self, batch: str, count: int, *, again: bool = False) -> dict[str, Any]:
        """Points for a batch that has none; those that were drawn on other masks are set aside, not thrown away.

        Args:
            batch: Its name.
            count: How many points.
            again: Set aside those that there are, and draw others.

        Raises:
            InputError: If there is no mask, or `count` is out of range.
        """
        if not LEAST <= count <= MOST:
            raise InputError(f"points: must be {LEAST} to {MOST}. Received {count}.")
        paths = self._paths(batch)
        file = paths[0].parent / FILE
        if again and file.exists():
            file.rename(_free(file))
        before = len(list(file.parent.glob(f"{file.stem}-*{file.suffix}")))
        try:
            verify(paths, self.project.phases, points=count, seed=before)
        except InputError:
            if not file.exists():
                raise
            file.rename(_free(file))  # of masks that were other ones then
            verify(paths, self.project.phases, points=count, seed=before + 1)
        return self.card(batch)

    def card(self, batch: str) -> dict[str, Any]:
        """How many points there are and are answered, and what they say; `of` is 0 where none are drawn."""
        file = batch_folder(self.project, batch) / "masks" / FILE
        if not file.exists():
            return {"of": 0, "labelled": 0, "result": None}
        checks = self.of(batch).checks
        found = checks.result()
        return {
            "of": len(checks.table),
            "labelled": checks.labelled,
            "result": None if found is None else found.sentence,
        }

    def of(self, batch: str) -> Points:
        """The points of a batch.

        Raises:
            InputError: If none are drawn.
        """
        folder = batch_folder(self.project, batch) / "masks"
        file = folder / FILE
        if not file.exists():
            raise InputError(
                "points: none are drawn on these masks yet. Begin with Report, “Check the masks”."
            )
        changed = file.stat().st_mtime
        if batch not in self._open or self._open[batch][0] != changed:
            # The command line may have answered some meanwhile; our own answers change the file, too.
            known = self._open.get(batch)
            grey = known[1].grey if known else lru_cache(maxsize=6)(lambda name: self._grey(batch, name))
            self._open[batch] = (changed, Points(Checks(folder, read_json(file)), grey))
        return self._open[batch][1]

    def _grey(self, batch: str, name: str) -> np.ndarray:
        folder = batch_folder(self.project, batch)
        row = next(
            (r for r in read_batch(self.project, batch) if r["mask"] and Path(r["mask"]).stem == name), None
        )
        if row is None:
            raise InputError(f"{name}: is not among the masks of the batch any more. Draw new points.")
        path = folder / row["mask"]
        mask = read_mask_at(path)
        pixels = micrograph_at(self.project, row, stories_beside([path])[0], mask.shape)
        if pixels is None:
            raise InputError(f"{row['name']}: its micrograph is not where it was. Apply to its folder again.")
        return display(pixels)

    def _paths(self, batch: str) -> list[Path]:
        folder = batch_folder(self.project, batch)
        paths = sorted(folder / row["mask"] for row in read_batch(self.project, batch) if row["mask"])
        if not paths:
            raise InputError("points: need masks. Received none. Segment all images first (Apply).")
        return paths


def _free(file: Path) -> Path:
    number = 1
    while (aside := file.with_name(f"{file.stem}-{number}{file.suffix}")).exists():
        number += 1
    return aside
