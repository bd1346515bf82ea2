"""Plausible masks of one image beside its mask: written and read as one file, `<stem>_draws.tif`.

A network that is unsure does not know one mask, but many that it holds possible. `segment` leaves some of them;
`analyze` measures each like the mask itself, and how far their numbers lie apart is what the mask's error is worth.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from cathode_tf.errors import InputError
from cathode_tf.files import atomic_file

VERSION = "draws/1"


@dataclass(frozen=True)
class Draws:
    """Plausible masks of one image.

    Attributes:
        masks: uint8 (draws, height, width) of phase ids. Draw i of every image leans the same way, so that what a
            model gets wrong in all of them alike does not average out.
        calibration: What is known of the draws (`learning.calibration.Calibration.to_dict`): on how many images the
            probabilities were calibrated, and how far the numbers of draws and truth lay apart there.
        corner: First row and column of the image that they show; of large images it is the middle.
    """

    masks: np.ndarray
    calibration: Mapping[str, Any] = field(default_factory=dict)
    corner: tuple[int, int] = (0, 0)


def write_draws(path: str | Path, draws: Draws, *, force: bool = False) -> Path:
    """Write draws as a compressed TIFF, a page each.

    Raises:
        InputError: If a file exists and `force` is not set.
    """
    about = json.dumps(
        {"version": VERSION, "corner": list(draws.corner), "calibration": dict(draws.calibration)}
    )
    with atomic_file(path, force=force) as temporary:
        tifffile.imwrite(
            temporary,
            draws.masks,
            compression="zlib",
            photometric="minisblack",
            description=about,
            metadata=None,
        )
    return Path(path)


def read_draws(path: str | Path) -> Draws:
    """The draws of a file that `write_draws` wrote.

    Raises:
        InputError: If it is none of these, or damaged.
    """
    try:
        with tifffile.TiffFile(path) as file:
            about = json.loads(file.pages[0].description)  # type: ignore[union-attr]
            if about["version"] != VERSION:
                raise ValueError(f"its version is {about['version']}")
            masks = file.asarray()
    except (OSError, LookupError, TypeError, ValueError, struct.error, tifffile.TiffFileError) as error:
        raise InputError(
            f"{path}: must be plausible masks as segment writes them ({VERSION}). Received another file ({error}). "
            "Move it away, or segment again."
        ) from error
    return Draws(masks.reshape(-1, *masks.shape[-2:]), about["calibration"], tuple(about["corner"]))


def draws_beside(mask: Path) -> Path | None:
    """The draws `<stem>_draws.tif` that lie beside `<stem>_mask.png`, if they do."""
    path = mask.with_name(f"{mask.stem.removesuffix('_mask')}_draws.tif")
    return path if mask.stem.endswith("_mask") and path.is_file() else None
