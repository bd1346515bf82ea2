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
from cathode_tf.imaging.rasters import MAX_MEGAPIXELS, Raster, open_raster
from cathode_tf.imaging.vendors import read_metadata


@dataclass(frozen=True)
class Micrograph:
    """One image of a microscope.

    Attributes:
        pixels: (height, width) uint8 or uint16, databar removed.
        pixel_size_nm: Edge of a pixel; None = unknown, and then nothing has a physical unit.
        pixel_size_source: Where the pixel size was read; "" = unknown.
        acquisition: What is known of the acquisition, ready for JSON: `vendor`, `kV`, `detector`,
            `working_distance_mm`, `dwell_us`, `date`, `databar_rows`, `float_scaling`, `slice_index` ...
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
        """Stem of the file name; slices of a stack add their index: `stack_z0003`."""
        stem = self.path.stem if self.path else "micrograph"
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
    slices = list(
        iter_micrographs(
            path,
            pixel_size_nm=pixel_size_nm,
            databar=databar,
            max_megapixels=max_megapixels,
            _stack_limit=max_megapixels,
        )
    )
    return slices[0] if "slice_index" not in slices[0].acquisition else slices


def iter_micrographs(
    path: str | Path,
    *,
    pixel_size_nm: float | None = None,
    databar: str | int = "auto",
    max_megapixels: float = MAX_MEGAPIXELS,
    _stack_limit: float = np.inf,
) -> Iterator[Micrograph]:
    """As `read_micrograph`, one slice at a time, so that a stack may be larger than memory."""
    path = Path(path)
    if pixel_size_nm is not None and not (np.isfinite(pixel_size_nm) and pixel_size_nm > 0):
        raise InputError(f"--pixel-size-nm: must be above 0. Received {pixel_size_nm}.")
    with open_raster(path, max_megapixels=max_megapixels) as raster:
        total = raster.count * raster.height * raster.width / 1e6
        if total > _stack_limit:
            raise InputError(
                f"{path}: must hold at most {_stack_limit:g} megapixels in all its slices. Received "
                f"{raster.count} of {raster.width} x {raster.height} ({total:.0f} megapixels). "
                "Raise --max-megapixels if memory allows."
            )
        if raster.lossy:
            warnings.warn(
                f"{path}: is compressed with loss ({raster.lossy}), which changes pixels at boundaries. "
                "Use the original TIFF or PNG if there is one.",
                InputWarning,
                stacklevel=2,
            )
        metadata = read_metadata(raster)
        size, source = metadata.pixel_size_nm, metadata.source
        if pixel_size_nm is not None:
            size, source = float(pixel_size_nm), "given by hand"
        rows = None
        for index in range(raster.count):
            pixels, scaling = _grey(raster.read(index), path)
            if rows is None:  # one scan, one databar: all slices are cut alike
                rows = _databar_rows(pixels, databar, metadata.field_rows, path)
            acquisition = dict(metadata.acquisition)
            if raster.lossy:
                acquisition["lossy"] = raster.lossy
            if scaling:
                acquisition["float_scaling"] = scaling
            if rows:
                acquisition["databar_rows"] = rows
                pixels = np.ascontiguousarray(pixels[:-rows])
            if raster.count > 1:
                acquisition["slice_index"] = index
            yield Micrograph(pixels, size, source, acquisition, path)


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


def _grey(raster: Raster, path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    """Pixels as uint8 or uint16 (height, width), and how they were scaled ({} = not at all)."""
    samples = raster.samples
    if raster.colormap is not None:
        colormap = raster.colormap
        if samples.max() >= len(colormap):
            raise InputError(
                f"{path}: must hold indices of its {len(colormap)} colours. Received {samples.max()}."
            )
        samples = _grey_colors(colormap[samples], path)
    elif samples.ndim == 3:
        samples = _grey_colors(samples, path)
    if raster.white_is_zero and samples.dtype.kind == "u":
        samples = np.iinfo(samples.dtype).max - samples
    if samples.dtype.newbyteorder("=") in (np.uint8, np.uint16):
        return samples.astype(samples.dtype.newbyteorder("="), copy=False), {}
    if samples.dtype == np.int8:
        return (samples.astype(np.int16) + 128).astype(np.uint8), {"offset": -128.0, "scale": 1.0}
    if samples.dtype == np.int16:
        return (samples.astype(np.int32) + 32768).astype(np.uint16), {"offset": -32768.0, "scale": 1.0}
    if samples.dtype.kind not in "iuf":
        raise InputError(f"{path}: must hold real numbers. Received {samples.dtype}.")
    return scale_to_uint16(samples, path)


def scale_to_uint16(samples: np.ndarray, path: str | Path = "image") -> tuple[np.ndarray, dict[str, float]]:
    """Stretch an image of any number type to uint16: minimum 0, maximum 65535.

    Args:
        samples: (height, width), finite.
        path: File name for the message.

    Returns:
        The pixels, and `{"offset", "scale"}` with `value = offset + scale * pixel`.

    Raises:
        InputError: If a sample is NaN or infinite; the message counts them and says where the first one is.

    Example:
        >>> scale_to_uint16(np.array([[-1.0, 0.0, 1.0]]))[0]
        array([[    0, 32768, 65535]], dtype=uint16)
    """
    low, high = float(samples.min()), float(samples.max())  # NaN, where there is one, comes through both
    if not (np.isfinite(low) and np.isfinite(high)):
        bad = ~np.isfinite(samples)
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise InputError(
            f"{path}: must hold finite numbers. Received {int(bad.sum())} NaN or infinite pixels, the first "
            f"at row {row}, column {column}. Cut them away, or fill them."
        )
    if not np.isfinite(high - low):
        raise InputError(f"{path}: must hold values of a range below 1e308. Received {low:g} to {high:g}.")
    scale = (high - low) / 65535 or 1.0
    steps = np.subtract(samples, low, dtype=np.float64)
    steps /= scale
    return np.rint(steps, out=steps).astype(np.uint16), {"offset": low, "scale": scale}


def _grey_colors(colors: np.ndarray, path: Path) -> np.ndarray:
    """One channel of colours that are grey; a few coloured pixels (drawn text) become their luminance."""
    if colors.shape[2] in (1, 2):
        return colors[..., 0]
    red, green, blue = (colors[..., channel] for channel in range(3))
    spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    if not spread.any():
        return np.ascontiguousarray(green)
    largest = np.iinfo(colors.dtype).max if colors.dtype.kind in "iu" else float(np.abs(colors).max())
    colored = spread > largest / 16
    share = float(colored.mean())
    if share > 0.05:
        row, column = (int(i) for i in np.argwhere(colored)[0])
        raise InputError(
            f"{path}: must be a grey micrograph. {share:.0%} of its pixels are coloured, the first at row "
            f"{row}, column {column}. Give the original image, without false colours."
        )
    if colored.any():
        warnings.warn(
            f"{path}: {int(colored.sum())} coloured pixels were turned grey; if something is drawn on the "
            "image, use the original.",
            InputWarning,
            stacklevel=2,
        )
    luminance = np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue
    return luminance if colors.dtype.kind == "f" else np.rint(luminance, out=luminance).astype(colors.dtype)
