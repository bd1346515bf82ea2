"""Raw FIB-SEM slices in; a volume that can be measured, with every transform on record, out."""

from cathode_tf.tomography.geometry import Settings
from cathode_tf.tomography.reconstruction import Reconstruction, reconstruct

__all__ = ["Reconstruction", "Settings", "reconstruct"]
