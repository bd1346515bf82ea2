"""What each ingredient of the recipe is worth on real nano-CT slices of NMC cathodes.

    cathode-tf convert ...   # the record set that benchmarks/nmc_xct.py makes: its folder OUT/records
    python benchmarks/ablation.py OUT/records --minutes 5 --seeds 3

Each row changes one thing and trains for the same processor time on one core, validation left out, so that a
dearer ingredient gets fewer steps and other work on the machine changes nothing. Validation: 400, 622, 929 and 1504,
mean over images of the mean Dice over phases. Data: Su et al., npj Comput. Mater. 8 (2022) 30.
"""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Any

import click

RECIPE: dict[str, Any] = {
    "filters": (32, 64, 128, 256),
    "stem": 2,
    "norm": "instance",
    "dtype": "auto",
    "dice": 1.0,
    "entropy": 1.0,
    "rate": 2e-3,
    "decay": True,
    "average": True,
    "augment": True,
    "balanced": False,
    "deep": False,
    "patch": 256,
    "batch": 16,
}
ROWS: dict[str, dict[str, Any]] = {
    "the recipe": {},
    "full resolution, 16-32-64-128-256": {"stem": 1, "filters": (16, 32, 64, 128, 256)},
    "preset small": {"filters": (16, 32, 64, 128)},
    "BatchNormalization": {"norm": "batch"},
    "no normalisation": {"norm": "none"},
    "float32": {"dtype": "float32"},
    "weights not averaged": {"average": False},
    "constant learning rate": {"decay": False},
    "learning rate 0.001": {"rate": 1e-3},
    "learning rate 0.004": {"rate": 4e-3},
    "Dice loss alone": {"entropy": 0.0},
    "cross-entropy alone": {"dice": 0.0},
    "no augmentation": {"augment": False},
    "a third of the patches around rare phases": {"balanced": True},
    "deep supervision": {"deep": True},
    "7 patches of 384 px": {"patch": 384, "batch": 7},
}


def with_deep_outputs(model: Any, levels: int) -> Any:
    """The same network with scores at each coarser level of the decoder, enlarged to full size, as more outputs."""
    import keras
    from keras import layers

    outputs = [model.output]
    dtype = model.get_layer("scores").dtype_policy
    for level in range(1, levels - 1):
        x = model.get_layer(f"up{level}_b_relu").output
        x = layers.Conv2D(model.output.shape[-1], 1, dtype=dtype, name=f"scores{level}")(x)
        x = layers.UpSampling2D(2 ** (level + 1), dtype=dtype)(x)
        outputs.append(layers.Softmax(dtype="float32", name=f"probabilities{level}")(x))
    return keras.Model(model.input, outputs)


def measure(records: Any, seconds: float, seed: int, changes: dict[str, Any]) -> tuple[float, int]:
    """Mean validation Dice after `seconds` of processor time, and the steps done in it."""
    import keras
    import numpy as np

    from cathode_tf import build_unet, patches
    from cathode_tf.learning import CombinedLoss
    from cathode_tf.learning.averaging import WeightAverage
    from cathode_tf.learning.callbacks import validate
    from cathode_tf.learning.precision import choose_precision
    from cathode_tf.learning.scores import mean_dice

    o = {**RECIPE, **changes}
    keras.backend.clear_session()
    shape = {"filters": o["filters"], "stem": o["stem"], "norm": o["norm"], "seed": seed}
    model = build_unet(records.phases, dtype=choose_precision(o["dtype"]), **shape)
    trained = with_deep_outputs(model, len(o["filters"])) if o["deep"] else model
    heads = len(trained.outputs)
    trained.compile(
        keras.optimizers.AdamW(o["rate"], weight_decay=0.01),
        [CombinedLoss(o["dice"], o["entropy"]) for _ in range(heads)],
        loss_weights=[0.5**head for head in range(heads)],
    )
    average = WeightAverage()
    average.set_model(model)
    options = {
        "patch_px": o["patch"],
        "batch": o["batch"],
        "augment": o["augment"],
        "balanced": o["balanced"],
    }
    start = None
    for step, (image, target) in enumerate(patches(records, seed=seed, **options)):
        # The first step, which traces the graph, is free.
        spent = time.process_time() - start if start is not None else 0.0
        if spent >= seconds:
            break
        cosine = 0.5 * (1 + math.cos(math.pi * spent / seconds)) if o["decay"] else 1.0
        trained.optimizer.learning_rate = o["rate"] * min((step + 1) / 20, 1) * (0.01 + 0.99 * cosine)
        trained.train_on_batch(image, [target] * heads)
        average.on_train_batch_end(step)
        start = time.process_time() if start is None else start
    twin = build_unet(records.phases, **shape)
    twin.set_weights(average.values if o["average"] else model.get_weights())
    images = [(e.image, records.phases.to_indices(e.mask)) for e in records.examples("validation")]
    return float(np.mean([mean_dice(row) for row in validate(twin, images)])), step


@click.command()
@click.argument("records", type=click.Path(path_type=Path, exists=True))
@click.option("--minutes", default=5.0, show_default=True, help="Processor time of each training.")
@click.option("--seeds", default=3, show_default=True)
@click.option("--only", multiple=True, type=click.Choice(list(ROWS)), help="These rows; default: all.")
def main(records: Path, minutes: float, seeds: int, only: tuple[str, ...]) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import numpy as np
    import tensorflow as tf

    from cathode_tf import open_records

    tf.config.threading.set_intra_op_parallelism_threads(1)
    opened = open_records(records)
    print("| | mean Dice | lowest to highest seed | steps |\n|---|---|---|---|", flush=True)
    for name in only or ROWS:
        results = [measure(opened, 60 * minutes, seed, ROWS[name]) for seed in range(seeds)]
        dice, steps = np.array(results).T
        spread = f"{dice.min():.3f} to {dice.max():.3f}"
        print(f"| {name} | {dice.mean():.3f} | {spread} | {steps.mean():.0f} |", flush=True)


if __name__ == "__main__":
    main()
