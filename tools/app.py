"""`cathode-tf app`: one page from a folder of micrographs to a checked report."""

from __future__ import annotations

from pathlib import Path

import click

EPILOG = """
\b
Example:
  cathode-tf app photos/
  cathode-tf app --demo
"""

WARNING = (
    "Warning: the page will listen to your whole network. Whoever reaches this computer and has one of the links can "
    "see and change the project, and what travels is not encrypted."
)


@click.command("app", epilog=EPILOG)
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--port", type=click.IntRange(0, 65535), help="TCP port; default: 8765, or the next free one.")
@click.option("--who", help="Your name for the ledger; default: your user name. The page can change it.")
@click.option("--browser/--no-browser", default=True, show_default=True, help="Open the page.")
@click.option("--demo", is_flag=True, help="Begin with synthetic micrographs; no data needed.")
@click.option(
    "--lan", is_flag=True, help="Let others in your network in, each by a link of their own; asks first."
)
@click.option("--yes", is_flag=True, help="Do not ask before --lan.")
@click.option("--shortcut", is_flag=True, help="Put a launcher on the desktop, and end.")
@click.option(
    "--bundle",
    type=click.Path(path_type=Path),
    help="Gather in this folder what a computer of this system needs that has no network, and end; from a clone.",
)
@click.option("--force", is_flag=True, help="With --shortcut or --bundle: replace what is there.")
def command(
    folder: Path | None,
    port: int | None,
    who: str | None,
    browser: bool,
    demo: bool,
    lan: bool,
    yes: bool,
    shortcut: bool,
    bundle: Path | None,
    force: bool,
) -> None:
    """Lead from FOLDER, micrographs or a project, to masks, a model and a report, all in the browser.

    The page is served on this computer only, behind the token in the printed address. Without FOLDER it asks for one.
    What is made lies in FOLDER/cathode-project; the verbs of the command line work on the same project.
    """
    from cathode_tf.errors import InputError
    from cathode_tf.review import serve
    from cathode_tf.review.desk import Desk
    from cathode_tf.review.shortcut import write_shortcut
    from cathode_tf.rounds.ledger import user_name

    if bundle is not None:
        from cathode_tf.review.bundle import write_bundle

        made = write_bundle(bundle, force=force)
        click.echo(f"Wrote {made}: copy it over, and read its READ ME FIRST.txt.")
        return
    if shortcut:
        click.echo(f"Wrote {write_shortcut(force=force)}")
        return
    if demo and folder is not None:
        raise InputError(f"--demo: makes its own images. Received the folder {folder} too; leave one out.")
    if lan:
        click.echo(WARNING, err=True)
        if not yes:
            click.confirm("Listen to the network?", abort=True, err=True)
    desk = Desk(folder, who=who or user_name(), stations=True)

    def announce(address: str) -> None:
        click.echo(f"Open {address}\nStop with Ctrl-C; nothing is lost.")
        desk.worker.start()
        if demo:
            desk.begin_demo()

    serve(desk, port=port, host="0.0.0.0" if lan else "127.0.0.1", browser=browser, announce=announce)
