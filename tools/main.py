"""The console command `cathode-tf`: finds the verb, loads only that, and turns errors into exit codes."""

from __future__ import annotations

import importlib
import re
import sys
import warnings
from collections.abc import Callable
from typing import Any

import click

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.terminal import quieten_tensorflow

# In the order in which a user meets them. The texts stand here so that `--help` loads no verb.
VERBS = {
    "demo": "See everything at work on synthetic cathodes, in minutes.",
    "convert": "Turn micrographs and masks into a record set.",
    "check": "Find what is wrong: a verdict on images, masks or records.",
    "inspect": "Show what is there: what records hold, or what micrographs say of themselves.",
    "synthesize": "Make annotated cathode sections with known answers.",
    "reconstruct": "Make a volume that can be measured from raw FIB-SEM slices.",
    "train": "Train a U-Net on a record set.",
    "evaluate": "Print the Dice of a model for each test image and phase.",
    "export": "Write a model as a SavedModel for TF Serving.",
    "segment": "Write masks for micrographs of any size.",
    "verify": "Label random points on masks: what are the masks worth?",
    "analyze": "Measure phases, particles and pores from masks.",
    "compare": "Tell what differs between two batches, and how surely.",
    "gauge": "Tell how much of a measurement's variation comes from the measuring.",
    "gate": "Decide whether a batch is within a specification.",
    "trace": "Print where a number comes from, and whether its files are still the same.",
    "lots": "Keep the analyses of many lots: charts, causes, cells, passport.",
    "app": "Do all of it in the browser: from a folder of micrographs to a report.",
    "rounds": "Learn in rounds: propose, review, accept, retrain, promote.",
    "review": "Correct proposed masks in the browser.",
}


class _Verbs(click.Group):
    """A group that imports a verb's module only when the verb is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        return importlib.import_module(f".{name}", __package__).command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            close = difflib.get_close_matches(args[0], VERBS, n=1)
            if not close:
                raise
            raise click.UsageError(f"{error.message} Did you mean '{close[0]}'?", ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="cathode-tf", prog_name="cathode-tf")
def cli() -> None:
    """From electron micrographs of battery cathodes to phase masks and numbers with intervals.

    Each verb explains itself: cathode-tf convert --help
    """


def _warning_printer() -> Callable[..., None]:
    """Prints each sentence once, however many files of a batch give it."""
    told: set[str] = set()

    def show(message, category, filename, lineno, file=None, line=None) -> None:
        if issubclass(category, InputWarning) and str(message) not in told:
            told.add(str(message))
            click.echo(f"Warning: {message}", err=True)

    return show


def main(args: list[str] | None = None) -> None:
    """Run the command line and leave with 0 (done), 1 (the input is wrong), 2 (wrong usage), or a verb's own code."""
    quieten_tensorflow()
    warnings.showwarning = _warning_printer()
    try:
        code = cli.main(args=args, prog_name="cathode-tf", standalone_mode=False)
    except click.ClickException as error:
        if comma := re.search(r"'(\d+),(\d+)' is not a valid (float|range|integer)", error.message):
            error.message += f" Numbers have a point in them: {comma[1]}.{comma[2]}"
        option = getattr(error, "param", None)
        if option is not None and option.nargs > 1 and re.search(r"'-.*' is not a valid", error.message):
            error.message += (
                f" {option.opts[0]} takes {option.nargs} numbers, also where they are equal: {option.metavar}"
            )
        error.show()
        sys.exit(error.exit_code)
    except InputError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        sys.exit(130)
    # Outside click's standalone mode a verb's own exit code comes back as the result.
    if isinstance(code, int) and code:
        sys.exit(code)


if __name__ == "__main__":
    main()
