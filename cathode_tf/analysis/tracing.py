"""A `summary.json`, or the report beside it, in; where a number comes from, link by link, out.

Images with their hashes, instrument and pixel size, masks with who or what made them, models, settings and versions;
with `recompute`, whether the files at hand are still the ones, and the number still the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from cathode_tf.errors import InputError
from cathode_tf.files import pixel_sha256, read_json
from cathode_tf.imaging import read_mask
from cathode_tf.imaging.micrographs import read_micrograph
from cathode_tf.phases import Phases

SAME = 1e-9


@dataclass(frozen=True)
class Trace:
    """The chain of a number, or of a whole batch.

    Attributes:
        lines: The chain, for people.
        broken: What no longer is as it was, one sentence each; empty where nothing was checked, or all is well.
        checked: How many hashes and numbers were compared.
    """

    lines: tuple[str, ...]
    broken: tuple[str, ...] = ()
    checked: int = 0


def trace(source: str | Path, number: str | None = None, *, recompute: bool = False) -> Trace:
    """Where a number comes from.

    Args:
        source: Folder that `analyze` wrote, its `summary.json`, or a report beside one.
        number: `"fraction/pore"`: quantity and phase; None: the batch.
        recompute: Compare the hashes of all files at hand, and measure the masks again.

    Raises:
        InputError: If there is no summary, or it has no such number.
    """
    path = _summary_of(Path(source))
    content = read_json(path)
    if (
        not isinstance(content, dict)
        or not isinstance(content.get("summary"), dict)
        or "images" not in content
    ):
        raise InputError(f"{path}: must be the summary.json that analyze wrote.")
    lines = [str(content.get("masks", {}).get("sentence", "UNCHECKED masks: the summary does not tell."))]
    if number is not None:
        lines += _of_number(path, content, number)
    lines += _of_images(content)
    lines += _of_models(content)
    settings = ", ".join(f"{name} = {value}" for name, value in content.get("settings", {}).items())
    lines.append(f"Settings: {settings}.")
    lines.append(f"Software: cathode_tf {content.get('version')}, Python {content.get('python')}.")
    if not recompute:
        return Trace(tuple(lines))
    broken, checked, masks = _files(content)
    if not broken and len(masks) == len(content["images"]):
        more, count = _numbers(content, masks, number)
        broken, checked = broken + more, checked + count
    else:
        lines.append("The number was not computed again: not every mask is at hand as it was.")
    return Trace(tuple(lines), tuple(broken), checked)


def _summary_of(path: Path) -> Path:
    if path.is_dir():
        return path / "summary.json"
    return path if path.suffix == ".json" else path.with_name("summary.json")


def _of_number(path: Path, content: Mapping[str, Any], number: str) -> list[str]:
    quantity, _, phase = number.partition("/")
    estimate = content["summary"].get(quantity, {}).get(phase)
    if estimate is None:
        known = ", ".join(f"{q}/{p}" for q, each in content["summary"].items() for p in each)
        raise InputError(f"{path}: has no {number}. It has {known}.")
    parts = ", ".join(f"{name.replace('_', ' ')} {u:.2g}" for name, u in estimate["components"].items())
    return [
        f"{number} = {estimate['text']}",
        f"Method: {estimate['method']} [{estimate['reference']}].",
        f"Standard uncertainties: {parts or 'none could be told'}.",
        *(f"{flag}: {reason}." for flag, reason in estimate["flags"].items()),
    ]


def _of_images(content: Mapping[str, Any]) -> list[str]:
    stories = content.get("masks", {}).get("stories", {})
    lines = []
    for image in content["images"]:
        story = stories.get(image["image"], {})
        facts = story.get("image", {})
        acquisition = facts.get("acquisition") or {}
        device = " ".join(
            str(acquisition[k]) for k in ("vendor", "instrument", "detector") if acquisition.get(k)
        )
        size = facts.get("pixel_size_nm") or content.get("pixel_size_nm")
        where = facts.get("pixel_size_source") or content.get("pixel_size_source")
        told = [
            f"micrograph {facts['path']}" if facts.get("path") else "micrograph not noted",
            f"pixels {facts['pixel_sha256'][:16]}" if facts.get("pixel_sha256") else "",
            device,
            f"{size:.5g} nm a pixel ({where})" if size else "pixel size unknown",
            f"mask {image.get('mask', '')} {image['mask_sha256'][:16]} ({story.get('worth', 'unchecked')}"
            f"{', by ' + story['by'] if story.get('by') else ''})",
            " ".join(f"{k} {v}" for k, v in story.get("record", {}).items()),
        ]
        lines.append(f"Image {image['image']}: {'; '.join(part for part in told if part)}.")
    return lines


def _of_models(content: Mapping[str, Any]) -> list[str]:
    return [
        f"Model {model.get('path')}: SHA-256 {str(model.get('sha256'))[:16]}, fingerprint "
        f"{str(model.get('fingerprint'))[:16]}, standardised by {model.get('standardization')}."
        for model in content.get("masks", {}).get("models", [])
    ]


def _files(content: Mapping[str, Any]) -> tuple[list[str], int, dict[str, Any]]:
    """What of the files at hand is not as it was, how many were looked at, and the masks."""
    phases = Phases.from_list(content["phases"])
    stories = content.get("masks", {}).get("stories", {})
    broken, checked, masks = [], 0, {}
    for image in content["images"]:
        name, mask = image["image"], image.get("mask")
        if mask and Path(mask).is_file():
            checked += 1
            try:
                masks[name] = read_mask(mask, phases)
            except InputError as error:
                broken.append(f"{name}: its mask cannot be read any more ({error})")
                continue
            if pixel_sha256(masks[name]) != image["mask_sha256"]:
                broken.append(f"{name}: the mask {mask} was changed since")
        facts = stories.get(name, {}).get("image", {})
        if facts.get("path") and facts.get("pixel_sha256") and Path(facts["path"]).is_file():
            checked += 1
            read = read_micrograph(facts["path"])
            every = read if isinstance(read, list) else [read]
            if facts["pixel_sha256"] not in [pixel_sha256(micrograph.pixels) for micrograph in every]:
                broken.append(f"{name}: the micrograph {facts['path']} was changed since")
    return broken, checked, masks


def _numbers(
    content: Mapping[str, Any], masks: Mapping[str, Any], number: str | None
) -> tuple[list[str], int]:
    """Which values come out otherwise when the masks are measured again."""
    from cathode_tf.analysis.image import Settings
    from cathode_tf.analysis.measuring import analyze

    known = {each.name for each in fields(Settings)}
    given = {name: value for name, value in content["settings"].items() if name in known}
    given["instance_phases"] = (
        None if given.get("instance_phases") is None else tuple(given["instance_phases"])
    )
    groups = {image["image"]: image["group"] for image in content["images"] if image["group"]}
    again = analyze(
        masks,
        Phases.from_list(content["phases"]),
        pixel_size_nm=content["pixel_size_nm"],
        settings=Settings(**given),
        groups=groups or None,
    )
    broken, checked = [], 0
    for quantity, estimates in again.summary.items():
        for phase, estimate in estimates.items():
            before = content["summary"].get(quantity, {}).get(phase)
            if before is None or (number is not None and number != f"{quantity}/{phase}"):
                continue
            checked += 1
            same = before["value"] is None if estimate.value is None else before["value"] is not None
            if same and estimate.value is not None:
                same = math.isclose(estimate.value, before["value"], rel_tol=SAME, abs_tol=1e-300)
            if not same:
                broken.append(f"{quantity}/{phase}: was {before['value']}, is {estimate.value} now")
    return broken, checked
