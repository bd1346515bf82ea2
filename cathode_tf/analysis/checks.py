"""Masks in a folder in; the random points that somebody labels on them, kept beside the masks, out.

`verified.json` holds the points, the answers so far and the hashes of the masks they were drawn from: who stops goes on
where he was, and `analyze` takes what was found from there, as long as the masks are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from cathode_tf.analysis.image import PORE_BACK, Settings, merge_pore_back, merges, without_pore_back
from cathode_tf.errors import InputError
from cathode_tf.files import pixel_sha256, read_json, write_json
from cathode_tf.imaging import read_mask
from cathode_tf.phases import Phases
from cathode_tf.statistics.verification import (
    CANNOT_TELL,
    COLUMNS,
    Strata,
    Verification,
    draw_points,
    expected_half_width,
    is_more_worth_it,
    verify_masks,
)

FILE = "verified.json"
ASK_AGAIN = 50
"""After so many points it is told whether more are worth it, and again after each as many."""


class Checks:
    """The points of the masks in a folder, with the answers so far.

    Args:
        folder: Of the masks.
        content: Of `verified.json`.

    Attributes:
        folder: Of the masks.
        phases: That can be answered.
        table: A row a point, `statistics.verification.COLUMNS`.
        strata: What they were drawn from.
        by: Who answered last.
    """

    def __init__(self, folder: Path, content: Mapping[str, Any]) -> None:
        self.folder = folder
        try:
            self.phases = Phases.from_list(content["phases"])
            self.strata = Strata.from_dict(content["strata"])
            self.table = pd.DataFrame(content["points"], columns=list(COLUMNS))
            self.masks: dict[str, str] = dict(content["masks"])
            self.by, self.seed = str(content.get("by", "")), int(content["seed"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{folder / FILE}: must be what cathode-tf verify wrote. Received another file ({error}). Move it away."
            ) from error

    @property
    def labelled(self) -> int:
        """How many points have an answer."""
        return int((self.table["reference"] != "").sum())

    def answer(self, point: int, reference: str, by: str = "") -> None:
        """Keep an answer, a phase or `"?"`, or take one back (`""`); it is on the disk when this returns.

        Raises:
            InputError: If there is no such point or phase.
        """
        if not 0 <= point < len(self.table):
            raise InputError(f"point: must be 0 to {len(self.table) - 1}. Received {point}.")
        if reference not in (*self.phases.names, CANNOT_TELL, ""):
            known = ", ".join(self.phases.names)
            raise InputError(
                f"answer: must be {known}, or {CANNOT_TELL} (cannot tell). Received {reference!r}."
            )
        self.table.loc[point, "reference"] = reference
        self.by = by or self.by
        self.write()

    def write(self) -> Path:
        """Write `verified.json`."""
        content = {
            "phases": self.phases.to_list(),
            "strata": self.strata.to_dict(),
            "masks": self.masks,
            "by": self.by,
            "seed": self.seed,
            "points": [
                [getattr(row, name) for name in COLUMNS] for row in self.table.itertuples(index=False)
            ],
        }
        return write_json(self.folder / FILE, content, force=True)

    def result(self) -> Verification | None:
        """What the answers say so far; None of fewer than 20."""
        return verify_masks(self.table, self.strata, by=self.by) if self.labelled >= 20 else None

    @property
    def headline(self) -> str:
        """The phase that is told of: the pores, or else the first."""
        return next(iter(self.phases.with_role("pore")), self.phases.names[0])

    @property
    def promise(self) -> str:
        """What the points will give, before any is labelled."""
        half = 100 * expected_half_width(self.strata, len(self.table))
        return (
            f"With {len(self.table)} points the share of a phase, {self.headline} for one, will be known to about "
            f"{half:.1f} points of percentage either way, if the masks are as right as masks mostly are."
        )

    @property
    def advice(self) -> str:
        """Whether more points are worth it; empty before 50 are labelled."""
        found = self.result() if self.labelled >= ASK_AGAIN else None
        return "" if found is None else is_more_worth_it(found, self.headline)


def verify(masks: Sequence[Path], phases: Phases, *, points: int = 150, seed: int = 0) -> Checks:
    """The points of these masks: those that lie beside them, or new ones.

    Args:
        masks: Files, all in one folder.
        phases: Of the masks; `pore_back` is counted as pore.
        points: How many to draw, where there are none yet.
        seed: Another seed draws other points.

    Raises:
        InputError: If the masks lie in several folders, or have changed since their points were drawn.
    """
    folders = {path.parent for path in masks}
    if len(folders) != 1:
        raise InputError(
            f"masks: must lie in one folder, in which the answers are kept. Received {len(folders)}."
        )
    folder = folders.pop()
    read, hashes, margins = {}, {}, {}
    for path in masks:
        mask = read_mask(path, phases)
        hashes[path.name] = pixel_sha256(mask)
        read[path.stem] = merge_pore_back(mask, phases)[0] if merges(phases, Settings()) else mask
        margin = path.with_name(f"{path.stem.removesuffix('_mask')}_margin.png")
        seen = cv2.imread(str(margin), cv2.IMREAD_UNCHANGED) if margin.exists() else None
        if isinstance(seen, np.ndarray) and seen.shape == mask.shape:
            margins[path.stem] = seen
    if (folder / FILE).exists():
        checks = Checks(folder, read_json(folder / FILE))
        if checks.masks != hashes:
            changed = sorted(set(checks.masks.items()) ^ set(hashes.items()))[0][0]
            raise InputError(
                f"{folder / FILE}: must belong to these masks. {changed} is another one, or was not among them. Move "
                f"the file away to draw new points, or give the masks it was made with."
            )
        return checks
    left = without_pore_back(phases) if PORE_BACK in phases and merges(phases, Settings()) else phases
    table, strata = draw_points(read, left, points, margins=margins, seed=seed)
    checks = Checks(
        folder,
        {
            "phases": left.to_list(),
            "strata": strata.to_dict(),
            "masks": hashes,
            "seed": seed,
            "points": table[list(COLUMNS)].to_numpy().tolist(),
        },
    )
    checks.write()
    return checks


def verification_beside(masks: Sequence[Path], hashes: Mapping[str, str]) -> tuple[Verification | None, str]:
    """What labelled points beside the masks found, and why they cannot be used, if so.

    Args:
        masks: The files of a batch, in the order of its images.
        hashes: SHA-256 of the pixels of each, by file name.
    """
    places = {path.parent / FILE for path in masks}
    there = [place for place in places if place.exists()]
    if not there:
        return None, ""
    if len(places) > 1:
        return None, f"{there[0]}: is left out, as the masks lie in {len(places)} folders."
    checks = Checks(there[0].parent, read_json(there[0]))
    if checks.masks != dict(hashes):
        return None, f"{there[0]}: is left out, as its points were drawn on other masks, or on more or fewer."
    found = checks.result()
    if found is None:
        return None, f"{there[0]}: is left out, as fewer than 20 points are labelled ({checks.labelled})."
    return found, ""
