"""Where the pixels of a TIFF page lie in its file: tags that may lie in, true offsets and byte counts out."""

from __future__ import annotations

from typing import Any


def settle_segments(page: Any, number: int, file_bytes: int) -> None:
    """Make a page's byte counts true where they lie and its pixels are whole, as libtiff does.

    What is not compressed has the length that its size asks for, whatever tag 279 or 325 says; a compressed segment
    of no length ends where the next one begins.

    Raises:
        ValueError: If pixels lie beyond the end of the file; it names the tag.
    """
    if int(page.compression) in _WITHOUT_PREDICTOR:
        page.predictor = (
            1  # a predictor is a part of some compressions; beside others libtiff does not heed it
        )
    if page.tags.get(322) is not None and not (page.tilewidth and page.tilelength):
        raise ValueError(f"page {number} has tiles of no size (TIFF tags 322, 323)")
    names = (
        ("TileOffsets (324)", "TileByteCounts (325)")
        if page.is_tiled
        else ("StripOffsets (273)", "StripByteCounts (279)")
    )
    offsets, counts = list(page.dataoffsets), list(page.databytecounts)
    lengths = _plain_lengths(page)
    if lengths and len(offsets) > len(lengths):
        offsets = offsets[: len(lengths)]
    if not offsets or (lengths and len(offsets) < len(lengths)):
        raise ValueError(f"page {number} names {len(offsets)} places of pixels in {names[0]}, too few")
    if lengths:
        _refuse_unstated_bits(page, number, sum(counts), sum(lengths))
        counts = lengths
    counts += [0] * (len(offsets) - len(counts))
    for index, start in enumerate(offsets):
        if not 8 <= start < file_bytes:
            raise ValueError(
                f"{names[0]} of page {number} names byte {start}; pixel data lie beyond the end of the file"
            )
        if counts[index] <= 0:
            later = [other for other in offsets if other > start]
            counts[index] = min(later, default=file_bytes) - start
        if start + counts[index] > file_bytes:
            wrong = "pixels" if lengths else names[1]
            raise ValueError(
                f"{wrong} of page {number} reach to byte {start + counts[index]}; pixel data lie beyond the end of the "
                f"file at {file_bytes}"
            )
    page.dataoffsets, page.databytecounts = tuple(offsets), tuple(counts[: len(offsets)])


_WITHOUT_PREDICTOR = (1, 32773)


def _refuse_unstated_bits(page: Any, number: int, stated: int, needed: int) -> None:
    """A page that does not say its bits has one a sample, by the standard; its bytes may say otherwise."""
    if page.tags.get(258) is None and stated > needed:
        raise ValueError(
            f"page {number} has no BitsPerSample (258), which means 1 bit and {needed} bytes, but its byte counts "
            f"state {stated}"
        )


def _plain_lengths(page: Any) -> list[int]:
    """How many bytes each strip or tile of a page without compression must have; [] where that cannot be told."""
    if (
        int(page.compression) != 1
        or not isinstance(page.bitspersample, int)
        or int(page.photometric or 0) == 6
    ):
        return []
    together = page.samplesperpixel if page.planarconfig is None or int(page.planarconfig) == 1 else 1
    apart = page.samplesperpixel // together

    def row_bytes(columns: int) -> int:
        return -(-columns * together * page.bitspersample // 8)

    if page.is_tiled:
        tiles = -(-page.imagewidth // page.tilewidth) * -(-page.imagelength // page.tilelength)
        return [row_bytes(page.tilewidth) * page.tilelength] * (tiles * apart)
    step = min(page.rowsperstrip or page.imagelength, page.imagelength)
    rows = [min(step, page.imagelength - row) for row in range(0, page.imagelength, step)]
    return [row_bytes(page.imagewidth) * count for count in rows] * apart
