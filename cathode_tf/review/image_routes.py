"""Routes of the first station: a folder chosen, its files looked at and taken; pixel sizes, groups, test images."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cathode_tf.errors import InputError
from cathode_tf.imaging.micrographs import PLAUSIBLE_NM
from cathode_tf.review import downloads
from cathode_tf.review.desk import Desk
from cathode_tf.review.folders import folder_table, subfolders
from cathode_tf.review.views import asked_window
from cathode_tf.review.wishes import owner_only, wish_route
from cathode_tf.rounds import Project, choices
from cathode_tf.words import some


def image_routes(desk: Desk) -> list[Route]:
    """The routes of one desk."""
    make = _Images(desk)
    wish = partial(wish_route, desk)
    return [
        Route("/api/app/folders", make.folders),
        Route("/api/app/files", make.files),
        Route("/api/app/files/{what:str}", make.file_picture),
        Route("/api/app/open", wish(make.open, owner=True), methods=["POST"]),
        Route("/api/app/create", wish(make.create, owner=True), methods=["POST"]),
        Route("/api/app/upload", make.upload, methods=["POST"]),
        Route("/api/app/archive", make.archive, methods=["POST"]),
        Route("/api/app/scale", wish(make.scale), methods=["POST"]),
        Route("/api/app/groups", wish(make.groups), methods=["POST"]),
        Route("/api/app/tests", wish(make.tests), methods=["POST"]),
    ]


def _typed_nm(value: Any) -> float:
    """A pixel size as someone typed it, with a decimal point or comma.

    Raises:
        InputError: If it is no number, or none that a microscope has.
    """
    low, high = PLAUSIBLE_NM
    try:
        size = float(str(value).strip().replace(",", "."))
    except ValueError:
        size = math.nan
    if not low <= size <= high:
        raise InputError(
            f"pixel size: must be a number of nm a pixel, {low:g} to {high:,.0f}. Received {str(value)[:40]!r}."
        )
    return size


def _said_of(places: list[list[str]], project: Project) -> str:
    """Which images show a part of the same place, in a sentence; empty where none do."""
    names = [some([project.image(key).name for key in keys], most=4) for keys in places]
    what = "Neighbouring slices, overlapping fields or crops of one image, now one group each: "
    return f"{what}{'; '.join(names[:4])}{' ...' * (len(names) > 4)}." if names else ""


class _Images:
    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def folders(self, request: Request) -> Response:
        owner_only(request)
        place = request.query_params.get("path") or str(self.desk.folder or Path.home())
        return JSONResponse(subfolders(Path(place)))

    def files(self, request: Request) -> Response:
        owner_only(request)
        if self.desk.folder is None:
            return JSONResponse([])
        rows = folder_table(self.desk.folder)
        return JSONResponse([{**row, "path": str(row["path"])} for row in rows])

    def file_picture(self, request: Request) -> Response:
        """`thumbnail`, `picture` or `levels` of a file that is in no project yet; its name in the query."""
        owner_only(request)
        name, what = request.query_params.get("name", ""), request.path_params["what"]
        if what == "thumbnail":
            return Response(self.desk.files.thumbnail(name), media_type="image/png")
        if what == "picture":
            return Response(self.desk.files.picture(name, asked_window(request)), media_type="image/jpeg")
        if what == "levels":
            return JSONResponse(self.desk.files.levels(name))
        raise HTTPException(404, "There is no such picture.")

    def open(self, wish: dict[str, Any], who: str) -> dict[str, Any]:
        self.desk.open(Path(str(wish["path"])))
        if self.desk.has_project:
            self.desk.jobs.look_after()
        return {"ok": True}

    def create(self, wish: dict[str, Any], who: str) -> dict[str, Any]:
        size = _typed_nm(wish["pixel_size_nm"]) if wish.get("pixel_size_nm") not in (None, "") else None
        project = self.desk.make()
        unknown = [image.key for image in project.state.images.values() if image.pixel_size_nm is None]
        if size is not None and unknown:
            choices.set_scale(project, unknown, size, f"typed by {who}", who=who)
        left_out = [[path.name, why] for path, why in self.desk.broken]
        return {"images": len(project.state.images), "broken": left_out}

    async def upload(self, request: Request) -> Response:
        """One dropped file as the body; its name in the query."""
        owner_only(request)
        path = self.desk.drop(request.query_params.get("name", ""))
        return JSONResponse(await downloads.receive(request, path))

    async def archive(self, request: Request) -> Response:
        """A project's zip as the body; it is unpacked in the home and opened."""
        owner_only(request)
        folder = await downloads.receive_project(request, self.desk.home / "projects")
        await run_in_threadpool(self.desk.open, folder)
        return JSONResponse({"path": str(folder)})

    def scale(self, wish: dict[str, Any], who: str) -> dict[str, Any]:
        """By a bar that was clicked (`length_px`, `length_nm`), or as typed (`pixel_size_nm`)."""
        if wish.get("length_px") is not None:
            pixels, length = float(wish["length_px"]), float(wish["length_nm"])
            if not (math.isfinite(pixels) and pixels >= 2 and math.isfinite(length) and length > 0):
                raise InputError("scale bar: must be two pixels long or more, and its length above 0.")
            size = length / pixels
            source = f"scale bar measured by {who}: {pixels:.1f} px = {length / 1000:g} um"
        else:
            size, source = _typed_nm(wish["pixel_size_nm"]), f"typed by {who}"
        choices.set_scale(self.desk.project, [str(key) for key in wish["keys"]], size, source, who=who)
        return {"pixel_size_nm": size, "source": source}

    def groups(self, wish: dict[str, Any], who: str) -> dict[str, Any]:
        project = self.desk.project
        images = project.state.images.values()
        how = wish.get("how")
        said = ""
        if how == "likeness":
            places = choices.shared_places(project)
            groups = choices.groups_by_likeness(project, places)
            said = _said_of(places, project)
        elif how == "name":
            named = choices.groups_by_name([image.name for image in images])
            groups = {image.key: named[image.name] for image in images}
        elif how == "each":
            groups = {image.key: image.name for image in images}
        else:
            groups = {str(key): str(group)[:80] for key, group in wish["groups"].items()}
        choices.regroup(project, groups, who=who)
        return {"groups": len({image.group for image in project.state.images.values()}), "said": said}

    def tests(self, wish: dict[str, Any], who: str) -> dict[str, Any]:
        """Which images measure: those with these keys, and what belongs to their groups."""
        return {"with": choices.choose_tests(self.desk.project, [str(key) for key in wish["keys"]], who=who)}
