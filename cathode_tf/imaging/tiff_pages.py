"""An open TIFF in, what each of its pages, planes and channels is out: the image's planes in order, and what is none.

A page of another size, type or colour than the others is no slice of theirs. It is a preview where the file says so,
or where it is a smaller copy by its shape, which is then said; everything else is refused by the number of the page.
"""

from __future__ import annotations

import functools
import struct
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.imaging.orientation import TAG as ORIENTATION
from cathode_tf.imaging.orientation import known, shown_shape
from cathode_tf.imaging.segments import settle_segments
from cathode_tf.imaging.tiff_channels import refuse_channels, warn_of_names, warn_of_planes
from cathode_tf.words import some


@dataclass(frozen=True)
class Plane:
    """One plane of the image.

    Attributes:
        page: The page of `tifffile` that describes it.
        decode: Gives its samples as stored.
    """

    page: Any
    decode: Callable[[], np.ndarray]


@dataclass(frozen=True)
class PageList:
    """What the pages of a file are.

    Attributes:
        planes: Those of the image, in order.
        left_out: What every other page is, in words.
    """

    planes: list[Plane]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Kind:
    """What must be equal for two pages to be slices of one stack."""

    height: int
    width: int
    dtype: str
    color: str

    def __str__(self) -> str:
        return f"{self.width} x {self.height} px, {self.dtype}, {self.color}"


def orientation_of(page: Any) -> int:
    """How the page lies (tag 274), 1 to 8."""
    tag = page.tags.get(ORIENTATION)
    return known(tag.value) if tag is not None else 1


def list_pages(tiff: Any, path: Path, file_bytes: int) -> PageList:
    """The planes of the image in the file, and what its other pages are.

    Args:
        tiff: The open `tifffile.TiffFile`.
        path: Names the file in warnings.
        file_bytes: How long the file is.

    Raises:
        InputError: If pages are neither slices of one stack nor previews, or it has channels, or several images.
        ValueError: If the file ends before a page or its pixels.
    """
    pages = _pages(tiff)
    first: Any = pages[0]
    if first.dtype is None:
        raise InputError(
            f"must have samples of a known type. Received {first.bitspersample} bit of the sample format "
            f"{first.sampleformat} (TIFF tags 258, 339)."
        )
    if int(first.imagedepth) > 1:
        raise InputError(
            f"must have a page for each slice. Received one page of {first.imagedepth} slices (TIFF tag 32997). "
            "Save it as a stack of pages."
        )
    if len(first.shape) > 3 or first.samplesperpixel > 65535:
        raise InputError(f"must be a grey, palette or RGB image. Received {first.shape} {first.dtype}.")
    one_plane_after_another = (
        tiff.is_imagej and len(pages) == 1 and int((tiff.imagej_metadata or {}).get("images", 1)) > 1
    )
    if _next_offset(tiff, pages[-1]) >= file_bytes:
        raise ValueError("the file ends before its last page")
    if one_plane_after_another:
        refuse_channels(tiff, path)
        return PageList(_planes_behind_one_page(tiff, first, file_bytes))
    own, left_out = _own_pages(pages, path)
    for number, page in own:
        settle_segments(page, number, file_bytes)
    refuse_channels(tiff, path)
    warn_of_names([page for _, page in own], path)
    page = own[0][1]
    if page.axes == "SYX" and (page.dtype.kind != "u" or int(page.photometric) != 2):
        # Separate planes are colours only in unsigned RGB; otherwise somebody stored a stack so, or channels.
        warn_of_planes(page.shape[0], path)
        if len(own) > 1:
            raise InputError(
                f"must hold a plane a page, or all in one. Received {len(own)} pages of {page.shape[0]}."
            )
        whole = functools.cache(page.asarray)
        return PageList(
            [Plane(page, functools.partial(lambda index: whole()[index], i)) for i in range(page.shape[0])],
            left_out,
        )
    return PageList([Plane(page, page.asarray) for _, page in own], left_out)


def _pages(tiff: Any) -> list[Any]:
    """The pages in order; ValueError where they run in a circle, which would never end."""
    pages: list[Any] = []
    numbers: dict[int, int] = {}
    for page in tiff.pages:
        if page.offset in numbers:
            raise ValueError(f"page {len(pages) - 1} is followed by page {numbers[page.offset]}, in a circle")
        numbers[page.offset] = len(pages)
        pages.append(page.aspage())
    return pages


def _own_pages(pages: list[Any], path: Path) -> tuple[list[tuple[int, Any]], tuple[str, ...]]:
    """The pages of the image with their numbers, and what the others are."""
    left_out = [
        f"page {n}: the transparency of another" for n, page in enumerate(pages) if _is_transparency(page)
    ]
    numbered = [(n, page) for n, page in enumerate(pages) if not _is_transparency(page)]
    full = [(n, page) for n, page in numbered if not _is_preview(page)]
    if not full:  # an image may lie below its preview, as in a digital negative
        below = [(n, sub.aspage()) for n, page in numbered for sub in (page.pages or ())]
        full = [(n, page) for n, page in below if not _is_preview(page)] or numbered
    previews = [
        (n, page) for n, page in numbered if _is_preview(page) and all(page is not p for _, p in full)
    ]
    if not full:
        raise InputError("must hold an image. Received only the transparency of one.")
    largest = max(_area(page) for _, page in full)
    for number, page in previews:
        if _area(page) > largest:
            raise InputError(
                f"must have its image in a page that is not flagged as a preview (TIFF tag 254). Received "
                f"page {number} "
                f"of {_kind(page)}, so flagged, and others that are smaller. Save the image as a file of its own."
            )
        left_out.append(f"page {number}: a preview of {_size(page)}")
    own, copies = _without_copies(full)
    if copies:
        said = some([f"page {number} ({_size(page)})" for number, page in copies])
        warnings.warn(
            f"{path}: {said}: taken for {'a preview' if len(copies) == 1 else 'previews'} of page {own[0][0]} "
            f"({_size(own[0][1])}), and left out. If not, save each page as a file of its own.",
            InputWarning,
            stacklevel=2,
        )
        left_out += [f"page {number}: a preview of {_size(page)}, by its shape" for number, page in copies]
    return own, tuple(left_out)


def _without_copies(full: list[tuple[int, Any]]) -> tuple[list[tuple[int, Any]], list[tuple[int, Any]]]:
    """(slices, smaller copies of the one): pages of one kind are slices; else one may be large, and the others small.

    Raises:
        InputError: If they are neither.
    """
    kinds = Counter(_kind(page) for _, page in full)
    if len(kinds) == 1:
        return full, []
    number, large = max(full, key=lambda entry: _area(entry[1]))
    others = [entry for entry in full if entry[1] is not large]
    if all(_is_smaller_copy(page, large) for _, page in others):
        return [(number, large)], others
    most = kinds.most_common(1)[0][0]
    odd, page = next(entry for entry in full if _kind(entry[1]) != most)
    raise InputError(
        "must have pages of one size, type and colour, which are then slices of a stack. Received page "
        f"{odd} of {_kind(page)} among pages of {most} (counted from 0). Save each as a file of its own, or "
        f"the previews "
        "flagged as such."
    )


def _is_smaller_copy(page: Any, large: Any) -> bool:
    (height, width), (rows, columns) = _shown(page), _shown(large)
    if height >= rows or width >= columns:
        return False
    # To the pixel that rounding costs, in the direction where it costs more.
    return abs(height * columns - width * rows) <= max(rows, columns)


def _kind(page: Any) -> _Kind:
    height, width = _shown(page)
    color = "palette" if page.colormap is not None else "grey"
    if page.samplesperpixel > 1:
        color = f"{page.samplesperpixel} channels"
    packed = isinstance(page.bitspersample, int) and page.bitspersample != 8 * page.dtype.itemsize
    kind = f"{page.dtype} of {page.bitspersample} bit" if packed else str(page.dtype)
    return _Kind(height, width, kind, color)


def _shown(page: Any) -> tuple[int, int]:
    return shown_shape(page.imagelength, page.imagewidth, orientation_of(page))


def _size(page: Any) -> str:
    height, width = _shown(page)
    return f"{width} x {height} px"


def _area(page: Any) -> int:
    return page.imagelength * page.imagewidth


def _is_preview(page: Any) -> bool:
    old = page.tags.get(255)
    return bool(page.is_reduced) or (old is not None and old.value == 2)


def _is_transparency(page: Any) -> bool:
    return bool(int(page.subfiletype or 0) & 4) or (
        page.photometric is not None and int(page.photometric) == 4
    )


def _planes_behind_one_page(tiff: Any, page: Any, file_bytes: int) -> list[Plane]:
    """ImageJ writes large stacks as one page followed by the other planes, without saying so in pages."""
    series = tiff.series[0]
    if len(series.shape) != 3 or series.shape[1:] != page.shape or series.dataoffset is None:
        raise ValueError("the file ends before its last plane")
    if series.dataoffset + series.nbytes > file_bytes:
        raise ValueError("the file ends before its last plane")
    step = series.nbytes // series.shape[0]
    starts = range(series.dataoffset, series.dataoffset + series.nbytes, step)
    return [Plane(page, functools.partial(_plane_at, tiff, page, start)) for start in starts]


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


def palette_of(page: Any) -> np.ndarray | None:
    """(n, 3) uint8 colours of a TIFF page's palette; None where it has none."""
    if page.colormap is None:
        return None
    # Colours have 16 bit in a TIFF; some programs write 8.
    shift = 8 if page.colormap.max() > 255 else 0
    return np.ascontiguousarray((page.colormap.T >> shift).astype(np.uint8))


def flip_of(page: Any) -> int | None:
    """The number that stored and shown samples of a page add up to where 0 is white; None where it is not.

    Every number type is turned over in its own range: unsigned at the largest sample of its bits, signed at -1
    (the smallest becomes the largest), float at 0. Where the file does not say (no tag 262), 0 is black.
    """
    if page.tags.get(262) is None or int(page.photometric) != 0 or page.dtype is None:
        return None
    if page.dtype.kind in "ub":
        return (1 << int(page.bitspersample)) - 1
    return -1 if page.dtype.kind == "i" else 0


def checked_channels(page: Any, samples: np.ndarray) -> np.ndarray:
    """The channels of a page, if they are colours, or grey with an opacity, or all the same."""
    colors = page.photometric is not None and int(page.photometric) in (2, 6)
    stated = [int(extra) for extra in page.extrasamples or ()]
    opacity = bool(stated) and stated[-1] in (1, 2)
    if samples.shape[2] == (3 if colors else 1) + opacity:
        return samples
    if colors and samples.shape[2] == 4:
        # Of RGB the fourth is the opacity, said or not; but nobody means an image of nothing.
        return samples if samples[..., 3].any() else samples[..., :3]
    if samples.shape[2] <= 4 and (samples == samples[..., :1]).all():
        return samples[..., 0]
    raise InputError(
        f"must be a grey, palette or RGB image. Received {samples.shape[2]} channels that are no colours. "
        "Save each channel as a file of its own."
    )
