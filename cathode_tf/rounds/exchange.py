"""Annotations to and from other editors: Label Studio, LabelMe, napari, plain PNG.

Masks of a project go out beside their images; files that people corrected elsewhere come back as accepted masks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.files import atomic_file, atomic_folder, write_json
from cathode_tf.imaging.stories import Story, write_stories
from cathode_tf.phases import IGNORE
from cathode_tf.progress import track
from cathode_tf.rounds.annotations import record_review
from cathode_tf.rounds.project import Project
from cathode_tf.rounds.state import ImageState
from cathode_tf.texts import composed

FORMATS = ("label-studio", "labelme", "napari", "png")
_SUFFIX = {"label-studio": ".json", "labelme": ".json", "napari": ".tif", "png": ".png"}


def export_masks(
    project: Project, out: str | Path, *, format: str = "png", what: str = "all", force: bool = False
) -> Path:
    """Write images and masks for another editor: `images/`, `masks/`, `phases.toml`.

    Raster formats (png, napari, label-studio's RLE) come back pixel-exact; LabelMe's polygons follow
    pixel edges and do so too, as long as nobody moves them.

    Args:
        project: The project.
        out: Folder to make.
        format: One of `FORMATS`.
        what: `"accepted"`, `"proposals"` (waiting for review) or `"all"`.
        force: Replace `out`.

    Raises:
        InputError: If the format is unknown or there is nothing to write.
    """
    if format not in FORMATS:
        raise InputError(f"--format: must be one of {', '.join(FORMATS)}. Received {format!r}.")
    statuses = {"accepted": ("accepted",), "proposals": ("proposed", "skipped")}.get(what)
    images = [i for i in project.state.images.values() if statuses is None or i.status in statuses]
    images = [i for i in images if i.mask or i.proposal]
    if not images:
        raise InputError(f"{project.path}: holds no mask to export ({what}). Annotate or propose first.")
    names = _file_names(project)
    with atomic_folder(out, force=force) as folder:
        tasks, stories = [], {}
        for image in track(images, "Exporting", total=len(images)):
            mask = project.starting_mask(image)
            name = f"{names[image.key]}.png"
            target = folder / "images" / name
            with atomic_file(target) as temporary:
                temporary.write_bytes((project.path / image.path).read_bytes())
            path = folder / "masks" / f"{names[image.key]}{_SUFFIX[format]}"
            _write_one(path, mask, project, format, name)
            stories[path.name] = story_of(project, image)
            if format == "label-studio":
                tasks.append(path)
        (folder / "phases.toml").write_text(project.phases.to_toml(), encoding="utf-8")
        write_stories(folder / "masks", stories)
        (folder / "masks" / "phases.toml").write_text(project.phases.to_toml(), encoding="utf-8")
        if tasks:
            _join_tasks(tasks, folder / "tasks.json")
    return Path(out)


def image_facts(project: Project, image: ImageState) -> dict[str, Any]:
    """What a story of a mask tells of its image."""
    return {
        "path": str((project.path / image.path).absolute()),
        "shape": [image.height, image.width],
        "pixel_size_nm": image.pixel_size_nm,
        "pixel_size_source": image.pixel_size_source,
        "acquisition": image.acquisition,
    }


def story_of(project: Project, image: ImageState) -> Story:
    """Who made the mask of an image, the accepted one or else the proposal, and how much of the proposal changed."""
    facts = image_facts(project, image)
    record = {"project": project.state.name, "key": image.key, "round": image.mask_round}
    if image.mask is None:
        model = {"path": f"{project.state.name} {(image.proposal or {}).get('model')}"}
        return Story("model", model=model, image=facts, record=record)
    origin = "corrected" if image.origin == "corrected" else "human"
    reviews = [r for r in project.state.reviews if r["key"] == image.key and r["decision"] == "accept"]
    changes = reviews[-1].get("pixels_changed") if reviews else None
    changed = _share_changed(changes, image.height * image.width) if origin == "corrected" else None
    return Story(origin, by=image.annotator, changed=changed, image=facts, record=record)


def _share_changed(changes: object, size: int) -> float | None:
    """Share of the pixels that a review changed: each was gained by one phase."""
    if not isinstance(changes, dict):
        return None
    return sum(each["gained"] for each in changes.values()) / size


def _file_names(project: Project) -> dict[str, str]:
    """By key, the name of an image in other editors; images of one name carry a part of their key, too."""
    images = project.state.images.values()
    count = Counter(image.name.casefold() for image in images)
    return {i.key: i.name if count[i.name.casefold()] == 1 else f"{i.name}-{i.key[:8]}" for i in images}


def _write_one(path: Path, mask: np.ndarray, project: Project, format: str, image_name: str) -> None:
    from cathode_tf.imaging import write_annotation

    if format == "napari":
        import tifffile

        # napari paints 0 as "nothing"; a mask of ids shows as label n = id n, and 255 as ignored.
        with atomic_file(path) as temporary:
            tifffile.imwrite(temporary, mask, compression="zlib")
        return
    kind = {"png": "indexed", "labelme": "labelme", "label-studio": "label-studio"}[format]
    write_annotation(path, mask, project.phases, format=kind, image_name=image_name)


def _join_tasks(paths: Sequence[Path], out: Path) -> None:
    """Label Studio imports one file with all tasks."""
    from cathode_tf.files import read_json

    write_json(out, [task for path in paths for task in read_json(path)])


def import_masks(
    project: Project, source: str | Path, *, who: str | None = None, minutes: float = 0.0
) -> list[ImageState]:
    """Accept masks that were made or corrected elsewhere, matched to images by name.

    All files are read and checked before the first is accepted.

    Args:
        project: The project.
        source: Folder of annotation files (any format of `read_annotation`), or one file for several images.
        who: Who made them; default: the user of this process.
        minutes: Time spent on all of them together.

    Returns:
        The images that got a new mask; files equal to the accepted mask change nothing.

    Raises:
        InputError: If no file belongs to an image of the project, or one cannot be used.
    """
    found = _matches(project, Path(source))
    if not found:
        raise InputError(
            f"{source}: must hold annotations of images of this project, with their names "
            f"({', '.join(i.name for i in list(project.state.images.values())[:3])} ...). Received none."
        )
    masks: list[tuple[ImageState, np.ndarray]] = []
    names = _file_names(project)
    for image, path in track(found, "Reading masks", total=len(found)):
        mask = _read(path, project, image, f"{names[image.key]}.png")
        before = project.mask(image)
        if before is None or not np.array_equal(before, mask):
            masks.append((image, mask))
    for image, mask in masks:
        record_review(project, image.key, "accept", mask=mask, who=who, minutes=minutes / len(masks))
    return [project.state.images[image.key] for image, _ in masks]


def _matches(project: Project, source: Path) -> list[tuple[ImageState, Path]]:
    from cathode_tf.imaging import match_masks

    names = _file_names(project)
    images = {name: project.state.images[key] for key, name in names.items()}
    if not source.exists():
        raise InputError(f"{source}: must be a folder or file of annotations. There is none.")
    folder = source / "masks" if (source / "masks").is_dir() else source
    if folder.is_dir():
        # Only what belongs to this project; other files in the folder are no concern of ours.
        files = [p for p in sorted(folder.iterdir()) if p.is_file() and not p.name.startswith(".")]
        direct = [(images[s], p) for p in files if (s := composed(p.stem).removesuffix("_mask")) in images]
        if direct:
            return direct
    pairs = match_masks([Path(f"{name}.png") for name in images], folder, phases=project.phases)
    return [(images[image.name.removesuffix(".png")], mask) for image, mask in pairs if mask is not None]


def _read(path: Path, project: Project, image: ImageState, image_name: str) -> np.ndarray:
    from cathode_tf.imaging import read_annotation
    from cathode_tf.rounds.annotations import check_annotation

    shape = (image.height, image.width)
    if path.suffix.lower() in (".tif", ".tiff"):
        mask = _read_napari(path, project)
    else:
        mask = read_annotation(path, project.phases, shape=shape, image_name=image_name)
    check_annotation(mask, shape, project.phases, str(path))
    return mask


def _read_napari(path: Path, project: Project) -> np.ndarray:
    """A label TIFF of ids in any integer type, as napari saves a layer; other TIFFs by phases.toml's values."""
    from cathode_tf.imaging import read_annotation
    from cathode_tf.imaging.rasters import open_raster

    with open_raster(path) as raster:
        labels = raster.read(0).samples if raster.count == 1 and raster.page is not None else np.empty(0)
    ids = [*project.phases.ids, IGNORE]
    if labels.ndim == 2 and np.issubdtype(labels.dtype, np.integer) and np.isin(labels, ids).all():
        return labels.astype(np.uint8)
    return read_annotation(path, project.phases)
