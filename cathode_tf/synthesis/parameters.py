"""What a synthetic cathode is made of and how it is imaged; every field says its unit and sensible range."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from cathode_tf.errors import InputError


@dataclass(frozen=True)
class Parameters:
    """Structure and imaging of a synthetic cathode section; the defaults make a calendered NCM cathode in SEM.

    Fractions are area fractions of the section, which estimate volume fractions; the rest is pore.

    Attributes:
        pixel_size_nm: Edge of a pixel, 10-500.
        ncm_fraction: Solid active material, 0.1-0.9; cracks and inner pores are not counted in.
        additive_fraction: Conductive carbon, 0-0.3.
        binder_fraction: Binder, 0-0.3.
        particle_um: Number-weighted median diameter of the secondary particles, 1-20.
        particle_sigma: Log standard deviation of the diameters, 0-0.6.
        roughness: Deviation of the outline from a sphere, as a share of the radius, 0-0.2.
        fragmentation: 0 = intact, 1 = every particle fully broken, 0-1.
    """

    pixel_size_nm: float = 100.0
    ncm_fraction: float = 0.58
    additive_fraction: float = 0.07
    binder_fraction: float = 0.07
    particle_um: float = 6.0
    particle_sigma: float = 0.35
    roughness: float = 0.06
    fragmentation: float = 0.0

    def __post_init__(self) -> None:
        for name, (low, high) in _LIMITS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"synthesis: {name} must be {low:g} to {high:g}. Received {value}.")
        if self.porosity < 0.02:
            raise InputError(
                "synthesis: ncm_fraction, additive_fraction and binder_fraction must leave at least 0.02 of pore. "
                f"Received a sum of {1 - self.porosity:.3f}."
            )

    @property
    def porosity(self) -> float:
        """What the solids leave, 0-1."""
        return 1.0 - self.ncm_fraction - self.additive_fraction - self.binder_fraction

    @classmethod
    def demo(cls) -> Parameters:
        """A clear SEM cross-section, whose four phases a small network tells apart within minutes."""
        return cls()

    @classmethod
    def preset(cls, name: str) -> Parameters:
        """Parameters by the name of a preset: `default` or `demo`."""
        return cls.demo() if name == "demo" else cls()

    @classmethod
    def parse(cls, changes: Iterable[str]) -> dict[str, float]:
        """Changes for `replace` from texts such as `"fragmentation=0.4"`.

        Raises:
            InputError: If a text is not NAME=NUMBER, or there is no such parameter.

        Example:
            >>> Parameters.parse(["fragmentation=0.4"])
            {'fragmentation': 0.4}
        """
        known = [field.name for field in dataclasses.fields(cls)]
        parsed = {}
        for change in changes:
            name, _, value = change.partition("=")
            if name not in known:
                raise InputError(
                    f"synthesis: a parameter must be one of {', '.join(known)}. Received {change!r}."
                )
            try:
                parsed[name] = float(value)
            except ValueError as error:
                raise InputError(f"synthesis: {name} must be a number. Received {change!r}.") from error
        return parsed

    def replace(self, **changes: float) -> Parameters:
        """The same parameters with some changed."""
        return dataclasses.replace(self, **changes)


_LIMITS = {
    "pixel_size_nm": (1.0, 2000.0),
    "ncm_fraction": (0.1, 0.92),
    "additive_fraction": (0.0, 0.4),
    "binder_fraction": (0.0, 0.4),
    "particle_um": (0.1, 100.0),
    "particle_sigma": (0.0, 0.8),
    "roughness": (0.0, 0.3),
    "fragmentation": (0.0, 1.0),
}
