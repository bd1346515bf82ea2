"""What is known of a model, for whoever reads a mask that it made: its file and its card."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cathode_tf.inference.segmenter import Segmenter


def model_facts(segmenter: Segmenter) -> dict[str, Any]:
    """Path, SHA-256 and fingerprint of a model, and what its card says: title, pixel size, Dice.

    Of several models that are averaged, the first one's; their paths are told together.
    """
    from cathode_tf.learning.models import BEST, DEFAULT

    card, sources = segmenter.card, segmenter.sources
    first = DEFAULT if sources[:1] == ["default"] else Path(sources[0]) if sources else None
    file = first / BEST if first is not None and first.is_dir() else first
    digest = hashlib.sha256(file.read_bytes()).hexdigest() if file is not None and file.is_file() else None
    return {
        "path": " + ".join(sources) or "a model in memory",
        "title": card.get("title"),
        "sha256": digest,
        "fingerprint": segmenter.fingerprint,
        "pixel_size_nm": card.get("pixel_size_nm"),
        "standardization": card.get("standardization"),
        "dice": card.get("dice"),
    }
