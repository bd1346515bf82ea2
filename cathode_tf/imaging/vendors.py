"""What microscopes write beside the pixels: an open file in, the first vendor's statement out.

Only what a file states is taken. A magnification means nothing without the width of the print it was
meant for, and a resolution in dots per inch is the printer's: neither ever becomes a pixel size.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from cathode_tf.imaging import descriptions, sidecars, tags
from cathode_tf.imaging.metadata import Metadata
from cathode_tf.imaging.rasters import RasterFile, quiet

# The instrument's own statement before an editor's.
_READERS: tuple[Callable[[RasterFile], Metadata | None], ...] = (
    tags.fibics, tags.zeiss, tags.fei, tags.fei_xml, sidecars.tescan, sidecars.jeol, sidecars.hitachi,
    descriptions.openfibsem, descriptions.ome, descriptions.imagej,
    descriptions.czi, descriptions.emd,
)  # fmt: skip


def read_metadata(raster: RasterFile) -> Metadata:
    """The first of the vendors' places that states something, checked for plausibility."""
    for reader in _READERS:
        try:
            with quiet():
                found = reader(raster)
        except Exception:  # a tag is parsed where it is looked at, and a damaged one says nothing
            found = None
        if found is not None and (found.acquisition or found.pixel_size_nm):
            return _plausible(found, raster)
    return Metadata()


def _plausible(found: Metadata, raster: RasterFile) -> Metadata:
    size = found.pixel_size_nm
    if size is not None and not (math.isfinite(size) and 1e-3 <= size <= 1e6):
        size = None
    acquisition = {k: v for k, v in found.acquisition.items() if v is not None and v != ""}
    rows = found.field_rows
    if rows is not None and not raster.height / 2 <= rows < raster.height:
        rows = None
    if raster.orientation not in (1, 2):  # turned, the databar no longer hangs below
        rows = None
    return Metadata(size, found.source if size else "", acquisition, rows)
