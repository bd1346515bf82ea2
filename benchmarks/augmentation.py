"""What augmentation makes of one patch, as a picture: `python benchmarks/augmentation.py --out augmentation.jpg`.

The patch is a synthetic SEM section. Each panel is what training sees in one place of a batch; grey levels are
drawn on one scale.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("augmentation.jpg"), show_default=True)
def main(out: Path) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    import tensorflow as tf

    from cathode_tf import open_records, patches, synthesize
    from cathode_tf.datasets import convert
    from cathode_tf.datasets.augmentation import Artefacts, IntensityChange
    from cathode_tf.datasets.sampling import PatchSampler
    from cathode_tf.synthesis import write_samples

    with tempfile.TemporaryDirectory() as folder:
        write_samples(synthesize(1, seed=5, height=256, width=256), Path(folder) / "drawn")
        records = open_records(
            convert(
                Path(folder) / "drawn/images",
                Path(folder) / "drawn/masks",
                out=Path(folder) / "records",
                phases=Path(folder) / "drawn/phases.toml",
                split="1/0/0",
                databar=0,
            )
        )
        plain, _ = next(iter(patches(records, patch_px=256, batch=1, augment=False)))
        options = {"patch_px": 256, "batch": 16, "seed": 3, "balanced": False, "memory_mb": 100}
        turned = next(iter(PatchSampler(records, "train", turns=True, warps=True, **options)))
        warped = (turned[0].astype("float32") - turned[2][:, None, None]) * turned[3][:, None, None]
    same = tf.repeat(plain, 16, axis=0)
    artefacts = Artefacts(16, 256)(same, tf.constant([0, 6], tf.int64))
    changes = IntensityChange(16, 256)(same, tf.constant([0, 3], tf.int64))
    both = IntensityChange(16, 256)(
        Artefacts(16, 256)(warped[..., None], tf.constant([1, 2], tf.int64)), tf.constant([2, 3], tf.int64)
    )
    panels = {
        "as acquired": plain[0],
        "flipped, turned": warped[0][..., None],
        "turned, zoomed": warped[-1][..., None],
        "shadow": artefacts[2],
        "curtains": artefacts[6],
        "scan lines": artefacts[9],
        "blurred": changes[1],
        "gamma, contrast": changes[6],
        "noise": changes[14],
        "together": both[7],
    }
    figure, axes = plt.subplots(2, 5, figsize=(12.5, 5.4), layout="constrained")
    for axis, (name, pixels) in zip(axes.flat, panels.items(), strict=True):
        axis.imshow(pixels[..., 0], cmap="gray", vmin=-2.5, vmax=2.5)
        axis.set_title(name, fontsize=11)
        axis.set_axis_off()
    figure.savefig(out, dpi=100, pil_kwargs={"quality": 85})
    print(f"Wrote {out}")


if __name__ == "__main__":
    main()
