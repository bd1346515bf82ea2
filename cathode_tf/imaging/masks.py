"""Raster annotations in, segmentation masks of phase ids out, and back.

What stands for a phase in a file is declared in `phases.toml` (`values`); everything else is refused
with the number of pixels and the place of the first, because a mask that is nearly right trains a
model that is nearly right.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.files import atomic_file
from cathode_tf.imaging.palettes import is_black_and_white, is_programs_table
from cathode_tf.imaging.rasters import MAX_MEGAPIXELS, Raster, open_raster
from cathode_tf.phases import IGNORE, IGNORE_COLOR, Phases, rgb
from cathode_tf.words import some


def read_mask(
    path: str | Path,
    phases: Phases,
    *,
    shape: tuple[int, int] | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> np.ndarray:
    """The segmentation mask in a raster file, uint8 (height, width) of phase ids, 255 = ignored.

    Args:
        path: PNG, TIFF or BMP: grey values of any type, a palette, or colours, as `phases` declares them.
        phases: Names, ids, and the values that stand for them.
        shape: (height, width) that the mask must have: its micrograph's.
        max_megapixels: Larger files are refused before they are decoded.

    Raises:
        InputError: If the file is no whole raster, was compressed with loss, holds a value or colour that no
            phase has, is a stack, or has another shape.

    Example:
        >>> mask = read_mask("electrode_07_mask.png", Phases.default())           # doctest: +SKIP
    """
    path = Path(path)
    with open_raster(path, max_megapixels=max_megapixels) as raster:
        if raster.count > 1:
            raise InputError(
                f"{path}: must hold one mask. Received a stack of {raster.count}; "
                "write one file for each slice."
            )
        if shape is not None and (raster.height, raster.width) != tuple(shape):
            raise InputError(
                f"{path}: must have the size of its image, {shape[1]} x {shape[0]}. "
                f"Received {raster.width} x {raster.height}."
            )
        return to_mask(raster.read(0), phases, path)


def iter_masks(
    path: str | Path, phases: Phases, *, max_megapixels: float = MAX_MEGAPIXELS
) -> Iterator[np.ndarray]:
    """As `read_mask`, for a stack: the segmentation mask of one slice after the other.

    Args:
        path: A stack, or a single mask.
        phases: Names, ids, and the values that stand for them.
        max_megapixels: Of one slice.
    """
    path = Path(path)
    with open_raster(path, max_megapixels=max_megapixels) as raster:
        for index in range(raster.count):
            yield to_mask(raster.read(index), phases, path)


def to_mask(
    raster: Raster, phases: Phases, source: str | Path = "mask", counted: np.ndarray | None = None
) -> np.ndarray:
    """Phase ids of a decoded raster: by colour where it has colours, by value otherwise.

    Args:
        raster: The decoded file.
        phases: Names, ids, and the values that stand for them.
        source: How to call it in an error.
        counted: bool (height, width), the pixels that an error counts; default: all.
    """
    if raster.lossy:
        raise InputError(
            f"{source}: must be a mask without loss (PNG or TIFF). {raster.lossy} compression invents "
            "values at every boundary; export the mask again from the tool that made it."
        )
    if raster.flip is not None:
        _judge_white_as_zero(raster, source)
    samples = raster.shown
    if raster.bilevel:
        return _by_grey(_black_and_white(samples, phases), phases, source, counted)
    if samples.ndim == 3 and samples.shape[2] in (2, 4):
        return _by_opacity(samples, phases, source)
    if samples.ndim == 3 and samples.shape[2] == 1:
        samples = samples[..., 0]
    if samples.ndim == 3:
        if samples.dtype == np.uint16 and not (samples % 257).any():
            samples = (samples // 257).astype(np.uint8)  # 8-bit colours in a 16-bit file
        if samples.dtype != np.uint8:
            raise InputError(f"{source}: colours must have 8 bit. Received {samples.dtype}.")
        colors = samples[..., :3]
        # Colours that are all grey are grey values; but all black is what an unlabelled image looks like.
        if (colors == colors[..., :1]).all() and colors.any() and not _declares_grey(phases):
            return _by_grey(colors[..., 0], phases, source, counted)
        return _by_color(colors, phases, source, counted)
    if raster.colormap is not None:
        mask = _by_palette(samples, raster.colormap, phases, source)
        return _without_clear(mask, samples, raster.clear, phases, source)
    return _by_grey(samples, phases, source, counted)


def _judge_white_as_zero(raster: Raster, source: str | Path) -> None:
    """In one bit every program agrees that black and white are as shown; of more bits that is said, or refused."""
    if raster.bilevel:
        return
    if raster.doubtful:
        raise InputError(
            f"{source}: must not have an inverting lookup table, as ImageJ counts its stored values, and "
            f"other programs the "
            "shown ones. Save it from ImageJ after Image > Lookup Tables > Invert LUT."
        )
    place = f"masks in {source.parent}" if isinstance(source, Path) else source
    warnings.warn(
        f"{place}: are stored with white as 0 (TIFF tag 262), and read as they are shown: the largest value "
        f"for a stored "
        "0. If the stored values count, save them with black as 0.",
        InputWarning,
        stacklevel=3,
    )


def _black_and_white(samples: np.ndarray, phases: Phases) -> np.ndarray:
    """White of one bit is 1, or 255 where only that is declared."""
    declared = {value for value, _ in _values(phases)}
    return samples * np.uint8(255) if 1 not in declared and 255 in declared else samples


def _by_grey(
    samples: np.ndarray, phases: Phases, source: str | Path, counted: np.ndarray | None
) -> np.ndarray:
    mask = _by_value(samples, phases, source, counted)
    # Black and white is how programs write yes and no; here it would mean one phase and nothing else.
    if samples.dtype == np.uint8:
        meanings = dict(reversed(_values(phases)))
        white = np.count_nonzero(samples == 255)
        two_valued = 0 < white < samples.size == white + np.count_nonzero(samples == 0)
        if two_valued and meanings[255] == IGNORE != meanings[0]:
            name = next(p.name for p in phases if p.id == meanings[0])
            warnings.warn(
                f"{source}: holds only 0 ({name}) and 255 (ignored), like a mask of one phase that was saved in "
                "black and white. If it is one, call it '<image>_<phase>.png', or declare what 255 means.",
                InputWarning,
                stacklevel=2,
            )
        _warn_of_ids(samples, phases, source)
    return mask


def _warn_of_ids(samples: np.ndarray, phases: Phases, source: str | Path) -> None:
    """Say it where every value is a phase's id too, and would mean another phase as such."""
    meanings = dict(reversed(_values(phases)))
    names = {p.id: p.name for p in phases} | {IGNORE: "ignored"}
    swapped = [id_ for id_ in phases.ids if meanings.get(id_, id_) != id_]
    if not swapped:
        return
    found = {int(value) for value in np.unique(samples)}
    differ = sorted(found.intersection(swapped))
    if differ and found <= names.keys() and len(found - {IGNORE}) > 1:
        read = ", ".join(f"{value} is {names[meanings[value]]}, not {names[value]}" for value in differ)
        # By the folder, so that a batch of masks gives one sentence.
        place = f"masks in {source.parent}" if isinstance(source, Path) else source
        warnings.warn(
            f"{place}: read as the values of phases.toml ({read}). If these are phase ids, save the masks indexed, "
            "as segment writes them, or give a phases.toml whose values are the ids.",
            InputWarning,
            stacklevel=2,
        )


def _by_opacity(samples: np.ndarray, phases: Phases, source: str | Path) -> np.ndarray:
    """What is transparent was not labelled; what is half transparent is the blurred edge of a brush."""
    alpha, rest = samples[..., -1], samples[..., :-1]
    opaque = alpha == (np.iinfo(alpha.dtype).max if alpha.dtype.kind in "iu" else 1)
    between = ~opaque & (alpha != 0)
    if between.any():
        row, column = (int(i) for i in np.argwhere(between)[0])
        raise InputError(
            f"{source}: must be opaque or transparent. Received {int(between.sum())} pixels in between, the first at "
            f"row {row}, column {column}. Draw without soft edges, or export without transparency."
        )
    if not opaque.any():
        if (rest != rest[0, 0]).any():
            raise InputError(
                f"{source}: must show what it labels. Received a picture that is transparent everywhere, "
                f"with colours under "
                "the transparency. Save it without transparency."
            )
        return np.full(alpha.shape, IGNORE, np.uint8)
    row, column = (int(i) for i in np.argwhere(opaque)[0])
    filled = np.where(opaque[..., None], rest, rest[row, column])
    return np.where(opaque, to_mask(Raster(filled), phases, source, opaque), np.uint8(IGNORE))


def _values(phases: Phases) -> list[tuple[float, int]]:
    pairs = [(v, p.id) for p in phases for v in p.values] + [(v, IGNORE) for v in phases.ignore_values]
    return [(value, id_) for value, id_ in pairs if not isinstance(value, str)]


def _colors(phases: Phases) -> dict[tuple[int, int, int], int]:
    """Ids by colour: those declared as values first, then the phases' own colours, then black = ignored."""
    declared = [(v, p.id) for p in phases for v in p.values] + [(v, IGNORE) for v in phases.ignore_values]
    pairs = [(v, id_) for v, id_ in declared if isinstance(v, str)]
    pairs += [(p.color, p.id) for p in phases] + [(IGNORE_COLOR, IGNORE)]
    table: dict[tuple[int, int, int], int] = {}
    for color, id_ in pairs:
        table.setdefault(rgb(color), id_)
    return table


def _declares_grey(phases: Phases) -> bool:
    values = [v for p in phases for v in p.values] + list(phases.ignore_values)
    return any(len(set(rgb(v))) == 1 for v in values if isinstance(v, str))


def _by_value(
    samples: np.ndarray, phases: Phases, source: str | Path, counted: np.ndarray | None = None
) -> np.ndarray:
    if samples.dtype == np.uint8:  # by a table of all values, which is much faster for many pixels
        ids, has_id = _compare(np.arange(256, dtype=np.uint8), phases)
        same = (ids == np.arange(256))[has_id].all()
        mask = samples.copy() if same else cv2.LUT(samples, ids)
        known = cv2.LUT(samples, has_id.view(np.uint8)).view(bool)
    else:
        mask, known = _compare(samples, phases)
    if not known.all():
        expected = ", ".join(
            f"{v:g} {'ignored' if id_ == IGNORE else next(p.name for p in phases if p.id == id_)}"
            for v, id_ in _values(phases)
        )
        unknown = np.unique(samples[~known])
        raise InputError(
            f"{source}: must hold only the values of phases.toml ({expected or 'none but colours'}). "
            f"{_unknown(_of(~known, counted), [f'{v:g}' for v in unknown[:3]], len(unknown))}"
        )
    return mask


def _compare(samples: np.ndarray, phases: Phases) -> tuple[np.ndarray, np.ndarray]:
    """Ids of the samples, and which samples have one."""
    mask = np.zeros(samples.shape, np.uint8)
    known = np.zeros(samples.shape, bool)
    for value, id_ in _values(phases):
        here = samples == value
        mask[here] = id_
        known |= here
    return mask, known


def _of(pixels: np.ndarray, counted: np.ndarray | None) -> np.ndarray:
    return pixels if counted is None else pixels & counted


def _unknown(unknown: np.ndarray, examples: list[str], kinds: int) -> str:
    row, column = (int(i) for i in np.argwhere(unknown)[0])
    more = ", ..." if kinds > len(examples) else ""
    if kinds > 32 and unknown.mean() > 0.5:
        advice = " The file looks like an image; name the masks, as *_mask.png."
    elif kinds > 8:
        advice = (
            f" {kinds} values that no phase has: the mask seems smoothed, resized with interpolation, or saved as "
            "JPEG. Export it again without."
        )
    else:
        advice = " Add them to the values of a phase or of [ignore], or correct the mask."
    return (
        f"Received {', '.join(examples)}{more} in {int(unknown.sum())} pixels, the first at row {row}, "
        f"column {column}.{advice}"
    )


def _by_color(
    colors: np.ndarray, phases: Phases, source: str | Path, counted: np.ndarray | None = None
) -> np.ndarray:
    codes = (
        (colors[..., 0].astype(np.uint32) << 16)
        | (colors[..., 1].astype(np.uint32) << 8)
        | colors[..., 2].astype(np.uint32)
    )
    mask = np.zeros(codes.shape, np.uint8)
    known = np.zeros(codes.shape, bool)
    for (red, green, blue), id_ in _colors(phases).items():
        here = codes == (red << 16 | green << 8 | blue)
        mask[here] = id_
        known |= here
    if not known.all():
        expected = ", ".join(
            "#{:02x}{:02x}{:02x} ".format(*color)
            + ("ignored" if id_ == IGNORE else next(p.name for p in phases if p.id == id_))
            for color, id_ in _colors(phases).items()
        )
        unknown = np.unique(codes[~known])
        raise InputError(
            f"{source}: must hold only the colours of phases.toml ({expected}). "
            f"{_unknown(_of(~known, counted), [f'#{code:06x}' for code in unknown[:3]], len(unknown))}"
        )
    return mask


def _by_palette(indices: np.ndarray, colormap: np.ndarray, phases: Phases, source: str | Path) -> np.ndarray:
    """What is shown counts, as far as it means something: programs sort palettes anew for each picture.

    A mask that was written here carries the palette of its phases: its indices are the ids themselves. Otherwise the
    colours are read, as grey values if all of them are grey. Only where a program's own table of colours, which is the
    same for each picture, shows nothing that is declared do the indices count.
    """
    if np.array_equal(colormap, phases.palette()):
        mask = indices.astype(np.uint8)
        phases.check_mask(mask, source)
        return mask
    used = np.unique(indices)
    if used[-1] >= len(colormap):
        raise InputError(f"{source}: must hold indices of its {len(colormap)} colours. Received {used[-1]}.")
    if is_black_and_white(colormap):
        white = (colormap[indices][..., 0] == 255).astype(np.uint8)
        return _by_grey(_black_and_white(white, phases), phases, source, None)
    shown = colormap[used]
    if _readable(shown, phases):
        mask = to_mask(Raster(colormap[indices]), phases, source)
        _refuse_other_indices(indices, mask, shown, phases, source)
        return mask
    if is_programs_table(colormap, used):
        return _by_value(indices, phases, source)
    colors = [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in shown.tolist()]
    raise InputError(
        f"{source}: must show colours of phases.toml, as the order of a palette may differ from picture to "
        f"picture. Received {some(colors)}. Add them to the values of phases, or save the mask without a palette."
    )


def _refuse_other_indices(
    indices: np.ndarray, mask: np.ndarray, shown: np.ndarray, phases: Phases, source: str | Path
) -> None:
    """Refuse a palette in the phases' own colours whose indices would mean other phases: one of both was changed."""
    if (shown == shown[:, :1]).all():
        return  # grey is a value, not the colour of a phase
    declared = {rgb(v) for p in phases for v in p.values if isinstance(v, str)}
    if declared.issuperset(tuple(color) for color in shown.tolist()):
        return  # whoever declares colours has said what they mean
    values = dict(reversed(_values(phases)))
    names = {p.id: p.name for p in phases} | {IGNORE: "ignored"}
    by_color = {int(index): int(mask[indices == index][0]) for index in np.unique(indices)}
    if not all(index in values for index in by_color):
        return
    for index, id_ in by_color.items():
        if values[index] != id_:
            raise InputError(
                f"{source}: index and colour must mean the same phase. Index {index} is "
                f"{names[values[index]]}, "
                f"but its colour in the palette is that of {names[id_]}. Save the mask as RGB, or correct phases.toml."
            )


def _without_clear(
    mask: np.ndarray, indices: np.ndarray, clear: tuple[int, ...], phases: Phases, source: str | Path
) -> np.ndarray:
    """What is transparent was not labelled; where its index means a phase, nobody can know."""
    for index in clear:
        here = indices == index
        meant = np.unique(mask[here])
        if (meant != IGNORE).any():
            name = next(p.name for p in phases if p.id == meant[0])
            raise InputError(
                f"{source}: what is transparent is not labelled. Received index {index} ({name}), transparent in the "
                f"palette, in {int(here.sum())} pixels. Save the mask without transparency, or as RGBA."
            )
    return mask


def _readable(shown: np.ndarray, phases: Phases) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)  # given where the mask itself is read
        try:
            to_mask(Raster(shown[None]), phases)
        except InputError:
            return False
    return True


def write_mask(path: str | Path, mask: np.ndarray, phases: Phases, *, force: bool = False) -> Path:
    """Write a segmentation mask as an indexed PNG: the ids as stored, the phases' colours as palette.

    Args:
        path: Where it goes; `.png`.
        mask: uint8 (height, width) of phase ids, 255 = ignored.
        phases: Ids and colours.
        force: Replace an existing file.

    Raises:
        InputError: If the mask holds an undefined id, or the file exists.
    """
    from PIL import Image

    phases.check_mask(mask, path)
    picture = Image.fromarray(mask)
    picture.putpalette(phases.palette().ravel().tolist())
    with atomic_file(path, force=force) as temporary:
        picture.save(temporary, "PNG", compress_level=6)
    return Path(path)
