"""Which images are cathodes: learned from synthetic sections, kept in the package, tested on real images.

    python benchmarks/know_kind.py --sections /tmp/pretrain/sections --install
    CATHODE_TF_REAL_DATA=/path/to/data python benchmarks/know_kind.py --sections /tmp/pretrain/sections

The folder is that of `pretrain_default.py`: files of sections of randomised bodies of all modes, drawn there where
they are too few; its drawn powders are left out. Half of the bodies, and pictures of them under other contrast,
magnification, sharpness and over-driven detectors, teach the first layers of the default model what sections
look like (`cathode_tf.learning.kinds`); the other half sets the limit that 5 % of them exceed. `--install` writes it
to the package, where it stays right when models learn on: it need not be run again for another default model. Then
it counts how many sections, drawn pictures of other things (`not_cathodes.py`) and real images are called foreign.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from not_cathodes import picture
from pretrain_default import CUTS, draw_file

from cathode_tf.errors import InputError
from cathode_tf.imaging import find_images, read_micrograph
from cathode_tf.learning import load_model
from cathode_tf.learning.kinds import KINDS, Kinds, layers_of
from cathode_tf.progress import track

SEED = 2026
TEXTURES = (
    "brick", "grass", "gravel", "camera", "coins", "moon", "page", "text", "clock", "cell", "hubble_deep_field",
    "immunohistochemistry", "coffee", "astronaut", "chelsea", "rocket", "checkerboard", "retina", "colorwheel",
    "horse", "logo", "microaneurysms", "shepp_logan_phantom", "binary_blobs",
)  # fmt: skip
"""Pictures that scikit-image brings along."""


def sections(folder: Path, bodies: int) -> list[list[np.ndarray]]:
    """Two pictures of sections of each of so many bodies; drawn where they are not there."""
    found: list[list[np.ndarray]] = []
    number = 0
    while len(found) < bodies:
        draw_file(folder, SEED, number)
        with np.load(folder / f"{number:06d}.npz") as content:
            images, masks = list(content["images"]), content["masks"]
        if len(images) > CUTS or masks.max() > 1:  # else a powder, which has no carbon
            # Electrons have two detectors; each is seen as often.
            images = images[number % 2 :: 2] if len(images) > CUTS else images
            found.append(images[:CUTS])
        number += 1
    return found


def otherwise(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """The section by another microscope on another day, its detector over-driven every other time."""
    grey = image.astype(np.float32)
    low, high = np.percentile(grey, (0.5, 99.5))
    grey = (grey - low) / max(float(high - low), 1.0)
    zoom = float(np.exp(rng.uniform(np.log(0.6), np.log(1.7))))
    how = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    grey = cv2.resize(grey, None, fx=zoom, fy=zoom, interpolation=how)
    grey = np.clip(grey, 0, 1.3) ** np.float32(np.exp(rng.uniform(-0.5, 0.5)))
    if rng.random() < 0.5:
        grey = cv2.GaussianBlur(grey, (0, 0), rng.uniform(0.4, 1.6))
    if rng.random() < 0.6:
        noise = rng.standard_normal(grey.shape, np.float32)
        if rng.random() < 0.5:
            noise = cv2.GaussianBlur(noise, (0, 0), rng.uniform(0.5, 1.2))
        grey = grey + noise / noise.std() * np.float32(rng.uniform(0, 0.1))
    if rng.random() < 0.3:
        grey = 1.5 * grey - 0.5 * cv2.GaussianBlur(grey, (0, 0), 1)
    dark, bright = (20, 30) if rng.random() < 0.5 else (2, 2)
    low, high = np.percentile(grey, (rng.uniform(0, dark), 100 - rng.uniform(0, bright)))
    return (255 * np.clip((grey - low) / max(float(high - low), 1e-3), 0, 1)).astype(np.uint8)


def learn(layers: Kinds, bodies: list[list[np.ndarray]]) -> tuple[Kinds, np.ndarray]:
    """What is known after one half of the bodies, and the numbers of the other half's sections."""
    numbers = []
    for index, body in enumerate(track(bodies, "Looking")):
        rng = np.random.default_rng([SEED, index])
        more = [otherwise(rng, image) for image in body] if index % 2 == 0 else []
        numbers.append([layers.numbers_of(image) for image in (*body, *more)])
    taught, held_out = (np.array([each for some in numbers[half::2] for each in some]) for half in (0, 1))
    return Kinds.learn(layers.layers, taught, held_out), held_out


def sets(folder: Path) -> Iterator[tuple[str, list[tuple[str, np.ndarray]]]]:
    """Real images by what they show."""
    whole = read_micrograph(folder / "fibsem_sparse" / "4_phase.tif").pixels  # type: ignore[union-attr]
    down, across = [(slice(None, side // 2), slice(side // 2, None)) for side in whole.shape]
    quarters = [(f"{i}{j}", whole[a, b]) for i, a in enumerate(down) for j, b in enumerate(across)]
    yield "fibsem_sparse, whole and quarters", [("whole", whole), *quarters]
    names = {
        "nmc_xct": [p for p in sorted((folder / "nmc_xct").glob("*.tif")) if "label" not in p.stem],
        "steel_sem": [p for p in sorted((folder / "steel_sem").glob("*.png")) if "mask" not in p.stem],
        "spheres_sem": sorted((folder / "spheres_sem").glob("*.png")),
        "vendor files": find_images([folder / "vendor"]),
        "powder_sem (not counted)": sorted((folder / "powder_sem" / "images").glob("*.png")),
    }
    for name, paths in names.items():
        yield name, _read(paths)


def _read(paths: list[Path]) -> list[tuple[str, np.ndarray]]:
    found = []
    for path in paths:
        try:
            read = read_micrograph(path)
        except InputError as error:
            print(f"left out: {error}")
            continue
        found.append((path.stem, (read[0] if isinstance(read, list) else read).pixels))
    return found


def textures() -> list[tuple[str, np.ndarray]]:
    """Of scikit-image, grey."""
    from skimage import color, data, util

    found = []
    for name in TEXTURES:
        image = np.asarray(getattr(data, name)())
        grey = color.rgb2gray(image[..., :3]) if image.ndim == 3 else image
        found.append((name, util.img_as_ubyte(grey)))
    return found


def row(known: Kinds, name: str, images: list[tuple[str, np.ndarray]], wanted: str) -> str:
    """How many are called foreign, which are on the other side of the limit than most, and the scores."""
    scores = {stem: known.distance(known.numbers_of(image)) for stem, image in images}
    foreign = sorted(stem for stem, score in scores.items() if score > 1)
    few = foreign if len(foreign) <= len(scores) / 2 else sorted(set(scores) - set(foreign))
    values = np.array(list(scores.values()))
    told = f"{values.min():.2f} to {values.max():.2f}, median {np.median(values):.2f}"
    return f"| {name} | {wanted} | {len(foreign)} of {len(scores)} | {told} | {', '.join(few[:6])} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="default", help="run or .keras file whose first layers look")
    parser.add_argument(
        "--sections", type=Path, help="folder of pretrain_default.py; default: test what ships"
    )
    parser.add_argument("--bodies", type=int, default=520, help="half to learn from, half to set the limit")
    parser.add_argument("--install", action="store_true", help="write what was found into the package")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    if options.sections:
        options.sections.mkdir(parents=True, exist_ok=True)
        layers = layers_of(load_model(options.model)[0])
        nothing = np.zeros(0)
        known, held_out = learn(
            Kinds(layers, nothing, nothing, nothing, 1.0, 0), sections(options.sections, options.bodies)
        )
        share = np.mean([known.distance(numbers) > 1 for numbers in held_out])
        print(f"{share:.1%} of {len(held_out)} held-out sections are called foreign")
        if options.install:
            known.save(KINDS)
            print(f"wrote {KINDS} ({KINDS.stat().st_size / 1e6:.2f} MB)")
    else:
        known = Kinds.load()
    print("| images | wanted | called foreign | scores | which (the fewer) |\n|---|---|---|---|---|")
    print(row(known, "drawn pictures of other things", [picture(number) for number in range(170)], "most"))
    print(row(known, "textures of scikit-image", textures(), "90 %"))
    real = os.environ.get("CATHODE_TF_REAL_DATA")
    wanted = {
        "fibsem_sparse, whole and quarters": "0",
        "nmc_xct": "at most 2",
        "powder_sem (not counted)": "",
    }
    for name, images in sets(Path(real)) if real else ():
        print(row(known, name, images, wanted.get(name, "90 %")))


if __name__ == "__main__":
    main()
