"""Domain randomisation: a source of randomness in, parameters as different as real electrodes and pictures are out."""

from __future__ import annotations

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.synthesis.limits import numbers_of
from cathode_tf.synthesis.microscope import DRAWN, Imaging
from cathode_tf.synthesis.parameters import Parameters

# Particles are this wide, in pixels, and the scale follows; drawn by the logarithm.
_ACROSS_PX = {"se": (28.0, 320.0), "bse": (28.0, 320.0), "nano-ct": (35.0, 260.0)}
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
    # Often additive and binder are one web, of one grey: then one phase takes all.
    apart = modality == "nano-ct" or bool(rng.random() < 0.45)
    imaging = draw_imaging(rng, modality, across_px, apart=apart)
    _draw_carbon(rng, structure, imaging, modality, apart)
    _leave_room(structure)
    return Parameters(**structure, imaging=imaging)


def draw_imaging(rng: np.random.Generator, modality: str, across_px: float, *, apart: bool = True) -> Imaging:
    """Imaging of a body whose particles are `across_px` wide; `apart`: carbon and binder differ in it."""
    seen = {name: float(rng.uniform(*meta["drawn"][modality])) for name, meta in numbers_of(Imaging)}
    for name in _SOMETIMES:
        seen[name] *= float(rng.random() > 0.3)
    # An annotator draws what can be seen: particles are much wider than the blur.
    seen["blur_px"] = min(seen["blur_px"], 0.6 + (0.075 if modality == "nano-ct" else 0.04) * across_px)
    # Noise of real micrographs is .3 to 10 % of their range, most often 1 to 2 %.
    for name in ("counts",) if modality == "nano-ct" else ("counts", "noise"):
        seen[name] = float(np.exp(rng.uniform(*np.log(_range(Imaging, name, modality)))))
    if modality == "nano-ct":
        # X-rays hardly tell carbon from binder, and neither well from pore.
        reach = seen["grey_ncm"] - seen["grey_pore"]
        carbon = seen["grey_pore"] + rng.uniform(0.02, 0.3) * reach
        seen["grey_additive"] = carbon + rng.uniform(-0.04, 0.04) * reach
        seen["grey_binder"] = carbon + rng.uniform(-0.04, 0.04) * reach
        return Imaging(modality=modality, **seen)
    if modality == "bse":
        _draw_backscattered(rng, seen, apart)
    else:
        _draw_secondary(rng, seen, apart)
    if rng.random() < 0.35:
        seen["grey_filling"] = float(rng.uniform(240, 330))  # metal, often beyond the scale
    # Resin and metal are told from the solids, or nobody would call them pore.
    for name in ("grey_ncm", "grey_additive", "grey_binder"):
        if abs(seen["grey_filling"] - seen[name]) < 30:
            seen["grey_filling"] = 300.0 if seen["grey_ncm"] < 190 and modality == "se" else 8.0
    return Imaging(modality=modality, **seen)


def _draw_backscattered(rng: np.random.Generator, seen: dict[str, float], apart: bool) -> None:
    """Bright by mean atomic number: carbon is 6, fluorinated binder near 8, active material above 20."""
    seen["grey_ncm"] = max(seen["grey_ncm"], seen["grey_pore"] + 60)
    reach = seen["grey_ncm"] - seen["grey_pore"]
    seen["grey_additive"] = seen["grey_pore"] + rng.uniform(0.08, 0.35 if apart else 0.55) * reach
    seen["grey_binder"] = seen["grey_additive"] + (rng.uniform(0.1, 0.25) * reach if apart else 0.0)


def _draw_secondary(rng: np.random.Generator, seen: dict[str, float], apart: bool) -> None:
    """Relief tells more than grey; where binder is seen apart from carbon it is darker and smooth."""
    if rng.random() < 0.6:
        # A polished cut at low voltage: a web about as bright as active material, with bright rims and walls.
        about = {"grey_pore": (0.0, 40.0), "grey_ncm": (80, 170), "texture": (12, 40), "rim_px": (1.5, 5)}
        about |= {"edge_brightening": (20, 110), "web_glow": (15, 100), "shine_through": (0.4, 1.5)}
        seen |= {name: float(rng.uniform(*within)) for name, within in about.items()}
        seen["grey_additive"] = float(np.clip(seen["grey_ncm"] + rng.uniform(-50, 40), 60, 225))
    if abs(seen["grey_additive"] - seen["grey_ncm"]) < 25:
        seen["texture"] = max(seen["texture"], 20.0)  # where grey does not tell, relief must
    seen["grey_binder"] = seen["grey_additive"]
    if apart:
        seen["grey_additive"] = max(seen["grey_additive"], seen["grey_pore"] + 60)
        room = seen["grey_additive"] - seen["grey_pore"]
        seen["grey_binder"] = seen["grey_additive"] - float(rng.uniform(0.3, 0.65)) * room
        if abs(seen["grey_binder"] - seen["grey_ncm"]) < 20:
            seen["grey_ncm"] += 30.0


def _range(kind: type, name: str, modality: str) -> tuple[float, float]:
    return dict(numbers_of(kind))[name]["drawn"][modality]


def _draw_particles(rng: np.random.Generator, structure: dict[str, float], across_px: float) -> None:
    if across_px < 45:
        structure["fines_fraction"] = 0.0
        structure["fragmentation"] *= 0.4
    # Fines are seen, and not so many that packing them takes all the time.
    structure["fines_ratio"] = min(0.6, max(structure["fines_ratio"], 12 / across_px))
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
    rng: np.random.Generator, structure: dict[str, float], imaging: Imaging, modality: str, apart: bool
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
    elif not apart:
        both = structure["additive_fraction"] + structure["binder_fraction"]
        structure["additive_fraction"], structure["binder_fraction"] = min(0.4, 1.3 * both), 0.0
    if structure["nodule_um"] * 1000 / structure["pixel_size_nm"] < max(3.5, 3 * imaging.blur_px):
        structure["web_porosity"] *= 0.2  # pores that nobody could see are no pores of the mask


def _leave_room(structure: dict[str, float]) -> None:
    """Cracks and inner pores need their room too."""
    room = 0.96 - 0.2 * structure["fragmentation"] - structure["inner_porosity"]
    solids = structure["ncm_fraction"] + structure["additive_fraction"] + structure["binder_fraction"]
    if solids > room:
        for name in ("ncm_fraction", "additive_fraction", "binder_fraction"):
            structure[name] *= room / solids
