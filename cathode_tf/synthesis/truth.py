"""The truth table of a section: geometry in, fractions, sizes and fragmentation out."""

from __future__ import annotations

from typing import Any

import numpy as np
from skimage.measure import label as connected

from cathode_tf.phases import Phases
from cathode_tf.synthesis.geometry import NCM, Section
from cathode_tf.synthesis.parameters import Parameters


def tell_truth(section: Section, phases: Phases, parameters: Parameters) -> dict[str, Any]:
    """What is true of this section, JSON-able; lengths in um, areas in um2, fractions 0-1."""
    pixel_um = parameters.pixel_size_nm / 1000.0
    counts = np.bincount(section.mask.ravel(), minlength=256)
    particles = _particles(section, pixel_um)
    population = section.population_px * pixel_um
    return {
        "pixel_size_nm": parameters.pixel_size_nm,
        "fractions": {p.name: counts[p.id] / section.mask.size for p in phases},
        "target_fractions": {
            "pore": parameters.porosity,
            "ncm": parameters.ncm_fraction,
            "additive": parameters.additive_fraction,
            "binder": parameters.binder_fraction,
        },
        "diameter_um": {
            "count": population.size,
            "mean": float(population.mean()),
            "median": float(np.median(population)),
            "log_std": float(np.log(population).std()),
            "volume_mean": float((population**4).sum() / (population**3).sum()),
        },
        "cracked_particle_fraction": float(np.mean([p["cracked"] for p in particles])) if particles else None,
        "particles": particles,
    }


def _particles(section: Section, pixel_um: float) -> list[dict[str, Any]]:
    """One row a particle of the label image."""
    labels, solid = section.labels, section.mask == NCM
    count = section.diameters_px.size
    area = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    border = np.bincount(edge, minlength=count + 1)[1:] > 0
    pieces = connected(np.where(solid, labels, 0), connectivity=1)
    piece_area = np.bincount(pieces.ravel())
    first = np.zeros(piece_area.size, np.int64)
    first[pieces.ravel()] = labels.ravel()
    rows = []
    for i in range(count):
        mine = piece_area[1:][first[1:] == i + 1]
        mine = mine[mine >= max(4, 0.002 * area[i])]
        share = mine / max(mine.sum(), 1)
        rows.append(
            {
                "label": i + 1,
                "diameter_um": float(section.diameters_px[i] * pixel_um),
                "section_area_um2": float(area[i] * pixel_um**2),
                "section_diameter_um": float(np.sqrt(4 * area[i] / np.pi) * pixel_um),
                "touches_border": bool(border[i]),
                "fragments": int(mine.size),
                "fragmentation_index": float(1 - (share**2).sum()),
                "cracked": bool(mine.size > 1),
            }
        )
    return rows
