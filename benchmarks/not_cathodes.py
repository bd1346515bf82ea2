"""Pictures that show no cathode, drawn: grains, fibres, balls, bricks, cloth, letters, clouds and more.

    python benchmarks/not_cathodes.py --picture /tmp/not_cathodes.png

What tells cathodes from other things (`cathode_tf.learning.kinds`) learned from none of them; `know_kind.py` counts how
many it calls foreign.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import cv2
import numpy as np
from scipy.spatial import cKDTree

Draw = Callable[[np.random.Generator, int], np.ndarray]


def picture(seed: int, side: int = 288) -> tuple[str, np.ndarray]:
    """What picture `seed` shows, and its pixels, uint8 (side, side)."""
    rng = np.random.default_rng([4, seed])
    draw = DRAWN[seed % len(DRAWN)]
    return draw.__name__.strip("_"), _taken(rng, draw(rng, side))


def _taken(rng: np.random.Generator, drawn: np.ndarray) -> np.ndarray:
    """As a camera takes it: blurred, noisy, of some contrast and gamma."""
    image = drawn.astype(np.float32)
    image = (image - image.mean()) / max(float(image.std()), 1e-6) * rng.choice([1, 1, -1])
    if rng.random() < 0.5:
        image = cv2.GaussianBlur(image, (0, 0), _between(rng, 0.4, 1.6))
    image = image + rng.standard_normal(image.shape) * rng.uniform(0, 0.35)
    low, high = np.percentile(image, [rng.uniform(0, 2), rng.uniform(98, 100)])
    image = np.clip((image - low) / max(high - low, 1e-6), 0, 1) ** np.exp(rng.uniform(-0.4, 0.4))
    return (255 * image).astype(np.uint8)


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


# Fields ----------------------------------------------------------------------------------------------------


def _field(rng: np.random.Generator, side: int, slope: float, *, stretch: float = 1.0) -> np.ndarray:
    """Noise whose amplitude falls with frequency to the power of `slope`, stretched one way."""
    along, across = _frequencies(rng, side)
    radius = np.hypot(along * stretch, across)
    radius[0, 0] = 1
    return _normal(np.fft.ifft2(np.fft.fft2(rng.standard_normal((side, side))) * radius**-slope).real)


def _band(
    rng: np.random.Generator, side: int, length: float, width: float, stretch: float = 1.0
) -> np.ndarray:
    """Noise of one wavelength, about."""
    along, across = _frequencies(rng, side)
    passed = np.exp(-(np.log(np.hypot(along * stretch, across) * length + 1e-9) ** 2) / (2 * width**2))
    return _normal(np.fft.ifft2(np.fft.fft2(rng.standard_normal((side, side))) * passed).real)


def _frequencies(rng: np.random.Generator, side: int) -> tuple[np.ndarray, np.ndarray]:
    one = np.fft.fftfreq(side)
    y, x = np.meshgrid(one, one, indexing="ij")
    return _turned(y, x, rng.uniform(0, np.pi))


def _turned(y: np.ndarray, x: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    return x * np.cos(angle) + y * np.sin(angle), -x * np.sin(angle) + y * np.cos(angle)


def _normal(values: np.ndarray) -> np.ndarray:
    return ((values - values.mean()) / max(float(values.std()), 1e-9)).astype(np.float32)


def _cells(rng: np.random.Generator, side: int, size: float) -> tuple[np.ndarray, np.ndarray]:
    """Cells around random points: the number of each pixel's, and how far it lies from a border."""
    points = rng.uniform(-size, side + size, (max(4, int((side / size + 2) ** 2)), 2))
    bent = np.stack([_field(rng, side, 1.8) for _ in range(2)], -1) * size * rng.uniform(0, 0.15)
    places = np.stack(np.mgrid[:side, :side], -1) + bent
    far, nearest = cKDTree(points).query(places.reshape(-1, 2), k=2)
    return nearest[:, 0].reshape(side, side), (far[:, 1] - far[:, 0]).reshape(side, side)


# What is drawn ---------------------------------------------------------------------------------------------


def _clouds(rng: np.random.Generator, side: int) -> np.ndarray:
    return _field(rng, side, rng.uniform(0, 2.2), stretch=_between(rng, 1, 6))


def _levels(rng: np.random.Generator, side: int) -> np.ndarray:
    field = _field(rng, side, rng.uniform(1, 2), stretch=_between(rng, 1, 4))
    borders = np.quantile(field, np.sort(rng.uniform(0.05, 0.95, rng.integers(1, 4))))
    return rng.uniform(0, 1, 4)[np.digitize(field, borders)] + field * rng.uniform(0, 0.1)


def _labyrinth(rng: np.random.Generator, side: int) -> np.ndarray:
    field = _band(rng, side, _between(rng, 5, 50), rng.uniform(0.05, 0.5), _between(rng, 1, 3))
    return np.tanh((field - rng.uniform(-0.8, 0.8)) / _between(rng, 0.05, 2))


def _grains(rng: np.random.Generator, side: int) -> np.ndarray:
    cell, border = _cells(rng, side, _between(rng, 8, 90))
    grey = rng.normal(size=cell.max() + 1) * rng.uniform(0, 1)
    rim = rng.choice([-1, 1]) * rng.uniform(0.5, 3) * np.exp(-((border / rng.uniform(0.7, 3)) ** 2))
    return grey[cell] + rim + _field(rng, side, 1.0) * rng.uniform(0, 0.5)


def _lamellae(rng: np.random.Generator, side: int) -> np.ndarray:
    cell, border = _cells(rng, side, _between(rng, 40, 160))
    angle = rng.uniform(0, np.pi, cell.max() + 1)[cell]
    length = np.exp(rng.normal(np.log(_between(rng, 3, 12)), 0.3, cell.max() + 1))[cell]
    y, x = np.mgrid[:side, :side]
    phase = (x * np.cos(angle) + y * np.sin(angle) + _field(rng, side, 1.8) * rng.uniform(0, 4)) / length
    stripes = np.tanh((np.sin(2 * np.pi * phase) + rng.uniform(-0.7, 0.7)) * _between(rng, 0.7, 5))
    return stripes + rng.uniform(-3, 3) * np.exp(-((border / rng.uniform(1, 5)) ** 2))


def _inclusions(rng: np.random.Generator, side: int) -> np.ndarray:
    """Small bright bodies in a ground, with a network between grains, as of carbides in steel."""
    image, size = np.zeros((side, side), np.float32), _between(rng, 3, 22)
    for _ in range(min(4000, int(rng.uniform(0.08, 0.5) * side**2 / (0.785 * size**2)))):
        across = size * np.exp(rng.uniform(0.1, 0.6) * rng.normal())
        axes = (across * rng.uniform(1, 2), across)
        cv2.ellipse(
            image, (tuple(rng.uniform(0, side, 2)), axes, rng.uniform(0, 180)), rng.uniform(0.7, 1.3), -1
        )
    if rng.random() < 0.5:
        _, border = _cells(rng, side, _between(rng, 40, 180))
        image = np.maximum(image, np.exp(-((border / rng.uniform(2, 8)) ** 4)) * rng.uniform(0.6, 1.3))
    return image + _field(rng, side, rng.uniform(0.5, 1.8)) * rng.uniform(0.05, 0.3)


def _plates(rng: np.random.Generator, side: int) -> np.ndarray:
    image = np.zeros((side, side), np.float32)
    for _ in range(rng.integers(150, 900)):
        long = _between(rng, 10, 150)
        axes = (long, long * rng.uniform(0.04, 0.2) + 1)
        cv2.ellipse(image, (tuple(rng.uniform(0, side, 2)), axes, rng.uniform(0, 180)), rng.normal(), -1)
    return image + _field(rng, side, 0.8) * 0.3


def _fibres(rng: np.random.Generator, side: int) -> np.ndarray:
    image = np.full((side, side), rng.uniform(-1, 0), np.float32)
    width, mean, spread = _between(rng, 1.5, 14), rng.uniform(0, np.pi), rng.choice([0.1, 0.4, 3.0])
    along = np.linspace(-side, side, 40)
    for _ in range(int(rng.uniform(0.5, 2.5) * side / width)):
        angle, bend = mean + spread * rng.normal(), rng.normal() * 0.0024 / side * along**2 * side / 3
        x, y = rng.uniform(0, side, 2)[:, None] + np.stack(_turned(bend, along, angle))
        points, grey = np.stack([x, y], 1).astype(np.int32)[:, None], rng.uniform(0, 1)
        cv2.polylines(image, [points], False, 0.4 * grey, max(1, int(width)))
        cv2.polylines(image, [points], False, grey, max(1, int(width / 2)))
    return cv2.GaussianBlur(image, (0, 0), 0.8)


def _balls(rng: np.random.Generator, side: int) -> np.ndarray:
    """Shaded balls, strewn or heaped."""
    image = np.full((side, side), rng.uniform(-0.3, 0.2)) + 0.05 * _field(rng, side, 1.5)
    size, spread, rim, base = (
        _between(rng, 12, 140),
        rng.choice([0.03, 0.15, 0.5]),
        rng.uniform(-0.5, 1.5),
        0.6,
    )
    light, (y, x) = rng.normal(size=2) * 0.3, np.mgrid[:side, :side]
    for _ in range(min(500, int(rng.uniform(0.1, 1.6) * side**2 / (0.785 * size**2)) + 1)):
        radius = max(3.0, size / 2 * np.exp(spread * rng.normal()))
        row, column = rng.uniform(-radius, side + radius, 2)
        top, left = max(0, int(row - radius)), max(0, int(column - radius))
        part = np.s_[top : max(0, int(row + radius + 2)), left : max(0, int(column + radius + 2))]
        down, across = (y[part] - row) / radius, (x[part] - column) / radius
        inside = down**2 + across**2 < 1
        height = np.sqrt(np.clip(1 - down**2 - across**2, 0, 1))
        shade = base + rim * (1 - height) ** 2 + light[0] * down + light[1] * across + 0.04 * rng.normal()
        image[part][inside] = shade[inside]
    return image


def _heap(rng: np.random.Generator, side: int) -> np.ndarray:
    """Discs and polygons of any size, one over the other, as things lie in photographs."""
    image, small = np.zeros((side, side), np.float32), _between(rng, 4, 30)
    large, round_ones, grain = small * _between(rng, 2, 12), rng.random() < 0.5, rng.uniform(0, 0.4)
    texture = _clouds(rng, side)
    for _ in range(rng.integers(200, 700)):
        radius, centre, inside = (
            _between(rng, small, large),
            rng.uniform(0, side, 2),
            np.zeros((side, side), np.uint8),
        )
        if round_ones:
            cv2.circle(inside, tuple(centre.astype(int)), int(radius), 1, -1)
        else:
            cv2.fillPoly(inside, [_polygon(rng, centre, radius)], 1)
        image = np.where(inside > 0, rng.uniform(0, 1) + grain * texture, image)
    return image


def _polygon(rng: np.random.Generator, centre: np.ndarray, radius: float, flat: float = 1.0) -> np.ndarray:
    angle = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 9)))
    corners = np.stack(_turned(flat * np.sin(angle), np.cos(angle), rng.uniform(0, np.pi)), 1)
    return (centre + radius * corners).astype(np.int32)


def _bricks(rng: np.random.Generator, side: int) -> np.ndarray:
    high, wide = _between(rng, 10, 60), _between(rng, 10, 120)
    y, x = np.mgrid[:side, :side] + _field(rng, side, 1.8) * rng.uniform(0, 3)
    x, y = _turned(y, x, rng.uniform(-0.4, 0.4))
    row = np.floor(y / high)
    x = x + row % 2 * wide / 2 * rng.integers(2)
    joint = np.minimum(np.minimum(y % high, high - y % high), np.minimum(x % wide, wide - x % wide))
    grey = rng.normal(size=997)[(row * 31 + np.floor(x / wide) * 17).astype(int) % 997] * rng.uniform(0, 0.5)
    grain = _field(rng, side, rng.uniform(0.5, 1.5)) * rng.uniform(0.05, 0.6)
    return grey + np.tanh(joint - rng.uniform(1, 4)) * rng.choice([-1, 1]) + grain


def _cloth(rng: np.random.Generator, side: int) -> np.ndarray:
    y, x = np.mgrid[:side, :side] + 2 * _field(rng, side, 1.8)
    along, across = _turned(y, x, rng.uniform(0, np.pi))
    length = _between(rng, 4, 40)
    warp, weft = (
        np.sin(2 * np.pi * along / length),
        np.sin(2 * np.pi * across / length / rng.uniform(0.7, 1.5)),
    )
    image = (warp * weft, np.maximum(warp, weft), warp + rng.uniform(0, 0.8) * weft)[rng.integers(3)]
    return image + _clouds(rng, side) * rng.uniform(0, 0.5)


def _letters(rng: np.random.Generator, side: int) -> np.ndarray:
    image, scale, row = np.full((side, side), 220, np.uint8), rng.uniform(0.4, 1.2), 0
    while row < side + 30:
        row += int(rng.uniform(22, 30) * scale) + 4
        text = "".join(chr(code) for code in rng.integers(40, 122, 60))
        cv2.putText(image, text, (int(rng.integers(-20, 20)), row), int(rng.integers(0, 5)), scale, 30, 1)
    return image / 255 + 0.1 * _field(rng, side, 1.9)


def _spots(rng: np.random.Generator, side: int) -> np.ndarray:
    image = _field(rng, side, rng.uniform(2, 3))
    for _ in range(rng.integers(0, 40)):
        place = tuple(int(v) for v in rng.integers(0, side, 2))
        cv2.circle(image, place, int(_between(rng, 2, 50)), rng.normal(), int(rng.choice([-1, 1, 2])))
    return cv2.GaussianBlur(image, (0, 0), _between(rng, 0.4, 4))


def _grass(rng: np.random.Generator, side: int) -> np.ndarray:
    image, length = np.zeros((side, side), np.float32), _between(rng, 4, 50)
    mean, spread = rng.uniform(0, np.pi), rng.uniform(0.1, 1.5)
    for _ in range(rng.integers(1500, 4000)):
        angle, foot = mean + spread * rng.normal(), rng.uniform(0, side, 2)
        tip = foot + length * np.exp(0.4 * rng.normal()) * np.array([np.cos(angle), np.sin(angle)])
        cv2.line(
            image, tuple(foot.astype(int)), tuple(tip.astype(int)), rng.normal(), int(rng.integers(1, 3))
        )
    return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.2))


def _shards(rng: np.random.Generator, side: int) -> np.ndarray:
    """A few large bodies, needles and lamellae with bright edges on an empty ground."""
    image = np.full((side, side), rng.uniform(0, 1), np.float32)
    for _ in range(rng.integers(1, 12)):
        inside = np.zeros((side, side), np.uint8)
        outline = _polygon(rng, rng.uniform(0, side, 2), _between(rng, 20, 200), rng.uniform(0.1, 1))
        cv2.fillPoly(inside, [outline], 1)
        edge = cv2.morphologyEx(inside, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
        body = rng.uniform(0, 1) + _clouds(rng, side) * rng.uniform(0, 0.1)
        image = np.where(inside > 0, body, image) + edge * rng.uniform(0, 0.6)
    return cv2.GaussianBlur(image.astype(np.float32), (0, 0), rng.uniform(0.4, 1.5))


def _foam(rng: np.random.Generator, side: int) -> np.ndarray:
    _, border = _cells(rng, side, _between(rng, 10, 80))
    walls = np.exp(-((border / _between(rng, 1.5, 10)) ** 2))
    return walls + _field(rng, side, rng.uniform(0.8, 1.8)) * rng.uniform(0.05, 0.3)


DRAWN: tuple[Draw, ...] = (
    _clouds, _levels, _labyrinth, _grains, _lamellae, _inclusions, _plates, _fibres, _balls,
    _heap, _bricks, _cloth, _letters, _spots, _grass, _shards, _foam,
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--picture", required=True, help="write some of them there")
    rows = [
        np.hstack([picture(number + len(DRAWN) * row, 160)[1] for number in range(len(DRAWN))])
        for row in range(5)
    ]
    cv2.imwrite(parser.parse_args().picture, np.vstack(rows))


if __name__ == "__main__":
    main()
