"""The review server's routes: the page, what it shows of a project, and what people decide.

Requests of our own page come in (`security` keeps others out); bytes, JSON and ledger events go out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from cathode_tf.errors import InputError
from cathode_tf.phases import IGNORE, IGNORE_COLOR
from cathode_tf.review import claims, people
from cathode_tf.review.desk import Desk, NoProject
from cathode_tf.review.drafts import Draft, OutOfStep
from cathode_tf.review.particles import particle_routes
from cathode_tf.review.runs import decode_mask, encode_mask
from cathode_tf.review.security import Guard
from cathode_tf.review.stations import max_body, station_routes
from cathode_tf.review.views import Views, asked_window
from cathode_tf.rounds import ImageState, Project, record_review

STATIC = Path(__file__).parent / "static"
MAX_SECONDS_A_CALL = 120.0
"""The page reports its time every few seconds; more than this in one call is a fault, not work."""


def build_app(desk: Desk | Project, *, token: str, hosts: set[str], who: str) -> Starlette:
    """The ASGI application for one desk.

    Args:
        desk: What lies on it; a project alone is reviewed, without the stations around.
        token: Secret of the printed address.
        hosts: `"127.0.0.1:8765"` and whatever else the server answers to.
        who: Name of the person, until the page gives another.
    """
    if isinstance(desk, Project):
        desk = Desk(desk, who=who)
    room = _Room(desk)
    guard = Middleware(Guard, token=token, hosts=hosts, max_body=room.max_body, guests=room.guests)
    one = "/api/images/{key}"
    routes = [
        Route("/", _page("stations.html" if desk.stations else "index.html")),
        Route("/review", _page("index.html")),
        Route("/status", _page("status.html")),
        *((Route("/verify", _page("verify.html")), *station_routes(desk)) if desk.stations else ()),
        Route("/api/project", room.project_card),
        Route("/api/status", room.status),
        Route(one, room.image_card),
        Route(one + "/pixels", room.pixels),
        Route(one + "/window", room.window),
        Route(one + "/thumbnail", room.thumbnail),
        Route(one + "/mask", room.mask),
        Route(one + "/proposal", room.proposal),
        Route(one + "/uncertainty", room.uncertainty),
        Route(one + "/superpixels/{row:int}/{column:int}/{size:int}", room.superpixels),
        Route(one + "/claim", room.claim, methods=["POST"]),
        Route(one + "/release", room.release, methods=["POST"]),
        Route(one + "/draft", room.draft),
        Route(one + "/draft", room.add_to_draft, methods=["POST"]),
        Route(one + "/draft/discard", room.discard_draft, methods=["POST"]),
        Route(one + "/spread", room.spread, methods=["POST"]),
        Route(one + "/decision", room.decide, methods=["POST"]),
        Route("/particles", _page("particles.html")),
        *particle_routes(lambda: room.project, room._image, room._sender, claims.claim),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    handlers = {
        InputError: _input_error,
        NoProject: _conflict,
        OutOfStep: _conflict,
        claims.Taken: _conflict,
        ClientDisconnect: _gone,
    }
    return Starlette(routes=routes, middleware=[guard], exception_handlers=handlers)


def _page(name: str) -> Callable[[Request], Response]:
    def page(request: Request) -> Response:
        return FileResponse(STATIC / name)

    return page


def _input_error(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 400)


def _conflict(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 409)


def _gone(request: Request, error: Exception) -> Response:
    """The tab was closed while it sent; what it could not send, the browser keeps. Nobody reads this answer."""
    return Response(status_code=400)


def _bytes(data: bytes | np.ndarray, **headers: Any) -> Response:
    body = data if isinstance(data, bytes) else data.tobytes()
    named = {f"x-{name}": str(value) for name, value in headers.items()}
    return Response(body, media_type="application/octet-stream", headers=named)


LOOK_S = 20.0
"""Less time for a test image whose proposal is accepted as it came raises a question."""


class _Room:
    """The routes of the project on the desk."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.who = desk, desk.who

    @property
    def project(self) -> Project:
        return self.desk.project

    @property
    def views(self) -> Views:
        return self.desk.views

    def guests(self) -> dict[str, str]:
        """Names of those who were invited, by token."""
        return people.guests(self.project) if self.desk.has_project else {}

    def max_body(self, path: str) -> int:
        """Bytes of the worst stroke on the largest image that there is now, or what a station takes."""
        most = max_body(path) if self.desk.stations else None
        if most is not None:
            return most
        if not self.desk.has_project:
            return 0
        largest = max((i.height * i.width for i in self.project.state.images.values()), default=0)
        # The worst mask has a run for each pixel, five bytes each; a stroke ten.
        return min(10 * largest + 65536, 2**28)

    def _refuse_unlooked(self, image: ImageState, mask: np.ndarray | None, draft: Draft) -> None:
        """A test image is what models are measured on: a glance at the proposal is no measurement."""
        if image.role != "test" or image.status == "accepted" or draft.seconds >= LOOK_S:
            return
        proposal = self.project.proposal(image)
        if proposal is not None and mask is not None and np.array_equal(proposal, mask):
            raise InputError(
                f"{image.name}: is a test image, on which every model is measured. Received its proposal untouched, "
                f"within {LOOK_S:.0f} s. Look at each boundary; if all are right, accept it with sure=1."
            )

    def _image(self, request: Request) -> ImageState:
        key = request.path_params["key"]
        image = self.project.state.images.get(key) if re.fullmatch(r"[0-9a-f]{16}", key) else None
        if image is None:
            raise HTTPException(404, "There is no such image.")
        return image

    def project_card(self, request: Request) -> Response:
        state = self.project.state
        session = request.query_params.get("session", "")
        waiting = [self._row(image, session) for image in state.queue()]
        done = [self._row(image, session) for image in state.with_status("accepted", "rejected")]
        phases = [{"name": p.name, "id": p.id, "color": p.color} for p in self.project.phases.entries]
        off = self.project.state.off
        champion = state.champion
        return JSONResponse(
            {
                "name": state.name,
                "who": self.who,
                "round": state.round,
                "model": champion.name if champion else None,
                "phases": [phase for phase in phases if phase["name"] not in off],
                "colors": {str(phase["id"]): phase["color"] for phase in phases},
                "stations": self.desk.stations,
                "ignore": {"name": "ignore", "id": IGNORE, "color": IGNORE_COLOR},
                "images": waiting + done,
            }
        )

    def _row(self, image: ImageState, session: str) -> dict[str, Any]:
        other = claims.holder(self.project, image.key)
        return {
            "key": image.key,
            "name": image.name,
            "role": image.role,
            "status": image.status,
            "height": image.height,
            "width": image.width,
            "score": image.proposal["score"] if image.proposal else None,
            "minutes": round(image.minutes, 2),
            "draft": Draft(self.project, image).exists,
            "taken_by": other.who if other and other.session != session else None,
        }

    def status(self, request: Request) -> Response:
        from cathode_tf.rounds.status import project_status

        return JSONResponse(project_status(self.project))

    def image_card(self, request: Request) -> Response:
        image = self._image(request)
        draft = Draft(self.project, image)
        return JSONResponse(
            {
                **self._row(image, request.query_params.get("session", "")),
                "pixel_size_nm": image.pixel_size_nm,
                "proposed": image.proposal is not None,
                "draft_bytes": draft.size,
                "seconds": draft.seconds,
                "regions": self.views.regions(image),
            }
        )

    def pixels(self, request: Request) -> Response:
        key, window = self._image(request).key, asked_window(request)
        return _bytes(self.views.grey(key) if window is None else self.views.windowed(key, *window))

    def window(self, request: Request) -> Response:
        return JSONResponse(self.views.window(self._image(request).key))

    def thumbnail(self, request: Request) -> Response:
        return Response(self.views.thumbnail(self._image(request).key), media_type="image/png")

    def mask(self, request: Request) -> Response:
        return _bytes(Draft(self.project, self._image(request)).base())

    def proposal(self, request: Request) -> Response:
        mask = self.project.proposal(self._image(request))
        if mask is None:
            raise HTTPException(404, "There is no proposal for this image.")
        return _bytes(encode_mask(mask))

    def uncertainty(self, request: Request) -> Response:
        uncertainty = self.project.uncertainty(self._image(request))
        if uncertainty is None:
            raise HTTPException(404, "There is no proposal for this image.")
        return _bytes(np.ascontiguousarray(uncertainty))

    def superpixels(self, request: Request) -> Response:
        place = request.path_params
        if not 4 <= place["size"] <= 128:
            raise HTTPException(400, "A superpixel must be 4 to 128 px wide.")
        key = self._image(request).key
        return _bytes(self.views.superpixels(key, place["row"], place["column"], place["size"]))

    async def claim(self, request: Request) -> Response:
        image, session, who, wish = self._image(request), *await self._sender(request)
        force = bool(wish.get("force"))
        await run_in_threadpool(claims.claim, self.project, image.key, session, who, force=force)
        return JSONResponse({"ok": True})

    async def release(self, request: Request) -> Response:
        image, session, _, _ = self._image(request), *await self._sender(request)
        await run_in_threadpool(claims.release, self.project, image.key, session)
        return JSONResponse({"ok": True})

    async def _sender(self, request: Request) -> tuple[str, str, dict[str, Any]]:
        try:
            wish = await request.json()
            session = _session(wish["session"])
        except (ValueError, KeyError, TypeError) as error:
            raise HTTPException(400, "The request must be JSON with a session.") from error
        return session, self._name(wish.get("who")), wish

    def _name(self, given: Any) -> str:
        return str(given).strip()[:80] if given and str(given).strip() else self.who

    def draft(self, request: Request) -> Response:
        return _bytes(Draft(self.project, self._image(request)).strokes())

    async def add_to_draft(self, request: Request) -> Response:
        image, query = self._image(request), request.query_params
        data = await request.body()

        def add() -> int:
            who = self._name(query.get("who"))
            # Painting renews the claim, and is refused where another tab has taken over.
            claims.claim(self.project, image.key, _session(query.get("session")), who)
            at, seconds = _number(query.get("at"), 2**40), _number(query.get("seconds"), MAX_SECONDS_A_CALL)
            return Draft(self.project, image).append(data, int(at), who=who, seconds=seconds)

        return JSONResponse({"bytes": await run_in_threadpool(add)})

    async def discard_draft(self, request: Request) -> Response:
        image, session, who, _ = self._image(request), *await self._sender(request)

        def discard() -> None:
            claims.claim(self.project, image.key, session, who)
            Draft(self.project, image).discard()

        await run_in_threadpool(discard)
        return JSONResponse({"ok": True})

    async def spread(self, request: Request) -> Response:
        image, session, who, _ = self._image(request), *await self._sender(request)

        def spread() -> bytes:
            from cathode_tf.rounds.strokes import spread_strokes

            claims.claim(self.project, image.key, session, who)
            return encode_mask(spread_strokes(self.project, image, Draft(self.project, image).painted()))

        return _bytes(await run_in_threadpool(spread))

    async def decide(self, request: Request) -> Response:
        image, query = self._image(request), request.query_params
        data = await request.body()

        def decide() -> dict[str, Any]:
            who, session = self._name(query.get("who")), _session(query.get("session"))
            claims.claim(self.project, image.key, session, who)
            decision = query.get("decision", "")
            mask = decode_mask(data, (image.height, image.width)) if decision == "accept" else None
            draft = Draft(self.project, image)
            if decision == "accept" and not query.get("sure"):
                self._refuse_unlooked(image, mask, draft)
            minutes = (draft.seconds + _number(query.get("seconds"), MAX_SECONDS_A_CALL)) / 60
            event = record_review(self.project, image.key, decision, mask=mask, who=who, minutes=minutes)
            if decision == "skip":
                draft.spend()
            else:
                draft.discard()
            claims.release(self.project, image.key, session)
            return event

        return JSONResponse(await run_in_threadpool(decide))


def _session(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-zA-Z-]{8,64}", value):
        raise HTTPException(400, "A session must be 8 to 64 letters and digits.")
    return value


def _number(value: str | None, largest: float) -> float:
    try:
        number = float(value or 0)
    except ValueError:
        number = -1.0
    if not number >= 0:
        raise HTTPException(400, f"A number must be 0 or more. Received {value!r}.")
    return min(number, largest)
