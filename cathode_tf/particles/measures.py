"""Label image in, one row an instance out: sizes, shapes and neighbours, with units in the column names.

Everything follows from the runs of equal labels along the rows (about a hundred an instance), from the
places where two neighbouring pixels differ, and from the convex hull of each instance's run ends; no
instance is ever cut out as a picture. That is what makes it fast.
"""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from cathode_tf.errors import InputError
from cathode_tf.statistics.estimate import check_pixel_size

SHAPE_MIN_DIAMETER_PX = 20.0
"""Below this equivalent diameter the pixel grid shapes the shape: shape columns hold NaN."""

LINE_PX = 5
"""Unknown areas are opened by a square of this side; narrower lines hide nothing."""

LENGTHS = ("equivalent_diameter", "feret_max", "feret_min", "perimeter", "nearest_neighbour")
SHAPES = ("circularity", "aspect_ratio", "ellipse_ratio", "solidity", "orientation_deg")


def measure_instances(
    labels: np.ndarray,
    *,
    pixel_size_nm: float | None = None,
    min_shape_px: float = SHAPE_MIN_DIAMETER_PX,
    unknown: np.ndarray | None = None,
) -> pd.DataFrame:
    """Measure every instance of a label image.

    With a pixel size the columns end in `_um` and `_um2`; without one in `_px` and `_px2`, and no
    physical unit appears. Columns, in this order:

    - `label`; `centroid_row_px`, `centroid_column_px`; `width_px`, `height_px`: Feret diameters along the frame;
      `touches_border`, of the frame or of an unknown area (then sizes are those of the part in sight); `edge_weight`:
      Miles-Lantuejoul's W H / ((W - width) (H - height)), which makes up for like instances that the border cut, or
      with unknown areas the known area over that of the places where the instance's box would touch no border; 0 at
      the border.
    - `area`; `equivalent_diameter` = sqrt(4 A / pi); `feret_max`, `feret_min`: the largest and smallest
      distance between two parallel tangents.
    - `perimeter`: Crofton's formula in four directions, unbiased over orientations; holes count.
    - `circularity` = sqrt(4 pi A) / P (ISO 9276-6, with the square root); `aspect_ratio` = feret_min / feret_max;
      `ellipse_ratio` = minor / major axis of the ellipse with equal second moments; `solidity` = A / convex area
      (pixels whose centre lies in the convex hull); `orientation_deg`: major axis against the column axis,
      counter-clockwise, 0-180. All NaN below `min_shape_px`, where the pixel grid decides the shape.
    - `inner_porosity`: area enclosed by this instance alone that is not its own, over the filled area.
    - `nearest_neighbour`: distance to the next centroid; NaN for a single instance.

    Args:
        labels: Label image (height, width), integer; 0 is none. Labels need not be consecutive.
        pixel_size_nm: Side of a pixel; None = unknown.
        min_shape_px: Equivalent diameter below which shapes are not reported.
        unknown: Boolean (height, width), where nobody knows what is there; it cuts instances as the frame does, unless
            it is a line less than `LINE_PX` wide, as annotators leave around particles.

    Returns:
        One row an instance, sorted by label; no row for an empty image.

    Raises:
        InputError: If `labels` is not a two-dimensional integer array, or the pixel size is not positive.

    Example:
        >>> labels = np.zeros((20, 30), np.int32)
        >>> labels[5:15, 5:25] = 1
        >>> table = measure_instances(labels, pixel_size_nm=100)
        >>> table[["area_um2", "feret_min_um", "width_px"]].round(3).values.tolist()
        [[2.0, 1.0, 20.0]]

    Reference:
        ISO 9276-6 (descriptors of shape); Ohser and Muecklich, Statistical Analysis of Microstructures, Wiley
        2000 (Crofton); Lantuejoul, Computation of the histogram of the number of edges, Acta Stereol. 1980 (edge).
    """
    labels = _checked(labels, pixel_size_nm)
    values, dense = _dense(labels)
    count = len(values)
    runs = _runs(dense)
    columns = _moments(runs, count)
    feret_max, feret_min, convex_px = _hulls(runs, count)
    perimeter, touching = _perimeters(dense, count)
    holes = _holes(dense, touching, count)
    area = columns.pop("area")
    border, weights = columns["border"], _edge_weights(columns, dense.shape)
    hidden = None if unknown is None or not unknown.any() else _wide(unknown)
    if hidden is not None and hidden.any() and count:
        beside = cv2.dilate(hidden.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        border = border | (np.bincount(dense[beside], minlength=count + 1)[1:] > 0)
        weights = np.where(border, 0.0, _weights_between(columns, hidden))
    diameter = np.sqrt(4 * area / np.pi)
    table = {
        "label": values,
        "centroid_row_px": columns["row"],
        "centroid_column_px": columns["column"],
        "width_px": columns["width"],
        "height_px": columns["height"],
        "touches_border": border,
        "edge_weight": weights,
        "area": area,
        "equivalent_diameter": diameter,
        "feret_max": feret_max,
        "feret_min": feret_min,
        "perimeter": perimeter,
        "circularity": np.sqrt(4 * np.pi * area) / np.maximum(perimeter, 1e-9),
        "aspect_ratio": feret_min / np.maximum(feret_max, 1e-9),
        "ellipse_ratio": columns["ellipse_ratio"],
        "solidity": area / np.maximum(convex_px, 1),
        "orientation_deg": columns["orientation_deg"],
        "inner_porosity": holes / np.maximum(area + holes, 1),
        "nearest_neighbour": _nearest(columns["row"], columns["column"]),
    }
    for name in SHAPES:
        table[name] = np.where(diameter < min_shape_px, np.nan, table[name])
    return pd.DataFrame(_with_units(table, pixel_size_nm))


def perimeters(labels: np.ndarray) -> np.ndarray:
    """Crofton perimeter of each label 1 ... n of a label image, px, as in `measure_instances`.

    P = (pi/2) x mean over four directions of (changes x distance between lines); holes count.

    Args:
        labels: int32 (height, width), labels consecutive.

    Reference:
        Ohser and Muecklich, Statistical Analysis of Microstructures, Wiley 2000 (Crofton).
    """
    return _perimeters(labels, int(labels.max(initial=0)))[0]


def _checked(labels: np.ndarray, pixel_size_nm: float | None) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.ndim != 2 or not labels.size or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"labels: must be an integer array (height, width). Received {labels.dtype} {labels.shape}."
        )
    check_pixel_size(pixel_size_nm)
    return labels


def _dense(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The labels present (without 0), and the image with 1 ... n in their place."""
    flat = labels.ravel()
    # Every label begins somewhere; there are far fewer such places than pixels.
    found = flat[np.append(0, np.flatnonzero(flat[1:] != flat[:-1]) + 1)]
    low, high = int(found.min()), int(found.max())
    if low < 0:
        raise InputError(f"labels: must be 0 (none) or greater. Received {low}.")
    if high > 4 * labels.size:
        values = np.unique(found)
        values = values[values > 0]
        return values, np.where(labels > 0, np.searchsorted(values, labels) + 1, 0).astype(np.int32)
    present = np.zeros(high + 1, bool)
    present[found] = True
    present[0] = False
    values = np.flatnonzero(present)
    if len(values) == high:
        return values, labels.astype(np.int32, copy=False)
    return values, np.where(present, np.cumsum(present), 0).astype(np.int32)[labels]


def _runs(labels: np.ndarray) -> dict[str, np.ndarray]:
    """Runs of one non-zero label along rows, sorted by label, then row, then column."""
    height, width = labels.shape
    starts = np.ones((height, width), bool)
    np.not_equal(labels[:, 1:], labels[:, :-1], out=starts[:, 1:])
    first = np.flatnonzero(starts)
    last = np.append(first[1:], labels.size) - 1
    label = labels.ravel()[first]
    keep = label > 0
    first, last, label = first[keep], last[keep], label[keep]
    order = np.argsort(label, kind="stable")
    first, last, label = first[order], last[order], label[order]
    row = first // width
    return {
        "label": label - 1,
        "row": row,
        "start": first - row * width,
        "stop": last - row * width,
        "shape": np.array([height, width]),
    }


def _moments(runs: dict[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
    label, row, start, stop = runs["label"], runs["row"], runs["start"], runs["stop"]
    height, width = runs["shape"]

    def total(weights: np.ndarray) -> np.ndarray:
        return np.bincount(label, weights, minlength=count)

    n = (stop - start + 1).astype(float)
    middle = (start + stop) / 2.0
    area = total(n)
    r, c = total(n * row) / area, total(n * middle) / area
    # Second moments about the centroid; a run of n pixels adds n (n^2 - 1) / 12, a pixel its own 1 / 12.
    dr, dc = row - r[label], middle - c[label]
    mrr = total(n * dr * dr) / area + 1 / 12
    mcc = total(n * dc * dc + n * (n * n - 1) / 12) / area + 1 / 12
    mrc = total(n * dr * dc) / area
    spread = np.sqrt((mrr - mcc) ** 2 / 4 + mrc**2)
    mean = (mrr + mcc) / 2
    # Rows count downwards: counter-clockwise on the screen needs the sign of the covariance turned.
    angle = np.degrees(0.5 * np.arctan2(-2 * mrc, mcc - mrr)) % 180
    bounds = _bounds(runs, count)
    return {
        "area": area,
        "row": r,
        "column": c,
        "ellipse_ratio": np.sqrt(np.maximum(mean - spread, 0) / (mean + spread)),
        "orientation_deg": angle,
        "height": bounds[:, 1] - bounds[:, 0] + 1.0,
        "width": bounds[:, 3] - bounds[:, 2] + 1.0,
        "border": (bounds[:, 0] == 0)
        | (bounds[:, 2] == 0)
        | (bounds[:, 1] == height - 1)
        | (bounds[:, 3] == width - 1),
    }


def _edge_weights(columns: dict[str, np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Frame area over the area of places where the instance's box touches no border; 0 for those that do."""
    height, width = shape
    places = (height - columns["height"] - 1) * (width - columns["width"] - 1)
    return np.where(columns["border"], 0.0, height * width / np.maximum(places, 1))


def _wide(unknown: np.ndarray) -> np.ndarray:
    """The unknown areas that can hide a part of an instance."""
    box = np.ones((LINE_PX, LINE_PX), np.uint8)
    return cv2.morphologyEx(unknown.astype(np.uint8), cv2.MORPH_OPEN, box) > 0


def _weights_between(columns: dict[str, np.ndarray], hidden: np.ndarray) -> np.ndarray:
    """Known area over the area of places where each instance's box, and a pixel around it, meets nothing unknown."""
    height, width = hidden.shape
    high = np.minimum(columns["height"].astype(int), height)
    wide = np.minimum(columns["width"].astype(int), width)
    known = float(hidden.size - np.count_nonzero(hidden))
    total = cv2.integral(hidden.astype(np.uint8))
    weights = np.zeros(len(high))
    sizes, which = np.unique(np.column_stack([high, wide]), axis=0, return_inverse=True)
    for k, (rows, columns_) in enumerate(sizes):
        if rows + 2 > height or columns_ + 2 > width:
            places = 1
        else:
            box = total[rows + 2 :, columns_ + 2 :] - total[: -rows - 2, columns_ + 2 :]
            box = box - total[rows + 2 :, : -columns_ - 2] + total[: -rows - 2, : -columns_ - 2]
            places = max(int(np.count_nonzero(box == 0)), 1)
        weights[which.ravel() == k] = known / places
    return weights


def _bounds(runs: dict[str, np.ndarray], count: int) -> np.ndarray:
    """First and last row, first and last column of each label, (n, 4)."""
    begin = np.searchsorted(runs["label"], np.arange(count))
    if not count:
        return np.zeros((0, 4))
    return np.column_stack(
        [
            np.minimum.reduceat(runs["row"], begin),
            np.maximum.reduceat(runs["row"], begin),
            np.minimum.reduceat(runs["start"], begin),
            np.maximum.reduceat(runs["stop"], begin),
        ]
    )


def _hulls(runs: dict[str, np.ndarray], count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Largest and smallest Feret diameter, and the number of pixels in the convex hull, of each label."""
    ends = np.stack([np.r_[runs["start"], runs["stop"]], np.r_[runs["row"], runs["row"]]], axis=1)
    label = np.r_[runs["label"], runs["label"]]
    order = np.argsort(label, kind="stable")
    points = ends[order].astype(np.int32)
    begin = np.searchsorted(label[order], np.arange(count + 1))
    hulls = [cv2.convexHull(points[begin[i] : begin[i + 1]])[:, 0] for i in range(count)]
    largest, smallest, convex = np.zeros(count), np.zeros(count), np.zeros(count)
    # Hulls of similar length are worked through together, padded with their first vertex.
    sizes = np.array([len(hull) for hull in hulls])
    for group in _groups(sizes):
        width = sizes[group].max()
        block = np.stack([np.resize(hulls[i], (1, 2)).repeat(width, 0) for i in group]).astype(float)
        for k, i in enumerate(group):
            block[k, : sizes[i]] = hulls[i]
        largest[group], smallest[group] = _ferets(block)
        convex[group] = _lattice_points(block)
    return largest, smallest, convex


def _groups(sizes: np.ndarray, at_most: int = 256) -> list[np.ndarray]:
    order = np.argsort(sizes, kind="stable")
    return [order[i : i + at_most] for i in range(0, len(order), at_most)]


def _ferets(hulls: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Largest and smallest width of pixel sets with these hulls of pixel centres, (n, vertices, 2).

    Between pixel centres half a pixel is missing on either side, so one pixel is added: exact along the grid.
    """
    edges = np.roll(hulls, -1, axis=1) - hulls
    square = (hulls**2).sum(-1)
    products = hulls @ hulls.swapaxes(1, 2)
    largest = np.sqrt((square[:, :, None] + square[:, None] - 2 * products).max((1, 2)))
    length = np.hypot(edges[..., 0], edges[..., 1])
    normal = np.stack([-edges[..., 1], edges[..., 0]], -1) / np.maximum(length, 1e-12)[..., None]
    across = normal @ hulls.swapaxes(1, 2)
    width = across.max(-1) - across.min(-1)
    smallest = np.where(length > 0, width, np.inf).min(-1)
    return largest + 1, np.where(np.isfinite(smallest), smallest, 0) + 1


def _lattice_points(hulls: np.ndarray) -> np.ndarray:
    """Number of pixel centres in hulls of pixel centres, (n, vertices, 2), by Pick's theorem: A + B / 2 + 1."""
    following = np.roll(hulls, -1, axis=1)
    step = np.abs(following - hulls).astype(np.int64)
    boundary = np.gcd(step[..., 0], step[..., 1]).sum(1)
    twice = np.abs((hulls[..., 0] * following[..., 1] - hulls[..., 1] * following[..., 0]).sum(1))
    return twice / 2 + boundary / 2 + 1


def _perimeters(labels: np.ndarray, count: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Crofton perimeter of each label; and (pixel of no label, label) at the sides they share.

    The sides come in four parts: the pixel of no label is left of the label, right of it, above it, below it.
    """
    padded = np.pad(labels, 1)
    total = np.zeros(count + 1)
    touching = []
    columns = padded.shape[1]
    flat = padded.ravel()
    # A line along the diagonal has its neighbour lines 1 / sqrt(2) away.
    for offset, spacing in (1, 1.0), (columns, 1.0), (columns + 1, 0.5**0.5), (columns - 1, 0.5**0.5):
        place = np.flatnonzero(flat[offset:] != flat[:-offset])
        a, b = flat[place], flat[place + offset]
        total += spacing * (np.bincount(a, minlength=count + 1) + np.bincount(b, minlength=count + 1))
        if spacing == 1.0:
            touching.append(np.column_stack([place[a == 0], b[a == 0]]))
            touching.append(np.column_stack([(place + offset)[b == 0], a[b == 0]]))
    return np.pi / 8 * total[1:], touching


def _holes(labels: np.ndarray, touching: list[np.ndarray], count: int) -> np.ndarray:
    """Area of the regions without label that touch one label and nothing else, by that label."""
    none = np.pad((labels == 0).astype(np.uint8), 1, constant_values=1)
    # The pad joins everything open to the frame into one region.
    number, regions = cv2.connectedComponents(none, connectivity=8)
    region_of = regions.ravel()
    # A row of a hole begins right of a label and ends left of one: its length is the difference of the two places.
    ends, starts = touching[0][:, 0], touching[1][:, 0]
    area = np.bincount(region_of[ends], ends + 1.0, number) - np.bincount(region_of[starts], starts, number)
    place, label = np.concatenate(touching).T
    beside = region_of[place]
    inner = beside != region_of[0]
    pair = beside[inner].astype(np.int64) * (count + 1) + label[inner]
    region, label = np.divmod(np.unique(pair), count + 1)
    alone = np.bincount(region, minlength=number)[region] == 1
    return np.bincount(label[alone], area[region[alone]], minlength=count + 1)[1:]


def _nearest(row: np.ndarray, column: np.ndarray) -> np.ndarray:
    if len(row) < 2:
        return np.full(len(row), np.nan)
    points = np.column_stack([row, column])
    return cKDTree(points).query(points, k=2)[0][:, 1]


def _with_units(table: dict[str, np.ndarray], pixel_size_nm: float | None) -> dict[str, np.ndarray]:
    unit, scale = ("px", 1.0) if pixel_size_nm is None else ("um", pixel_size_nm / 1000)
    named = {}
    for name, values in table.items():
        if name == "area":
            named[f"area_{unit}2"] = values * scale**2
        elif name in LENGTHS:
            named[f"{name}_{unit}"] = values * scale
        else:
            named[name] = values
    return named
