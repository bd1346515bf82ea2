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


@click.command("app", epilog=EPILOG)
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--port", type=click.IntRange(0, 65535), help="TCP port; default: 8765, or the next free one.")
@click.option("--who", help="Your name for the ledger; default: your user name. The page can change it.")
@click.option("--browser/--no-browser", default=True, show_default=True, help="Open the page.")
def command(folder: Path | None, port: int | None, who: str | None, browser: bool) -> None:
    """Lead from FOLDER, micrographs or a project, to masks, a model and a report, all in the browser.

    The page is served on this computer only, behind the token in the printed address. Without FOLDER it asks for one.
    """
    from cathode_tf.review import serve
    from cathode_tf.review.desk import Desk
    from cathode_tf.rounds.ledger import user_name

    desk = Desk(folder, who=who or user_name(), stations=True)

    def announce(address: str) -> None:
        click.echo(f"Open {address}\nStop with Ctrl-C; nothing is lost.")
        desk.worker.start()

    serve(desk, port=port, browser=browser, announce=announce)
