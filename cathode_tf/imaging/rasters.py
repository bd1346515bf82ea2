"""Raster files in (TIFF of any kind, PNG, BMP, JPEG), pages of raw samples out, whatever they mean.

The declared size is checked before anything is decoded, and whatever a damaged file makes a decoder
raise leaves here as one `InputError`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import struct
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.imaging.png import decode_plain_png

MAX_MEGAPIXELS = 400.0
"""Images declared larger than this are refused before they are decoded."""

TIFF_SUFFIXES = (".tif", ".tiff")
SUFFIXES = (*TIFF_SUFFIXES, ".png", ".bmp", ".jpg", ".jpeg")
"""File names that are looked at when a folder is searched for images."""

_LOSSY_TIFF = {
    "OJPEG", "JPEG", "JPEG_99", "ALT_JPEG", "JPEG_LOSSY", "JPEG_2000_LOSSY", "APERIO_JP2000_YCBC",
    "APERIO_JP2000_RGB", "JPEGXR_NDPI", "WEBP", "WEBP_DEPRECATED",
}  # fmt: skip


@dataclass(frozen=True)
class Raster:
    """One page as stored.

    Attributes:
        samples: (height, width), or (height, width, channels) in RGB(A) order, any number type.
        colormap: (n, 3) uint8 colours of the indices in `samples`; None unless it is a palette image.
        clear: Indices whose colour is wholly transparent.
        black: The largest sample, where the file says that this is black and 0 white.
        lossy: Name of the lossy compression they went through, "" where there was none.
    """

    samples: np.ndarray
    colormap: np.ndarray | None = None
    clear: tuple[int, ...] = ()
    black: int | None = None
    lossy: str = ""


@dataclass(frozen=True)
class RasterFile:
    """An open file: what is known before decoding, and how to decode page after page.

    Attributes:
        path: Where it is.
        height, width: Of each page, as declared.
        count: How many pages of this size it holds.
        lossy: Name of the lossy compression, "" where there is none.
        read: Decodes the page with this index.
        tiff: The open `tifffile.TiffFile`, for metadata; None for other formats.
    """

    path: Path
    height: int
    width: int
    count: int
    lossy: str
    read: Callable[[int], Raster]
    tiff: Any = None


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
            if head[:2] in (b"II", b"MM"):
                opened = _open_tiff(path, file, max_megapixels, stack)
            else:
                opened = _open_simple(path, file, head, max_megapixels)
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
            f"{path}: must be a whole TIFF, PNG, BMP or JPEG image. It is damaged or truncated ({reason})."
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


def _guarded(path: Path, lossy: str, read: Callable[[int], Raster]) -> Callable[[int], Raster]:
    def guarded(index: int) -> Raster:
        with _damage(path):
            raster = read(index)
        return dataclasses.replace(raster, lossy=lossy)

    return guarded


def _check_size(height: int, width: int, max_megapixels: float) -> None:
    megapixels = height * width / 1e6
    if height < 1 or width < 1:
        raise InputError(f"must have at least one pixel. Received {width} x {height}.")
    if megapixels > max_megapixels:
        raise InputError(
            f"must have at most {max_megapixels:g} megapixels. Received {width} x {height} "
            f"({megapixels:.0f} megapixels). Cut it, or raise --max-megapixels if memory allows."
        )


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
        raise InputError(f"must be a TIFF, PNG, BMP or JPEG image. Its first bytes are {head.hex(' ')}.")
    width, height = image.size
    _check_size(height, width, max_megapixels)
    lossy = "JPEG" if image.format == "JPEG" else ""
    return RasterFile(path, height, width, 1, lossy, _guarded(path, lossy, lambda _: _decode(image, file)))


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
    if samples.dtype == bool:
        samples = samples.astype(np.uint8)
    if image.mode == "I":
        samples = samples.astype(np.uint16)  # Pillow widens 16-bit grey
    return Raster(samples)


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
    height, width = int(first.imagelength), int(first.imagewidth)
    _check_size(height, width, max_megapixels)
    lossy = first.compression.name if getattr(first.compression, "name", "") in _LOSSY_TIFF else ""
    pages = _pages(tiff, first, tiff.filehandle.size)
    read = _guarded(path, lossy, lambda index: _decode_page(*pages[index]))
    return RasterFile(path, height, width, len(pages), lossy, read, tiff)


def _pages(tiff: Any, first: Any, size: int) -> list[tuple[Any, Callable[[], np.ndarray]]]:
    """The planes that belong to the first page, as (page, how to decode it).

    Other pages count if shape and type are the first's: previews and label pages have other sizes.
    """
    if first.dtype is None or len(first.shape) > 3 or first.samplesperpixel > 65535:
        raise InputError(f"must be a grey, palette or RGB image. Received {first.shape} {first.dtype}.")
    if tiff.is_imagej and len(tiff.pages) == 1 and int((tiff.imagej_metadata or {}).get("images", 1)) > 1:
        # ImageJ writes large stacks as one page followed by the other planes, without saying so in pages.
        series = tiff.series[0]
        if len(series.shape) != 3 or series.shape[1:] != first.shape or series.dataoffset is None:
            raise ValueError("the file ends before its last plane")
        if series.dataoffset + series.nbytes > size:
            raise ValueError("the file ends before its last plane")
        step = series.nbytes // series.shape[0]
        starts = range(series.dataoffset, series.dataoffset + series.nbytes, step)
        return [(first, functools.partial(_plane_at, tiff, first, start)) for start in starts]
    if first.axes == "SYX" and (first.dtype.kind != "u" or int(first.photometric) != 2):
        # Separate planes are colours only in unsigned RGB; otherwise somebody stored a stack so.
        _check_segments([first], size)
        whole = functools.cache(first.asarray)
        return [
            (first, functools.partial(lambda index: whole()[index], index)) for index in range(first.shape[0])
        ]
    _check_one_channel(tiff)
    same = [first]
    pages = list(tiff.pages)
    if _next_offset(tiff, pages[-1]) >= size:
        raise ValueError("the file ends before its last page")
    for page in pages[1:]:
        page = page.aspage()
        if page.shape == first.shape and page.dtype == first.dtype and not page.is_reduced:
            same.append(page)
    _check_segments(same, size)
    return [(page, page.asarray) for page in same]


def _check_one_channel(tiff: Any) -> None:
    """Slices of a stack are neighbours; the channels of one image, each a page too, are not."""
    if not (tiff.is_ome or tiff.is_imagej):
        return
    series = tiff.series[0]
    sizes = dict(zip(series.axes, series.shape, strict=True))
    channels = sizes.get("C", 1)
    if channels == 1:
        return
    if max(sizes.get("Z", 1), sizes.get("T", 1)) > 1:
        raise InputError(
            f"must hold one channel. Received {channels} (axes {series.axes}). Save each as a file of its own."
        )
    # Programs call the planes of a plain stack channels, too; in ImageJ, only a composite is sure to have some.
    if tiff.is_ome or (tiff.imagej_metadata or {}).get("mode") not in (None, "grayscale"):
        warnings.warn(
            f"{tiff.filename}: its {channels} channels are taken for slices of a stack. If they show one place, save "
            "each as a file of its own.",
            InputWarning,
            stacklevel=2,
        )


def _plane_at(tiff: Any, page: Any, start: int) -> np.ndarray:
    tiff.filehandle.seek(start)
    dtype = page.dtype.newbyteorder(tiff.byteorder)
    samples = np.frombuffer(tiff.filehandle.read(page.size * dtype.itemsize), dtype)
    return samples.astype(page.dtype).reshape(page.shape)


def _next_offset(tiff: Any, page: Any) -> int:
    """Where the page says that another one begins; 0 = it is the last."""
    layout, file = tiff.tiff, tiff.filehandle
    file.seek(page.offset)
    (count,) = struct.unpack(layout.tagnoformat, file.read(layout.tagnosize))
    file.seek(page.offset + layout.tagnosize + count * layout.tagsize)
    return struct.unpack(layout.offsetformat, file.read(layout.offsetsize))[0]


def _check_segments(pages: list[Any], size: int) -> None:
    for page in pages:
        ends = [o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
        if not ends or max(ends) > size or min(page.databytecounts) <= 0:
            raise ValueError("pixel data lie beyond the end of the file")


def palette_of(page: Any) -> np.ndarray | None:
    """(n, 3) uint8 colours of a TIFF page's palette; None where it has none."""
    if page.colormap is None:
        return None
    # Colours have 16 bit in a TIFF; some programs write 8.
    shift = 8 if page.colormap.max() > 255 else 0
    return np.ascontiguousarray((page.colormap.T >> shift).astype(np.uint8))


def _decode_page(page: Any, decode: Callable[[], np.ndarray]) -> Raster:
    samples = decode()
    if samples.ndim == 3 and page.axes == "SYX":
        samples = np.moveaxis(samples, 0, -1)
    if samples.ndim == 3:
        samples = _checked_channels(page, samples)
    if samples.dtype == bool:
        samples = samples.astype(np.uint8)
    colormap = palette_of(page) if samples.ndim == 2 else None
    inverted = page.photometric is not None and int(page.photometric) == 0 and samples.dtype.kind == "u"
    return Raster(samples, colormap, black=(1 << int(page.bitspersample)) - 1 if inverted else None)


def _checked_channels(page: Any, samples: np.ndarray) -> np.ndarray:
    """The channels of a page, if they are colours, or grey with an opacity, or all the same."""
    colors = page.photometric is not None and int(page.photometric) in (2, 6)
    opacity = bool(page.extrasamples) and int(page.extrasamples[-1]) in (1, 2)
    if samples.shape[2] == (3 if colors else 1) + opacity:
        return samples
    if colors and samples.shape[2] == 4:
        return samples  # of RGB the fourth is the opacity, said or not
    if samples.shape[2] <= 4 and (samples == samples[..., :1]).all():
        return samples[..., 0]
    raise InputError(
        f"must be a grey, palette or RGB image. Received {samples.shape[2]} channels that are no colours. "
        "Save each channel as a file of its own."
    )
