"""What people say of a project's images beside masks: phases they show, size of a pixel, what belongs together.

A choice comes in, an event of the ledger goes out; what was decided on images already is never changed by it.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.files import atomic_file
from cathode_tf.imaging.micrographs import check_pixel_size
from cathode_tf.phases import Phases
from cathode_tf.rounds.project import Project

COLORS = {
    "pore": "#56b4e9",
    "ncm": "#d55e00",
    "active": "#d55e00",
    "lfp": "#d55e00",
    "particle": "#d55e00",
    "additive": "#f0e442",
    "carbon": "#f0e442",
    "binder": "#009e73",
    "solid_electrolyte": "#cc79a7",
}
"""A phase has the same colour in every project; its role follows from its name, too (`Phases`)."""

PRESETS: dict[str, tuple[str, tuple[str, ...]]] = {
    "ncm": ("NCM cathode, four phases", ("pore", "ncm", "additive", "binder")),
    "three": ("NCM cathode, carbon and binder as one", ("pore", "ncm", "binder")),
    "lfp": ("LFP cathode", ("pore", "lfp", "carbon", "binder")),
    "solid-state": ("Solid-state cathode", ("pore", "ncm", "solid_electrolyte", "carbon")),
    "particles": ("Particles only", ("pore", "particle")),
}
"""For a start: a name for people, and the phases."""

WORDS = {
    "pore": "pores",
    "ncm": "active material (NCM)",
    "lfp": "active material (LFP)",
    "additive": "conductive additive",
    "carbon": "carbon",
    "binder": "binder",
    "particle": "particles",
    "solid_electrolyte": "solid electrolyte",
}
"""What people call a phase; its name is what masks, tables and commands call it."""

LIKE = 0.9
"""Images whose looks are nearer than this, in typical distances, pass for one group."""

COMPARED = 20_000
"""So many pairs of images are compared at most, some milliseconds each: of large projects those that stand side by
side, as slices and tiles of one scan do."""


def phases_named(names: Sequence[str]) -> Phases:
    """Phases of these names with the colours that they have everywhere.

    Example:
        >>> phases_named(["pore", "ncm"]).to_list()[1]["color"]
        '#d55e00'
    """
    tables: list[dict[str, Any]] = []
    for index, name in enumerate(names):
        color = COLORS.get(name.lower())
        tables.append({"name": name, "id": index, **({"color": color} if color else {})})
    return Phases.from_list(tables)


def in_words(name: str, among: Sequence[str]) -> str:
    """What people call a phase of this name; binder without an additive beside it is both.

    Example:
        >>> in_words("binder", ["pore", "ncm", "binder"]), in_words("coating", ["pore", "coating"])
        ('carbon and binder', 'coating')
    """
    if name == "binder" and not {"additive", "carbon"} & set(among):
        return "carbon and binder"
    return WORDS.get(name, name)


def set_phases(project: Project, phases: Phases) -> Project:
    """Give a project other phases, as long as no mask was made in those it has.

    Returns:
        The project as it is then; the one that was given still has the old phases.

    Raises:
        InputError: If there is a mask, a proposal or a model.
    """
    state = project.state
    if any(image.proposal or image.revisions for image in state.images.values()) or state.models:
        raise InputError(
            f"{project.path}: its phases must stay as they are, as there are masks in them. "
            "Switch off those that these images do not show."
        )
    if len(phases) < 2:
        raise InputError(f"phases: must be two at least. Received {phases.describe()}.")
    with project.ledger.locked():
        with atomic_file(project.path / "phases.toml", force=True) as temporary:
            temporary.write_text(phases.to_toml(), encoding="utf-8")
        project.ledger.append("phases", off=[], names=list(phases.names))
    return Project(project.path)


def switch_off(project: Project, names: Sequence[str], *, who: str | None = None) -> None:
    """Leave these phases, and only these, out of proposals and training from now on.

    Masks keep what they show of them. A phase that is not named any more is back.

    Raises:
        InputError: If a name is unknown, or fewer than two phases would be left.
    """
    for name in names:
        project.phases[name]  # raises where there is none
    left = [name for name in project.phases.names if name not in names]
    if len(left) < 2:
        raise InputError(f"phases: two at least must stay switched on. Received {', '.join(left) or 'none'}.")
    if set(names) != set(project.state.off):
        off = [name for name in project.phases.names if name in names]
        project.ledger.append("phases", who=who, off=off)


def set_scale(
    project: Project, keys: Sequence[str], pixel_size_nm: float, source: str, *, who: str | None = None
) -> None:
    """Say how large a pixel of these images is.

    Args:
        project: The project.
        keys: Keys or names of the images.
        pixel_size_nm: Edge of a pixel, nm.
        source: Where that is known from, for the provenance: `"scale bar measured by ann: 213 px = 1 um"`.
        who: Name for the ledger; default: the user of this process.

    Raises:
        InputError: If the size is not above 0, or there is no such image.
    """
    check_pixel_size(pixel_size_nm)
    found = [project.image(key).key for key in keys]
    if not found:
        raise InputError("images: must name at least one. Received none.")
    facts = {"pixel_size_nm": float(f"{pixel_size_nm:.6g}"), "pixel_size_source": source}
    project.ledger.append("scale", who=who, keys=found, **facts)


def groups_by_name(names: Sequence[str]) -> dict[str, str]:
    """Group of each name: what is left without the number at its end.

    Example:
        >>> groups_by_name(["a_01", "a_02", "lone"])
        {'a_01': 'a', 'a_02': 'a', 'lone': 'lone'}
    """
    return {
        name: re.sub(r"[\W_]*(z|slice|img|image)?[\W_]*\d+$", "", name, flags=re.I) or name for name in names
    }


def shared_places(project: Project) -> list[list[str]]:
    """Keys of images that show a part of the same place, those of each place together.

    Overlapping fields, tiles, crops of one image, copies and neighbouring slices. Each image is compared with the
    others that stand near it in the project; in small projects that is every other one.
    """
    from cathode_tf.analysis.likeness import joined
    from cathode_tf.imaging.overlaps import common_scales, same_place, sight_of

    images = list(project.state.images.values())
    scales = common_scales([(i.height, i.width) for i in images], [i.pixel_size_nm for i in images])
    before: deque[tuple[str, Any]] = deque(maxlen=max(8, COMPARED // len(images)))
    pairs = []
    for image, scale in zip(images, scales, strict=True):
        sight = sight_of(project.pixels(image), scale)
        if sight is not None:
            pairs += [(key, image.key) for key, other in before if same_place(other, sight)]
            before.append((image.key, sight))
    return joined([image.key for image in images], pairs)


def groups_by_likeness(project: Project, places: Sequence[Sequence[str]] | None = None) -> dict[str, str]:
    """Group of each key, `A`, `B` ...: images of one place, and such as look alike, as those of an electrode do.

    Args:
        project: The project.
        places: What `shared_places` found, where it was asked already.
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    from cathode_tf.analysis.likeness import joined
    from cathode_tf.rounds.ranking import look_of, standardized_looks

    images = list(project.state.images.values())
    keys = [image.key for image in images]
    together = shared_places(project) if places is None else places
    of_places = [(mine[0], other) for mine in together for other in mine[1:]]
    alike = []
    if len(images) > 2:
        looks = standardized_looks([look_of(project.pixels(image)) for image in images])
        clusters: dict[int, str] = {}
        numbers = fcluster(linkage(looks, "average"), LIKE, "distance").tolist()
        alike = [(clusters.setdefault(number, key), key) for number, key in zip(numbers, keys, strict=True)]
    found = joined(keys, [*of_places, *alike])
    if found and len(found[0]) == len(keys):  # all look alike: then places alone tell them apart
        found = joined(keys, of_places)
    first = {key: members[0] for members in found for key in members}
    order = {key: index for index, key in enumerate(dict.fromkeys(first.get(key, key) for key in keys))}
    return {key: _letters(order[first.get(key, key)]) for key in keys}


def choose_tests(project: Project, keys: Sequence[str], *, who: str | None = None) -> list[str]:
    """Say which images measure the models, instead of those that were drawn; the others are learned from.

    Images of one group go together, as a model that has seen one knows the others.

    Args:
        project: The project.
        keys: Keys or names of the images that shall measure.
        who: Name for the ledger; default: the user of this process.

    Returns:
        Names of images that measure too, as they belong to the group of one that was named.

    Raises:
        InputError: If an image would change sides that is annotated or was learned from, or one side were empty.
    """
    state = project.state
    named = {project.image(key).key for key in keys}
    groups = {state.images[key].group for key in named}
    learned = {key for model in state.models.values() for key in model.images}
    roles = {image.key: "test" if image.group in groups else "pool" for image in state.images.values()}
    changed = {i.key: [i.group, roles[i.key]] for i in state.images.values() if i.role != roles[i.key]}
    for image in (state.images[key] for key in changed):
        if image.mask is not None or image.key in learned:
            raise InputError(
                f"{image.name}: must stay {'a test image' if image.role == 'test' else 'one to learn from'}, as it is "
                "annotated already. Choose among the images that nobody has corrected yet."
            )
    if len(set(roles.values())) < 2:
        what = "one to learn from" if named else "one to measure on"
        raise InputError(
            f"test images: must leave at least {what}. Received {len(named)} of {len(roles)} images."
        )
    if changed:
        project.ledger.append("regroup", who=who, images=changed, tests=sorted(named))
    return [i.name for i in state.images.values() if roles[i.key] == "test" and i.key not in named]


def _letters(index: int) -> str:
    """A ... Z, AA, AB ...: 26 is AA."""
    text = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        text = chr(ord("A") + rest) + text
    return text


def regroup(project: Project, groups: Mapping[str, str], *, who: str | None = None) -> None:
    """Say which images belong together, and draw the test images anew, whole groups at a time.

    Args:
        project: The project.
        groups: Group by key; images that are not named keep theirs.
        who: Name for the ledger; default: the user of this process.

    Raises:
        InputError: If an image is annotated: from then on a test image stays one.
    """
    from cathode_tf.rounds.intake import draw_roles

    state = project.state
    if state.annotated() or state.models:
        raise InputError(
            f"{project.path}: groups must stay as they are once an image is annotated, "
            "as test images are drawn by them."
        )
    entries = [
        {"key": image.key, "group": str(groups.get(image.key, image.group)).strip() or image.name}
        for image in state.images.values()
    ]
    draw_roles(entries, [], project.card["test_share"], project.card["seed"])
    if len({entry["role"] for entry in entries}) == 1 and len(entries) > 1 and project.card["test_share"]:
        raise InputError(
            "groups: must be two at least, one to learn from and one to test on. Received one that holds all images."
        )
    project.ledger.append(
        "regroup", who=who, images={entry["key"]: [entry["group"], entry["role"]] for entry in entries}
    )


def odd_ones(values: Sequence[Any]) -> np.ndarray:
    """Which of these differ from what most of them are, bool; none where there is no such value.

    Example:
        >>> odd_ones([5.0, 5.0, 5.0, 10.0]).tolist()
        [False, False, False, True]
    """
    [(usual, most)] = Counter(values).most_common(1) or [(None, 0)]
    if 2 * most <= len(values):
        return np.zeros(len(values), bool)
    return np.array([value != usual for value in values], bool)
