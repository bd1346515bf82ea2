"""Where `cathode-tf segment default` spends its time on one image from the shell, part by part.

    python benchmarks/first_image.py [IMAGE]

Processor time of all threads, which other work on the computer does not change; a part does not count the parts in it.
Without an IMAGE, a synthetic section of 1024 x 1024 px is drawn. The same process then segments it once more.
"""

from __future__ import annotations

import functools
import importlib
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

PARTS = (
    ("cathode_tf.inference.sources", "load_model", "loading the model"),
    ("cathode_tf.inference.sources", "Network", "making it ready for tiles"),
    ("cathode_tf.inference.sources", "measured_reach", "measuring how far it sees"),
    ("cathode_tf.inference.segmenter", "Segmenter._run", "running it"),
    ("cathode_tf.inference.segmenter", "draw_masks", "plausible masks"),
    ("cathode_tf.inference.segmenter", "maps_of", "mask and uncertainty of probabilities"),
    ("cathode_tf.inference.image_files", "separate", "separating particles: the rest"),
    ("cathode_tf.inference.separation", "separation_network", "separating particles: loading"),
    ("cathode_tf.inference.separation", "typical_diameter", "separating particles: their size"),
    ("cathode_tf.inference.separation", "SeparationNetwork.__call__", "separating particles: network"),
    ("cathode_tf.inference.separation", "by_maps", "separating particles: joining"),
    ("cathode_tf.inference.image_files", "write_overlay", "overlay"),
)
spent: dict[str, float] = defaultdict(float)
running: list[float] = []


def timed(function, part):
    """The function, its processor time noted under the name of a part, without that of the parts in it."""

    @functools.wraps(function, updated=())
    def call(*arguments, **options):
        begun = time.process_time()
        running.append(0.0)
        try:
            return function(*arguments, **options)
        finally:
            all_s, inside_s = time.process_time() - begun, running.pop()
            spent[part] += all_s - inside_s
            if running:
                running[-1] += all_s

    return call


def watch() -> None:
    import tensorflow as tf

    for module, name, part in PARTS:
        owner = importlib.import_module(module)
        *outer, last = name.split(".")
        for each in outer:
            owner = getattr(owner, each)
        setattr(owner, last, timed(getattr(owner, last), part))
    function = type(tf.function(lambda: 0))
    function.get_concrete_function = timed(function.get_concrete_function, "tracing the graph")


def main(image: Path | None = None) -> None:
    import tensorflow  # noqa: F401

    print(f"Importing TensorFlow: {time.process_time():.1f} s of processor time.\n")
    from click.testing import CliRunner

    from cathode_tf.synthesis import Parameters, synthesize, write_samples
    from cathode_tf.tools.main import cli

    watch()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if image is None:
            drawn = synthesize(1, seed=5, height=1024, width=1024, parameters=Parameters.demo())
            image = next((write_samples(drawn, folder / "drawn") / "images").iterdir())
        columns = []
        for number in range(2):
            spent.clear()
            begun = time.process_time()
            words = ["segment", "default", str(image), "--out", str(folder / str(number))]
            CliRunner().invoke(cli, words, catch_exceptions=False)
            all_s = time.process_time() - begun
            columns.append({**spent, "all else": all_s - sum(spent.values()), "all": all_s})
    print("| part | first, s | again, s |\n|---|---|---|")
    for part in columns[0]:
        print(f"| {part} | {' | '.join(f'{column.get(part, 0.0):.2f}' for column in columns)} |")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
