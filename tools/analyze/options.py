"""The options of `cathode-tf analyze` in groups, and which of them go together."""

from __future__ import annotations

import itertools
import re

import click

OF_VOLUMES = {"voxel_size_nm", "tortuosity"}
OF_SECTIONS = {
    "drawn_by",
    "model",
    "groups_file",
    "replicate",
    "evaluation",
    "reference_points",
    "draw_points",
    "sample_type",
    "unfolding",
    "edge_px",
    "pixel_size_rel",
    "electrode",
    "depth_axis",
    "fragmentation",
    "crack_opening_px",
    "crack_evidence",
    "fines_diameter",
    "min_area_px",
}
OF_CRACKS = {"crack_opening_px", "crack_evidence", "fines_diameter"}
OF_MICROGRAPHS = {"crack_evidence"}

GROUPS = {
    "What is measured": ("phases_file", "pixel_size_nm", "model", "groups_file", "replicate", "sample_type"),
    "Fractions and their intervals": (
        "evaluation",
        "reference_points",
        "draw_points",
        "edge_px",
        "pixel_size_rel",
        "electrode",
        "depth_axis",
    ),
    "Particles": ("unfolding", "neck_depth", "min_area_px"),
    "Cracks and fragments": ("fragmentation", "crack_opening_px", "crack_evidence", "fines_diameter"),
    "Volumes": ("volume", "voxel_size_nm", "tortuosity"),
}
"""Options by what they are for, as `--help` shows them; those in no group come last."""


class Grouped(click.Command):
    """Options in groups; and one number for --voxel-size-nm where a voxel is a cube."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        at = args.index("--voxel-size-nm") if "--voxel-size-nm" in args else len(args)
        given = list(itertools.takewhile(_is_number, args[at + 1 : at + 4]))
        if len(given) == 1:
            args = [*args[: at + 2], given[0], given[0], *args[at + 2 :]]
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        lines = {param.name: param.get_help_record(ctx) for param in self.get_params(ctx)}
        for title, names in GROUPS.items():
            self._section(formatter, title, [lines.pop(name, None) for name in names])
        self._section(formatter, "Options", list(lines.values()))

    @staticmethod
    def _section(formatter: click.HelpFormatter, title: str, lines: list[tuple[str, str] | None]) -> None:
        with formatter.section(title):
            formatter.write_dl([line for line in lines if line is not None])


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"\d*\.?\d+", text))


def refuse_idle(ctx: click.Context) -> None:
    """Options that the user gave, but that would do nothing beside the others, are refused."""
    from cathode_tf.errors import InputError

    chosen = ctx.params
    given = {
        param.name: (param.opts if chosen[param.name] is not False else param.secondary_opts)[0]
        for param in ctx.command.params
        if ctx.get_parameter_source(param.name) is click.core.ParameterSource.COMMANDLINE
    }
    rules = (
        (chosen["volume"], OF_SECTIONS, "for masks of sections, and does not go with --volume"),
        (not chosen["volume"], OF_VOLUMES, "for a label volume, and goes with --volume"),
        (not chosen["fragmentation"], OF_CRACKS, "for cracks, and does not go with --no-fragmentation"),
        (
            chosen["sample_type"] == "dispersed",
            {"unfolding"},
            "for sections, and does not go with --sample-type dispersed",
        ),
        (
            chosen["model"] is not None,
            {"drawn_by"},
            "for masks that a person made, and does not go with --model",
        ),
        (chosen["model"] is None, OF_MICROGRAPHS, "for micrographs, and goes with --model"),
        (chosen["model"] is not None, {"phases_file"}, "for masks; with --model the phases are the model's"),
        (
            chosen["voxel_size_nm"] is not None,
            {"pixel_size_nm"},
            "for voxels that are cubes, and does not go with --voxel-size-nm",
        ),
    )
    for applies, names, why in rules:
        idle = [option for name, option in given.items() if name in names]
        if applies and idle:
            raise InputError(f"{', '.join(idle)}: must be left out. It is {why}.")
