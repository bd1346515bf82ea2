"""A `VolumeAnalysis` in, one self-contained `report.html` out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cathode_tf.analysis.worth import Worth
from cathode_tf.reporting.figures import bars_with_intervals, histogram, picture_data
from cathode_tf.reporting.page import Card, Drawing, Page, Picture, Section, write_page
from cathode_tf.reporting.surfaces import surface_pictures
from cathode_tf.reporting.tables import estimates_table, intervals_caption, split_text
from cathode_tf.reporting.trust import trust_section
from cathode_tf.statistics.sizes import display_name
from cathode_tf.volumes import Trust, VolumeAnalysis
from cathode_tf.volumes.fragmentation import METRICS

TITLES = {
    "surface_density": "Surface per volume",
    "contact_fraction": "Share of the first phase's surface that touches the second",
    "contact_density": "Area of contact per volume",
    "percolating_share": "Share of a phase that reaches from face to face along an axis",
    "closed_share": "Share of a phase that no face of the volume reaches",
    "largest_part_share": "Share of a phase in its largest connected part",
    "local_thickness": "Mean local thickness",
    "tortuosity_factor": "Tortuosity factor",
    **{name: f"{text[:1].upper()}{text[1:]} (in 3-D)" for name, text in METRICS.items()},
}


def write_volume_report(
    analysis: VolumeAnalysis,
    path: str | Path,
    *,
    worth: Worth | None = None,
    trust: Trust | None = None,
    force: bool = False,
) -> Path:
    """Write the report of a label volume: composition, surfaces, instances, connections, methods.

    Args:
        analysis: What `analyze_volume` returned.
        path: The HTML file; it needs nothing beside it and no network.
        worth: What the label volume is; default: nobody said, so it is unchecked.
        trust: What the reconstruction's own uncertainty does to the numbers, if the volume is of one.
        force: Replace an existing file.
    """
    fractions = analysis.summary["fraction"]
    colors = [phase.color for phase in analysis.phases]
    cards = []
    for phase in analysis.phases:
        number, bracket = split_text(fractions[phase.name])
        cards.append(Card(f"{phase.name}: fraction", number, bracket, phase.color))
    composition = Section(
        "Composition",
        drawings=[
            Drawing(bars_with_intervals(fractions, colors, "volume fraction"), intervals_caption(fractions))
        ],
        tables=[estimates_table(fractions, "phase")],
    )
    known = Section(
        "Surfaces, contacts and connections",
        tables=[
            estimates_table(analysis.summary[quantity], "phases", title)
            for quantity, title in TITLES.items()
            if analysis.summary.get(quantity)
        ],
    )
    methods = Section("Methods", references=analysis.methods)
    sections = [composition, *_rendering(analysis), *_middle(analysis), *_instances(analysis), known]
    if trust is not None:
        sections.append(trust_section(trust))
    sections.append(methods)
    worth = worth or Worth(("volume",))
    page = Page(
        "Volume analysis",
        _lead(analysis),
        cards,
        _notes(analysis),
        sections,
        masks=worth.sentence,
        checked=worth.checked,
    )
    return write_page(page, path, force=force)


def _lead(analysis: VolumeAnalysis) -> str:
    z, y, x = analysis.shape
    text = f"{z} x {y} x {x} voxels (z, y, x)"
    if analysis.voxel_size_nm is not None:
        text += " of {:g} x {:g} x {:g} nm".format(*analysis.voxel_size_nm)
    return f"{text}. Intervals come from the parts of the volume."


def _notes(analysis: VolumeAnalysis) -> list[str]:
    notes = ["One volume cannot show how much the material varies from place to place."]
    if analysis.voxel_size_nm is None:
        notes.append("The voxel size is unknown: all lengths are in voxel edges (px).")
    return notes


def _rendering(analysis: VolumeAnalysis) -> list[Section]:
    """The surfaces of the phases in three dimensions."""
    if analysis.thumbnail is None:
        return []
    drawn = surface_pictures(analysis.thumbnail, analysis.thumbnail_spacing, analysis.phases, analysis.unit)
    pictures = [
        Picture(picture_data(picture), f"{name}, cut off at the faces of the volume.")
        for name, picture in drawn.items()
    ]
    return [Section("In three dimensions", pictures=pictures, open=True)] if pictures else []


def _middle(analysis: VolumeAnalysis) -> list[Section]:
    """The middle layer in the colours of the phases, instances outlined."""
    if analysis.layer is None or analysis.layer_labels is None:
        return []
    zoom = max(1, 700 // max(analysis.layer.shape))
    picture = analysis.phases.palette()[analysis.layer].repeat(zoom, 0).repeat(zoom, 1)
    labels = analysis.layer_labels.repeat(zoom, 0).repeat(zoom, 1)
    edge = np.zeros(labels.shape, bool)
    edge[:, 1:] = labels[:, 1:] != labels[:, :-1]
    edge[1:] |= labels[1:] != labels[:-1]
    picture[edge] = 0
    colors = {phase.name: phase.color for phase in analysis.phases}
    edges = analysis.voxel_size_nm
    # A bar along x; none where a pixel is no square.
    size = edges[2] / zoom if edges and abs(edges[1] / edges[2] - 1) <= 0.01 else None
    data = picture_data(picture, colors, size)
    number = analysis.shape[0] // 2
    caption = f"Layer {number} along z; black lines: outlines of the particles as they were separated in 3-D."
    return [Section("Middle layer", pictures=[Picture(data, caption)])]


def _instances(analysis: VolumeAnalysis) -> list[Section]:
    """Numbers and sizes of the particles."""
    table = analysis.instances
    if not len(table):
        return []
    unit = "px" if analysis.unit == "px" else "µm"
    section = Section("Particles", texts=["Touching particles are separated at their necks."])
    for name in table["phase"].unique():
        mine = table[table["phase"] == name]
        diameters = mine[f"equivalent_diameter_{analysis.unit}"].to_numpy(float)
        section.texts.append(
            f"{name}: {len(mine)} particles, {int(mine['touches_border'].sum())} of them cut by the frame."
        )
        if len(diameters) >= 5:
            label = f"equivalent diameter of {name}, {unit}"
            drawing = histogram(diameters, label, analysis.phases[name].color)
            section.drawings.append(Drawing(drawing, f"Sizes of {name}."))
    sizes = {
        f"{display_name(quantity)} of {name}": estimate
        for quantity in ("x10_3", "x50_3", "x90_3", "span_3", "mean_D43")
        for name, estimate in analysis.summary.get(quantity, {}).items()
    }
    if sizes:
        section.tables.append(estimates_table(sizes, "quantity", "Diameters (ISO 9276)."))
    return [section]
