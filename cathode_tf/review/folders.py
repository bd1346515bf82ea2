"""A folder of this computer in, what the page shows of it out: the micrographs in it, and what their files say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cathode_tf.errors import InputError
from cathode_tf.imaging import find_images
from cathode_tf.imaging.rasters import SUFFIXES, open_raster
from cathode_tf.imaging.vendors import read_metadata
from cathode_tf.rounds.choices import odd_ones

_RESULTS = ("_mask", "_label", "_labels", "_overlay", "_margin", "_entropy", "_seg")


def folder_table(folder: Path) -> list[dict[str, Any]]:
    """A row for each image file of a folder, from its header alone.

    Returns:
        `path`, `name`, `bytes`; `width`, `height`, `dtype`, `slices`; `pixel_size_nm`, `pixel_size_source`, `vendor`,
        `kV`, `detector`, `date` where they are stated; `use` (whether it is a micrograph), `note` (why not, or what
        is odd about it).
    """
    paths = find_images(folder)
    stems = {path.stem for path in paths}
    rows = [_row(path, stems) for path in paths]
    used = [row for row in rows if row["use"]]
    for what, words in (("pixel_size_nm", "pixel size"), ("size", "size"), ("dtype", "number type")):
        for row, odd in zip(used, odd_ones([row[what] for row in used]), strict=True):
            if odd:
                row["note"] = f"{row['note']}, " * bool(row["note"]) + f"another {words} than most"
                row["odd"].append(what)
    return rows


def _row(path: Path, stems: set[str]) -> dict[str, Any]:
    row: dict[str, Any] = {"path": path, "name": path.name, "use": True, "note": "", "odd": []}
    row |= {"bytes": path.stat().st_size, "size": None, "dtype": None, "slices": 1}
    row |= dict.fromkeys(("pixel_size_nm", "pixel_size_source", "vendor", "kV", "detector", "date"))
    of = next((path.stem.removesuffix(end) for end in _RESULTS if path.stem.endswith(end)), None)
    if of in stems:
        return row | {"use": False, "note": f"left out: a mask or picture of {of}"}
    try:
        with open_raster(path) as raster:
            metadata = read_metadata(raster)
            row["size"], row["slices"] = (raster.width, raster.height), raster.count
            # Files of other formats than TIFF are read as they say, nearly always 8 bit.
            row["dtype"] = str(raster.tiff.pages[0].dtype) if raster.tiff is not None else "uint8"
    except InputError as error:
        return row | {"use": False, "note": str(error).removeprefix(f"{path}: ")}
    row |= {name: metadata.acquisition.get(name) for name in ("vendor", "kV", "detector", "date")}
    size = metadata.pixel_size_nm
    row |= {"pixel_size_nm": size, "pixel_size_source": metadata.source}
    return row


def subfolders(place: Path) -> dict[str, Any]:
    """The folders in a folder, how many images each level holds, and which is a project.

    Raises:
        InputError: If it cannot be read.
    """
    place = place.expanduser().resolve()
    try:
        entries = sorted(
            (p for p in place.iterdir() if not p.name.startswith(".")), key=lambda p: p.name.lower()
        )
        inside = [p for p in entries if _is_folder(p)]
        images = sum(p.suffix.lower() in SUFFIXES for p in entries)
    except OSError as error:
        raise InputError(f"{place}: cannot be read ({error.strerror}).") from error
    parent = str(place.parent) if place.parent != place else None
    return {
        "path": str(place),
        "parent": parent,
        "images": images,
        "project": (place / "project.json").is_file(),
        "folders": [{"name": p.name, "path": str(p)} for p in inside[:500]],
    }


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False
