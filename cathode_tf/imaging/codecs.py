"""A compressed TIFF page in, the name of its compression out where pixels may have been lost.

Compressions are known to lose nothing by name; of those that may do both, the compressed bytes are asked. Whatever
is left is taken to have lost something: a warning too many costs less than a boundary that was invented.
"""

from __future__ import annotations

import struct
from typing import Any

import tifffile

LOSSLESS = {
    "NONE", "CCITTRLE", "CCITT_T4", "CCITTFAX3", "CCITT_T6", "CCITTFAX4", "CCIRLEW", "LZW", "ADOBE_DEFLATE", "DEFLATE",
    "PACKBITS", "THUNDERSCAN", "NEXT", "LZMA", "ZSTD", "ZSTD_DEPRECATED", "PNG", "JBIG", "JBIG_BW", "JBIG_COLOR",
    "PIXTIFF", "PACKED_RAW", "IT8CTPAD", "IT8LW", "IT8MP", "IT8BL",
}  # fmt: skip
"""Names (of tifffile) of compressions that give back each pixel."""

_NAMES = {
    "JPEG2000": "JPEG 2000", "JPEG_2000_LOSSY": "JPEG 2000", "APERIO_JP2000_YCBC": "JPEG 2000",
    "APERIO_JP2000_RGB": "JPEG 2000", "JPEGXL": "JPEG XL", "JPEGXL_DNG": "JPEG XL", "JPEGXR": "JPEG XR",
    "JPEGXR_NDPI": "JPEG XR", "WEBP": "WebP", "WEBP_DEPRECATED": "WebP", "OJPEG": "JPEG", "ALT_JPEG": "JPEG",
    "JPEG_99": "JPEG", "JPEG_LOSSY": "JPEG",
}  # fmt: skip


def lossy_name(page: Any) -> str:
    """Name of the compression that pixels may have been lost in; "" where none can have been."""
    name = _name_of(page.compression)
    if name in LOSSLESS:
        return ""
    called = _NAMES.get(name, name)
    if not _keeps_all(called, _first_bytes(page), page.dtype):
        return called
    return "JPEG 2000, perhaps cut to a size" if called == "JPEG 2000" and _is_shortened(page) else ""


def _name_of(compression: Any) -> str:
    """Its name; pages of some writers give the number alone."""
    try:
        return tifffile.COMPRESSION(int(compression)).name
    except ValueError:
        return f"compression {compression}"


def _first_bytes(page: Any) -> bytes:
    if not page.dataoffsets:
        return b""
    handle = page.parent.filehandle
    handle.seek(page.dataoffsets[0])
    content = handle.read(min(page.databytecounts[0], 1 << 16))
    # LERC may be packed once more, as its parameters (version, packing) say.
    packing = page.tags.get(50674)
    if packing is not None and len(packing.value) > 1 and packing.value[1]:
        handle.seek(page.dataoffsets[0])
        content = _unpacked(handle.read(page.databytecounts[0]), packing.value[1])
    return content


def _is_shortened(page: Any) -> bool:
    """Whether a JPEG 2000 of a wavelet that loses nothing may have been cut to a size, which loses all the same.

    Its longest segment is packed again without loss: one that was cut is shorter than that.
    """
    from imagecodecs import jpeg2k_decode, jpeg2k_encode

    longest = max(range(len(page.dataoffsets)), key=lambda index: page.databytecounts[index])
    page.parent.filehandle.seek(page.dataoffsets[longest])
    content = page.parent.filehandle.read(page.databytecounts[longest])
    try:
        form = "j2k" if content.startswith(b"\xff\x4f") else "jp2"
        whole = jpeg2k_encode(jpeg2k_decode(content), reversible=True, level=0, codecformat=form)
    except Exception:  # a damaged file says so where its pixels are decoded
        return False
    return len(content) < len(whole)


def _unpacked(content: bytes, packing: int) -> bytes:
    from imagecodecs import zlib_decode, zstd_decode

    try:
        return bytes((zstd_decode if packing == 2 else zlib_decode)(content))
    except Exception:  # a damaged file says so where its pixels are decoded
        return b""


def _keeps_all(name: str, content: bytes, dtype: Any) -> bool:
    """Whether the compressed bytes themselves say that every pixel comes back."""
    if name == "WebP":
        return b"VP8L" in content[12:64]
    if name == "JPEG 2000":
        start = content.find(
            b"\xff\x52"
        )  # COD: its last byte but the precincts names the wavelet, 1 = reversible
        return start >= 0 and content[start + 13 : start + 14] == b"\x01"
    if name == "JPEG":
        return _jpeg_frame(content) in (0xC3, 0xC7, 0xCB, 0xCF)
    if name == "LERC":
        error = _lerc_error(content)
        return error is not None and error <= (0.5 if dtype is not None and dtype.kind in "iu" else 0.0)
    return False


def _jpeg_frame(content: bytes) -> int:
    """The marker of a JPEG's frame, which names its process; 0 where there is none."""
    place = 2
    while place + 4 <= len(content) and content[place] == 0xFF:
        marker, length = content[place + 1], struct.unpack_from(">H", content, place + 2)[0]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return marker
        place += 2 + length
    return 0


def _lerc_error(content: bytes) -> float | None:
    """The largest error that a LERC 2 blob allows its pixels."""
    if content[:6] != b"Lerc2 " or len(content) < 64:
        return None
    version = struct.unpack_from("<i", content, 6)[0]
    # magic, version, checksum (from 3), rows, columns, depth (from 4), valid pixels, block, size, type, ...
    place = 10 + (4 if version >= 3 else 0) + 4 * (7 if version >= 4 else 6)
    if version >= 6:
        place += 8  # number of blobs more, and flags
    return struct.unpack_from("<d", content, place)[0] if place + 8 <= len(content) else None
