"""Proposals in, corrections out: a page in the browser, served on this computer only."""

from __future__ import annotations

from cathode_tf.review.server import serve

__all__ = ["serve"]
