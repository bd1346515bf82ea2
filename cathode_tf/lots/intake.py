"""A folder that `analyze` wrote in; what the ledger keeps of it out: numbers, images, and how they were measured."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cathode_tf.errors import InputError
from cathode_tf.ownership import MANIFEST
from cathode_tf.statistics import Estimate

COMMON = ("test_images", "pore_back", "edge_placement", "pixel_size")
"""Uncertainties that are the same in every lot: they shift a whole series, and tell no lot from another."""

OF_SEPARATION = (
    "neck_depth",
    "min_area_px",
    "sample_type",
    "unfolding",
    "crack_opening_px",
    "crack_evidence",
)
OF_ALL = ("masks", "phases", "pixel_size_nm", "version", "reconstruction", "merge_pore_back", "depth_axis")
SEPARATED = ("x10_", "x50_", "x90_", "span_", "mean_D43", "lognormal", "weibull", "number_density", "count")
BROKEN = ("crack", "fragment", "largest_fragment", "surface_connected", "new_boundary", "fines")


@dataclass(frozen=True)
class Number:
    """One Estimate as the ledger keeps it: `u` is what the images' spread leaves, `u_common` what all lots share."""

    quantity: str
    phase: str
    estimate: Estimate
    u: float | None
    u_common: float


@dataclass(frozen=True)
class Intake:
    """What the ledger keeps of an analysis.

    Attributes:
        folder: Where it was read.
        sha256: Of `summary.json`.
        pixel_size_nm: None = unknown.
        numbers: Every Estimate of its summary.
        images: A dict an image: `name`, `field`, `mask_sha256`, `measures` (quantity/phase -> value).
        system: How it was measured: model, phases, pixel size, separation ...
        trust: What vouches for the masks and the files.
        facts: Settings and version, for the reader.
    """

    folder: Path
    sha256: str
    pixel_size_nm: float | None
    numbers: tuple[Number, ...]
    images: tuple[dict[str, Any], ...]
    system: Mapping[str, Any]
    trust: Mapping[str, Any]
    facts: Mapping[str, Any] = field(default_factory=dict)


def read_analysis(path: str | Path, *, masks_by: str | None = None) -> Intake:
    """Read the folder, or the `summary.json`, of an analysis.

    Args:
        path: Folder or file.
        masks_by: Who made the masks, where the analysis does not say it: an annotator, a program.

    Raises:
        InputError: If it is no analysis.
    """
    folder = Path(path)
    file = folder / "summary.json" if folder.is_dir() else folder
    try:
        data = file.read_bytes()
        content = json.loads(data)
    except FileNotFoundError as error:
        raise InputError(f"{path}: must be a folder that analyze wrote. It has no summary.json.") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: must be the summary.json that analyze wrote ({error}).") from error
    try:
        numbers = _numbers(content["summary"])
        pixel = content.get("pixel_size_nm")
        if pixel is None and content.get("voxel_size_nm"):
            pixel = float(min(content["voxel_size_nm"]))
        images = _images(content, numbers)
        system = _system(content, pixel, masks_by)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{file}: must be the summary.json that analyze wrote ({error}).") from error
    digest = hashlib.sha256(data).hexdigest()
    facts = {
        key: content[key] for key in ("version", "settings", "model", "pixel_size_source") if key in content
    }
    return Intake(file.parent, digest, pixel, numbers, images, system, _trust(content, file, digest), facts)


def _numbers(summary: Mapping[str, Mapping[str, Any]]) -> tuple[Number, ...]:
    found = []
    for quantity, estimates in summary.items():
        for phase, content in estimates.items():
            estimate = Estimate.from_dict(content)
            found.append(Number(quantity, phase, estimate, *uncertainties(estimate)))
    return tuple(found)


def uncertainties(estimate: Estimate) -> tuple[float | None, float]:
    """Standard uncertainty that the images' spread leaves, None where it is not known; and that which all lots share.

    Of the spread between images and the structure inside them the larger counts; both say the same thing.

    Example:
        >>> uncertainties(Estimate(0.3, ci=(0.27, 0.33), n=9, components={"between_images": 0.012, "pixel_size": 0.01}))
        (0.012, 0.01)
    """
    common = math.hypot(*[u for name, u in estimate.components.items() if name in COMMON])
    own = [u for name, u in estimate.components.items() if name not in COMMON and name != "reference_points"]
    points = estimate.components.get("reference_points", 0.0)
    if own or points:
        return math.hypot(max(own, default=0.0), points), common
    whole = estimate.standard_uncertainty
    if whole is None:
        return None, common
    return math.sqrt(max(whole**2 - common**2, 0.0)), common


def _images(content: Mapping[str, Any], numbers: tuple[Number, ...]) -> tuple[dict[str, Any], ...]:
    rows = {row["image"]: row for row in content.get("per_image", [])}
    unit = content.get("length_unit", "px")
    names = {}
    for number in numbers:
        for column in (f"{number.quantity}_{number.phase}", f"{number.quantity}_{number.phase}_per_{unit}"):
            names[column] = f"{number.quantity}/{number.phase}"
    return tuple(
        {
            "name": image["image"],
            "field": image.get("group") or None,
            "mask_sha256": image.get("mask_sha256"),
            "measures": {
                names[column]: value
                for column, value in rows.get(image["image"], {}).items()
                if column in names and value is not None
            },
        }
        for image in content.get("images", [])
    )


def _system(content: Mapping[str, Any], pixel: float | None, masks_by: str | None) -> dict[str, Any]:
    """What must be the same for two numbers to be of one series."""
    model = content.get("model")
    told = content.get("settings", {})
    masks = masks_by or "given"
    if model:
        masks = f"model {str(model.get('sha256') or model.get('fingerprint'))[:16]}"
    version = str(content.get("version", "0"))
    return {
        "masks": masks,
        "phases": [phase["name"] for phase in content["phases"]],
        # To three digits: rounding in a microscope's header is no other measurement.
        "pixel_size_nm": None if pixel is None else float(f"{pixel:.3g}"),
        "version": ".".join(version.split(".")[:2]),
        "reconstruction": content.get("reconstruction"),
        **{key: told[key] for key in (*OF_SEPARATION, "merge_pore_back", "depth_axis") if key in told},
    }


def relevant(system: Mapping[str, Any], quantity: str) -> dict[str, Any]:
    """Those facts of a measuring system that a quantity hangs on: a porosity not on how particles are separated.

    Example:
        >>> relevant({"masks": "given", "neck_depth": 0.35, "crack_opening_px": 7}, "fraction")
        {'masks': 'given'}
    """
    keys = set(OF_ALL)
    if quantity.startswith(SEPARATED):
        keys |= {"neck_depth", "min_area_px", "sample_type", "unfolding"}
    if quantity.startswith(BROKEN):
        keys |= {"neck_depth", "min_area_px", "crack_opening_px", "crack_evidence"}
    return {key: value for key, value in system.items() if key in keys}


def fingerprint(facts: Mapping[str, Any]) -> str:
    """SHA-256 of facts, whatever their order."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _trust(content: Mapping[str, Any], file: Path, digest: str) -> dict[str, Any]:
    """What vouches for the numbers: the list of files that analyze left, points, a test set, a model's Dice."""
    trust: dict[str, Any] = dict(content.get("trust") or {})
    try:
        listed = json.loads((file.parent / MANIFEST).read_text(encoding="utf-8"))["files"].get(file.name)
        trust["files"] = "as analyze wrote them" if listed == digest else "changed after analyze wrote them"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        trust["files"] = "not known"
    summary, model = content["summary"], content.get("model") or {}
    dice = (model.get("dice") or {}).get("mean")
    if "fraction_by_points" in summary:
        trust["masks"] = "checked by labelled points"
    elif "fraction_corrected" in summary:
        trust["masks"] = "corrected by a test set's error rates"
    elif dice is not None:
        trust["masks"] = f"a model's, Dice {dice:.2f} on {model['dice'].get('split', 'its')} images"
    elif model:
        trust["masks"] = "a model's, unchecked"
    else:
        trust.setdefault("masks", "given, unchecked")
    return trust
