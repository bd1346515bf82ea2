"""`cathode-tf review`: correct proposed masks in the browser."""

from __future__ import annotations

import click


@click.command(
    "review",
    epilog="\b\nExample: cathode-tf review my-project --no-browser",
)
@click.argument("project", type=click.Path())
@click.option("--port", type=click.IntRange(0, 65535), help="TCP port; default: 8765, or the next free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--who", help="Your name for the ledger; default: your user name. The page can change it.")
@click.option("--browser/--no-browser", default=True, show_default=True, help="Open the page.")
def command(project: str, port: int | None, host: str, who: str | None, browser: bool) -> None:
    """Correct the proposals of PROJECT in the browser.

    The page is served on this computer only, behind the token in the printed address. Every stroke
    is kept as it is made; stop with Ctrl-C, and go on later where you were.
    """
    from cathode_tf.review import serve
    from cathode_tf.rounds import Project

    if host not in ("127.0.0.1", "localhost", "::1"):
        click.echo(f"Warning: whoever reaches {host} and knows the token can change this project.", err=True)

    def announce(address: str) -> None:
        click.echo(f"Review {project} at {address}\nStop with Ctrl-C; nothing is lost.")

    serve(Project(project), port=port, host=host, who=who, browser=browser, announce=announce)
