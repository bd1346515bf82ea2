"""How a synthetic section is recorded: the modality, its grey levels and every effect of the instrument."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from cathode_tf.errors import InputError
from cathode_tf.synthesis.limits import check_numbers, number, numbers_of

MODALITIES = ("se", "bse", "sem", "nano-ct")
DRAWN = ("se", "bse", "nano-ct")
"""What domain randomisation draws from; "sem" is a detector that mixes secondary and backscattered electrons."""

OF_THE_BEAM = ("blur_px", "gradient", "noise_grain_px", "drift_px", "databar_px", "bits")
"""Fields of `Imaging` that two detectors of one scan share."""


@dataclass(frozen=True)
class Imaging:
    """How the section is imaged; every effect is off at 0. `Parameters.table()` prints all fields.

    Attributes:
        modality: `"se"` (secondary electrons: relief, rims, walls behind open pores), `"bse"` (backscattered
            electrons: mean atomic number), `"sem"` (a detector that mixes both) or `"nano-ct"` (an X-ray slice).
    """

    modality: str = "sem"
    grey_pore: float = number(28, 0, 255, (0, 60), "grey level of pore", ct=(40, 75))
    grey_ncm: float = number(
        178, 0, 255, (70, 205), "grey level of active material", bse=(120, 235), ct=(150, 200)
    )
    grey_additive: float = number(
        112, 0, 255, (45, 225), "grey level of additive", bse=(15, 110), ct=(70, 105)
    )
    grey_binder: float = number(70, 0, 255, (35, 215), "grey level of binder", bse=(12, 100), ct=(65, 100))
    grey_filling: float = number(
        60, 0, 400, (5, 255), "grey level of what fills infiltrated pores", bse=(5, 255), ct=(50, 90)
    )
    channelling: float = number(
        3, 0, 40, (0, 12), "grey spread between the grains of a particle", bse=(0, 16), ct=(0, 4)
    )
    particle_spread: float = number(4, 0, 40, (0, 9), "grey spread between particles", ct=(0, 14))
    texture: float = number(12, 0, 80, (4, 55), "grey spread of the grainy carbon", bse=(2, 20), ct=(3, 16))
    etching: float = number(
        0, 0, 60, (0, 25), "grey lost on the boundaries of grains", bse=(0, 15), ct=(0, 0)
    )
    mottle: float = number(0, 0, 40, (0, 5), "grey spread of soft clouds inside the solids", ct=(4, 18))
    edge_brightening: float = number(
        6, 0, 120, (0, 75), "grey gained at the rim of a particle or web", bse=(0, 12), ct=(0, 0)
    )
    rim_px: float = number(2, 0.5, 12, (1, 6), "width of bright rims", bse=(1, 3), ct=(2, 2))
    web_glow: float = number(
        0, 0, 150, (0, 90), "grey gained where carbon borders on open pores", bse=(0, 12), ct=(0, 0)
    )
    shadowing: float = number(4, 0, 80, (0, 30), "grey lost beside a tall rim", bse=(0, 12), ct=(0, 0))
    shine_through: float = number(
        0.25,
        0,
        2,
        (0.15, 1.5),
        "how much of what lies behind shows in an open pore",
        bse=(0, 0.45),
        ct=(0, 0),
    )
    charging: float = number(
        0, 0, 100, (0, 30), "grey of streaks and halos where charge gathers", bse=(0, 8), ct=(0, 0)
    )
    curtaining: float = number(
        2, 0, 60, (0, 14), "grey spread of the mill's streaks below edges", bse=(0, 8), ct=(0, 0)
    )
    gradient: float = number(6, 0, 80, (0, 25), "grey spread of slow brightness changes")
    fringe: float = number(0, 0, 3, (0, 0), "strength of phase fringes at edges", ct=(0, 1.6))
    rings: float = number(0, 0, 30, (0, 0), "grey spread of ring artefacts", ct=(0, 5))
    smear: float = number(0, 0, 1, (0, 0), "blur along the rows from missing angles, x blur_px", ct=(0, 1))
    blur_px: float = number(0.9, 0, 12, (0.4, 2.2), "standard deviation of the blur", ct=(2.0, 9.0))
    drift_px: float = number(0, 0, 12, (0, 2), "row displacement while scanning", ct=(0, 0))
    counts: float = number(
        60,
        0,
        1e6,
        (40, 20000),
        "electrons or photons at the brightest pixel: dwell",
        bse=(25, 8000),
        ct=(300, 6000),
    )
    noise: float = number(
        4, 0, 80, (0.3, 8), "Gaussian noise of the detector, grey", bse=(0.3, 12), ct=(0.5, 12)
    )
    noise_grain_px: float = number(0, 0, 5, (0, 0.8), "correlation length of the noise", ct=(0.8, 4))
    gamma: float = number(1, 0.3, 3, (0.75, 1.35), "exponent of the grey scale", ct=(0.8, 1.25))
    databar_px: float = number(0, 0, 400, (0, 0), "rows of a burnt-in text bar (255 in the mask)")
    bits: float = number(8, 8, 16, (8, 8), "8 or 16 bits a pixel")

    @classmethod
    def plain(cls) -> Imaging:
        """No effect at all: four flat grey levels.

        Example:
            >>> Imaging.plain().noise
            0.0
        """
        kept = (
            "grey_pore",
            "grey_ncm",
            "grey_additive",
            "grey_binder",
            "grey_filling",
            "bits",
            "gamma",
            "rim_px",
        )
        off: dict[str, Any] = {name: 0.0 for name, _ in numbers_of(cls) if name not in kept}
        return cls(**off)

    def other(self) -> Imaging:
        """What a second detector makes of the same section: backscattered for secondary electrons, and the reverse.

        Raises:
            InputError: For nano-CT, which has one detector.
        """
        if self.modality == "nano-ct":
            raise InputError(
                "synthesis: a second detector must be of an electron microscope. Received nano-ct."
            )
        same = {name: getattr(self, name) for name in OF_THE_BEAM}
        return replace(Imaging.se() if self.modality == "bse" else Imaging.bse(), **same)

    @classmethod
    def se(cls) -> Imaging:
        """Secondary electrons: carbon as bright as active material, lit walls behind open pores, bright rims."""
        return cls(
            modality="se",
            grey_pore=18,
            grey_ncm=124,
            grey_additive=106,
            grey_binder=104,
            grey_filling=240,
            texture=19,
            etching=8,
            edge_brightening=70,
            rim_px=3,
            web_glow=48,
            shadowing=8,
            shine_through=0.95,
            charging=0,
            curtaining=2,
            counts=4000,
            noise=1,
            noise_grain_px=0.6,
        )

    @classmethod
    def bse(cls) -> Imaging:
        """Backscattered electrons: bright by mean atomic number, little relief, more noise."""
        return cls(
            modality="bse",
            grey_pore=22,
            grey_ncm=185,
            grey_additive=58,
            grey_binder=48,
            grey_filling=230,
            channelling=6,
            texture=8,
            edge_brightening=2,
            shadowing=3,
            shine_through=0.15,
            curtaining=2,
            counts=110,
            noise=5,
        )

    def __post_init__(self) -> None:
        if self.modality not in MODALITIES:
            raise InputError(
                f"synthesis: modality must be one of {', '.join(MODALITIES)}. Received {self.modality!r}."
            )
        check_numbers(self)
        if self.bits not in (8, 16):
            raise InputError(f"synthesis: bits must be 8 or 16. Received {self.bits:g}.")
