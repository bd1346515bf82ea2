"""Paths a user gives in, sorted lists of images, and images with their masks out."""

from __future__ import annotations

import glob
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.imaging.rasters import SUFFIXES
from cathode_tf.imaging.strangers import MICROSCOPES, known_strangers
from cathode_tf.phases import Phases
from cathode_tf.texts import composed
from cathode_tf.words import counted, some


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
            inside = _files(path, SUFFIXES)
            if not inside:
                others = known_strangers(_others(path))
                but = f", but {'; '.join(others)}" if others else _in_subfolders(path)
                raise InputError(f"{path}: must hold images ({', '.join(SUFFIXES)}). Received none{but}.")
            _warn_of_strangers(path, [p for p in _others(path) if p.suffix.lower() in MICROSCOPES])
            found += inside
        elif path.is_file():
            found.append(path)
        elif matching := _matching(path):
            found += matching
        else:
            raise InputError(f"{path}: does not exist.")
    return list(dict.fromkeys(found))


def match_masks(
    images: Sequence[Path],
    masks: str | Path | None = None,
    suffix: str = "_mask",
    *,
    phases: Phases | None = None,
) -> list[tuple[Path, Path | None]]:
    """Each image with its annotation file, for `read_annotation`, or None where there is none.

    A file belongs to the image of the same stem, with or without `suffix`; a COCO, VIA, CVAT or Label Studio file
    to the images it lists; files of the stem followed by `_<phase>` are binary masks of one phase each, and those
    of the stem followed by `_z0003` are masks of single slices of a stack: these are returned as one path, with
    `{phase}` or `{slice}` in its name.

    Args:
        images: From `find_images`. With `masks=None`, images and masks lie in one folder: files whose stem
            ends in `suffix` are then masks, not images, and so are binary masks.
        masks: Folder of the annotations, or one file that annotates all images. None: beside the images.
        suffix: What the stem of a mask has behind the stem of its image.
        phases: Needed to recognise binary masks.

    Raises:
        InputError: If a mask has no image, or two files could be the mask of one image.
    """
    if masks is None:
        return _match_beside(images, suffix, phases)
    place = Path(masks)
    if place.is_file():
        pairs = _match_lists(images, [place])
        if not pairs:
            raise InputError(
                f"{place}: must list at least one of the {len(images)} images. It lists none of them."
            )
        return [(image, pairs.get(image)) for image in images]
    if not place.is_dir():
        raise InputError(
            f"{place}: must be the folder of the masks, or one annotation file. It does not exist."
        )
    if {image.parent.resolve() for image in images} == {place.resolve()}:
        return _match_beside(images, suffix, phases)
    candidates = _files(place, (*SUFFIXES, *_TEXTS))
    if not candidates:
        others = known_strangers(_others(place))
        raise InputError(
            f"{place}: must hold masks. Received none{', but ' + '; '.join(others) if others else ''}."
        )
    _warn_of_strangers(place, _others(place))
    return _match(images, candidates, (suffix, ""), phases)


def _matching(path: Path) -> list[Path]:
    """Files that a pattern such as `nano/*.tif` names; the shells of Windows hand it on as it was typed."""
    if not glob.has_magic(str(path)):
        return []
    matching = sorted((Path(name) for name in glob.glob(str(path))), key=natural_key)
    if not matching:
        raise InputError(f"{path}: must name files by this pattern. Received none that fits.")
    return [file for file in matching if file.is_file()]


def suggest_suffix(images: Sequence[Path]) -> str:
    """A sentence that names the suffix of the masks, where most of these files come in pairs; else ""."""
    stems = {_stem(path) for path in images}
    tails = Counter(
        stem[len(own) :]
        for stem in stems
        for own in (stem[:end] for end in range(1, len(stem)) if re.match(r"[^\w]|_", stem[end]))
        if own in stems and not stem[len(own) + 1 :].isdigit()
    )
    tail, count = max(tails.items(), key=lambda item: (item[1], item[0]), default=("", 0))
    if 4 * count <= len(stems):  # half of the files are in pairs
        return ""
    return f"Most names come in pairs NAME / NAME{tail}: give --mask-suffix {tail}."


def _match_beside(
    images: Sequence[Path], suffix: str, phases: Phases | None
) -> list[tuple[Path, Path | None]]:
    if not suffix:
        raise InputError("--mask-suffix: must not be empty where images and masks lie in one folder.")
    stems = {_stem(p) for p in images}
    parts = {p: _split_phase(_stem(p), phases) for p in images}
    masks = [p for p in images if _stem(p).endswith(suffix) or (parts[p][1] and parts[p][0] in stems)]
    given, taken = set(images), set(masks)
    images = [p for p in images if p not in taken]
    stems = {_stem(p) for p in images}
    for folder in sorted({p.parent for p in images}):
        # Who gives one image of a folder does not ask for the masks of the others.
        others = {_stem(p) for p in _files(folder, SUFFIXES) if p not in given}
        # LabelMe writes slice.json beside slice.png; other JSON files are none of our business.
        masks += [
            p
            for p in _files(folder, (*SUFFIXES, *_TEXTS))
            if (_stem(p).endswith(suffix) and _stem(p).removesuffix(suffix) not in others)
            or (p.suffix.lower() in _TEXTS and (_stem(p) in stems or _SLICE.sub("", _stem(p)) in stems))
        ]
    return _match(images, list(dict.fromkeys(masks)), (suffix, ""), phases)


def _match(
    images: Sequence[Path], candidates: list[Path], suffixes: tuple[str, ...], phases: Phases | None
) -> list[tuple[Path, Path | None]]:
    image_set, image_stems = set(images), {_stem(image) for image in images}
    by_stem: dict[str, list[Path]] = {}
    members: dict[Path, list[Path]] = {}
    for candidate in candidates:
        stem, name = _template(candidate, image_stems, suffixes, phases)
        file = candidate.with_name(name)
        members.setdefault(file, []).append(candidate)
        if file not in by_stem.setdefault(stem, []):
            by_stem[stem].append(file)
    pairs: list[tuple[Path, Path | None]] = []
    used: set[Path] = set()
    for image in images:
        stems = dict.fromkeys(_stem(image) + suffix for suffix in suffixes)
        matches = [m for stem in stems for m in by_stem.get(stem, ()) if m != image]
        if len({m.parent for m in matches}) > 1:
            matches = [m for m in matches if m.parent == image.parent] or matches
        if len(matches) > 1:
            raise InputError(
                f"{image}: must have one mask. Received {', '.join(m.name for m in matches)}. Remove the others."
            )
        used.update(member for m in matches for member in members[m])
        pairs.append((image, matches[0] if matches else None))
    orphans = [m for m in candidates if m not in used and m not in image_set]
    lists = [m for m in orphans if m.suffix.lower() in _TEXTS]
    if lists:
        bare = [image for image, mask in pairs if mask is None]
        listed = _match_lists(bare, lists, images)
        pairs = [(image, mask or listed.get(image)) for image, mask in pairs]
        listing = set(listed.values())
        orphans = [m for m in orphans if m not in listing]
    if orphans:
        others = f", nor have {len(orphans) - 1} other masks" if len(orphans) > 1 else ""
        raise InputError(
            f"{orphans[0]}: must have an image of the same stem (without {suffixes[0]!r}). Received none{others}."
        )
    return pairs


def _match_lists(
    images: Sequence[Path], lists: list[Path], elsewhere: Sequence[Path] = ()
) -> dict[Path, Path]:
    """Images and the one file of several that lists each; what the files name beside them is told.

    Args:
        images: Those that have no mask yet.
        lists: Annotation files.
        elsewhere: Images that have one, and may be listed all the same.
    """
    from cathode_tf.imaging.annotations import annotated_images
    from cathode_tf.imaging.vectors import file_name, without_upload_prefix

    found: dict[Path, Path] = {}
    for path in lists:
        names = {composed(file_name(name)) for name in annotated_images(path)}
        by_stem = {
            name: {Path(short).stem for short in (name, without_upload_prefix(name))} for name in names
        }
        for name, stems in by_stem.items():
            by_stem[name] = stems | {_SLICE.sub("", stem) for stem in stems}  # slices of a stack
        stems = set().union(*by_stem.values())
        own = {_stem(image) for image in (*images, *elsewhere)}
        missing = sorted((name for name, spelled in by_stem.items() if not spelled & own), key=natural_key)
        if missing and len(missing) < len(names):
            warnings.warn(
                f"{path}: names {counted(len(missing), 'image')} of {len(names)} that are not among those given: "
                f"{some(missing)}. Their annotations are left out.",
                InputWarning,
                stacklevel=4,
            )
        for image in images:
            if composed(image.name) in names or _stem(image) in stems:
                if image in found:
                    raise InputError(
                        f"{image}: must be listed in one file. Received {found[image].name} and {path.name}."
                    )
                found[image] = path
    return found


def _template(
    candidate: Path, image_stems: set[str], suffixes: tuple[str, ...], phases: Phases | None
) -> tuple[str, str]:
    """(stem, name) of a mask: with `{phase}` or `{slice}` where several files make up the masks of one image.

    But `slice_ncm.png` and `stack_z0003.png` may also be the masks of images of that very name.
    """
    if _stem(candidate) in image_stems:
        return _stem(candidate), candidate.name
    whole = _stem(candidate)
    stem, phase = _split_phase(whole, phases)
    tail = "_{phase}" if phase else ""

    def spelled(begin: str) -> str:
        """What the file's own name begins with, its accents where they are; what is behind has none."""
        return candidate.stem[: len(candidate.stem) - (len(whole) - len(begin))]

    for suffix in suffixes:
        own = stem.removesuffix(suffix)
        stack = _SLICE.sub("", own)
        if stem.endswith(suffix) and own != stack and stack in image_stems and own not in image_stems:
            return f"{stack}{suffix}", f"{spelled(stack)}_z{{slice}}{suffix}{tail}{candidate.suffix}"
    return stem, f"{spelled(stem)}{tail}{candidate.suffix}"


_SLICE = re.compile(r"_z\d+$")
_TEXTS = (".json", ".xml")


def _stem(path: Path) -> str:
    """The stem by which a file is known: the same for both spellings of an accent."""
    return composed(path.stem)


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """The files with these suffixes directly in a folder, in natural order; hidden ones do not count."""
    try:
        inside = [p for p in folder.iterdir() if p.suffix.lower() in suffixes and not p.name.startswith(".")]
        return sorted((p for p in inside if p.is_file()), key=lambda p: (natural_key(_stem(p)), p.suffix))
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}).") from error


def _warn_of_strangers(folder: Path, files: Sequence[Path]) -> None:
    others = known_strangers(files)
    if others:
        warnings.warn(f"{folder}: left out are {'; '.join(others)}.", InputWarning, stacklevel=3)


def _others(folder: Path) -> list[Path]:
    """The files directly in a folder that are neither images nor texts of annotations."""
    own = (*SUFFIXES, *_TEXTS)
    inside = [p for p in folder.iterdir() if p.suffix.lower() not in own and not p.name.startswith(".")]
    return sorted((p for p in inside if p.is_file()), key=lambda p: natural_key(p.name))


def _in_subfolders(folder: Path) -> str:
    """Which of the folders in a folder hold images, as the end of a sentence; "" where none does."""
    try:
        inside = sorted((p for p in folder.iterdir() if p.is_dir()), key=natural_key)
        names = [p.name for p in inside if not p.name.startswith(".") and _files(p, SUFFIXES)]
    except (OSError, InputError):
        return ""
    if not names:
        return ""
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f" directly in it, but {names[0]}{more} in it holds images: give the folder that is meant"


def _split_phase(stem: str, phases: Phases | None) -> tuple[str, str]:
    """(`slice_07`, `ncm`) of `slice_07_ncm`; (stem, "") where no phase's name ends it."""
    names = sorted(phases.names, key=len, reverse=True) if phases else ()
    name = next((n for n in names if stem.endswith(f"_{n}")), "")
    return (stem[: -len(name) - 1], name) if name else (stem, "")
