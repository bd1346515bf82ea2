"""One image of a project in; its particles, as the network and people told them apart, out: split, merged, redrawn.

What people draw is kept as steps, in `particles/<key>/steps.json` beside the label image that they start from; so any
step can be taken back, after a reload too. `particles/<stem>_..._labels.tif` always holds the result, for all that
reads label images: `analyze`, `convert --instances`, `train_separation`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from scipy.ndimage import find_objects
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cathode_tf.errors import InputError
from cathode_tf.files import pixel_sha256, read_json, write_json
from cathode_tf.imaging.label_images import read_labels, write_labels
from cathode_tf.particles.edits import EDITS
from cathode_tf.phases import IGNORE
from cathode_tf.review.drafts import Draft
from cathode_tf.rounds import ImageState, Project
from cathode_tf.rounds.particles import particle_files

MOST_POINTS = 20_000


class ParticleSheet:
    """The particles of one image and what was done to them.

    Args:
        project: The project.
        image: The image.

    Attributes:
        folder: Keeps the steps.
        result: The file that always holds the label image as it stands.
    """

    def __init__(self, project: Project, image: ImageState) -> None:
        self.project, self.image = project, image
        self.folder, self.result = particle_files(project, image)
        self._steps = self.folder / "steps.json"

    def view(self, *, anew: bool = False) -> dict[str, Any]:
        """The card of the sheet; separates the particles of the mask first, where that was not done or is asked for.

        Raises:
            InputError: If there is no mask yet, or none of its phases is a particle.
        """
        if anew or not self._steps.exists():
            from cathode_tf.inference.separation import separate  # loads the network, which takes seconds

            mask = self._mask()
            pixels = self.project.pixels(self.image)
            labels = separate(mask, self.project.phases, pixels, network=self.project.separation)
            write_labels(self.folder / "base.tif", labels, force=True)
            card = {"mask_sha256": pixel_sha256(mask), "done": [], "undone": []}
            write_json(self._steps, card, force=True)
            write_labels(self.result, labels, force=True)
        return self._card()

    def labels(self) -> np.ndarray:
        """The label image as it stands, int32 (height, width)."""
        labels = read_labels(self.folder / "base.tif")
        for step in read_json(self._steps)["done"]:
            labels = EDITS[step["kind"]](labels, np.array(step["points"], float))
        return labels

    def edit(self, kind: str, points: Any) -> dict[str, Any]:
        """Split, merge or redraw along a stroke, or `undo` and `redo`.

        Args:
            kind: Name in `EDITS`, `"undo"` or `"redo"`.
            points: The stroke, rows and columns; of no matter for the last two.

        Raises:
            InputError: If the stroke does nothing of that kind, or there is no step to take back.
        """
        card = read_json(self._steps)
        done, undone = card["done"], card["undone"]
        if kind in ("undo", "redo"):
            source, target = (done, undone) if kind == "undo" else (undone, done)
            if not source:
                raise InputError(f"particles: there is no step to {kind}.")
            target.append(source.pop())
            labels = None
        elif kind in EDITS:
            stroke = _stroke(points)
            labels = EDITS[kind](read_labels(self.result), stroke)
            done.append({"kind": kind, "points": stroke.round(1).tolist()})
            undone.clear()
        else:
            raise InputError(f"particles: must be {', '.join(EDITS)}, undo or redo. Received {kind!r}.")
        write_json(self._steps, card, force=True)
        write_labels(self.result, self.labels() if labels is None else labels, force=True)
        return self._card()

    def _mask(self) -> np.ndarray:
        mask = Draft(self.project, self.image).mask()
        if (mask == IGNORE).all():
            raise InputError(f"{self.image.name}: has no mask yet whose particles could be told apart.")
        return mask

    def _card(self) -> dict[str, Any]:
        card = read_json(self._steps)
        labels = read_labels(self.result)
        return {
            "steps": len(card["done"]),
            "undone": len(card["undone"]),
            "stale": card["mask_sha256"] != pixel_sha256(self._mask()),
            "height": labels.shape[0],
            "width": labels.shape[1],
            "count": int((np.bincount(labels.ravel())[1:] > 0).sum()),
            "outlines": outlines(labels),
            "file": str(self.result),
        }


def outlines(labels: np.ndarray) -> list[list[int]]:
    """Outer outlines of the particles along their own pixels, each x, y, x, y ...; a particle in pieces has several.

    Example:
        >>> outlines(np.array([[0, 0, 0], [0, 1, 1]]))
        [[1, 1, 2, 1]]
    """
    found = []
    for number, window in enumerate(find_objects(labels), start=1):
        if window is None:
            continue
        rings, _ = cv2.findContours(
            (labels[window] == number).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
        )
        corner = np.array([window[1].start, window[0].start])
        found += [(ring[:, 0] + corner).ravel().tolist() for ring in rings]
    return found


def particle_routes(
    project_of: Callable[[], Project],
    image_of: Callable[[Request], ImageState],
    sender: Callable[[Request], Any],
    claim: Callable[..., None],
) -> list[Route]:
    """The routes of the page that corrects particles.

    Args:
        project_of: Gives the project on the desk.
        image_of: Gives the image that a request names.
        sender: Gives who asks, from the body of a request: session, name and wish.
        claim: Refuses where another tab works on the image.
    """
    busy = threading.Lock()

    def opened(request: Request) -> Response:
        with busy:
            return JSONResponse(ParticleSheet(project_of(), image_of(request)).view())

    async def edit(request: Request) -> Response:
        image = image_of(request)
        session, who, wish = await sender(request)
        kind, points = wish.get("kind"), wish.get("points")
        if not isinstance(kind, str):
            raise HTTPException(400, "The request must name a kind of edit.")

        def work() -> dict[str, Any]:
            claim(project_of(), image.key, session, who)
            sheet = ParticleSheet(project_of(), image)
            with busy:
                return sheet.view(anew=True) if kind == "anew" else sheet.edit(kind, points)

        return JSONResponse(await run_in_threadpool(work))

    return [
        Route("/api/images/{key}/particles", opened),
        Route("/api/images/{key}/particles", edit, methods=["POST"]),
    ]


def _stroke(points: Any) -> np.ndarray:
    try:
        stroke = np.array(points, float)
    except (TypeError, ValueError) as error:
        raise InputError(
            "stroke: must be a list of points (row, column). Received something else."
        ) from error
    if stroke.ndim != 2 or stroke.shape[1] != 2 or not 2 <= len(stroke) <= MOST_POINTS:
        raise InputError(
            f"stroke: must have 2 to {MOST_POINTS} points (row, column). Received an array {stroke.shape}."
        )
    return stroke
