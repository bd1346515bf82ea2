"""Analyses and process settings of many lots in; ledger, charts, causes and passport out; without TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cathode_tf.lazy import loader

if TYPE_CHECKING:
    from cathode_tf.lots.entering import Place
    from cathode_tf.lots.ledger import Ledger

_MODULE_OF = {
    "Ledger": "ledger",
    "Place": "entering",
}

__all__ = ["Ledger", "Place"]


__getattr__ = loader(__name__, _MODULE_OF)
