"""Routes of the stations around the review: images, phases, proposals, training, all images, report, people.

Each is one call of the library, so that the page and the command line may take turns on one project. What reaches
the folders of this computer is for its owner alone, not for guests of `app --lan`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from cathode_tf.errors import InputError
from cathode_tf.review import batch, downloads, forecast, lots, people, work
from cathode_tf.review.desk import Desk
from cathode_tf.review.image_routes import image_routes
from cathode_tf.review.jobs import OVER
from cathode_tf.review.overview import overview
from cathode_tf.review.verify import Points, verify_routes
from cathode_tf.review.views import asked_window
from cathode_tf.review.wishes import guest_of, owner_only, wish_route
from cathode_tf.rounds import choices, promote, rollback
from cathode_tf.rounds.log import event_line
from cathode_tf.rounds.verdict import what_changed

MAX_UPLOAD = 2**31
"""Bytes of a dropped image; 65,000 x 32,000 pixels of 8 bit."""

MAX_ARCHIVE = 2**35
MAX_WISH = 2**20


def station_routes(desk: Desk) -> list[Route]:
    """The routes of one desk."""
    make = _Stations(desk)
    wish = partial(wish_route, desk)
    return [
        Route("/api/app", make.show),
        *image_routes(desk),
        Route("/api/app/phases", wish(make.phases), methods=["POST"]),
        Route("/api/app/jobs", make.jobs),
        Route("/api/app/jobs", wish(make.start_job), methods=["POST"]),
        Route("/api/app/jobs/{id}", wish(make.tell_job), methods=["POST"]),
        Route("/api/app/verdict", make.verdict),
        Route("/api/app/history", make.history),
        Route("/api/app/promote", wish(make.promote), methods=["POST"]),
        Route("/api/app/rollback", wish(make.rollback), methods=["POST"]),
        Route("/api/app/batch/{name}", make.batch),
        Route("/api/app/report/{name}", make.report),
        Route("/api/app/download/{what}", make.download),
        Route("/api/app/lots", make.lots),
        Route("/api/app/lots/report", make.lots_report),
        Route("/api/app/points", wish(make.draw_points), methods=["POST"]),
        *verify_routes(make.points_of, make.answers_for),
        Route("/api/app/people", make.people),
        Route("/api/app/people", wish(make.change_people, owner=True), methods=["POST"]),
        Route("/api/images/{key}/strip", make.strip),
        Route("/api/images/{key}/picture/{what}", make.picture),
    ]


def max_body(path: str) -> int | None:
    """The longest body of a request to a station, bytes; None where the path is none of theirs."""
    if path == "/api/app/upload":
        return MAX_UPLOAD
    if path == "/api/app/archive":
        return MAX_ARCHIVE
    return MAX_WISH if path.startswith(("/api/app", "/api/verify")) else None


class _Stations:
    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def show(self, request: Request) -> Response:
        guest = guest_of(request)
        return JSONResponse({**overview(self.desk), "owner": guest is None, "guest": guest})

    def phases(self, wish: dict[str, Any], who: str) -> dict[str, Any]:
        if "off" in wish:
            choices.switch_off(self.desk.project, [str(name) for name in wish["off"]], who=who)
        else:
            named = choices.phases_named([str(name).strip() for name in wish["names"]])
            self.desk.reload(choices.set_phases(self.desk.project, named))
        return {"ok": True}

    def jobs(self, request: Request) -> Response:
        self.desk.jobs.look_after()
        return JSONResponse(self.desk.jobs.cards()[:20])

    def start_job(self, wish: dict[str, Any], who: str) -> dict[str, Any]:
        kind, project = str(wish["kind"]), self.desk.project
        options: dict[str, Any] = {"pace": forecast.pace_of(self.desk)}
        if kind == "propose":
            chosen = work.first_three(project) if wish.get("first") else None
            if chosen is not None:
                options["only"] = [image.key for image in chosen]
        elif kind == "train":
            options["minutes"] = float(wish["minutes"])
            options["how"] = work.training_options(dict(wish.get("how") or {}))
            if not project.state.annotated("pool"):
                raise InputError(
                    "train: needs a corrected image to learn from. Received none. Correct one first."
                )
        elif kind == "apply" and wish.get("folder"):
            if wish["guest"]:
                raise HTTPException(403, "Only at the computer that serves the page can its folders be read.")
            options["folder"] = str(Path(str(wish["folder"])).expanduser())
        elif kind == "report":
            options["batch"] = str(wish.get("batch") or "project")
            apply = self.desk.jobs.latest("apply")
            if apply is not None and apply["state"] not in OVER:
                raise InputError(
                    "report: must wait until all masks are there. They are still being made (Apply)."
                )
            batch.batch_folder(project, options["batch"])
        return self.desk.jobs.start(kind, options, who)

    def tell_job(self, wish: dict[str, Any], who: str) -> dict[str, Any]:
        return self.desk.jobs.tell(str(wish["id"]), str(wish["wish"]))

    def verdict(self, request: Request) -> Response:
        return JSONResponse(what_changed(self.desk.project))

    def history(self, request: Request) -> Response:
        """Validation Dice of the newest run by its minutes."""
        return JSONResponse(work.newest_history(self.desk.project))

    def promote(self, wish: dict[str, Any], who: str) -> dict[str, Any]:
        reason = str(wish.get("reason") or "").strip() or None
        verdict = promote(self.desk.project, force_reason=reason, who=who)
        return {"promoted": verdict.promote or reason is not None, "reason": verdict.reason}

    def rollback(self, wish: dict[str, Any], who: str) -> dict[str, Any]:
        reason = str(wish.get("reason") or "").strip() or "on the page"
        champion = rollback(self.desk.project, reason=reason, who=who)
        return {"model": champion.name if champion else None}

    def batch(self, request: Request) -> Response:
        project, name = self.desk.project, request.path_params["name"]
        rows = batch.read_batch(project, name)
        report = (batch.batch_folder(project, name) / "analysis" / "report.html").exists()
        found = {"batches": batch.batches(project), "images": rows, "report": report}
        return JSONResponse({**found, "points": self.desk.points.card(name), "sizes": self._sizes(name)})

    def _sizes(self, name: str) -> list[str]:
        """Names of the reports of each magnification, where a batch has several."""
        folder = batch.batch_folder(self.desk.project, name) / "analysis"
        found = (path.parent.name for path in folder.glob("*nm/report.html"))
        return sorted(found, key=lambda name: float(name.removesuffix("nm")))

    def draw_points(self, wish: dict[str, Any], who: str) -> dict[str, Any]:
        batch, count = str(wish.get("batch") or "project"), int(wish.get("points") or 100)
        return self.desk.points.draw(batch, count, again=bool(wish.get("again")))

    def points_of(self, request: Request) -> Points:
        return self.desk.points.of(request.query_params.get("batch", "project"))

    def answers_for(self, request: Request, said: str) -> str:
        return guest_of(request) or said or self.desk.who

    def report(self, request: Request) -> Response:
        name, size = request.path_params["name"], request.query_params.get("size")
        folder = batch.batch_folder(self.desk.project, name) / "analysis"
        if size is not None:
            if size not in self._sizes(name):
                raise HTTPException(404, "There is no such report.")
            folder /= size
        path = folder / "report.html"
        if not path.exists():
            raise HTTPException(404, "There is no report yet.")
        return FileResponse(path, media_type="text/html")

    def download(self, request: Request) -> Response:
        return downloads.download(
            self.desk.project, request.path_params["what"], request.query_params.get("batch", "project")
        )

    def lots(self, request: Request) -> Response:
        owner_only(request)
        found = [{"name": path.name, "path": str(path)} for path in lots.ledgers(self.desk)]
        return JSONResponse({"ledgers": found})

    def lots_report(self, request: Request) -> Response:
        owner_only(request)
        page = lots.report_of(self.desk, request.query_params.get("ledger", ""))
        return Response(page, media_type="text/html")

    def people(self, request: Request) -> Response:
        project = self.desk.project
        owner = guest_of(request) is None
        known = people.guests(project)
        address = self.desk.lan_address
        rows = [
            {"name": name, "link": address(token) if owner and address else None}
            for token, name in known.items()
        ]
        events = project.ledger.events()
        lines = [event_line(event, project.state) for event in events if event["event"] != "image"][-60:]
        return JSONResponse(
            {
                "people": rows,
                "lan": address is not None,
                "agreements": people.agreements(project),
                "log": list(reversed(lines)),
            }
        )

    def change_people(self, wish: dict[str, Any], who: str) -> dict[str, Any]:
        if "invite" in wish:
            people.invite(self.desk.project, str(wish["invite"]))
        else:
            people.uninvite(self.desk.project, str(wish["remove"]))
        return {"ok": True}

    def strip(self, request: Request) -> Response:
        return Response(self.desk.views.with_strip(self._key(request)), media_type="image/png")

    def picture(self, request: Request) -> Response:
        """`grey`, `proposal`, `accepted`, or the mask of a model (`001`, `default`) of a test image."""
        key, what = self._key(request), request.path_params["what"]
        data = self.desk.views.picture(key, what, asked_window(request))
        if data is None:
            raise HTTPException(404, "There is no such picture.")
        return Response(data, media_type="image/jpeg")

    def _key(self, request: Request) -> str:
        key = request.path_params["key"]
        if key not in self.desk.project.state.images:
            raise HTTPException(404, "There is no such image.")
        return key
