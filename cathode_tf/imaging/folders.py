"""Paths a user gives in, sorted lists of images, and images with their masks out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from cathode_tf.errors import InputError
from cathode_tf.imaging.rasters import SUFFIXES


def natural_key(path: str | Path) -> tuple:
    """Sort key by which `slice_2` stands before `slice_10`.

    Example:
        >>> sorted(["slice_10", "slice_2"], key=natural_key)
        ['slice_2', 'slice_10']
    """
    parts = re.split(r"(\d+)", str(path))
    return tuple((int(p), p) if p.isdigit() and p.isascii() else (-1, p) for p in parts)


def find_images(paths: str | Path | Iterable[str | Path]) -> list[Path]:
    """Image files, in natural order; folders stand for the images directly in them.

    Args:
        paths: A file, a folder, or several. Files given by name are taken whatever their suffix;
            in folders only image suffixes count, and hidden files do not.

    Raises:
        InputError: If a path does not exist, or a folder holds no image.
    """
    given = [paths] if isinstance(paths, (str, Path)) else list(paths)
    if not given:
        raise InputError("images: must name at least one file or folder. Received none.")
    found: list[Path] = []
    for path in map(Path, given):
        if path.is_dir():
            inside = [
                p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")
            ]
            inside = [p for p in inside if p.is_file()]
            if not inside:
                raise InputError(f"{path}: must hold images ({', '.join(SUFFIXES)}). Received none.")
            found += sorted(inside, key=lambda p: natural_key(p.name))
        elif path.is_file():
            found.append(path)
        else:
            raise InputError(f"{path}: does not exist.")
    return list(dict.fromkeys(found))


def match_masks(
    images: Sequence[Path], masks: str | Path | None = None, suffix: str = "_mask"
) -> list[tuple[Path, Path | None]]:
    """Each image with the annotation file of the same stem, or None where there is none.

    Args:
        images: From `find_images`. With `masks=None` images and masks may lie in one folder: files whose
            stem ends in `suffix` are then masks, not images.
        masks: Folder of the masks; their stems may carry `suffix` or not. None: beside each image.
        suffix: What the stem of a mask has behind the stem of its image.

    Raises:
        InputError: If a mask has no image, or two files could be the mask of one image.
    """
    if masks is None:
        if not suffix:
            raise InputError("--mask-suffix: must not be empty where images and masks lie in one folder.")
        annotations = [p for p in images if p.stem.endswith(suffix)]
        images = [p for p in images if not p.stem.endswith(suffix)]
        folders = sorted({p.parent for p in images} | {p.parent for p in annotations})
        extra = [p for folder in folders for p in _annotations(folder) if p.stem.endswith(suffix)]
        candidates = list(dict.fromkeys(annotations + extra))
    else:
        folder = Path(masks)
        if not folder.is_dir():
            raise InputError(f"{folder}: must be the folder of the masks. Received no folder.")
        candidates = _annotations(folder)
        if not candidates:
            raise InputError(f"{folder}: must hold masks. Received none.")
    by_stem: dict[str, list[Path]] = {}
    for candidate in candidates:
        by_stem.setdefault(candidate.stem, []).append(candidate)
    pairs, used = [], set()
    for image in images:
        stems = (image.stem + suffix,) if masks is None else (image.stem + suffix, image.stem)
        # The same stem in one's own folder is the image itself.
        matches = [m for stem in dict.fromkeys(stems) for m in by_stem.get(stem, ()) if m != image]
        if masks is None:
            matches = [m for m in matches if m.parent == image.parent]
        if len(matches) > 1:
            raise InputError(
                f"{image}: must have one mask. Received {', '.join(m.name for m in matches)}. "
                "Remove the others."
            )
        used.update(matches)
        pairs.append((image, matches[0] if matches else None))
    orphans = [m for m in candidates if m not in used and m not in set(images)]
    if orphans:
        raise InputError(
            f"{orphans[0]}: must have an image of the same stem (without {suffix!r}). Received none"
            + (f", nor have {len(orphans) - 1} other masks." if len(orphans) > 1 else ".")
        )
    return pairs


def _annotations(folder: Path) -> list[Path]:
    inside = [
        p for p in folder.iterdir() if p.suffix.lower() in (*SUFFIXES, ".json") and not p.name.startswith(".")
    ]
    return sorted((p for p in inside if p.is_file()), key=lambda p: natural_key(p.name))
