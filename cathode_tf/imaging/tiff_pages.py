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
from cathode_tf.words import some

MOST_CHANNELS = 32
"""More than detectors and elements give; programs that do not ask for axes call slices channels, too."""


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
    first: Any = tiff.pages[0]
    if first.dtype is None or len(first.shape) > 3 or first.samplesperpixel > 65535:
        raise InputError(f"must be a grey, palette or RGB image. Received {first.shape} {first.dtype}.")
    one_plane_after_another = (
        tiff.is_imagej and len(tiff.pages) == 1 and int((tiff.imagej_metadata or {}).get("images", 1)) > 1
    )
    pages: list[Any] = [page.aspage() for page in tiff.pages]
    if _next_offset(tiff, pages[-1]) >= file_bytes:
        raise ValueError("the file ends before its last page")
    if one_plane_after_another:
        _refuse_channels(tiff, path)
        return PageList(_planes_behind_one_page(tiff, first, file_bytes))
    own, left_out = _own_pages(pages, path)
    for number, page in own:
        settle_segments(page, number, file_bytes)
    _refuse_channels(tiff, path)
    page = own[0][1]
    if page.axes == "SYX" and (page.dtype.kind != "u" or int(page.photometric) != 2):
        # Separate planes are colours only in unsigned RGB; otherwise somebody stored a stack so.
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
    return _Kind(height, width, str(page.dtype), color)


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


def _refuse_channels(tiff: Any, path: Path) -> None:
    """Slices of a stack are neighbours; the channels of one image, each a page too, are not."""
    if not (tiff.flags & {"ome", "imagej", "shaped", "lsm", "micromanager", "mmstack", "ndtiff"}):
        return
    try:
        series = list(tiff.series)
        axes, shape = str(series[0].axes), series[0].shape
        sizes = dict(zip(axes, shape, strict=True))
    except Exception:  # what describes the pages is damaged; the pages themselves are not
        return
    if tiff.is_ome and len([s for s in series if s.shape == shape]) > 1:
        raise InputError(
            f"must hold one image. Received an OME-TIFF of {len(series)} images. Save each as a file of its own."
        )
    if sizes.get("C", 1) > MOST_CHANNELS and max(sizes.get("Z", 1), sizes.get("T", 1)) == 1:
        warnings.warn(
            f"{path}: its {sizes['C']} channels (axes {axes}) are taken for slices of a stack, as no "
            f"microscope has so many.",
            InputWarning,
            stacklevel=2,
        )
    elif sizes.get("C", 1) > 1:
        raise InputError(
            f"must hold one channel. Received {sizes['C']} (axes {axes}), which show one place and are no slices. Save "
            "each as a file of its own; if they are slices, say so: in ImageJ, Image > Properties, channels 1."
        )
    if sizes.get("Z", 1) > 1 and sizes.get("T", 1) > 1:
        raise InputError(
            f"must hold one stack. Received {sizes['T']} of {sizes['Z']} slices (axes {axes}). Save each as a file."
        )
    if sizes.get("T", 1) > 1:
        warnings.warn(
            f"{path}: its {sizes['T']} frames, which follow in time by its axes {axes}, are taken for slices of a "
            "stack. If they show one place, save each as a file of its own.",
            InputWarning,
            stacklevel=2,
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
    (the smallest becomes the largest), float at 0.
    """
    if page.photometric is None or int(page.photometric) != 0 or page.dtype is None:
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
