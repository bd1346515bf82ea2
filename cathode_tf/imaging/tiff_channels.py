"""An open TIFF in; whether its pages and planes are slices of a stack, or the channels of one place, out."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.words import some

MOST_CHANNELS = 32
"""More than detectors and elements give; programs that do not ask for axes call slices channels, too."""


def warn_of_names(pages: list[Any], path: Path) -> None:
    """Slices have one name and their numbers; detectors, channels and phases have names of their own."""
    names = [name for page in pages if (name := _page_name(page))]
    kinds = list(dict.fromkeys(re.sub(r"[\d\W_]+", "", name).lower() for name in names))
    if len(pages) > 1 and len(names) == len(pages) and len(kinds) > 1:
        warnings.warn(
            f"{path}: its pages are called {some(list(dict.fromkeys(names)))}, and are taken for slices of a stack. If "
            "they show one place, save each as a file of its own.",
            InputWarning,
            stacklevel=2,
        )


def _page_name(page: Any) -> str:
    """What a page is called (tag 285), or the detector that Thermo's tags state."""
    tag = page.tags.get(285)
    if tag is not None:
        return str(tag.value).strip()
    fields = next((tag.value for code in (34682, 34680) if (tag := page.tags.get(code))), None)
    detectors = fields.get("Detectors") if isinstance(fields, Mapping) else None
    return str(detectors.get("Name") or "") if isinstance(detectors, Mapping) else ""


def refuse_channels(tiff: Any, path: Path) -> None:
    """Slices of a stack are neighbours; the channels of one image, each a page too, are not."""
    if not (tiff.flags & {"ome", "imagej", "shaped", "lsm", "micromanager", "mmstack", "ndtiff"}):
        return
    try:
        series = list(tiff.series)
        axes, shape = str(series[0].axes), series[0].shape
        sizes = dict(zip(axes, shape, strict=True))
    except Exception:  # what describes the pages is damaged; the pages themselves are not
        return
    if tiff.is_ome and len([s for s in series if s.shape == shape]) > 1:
        raise InputError(
            f"must hold one image. Received an OME-TIFF of {len(series)} images. Save each as a file of its own."
        )
    if max(sizes.get("Z", 1), sizes.get("T", 1)) == 1:
        _refuse_few_channels(sizes.get("C", 1), f"axes {axes}", path)
    elif sizes.get("C", 1) > 1:
        raise _too_many_channels(sizes["C"], f"axes {axes}")
    if sizes.get("Z", 1) > 1 and sizes.get("T", 1) > 1:
        raise InputError(
            f"must hold one stack. Received {sizes['T']} of {sizes['Z']} slices (axes {axes}). Save each as a file."
        )
    if sizes.get("T", 1) > 1:
        warnings.warn(
            f"{path}: its {sizes['T']} frames, which follow in time by its axes {axes}, are taken for slices of a "
            "stack. If they show one place, save each as a file of its own.",
            InputWarning,
            stacklevel=2,
        )


def _refuse_few_channels(count: int, where: str, path: Path) -> None:
    """Raise where a file has channels; so many that no microscope has them are slices, which is said."""
    if count > MOST_CHANNELS:
        warnings.warn(
            f"{path}: its {count} channels ({where}) are taken for slices of a stack, as no microscope has so many.",
            InputWarning,
            stacklevel=2,
        )
    elif count > 1:
        raise _too_many_channels(count, where)


def warn_of_planes(count: int, path: Path) -> None:
    """Say it where one page holds several planes, which some programs make of slices, and others of channels."""
    warnings.warn(
        f"{path}: the {count} planes of its page are taken for slices of a stack. If they are channels, which show one "
        "place, save each as a file of its own; if they are slices, a page for each says so.",
        InputWarning,
        stacklevel=2,
    )


def _too_many_channels(count: int, where: str) -> InputError:
    return InputError(
        f"must hold one channel. Received {count} ({where}), which show one place and are no slices. Save each as a "
        "file of its own; if they are slices, save them as pages, or say so: in ImageJ, Image > Properties, channels 1."
    )
