"""Routes of the stations around the review: images, phases, proposals, training, all images, report, people.

Each is one call of the library, so that the page and the command line may take turns on one project. What reaches
the folders of this computer is for its owner alone, not for guests of `app --lan`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from cathode_tf.errors import InputError
from cathode_tf.review import batch, downloads, forecast, lots, people, work
from cathode_tf.review.desk import Desk
from cathode_tf.review.folders import folder_table, subfolders
from cathode_tf.review.overview import overview
from cathode_tf.review.verify import Points, verify_routes
from cathode_tf.review.views import asked_window
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
    return [
        Route("/api/app", make.show),
        Route("/api/app/folders", make.folders),
        Route("/api/app/files", make.files),
        Route("/api/app/open", make.wish(make.open, owner=True), methods=["POST"]),
        Route("/api/app/create", make.wish(make.create, owner=True), methods=["POST"]),
        Route("/api/app/upload", make.upload, methods=["POST"]),
        Route("/api/app/archive", make.archive, methods=["POST"]),
        Route("/api/app/phases", make.wish(make.phases), methods=["POST"]),
        Route("/api/app/scale", make.wish(make.scale), methods=["POST"]),
        Route("/api/app/groups", make.wish(make.groups), methods=["POST"]),
        Route("/api/app/jobs", make.jobs),
        Route("/api/app/jobs", make.wish(make.start_job), methods=["POST"]),
        Route("/api/app/jobs/{id}", make.wish(make.tell_job), methods=["POST"]),
        Route("/api/app/verdict", make.verdict),
        Route("/api/app/history", make.history),
        Route("/api/app/promote", make.wish(make.promote), methods=["POST"]),
        Route("/api/app/rollback", make.wish(make.rollback), methods=["POST"]),
        Route("/api/app/batch/{name}", make.batch),
        Route("/api/app/report/{name}", make.report),
        Route("/api/app/download/{what}", make.download),
        Route("/api/app/lots", make.lots),
        Route("/api/app/lots/report", make.lots_report),
        Route("/api/app/points", make.wish(make.draw_points), methods=["POST"]),
        *verify_routes(make.points_of, make.answers_for),
        Route("/api/app/people", make.people),
        Route("/api/app/people", make.wish(make.change_people, owner=True), methods=["POST"]),
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


def _guest(request: Request) -> str | None:
    return request.scope.get("state", {}).get("guest")


def _owner_only(request: Request) -> None:
    if _guest(request) is not None:
        raise HTTPException(403, "Only at the computer that serves the page can this be done.")


class _Stations:
    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def wish(self, do: Callable[[dict[str, Any], str], Any], *, owner: bool = False) -> Callable:
        """A route that takes a wish in JSON and gives what came of it."""

        async def route(request: Request) -> Response:
            if owner:
                _owner_only(request)
            try:
                wish = await request.json()
            except ValueError as error:
                raise HTTPException(400, "The request must be JSON.") from error
            if not isinstance(wish, dict):
                raise HTTPException(400, "The request must be a JSON object.")
            wish |= {name: request.path_params[name] for name in request.path_params}
            wish["guest"] = _guest(request) is not None
            who = _guest(request) or str(wish.get("who") or "").strip()[:80] or self.desk.who
            try:
                return JSONResponse(await run_in_threadpool(do, wish, who))
            except (KeyError, TypeError, ValueError) as error:
                if isinstance(error, InputError):
                    raise
                raise HTTPException(
                    400, f"The request lacks something, or has it wrong ({error})."
                ) from error

        return route

    def show(self, request: Request) -> Response:
        guest = _guest(request)
        return JSONResponse({**overview(self.desk), "owner": guest is None, "guest": guest})

    def folders(self, request: Request) -> Response:
        _owner_only(request)
        place = request.query_params.get("path") or str(self.desk.folder or Path.home())
        return JSONResponse(subfolders(Path(place)))

    def files(self, request: Request) -> Response:
        _owner_only(request)
        if self.desk.folder is None:
            return JSONResponse([])
        rows = folder_table(self.desk.folder)
        return JSONResponse([{**row, "path": str(row["path"])} for row in rows])

    def open(self, wish: dict[str, Any], who: str) -> dict[str, Any]:
        self.desk.open(Path(str(wish["path"])))
        if self.desk.has_project:
            self.desk.jobs.look_after()
        return {"ok": True}

    def create(self, wish: dict[str, Any], who: str) -> dict[str, Any]:
        project = self.desk.make()
        left_out = [[path.name, why] for path, why in self.desk.broken]
        return {"images": len(project.state.images), "broken": left_out}

    async def upload(self, request: Request) -> Response:
        """One dropped file as the body; its name in the query."""
        _owner_only(request)
        path = self.desk.drop(request.query_params.get("name", ""))
        return JSONResponse(await downloads.receive(request, path))

    async def archive(self, request: Request) -> Response:
        """A project's zip as the body; it is unpacked in the home and opened."""
        _owner_only(request)
        folder = await downloads.receive_project(request, self.desk.home / "projects")
        await run_in_threadpool(self.desk.open, folder)
        return JSONResponse({"path": str(folder)})

    def phases(self, wish: dict[str, Any], who: str) -> dict[str, Any]:
        if "off" in wish:
            choices.switch_off(self.desk.project, [str(name) for name in wish["off"]], who=who)
        else:
            named = choices.phases_named([str(name).strip() for name in wish["names"]])
            self.desk.reload(choices.set_phases(self.desk.project, named))
        return {"ok": True}

    def scale(self, wish: dict[str, Any], who: str) -> dict[str, Any]:
        """By a bar that was clicked (`length_px`, `length_nm`), or as typed (`pixel_size_nm`)."""
        if wish.get("length_px") is not None:
            pixels, length = float(wish["length_px"]), float(wish["length_nm"])
            if not (math.isfinite(pixels) and pixels >= 2 and math.isfinite(length) and length > 0):
                raise InputError("scale bar: must be two pixels long or more, and its length above 0.")
            size = length / pixels
            source = f"scale bar measured by {who}: {pixels:.1f} px = {length / 1000:g} um"
        else:
            size, source = float(wish["pixel_size_nm"]), f"given by {who}"
        choices.set_scale(self.desk.project, [str(key) for key in wish["keys"]], size, source, who=who)
        return {"pixel_size_nm": size, "source": source}

    def groups(self, wish: dict[str, Any], who: str) -> dict[str, Any]:
        project = self.desk.project
        images = project.state.images.values()
        how = wish.get("how")
        if how == "likeness":
            groups = choices.groups_by_likeness(project)
        elif how == "name":
            named = choices.groups_by_name([image.name for image in images])
            groups = {image.key: named[image.name] for image in images}
        elif how == "each":
            groups = {image.key: image.name for image in images}
        else:
            groups = {str(key): str(group)[:80] for key, group in wish["groups"].items()}
        choices.regroup(project, groups, who=who)
        return {"groups": len(set(groups.values()))}

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
        return _guest(request) or said or self.desk.who

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
        _owner_only(request)
        found = [{"name": path.name, "path": str(path)} for path in lots.ledgers(self.desk)]
        return JSONResponse({"ledgers": found})

    def lots_report(self, request: Request) -> Response:
        _owner_only(request)
        page = lots.report_of(self.desk, request.query_params.get("ledger", ""))
        return Response(page, media_type="text/html")

    def people(self, request: Request) -> Response:
        project = self.desk.project
        owner = _guest(request) is None
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
