"""A TIFF of any size in, a tiled label TIFF out, in a memory that does not grow with the image."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import tifffile

from cathode_tf.datasets.standardize import statistics_of_sums
from cathode_tf.errors import InputError
from cathode_tf.files import atomic_file
from cathode_tf.imaging import write_overlay
from cathode_tf.inference.segmentation import MAPS
from cathode_tf.phases import Phases
from cathode_tf.progress import track

if TYPE_CHECKING:
    from cathode_tf.inference.segmenter import Segmenter

TILE = 256
OVERLAY_PX = 3000
"""The overlay of a large image is thinned to this side."""


class Rows(Protocol):
    """An image of which some rows at a time are read."""

    shape: tuple[int, int]

    def read(self, start: int, stop: int) -> np.ndarray: ...


class TiffRows:
    """Reads rows of a grey uint8 or uint16 TIFF page, in strips or tiles, compressed or not.

    Args:
        path: The file.
        index: Which page.

    Raises:
        InputError: If the page is not such an image.
    """

    def __init__(self, path: str | Path, index: int = 0):
        self.path = Path(path)
        try:
            self._file = tifffile.TiffFile(self.path)
            self._page: Any = self._file.pages[index]
        except Exception as error:
            raise InputError(f"{path}: cannot be read as TIFF ({error}).") from error
        page = self._page
        if page.ndim != 2 or page.dtype not in (np.uint8, np.uint16):
            self.close()
            raise InputError(
                f"{path}: must be a grey TIFF of 8 or 16 bits to be read in parts. "
                f"Received {page.dtype} {page.shape}."
            )
        self.shape: tuple[int, int] = page.shape

    def read(self, start: int, stop: int) -> np.ndarray:
        """Rows from `start` to `stop`, (rows, width)."""
        page, width = self._page, self.shape[1]
        try:
            if page.is_contiguous:
                return self._contiguous(start, stop)
            out = np.zeros((stop - start, width), page.dtype)
            for index, (offset, count) in enumerate(zip(page.dataoffsets, page.databytecounts, strict=True)):
                first, last = self._rows_of(index)
                if last <= start or first >= stop:
                    continue
                self._file.filehandle.seek(offset)
                segment, (_, _, row, column, _), (_, height, wide, _) = page.decode(
                    self._file.filehandle.read(count), index
                )
                if segment is None:
                    continue
                a, b, wide = max(row, start), min(row + height, stop), min(wide, width - column)
                out[a - start : b - start, column : column + wide] = segment[0, a - row : b - row, :wide, 0]
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"{self.path}: is damaged ({error}).") from error
        return self._positive(out)

    def close(self) -> None:
        self._file.close()

    def _contiguous(self, start: int, stop: int) -> np.ndarray:
        page, width = self._page, self.shape[1]
        handle = self._file.filehandle
        handle.seek(page.dataoffsets[0] + start * width * page.dtype.itemsize)
        count = (stop - start) * width
        content = handle.read(count * page.dtype.itemsize)
        if len(content) < count * page.dtype.itemsize:
            raise InputError(f"{self.path}: is cut short in row {start + len(content) // max(width, 1)}.")
        values = np.frombuffer(content, page.dtype.newbyteorder(self._file.byteorder))
        return self._positive(values.astype(page.dtype, copy=False).reshape(-1, width))

    def _rows_of(self, index: int) -> tuple[int, int]:
        page = self._page
        if page.is_tiled:
            across = -(-page.imagewidth // page.tilewidth)
            first = index // across * page.tilelength
            return first, first + page.tilelength
        return index * page.rowsperstrip, (index + 1) * page.rowsperstrip

    def _positive(self, pixels: np.ndarray) -> np.ndarray:
        if self._page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
            return np.iinfo(pixels.dtype).max - pixels
        return pixels


def streamed_statistics(rows: Rows, step: int = 512) -> tuple[float, float]:
    """Mean and standard deviation over all pixels, from exact integer sums, some rows at a time."""
    height, width = rows.shape
    total = squares = 0
    for start in range(0, height, step):
        pixels = rows.read(start, min(start + step, height)).astype(np.uint64)
        total += int(pixels.sum())
        squares += int((pixels * pixels).sum())
    return statistics_of_sums(height * width, total, squares)


def segment_large(
    segmenter: Segmenter,
    rows: Rows,
    out: str | Path,
    stem: str,
    *,
    uncertainty: bool = False,
    force: bool = False,
) -> tuple[list[Path], float]:
    """Segment an image row of tiles by row of tiles; write `<stem>_mask.tif` and a thinned overlay.

    Neither the image, its probabilities nor its mask are ever in memory as a whole.

    Args:
        segmenter: The segmenter; its `max_memory` holds here.
        rows: The image.
        out: Folder.
        stem: Names the files.
        uncertainty: Write `<stem>_margin.tif` and `<stem>_entropy.tif` as well.
        force: Replace files that exist.

    Returns:
        The written files, and the score (mean entropy, 0-1).
    """
    out = Path(out)
    height, width = rows.shape
    step = -(-max(rows.shape) // OVERLAY_PX)
    doubt, thin_pixels, thin_mask = 0, [], []
    kept = MAPS if uncertainty else ("mask",)
    with contextlib.ExitStack() as stack:
        # The rows come unevenly and all maps at once, tiles of a TIFF evenly and one map at a time.
        out.mkdir(parents=True, exist_ok=True)
        raw = {name: stack.enter_context(tempfile.TemporaryFile(dir=out)) for name in kept}
        stripes = segmenter.stream(rows.read, rows.shape, statistics=streamed_statistics(rows))
        total = segmenter.grid.axis(height).count
        for first, maps in track(stripes, f"Segmenting {stem}, rows of tiles", total=total):
            for name in kept:
                raw[name].write(np.ascontiguousarray(maps[name]).tobytes())
            doubt += int(maps["entropy"].sum(dtype=np.int64))
            chosen = np.arange(-(-first // step) * step, first + len(maps["mask"]), step)
            if chosen.size:
                thin_mask.append(maps["mask"][chosen - first, ::step])
                pixels = rows.read(int(chosen[0]), int(chosen[-1]) + 1)
                thin_pixels.append(pixels[::step, ::step])
        written = []
        for name in kept:
            palette = segmenter.phases if name == "mask" else None
            path = out / f"{stem}_{name}.tif"
            write_label_tiff(path, _tiles(raw[name], rows.shape), rows.shape, palette, force=force)
            written.append(path)
    overlay = out / f"{stem}_overlay.png"
    write_overlay(
        overlay, np.concatenate(thin_pixels), np.concatenate(thin_mask), segmenter.phases, force=force
    )
    return [*written, overlay], doubt / (height * width) / 255.0


def write_label_tiff(
    path: Path,
    tiles: Iterator[np.ndarray],
    shape: tuple[int, ...],
    phases: Phases | None,
    *,
    force: bool = False,
) -> None:
    """Write uint8 tiles of 256 x 256 px as a tiled, compressed TIFF, with the phases' colours if given."""
    options: dict[str, Any] = {"photometric": "minisblack"}
    if phases is not None:
        options = {"photometric": "palette", "colormap": phases.palette().T.astype(np.uint16) * 257}
    with atomic_file(path, force=force) as temporary, tifffile.TiffWriter(temporary, bigtiff=True) as writer:
        writer.write(
            tiles,
            shape=shape,
            dtype=np.uint8,
            tile=(TILE, TILE),
            compression="zlib",
            metadata=None,
            **options,
        )


def _tiles(raw: Any, shape: tuple[int, int]) -> Iterator[np.ndarray]:
    height, width = shape
    raw.seek(0)
    for start in range(0, height, TILE):
        count = min(TILE, height - start)
        block = np.frombuffer(raw.read(count * width), np.uint8).reshape(count, width)
        for column in range(0, width, TILE):
            yield np.ascontiguousarray(block[:, column : column + TILE])
