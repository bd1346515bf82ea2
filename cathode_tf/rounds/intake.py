"""Image files in, a project that holds them out: each kept once, by the hash of its pixels, on its side for good."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.files import atomic_file, atomic_folder, pixel_sha256, write_json
from cathode_tf.phases import Phases
from cathode_tf.progress import track
from cathode_tf.rounds.annotations import record_review
from cathode_tf.rounds.project import SCHEMA, Project
from cathode_tf.rounds.state import ImageState
from cathode_tf.texts import composed

if TYPE_CHECKING:
    from cathode_tf.imaging import Micrograph


def create_project(
    path: str | Path,
    phases: Phases,
    images: Sequence[str | Path],
    *,
    masks: str | Path | None = None,
    groups: Mapping[str, str] | None = None,
    test_share: float = 0.2,
    seed: int = 0,
    name: str | None = None,
    broken: list[tuple[Path, str]] | None = None,
) -> Project:
    """A new project with these images; a part of them is frozen for testing from the start.

    Test images are drawn once, whole groups at a time, and never trained on, so that every model
    of every round is measured on the same ground.

    Args:
        path: The folder to make.
        phases: What masks of this project mean.
        images: Image files or folders of them.
        masks: Folder of masks that exist already, matched by stem; they count as accepted.
        groups: Group of each image name; default: every image (every stack) is its own group.
        test_share: Share of the images to freeze, 0-0.9; at least one image where it is not 0.
        seed: Draws the test images.
        name: What people call it; default: the folder's name.
        broken: As for `add_images`.

    Raises:
        InputError: If `path` is not empty, there is no image, or one cannot be read.
    """
    if not 0 <= test_share <= 0.9:
        raise InputError(f"test_share: must be 0 to 0.9. Received {test_share}.")
    path = Path(path)
    if path.is_dir() and any(path.iterdir()):
        raise InputError(
            f"{path}: must be a new folder. Received one that holds something. Choose another name; "
            "`cathode-tf rounds add` puts more images into a project."
        )
    with atomic_folder(path, manifest=False) as folder:
        (folder / "phases.toml").write_text(phases.to_toml(), encoding="utf-8")
        name = name or path.resolve().name
        settings = {"schema": SCHEMA, "name": name, "test_share": test_share, "seed": seed}
        write_json(folder / "project.json", settings)
        project = Project(folder)
        project.ledger.append("init", name=name, phases=list(phases.names), test_share=test_share)
        add_images(project, images, masks=masks, groups=groups, broken=broken)
        if not project.state.images:
            raise InputError(f"{path}: needs an image that can be read. Received none: {broken}.")
    return Project(path)


def add_images(
    project: Project,
    images: Sequence[str | Path],
    *,
    masks: str | Path | None = None,
    groups: Mapping[str, str] | None = None,
    broken: list[tuple[Path, str]] | None = None,
) -> list[ImageState]:
    """Copy images into the project; one that it has already (the same pixels) is left out with a warning.

    Where an image is there without a mask and this call gives one, the mask is taken.

    Args:
        project: Where to.
        images: Image files or folders of them.
        masks: Folder of masks that exist already, matched by stem.
        groups: Group of each image name.
        broken: Takes files that cannot be read, and why, instead of an error that ends it all.

    Returns:
        The images that are new.
    """
    from cathode_tf.imaging import find_images, match_masks, read_annotation, read_micrograph

    paths = find_images([Path(p) for p in images])
    pairs: list[tuple[Path, Path | None]] = [(path, None) for path in paths]
    if masks is not None:
        pairs = match_masks(paths, masks, phases=project.phases)
        if not any(mask for _, mask in pairs):
            raise InputError(
                f"{masks}: must hold masks of these images. Received none that goes by their names."
            )
    if masks is not None:
        # Images and masks may lie side by side; a file that serves as a mask is not an image too.
        used = {mask.resolve() for _, mask in pairs if mask is not None}
        pairs = [(image, mask) for image, mask in pairs if image.resolve() not in used]
    entries: list[dict[str, Any]] = []
    found: dict[str, np.ndarray] = {}
    seen: set[str] = set()
    for path, mask_path in track(pairs, "Reading images"):
        try:
            micrographs = read_micrograph(path)
        except InputError as error:
            if broken is None:
                raise
            broken.append((path, str(error)))
            continue
        stack = isinstance(micrographs, list)
        if stack and mask_path is not None:
            raise InputError(f"{mask_path}: masks for stacks must be given slice by slice. Split the stack.")
        for micrograph in micrographs if isinstance(micrographs, list) else [micrographs]:
            key = pixel_sha256(micrograph.pixels)[:16]
            present = project.state.images.get(key)
            # An image that has no mask yet may get one: so a call that was killed in between is made good.
            complete = present is not None and (mask_path is None or present.revisions > 0)
            if key in seen or complete:
                warnings.warn(f"{path}: is in the project already; left out.", InputWarning, stacklevel=2)
                continue
            seen.add(key)
            if mask_path is not None:
                found[key] = read_annotation(
                    mask_path,
                    project.phases,
                    shape=micrograph.pixels.shape,
                    image_name=path.name,
                    databar_rows=int(micrograph.acquisition.get("databar_rows") or 0),
                )
            if present is None:
                _write_png(project.path / "images" / f"{key}.png", micrograph.pixels)
                _keep_strip(project.path / "images" / f"{key}_strip.png", path, micrograph)
                group = (groups or {}).get(micrograph.id) or (composed(path.stem) if stack else micrograph.id)
                entries.append(_entry(key, micrograph, group))
    with project.ledger.locked():
        draw_roles(entries, project.state.images.values(), project.card["test_share"], project.card["seed"])
        for entry in entries:
            project.ledger.append("image", **entry)
    for key, mask in found.items():
        record_review(project, key, "accept", mask=mask, origin="human")
    return [project.state.images[entry["key"]] for entry in entries]


def _entry(key: str, micrograph: Micrograph, group: str) -> dict[str, Any]:
    """What the ledger keeps of an image."""
    return {
        "key": key,
        "name": micrograph.id,
        "group": group,
        "height": micrograph.height,
        "width": micrograph.width,
        "pixel_size_nm": micrograph.pixel_size_nm,
        "pixel_size_source": micrograph.pixel_size_source,
        "acquisition": micrograph.acquisition,
    }


def _keep_strip(out: Path, path: Path, micrograph: Micrograph) -> None:
    """Where the pixel size is unknown, keep the data strip: the scale bar that someone will look for is there."""
    from cathode_tf.imaging import read_micrograph

    rows = int(micrograph.acquisition.get("databar_rows") or 0)
    if micrograph.pixel_size_nm is not None or not rows or "slice_index" in micrograph.acquisition:
        return
    whole = read_micrograph(path, databar="none")
    assert not isinstance(whole, list)
    _write_png(out, whole.pixels[-rows:])


def draw_roles(entries: list[dict[str, Any]], present: Iterable[ImageState], share: float, seed: int) -> None:
    """Set each entry's role: whole groups go to the test side until it holds its share of all images."""
    present = list(present)
    roles = {image.group: image.role for image in present}
    wanted = max(1, round(share * (len(present) + len(entries)))) if share else 0
    wanted -= sum(image.role == "test" for image in present)
    sizes: dict[str, int] = {}
    for entry in entries:
        sizes[entry["group"]] = sizes.get(entry["group"], 0) + 1
    new = [group for group in sizes if group not in roles]
    new.sort(key=lambda group: hashlib.sha256(f"{seed} {group}".encode()).hexdigest())
    # A project whose only group is frozen could never be trained on.
    keep_one = bool(new) and not any(role == "pool" for role in roles.values())
    for place, group in enumerate(new):
        last = keep_one and place == len(new) - 1 and "test" in roles.values()
        alone = keep_one and len(new) == 1
        # A group that would overshoot by more than it fills is left to the pool.
        fits = wanted > 0 and sizes[group] <= 2 * wanted and not (last or alone)
        roles[group] = "test" if fits else "pool"
        wanted -= sizes[group] if fits else 0
    for entry in entries:
        entry["role"] = roles[entry["group"]]


def _write_png(path: Path, pixels: np.ndarray) -> None:
    import cv2

    if path.exists():  # named by its content, so it is this one
        return
    with atomic_file(path) as temporary:
        ok, data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 2])
        if not ok:
            raise InputError(f"{path}: cannot be encoded as PNG ({pixels.dtype}, {pixels.shape}).")
        temporary.write_bytes(data.tobytes())
