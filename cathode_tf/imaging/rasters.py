"""Raster files in (TIFF of any kind, PNG, BMP, JPEG), pages of raw samples out, whatever they mean.

The declared size is checked before anything is decoded, and whatever a damaged file makes a decoder
raise leaves here as one `InputError`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.imaging.codecs import lossy_name
from cathode_tf.imaging.containers import CZI_MAGIC, HDF5_MAGIC, open_czi, open_emd
from cathode_tf.imaging.orientation import UPRIGHT, of_jpeg, of_png, shown_shape, turned
from cathode_tf.imaging.png import decode_plain_png
from cathode_tf.imaging.strangers import refused_format
from cathode_tf.imaging.tiff_pages import (
    Plane,
    checked_channels,
    flip_of,
    list_pages,
    orientation_of,
    palette_of,
)

MAX_MEGAPIXELS = 400.0
"""Images declared larger than this are refused before they are decoded."""

TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
TIFF_SUFFIXES = (".tif", ".tiff")
SUFFIXES = (*TIFF_SUFFIXES, ".png", ".bmp", ".jpg", ".jpeg", ".czi", ".emd")
"""File names that are looked at when a folder is searched for images."""


@dataclass(frozen=True)
class Raster:
    """One page as stored, turned as it is shown.

    Attributes:
        samples: (height, width), or (height, width, channels) in RGB(A) order, any number type.
        colormap: (n, 3) uint8 colours of the indices in `samples`; None unless it is a palette image.
        clear: Indices whose colour is wholly transparent.
        flip: Where the file says that 0 is white, what stored and shown samples add up to; else None.
        doubtful: The file is ImageJ's, for which a white 0 is a way to look at samples that count as stored.
        bilevel: Stored in one bit, 1 = white.
        lossy: Name of the lossy compression they went through, "" where there was none.
    """

    samples: np.ndarray
    colormap: np.ndarray | None = None
    clear: tuple[int, ...] = ()
    flip: int | None = None
    doubtful: bool = False
    bilevel: bool = False
    lossy: str = ""

    @property
    def shown(self) -> np.ndarray:
        """The samples with white as the largest, by one rule for every number type."""
        if self.flip is None:
            return self.samples
        if self.samples.ndim == 3:  # the opacity behind the grey is as stored
            return np.dstack([self._turned_over(self.samples[..., :-1]), self.samples[..., -1]])
        return self._turned_over(self.samples)

    def _turned_over(self, samples: np.ndarray) -> np.ndarray:
        return ~samples if samples.dtype.kind == "i" else samples.dtype.type(self.flip) - samples


@dataclass(frozen=True)
class RasterFile:
    """An open file: what is known before decoding, and how to decode page after page.

    Attributes:
        path: Where it is.
        height, width: Of each page, as shown.
        count: How many pages of this size it holds.
        lossy: Name of the lossy compression, "" where there is none.
        read: Decodes the page with this index.
        tiff: The open `tifffile.TiffFile`, for metadata; None for other formats.
        page: The first page of the image in it; None for other formats.
        orientation: How the pages lie in the file, 1 to 8 as in EXIF; they are read as shown.
        left_out: What is in the file and no page of the image, in words.
        texts: Metadata of other formats, by the name of the format.
    """

    path: Path
    height: int
    width: int
    count: int
    lossy: str
    read: Callable[[int], Raster]
    tiff: Any = None
    page: Any = None
    orientation: int = 1
    left_out: tuple[str, ...] = ()
    texts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stored_shape(self) -> tuple[int, int]:
        """(height, width) as stored, which is what metadata describe."""
        return shown_shape(self.height, self.width, self.orientation)

    def tag(self, code: int) -> Any:
        """The TIFF tag of the image's page, or else of the first page; None where neither has it."""
        if self.tiff is None:
            return None
        return self.page.tags.get(code) or self.tiff.pages[0].tags.get(code)


@contextlib.contextmanager
def open_raster(path: str | Path, *, max_megapixels: float = MAX_MEGAPIXELS) -> Iterator[RasterFile]:
    """The file, opened and its declared size checked; the content decides the format, not the name.

    Raises:
        InputError: If it cannot be read, is no image, is damaged, or declares more than `max_megapixels`.
    """
    path = Path(path)
    with contextlib.ExitStack() as stack:
        try:
            if path.exists() and not path.is_file():  # a pipe would wait for ever
                raise InputError(f"{path}: cannot be read (it is no regular file).")
            file = stack.enter_context(path.open("rb"))
            head = file.read(8)
            file.seek(0)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
        if not head:
            raise InputError(f"{path}: must be an image. Received an empty file.")
        with _damage(path):
            if head[:4] in TIFF_HEADS:
                opened = _open_tiff(path, file, max_megapixels, stack)
            else:
                opened = _open_other(path, file, head, max_megapixels, stack)
        yield opened


@contextlib.contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Decoders raise anything on damaged files; users get one sentence that names the file."""
    try:
        with quiet():
            yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except Exception as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(
            f"{path}: must be a whole TIFF, PNG, BMP, JPEG, CZI or EMD image. It is damaged or truncated ({reason})."
        ) from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep tifffile from printing what an error says anyway, or what metadata are better without."""
    logger = logging.getLogger("tifffile")

    def nothing(record: logging.LogRecord) -> bool:
        return False

    logger.addFilter(nothing)
    try:
        yield
    finally:
        logger.removeFilter(nothing)


def _guarded(
    path: Path, lossy: str, orientation: int, read: Callable[[int], Raster]
) -> Callable[[int], Raster]:
    def guarded(index: int) -> Raster:
        with _damage(path):
            raster = read(index)
            samples = turned(raster.samples, orientation)
        return dataclasses.replace(raster, samples=samples, lossy=lossy)

    return guarded


def _warn_of_turning(path: Path, orientation: int) -> None:
    if orientation != UPRIGHT:
        warnings.warn(
            f"{path}: is stored turned or mirrored (orientation {orientation}), and read as viewers show "
            f"it. Annotations "
            "must have been drawn on it as shown.",
            InputWarning,
            stacklevel=4,
        )


def _check_size(height: int, width: int, max_megapixels: float) -> None:
    megapixels = height * width / 1e6
    if height < 1 or width < 1:
        raise InputError(f"must have at least one pixel. Received {width} x {height}.")
    if megapixels > max_megapixels:
        raise InputError(
            f"must have at most {max_megapixels:g} megapixels. Received {width} x {height} "
            f"({megapixels:.0f} megapixels). Cut it, or raise --max-megapixels if memory allows."
        )


def _open_other(
    path: Path, file: BinaryIO, head: bytes, max_megapixels: float, stack: contextlib.ExitStack
) -> RasterFile:
    if head not in (CZI_MAGIC, HDF5_MAGIC):
        return _open_simple(path, file, head, max_megapixels)
    found = (open_czi if head == CZI_MAGIC else open_emd)(path, stack)
    _check_size(found.height, found.width, max_megapixels)
    read = _guarded(path, found.lossy, UPRIGHT, lambda index: Raster(found.read(index)))
    return RasterFile(path, found.height, found.width, found.count, found.lossy, read, texts=found.texts)


def _open_simple(path: Path, file: BinaryIO, head: bytes, max_megapixels: float) -> RasterFile:
    from PIL import BmpImagePlugin, JpegImagePlugin, PngImagePlugin

    # The classes, not Image.open: that one has its own, global limit of size and tries 40 formats.
    image: Any
    if head == b"\x89PNG\r\n\x1a\n":
        image = PngImagePlugin.PngImageFile(file)
    elif head.startswith(b"BM"):
        image = BmpImagePlugin.BmpImageFile(file)
    elif head.startswith(b"\xff\xd8\xff"):
        image = JpegImagePlugin.JpegImageFile(file)
    else:
        raise refused_format(path, head)
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise InputError(f"must hold one image. Received {frames} frames. Save each as a file of its own.")
    orientation = UPRIGHT
    if image.format == "PNG":
        place = file.tell()
        orientation = of_png(file)
        file.seek(place)
    elif image.format == "JPEG":
        orientation = of_jpeg(image)
    width, height = image.size
    _check_size(height, width, max_megapixels)
    _warn_of_turning(path, orientation)
    height, width = shown_shape(height, width, orientation)
    lossy = "JPEG" if image.format == "JPEG" else ""
    read = _guarded(path, lossy, orientation, lambda _: _decode(image, file))
    return RasterFile(path, height, width, 1, lossy, read, orientation=orientation)


def _decode(image: Any, file: BinaryIO) -> Raster:
    """Pixels of a Pillow file; 16-bit colour, which Pillow would cut to 8 bit, by OpenCV."""
    if image.format == "PNG" and image.mode in ("RGB", "RGBA", "LA"):
        file.seek(24)
        if file.read(1) == b"\x10":
            return _decode_deep(image, file)
    if image.mode in ("1", "L", "RGB") and "transparency" in image.info:
        image = image.convert("RGBA" if image.mode == "RGB" else "LA")
    if image.format == "PNG" and image.mode in ("L", "P"):
        samples = _decode_grey(image, file)
        if samples is not None:
            return Raster(samples, *_palette(image))
    if image.mode == "P":
        return Raster(np.asarray(image), *_palette(image))
    if image.mode == "CMYK":
        image = image.convert("RGB")
    samples = np.asarray(image)
    if image.format == "BMP" and samples.ndim == 3 and samples.shape[2] == 4 and not samples[..., 3].any():
        samples = samples[..., :3]  # Windows' programs leave the fourth byte empty, and mean no opacity by it
    bilevel = samples.dtype == bool
    if bilevel:
        samples = samples.astype(np.uint8)
    if image.mode == "I":
        samples = samples.astype(np.uint16)  # Pillow widens 16-bit grey
    return Raster(samples, bilevel=bilevel)


def _decode_grey(image: Any, file: BinaryIO) -> np.ndarray | None:
    """Samples of one channel, faster than by Pillow; None where only Pillow will do."""
    from imagecodecs import png_decode

    file.seek(0)
    content = file.read()
    file.seek(0)
    samples = decode_plain_png(content, palette=True)
    if samples is None and image.mode == "L" and content[24] == 8:
        samples = png_decode(content)
    return samples


def _palette(image: Any) -> tuple[np.ndarray | None, tuple[int, ...]]:
    """Colours of a palette image, and which of them are wholly transparent."""
    if image.mode != "P":
        return None, ()
    colors = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    opacity = image.info.get("transparency", b"")
    # One number where a single colour is transparent, else the opacity of each.
    clear = (opacity,) if isinstance(opacity, int) else tuple(i for i, o in enumerate(opacity) if o == 0)
    return colors, clear


def _decode_deep(image: Any, file: BinaryIO) -> Raster:
    import cv2

    file.seek(0)
    content = np.frombuffer(file.read(), np.uint8)
    file.seek(0)
    type(image)(file).load()  # strict about damage, which OpenCV prints but lets pass
    decoded = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    if decoded is None:
        raise ValueError("cannot be decoded")
    if decoded.ndim == 3:
        to_rgb = cv2.COLOR_BGRA2RGBA if decoded.shape[2] == 4 else cv2.COLOR_BGR2RGB
        decoded = cv2.cvtColor(decoded, to_rgb)
    return Raster(decoded)


def _open_tiff(path: Path, file: BinaryIO, max_megapixels: float, stack: contextlib.ExitStack) -> RasterFile:
    import tifffile

    tiff = stack.enter_context(tifffile.TiffFile(file, name=path.name))
    first: Any = tiff.pages[0]
    _check_size(int(first.imagelength), int(first.imagewidth), max_megapixels)
    pages = list_pages(tiff, path, tiff.filehandle.size)
    page = pages.planes[0].page
    _check_size(int(page.imagelength), int(page.imagewidth), max_megapixels)
    lossy = next((name for plane in pages.planes if (name := lossy_name(plane.page))), "")
    orientation = orientation_of(page)
    turned_ones = (o for plane in pages.planes if (o := orientation_of(plane.page)) != UPRIGHT)
    _warn_of_turning(path, next(turned_ones, UPRIGHT))
    height, width = shown_shape(int(page.imagelength), int(page.imagewidth), orientation)
    read = _guarded(path, lossy, UPRIGHT, lambda index: _decode_page(tiff, pages.planes[index]))
    return RasterFile(
        path, height, width, len(pages.planes), lossy, read, tiff, page, orientation, pages.left_out
    )


def _decode_page(tiff: Any, plane: Plane) -> Raster:
    page, samples = plane.page, plane.decode()
    if samples.ndim == 3 and page.axes == "SYX":
        samples = np.moveaxis(samples, 0, -1)
    if samples.ndim == 3:
        samples = checked_channels(page, samples)
    bilevel = samples.dtype == bool
    if bilevel:
        samples = samples.astype(np.uint8)
    colormap = palette_of(page) if samples.ndim == 2 else None
    return Raster(
        turned(samples, orientation_of(page)),
        colormap,
        flip=flip_of(page),
        doubtful=tiff.is_imagej,
        bilevel=bilevel,
    )
