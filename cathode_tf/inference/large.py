"""A TIFF of any size in, a tiled label TIFF out, in a memory that does not grow with the image."""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from cathode_tf.errors import InputError
from cathode_tf.files import atomic_file
from cathode_tf.imaging import find_databar, write_overlay
from cathode_tf.imaging.grey import one_channel, shifted, step_between, stretch, to_integers
from cathode_tf.imaging.micrographs import BY_HAND
from cathode_tf.imaging.outliers import fences_of
from cathode_tf.imaging.rasters import Raster, open_raster
from cathode_tf.imaging.resampling import scale_between
from cathode_tf.imaging.tiff_pages import flip_of, palette_of
from cathode_tf.imaging.vendors import read_metadata
from cathode_tf.inference.scale import ScaledImage
from cathode_tf.inference.segmentation import MAPS, mean_entropy
from cathode_tf.phases import Phases
from cathode_tf.progress import track

if TYPE_CHECKING:
    from cathode_tf.inference.segmenter import Segmenter

TILE = 256
OVERLAY_PX = 3000
"""The overlay of a large image is thinned to this side."""

THINNED = 5
DATABAR_COLUMNS = 1024
"""A databar is looked for in about so many columns."""


class TiffWindows:
    """Reads windows of the first page of a grey TIFF, in strips or tiles, compressed or not.

    The pixels are those of `read_micrograph`: other numbers than uint8 and uint16 are shifted or stretched alike,
    by the lowest and the highest of the whole image.

    Args:
        path: The file.
        pixel_size_nm: Overrides what the file says.

    Attributes:
        shape: (height, width), without the databar.
        pixel_size_nm: Edge of a pixel; None = unknown.
        pixel_size_source: Where that was read; "" = unknown.

    Raises:
        InputError: If the page is not such an image.
    """

    def __init__(self, path: str | Path, *, pixel_size_nm: float | None = None):
        self.path = Path(path)
        self._open = contextlib.ExitStack()
        raster = self._open.enter_context(open_raster(self.path, max_megapixels=math.inf))
        self._file, self._page = raster.tiff, raster.page
        page: Any = self._page
        if page is None or page.ndim != 2 or page.dtype is None or page.dtype.kind not in "iuf":
            self.close()
            came = "another format" if page is None else f"{page.dtype} {page.shape}"
            raise InputError(
                f"{path}: must be a grey TIFF, as it is too large to be read at once. Received {came}. Save it in grey."
            )
        if raster.orientation != 1:
            self.close()
            raise InputError(
                f"{path}: must lie upright, as it is too large to be turned. Received orientation "
                f"{raster.orientation} (TIFF "
                "tag 274). Save it as it is shown."
            )
        self._levels: Callable[[np.ndarray], np.ndarray] = self._palette()
        self.shape: tuple[int, int] = (page.shape[0], page.shape[1])
        metadata = read_metadata(raster)
        self.pixel_size_nm, self.pixel_size_source = metadata.pixel_size_nm, metadata.source
        if pixel_size_nm is not None:
            self.pixel_size_nm, self.pixel_size_source = pixel_size_nm, BY_HAND
        rows = metadata.field_rows or self.shape[0] - self._databar_rows()
        self.shape = (rows, self.shape[1])
        if page.dtype not in (np.uint8, np.uint16):
            self._levels = self._stretching()

    def read(self, rows: slice, columns: slice) -> np.ndarray:
        """The pixels of some rows and columns."""
        page, width = self._page, self.shape[1]
        start, stop = rows.start, rows.stop
        try:
            if page.is_contiguous:
                return self._contiguous(rows, columns)
            out = np.zeros((stop - start, columns.stop - columns.start), page.dtype)
            for index, (offset, count) in enumerate(zip(page.dataoffsets, page.databytecounts, strict=True)):
                if not self._overlaps(index, rows, columns):
                    continue
                self._file.filehandle.seek(offset)
                segment, (_, _, row, column, _), (_, height, wide, _) = page.decode(
                    self._file.filehandle.read(count), index
                )
                if segment is None:
                    continue
                a, b = max(row, start), min(row + height, stop)
                c, d = max(column, columns.start), min(column + wide, columns.stop, width)
                part = segment[0, a - row : b - row, c - column : d - column, 0]
                out[a - start : b - start, c - columns.start : d - columns.start] = part
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"{self.path}: is damaged ({error}).") from error
        return self._levels(self._positive(out))

    def close(self) -> None:
        self._open.close()

    def _palette(self) -> Callable[[np.ndarray], np.ndarray]:
        """What grey value each index of a palette stands for; other images stay as they are."""
        colors = palette_of(self._page)
        if colors is None:
            return lambda pixels: pixels
        greys, colored = one_channel(Raster(np.arange(len(colors))[None], colors), self.path)
        if colored is not None:
            self.close()
            raise InputError(
                f"{self.path}: must be grey, as it is too large to be read at once. Received a palette of "
                "colours. Save it in grey."
            )
        return greys[0].__getitem__

    def _stretching(self) -> Callable[[np.ndarray], np.ndarray]:
        """How the numbers of this image become uint8 or uint16, as `to_integers` does it with a whole image."""
        height, width = self.shape
        if self._page.dtype in (np.int8, np.int16):
            return shifted
        low, high, thin = np.inf, -np.inf, []
        for row in range(0, height, TILE):
            pixels = self.read(slice(row, min(row + TILE, height)), slice(0, width))
            if not np.isfinite(pixels).all():
                to_integers(pixels, f"{self.path}, rows from {row} on")  # says how many, and where
            low, high = min(low, float(pixels.min())), max(high, float(pixels.max()))
            thin.append(pixels[::THINNED, ::THINNED].ravel())
        # Where outliers begin, a part of the pixels tells; and a part may miss a value that means no data.
        fences = fences_of(np.concatenate([*thin, np.array([low, high], thin[0].dtype)]))
        low, high = max(low, fences.low), min(high, fences.high)
        step = step_between(low, high, self.path)
        return lambda pixels: stretch(fences.tame(pixels)[0], low, step)

    def _databar_rows(self) -> int:
        """Rows of the databar, looked for in every so-manieth column of the lower quarter."""
        height, width = self.shape
        step = max(width // DATABAR_COLUMNS, 1)
        thin = np.zeros((height, len(range(0, width, step))), self._page.dtype)
        for row in range(height - height // 4, height, TILE):
            rows = slice(row, min(row + TILE, height))
            thin[rows] = self.read(rows, slice(0, width))[:, ::step]
        return find_databar(thin)

    def _contiguous(self, rows: slice, columns: slice) -> np.ndarray:
        page, handle = self._page, self._file.filehandle
        size = page.dtype.itemsize
        wide = columns.stop - columns.start
        out = np.empty((rows.stop - rows.start, wide), page.dtype.newbyteorder(self._file.byteorder))
        for row in range(rows.start, rows.stop):
            handle.seek(page.dataoffsets[0] + (row * self.shape[1] + columns.start) * size)
            content = handle.read(wide * size)
            if len(content) < wide * size:
                raise InputError(f"{self.path}: is cut short in row {row}.")
            out[row - rows.start] = np.frombuffer(content, out.dtype)
        return self._levels(self._positive(out.astype(page.dtype, copy=False)))

    def _overlaps(self, index: int, rows: slice, columns: slice) -> bool:
        page = self._page
        if page.is_tiled:
            across = -(-page.imagewidth // page.tilewidth)
            row, column = index // across * page.tilelength, index % across * page.tilewidth
            height, width = page.tilelength, page.tilewidth
        else:
            row, column, height, width = index * page.rowsperstrip, 0, page.rowsperstrip, page.imagewidth
        inside = row < rows.stop and row + height > rows.start
        return inside and column < columns.stop and column + width > columns.start

    def _positive(self, pixels: np.ndarray) -> np.ndarray:
        """The pixels as shown, where the file says that 0 is white."""
        return Raster(pixels, flip=flip_of(self._page)).shown


def segment_large(
    segmenter: Segmenter,
    image: TiffWindows,
    out: str | Path,
    stem: str,
    *,
    uncertainty: bool = False,
    force: bool = False,
) -> tuple[list[Path], float]:
    """Segment an image tile by tile; write `<stem>_mask.tif` and a thinned overlay.

    Neither the image, its probabilities nor its mask are ever in memory as a whole. An image of known pixel size
    is resampled to the model's, if that is known too, and the maps are brought back to its own.

    Args:
        segmenter: The segmenter; its `max_memory` holds here.
        image: The image.
        out: Folder.
        stem: Names the files.
        uncertainty: Write `<stem>_margin.tif` and `<stem>_entropy.tif` as well.
        force: Replace files that exist.

    Returns:
        The written files, and the score (mean entropy, 0-1).
    """
    out = Path(out)
    height, width = image.shape
    step = -(-max(image.shape) // OVERLAY_PX)
    thin = {
        name: np.zeros((-(-height // step), -(-width // step)), dtype)
        for name, dtype in (("mask", np.uint8), ("pixels", np.uint16))
    }
    doubt = 0
    kept = MAPS if uncertainty else ("mask",)
    with contextlib.ExitStack() as stack:
        # The blocks come unevenly and all maps at once, tiles of a TIFF evenly and one map at a time.
        out.mkdir(parents=True, exist_ok=True)
        raw = {name: stack.enter_context(tempfile.TemporaryFile(dir=out)) for name in kept}
        scale = scale_between(image.pixel_size_nm, segmenter.card.get("pixel_size_nm"), image.path)
        seen = ScaledImage(image.read, image.shape, scale)
        down, across = (segmenter.grid.axis(length).count for length in seen.shape)
        blocks = segmenter.stream(seen)
        for row, column, maps in track(blocks, f"Segmenting {stem}, tiles", total=down * across):
            for name in kept:
                _put(raw[name], maps[name], row, column, width)
            doubt += int(maps["entropy"].sum(dtype=np.int64))
            y, x = -(-row // step), -(-column // step)
            chosen = maps["mask"][y * step - row :: step, x * step - column :: step]
            window = slice(y, y + chosen.shape[0]), slice(x, x + chosen.shape[1])
            thin["mask"][window] = chosen
            bottom, right = (
                first + length for first, length in zip((row, column), maps["mask"].shape, strict=True)
            )
            pixels = image.read(slice(row, bottom), slice(column, right))
            thin["pixels"][window] = pixels[y * step - row :: step, x * step - column :: step]
        written, tags = [], resolution(image.pixel_size_nm, image.pixel_size_source)
        for name in kept:
            palette = segmenter.phases if name == "mask" else None
            path = out / f"{stem}_{name}.tif"
            write_label_tiff(
                path, _tiles(raw[name], image.shape), image.shape, palette, tags=tags, force=force
            )
            written.append(path)
    overlay = out / f"{stem}_overlay.png"
    thin_nm = None if image.pixel_size_nm is None else image.pixel_size_nm * step
    write_overlay(overlay, thin["pixels"], thin["mask"], segmenter.phases, pixel_size_nm=thin_nm, force=force)
    return [*written, overlay], mean_entropy(doubt, height * width)


def write_label_tiff(
    path: Path,
    tiles: Iterator[np.ndarray],
    shape: tuple[int, ...],
    phases: Phases | None,
    *,
    tags: Mapping[str, Any],
    force: bool = False,
) -> None:
    """Write uint8 tiles of 256 x 256 px as a tiled, compressed TIFF, with the phases' colours if given.

    Args:
        path: The file.
        tiles: Row by row.
        shape: (height, width) of the image.
        phases: Their colours become the palette; None = grey.
        tags: What `resolution` gives.
        force: Replace an existing file.
    """
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
            **tags,
        )


def resolution(pixel_size_nm: float | None, source: str) -> dict[str, Any]:
    """What tells tifffile to write a pixel size, in pixels a centimetre, and as its description where it was read."""
    if pixel_size_nm is None:
        return {}
    return {
        "resolution": (1e7 / pixel_size_nm, 1e7 / pixel_size_nm),
        "resolutionunit": "CENTIMETER",
        "description": f"pixel size {pixel_size_nm:.6g} nm: {source or 'source unknown'}".encode(),
    }


def _put(raw: Any, block: np.ndarray, row: int, column: int, width: int) -> None:
    block = np.ascontiguousarray(block)
    for index, line in enumerate(block):
        raw.seek((row + index) * width + column)
        raw.write(line.tobytes())


def _tiles(raw: Any, shape: tuple[int, int]) -> Iterator[np.ndarray]:
    height, width = shape
    raw.seek(0)
    for start in range(0, height, TILE):
        count = min(TILE, height - start)
        block = np.frombuffer(raw.read(count * width), np.uint8).reshape(count, width)
        for column in range(0, width, TILE):
            yield np.ascontiguousarray(block[:, column : column + TILE])
