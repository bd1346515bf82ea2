"""Lots with known answers: values of images in, what `read_analysis` would make of their analysis out."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from cathode_tf.lots import Ledger, Place
from cathode_tf.lots.intake import Intake, Number, uncertainties
from cathode_tf.lots.settings import Setting
from cathode_tf.statistics import Estimate

SYSTEM = {
    "masks": "model aaaa",
    "phases": ["pore", "ncm"],
    "pixel_size_nm": 50.0,
    "version": "0.2",
    "neck_depth": 0.35,
}
UNITS = {"crack_length_density": "1/um", "x50_3": "um", "surface_density": "1/um"}


def estimate(values, unit=""):
    """Mean of images with the interval between them, as the analysis makes it."""
    x = np.asarray(values, float)
    n, mean, u = len(x), float(x.mean()), float(x.std(ddof=1) / np.sqrt(len(x)))
    half = float(stats.t.ppf(0.975, n - 1)) * u
    return Estimate(
        mean, unit=unit, ci=(mean - half, mean + half), n=n, components={"between_images": u}, method="mean of images"
    )  # fmt: skip


def intake(name, measures, *, system=None, images="img", folder=None):
    """An analysis whose images have these values: `{"fraction/pore": [0.3, 0.31, ...]}`."""
    numbers = []
    for key, values in measures.items():
        quantity, _, phase = key.partition("/")
        found = estimate(values, UNITS.get(quantity, ""))
        numbers.append(Number(quantity, phase, found, *uncertainties(found)))
    count = len(next(iter(measures.values())))
    digest = f"{abs(hash((name, str(measures), str(system)))):x}".rjust(64, "0")
    return Intake(
        Path(folder or f"/plant/{name}"),
        digest,
        50.0,
        tuple(numbers),
        tuple(
            {
                "name": f"{images}{i}",
                "field": None,
                "mask_sha256": f"{abs(hash((digest, i))):x}".rjust(64, "0"),
                "measures": {key: float(values[i]) for key, values in measures.items()},
            }
            for i in range(count)
        ),
        {**SYSTEM, **(system or {})},
        {"masks": "a model's, Dice 0.93 on test images", "files": "as analyze wrote them"},
        {
            "version": "0.2.0",
            "model": {"path": "runs/a", "sha256": "ab" * 32, "title": "a", "fingerprint": "f"},
        },
    )


class Plant:
    """A ledger that is filled lot by lot."""

    def __init__(self, path):
        self.ledger = Ledger.create(path, who="ann")
        self.count = Counter()

    def lot(self, name, measures, *, system=None, settings=None, day=None, **place):
        self.count["lots"] += 1
        made = day or f"2026-{1 + self.count['lots'] // 28 % 12:02d}-{1 + self.count['lots'] % 28:02d}"
        rows = [
            Setting(key, None, value, "") if isinstance(value, str) else Setting(key, float(value), None, "")
            for key, value in (settings or {}).items()
        ]
        return self.ledger.add(
            intake(name, measures, system=system), Place(name, **place), made_on=made, settings=rows
        )


@pytest.fixture
def plant(tmp_path):
    made = Plant(tmp_path / "plant.db")
    yield made
    made.ledger.close()
