"""What a caller wants of a conversion in, a checked plan out: which images, to which set, split by which rule.

Nothing is written and no image is opened. What is wrong with a call is said here, before any work.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cathode_tf.datasets.encoding import Source
from cathode_tf.datasets.record_set import RecordSet, next_version, open_records, versions
from cathode_tf.datasets.sheets import check_regex, read_groups, read_splits
from cathode_tf.datasets.splits import parse_ratios
from cathode_tf.datasets.writing import foreign_entry
from cathode_tf.errors import InputError, InputWarning
from cathode_tf.files import refuse_overwrite
from cathode_tf.imaging import MAX_MEGAPIXELS, find_images, match_masks
from cathode_tf.imaging.annotations import is_text
from cathode_tf.imaging.folders import suggest_suffix
from cathode_tf.litter import clear_litter
from cathode_tf.ownership import refuse_foreign, refuse_inputs
from cathode_tf.phases import Phases
from cathode_tf.texts import composed
from cathode_tf.words import counted

ORIGINS = ("human", "corrected", "synthetic")
SPLIT = "70/20/10"
DRAWN = "drawn"
LABEL_SUFFIXES = ".tif", ".tiff", ".png"


@dataclass(frozen=True)
class Choices:
    """What may be chosen about a conversion; `convert` takes each by its name.

    Attributes:
        mask_suffix: What the stem of a mask has behind the stem of its image.
        annotated_only: Leave out images that have no mask, of which a stack of single files may have many; without
            this they are an error.
        groups: CSV file with the columns id and group, or a mapping. Images from one stack, electrode or
            session belong to one group; without this each image, or stack, is its own.
        group_regex: The group is what this finds in the id (its first parenthesis, or all of it).
        split: Shares of train, validation and test, `"70/20/10"` by default; groups stay whole.
        seed: Of the draw; 0 by default.
        split_file: CSV file with the columns id and split, or a mapping; it is followed to the letter.
        guard_gap: Cut each group of neighbouring slices into blocks, one a split, and leave so many slices out
            at each border. For sets that have few stacks.
        pixel_size_nm: Overrides what the files say.
        databar: `"auto"`, `"none"`, or the number of rows to cut.
        max_megapixels: Larger images are refused.
        origin: `human`, `corrected` or `synthetic`.
        round: In which round of incremental learning the masks were made.
        annotator: By whom.
        instances: Keep the particles one by one, too (schema 2): `"drawn"` = each object that was drawn of a phase with
            the role particle is one; or a folder of label images, `<stem>.tif` or `<stem>_labels.tif` (or PNG).

    Raises:
        InputError: If one is out of range, or two exclude each other.
    """

    mask_suffix: str = "_mask"
    annotated_only: bool = False
    groups: str | Path | Mapping[str, str] | None = None
    group_regex: str | None = None
    split: str | None = None
    seed: int | None = None
    split_file: str | Path | Mapping[str, str] | None = None
    guard_gap: int | None = None
    pixel_size_nm: float | None = None
    databar: str | int = "auto"
    max_megapixels: float = MAX_MEGAPIXELS
    origin: str = "human"
    round: int = 0
    annotator: str = ""
    instances: str | Path | None = None

    def __post_init__(self) -> None:
        if self.origin not in ORIGINS:
            raise InputError(f"origin: must be one of {', '.join(ORIGINS)}. Received {self.origin!r}.")
        if self.guard_gap is not None and (self.guard_gap < 0 or self.split_file is not None):
            raise InputError(
                "--guard-gap: must be 0 or more, and goes with --split, not with --split-file. Received "
                f"{self.guard_gap}."
            )
        if self.split_file is not None and (self.split is not None or self.seed is not None):
            raise InputError(
                "--split-file: says where each image goes, so that --split and --seed do not go with it. Leave "
                "either it or them out."
            )
        if self.seed is not None and self.seed < 0:
            raise InputError(f"--seed: must be 0 or more. Received {self.seed}.")


@dataclass(frozen=True)
class Plan:
    """What a conversion will do; `str` says it to people.

    Attributes:
        out: Folder of the record set.
        phases: What the masks hold.
        sources: Each image with its annotation, in the order of the set.
        without_mask: Images that are left out, as they have no mask.
        rule: How splits are drawn, as it will stand in the metadata.
        wanted: The split by id where a file says it; None = drawn.
        previous: The record set that is there; None = none, or none that can be read.
        add: Whether the images are added to it; else it is replaced.
        force: Whether something may be replaced.
    """

    out: Path
    phases: Phases
    sources: tuple[Source, ...]
    without_mask: tuple[Path, ...] = ()
    rule: Mapping[str, Any] = field(default_factory=dict)
    wanted: Mapping[str, str] | None = None
    previous: RecordSet | None = None
    add: bool = False
    force: bool = False

    @property
    def added_to(self) -> RecordSet | None:
        """The record set that the images are added to."""
        return self.previous if self.add else None

    def __str__(self) -> str:
        lines = [f"{counted(len(self.sources), 'image')} with masks of {self.phases.describe()}."]
        if self.without_mask:
            lines.append(f"{counted(len(self.without_mask), 'image')} without a mask, left out.")
        lines += [self._place(), self._split()]
        return "\n".join(lines)

    def _place(self) -> str:
        if self.added_to is not None:
            version = self.added_to.version
            return f"Added to {self.out}: version {next_version(version, 'minor')} after {version}."
        there = versions(self.out)
        return f"Written to {self.out}" + (f", in place of version {there[-1].name}." if there else ".")

    def _split(self) -> str:
        if self.wanted is not None:
            return f"Split: as a file says for {counted(len(self.wanted), 'id')}."
        shares = ", ".join(f"{name} {share:.0%}" for name, share in self.rule["ratios"].items())
        gap = f", {self.rule['guard_gap']} slices left out between them" if "guard_gap" in self.rule else ""
        return f"Split: {shares}; {self.rule['rule']}{gap}; seed {self.rule['seed']}."


def plan_conversion(
    images: str | Path | Sequence[str | Path],
    masks: str | Path | None,
    *,
    out: str | Path,
    phases: Phases | str | Path,
    add: bool = False,
    force: bool = False,
    choices: Choices | None = None,
) -> Plan:
    """Check what `convert` was given, and pair images with their masks.

    Args:
        images, masks, out, phases, add, force: As `convert` takes them.
        choices: Default: `Choices()`.

    Raises:
        InputError: If anything given cannot be used.
    """
    choices, out = choices or Choices(), Path(out)
    refuse_inputs(out, [*([images] if isinstance(images, (str, Path)) else images), masks])
    previous = _previous(out, add, force)
    phases = phases if isinstance(phases, Phases) else Phases.from_toml(phases)
    rule = _rule(previous if add else None, choices)
    wanted = read_splits(choices.split_file)
    sources, missing = sources_of(images, masks, choices.mask_suffix, _template(phases, choices))
    if choices.instances is not None:
        sources = with_instances(sources, choices.instances)
    if not sources or (missing and not choices.annotated_only):
        remedy = "" if sources else suggest_suffix(missing)
        raise InputError(
            f"{missing[0] if missing else images}: must have a mask. Received none for {len(missing)} of "
            f"{len(missing) + len(sources)} images. "
            f"{remedy or 'Add the masks, or give --annotated-only to leave these out.'}"
        )
    plan = Plan(out, phases, tuple(sources), tuple(missing), rule, wanted, previous, add, force)
    if plan.added_to is not None:
        _check_fits(plan.added_to, plan, choices)
    return plan


def _template(phases: Phases, choices: Choices) -> Source:
    """What all sources have in common."""
    return Source(
        index=0,
        image=Path(),
        mask=Path(),
        options={
            "pixel_size_nm": choices.pixel_size_nm,
            "databar": choices.databar,
            "max_megapixels": choices.max_megapixels,
        },
        phases=phases,
        groups=read_groups(choices.groups),
        group_regex=check_regex(choices.group_regex),
        origin=choices.origin,
        round=int(choices.round),
        annotator=choices.annotator,
    )


def _previous(out: Path, add: bool, force: bool) -> RecordSet | None:
    """The record set that is there: to be added to, or to be replaced."""
    clear_litter(out.absolute().parent)
    if add:
        if force:
            raise InputError("--add: keeps what is there, --force replaces it. Give one of them.")
        if not versions(out):
            raise InputError(f"{out}: must be a record set, to add to. Convert without --add first.")
        return open_records(out)
    if not force:
        refuse_overwrite(out)
    if not out.is_dir() or not any(out.iterdir()):
        return None
    if not versions(out):
        raise InputError(
            f"{out}: must be a record set, to be replaced. It holds something else; name another."
        )
    refuse_foreign(out, foreign_entry(out))
    try:
        return open_records(out)
    except InputError:  # damaged, which may be why it is replaced
        return None


def _rule(added_to: RecordSet | None, choices: Choices) -> dict[str, Any]:
    """How splits are drawn, as it will stand in the metadata."""
    if choices.split_file is not None:
        return {"rule": "split file"}
    ratios, seed, gap = parse_ratios(choices.split or SPLIT), choices.seed or 0, choices.guard_gap
    rule: dict[str, Any] = {"rule": "whole groups, phases alike", "ratios": ratios, "seed": seed}
    if gap is not None:
        rule |= {"rule": "blocks of neighbouring slices", "guard_gap": gap}
    decided = rule if added_to is None else added_to.metadata["split"]
    if "ratios" not in decided:
        return rule
    for name, given, stands in (
        ("--split", choices.split and ratios, decided["ratios"]),
        ("--seed", choices.seed, decided["seed"]),
    ):
        if given is not None and given != stands:
            raise InputError(
                f"{name}: must be as the record set has it ({stands}), or be left out with --add."
            )
    return {**decided, **({"guard_gap": gap} if gap is not None else {})}


def _check_fits(previous: RecordSet, plan: Plan, choices: Choices) -> None:
    """What is added must be of the kind that is there."""
    if not previous.phases.same_classes(plan.phases):
        raise InputError(
            f"--phases: must be those of the record set ({previous.phases.describe()}). "
            f"Received {plan.phases.describe()}."
        )
    if previous.has_instances != (choices.instances is not None):
        raise InputError(
            "--instances: must be given where the record set holds instances, and only there. "
            f"{plan.out} holds {'some' if previous.has_instances else 'none'}."
        )


def sources_of(
    images: str | Path | Sequence[str | Path], masks: str | Path | None, suffix: str, template: Source
) -> tuple[list[Source], list[Path]]:
    """Each image with its annotation, filled into the template; and the images that have none.

    Raises:
        InputError: If a path does not exist, an annotation has no image, or two images have one stem.
    """
    pairs = match_masks(find_images(images), masks, suffix, phases=template.phases)
    by_stem: dict[str, dict[str, str]] = {}
    for name, group in template.groups.items():
        for stem in {name, name.rpartition("_z")[0] or name}:
            by_stem.setdefault(stem, {})[name] = group
    sources: dict[str, Source] = {}
    missing: list[Path] = []
    for image, mask in pairs:
        stem = composed(image.stem)
        if stem in sources:
            raise InputError(
                f"{image}: must have a stem of its own, which becomes its id. Received the stem of "
                f"{sources[stem].image} too. Rename one."
            )
        if mask is None:
            missing.append(image)
            continue
        groups = by_stem.get(stem, {})
        sources[stem] = replace(template, index=len(sources), image=image, mask=mask, groups=groups)
    alone = [stem for stem, source in sources.items() if not source.groups]
    if template.groups and alone and not template.group_regex:
        more = f" and {len(alone) - 1} others" if len(alone) > 1 else ""
        warnings.warn(
            f"--groups: should list every image by its stem. {alone[0]!r}{more} are not listed, and are a group "
            "each; images of one sample may then be on both sides of the split.",
            InputWarning,
            stacklevel=3,
        )
    return list(sources.values()), missing


def with_instances(sources: Sequence[Source], instances: str | Path) -> list[Source]:
    """The sources, each with the file in which its particles stand one by one.

    Args:
        sources: From `sources_of`.
        instances: `"drawn"`, or a folder of label images.

    Raises:
        InputError: If an image has no such file, or its annotation is a raster and `"drawn"` was said.
    """
    if instances == DRAWN:
        raster = next((source for source in sources if not is_text(source.mask)), None)
        if raster is not None:
            raise InputError(
                f"--instances drawn: needs annotations in which each object was drawn. Received {raster.mask}, a "
                "raster. Give the folder of its label images."
            )
        return [replace(source, instances=source.mask) for source in sources]
    folder = Path(instances)
    if not folder.is_dir():
        raise InputError(f"--instances: must be 'drawn', or a folder of label images. Received {instances}.")
    found = []
    for source in sources:
        names = [f"{source.image.stem}{end}{suffix}" for end in ("_labels", "") for suffix in LABEL_SUFFIXES]
        file = next((folder / name for name in names if (folder / name).is_file()), None)
        if file is None:
            raise InputError(
                f"{folder}: must hold the label image of {source.image.name} ({names[0]} or {names[-1]}). It does not."
            )
        found.append(replace(source, instances=file))
    return found
