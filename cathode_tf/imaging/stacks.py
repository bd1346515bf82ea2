"""The masks of a stack in (many pages, a file a slice, or a file that lists slices), the mask of each slice out.

Often only some slices of a stack are annotated. Those that are not give None, and whoever asks leaves them out.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.imaging.annotations import annotated_images, is_text, read_annotation
from cathode_tf.imaging.databar import fit_mask_to_cut
from cathode_tf.imaging.masks import to_mask
from cathode_tf.imaging.micrographs import Micrograph
from cathode_tf.imaging.rasters import RasterFile, open_raster
from cathode_tf.imaging.vectors import file_name, without_upload_prefix
from cathode_tf.phases import IGNORE, Phases

SLICE = "{slice}"
"""Stands in the name of an annotation file for the number of the slice: `stack_z{slice}.png`."""

MaskOf = Callable[[Micrograph], np.ndarray | None]


@contextlib.contextmanager
def open_stack_masks(
    path: str | Path, stem: str, slices: int, phases: Phases, *, max_megapixels: float
) -> Iterator[MaskOf]:
    """A function that gives the mask of each slice, uint8 (height, width) ids; None where nothing is labelled.

    Args:
        path: A stack of masks with a page for each slice; `stack_z{slice}.png` with `{slice}` literally, for a file
            of any format for each annotated slice; or an annotation file that lists `stack_z0003.png` and others.
        stem: Of the stack's own file.
        slices: How many slices the stack has.
        phases: Names, ids, and the values that stand for them.
        max_megapixels: Files that declare more are refused before they are decoded.

    Raises:
        InputError: If there is another number of pages, or a file for a slice that the stack has not.
    """
    path = Path(path)
    if SLICE in path.name:
        yield _from_files(path, stem, slices, phases, max_megapixels)
    elif is_text(path):
        yield _from_list(path, stem, slices, phases, max_megapixels)
    else:
        with open_raster(path, max_megapixels=max_megapixels) as pages:
            if pages.count != slices:
                raise InputError(
                    f"{path}: must have a page for each of the {slices} slices of {stem}. Received {pages.count} "
                    f"pages. If only some are annotated, write a file for each of these: {stem}_z0003.png."
                )
            yield _from_pages(pages, phases)


def _from_pages(pages: RasterFile, phases: Phases) -> MaskOf:
    def mask_of(micrograph: Micrograph) -> np.ndarray | None:
        mask = to_mask(pages.read(micrograph.acquisition["slice_index"]), phases, pages.path)
        rows = micrograph.acquisition.get("databar_rows", 0)
        return _labelled(fit_mask_to_cut(mask, _shape(micrograph), rows, str(pages.path)))

    return mask_of


def _from_files(template: Path, stem: str, slices: int, phases: Phases, max_megapixels: float) -> MaskOf:
    files = _numbered(template, phases)
    _check_numbers(files, stem, slices, template)

    def mask_of(micrograph: Micrograph) -> np.ndarray | None:
        file = files.get(micrograph.acquisition["slice_index"])
        return None if file is None else _read(file, micrograph, phases, None, max_megapixels)

    return mask_of


def _from_list(path: Path, stem: str, slices: int, phases: Phases, max_megapixels: float) -> MaskOf:
    names = {}
    for listed in annotated_images(path):
        name = without_upload_prefix(file_name(listed))
        number = slice_number(Path(name).stem, stem)
        if number is not None:
            names[number] = name
    _check_numbers(names, stem, slices, path)

    def mask_of(micrograph: Micrograph) -> np.ndarray | None:
        name = names.get(micrograph.acquisition["slice_index"])
        return None if name is None else _read(path, micrograph, phases, name, max_megapixels)

    return mask_of


def slice_number(name: str, stem: str) -> int | None:
    """3 of `stack_z0003`, whatever the zeros, if `stem` is `stack`.

    Example:
        >>> slice_number("stack_z0003", "stack")
        3
    """
    found = re.fullmatch(rf"{re.escape(stem)}_z(\d+)", name)
    return int(found[1]) if found else None


def _numbered(template: Path, phases: Phases) -> dict[int, Path]:
    """The files that a template stands for, by slice; of binary masks of one phase each, their own template."""
    pattern = re.escape(template.name).replace(re.escape(SLICE), r"(\d+)")
    pattern = pattern.replace(re.escape("{phase}"), "(?:" + "|".join(map(re.escape, phases.names)) + ")")
    found = {}
    for file in template.parent.iterdir():
        match = re.fullmatch(pattern, file.name)
        if match:
            found[int(match[1])] = template.with_name(template.name.replace(SLICE, match[1]))
    return found


def _check_numbers(found: Collection[int], stem: str, slices: int, source: Path) -> None:
    if found and max(found) >= slices:
        raise InputError(
            f"{source}: must annotate slices of {stem}, 0 to {slices - 1}. Received slice {max(found)}."
        )


def _read(
    path: Path, micrograph: Micrograph, phases: Phases, image_name: str | None, max_megapixels: float
) -> np.ndarray | None:
    mask = read_annotation(
        path,
        phases,
        shape=_shape(micrograph),
        image_name=image_name,
        databar_rows=micrograph.acquisition.get("databar_rows", 0),
        max_megapixels=max_megapixels,
    )
    return _labelled(mask)


def _shape(micrograph: Micrograph) -> tuple[int, int]:
    return micrograph.height, micrograph.width


def _labelled(mask: np.ndarray) -> np.ndarray | None:
    return None if (mask == IGNORE).all() else mask
