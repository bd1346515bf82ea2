"""Samples of any number type and any colour model in; one channel of uint8 or uint16 out, with what was done."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.imaging.outliers import FEWEST_LEVELS, fences_of
from cathode_tf.imaging.rasters import Raster


def one_channel(raster: Raster, path: str | Path) -> tuple[np.ndarray, np.ndarray | None]:
    """The samples as (height, width), and where they had a colour (None = nowhere).

    Args:
        raster: Grey, palette or RGB; RGB becomes luminance, the alpha channel is dropped.
        path: File name for the message.

    Raises:
        InputError: If a palette index has no colour.
    """
    samples, colored = raster.shown, None
    if raster.flip is not None and raster.doubtful:
        warnings.warn(
            f"{path}: is shown with an inverting lookup table (white is 0), and read as shown. If its stored values "
            "count, save it from ImageJ without that table (Image > Lookup Tables > Invert LUT).",
            InputWarning,
            stacklevel=3,
        )
    if raster.colormap is not None:
        colormap = raster.colormap
        if samples.max() >= len(colormap):
            raise InputError(
                f"{path}: must hold indices of its {len(colormap)} colours. Received {samples.max()}."
            )
        samples = colormap[samples]
    if samples.ndim == 3 and samples.shape[2] in (2, 4):
        _warn_of_transparency(samples[..., -1], path)
    if samples.ndim == 3 and samples.shape[2] >= 3:
        _warn_of_unequal_channels(samples, raster.lossy, path)
        samples, colored = _luminance(samples)
    elif samples.ndim == 3:
        samples = samples[..., 0]
    return samples, colored


def _warn_of_transparency(opacity: np.ndarray, path: str | Path) -> None:
    clear = int(np.count_nonzero(opacity == 0))
    if 0 < clear < opacity.size:
        warnings.warn(
            f"{path}: {clear} pixels are transparent; they are read as what lies under the transparency. If "
            f"nothing was "
            "imaged there, cut them away.",
            InputWarning,
            stacklevel=3,
        )


def _warn_of_unequal_channels(colors: np.ndarray, lossy: str, path: str | Path) -> None:
    """Say it where three channels differ a little everywhere: neighbouring slices look so, stored as colours."""
    red, green, blue = (colors[..., channel] for channel in range(3))
    if lossy or not ((red != green) & (green != blue) & (red != blue)).mean() > 0.5:
        return
    warnings.warn(
        f"{path}: its red, green and blue differ in most pixels, and their luminance is taken. If they are slices, or "
        "pictures of several detectors, save each as a file of its own.",
        InputWarning,
        stacklevel=3,
    )


def _luminance(colors: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    red, green, blue = (colors[..., channel] for channel in range(3))
    spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    if not spread.any():
        return np.ascontiguousarray(green), None
    largest = np.iinfo(colors.dtype).max if colors.dtype.kind in "iu" else float(np.abs(colors).max())
    # Lossy compression colours grey pixels a little; that is no colour.
    colored = spread > largest / 16
    luminance = np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue
    if colors.dtype.kind != "f":
        luminance = np.rint(luminance, out=luminance).astype(colors.dtype)
    return luminance, colored if colored.any() else None


def check_colors(colored: np.ndarray, path: str | Path) -> None:
    """Refuse a micrograph that is more than 5 % coloured, and warn of one that is less.

    Args:
        colored: (height, width) bool, after the databar was cut.
        path: File name for the message.
    """
    count, share = int(colored.sum()), float(colored.mean())
    if share > 0.05:
        row, column = (int(i) for i in np.argwhere(colored)[0])
        raise InputError(
            f"{path}: must be a grey micrograph. {share:.0%} of its pixels are coloured, the first at row "
            f"{row}, column {column}. Give the original image, without false colours."
        )
    if count:
        warnings.warn(
            f"{path}: {count} coloured pixels were turned grey; if something is drawn on the "
            "image, use the original.",
            InputWarning,
            stacklevel=2,
        )


def unflipped(scaling: dict[str, float], flip: int | None) -> dict[str, float]:
    """`offset` and `scale` that lead back to the stored value, where white was 0 and the shown ones were scaled."""
    if flip is None or not scaling:
        return scaling
    return {"offset": flip - scaling["offset"], "scale": -scaling["scale"]}


def to_integers(samples: np.ndarray, path: str | Path) -> tuple[np.ndarray, dict[str, float]]:
    """Pixels as uint8 or uint16, and how they were shifted or scaled ({} = not at all).

    Raises:
        InputError: If the samples are no real, finite numbers.
    """
    native = samples.dtype.newbyteorder("=")
    if native in (np.int8, np.uint16, np.int16):  # unsigned 8 bit leave no room between data and none
        _name_no_data(samples, path)
    if native in (np.uint8, np.uint16):
        return np.ascontiguousarray(samples, native), {}
    if native in (np.int8, np.int16):
        return shifted(samples), {"offset": float(np.iinfo(native).min), "scale": 1.0}
    if native.kind not in "iuf":
        raise InputError(f"{path}: must hold real numbers. Received {samples.dtype}.")
    return scale_to_uint16(samples, path)


def shifted(samples: np.ndarray) -> np.ndarray:
    """Signed samples of 8 or 16 bit as unsigned ones, the smallest as 0."""
    if samples.dtype.itemsize == 1:
        return (samples.astype(np.int16) + 128).astype(np.uint8)
    return (samples.astype(np.int32) + 32768).astype(np.uint16)


FEWEST_MISSING = 16
"""Fewer pixels of one extreme value are hot or dead ones, which `outliers` knows."""


def _name_no_data(samples: np.ndarray, path: str | Path) -> int:
    """Say it where many pixels have one and the same value, farther from the others than these are from each other.

    Returns:
        How many pixels were named.
    """
    named = 0
    for end, name in ((samples.min(), "below"), (samples.max(), "above")):
        if not np.isfinite(end):
            continue
        others = samples != end
        count = samples.size - int(np.count_nonzero(others))
        if not FEWEST_MISSING <= count < samples.size:
            continue
        low = float(samples.min(where=others, initial=samples.max()))
        high = float(samples.max(where=others, initial=samples.min()))
        gap = low - float(end) if name == "below" else float(end) - high
        if high > low and gap > high - low and _has_levels(samples, others):
            named += count
            warnings.warn(
                f"{path}: {count} pixels are {float(end):g}, far {name} all others ({low:g} to {high:g}), as programs "
                "write where nothing was measured. Cut them away, or fill them, as they shift the grey values of all "
                "others.",
                InputWarning,
                stacklevel=3,
            )
    return named


def _has_levels(samples: np.ndarray, others: np.ndarray) -> bool:
    """Whether the others have as many values as an image; of a few, nobody can say which means none."""
    some = samples.ravel()[:: max(1, samples.size >> 16)][others.ravel()[:: max(1, samples.size >> 16)]]
    return len(np.unique(some)) >= FEWEST_LEVELS


def scale_to_uint16(samples: np.ndarray, path: str | Path = "image") -> tuple[np.ndarray, dict[str, float]]:
    """Stretch an image of any number type to uint16: minimum 0, maximum 65535.

    Values that no specimen shows (`outliers`) do not stretch it: zingers are cut off, and what means "no data" gets the
    median, with a warning.

    Args:
        samples: (height, width), finite.
        path: File name for the message.

    Returns:
        The pixels, and `{"offset", "scale"}` with `value = offset + scale * pixel`; `outliers_px`, if there are any.

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
    named = _name_no_data(samples, path)
    kept, count = fences_of(samples).tame(samples)
    low, high = float(kept.min()), float(kept.max())
    scale = step_between(low, high, path)
    told = {"offset": low, "scale": scale}
    if count:
        if count > named:
            warn_of_outliers(path, count, samples.size)
        told["outliers_px"] = float(count)
    return stretch(kept, low, scale), told


def warn_of_outliers(path: str | Path, count: int, size: int) -> None:
    """Warn of pixels that no specimen shows, and of what was done with them."""
    warnings.warn(
        f"{path}: {count} pixels ({count / size:.2g} of all) lie far from all others: hot or dead pixels, zingers, or "
        'a value for "no data". They are toned down; their own mask means nothing.',
        InputWarning,
        stacklevel=3,
    )


def step_between(low: float, high: float, path: str | Path) -> float:
    """What one level of uint16 is worth, where `low` becomes 0 and `high` 65535; 1 where they are equal."""
    if not np.isfinite(high - low):
        raise InputError(f"{path}: must hold values of a range below 1e308. Received {low:g} to {high:g}.")
    return (high - low) / 65535 or 1.0


def stretch(samples: np.ndarray, low: float, step: float) -> np.ndarray:
    """The level of each sample, uint16: 0 at `low`, and one more every `step`."""
    steps = np.subtract(samples, low, dtype=np.float64)
    steps /= step
    return np.rint(steps, out=steps).astype(np.uint16)
