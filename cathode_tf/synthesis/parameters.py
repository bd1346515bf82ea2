"""What a synthetic cathode is made of and how it is imaged; every field carries its range and its meaning."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.synthesis.limits import check_numbers, number, numbers_of, parse_numbers
from cathode_tf.synthesis.microscope import DRAWN, Imaging


@dataclass(frozen=True)
class Parameters:
    """Structure and imaging of a synthetic cathode section; the defaults make a calendered NCM cathode in SEM.

    Fractions are area fractions of the section, which estimate volume fractions; the rest is pore.
    `Parameters.table()` lists every field with its range, its randomisation range and its meaning.
    """

    pixel_size_nm: float = number(100, 1, 2000, (30, 200), "edge of a pixel, nm")
    ncm_fraction: float = number(0.58, 0.1, 0.92, (0.4, 0.75), "solid active material", ct=(0.45, 0.9))
    additive_fraction: float = number(0.07, 0, 0.4, (0.02, 0.14), "conductive carbon", ct=(0.01, 0.4))
    binder_fraction: float = number(0.07, 0, 0.4, (0.02, 0.12), "binder", ct=(0, 0.35))
    particle_um: float = number(6, 0.1, 100, (3, 12), "median diameter of the secondary particles, by number")
    particle_sigma: float = number(0.35, 0, 0.6, (0.05, 0.45), "log standard deviation of the diameters")
    fines_fraction: float = number(
        0, 0, 0.8, (0, 0.4), "share of the loading in small particles", ct=(0, 0.6)
    )
    fines_ratio: float = number(
        0.3, 0.15, 0.6, (0.25, 0.5), "their diameter, relative to particle_um", ct=(0.2, 0.5)
    )
    elongation: float = number(0.15, 0, 0.5, (0, 0.3), "typical excess of a particle's longest axis")
    flatness: float = number(0, 0, 0.8, (0, 0.3), "typical share by which a particle is thinner than wide")
    angularity: float = number(0, 0, 1, (0, 1), "0 rounded particles ... 1 ground ones with flat faces")
    roughness: float = number(0.05, 0, 0.3, (0.01, 0.09), "deviation of the outline, share of the radius")
    calendering: float = number(
        0, 0, 0.5, (0, 0.35), "thickness lost in the press; rows run through the thickness"
    )
    grain_um: float = number(0.6, 0.02, 5, (0.2, 1.2), "size of the primary grains")
    lobes: float = number(0, 0, 1, (0, 1), "how far grains stand out of a particle's outline")
    single_crystals: float = number(0, 0, 1, (0, 1), "share of particles that are a single grain")
    inner_porosity: float = number(0.01, 0, 0.3, (0, 0.04), "pores inside particles, share of their area")
    inner_pore_ratio: float = number(
        0.06, 0.01, 0.3, (0.03, 0.14), "size of an inner pore, relative to particle_um", ct=(0.06, 0.2)
    )
    contact_gap_um: float = number(
        0.15, 0, 2, (0, 0.3), "typical gap between touching particles, left to binder and pore"
    )
    fragmentation: float = number(0, 0, 1, (0, 0.6), "0 intact ... 1 all particles broken up", ct=(0, 0.25))
    fragment_ratio: float = number(0.3, 0.1, 0.7, (0.2, 0.5), "size of a fragment, relative to particle_um")
    crack_um: float = number(
        0.1, 0.01, 3, (0.1, 0.5), "typical opening of a crack; at least a pixel is drawn"
    )
    additive_um: float = number(2, 0.05, 20, (0.8, 3), "size of the carbon clusters", ct=(1.5, 6))
    additive_chains: float = number(0.3, 0, 1, (0, 1), "0 compact clusters ... 1 chains", ct=(0, 0.4))
    nodule_um: float = number(0.4, 0.02, 10, (0.15, 0.8), "size of the nodules that carbon consists of")
    web_porosity: float = number(
        0, 0, 2, (0, 1), "how much carbon is pierced by pores of the size of its nodules", ct=(0, 0.6)
    )
    carbon_coating: float = number(
        0, 0, 2, (0, 0.4), "0 carbon apart from particles ... 1 around them, pores beyond it", ct=(0, 0.5)
    )
    binder_webs: float = number(
        0.3, 0, 1, (0, 1), "0 films and bridges at contacts ... 1 webs across pores", ct=(0.5, 1)
    )
    infiltration: float = number(0, 0, 1, (0, 1), "share of the pores that resin or metal fills", ct=(0, 0))
    imaging: Imaging = field(default_factory=Imaging)

    def __post_init__(self) -> None:
        check_numbers(self)
        if self.porosity < 0.015:
            raise InputError(
                "synthesis: ncm_fraction, additive_fraction and binder_fraction must leave at least 0.015 of pore. "
                f"Received a sum of {1 - self.porosity:.3f}."
            )

    @property
    def porosity(self) -> float:
        """What the solids leave, 0-1; cracks and inner pores are part of it."""
        return 1.0 - self.ncm_fraction - self.additive_fraction - self.binder_fraction

    @classmethod
    def demo(cls) -> Parameters:
        """A clear SEM cross-section, whose four phases a small network tells apart within minutes."""
        parameters = cls(ncm_fraction=0.52, additive_fraction=0.11, binder_fraction=0.12, particle_um=8)
        shapes = {"additive_um": 3.5, "additive_chains": 0.1, "binder_webs": 0.1, "roughness": 0.04}
        return parameters.replace(**shapes, counts=110, noise=3, grey_binder=73)

    @classmethod
    def nano_ct(cls) -> Parameters:
        """A slice of X-ray nano tomography: soft edges, fringes, rings, carbon hardly brighter than pore."""
        imaging = Imaging(
            modality="nano-ct",
            grey_pore=58,
            grey_ncm=170,
            grey_additive=88,
            grey_binder=80,
            channelling=1,
            particle_spread=5,
            texture=8,
            mottle=8,
            edge_brightening=0,
            shadowing=0,
            shine_through=0,
            curtaining=0,
            gradient=8,
            fringe=0.5,
            rings=2,
            smear=0.3,
            blur_px=2.5,
            counts=500,
            noise=4,
            noise_grain_px=1,
        )
        return cls(ncm_fraction=0.62, fines_fraction=0.35, particle_um=9, imaging=imaging)

    @classmethod
    def random(cls, rng: np.random.Generator, modality: str | None = None) -> Parameters:
        """Domain randomisation: structure and imaging drawn anew, as wide as real pictures differ.

        Args:
            rng: Source of randomness.
            modality: `"se"`, `"bse"`, `"nano-ct"`, or `"sem"` for either of the first two; default: any.

        Example:
            >>> Parameters.random(np.random.default_rng(0), "nano-ct").imaging.modality
            'nano-ct'
        """
        from cathode_tf.synthesis.drawing import draw_parameters

        return draw_parameters(rng, modality)

    @classmethod
    def se(cls) -> Parameters:
        """A FIB-SEM cut in secondary electrons: lobed particles, a porous web of carbon and binder, open pores."""
        return cls(
            ncm_fraction=0.55,
            additive_fraction=0.16,
            binder_fraction=0.04,
            particle_sigma=0.45,
            lobes=0.7,
            additive_um=1.6,
            web_porosity=0.6,
            nodule_um=0.3,
            carbon_coating=0.1,
            pixel_size_nm=50,
            imaging=Imaging.se(),
        )

    @classmethod
    def lco(cls) -> Parameters:
        """Ground, flat, single-crystal particles between a web of carbon and binder, in secondary electrons."""
        return cls.se().replace(
            particle_um=5,
            particle_sigma=0.5,
            angularity=0.6,
            flatness=0.35,
            elongation=0.35,
            lobes=0,
            single_crystals=1,
            binder_fraction=0,
            inner_porosity=0,
        )

    @classmethod
    def preset(cls, name: str) -> Parameters:
        """Parameters by the name of a preset: `default`, `demo`, `se`, `bse`, `lco` or `nano-ct`."""
        presets: dict[str, Callable[[], Parameters]] = {
            "default": cls,
            "demo": cls.demo,
            "se": cls.se,
            "bse": lambda: cls.se().replace(imaging=Imaging.bse()),
            "lco": cls.lco,
            "nano-ct": cls.nano_ct,
        }
        if name not in presets:
            raise InputError(f"synthesis: a preset must be one of {', '.join(presets)}. Received {name!r}.")
        return presets[name]()

    @classmethod
    def parse(cls, changes: Iterable[str]) -> dict[str, float]:
        """Changes for `replace` from texts such as `"fragmentation=0.4"`.

        Raises:
            InputError: If a text is not NAME=NUMBER, or there is no such parameter.

        Example:
            >>> Parameters.parse(["fragmentation=0.4"])
            {'fragmentation': 0.4}
        """
        return parse_numbers(changes, [name for name, _ in (*numbers_of(cls), *numbers_of(Imaging))])

    @classmethod
    def table(cls) -> str:
        """Every parameter as a markdown table: default, range, what randomisation draws, meaning."""
        lines = [
            "| parameter | default | range | drawn, SE | drawn, BSE | drawn, nano-CT | meaning |",
            "|---|---|---|---|---|---|---|",
        ]
        for kind in (cls, Imaging):
            defaults = kind()
            for name, meta in numbers_of(kind):
                spans = [meta["limits"], *(meta["drawn"][kind_] for kind_ in DRAWN)]
                cells = [f"{low:g}" if low == high else f"{low:g} to {high:g}" for low, high in spans]
                lines.append(
                    f"| `{name}` | {getattr(defaults, name):g} | {' | '.join(cells)} | {meta['about']} |"
                )
        return "\n".join(lines)

    def replace(self, **changes: Any) -> Parameters:
        """The same parameters with some changed, those of the imaging included.

        Example:
            >>> Parameters().replace(fragmentation=0.5, blur_px=2.0).imaging.blur_px
            2.0
        """
        seen = {name: changes.pop(name) for name, _ in numbers_of(Imaging) if name in changes}
        if "modality" in changes:
            seen["modality"] = changes.pop("modality")
        if seen:
            changes["imaging"] = dataclasses.replace(changes.get("imaging", self.imaging), **seen)
        return dataclasses.replace(self, **changes)

    def calendered(self, reduction: float) -> Parameters:
        """The same cathode after the press took `reduction` (0-0.5) of its thickness: less pore, same solids.

        Example:
            >>> loose = Parameters(ncm_fraction=0.45, additive_fraction=0.05, binder_fraction=0.05)
            >>> round(loose.porosity, 3), round(loose.calendered(0.3).porosity, 3)  # 1 - 0.55 / 0.7
            (0.45, 0.214)
        """
        kept = 1.0 - reduction
        return self.replace(
            calendering=1 - (1 - self.calendering) * kept,
            ncm_fraction=self.ncm_fraction / kept,
            additive_fraction=self.additive_fraction / kept,
            binder_fraction=self.binder_fraction / kept,
        )
