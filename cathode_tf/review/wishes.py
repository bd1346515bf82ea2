"""What the routes of all stations share: who asks, whether that person may, and wishes in JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cathode_tf.errors import InputError
from cathode_tf.review.desk import Desk


def guest_of(request: Request) -> str | None:
    """Name of a guest of `app --lan`; None for the owner, at the computer itself."""
    return request.scope.get("state", {}).get("guest")


def owner_only(request: Request) -> None:
    """Refuse guests."""
    if guest_of(request) is not None:
        raise HTTPException(403, "Only at the computer that serves the page can this be done.")


def wish_route(desk: Desk, do: Callable[[dict[str, Any], str], Any], *, owner: bool = False) -> Callable:
    """A route that takes a wish in JSON and gives what came of it.

    Args:
        desk: For the name of who gives none.
        do: Gets the wish, with the parameters of the path in it, and the person's name.
        owner: Whether guests are refused.
    """

    async def route(request: Request) -> Response:
        if owner:
            owner_only(request)
        try:
            wish = await request.json()
        except ValueError as error:
            raise HTTPException(400, "The request must be JSON.") from error
        if not isinstance(wish, dict):
            raise HTTPException(400, "The request must be a JSON object.")
        wish |= {name: request.path_params[name] for name in request.path_params}
        wish["guest"] = guest_of(request) is not None
        who = guest_of(request) or str(wish.get("who") or "").strip()[:80] or desk.who
        try:
            return JSONResponse(await run_in_threadpool(do, wish, who))
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise HTTPException(400, f"The request lacks something, or has it wrong ({error}).") from error

    return route
