"""A micrograph file in; integer pixels, their physical size and how they were acquired out."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.imaging.databar import find_databar
from cathode_tf.imaging.grey import check_colors, one_channel, to_integers, unflipped
from cathode_tf.imaging.lengths import number_of
from cathode_tf.imaging.rasters import MAX_MEGAPIXELS, RasterFile, open_raster
from cathode_tf.imaging.vendors import read_metadata
from cathode_tf.texts import composed

PLAUSIBLE_NM = (0.05, 100_000.0)
BY_HAND = "given by hand"
"""Source of a pixel size that overrides what the file says."""


@dataclass(frozen=True)
class Micrograph:
    """One image of a microscope.

    Attributes:
        pixels: (height, width) uint8 or uint16, databar removed.
        pixel_size_nm: Edge of a pixel; None = unknown, and then nothing has a physical unit.
        pixel_size_source: Where the pixel size was read; "" = unknown.
        acquisition: What is known of the acquisition, ready for JSON: `vendor`, `kV`, `detector`,
            `working_distance_mm`, `dwell_us`, `date`, `databar_rows`, `float_scaling`, `slice_index`; of the stage
            `tilt_deg`, `stage_z_nm`, `tilt_correction` (on, off), `tilt_correction_deg`; of slices
            `slice_thickness_nm`, `slice_z_nm` ...
        path: The file; None for pixels from elsewhere.
    """

    pixels: np.ndarray
    pixel_size_nm: float | None = None
    pixel_size_source: str = ""
    acquisition: dict[str, Any] = field(default_factory=dict)
    path: Path | None = None

    @property
    def height(self) -> int:
        """Rows of pixels."""
        return self.pixels.shape[0]

    @property
    def width(self) -> int:
        """Columns of pixels."""
        return self.pixels.shape[1]

    @property
    def id(self) -> str:
        """Stem of the file name, its accents on their letters (NFC); slices of a stack add their index: "
        "`stack_z0003`."""
        stem = composed(self.path.stem) if self.path else "micrograph"
        index = self.acquisition.get("slice_index")
        return stem if index is None else f"{stem}_z{index:04d}"


def read_micrograph(
    path: str | Path,
    *,
    pixel_size_nm: float | None = None,
    databar: str | int = "auto",
    max_megapixels: float = MAX_MEGAPIXELS,
) -> Micrograph | list[Micrograph]:
    """A micrograph with its pixel size; a list of them, in order, where the file is a stack.

    Integer samples are kept. Others are stored as `value = offset + scale * pixel`, constants in
    `acquisition["float_scaling"]`: signed 8 and 16 bit are shifted; float and 32 bit are stretched, each
    image from its minimum (0) to its maximum (65535).

    Args:
        path: TIFF (grey, palette or RGB that is grey; any compression), PNG, BMP or JPEG. Sidecars of TESCAN
            (.hdr), JEOL and Hitachi (.txt) are read where they lie beside it.
        pixel_size_nm: Overrides what the file says, and is recorded as given by hand.
        databar: `"auto"` finds and cuts it, `"none"` cuts nothing, a number cuts so many rows at the bottom.
        max_megapixels: Larger images are refused before they are decoded; for a stack, all slices together.

    Raises:
        InputError: If the file is no whole image, is coloured, holds NaN or infinity, or is too large.

    Example:
        >>> micrograph = read_micrograph("electrode_07.tif")            # doctest: +SKIP
        >>> micrograph.pixels.shape, micrograph.pixel_size_nm           # doctest: +SKIP
        ((690, 1024), 11.16)
    """
    path = Path(path)
    with open_raster(path, max_megapixels=max_megapixels) as raster:
        total = raster.count * raster.height * raster.width / 1e6
        if total > max_megapixels:
            raise InputError(
                f"{path}: must hold at most {max_megapixels:g} megapixels in all its slices. Received "
                f"{raster.count} of {raster.width} x {raster.height} ({total:.0f} megapixels). "
                "Raise --max-megapixels if memory allows."
            )
        slices = list(_slices(raster, pixel_size_nm, databar))
    return slices[0] if "slice_index" not in slices[0].acquisition else slices


def iter_micrographs(
    path: str | Path,
    *,
    pixel_size_nm: float | None = None,
    databar: str | int = "auto",
    max_megapixels: float = MAX_MEGAPIXELS,
) -> Iterator[Micrograph]:
    """As `read_micrograph`, one slice at a time, so that a stack may be larger than memory."""
    with open_raster(path, max_megapixels=max_megapixels) as raster:
        yield from _slices(raster, pixel_size_nm, databar)


def check_pixel_size(pixel_size_nm: float | None) -> None:
    """Raise unless a pixel size that is given by hand can be one."""
    if pixel_size_nm is not None and not (np.isfinite(pixel_size_nm) and pixel_size_nm > 0):
        raise InputError(f"--pixel-size-nm: must be above 0. Received {pixel_size_nm}.")


def refuse_odd_size(pixel_size_nm: float | None, source: str = "--pixel-size-nm") -> None:
    """Raise unless a pixel size is one of electron or X-ray micrographs: a number in metres or micrometres is not.

    Args:
        pixel_size_nm: None = unknown, which is fine.
        source: Where it was read.
    """
    low, high = PLAUSIBLE_NM
    if pixel_size_nm is not None and not pixel_size_nm > 0:
        raise InputError(f"{source}: must be above 0. Received {pixel_size_nm}.")
    if pixel_size_nm is not None and not low <= pixel_size_nm <= high:
        raise InputError(
            f"{source}: must be {low:g} to {high:,.0f} nm a pixel. Received {pixel_size_nm:g} nm: is it in another "
            "unit? If it is meant, say so with --odd-pixel-size."
        )


def _slices(raster: RasterFile, pixel_size_nm: float | None, databar: str | int) -> Iterator[Micrograph]:
    path = raster.path
    check_pixel_size(pixel_size_nm)
    if raster.lossy:
        warnings.warn(
            f"{path}: is compressed with loss ({raster.lossy}), which changes pixels at boundaries. "
            "Use the original TIFF or PNG if there is one.",
            InputWarning,
            stacklevel=3,
        )
    metadata = read_metadata(raster)
    size, source = metadata.pixel_size_nm, metadata.source
    if pixel_size_nm is not None:
        size, source = float(pixel_size_nm), BY_HAND
    rows = None
    for index in range(raster.count):
        page = raster.read(index)
        samples, colored = one_channel(page, path)
        if rows is None:  # one scan, one databar: all slices are cut alike
            rows = _databar_rows(samples, databar, metadata.field_rows, path)
        kept = slice(0, raster.height - rows)
        if index == 0:
            _warn_of_stated_no_data(raster, samples[kept])
        if colored is not None:
            check_colors(colored[kept], path)
        pixels, scaling = to_integers(samples[kept], path)
        acquisition = dict(metadata.acquisition)
        if raster.lossy:
            acquisition["lossy"] = raster.lossy
        if scaling:
            acquisition["float_scaling"] = unflipped(scaling, page.flip)
        if rows:
            acquisition["databar_rows"] = rows
        if raster.count > 1:
            acquisition["slice_index"] = index
        yield Micrograph(pixels, size, source, acquisition, path)


_NO_DATA_TAG = 42113


def _warn_of_stated_no_data(raster: RasterFile, samples: np.ndarray) -> None:
    """Say it where pixels have the value that the file itself states for no data (GDAL's tag)."""
    tag = raster.tag(_NO_DATA_TAG)
    value = number_of(tag.value) if tag is not None else None
    count = 0 if value is None else int(np.count_nonzero(samples == value))
    if count:
        warnings.warn(
            f"{raster.path}: {count} pixels are {value:g}, which the file states for no data (TIFF tag 42113). Cut "
            "them away, or fill them.",
            InputWarning,
            stacklevel=4,
        )


def _databar_rows(pixels: np.ndarray, databar: str | int, field_rows: int | None, path: Path) -> int:
    height = pixels.shape[0]
    if databar == "none":
        return 0
    if databar == "auto":
        return height - field_rows if field_rows else find_databar(pixels)
    try:
        rows = int(databar)
    except ValueError:
        rows = -1
    if not 0 <= rows < height:
        raise InputError(
            f"{path}: --databar must be auto, none, or 0 to {height - 1} rows. Received {databar}."
        )
    return rows
