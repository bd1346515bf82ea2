"""From electron micrographs of battery cathodes to phase masks and numbers with intervals.

Every public name loads its room on first use, so that `import cathode_tf` itself costs next to nothing.

Example:
    >>> import cathode_tf
    >>> cathode_tf.Phases.default().names
    ('pore', 'ncm', 'additive', 'binder')
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cathode_tf.lazy import loader
from cathode_tf.version import __version__ as __version__

if TYPE_CHECKING:
    from cathode_tf.analysis import analyze, compare, trace, verify
    from cathode_tf.datasets import convert, open_records, patches
    from cathode_tf.errors import InputError, InputWarning
    from cathode_tf.imaging import Micrograph, read_mask, read_micrograph
    from cathode_tf.inference import Segmenter, ServingClient, evaluate, export_savedmodel, separate
    from cathode_tf.learning import Dice, DiceLoss, build_unet, train
    from cathode_tf.phases import Phases
    from cathode_tf.synthesis import synthesize
    from cathode_tf.tomography import reconstruct

_ROOM_OF = {
    "InputError": "errors",
    "InputWarning": "errors",
    "Phases": "phases",
    "Micrograph": "imaging",
    "read_micrograph": "imaging",
    "read_mask": "imaging",
    "synthesize": "synthesis",
    "reconstruct": "tomography",
    "convert": "datasets",
    "open_records": "datasets",
    "patches": "datasets",
    "build_unet": "learning",
    "DiceLoss": "learning",
    "Dice": "learning",
    "train": "learning",
    "evaluate": "inference",
    "Segmenter": "inference",
    "export_savedmodel": "inference",
    "separate": "inference",
    "ServingClient": "inference",
    "analyze": "analysis",
    "compare": "analysis",
    "trace": "analysis",
    "verify": "analysis",
}

__all__ = [
    "Dice",
    "DiceLoss",
    "InputError",
    "InputWarning",
    "Micrograph",
    "Phases",
    "Segmenter",
    "ServingClient",
    "analyze",
    "build_unet",
    "compare",
    "convert",
    "evaluate",
    "export_savedmodel",
    "open_records",
    "patches",
    "read_mask",
    "read_micrograph",
    "reconstruct",
    "separate",
    "synthesize",
    "trace",
    "train",
    "verify",
]


__getattr__ = loader(__name__, _ROOM_OF)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
