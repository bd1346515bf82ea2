"""Domain randomisation: a source of randomness in, parameters as different as real electrodes and pictures are out."""

from __future__ import annotations

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.synthesis.parameters import DRAWN, Imaging, Parameters, numbers_of

# Particles are this wide, in pixels, and the scale follows; drawn by the logarithm.
_ACROSS_PX = {"se": (18.0, 260.0), "bse": (18.0, 260.0), "nano-ct": (35.0, 260.0)}
# About a third of the effects is off at a time, so that none becomes the mark of a synthetic image.
_SOMETIMES = (
    "charging",
    "curtaining",
    "drift_px",
    "fringe",
    "rings",
    "smear",
    "mottle",
    "web_glow",
    "edge_brightening",
)


def draw_parameters(rng: np.random.Generator, modality: str | None = None) -> Parameters:
    """See `Parameters.random`."""
    if modality not in (None, "sem", *DRAWN):
        raise InputError(
            f"synthesis: a modality to draw must be one of {', '.join(DRAWN)} or sem. Received {modality!r}."
        )
    if modality is None:
        modality = str(rng.choice(DRAWN, p=(0.4, 0.25, 0.35)))
    elif modality == "sem":
        modality = str(rng.choice(DRAWN[:2], p=(0.6, 0.4)))
    structure = {name: float(rng.uniform(*meta["drawn"][modality])) for name, meta in numbers_of(Parameters)}
    across_px = float(np.exp(rng.uniform(*np.log(_ACROSS_PX[modality]))))
    structure["pixel_size_nm"] = structure["particle_um"] * 1000 / across_px
    _draw_particles(rng, structure, across_px)
    imaging = draw_imaging(rng, modality, across_px)
    _draw_carbon(rng, structure, imaging, modality)
    _leave_room(structure)
    return Parameters(**structure, imaging=imaging)


def draw_imaging(rng: np.random.Generator, modality: str, across_px: float) -> Imaging:
    """Imaging of a body whose particles are `across_px` wide."""
    seen = {name: float(rng.uniform(*meta["drawn"][modality])) for name, meta in numbers_of(Imaging)}
    for name in _SOMETIMES:
        seen[name] *= float(rng.random() > 0.3)
    # An annotator draws what can be seen: particles are much wider than the blur.
    seen["blur_px"] = min(seen["blur_px"], 0.6 + (0.075 if modality == "nano-ct" else 0.04) * across_px)
    reach = seen["grey_ncm"] - seen["grey_pore"]
    if modality == "nano-ct":
        # X-rays hardly tell carbon from binder, and neither well from pore.
        carbon = seen["grey_pore"] + rng.uniform(0.02, 0.36) * reach
        seen["grey_additive"] = carbon + rng.uniform(-0.04, 0.04) * reach
        seen["grey_binder"] = carbon + rng.uniform(-0.04, 0.04) * reach
    elif modality == "bse":
        # Carbon is light: between pore and active material, nearer to the first.
        for name in ("grey_additive", "grey_binder"):
            seen[name] = seen["grey_pore"] + rng.uniform(0.08, 0.55) * max(reach, 60)
        seen["grey_ncm"] = max(seen["grey_ncm"], seen["grey_pore"] + 60)
    elif rng.random() < 0.5:
        # Often additive and binder are one web, of one grey.
        seen["grey_binder"] = float(np.clip(seen["grey_additive"] + rng.normal(0, 8), 0, 255))
    if modality == "se" and abs(seen["grey_additive"] - seen["grey_ncm"]) < 25:
        seen["texture"] = max(seen["texture"], 18.0)  # where grey does not tell, relief must
    return Imaging(modality=modality, **seen)


def _draw_particles(rng: np.random.Generator, structure: dict[str, float], across_px: float) -> None:
    if across_px < 45:
        structure["fines_fraction"] = 0.0
        structure["fragmentation"] *= 0.4
    if rng.random() < 0.6:
        # Secondary particles are round; the others are ground, or single crystals.
        structure["angularity"] = 0.0
        structure["flatness"] *= 0.3
        structure["single_crystals"] = 0.0
    else:
        structure["lobes"] *= 0.3
        structure["flatness"] = float(rng.uniform(0, 0.6))
        structure["elongation"] = float(rng.uniform(0, 0.45))
        structure["single_crystals"] = 1.0 if rng.random() < 0.5 else structure["single_crystals"]
    for name, share in (
        ("lobes", 0.5),
        ("fragmentation", 0.6),
        ("single_crystals", 0.8),
        ("inner_porosity", 0.8),
    ):
        structure[name] *= float(rng.random() < share)
    chance = rng.random()
    structure["infiltration"] = 0.0 if chance < 0.65 else 1.0 if chance < 0.85 else structure["infiltration"]


def _draw_carbon(
    rng: np.random.Generator, structure: dict[str, float], imaging: Imaging, modality: str
) -> None:
    # Clusters are wider than the blur.
    least_um = 3 * imaging.blur_px * structure["pixel_size_nm"] / 1000
    structure["additive_um"] = min(20.0, max(structure["additive_um"], least_um))
    nodule = float(np.exp(rng.uniform(np.log(1.6), np.log(9.0)))) * structure["pixel_size_nm"] / 1000
    structure["nodule_um"] = min(nodule, structure["additive_um"] / 2)
    if modality == "nano-ct":
        # Carbon and binder with pores too fine to be seen fill most of what lies between the particles.
        between = min(0.8, (1 - structure["ncm_fraction"]) * rng.uniform(0.35, 0.9))
        share = rng.uniform(0.4, 1.0)
        structure["additive_fraction"] = min(0.4, between * share)
        structure["binder_fraction"] = min(0.4, between * (1 - share))
    elif rng.random() < 0.4:
        # Additive and binder as one web: one phase takes all.
        both = structure["additive_fraction"] + structure["binder_fraction"]
        structure["additive_fraction"], structure["binder_fraction"] = min(0.4, 1.3 * both), 0.0
    if structure["nodule_um"] * 1000 / structure["pixel_size_nm"] < 2 * imaging.blur_px:
        structure["web_porosity"] *= 0.3  # pores that nobody could see are no pores of the mask


def _leave_room(structure: dict[str, float]) -> None:
    """Cracks and inner pores need their room too."""
    room = 0.96 - 0.2 * structure["fragmentation"] - structure["inner_porosity"]
    solids = structure["ncm_fraction"] + structure["additive_fraction"] + structure["binder_fraction"]
    if solids > room:
        for name in ("ncm_fraction", "additive_fraction", "binder_fraction"):
            structure[name] *= room / solids
