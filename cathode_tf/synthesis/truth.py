"""The truth table of a section: what lies there in, fractions, sizes and fragmentation out."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from skimage.measure import label as connected

from cathode_tf.phases import Phases
from cathode_tf.synthesis.body import NCM, Section
from cathode_tf.synthesis.parameters import Parameters


def tell_truth(section: Section, phases: Phases, parameters: Parameters) -> dict[str, Any]:
    """What is true of this section, JSON-able; lengths in um, areas in um2, fractions 0-1."""
    pixel_um = parameters.pixel_size_nm / 1000.0
    counts = np.bincount(section.mask.ravel(), minlength=256)
    particles = _particles(section, pixel_um)
    population = section.population_px * pixel_um
    lengths = np.array([row["crack_length_um"] for row in particles])
    areas = np.array([row["section_area_um2"] for row in particles])
    return {
        "pixel_size_nm": parameters.pixel_size_nm,
        "depth_um": section.depth * pixel_um,
        "parameters": dataclasses.asdict(parameters),
        "fractions": {p.name: float(counts[p.id] / section.mask.size) for p in phases},
        "target_fractions": {
            "pore": parameters.porosity,
            "ncm": parameters.ncm_fraction,
            "additive": parameters.additive_fraction,
            "binder": parameters.binder_fraction,
        },
        "diameter_um": {
            "count": int(population.size),
            "mean": float(population.mean()),
            "median": float(np.median(population)),
            "log_std": float(np.log(population).std()),
            "volume_mean": float((population**4).sum() / (population**3).sum()),
        },
        "fragmentation": {
            "parameter": parameters.fragmentation,
            "cracked_particle_fraction": float(np.mean([row["cracked"] for row in particles])),
            "crack_length_um": float(lengths.sum()),
            "crack_length_density_per_um": float(lengths.sum() / areas.sum()),
            "crack_area_fraction": float(section.cracks.open[section.labels > 0].mean()),
            "fragments_per_particle": float(np.mean([row["fragments"] for row in particles])),
            "fragmentation_index": float(np.mean([row["fragmentation_index"] for row in particles])),
        },
        "particles": particles,
    }


def _particles(section: Section, pixel_um: float) -> list[dict[str, Any]]:
    """One row a particle of the label image.

    Fragments are the 4-connected pieces of solid that a particle shows in the section; specks below 0.2 % of
    its area are not counted. The fragmentation index is 1 - sum of squared area shares.
    """
    labels = section.labels
    count = section.diameters_px.size
    area = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    border = np.bincount(edge, minlength=count + 1)[1:] > 0
    pieces = connected(np.where(section.mask == NCM, labels, 0), connectivity=1)
    piece_area = np.bincount(pieces.ravel())[1:]
    owner = np.zeros(piece_area.size + 1, np.int64)
    owner[pieces.ravel()] = labels.ravel()
    owner = owner[1:] - 1
    counted = piece_area >= np.maximum(4, 0.002 * area[owner])
    owner, piece_area = owner[counted], piece_area[counted].astype(float)
    fragments = np.bincount(owner, minlength=count)
    total = np.bincount(owner, piece_area, minlength=count)
    squares = np.bincount(owner, piece_area**2, minlength=count)
    index = np.where(total > 0, 1 - squares / np.maximum(total, 1) ** 2, 0.0)
    lengths = section.cracks.length_px if section.cracks.length_px.size else np.zeros(count)
    return [
        {
            "label": i + 1,
            "body_label": int(section.identity[i]),
            "diameter_um": float(section.diameters_px[i] * pixel_um),
            "section_area_um2": float(area[i] * pixel_um**2),
            "section_diameter_um": float(np.sqrt(4 * area[i] / np.pi) * pixel_um),
            "touches_border": bool(border[i]),
            "cracked": bool(lengths[i] > 0),
            "crack_length_um": float(lengths[i] * pixel_um),
            "fragments": int(fragments[i]),
            "fragmentation_index": float(index[i]),
        }
        for i in range(count)
    ]
