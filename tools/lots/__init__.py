"""`cathode-tf lots ...`: what many lots say: ledger, charts, causes, passport."""

from cathode_tf.tools.lots import asking, causing, entering, handing_on
from cathode_tf.tools.lots.group import command

__all__ = ["asking", "causing", "command", "entering", "handing_on"]
