"""Masks and their micrographs in; a page on which somebody labels random points, one after the other, out.

The page is served as the review page is: on this computer, behind the token of the printed address. Each answer is on
the disk before the next point is shown. The mask is never shown: it would tell the answer.
"""

from __future__ import annotations

import secrets
import threading
import webbrowser
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from cathode_tf.analysis.checks import Checks
from cathode_tf.errors import InputError
from cathode_tf.imaging import display
from cathode_tf.review.addresses import listen, names_of
from cathode_tf.review.security import Guard

STATIC = Path(__file__).parent / "static"
VIEW_PX = 160
"""Side of what is shown around a point, px of the micrograph, at the closest; the page can show more."""
FURTHEST = 8
MAX_BODY = 4096


@dataclass(frozen=True)
class Points:
    """The points of some masks, and the micrographs that they lie on.

    Attributes:
        checks: The points and the answers so far.
        grey: Gives the image, uint8 (height, width), by the name that the points give it.
    """

    checks: Checks
    grey: Callable[[str], np.ndarray]


def build_verify_app(
    checks: Checks, micrographs: Mapping[str, np.ndarray], *, token: str, hosts: set[str], who: str
) -> Starlette:
    """The ASGI application for the points of one folder of masks.

    Args:
        checks: The points and the answers so far.
        micrographs: Pixels (height, width) by the name that the points give their image.
        token: Secret of the printed address.
        hosts: Names under which the server may be addressed, with port.
        who: Who answers.
    """
    shown = {name: display(pixels) for name, pixels in micrographs.items()}
    points = Points(checks, shown.__getitem__)
    routes = [
        Route("/", lambda request: FileResponse(STATIC / "verify.html")),
        *verify_routes(lambda request: points, lambda request, said: said or who),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    guard = Middleware(Guard, token=token, hosts=hosts, max_body=lambda path: MAX_BODY)
    handlers = {InputError: lambda request, error: JSONResponse({"error": str(error)}, 400)}
    return Starlette(routes=routes, middleware=[guard], exception_handlers=handlers)


def verify_routes(find: Callable[[Request], Points], who: Callable[[Request, str], str]) -> list[Route]:
    """The routes by which points are shown and answered.

    Args:
        find: The points that a request is about.
        who: Who sends a request that says it comes from this person.
    """
    room = _Room(find, who)
    return [
        Route("/api/verify", room.card),
        Route("/api/verify/{point:int}/view", room.view),
        Route("/api/verify/{point:int}", room.answer, methods=["POST"]),
    ]


class _Room:
    def __init__(self, find: Callable[[Request], Points], who: Callable[[Request, str], str]) -> None:
        self.find, self.who = find, who
        self._writing = threading.Lock()

    def card(self, request: Request) -> Response:
        return JSONResponse(_state(self.find(request).checks))

    def view(self, request: Request) -> Response:
        """A PNG of the surroundings of a point, which lies in the middle."""
        points, point = self.find(request), request.path_params["point"]
        if not 0 <= point < len(points.checks.table):
            raise HTTPException(404, "There is no such point.")
        try:
            wide = min(max(int(request.query_params.get("wide", 1)), 1), FURTHEST)
        except ValueError as error:
            raise HTTPException(400, "How much to show must be a whole number.") from error
        row = points.checks.table.iloc[point]
        side = wide * VIEW_PX
        picture = surroundings(points.grey(row["image"]), int(row["row"]), int(row["column"]), side)
        return Response(cv2.imencode(".png", picture)[1].tobytes(), media_type="image/png")

    async def answer(self, request: Request) -> Response:
        try:
            given = await request.json()
            reference = str(given["reference"])
            said = str(given.get("who") or "").strip()[:80]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise HTTPException(400, "The request must be JSON with a reference.") from error

        def keep() -> dict[str, Any]:
            with self._writing:
                checks = self.find(request).checks
                checks.answer(request.path_params["point"], reference, self.who(request, said))
                return _state(checks)

        return JSONResponse(await run_in_threadpool(keep))


def _state(checks: Checks) -> dict[str, Any]:
    found = checks.result()
    return {
        "phases": [{"name": p.name, "color": p.color} for p in checks.phases],
        "answers": checks.table["reference"].tolist(),
        "promise": checks.promise,
        "advice": checks.advice,
        "result": None if found is None else found.sentence,
    }


def surroundings(grey: np.ndarray, row: int, column: int, side: int) -> np.ndarray:
    """The square of an image around a pixel, uint8 (side, side, 3), BGR; what lies beyond the frame is blue.

    Mirrored it would show particles that are not there.

    Example:
        >>> surroundings(np.arange(9, dtype=np.uint8).reshape(3, 3), 0, 0, 2)[..., 0].tolist()
        [[74, 74], [74, 0]]
    """
    top, left = row - side // 2, column - side // 2
    picture = np.full((side, side, 3), (74, 52, 36), np.uint8)  # no grey of a micrograph
    rows = slice(max(0, top), min(grey.shape[0], top + side))
    columns = slice(max(0, left), min(grey.shape[1], left + side))
    shown = grey[rows, columns]
    at = rows.start - top, columns.start - left
    picture[at[0] : at[0] + shown.shape[0], at[1] : at[1] + shown.shape[1]] = shown[..., None]
    return picture


def serve_verify(
    checks: Checks,
    micrographs: Mapping[str, np.ndarray],
    *,
    who: str,
    port: int | None = None,
    browser: bool = True,
    announce: Callable[[str], None] = print,
) -> None:
    """Serve the page until interrupted.

    Args:
        checks, micrographs, who: As for `build_verify_app`.
        port: TCP port; default: 8765, or the next free one.
        browser: Open the page.
        announce: Gets the address once the port is ours.

    Raises:
        InputError: If the port is taken.
    """
    import uvicorn

    host = "127.0.0.1"
    listening = listen(host, port)
    port = listening.getsockname()[1]
    token = secrets.token_urlsafe(24)
    hosts = {f"{name}:{port}" for name in names_of(host)}
    app = build_verify_app(checks, micrographs, token=token, hosts=hosts, who=who)
    address = f"http://{host}:{port}/?token={token}"
    announce(address)
    if browser:
        webbrowser.open(address)
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=3)
    uvicorn.Server(config).run(sockets=[listening])
