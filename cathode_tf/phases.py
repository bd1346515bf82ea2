"""The phases of a material: names, ids, colours, and what stands for them in annotation files.

This is the only place that knows an id. `phases.toml` comes in; look-up tables and checks go out.
"""

from __future__ import annotations

import itertools
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.texts import read_toml

IGNORE = 255
"""Unlabelled or doubtful: out of loss, metrics and fractions, and never predicted."""

IGNORE_COLOR = "#000000"

ROLES = ("pore", "particle", "binder", "additive", "other")
"""What a phase does in the analysis; the analysis asks for roles, never for ids or names."""

# Okabe & Ito's palette, which people with any common colour-vision deficiency can tell apart.
_PALETTE = ("#56b4e9", "#d55e00", "#f0e442", "#009e73", "#cc79a7", "#0072b2", "#e69f00", "#999999")

_COLOR_OF_ROLE = {
    "pore": "#56b4e9",
    "particle": "#d55e00",
    "additive": "#f0e442",
    "binder": "#009e73",
}

_COLOR = re.compile("#[0-9a-fA-F]{6}")

_NEAR = 15
"""Distance in CIELAB below which two colours pass for one in a picture; in the palette it is 26 at least."""

_ROLE_OF_NAME = {
    "pore": "pore",
    "pores": "pore",
    "void": "pore",
    "electrolyte": "pore",
    "ncm": "particle",
    "nmc": "particle",
    "nca": "particle",
    "lco": "particle",
    "lfp": "particle",
    "particle": "particle",
    "active_material": "particle",
    "active": "particle",
    "binder": "binder",
    "cbd": "binder",
    "additive": "additive",
    "carbon": "additive",
}


@dataclass(frozen=True)
class Phase:
    """One material class.

    Attributes:
        name: What people call it: `"ncm"`.
        id: Its value in segmentation masks, 0-254.
        color: `"#rrggbb"`, for overlays and figures.
        values: Grey values (numbers) or colours (`"#rrggbb"`) that stand for it in annotation files.
        role: One of `ROLES`.
    """

    name: str
    id: int
    color: str
    values: tuple[float | str, ...]
    role: str


@dataclass(frozen=True)
class Phases:
    """The phases of a material, in the order of their model outputs.

    Args:
        entries: The phases; names and ids are unique.
        ignore_values: Grey values or colours that mean "not labelled" in annotation files.

    Raises:
        InputError: If there is no phase, a name or id occurs twice, or an id is not 0-254.

    Example:
        >>> phases = Phases.default()
        >>> phases["ncm"].id, phases.ids
        (1, (0, 1, 2, 3))
        >>> phases.with_role("particle")
        ('ncm',)
    """

    entries: tuple[Phase, ...]
    ignore_values: tuple[float | str, ...] = (IGNORE,)

    def __post_init__(self) -> None:
        if not self.entries:
            raise InputError("phases: must name at least one phase. Received none.")
        for what, values in (("name", self.names), ("id", self.ids)):
            twice = sorted({value for value in values if values.count(value) > 1}, key=str)  # type: ignore[arg-type]
            if twice:
                raise InputError(
                    f"phases: each {what} must occur once. Received {twice[0]!r} more than once."
                )
        for one, other in itertools.combinations(self.names, 2):
            if one.lower() == other.lower():
                raise InputError(
                    "phases: names must differ by more than upper and lower case, as labels may be written in either. "
                    f"Received {one!r} and {other!r}."
                )
        for phase in self.entries:
            if not 0 <= phase.id < IGNORE:
                raise InputError(
                    f"phases: the id of {phase.name!r} must be 0 to 254 (255 is ignored)."
                    f" Received {phase.id}."
                )
            if phase.role not in ROLES:
                raise InputError(
                    f"phases: the role of {phase.name!r} must be one of {', '.join(ROLES)}."
                    f" Received {phase.role!r}."
                )

    @classmethod
    def default(cls) -> Phases:
        """`pore` 0, `ncm` 1, `additive` 2, `binder` 3."""
        return cls.from_names(("pore", "ncm", "additive", "binder"))

    @classmethod
    def from_names(cls, names: Sequence[str]) -> Phases:
        """Phases with ids 0, 1, 2 ... in the order of `names`, with default colours and roles."""
        return cls.from_list([{"name": name, "id": index} for index, name in enumerate(names)])

    @classmethod
    def from_list(
        cls, tables: Sequence[Mapping[str, Any]], ignore_values: Iterable[Any] | None = None
    ) -> Phases:
        """Phases from the `[[phase]]` tables of a `phases.toml`, as `to_list` gives them back.

        Args:
            tables: One mapping a phase: `name`, `id`, and optionally `color`, `values`, `role`.
            ignore_values: What means "not labelled" in annotation files; default 255, unless a phase
                claims it.
        """
        colors = _default_colors(tables)
        entries = tuple(_phase(table, color) for table, color in zip(tables, colors, strict=True))
        if ignore_values is None:
            claimed = {value for phase in entries for value in phase.values}
            ignore_values = () if IGNORE in claimed else (IGNORE,)
        return cls(entries, tuple(_value(value, "ignore") for value in ignore_values))

    @classmethod
    def from_toml(cls, path: str | Path) -> Phases:
        """Phases from a `phases.toml`.

        Raises:
            InputError: If the file cannot be read, is no TOML, or does not describe phases.
        """
        content = read_toml(path)
        tables = content.get("phase")
        if not isinstance(tables, list) or not tables:
            raise InputError(
                f"{path}: must hold at least one [[phase]] table with name and id. Received none."
            )
        ignore = content.get("ignore", {})
        if not isinstance(ignore, dict) or not isinstance(ignore.get("values", []), list):
            raise InputError(f"{path}: [ignore] must be a table with a list of values. Received {ignore!r}.")
        try:
            phases = cls.from_list(tables, ignore.get("values"))
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        for one, other in itertools.combinations(phases, 2):
            if _near(one.color, other.color):
                warnings.warn(
                    f"{path}: the colours of phases should differ. {one.name!r} ({one.color}) and {other.name!r} "
                    f"({other.color}) look alike in overlays and figures; change one of them.",
                    InputWarning,
                    stacklevel=2,
                )
        return phases

    def to_list(self) -> list[dict[str, Any]]:
        """Plain tables that `from_list` reads, for JSON and TOML."""
        return [
            {"name": p.name, "id": p.id, "color": p.color, "values": list(p.values), "role": p.role}
            for p in self.entries
        ]

    def to_toml(self) -> str:
        """The text of a `phases.toml` that `from_toml` reads back to equal phases."""
        blocks = []
        for phase in self.entries:
            values = ", ".join(f'"{v}"' if isinstance(v, str) else f"{v:g}" for v in phase.values)
            blocks.append(
                f'[[phase]]\nname = "{phase.name}"\nid = {phase.id}\ncolor = "{phase.color}"\n'
                f'values = [{values}]\nrole = "{phase.role}"\n'
            )
        ignored = ", ".join(f'"{v}"' if isinstance(v, str) else f"{v:g}" for v in self.ignore_values)
        return "\n".join([*blocks, f"[ignore]\nvalues = [{ignored}]\n"])

    @property
    def names(self) -> tuple[str, ...]:
        """Names, in the order of the model's outputs."""
        return tuple(phase.name for phase in self.entries)

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids in segmentation masks, in the order of the model's outputs."""
        return tuple(phase.id for phase in self.entries)

    @property
    def ignore(self) -> int:
        """The id of unlabelled pixels, 255."""
        return IGNORE

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self):
        return iter(self.entries)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> Phase:
        for phase in self.entries:
            if phase.name == name:
                return phase
        raise InputError(f"phases: {name!r} must be one of {', '.join(self.names)}.")

    def with_role(self, role: str) -> tuple[str, ...]:
        """Names of the phases that have this role (one of `ROLES`)."""
        return tuple(phase.name for phase in self.entries if phase.role == role)

    @cached_property
    def _index_table(self) -> np.ndarray:
        table = np.full(256, 254, np.uint8)
        table[list(self.ids)] = np.arange(len(self))
        table[IGNORE] = IGNORE
        table.setflags(write=False)
        return table

    @cached_property
    def _id_table(self) -> np.ndarray:
        table = np.full(256, IGNORE, np.uint8)
        table[: len(self)] = self.ids
        table.setflags(write=False)
        return table

    def to_indices(self, mask: np.ndarray) -> np.ndarray:
        """Class indices (0 ... n-1, the model's channels; 255 stays) of a segmentation mask of ids, uint8.

        The ids must have been checked (`check_mask`).
        """
        return self._index_table[mask]

    def to_ids(self, indices: np.ndarray) -> np.ndarray:
        """Segmentation mask of ids (uint8) from class indices; the inverse of `to_indices`."""
        return self._id_table[indices]

    def check_mask(self, mask: np.ndarray, source: str | Path = "mask") -> None:
        """Raise unless `mask` is a segmentation mask of these phases.

        Args:
            mask: Array (height, width), or (depth, height, width), uint8.
            source: File name for the message.

        Raises:
            InputError: If the dtype is not uint8, or an id is neither a phase nor 255.
        """
        if mask.dtype != np.uint8:
            raise InputError(f"{source}: must be a uint8 mask of phase ids. Received {mask.dtype}.")
        # Id by id, which for a handful of ids is much faster than a histogram.
        if sum(np.count_nonzero(mask == id_) for id_ in (*self.ids, IGNORE)) < mask.size:
            counts = np.bincount(mask.ravel(), minlength=256)
            counts[[*self.ids, IGNORE]] = 0
            wrong = int(np.flatnonzero(counts)[0])
            raise InputError(
                f"{source}: must hold only the ids of phases.toml ({self.describe()}; 255 is ignored). "
                f"Received {wrong} in {counts[wrong]} pixels. Add the phase there, or map {wrong} to 255."
            )

    def describe(self) -> str:
        """Ids and names in one line: `0 pore, 1 ncm, 2 additive, 3 binder`."""
        return ", ".join(f"{phase.id} {phase.name}" for phase in self.entries)

    def palette(self) -> np.ndarray:
        """RGB colour of each mask value, uint8 (256, 3); values that are no phase are black."""
        table = np.zeros((256, 3), np.uint8)
        for phase in self.entries:
            table[phase.id] = rgb(phase.color)
        table[IGNORE] = rgb(IGNORE_COLOR)
        return table

    def same_classes(self, other: Phases) -> bool:
        """Whether both have the same names and ids in the same order (colours and values may differ)."""
        return self.names == other.names and self.ids == other.ids


def rgb(color: str) -> tuple[int, int, int]:
    """Red, green and blue (0-255) of `"#rrggbb"`.

    Example:
        >>> rgb("#d95f02")
        (217, 95, 2)
    """
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _lab(color: str) -> np.ndarray:
    """CIELAB of an sRGB colour under D65."""
    share = np.array(rgb(color)) / 255
    linear = np.where(share > 0.04045, ((share + 0.055) / 1.055) ** 2.4, share / 12.92)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
    ratio = xyz / (0.9505, 1, 1.089)
    x, y, z = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def _near(one: str, other: str) -> bool:
    return bool(np.linalg.norm(_lab(one) - _lab(other)) < _NEAR)


def _default_colors(tables: Sequence[Any]) -> list[str]:
    """A colour for each phase that gives none: that of its role, or else the first that no other phase is near.

    So a phase has one colour in every report, wherever it stands in `phases.toml`.
    """
    given = [table.get("color") if isinstance(table, Mapping) else None for table in tables]
    taken = [color for color in given if isinstance(color, str) and _COLOR.fullmatch(color)]
    free = [color for color in _PALETTE if not any(_near(color, other) for other in taken)]
    colors: list[str | None] = [color if isinstance(color, str) else None for color in given]
    for position, table in enumerate(tables):
        own = _COLOR_OF_ROLE.get(_role_of(table))
        if colors[position] is None and given[position] is None and own in free:
            colors[position] = own
            free.remove(own)
    # Colours of roles are kept for phases of these roles as long as there are others.
    others = iter(sorted(free, key=lambda color: color in _COLOR_OF_ROLE.values()))
    return [
        color or next(others, _PALETTE[position % len(_PALETTE)]) for position, color in enumerate(colors)
    ]


def _role_of(table: Any) -> str:
    if not isinstance(table, Mapping):
        return "other"
    return str(table.get("role", _ROLE_OF_NAME.get(str(table.get("name")).lower(), "other")))


def _phase(table: Mapping[str, Any], default_color: str) -> Phase:
    if not isinstance(table, Mapping):
        raise InputError("phases: each phase must be a table with name and id.")
    unknown = sorted(set(table) - {"name", "id", "color", "values", "role"})
    if unknown:
        raise InputError(
            f"phases: a [[phase]] may hold name, id, color, values and role. Received {unknown[0]!r}."
        )
    name, id_ = table.get("name"), table.get("id")
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        raise InputError(
            f"phases: a name must be letters, digits, '_' and '-', beginning with a letter."
            f" Received {name!r}."
        )
    if not isinstance(id_, int) or isinstance(id_, bool):
        raise InputError(f"phases: the id of {name!r} must be a whole number. Received {id_!r}.")
    color = table.get("color", default_color)
    if not isinstance(color, str) or not _COLOR.fullmatch(color):
        raise InputError(f'phases: the color of {name!r} must look like "#d95f02". Received {color!r}.')
    values = table.get("values", [id_])
    if not isinstance(values, list) or not values:
        raise InputError(
            f"phases: the values of {name!r} must be a list of numbers or colours. Received {values!r}."
        )
    role = table.get("role", _ROLE_OF_NAME.get(name.lower(), "other"))
    return Phase(name, id_, color.lower(), tuple(_value(value, name) for value in values), role)


def _value(value: Any, name: str) -> float | str:
    if isinstance(value, str) and _COLOR.fullmatch(value):
        return value.lower()
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    if (
        isinstance(value, list)
        and len(value) == 3
        and all(isinstance(v, int) and 0 <= v < 256 for v in value)
    ):
        return "#{:02x}{:02x}{:02x}".format(*value)
    raise InputError(
        f'phases: a value of {name!r} must be a number, "#rrggbb" or [red, green, blue]. Received {value!r}.'
    )
