"""A record set made of arrays in memory, with the attributes that training asks for."""

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cathode_tf.phases import Phases


@dataclass
class ArrayExample:
    image: np.ndarray
    mask: np.ndarray
    id: str = "a"
    pixel_size_nm: float = math.nan


@dataclass
class ArrayRecords:
    """Vertical stripes, 16 px wide, of as many phases as there are; phase k is 60 k + noise bright."""

    phases: Phases = field(default_factory=lambda: Phases.from_names(("pore", "ncm", "binder")))
    size: int = 64
    splits: dict = field(default_factory=lambda: {"train": 2, "validation": 1, "test": 1})
    path: Path = Path("arrays")
    name: str = "arrays"
    version: str = "1.0.0"
    fingerprint: str = "0" * 64

    def examples(self, split):
        random = np.random.default_rng(sorted(self.splits).index(split))
        for index in range(self.splits[split]):
            stripes = (np.arange(self.size) // 16 + index) % len(self.phases)
            mask = np.tile(stripes.astype(np.uint8), (self.size, 1))
            image = (60 * mask + random.integers(0, 30, mask.shape)).astype(np.uint8)
            yield ArrayExample(image, mask, f"{split}{index}")
