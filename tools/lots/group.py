"""The group of the verbs `cathode-tf lots ...`, and what several of them take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cathode_tf.lots import Ledger


@click.group(
    "lots", epilog="\b\nExample: cathode-tf lots init plant.db && cathode-tf lots add plant.db analyses/*"
)
def command() -> None:
    """Keep the analyses of many lots, and ask them what moved, by what, and how surely.

    LEDGER is one file that `lots init` makes, or an address such as postgresql+pg8000://user@host/lots. Nothing in it
    is overwritten: a new measurement supersedes. A quantity is written quantity/phase, as in fraction/pore.
    """


ledger_argument = click.argument("ledger", type=click.Path())
quantity_argument = click.argument("quantity")
system_option = click.option(
    "--system", help="Beginning of a measuring system's fingerprint; default: the newest."
)
force_option = click.option("--force", is_flag=True, help="Replace an existing file.")


def opened(address: str, who: str | None = None) -> Ledger:
    """The ledger at an address."""
    return ledger_class()(address, who=who)


def ledger_class() -> type[Ledger]:
    """`Ledger`, or one sentence where its libraries are not installed."""
    import importlib.util

    from cathode_tf.errors import InputError

    if importlib.util.find_spec("sqlalchemy") is None:
        raise InputError("lots: needs an extra. Install it: python -m pip install 'cathode-tf[lots]'.")
    from cathode_tf.lots import Ledger

    return Ledger
