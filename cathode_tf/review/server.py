"""Runs the review page: on this computer only, behind a token, until Ctrl-C."""

from __future__ import annotations

import secrets
import webbrowser
from collections.abc import Callable

from cathode_tf.files import atomic_file
from cathode_tf.review.addresses import listen, names_of, network_address
from cathode_tf.review.desk import Desk
from cathode_tf.rounds import Project


def serve(
    project: Project | Desk,
    *,
    port: int | None = None,
    host: str = "127.0.0.1",
    who: str | None = None,
    browser: bool = True,
    announce: Callable[[str], None] = print,
) -> None:
    """Serve the page until interrupted.

    Args:
        project: What is reviewed; or a desk, for the page with all stations.
        port: TCP port; default: 8765, or the next free one.
        host: Address to listen on; others than this computer can only reach it where this is changed.
        who: Name of the person, for the ledger.
        browser: Open the page.
        announce: Gets the address once the port is ours.

    Raises:
        InputError: If the port is taken.
    """
    import uvicorn

    from cathode_tf.review.app import build_app
    from cathode_tf.rounds.ledger import user_name

    listening = listen(host, port)
    port = listening.getsockname()[1]
    desk = project if isinstance(project, Desk) else Desk(project, who=who or user_name())
    token = _token(desk)
    names = [f"[{name}]" if ":" in name else name for name in names_of(host)]
    if desk.stations and host in ("0.0.0.0", "::"):
        # The owner is at this computer; the others come by its address in the network.
        network = network_address()
        names = ["127.0.0.1", *names, network]
        desk.lan_address = lambda given: f"http://{network}:{port}/?token={given}"
    hosts = {f"{name}:{port}" for name in names}
    app = build_app(desk, token=token, hosts=hosts, who=desk.who)
    address = f"http://{names[0]}:{port}/?token={token}"
    announce(address)
    if browser:
        webbrowser.open(address)
    if desk.has_project and desk.stations:
        desk.jobs.look_after()
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=3)
    uvicorn.Server(config).run(sockets=[listening])


def _token(desk: Desk) -> str:
    """The token of a project, or of a desk; kept, so that an open page goes on when the server is started again."""
    path = (desk.home if desk.stations else desk.project.path) / ".review-token"
    if path.exists():
        token = path.read_text(encoding="ascii").strip()
        if len(token) >= 20:
            return token
    token = secrets.token_urlsafe(24)
    with atomic_file(path, force=True) as temporary:
        temporary.chmod(0o600)
        temporary.write_text(token, encoding="ascii")
    return token
