"""Porosity of the image and the electrode's mass and thickness in; both porosities, and whether they agree, out.

An image sees no pores below its resolution, of which the binder and carbon domain is full; the balance sees them all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scipy import stats

from cathode_tf.errors import InputError
from cathode_tf.statistics.estimate import LEVEL, NO_INTERVAL, Estimate, quantity
from cathode_tf.texts import read_toml

REFERENCE = "mass balance; ISO 13528 (E_n); JCGM 100:2008 (GUM)"


@dataclass(frozen=True)
class Electrode:
    """What the balance and the micrometer say about a coating.

    Attributes:
        loading_mg_cm2: Mass of the coating per area of one side.
        thickness_um: Of that coating, without the foil.
        mass_fractions, densities_g_cm3: By component; the shares sum to 1.
        loading_u, thickness_u: Standard uncertainties, in the same units.
        cbd_porosity: Range of the porosity inside additive and binder that the image cannot resolve.
    """

    loading_mg_cm2: float
    thickness_um: float
    mass_fractions: Mapping[str, float]
    densities_g_cm3: Mapping[str, float]
    loading_u: float = 0.0
    thickness_u: float = 0.0
    cbd_porosity: tuple[float, float] = field(default=(0.0, 0.0))

    def __post_init__(self) -> None:
        for name in ("loading_mg_cm2", "thickness_um"):
            _check(name, getattr(self, name), above=True)
        for name in ("loading_u", "thickness_u"):
            _check(name, getattr(self, name), above=False)
        if set(self.mass_fractions) != set(self.densities_g_cm3) or not self.mass_fractions:
            raise InputError("electrode: each component must have a mass fraction and a density.")
        for name, density in self.densities_g_cm3.items():
            _check(f"density of {name}", density, above=True)
            _check(f"mass fraction of {name}", self.mass_fractions[name], above=False)
        total = sum(self.mass_fractions.values())
        if not math.isclose(total, 1, abs_tol=0.005):
            raise InputError(f"electrode: mass fractions must sum to 1. Received a sum of {total:.4g}.")
        low, high = self.cbd_porosity
        if not 0 <= low <= high < 1:
            raise InputError(
                f"electrode: cbd_porosity must be a range within 0 to 1. Received {low} to {high}."
            )

    @classmethod
    def from_toml(cls, path: str | Path) -> Electrode:
        """Read `electrode.toml`: these fields, and `[[component]]` tables of name, mass_fraction, density_g_cm3.

        Raises:
            InputError: If the file cannot be read, or a field is missing, unknown or impossible.
        """
        try:
            content = read_toml(path)
            parts = content.pop("component", [])
            content["mass_fractions"] = {part["name"]: part["mass_fraction"] for part in parts}
            content["densities_g_cm3"] = {part["name"]: part["density_g_cm3"] for part in parts}
            content["cbd_porosity"] = tuple(content.get("cbd_porosity", (0.0, 0.0)))
            low_high = len(content["cbd_porosity"])
            if low_high != 2:
                raise InputError(f"cbd_porosity must be two numbers. Received {low_high}.")
            return cls(**content)
        except KeyError as error:
            raise InputError(
                f"{path}: each [[component]] must have name, mass_fraction and density_g_cm3. {error} is missing."
            ) from error
        except TypeError as error:
            known = ", ".join(["[[component]]", *cls.__dataclass_fields__])
            raise InputError(f"{path}: may hold {known} ({error}).") from error
        except InputError as error:
            text = str(error)
            raise InputError(text if text.startswith(str(path)) else f"{path}: {text}") from error


def _check(name: str, value: Any, *, above: bool) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or value < 0 or (above and value == 0):
        raise InputError(
            f"electrode: {name} must be {'above 0' if above else '0 or more'}. Received {value!r}."
        )


def gravimetric_porosity(electrode: Electrode) -> Estimate:
    """Porosity from mass and thickness, eps = 1 - (m / t) sum(w_i / rho_i).

    Returns:
        0-1; without an interval where no uncertainty of mass or thickness was given.

    Example:
        >>> coating = Electrode(20, 70, {"ncm": 1.0}, {"ncm": 4.0}, thickness_u=0.7)
        >>> print(gravimetric_porosity(coating))  # 1 - (10 * 20 / 70) / 4
        0.286 +- 0.014 (95 %, 1 electrode)

    Reference:
        Mass balance; JCGM 100:2008 (GUM) for the propagation.
    """
    volume = sum(w / electrode.densities_g_cm3[name] for name, w in electrode.mass_fractions.items())
    # 1 mg/cm2 over 1 um is 10 g/cm3.
    solid = 10 * electrode.loading_mg_cm2 / electrode.thickness_um * volume
    parts = {
        "loading": solid * electrode.loading_u / electrode.loading_mg_cm2,
        "thickness": solid * electrode.thickness_u / electrode.thickness_um,
    }
    fields: dict[str, Any] = {
        "n": 1,
        "unit_of_replication": "electrode",
        "method": "porosity from loading, thickness and densities, 1 - (m / t) sum(w / rho)",
        "reference": REFERENCE,
    }
    if solid >= 1:
        return Estimate.refused(
            f"the solids would fill {solid:.0%} of the coating: check loading, thickness and densities",
            **fields,
        )
    u = math.hypot(*parts.values())
    if not u:
        flags = {NO_INTERVAL: "no uncertainty of loading or thickness was given"}
        return Estimate(1 - solid, flags=flags, **fields)
    half = float(stats.norm.ppf(0.5 + LEVEL / 2)) * u
    return quantity(1 - solid, half, bounds=(0, 1), components=parts, **fields)


def reconcile_porosity(image: Estimate, cbd: Estimate | None, electrode: Electrode) -> dict[str, Estimate]:
    """The image's porosity, completed by unresolved pores, against that of mass and thickness.

    eps_total = eps_image + eps_cbd V_cbd, with eps_cbd rectangular over `cbd_porosity`; E_n = (a - b) /
    sqrt(U_a^2 + U_b^2) with expanded uncertainties; they agree where |E_n| <= 1.

    Args:
        image: Fraction of the pores in the images.
        cbd: Fraction of additive and binder together; None: the phases know neither.
        electrode: What the balance says.

    Returns:
        `porosity_total` (image), `porosity_gravimetric`, and `porosity_difference` (image - gravimetric), whose flag
        `AGREEMENT` holds E_n and what it means.

    Reference:
        ISO 13528 (E_n score); JCGM 100:2008 (GUM).
    """
    weighed = gravimetric_porosity(electrode)
    total = _completed(image, cbd, electrode)
    fields: dict[str, Any] = {
        "n": image.n,
        "unit_of_replication": image.unit_of_replication,
        "method": "porosity of the images, with unresolved pores of additive and binder, less that of the balance",
        "reference": REFERENCE,
    }
    if total.value is None or weighed.value is None:
        reason = next(e.flags["REFUSED"] for e in (total, weighed) if e.value is None)
        difference = Estimate.refused(reason, **fields)
    else:
        gap = total.value - weighed.value
        u = math.hypot(total.standard_uncertainty or 0.0, weighed.standard_uncertainty or 0.0)
        half = float(stats.norm.ppf(0.5 + LEVEL / 2)) * u if total.ci and weighed.ci else None
        if half:
            e_n = gap / half
            verdict = "agree" if abs(e_n) <= 1 else "disagree"
            flags = {"AGREEMENT": f"image and balance {verdict}: E_n = {e_n:.2f}"}
        else:
            flags = {NO_INTERVAL: "one of the two porosities has no interval, so agreement cannot be judged"}
            half = None
        difference = quantity(gap, half, flags=flags, **fields)
    return {
        "porosity_total": total,
        "porosity_gravimetric": weighed,
        "porosity_difference": difference,
    }


def _completed(image: Estimate, cbd: Estimate | None, electrode: Electrode) -> Estimate:
    """The image's porosity with the pores inside additive and binder."""
    low, high = electrode.cbd_porosity
    fields: dict[str, Any] = {
        "n": image.n,
        "unit_of_replication": image.unit_of_replication,
        "method": f"porosity of the images plus {low:g} to {high:g} of additive and binder",
        "reference": REFERENCE,
    }
    if image.value is None:
        return Estimate.refused(image.flags["REFUSED"], **fields)
    share = cbd.value if cbd is not None and cbd.value is not None else 0.0
    value = image.value + (low + high) / 2 * share
    parts = {
        "image": image.standard_uncertainty or 0.0,
        "cbd_porosity": (high - low) / 2 / math.sqrt(3) * share,
    }
    if cbd is not None and cbd.standard_uncertainty:
        parts["cbd_fraction"] = (low + high) / 2 * cbd.standard_uncertainty
    if image.ci is None:
        return Estimate(value, components=parts, flags=dict(image.flags), **fields)
    half = float(stats.norm.ppf(0.5 + LEVEL / 2)) * math.hypot(*parts.values())
    return quantity(value, half, bounds=(0, 1), components=parts, **fields)
