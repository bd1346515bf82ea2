"""An `Analysis` and the masks it measured in, one self-contained `report.html` out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cathode_tf.analysis import Analysis
from cathode_tf.analysis.likeness import sentence_of
from cathode_tf.imaging.plausibility import odd_shares
from cathode_tf.reporting.figures import (
    bars_with_intervals,
    crack_picture,
    instance_picture,
    phase_picture,
    picture_data,
)
from cathode_tf.reporting.overview import overview
from cathode_tf.reporting.page import Drawing, Page, Picture, Section, Table, write_figures, write_page
from cathode_tf.reporting.particles import instance_sections, is_size, size_sections
from cathode_tf.reporting.tables import estimates_table, for_page, intervals_caption, split_text
from cathode_tf.statistics import Estimate
from cathode_tf.statistics.budget import budget_rows, edge_change

PICTURES = 6
"""At most this many micrographs are shown; the tables cover all."""

TITLES = {
    "fraction": "Area fraction (estimates the volume fraction)",
    "boundary_density": "Boundary length per area, between two phases",
    "surface_density": "Surface per volume S_V",
    "contact_fraction": "Share of the first phase's boundary that touches the second",
    "coverage": "Share of the particle surface that is covered",
    "triple_point_density": "Points where three phases meet, per area",
    "number_density": "Instances per area",
}
FAMILIES = {
    "Fractions, corrected for misclassification": "^fraction_",
    "Fragmentation of particles": "crack|fragment|fines|surface_connected|new_boundary",
    "Pore space": "^pore_|chord|thickness|connect|closed|percol|tortuos|largest",
    "Porosity by image and by balance": "^porosity_",
}
TEXTS = {
    "Fragmentation of particles": [
        "Cracks that the segmentation leaves out are not counted: compare only masks of one model and one pixel size, "
        "and report the difference to a reference batch, for preparation cracks particles too."
    ]
}
OTHER = "Further quantities"
CORRECTED = {
    "fraction": "as segmented",
    "fraction_corrected": "corrected by a test set's error rates",
    "fraction_by_points": "corrected by labelled points",
}
BUDGETED = {
    "fraction": "fraction of",
    "x50_3": "D50 (volume) of",
    "crack_length_density": "crack length per area of",
}
INTERFACES = ("surface_density", "coverage", "contact_fraction", "boundary_density", "triple_point_density")


def write_report(
    analysis: Analysis,
    path: str | Path,
    *,
    masks: Mapping[str, np.ndarray] | None = None,
    micrographs: Mapping[str, np.ndarray] | None = None,
    labels: Mapping[str, np.ndarray | None] | None = None,
    extra: Sequence[Section] = (),
    title: str = "Cathode analysis",
    force: bool = False,
    figures: str | Path | None = None,
) -> Path:
    """Write the report of a batch: what the cathode is like on one screen; below, folded, everything else.

    Args:
        analysis: What `analyze` returned.
        path: The HTML file; it needs nothing beside it and no network.
        masks: Segmentation masks to draw, uint8 (height, width), by image name; the first six are shown.
        micrographs: Their grey images (height, width) by image name, laid under the masks.
        labels: The label images that the masks were measured with, by image name, where there were some.
        extra: More sections, shown after the headline: how good the model is, for example.
        title: Heading.
        force: Replace an existing file.
        figures: Folder for its charts (SVG) and pictures (PNG) as files, too; default: none.

    Returns:
        `path`.
    """
    masks, micrographs = masks or {}, micrographs or {}
    sections = [
        *extra,
        _composition(analysis),
        *_groups(analysis),
        *_pictures(analysis, masks, micrographs, labels or {}),
        *instance_sections(analysis),
        *([] if analysis.mixed else size_sections(analysis)),
        *_families(analysis),
        *_interfaces(analysis),
        _budget(analysis),
        *_planning(analysis),
        _methods(analysis),
        *_images(analysis),
        _provenance(analysis),
    ]
    first = overview(analysis, masks, micrographs)
    page = Page(
        title,
        first.lead,
        first.cards,
        _notes(analysis),
        sections,
        masks=analysis.worth.sentence,
        checked=analysis.worth.checked,
        pictures=first.pictures,
        basis=first.basis,
    )
    if figures is not None:
        write_figures(page, Path(figures))
    return write_page(page, path, force=force)


def _notes(analysis: Analysis) -> list[str]:
    notes = [
        f"{image} is of a kind that the model does not know: {reason}. Look at it first; believe its numbers last."
        for image, reason in list(analysis.worth.foreign.items())[:3]
    ]
    shares = {name: each.value or 0.0 for name, each in analysis.summary["fraction"].items()}
    odd = odd_shares(shares, analysis.phases)
    if odd:
        notes.append(f"Look again: {'; '.join(odd)}.")
    if analysis.families:
        notes.append(sentence_of(analysis.families))
    if analysis.mixed:
        sizes = ", ".join(f"{size:.4g}" for size in analysis.mixed)
        notes.append(
            f"The images have several pixel sizes ({sizes} nm): lengths stand in the report of each size."
        )
    elif analysis.pixel_size_nm is None:
        notes.append("The pixel size is unknown: all lengths and areas are in pixels.")
    if len(analysis.images) == 1:
        notes.append(
            "One image cannot show how much the material varies from place to place; its interval, where there is "
            "one, comes from the structure inside the image alone."
        )
    return notes


def _present(analysis: Analysis, estimates: Mapping[str, Estimate]) -> dict[str, Estimate]:
    """Estimates without those of phases that no image shows."""
    absent = {name for name, e in analysis.summary["fraction"].items() if e.value == 0}
    return {name: e for name, e in estimates.items() if not absent & set(name.split("|"))}


def _composition(analysis: Analysis) -> Section:
    fractions = _present(analysis, analysis.summary["fraction"])
    colors = [phase.color for phase in analysis.phases if phase.name in fractions]
    return Section(
        "Composition",
        texts=["In a fair section the area fraction of a phase estimates its volume fraction without bias."],
        drawings=[
            Drawing(bars_with_intervals(fractions, colors, "area fraction"), intervals_caption(fractions))
        ],
        tables=[estimates_table(fractions, "phase"), *_side_by_side(analysis), *_error_matrix(analysis)],
    )


def _side_by_side(analysis: Analysis) -> list[Table]:
    """Raw and corrected fractions, where there are corrected ones."""
    columns = {label: analysis.summary[q] for q, label in CORRECTED.items() if q in analysis.summary}
    if len(columns) == 1:
        return []
    rows = [[n, *(split_text(c[n])[0] for c in columns.values())] for n in analysis.phases.names]
    return [
        Table(
            ["phase", *columns], rows, "What the segmentation gets wrong, taken into account.", numeric=True
        )
    ]


def _error_matrix(analysis: Analysis) -> list[Table]:
    """What the labelled points found, where there are any."""
    found = analysis.verification
    if found is None:
        return []
    rows = [
        [f"shown as {name}", *(f"{100 * value:.1f}" for value in row)]
        for name, row in zip(found.phases, found.matrix, strict=True)
    ]
    caption = f"Error matrix of {found.points} random points, % of the area. {found.sentence}"
    return [Table(["", *(f"is {name}" for name in found.phases)], rows, caption, numeric=True)]


def _groups(analysis: Analysis) -> list[Section]:
    """Phase fractions of each group of images, where there are groups."""
    rows = [
        [group, *(split_text(summary["fraction"][name])[0] for name in analysis.phases.names)]
        for group, summary in analysis.by_group.items()
    ]
    table = Table(["group", *analysis.phases.names], rows, "Area fractions of each group.", numeric=True)
    return [Section("Groups", tables=[table])] if rows else []


def _images(analysis: Analysis) -> list[Section]:
    """Phase fractions of each image alone, where there are several."""
    if len(analysis.images) < 2:
        return []
    rows = [
        [image, *(split_text(estimates[name])[0] for name in analysis.phases.names)]
        for image, estimates in analysis.by_image.items()
    ]
    caption = "Area fractions of each image alone; intervals from the structure inside it, where it is large enough."
    return [Section("Images", tables=[Table(["image", *analysis.phases.names], rows, caption, numeric=True)])]


def _families(analysis: Analysis) -> list[Section]:
    """Every other quantity, with its relatives in one table."""
    rows: dict[str, dict[str, Estimate]] = {}
    for quantity, estimates in analysis.summary.items():
        if quantity in (*INTERFACES, "fraction", "number_density") or is_size(quantity):
            continue
        family = next((title for title, pattern in FAMILIES.items() if re.search(pattern, quantity)), OTHER)
        label = quantity.replace("_", " ")
        for name, estimate in estimates.items():
            rows.setdefault(family, {})[f"{label}: {name}"] = estimate
    titles = [title for title in [*FAMILIES, OTHER] if title in rows]
    return [
        Section(title, texts=TEXTS.get(title, []), tables=[estimates_table(rows[title], "quantity")])
        for title in titles
    ]


def _interfaces(analysis: Analysis) -> list[Section]:
    tables = [
        estimates_table(_present(analysis, analysis.summary[quantity]), "phases", TITLES[quantity])
        for quantity in INTERFACES
        if quantity in analysis.summary and _present(analysis, analysis.summary[quantity])
    ]
    return [Section("Interfaces", tables=tables)] if tables else []


def _pictures(
    analysis: Analysis,
    masks: Mapping[str, np.ndarray],
    micrographs: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray | None],
) -> list[Section]:
    if not masks:
        return []
    phases = analysis.mask_phases or analysis.phases
    merged = {name: f"{name} (counted as pore)" for name in phases.names if name not in analysis.phases}
    colors = {merged.get(phase.name, phase.name): phase.color for phase in phases}
    size = analysis.pixel_size_nm
    section = Section("Pictures")
    names = list(masks)[:PICTURES]
    separation = {image.name: image.separation for image in analysis.images}
    left_out = [image.name for image in analysis.images if image.name not in names]
    if left_out:
        section.texts.append(f"Not pictured, but measured: {', '.join(left_out)}.")
    for name in names:
        pixels = micrographs.get(name)
        data = picture_data(phase_picture(masks[name], phases, pixels), colors, size)
        section.pictures.append(Picture(data, f"{name}: phases"))
        if analysis.phases.with_role("particle"):
            particles = instance_picture(analysis.labels(name, masks[name], labels.get(name)), pixels)
            caption = f"{name}: particles, as separated by {separation[name]}"
            section.pictures.append(Picture(picture_data(particles, pixel_size_nm=size), caption))
    return [section, *_crack_pictures(analysis, {name: masks[name] for name in names}, micrographs, labels)]


def _crack_pictures(
    analysis: Analysis,
    masks: Mapping[str, np.ndarray],
    micrographs: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray | None],
) -> list[Section]:
    """Every crack that was counted; what is not red was not."""
    if not any(estimate.value for estimate in analysis.summary.get("crack_length_density", {}).values()):
        return []
    evidence = "mask and the micrograph" if analysis.settings.crack_evidence == "micrograph" else "mask"
    section = Section("Cracks that were counted", texts=[f"In red; the evidence is the {evidence}."])
    for name, mask in masks.items():
        solid = np.isin(mask, [analysis.phases[p].id for p in analysis.phases.with_role("particle")])
        pixels = micrographs.get(name)
        ground = np.where(solid, 200, 60).astype(np.uint8) if pixels is None else pixels
        picture = crack_picture(analysis.cracks(name, mask, pixels, labels.get(name)), ground)
        section.pictures.append(Picture(picture_data(picture, pixel_size_nm=analysis.pixel_size_nm), name))
    return [section]


def _planning(analysis: Analysis) -> list[Section]:
    sentences = [for_page(row["sentence"]) for row in analysis.planning]
    return [Section("How much more to measure", texts=sentences)] if sentences else []


def _budget(analysis: Analysis) -> Section:
    """The sources of uncertainty of the headline numbers."""
    rows = []
    for quantity, words in BUDGETED.items():
        for name, estimate in analysis.summary.get(quantity, {}).items():
            for source, kind, u in budget_rows(estimate):
                rows.append([f"{words} {name}", source, kind, for_page(f"{u:.2g} {estimate.unit}".strip())])
    header = ["quantity", "source", "type", "standard uncertainty"]
    texts = ["Type A: from statistics; B: from other knowledge (GUM)."]
    moved = edge_change(analysis.summary, analysis.pixel_size_nm)
    if moved:
        each = ", ".join(f"{name} {100 * change:.2g} %" for name, change in moved.items())
        texts.append(
            f"If the outline of a phase lay one pixel further out or in, its area fraction would change by: {each}. "
            + (
                "That is not in the intervals, as nobody said how surely outlines lie (edge_px)."
                if analysis.settings.edge_px is None
                else f"The intervals count in {analysis.settings.edge_px:g} px of it."
            )
        )
    return Section(
        "What the uncertainty is made of", texts=texts, tables=[Table(header, rows)] if rows else []
    )


def _methods(analysis: Analysis) -> Section:
    return Section(
        "Methods",
        texts=["Each method that this report used, with where it is described."],
        references=list(analysis.methods),
    )


def _provenance(analysis: Analysis) -> Section:
    content: dict[str, Any] = analysis.to_dict()
    header = ["image", "height x width, px", "SHA-256 of the mask (first 16 digits)"]
    rows = [
        [image["image"], "{} x {}".format(*image["shape"]), image["mask_sha256"][:16]]
        for image in content["images"]
    ]
    if any(image["group"] for image in content["images"]):
        header.append("group")
        rows = [[*row, image["group"]] for row, image in zip(rows, content["images"], strict=True)]
    settings = ", ".join(f"{key} = {value}" for key, value in content["settings"].items())
    return Section(
        "Provenance",
        texts=[f"cathode_tf {content['version']}, Python {content['python']}. Settings: {settings}."],
        tables=[Table(header, rows)],
    )
