"""Samples of any number type and any colour model in; one channel of uint8 or uint16 out, with what was done."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.imaging.outliers import fences_of
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
    if native.kind in "if":
        _name_no_data(samples, path)
    if native in (np.uint8, np.uint16):
        return np.ascontiguousarray(samples, native), {}
    if native == np.int8:
        return (samples.astype(np.int16) + 128).astype(np.uint8), {"offset": -128.0, "scale": 1.0}
    if native == np.int16:
        return (samples.astype(np.int32) + 32768).astype(np.uint16), {"offset": -32768.0, "scale": 1.0}
    if native.kind not in "iuf":
        raise InputError(f"{path}: must hold real numbers. Received {samples.dtype}.")
    return scale_to_uint16(samples, path)


_NO_DATA = {-9999.0, -99999.0, -32768.0, -2147483648.0, -1e30, -1e38, float(np.finfo(np.float32).min)}


def _name_no_data(samples: np.ndarray, path: str | Path) -> None:
    """Say it where pixels have a number that programs write for no data, far below all others."""
    low = float(samples.min())
    if low not in _NO_DATA:
        return
    rest = samples[samples > samples.min()]
    if rest.size and float(rest.min()) - low > float(rest.max()) - float(rest.min()):
        warnings.warn(
            f"{path}: {samples.size - rest.size} pixels are {low:g}, as programs write where nothing was "
            f"measured. Cut them "
            "away, or fill them, as they shift the grey values of all others.",
            InputWarning,
            stacklevel=3,
        )


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
    kept, count = fences_of(samples).tame(samples)
    low, high = float(kept.min()), float(kept.max())
    scale = step_between(low, high, path)
    told = {"offset": low, "scale": scale}
    if count:
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
