"""What kinds of image a model knows: measured on what it learned from, told in its card, and tested on others.

    python benchmarks/know_kind.py --model default --install
    CATHODE_TF_REAL_DATA=/path/to/data python benchmarks/know_kind.py --model default

The first draws synthetic sections of all modes as the default model learned from (`Parameters.random`), takes the looks
of half of them (`imaging.looks`) and sets the limit by the other half, so that 5 % of them are called foreign. It
writes both, and the newest rule of standardisation, into the card of the `.keras` file, whose weights stay as they are.
The second prints how many images of real sets are called foreign. Run it again after each training of that model.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cathode_tf.datasets.standardization import RULE
from cathode_tf.errors import InputError
from cathode_tf.imaging import find_images, read_micrograph
from cathode_tf.imaging.looks import Known, look_of, looks_of
from cathode_tf.imaging.outliers import tamed
from cathode_tf.learning import load_model
from cathode_tf.learning.models import DEFAULT, save_model, write_card
from cathode_tf.progress import track
from cathode_tf.synthesis import Parameters, synthesize

SECTION_PX = 288
SEED = 31


def drawn_looks(count: int, seed: int = SEED) -> np.ndarray:
    """Looks of synthetic sections of all modes."""
    samples = synthesize(count, seed=seed, height=SECTION_PX, width=SECTION_PX, parameters=Parameters.random)
    return looks_of([tamed(sample.image) for sample in track(samples, "Synthesising", total=count)])


def learn(count: int) -> Known:
    """What is known after so many sections: one half is learned from, the other sets the limit."""
    looks = drawn_looks(count)
    return Known.learn(looks[::2], looks[1::2])


def sets(folder: Path) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Real images by what they show."""
    whole = _read([folder / "fibsem_sparse" / "4_phase.tif"])[0]
    middle, centre = (side // 2 for side in whole.shape)
    quarters = [whole[a, b] for a in (slice(None, middle), slice(middle, None))
                for b in (slice(None, centre), slice(centre, None))]  # fmt: skip
    yield "fibsem_sparse, whole and quarters", [whole, *quarters]
    names = {
        "nmc_xct": [p for p in sorted((folder / "nmc_xct").glob("*.tif")) if "label" not in p.stem],
        "steel_sem": [p for p in sorted((folder / "steel_sem").glob("*.png")) if "mask" not in p.stem],
        "spheres_sem": sorted((folder / "spheres_sem").glob("*.png")),
        "vendor files": [p for p in find_images([folder / "vendor"]) if "as-cast" not in p.name],
        "powder_sem (not counted)": sorted((folder / "powder_sem" / "images").glob("*.png")),
    }
    for name, paths in names.items():
        yield name, _read(paths)


def _read(paths: list[Path]) -> list[np.ndarray]:
    found = []
    for path in paths:
        try:
            read = read_micrograph(path)
        except InputError as error:
            print(f"left out: {error}")
            continue
        found.append((read[0] if isinstance(read, list) else read).pixels)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="default", help="run, .keras file, or default")
    parser.add_argument(
        "--sections", type=int, default=1000, help="half to learn from, half to set the limit"
    )
    parser.add_argument("--install", action="store_true", help="write what was found into the model's card")
    options = parser.parse_args()
    model, card = load_model(options.model)
    known = Known.from_dict(card.get("kind"))
    if options.install or known is None:
        known = learn(options.sections)
    print(f"limit {known.limit:.2f} by {known.held_out} held-out sections")
    if options.install:
        file = DEFAULT if options.model == "default" else Path(options.model)
        file = file / "best.keras" if file.is_dir() else file
        write_card(model, {**card, "kind": known.to_dict(), "standardization": RULE})
        save_model(model, file, force=True)
        print(f"wrote the card of {file}")
    real = os.environ.get("CATHODE_TF_REAL_DATA")
    if real:
        print("| images | called foreign | scores |\n|---|---|---|")
        for name, images in sets(Path(real)):
            scores = [known.score(look_of(tamed(image))) for image in images]
            count = sum(score > 1 for score in scores)
            print(f"| {name} | {count} of {len(scores)} | {min(scores):.2f} to {max(scores):.2f} |")


if __name__ == "__main__":
    main()
