"""What the page needs to see of an image: grey bytes, thumbnails, uncertain regions, superpixels."""

from __future__ import annotations

import contextlib
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from starlette.requests import Request

from cathode_tf.errors import InputError
from cathode_tf.files import atomic_file, read_json, write_json
from cathode_tf.review.pictures import grey_levels, picture_of, shown_between, thumbnail_of
from cathode_tf.rounds import Project
from cathode_tf.rounds.state import ImageState

SUPERPIXEL_TILE = 512


class Views:
    """Pictures of a project's images, the recent ones kept in memory."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.grey = lru_cache(maxsize=4)(self._grey)
        self.pixels = lru_cache(maxsize=2)(self._pixels)
        self.superpixels = lru_cache(maxsize=256)(self._superpixels)

    def _pixels(self, key: str) -> np.ndarray:
        return self.project.pixels(self.project.image(key))

    def _grey(self, key: str) -> np.ndarray:
        """The image stretched to uint8 (height, width)."""
        return shown_between(self.pixels(key), None)

    def windowed(self, key: str, black: float, white: float) -> np.ndarray:
        """The image as uint8 (height, width), black and white at these grey levels."""
        return shown_between(self.pixels(key), (black, white))

    def window(self, key: str) -> dict[str, Any]:
        """`grey_levels` of the image."""
        return grey_levels(self.pixels(key), self.project.image(key).acquisition)

    def thumbnail(self, key: str) -> bytes:
        """A small PNG of the image."""
        path = self.project.path / "thumbnails" / f"{key}.png"
        if not path.exists():
            data = thumbnail_of(self.project.pixels(self.project.image(key)))
            with contextlib.suppress(InputError), atomic_file(path, force=True) as temporary:
                temporary.write_bytes(data)  # kept, unless the project is read-only
            return data
        return path.read_bytes()

    def with_strip(self, key: str) -> bytes:
        """The image as a PNG for measuring its scale bar, with the data strip that was cut off below it."""
        import cv2

        from cathode_tf.imaging import display

        image = self.project.image(key)
        parts = [display(self.project.pixels(image))]
        strip = self.project.strip(image)
        if strip is not None:
            parts.append(display(strip, low=0, high=100))
        return cv2.imencode(".png", np.vstack(parts), [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()

    def picture(self, key: str, what: str, window: tuple[float, float] | None = None) -> bytes | None:
        """A JPEG of the image, `grey` or tinted with a mask: `proposal`, `accepted`, or that of a model.

        Args:
            key: The image.
            what: One of these words, or a model's name, whose mask of a test image is kept; None where there is none.
            window: Grey levels that are black and white in a `grey` picture; default: chosen for the image.
        """
        from cathode_tf.imaging import overlay

        image = self.project.image(key)
        pixels = self.pixels(key)
        if what == "grey":
            return picture_of(shown_between(pixels, window))
        mask = self._mask(image, what)
        if mask is None:
            return None
        return picture_of(overlay(pixels, mask, self.project.phases)[..., ::-1])

    def _mask(self, image: ImageState, what: str) -> np.ndarray | None:
        if what == "proposal":
            return self._newest_proposal(image)
        if what == "accepted":
            return self.project.mask(image)
        if not re.fullmatch(r"\d{3,6}|default", what):
            return None
        path = f"measured/{what}/{image.key}.png"
        return self.project.mask_at(path, image) if (self.project.path / path).exists() else None

    def _newest_proposal(self, image: ImageState) -> np.ndarray | None:
        """The latest proposal, also one of a round that is still being proposed."""
        number = self.project.state.round + 1
        place = f"proposals/{image.key}/r{number:03d}"
        if (self.project.path / f"{place}.json").exists():
            return self.project.mask_at(f"{place}_mask.png", image)
        return self.project.proposal(image)

    def regions(self, image: ImageState) -> list[dict[str, Any]]:
        """The least sure places of the latest proposal (`uncertain_regions`); kept, as the map is large."""
        if image.proposal is None:
            return []
        stem = Path(image.proposal["uncertainty"]).stem
        path = self.project.path / "thumbnails" / f"{image.key}-{stem}.json"
        if path.exists():
            return read_json(path)
        uncertainty = self.project.uncertainty(image)
        assert uncertainty is not None
        found = uncertain_regions(uncertainty)
        with contextlib.suppress(InputError):  # a read-only project
            write_json(path, found, force=True)
        return found

    def _superpixels(self, key: str, row: int, column: int, size: int) -> bytes:
        """Superpixels of one 512 px tile, uint16 (height, width) of the tile, numbered from 0.

        Args:
            key: The image.
            row: Row of the tile.
            column: Column of the tile.
            size: Wished width of a superpixel, px.
        """
        from skimage.filters import gaussian
        from skimage.segmentation import slic

        grey = self.grey(key)
        step = SUPERPIXEL_TILE
        tile = grey[row * step : (row + 1) * step, column * step : (column + 1) * step]
        if not tile.size:
            raise InputError(f"superpixels: there is no tile {row}, {column} in an image of {grey.shape}.")
        smooth = gaussian(tile, 1.0, preserve_range=False)
        count = max(1, tile.size // (size * size))
        labels = slic(
            smooth, n_segments=count, compactness=0.08, channel_axis=None, start_label=0, max_num_iter=5
        )
        return labels.astype("<u2").tobytes()


def asked_window(request: Request) -> tuple[float, float] | None:
    """`black` and `white` of a request's query, where both are there.

    Raises:
        InputError: If they are no numbers.
    """
    given = [request.query_params.get(name) for name in ("black", "white")]
    if None in given:
        return None
    try:
        black, white = (float(str(value)) for value in given)
    except ValueError as error:
        raise InputError(f"window: black and white must be numbers. Received {given}.") from error
    return black, white


def uncertain_regions(
    uncertainty: np.ndarray, *, count: int = 40, block_px: int = 32
) -> list[dict[str, Any]]:
    """The places where a proposal is least sure, worst first.

    Args:
        uncertainty: uint8 (height, width), 255 = least sure.
        count: How many places at most.
        block_px: Side of the squares that are averaged.

    Returns:
        `row`, `column` (centre, px), `size` (px) and `score` (mean, 0-1) of each place; no two adjoin.

    Example:
        >>> uncertainty = np.zeros((64, 96), np.uint8)
        >>> uncertainty[32:, 64:] = 255
        >>> uncertain_regions(uncertainty)
        [{'row': 48, 'column': 80, 'size': 32, 'score': 1.0}]
    """
    height, width = uncertainty.shape
    rows, columns = -(-height // block_px), -(-width // block_px)
    edges_y, edges_x = np.arange(rows) * block_px, np.arange(columns) * block_px
    # Along the rows first, as they lie in memory.
    sums = np.add.reduceat(np.add.reduceat(uncertainty, edges_x, 1, dtype=np.uint32), edges_y, 0)
    heights = np.minimum(edges_y + block_px, height) - edges_y
    widths = np.minimum(edges_x + block_px, width) - edges_x
    means = sums / np.outer(heights, widths) / 255
    free = means > 0.02
    places: list[dict[str, Any]] = []
    for index in np.argsort(-means, axis=None, kind="stable"):
        row, column = divmod(int(index), columns)
        if len(places) == count or not means[row, column] > 0.02:
            break
        if free[row, column]:
            free[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2] = False
            places.append(
                {
                    "row": int(edges_y[row] + heights[row] // 2),
                    "column": int(edges_x[column] + widths[column] // 2),
                    "size": block_px,
                    "score": round(float(means[row, column]), 3),
                }
            )
    return places
