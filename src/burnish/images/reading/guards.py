"""Guards against decompression bombs: small files that would take a decoder minutes or gigabytes.

Each guard walks the file's own structure, decodes nothing, and stops at the first excess.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from burnish.errors import BurnishError

MAX_SCANS = 100  # of a JPEG, as libtiff allows; a progressive one has about ten
MAX_SEGMENTS = 10_000  # of a JPEG before and between its scans
MAX_CHUNKS = 200_000  # of a PNG; 178 megapixels of RGB noise in the usual 8 KiB make 65,000
MAX_STRIPS = 100_000  # strips or tiles of a TIFF page
MAX_PAGES = 1000  # pages of a TIFF are counted up to here

MAGIC = {
    b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"BM": "BMP", b"II*\0": "TIFF",
    b"MM\0*": "TIFF", b"II+\0": "TIFF", b"MM\0+": "TIFF", b"RIFF": "WEBP",
}  # fmt: skip
STRIP_OFFSETS, TILE_OFFSETS = 273, 324  # TIFF tags
JPEG_FRAMES = (*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
JPEG_SEQUENTIAL, JPEG_HUFFMAN = (0xC0, 0xC1), (0xC0, 0xC1, 0xC2)
JPEG_RATIO = 512  # pixels per byte, at most: a block of 8 x 8 takes at least one bit
PNG_SIZE = 16  # offset of width and height, always in the first chunk
PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
PIECE = 1 << 20  # bytes of a chunk that are held at once
PNG_RATIO = 1100  # unpacked per packed byte, at most: deflate reaches 1032
JPEG_ALONE = (0x01, *range(0xD0, 0xD9))  # markers without a length
JPEG_SCAN, JPEG_END = 0xDA, 0xD9
JPEG_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")  # FF00 and restarts are data


def claimed_format(head: bytes) -> str | None:
    """The format that a file's first bytes claim; None if it is not one that is read."""
    return next((name for magic, name in MAGIC.items() if head.startswith(magic)), None)


def guard(file: BinaryIO, name: str, most: int) -> None:
    """Refuse a file that would take far too long to decode, or holds too little data.

    Args:
        most: pixels; files that claim more are left for the caller to refuse.

    Raises:
        BurnishError: over 100 scans or 10,000 segments (JPEG), 200,000 chunks (PNG), 100,000
            strips or tiles (TIFF); fewer bytes than the best compression leaves (JPEG, PNG).
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    format = claimed_format(file.read(8))
    try:
        if format == "JPEG":
            _guard_jpeg(file, size, most)
        elif format == "PNG":
            _guard_png(file, most)
        elif format == "TIFF" and _tiff_strips(file) > MAX_STRIPS:
            raise _Excess(f"{MAX_STRIPS:,} strips or tiles")
    except _Excess as excess:
        raise BurnishError(
            f"{name} is made of more than {excess}: decoding it would take minutes. "
            "Save it again with an image editor."
        ) from None
    except _Lack as lack:
        raise BurnishError(
            f"{name} is damaged: {size:,} bytes are too little data for {lack} px"
        ) from None


class _Excess(Exception):
    pass


class _Lack(Exception):
    pass


def _guard_png(file: BinaryIO, most: int) -> None:
    chunks = packed = 0
    for kind, _, length in png_chunks(file):
        chunks += 1
        packed += length if kind == b"IDAT" else 0
    if chunks > MAX_CHUNKS:
        raise _Excess(f"{MAX_CHUNKS:,} chunks")
    file.seek(PNG_SIZE)
    head = file.read(10)
    if len(head) == 10:
        width, height, depth, colour = struct.unpack(">IIBB", head)
        # Pillow leaves pixels black if the stream ends before them.
        needed = width * height * depth * PNG_CHANNELS.get(colour, 1) // 8
        if width * height <= most and needed > PNG_RATIO * packed:
            raise _Lack(f"{width} x {height}")


def png_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Kind, position of the data and length in bytes of each chunk, up to one more than allowed."""
    at = 8
    for _ in range(MAX_CHUNKS + 1):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return
        length = int.from_bytes(head[:4], "big")
        yield head[4:], at + 8, length
        if head[4:] == b"IEND":
            return
        at += 12 + length


def check_png_sums(file: BinaryIO) -> None:
    """Compare the pixels' packed bytes with the sums beside them; the file's position is kept.

    Pillow stops at the last row, before it would meet them. Of a file that is still being copied,
    whose room is taken but not filled yet, the zeros unpack to black rows without any fault.

    Raises:
        ValueError: they differ. A sum that is cut off with the end of the file is no fault: the
            decoder says whether pixels are missing.
    """
    before = file.tell()
    for kind, at, length in png_chunks(file):
        if kind != b"IDAT":
            continue
        file.seek(at)
        found, left = zlib.crc32(kind), length
        while left and (piece := file.read(min(left, PIECE))):
            found, left = zlib.crc32(piece, found), left - len(piece)
        wanted = file.read(4)
        if len(wanted) == 4 and found != int.from_bytes(wanted, "big"):
            raise ValueError(
                "its pixels do not match their check sum; it is damaged, or still being written"
            )
    file.seek(before)


def check_jpeg_end(file: BinaryIO) -> None:
    """Look for the mark that ends a JPEG's pixels; the file's position is kept.

    Without it Pillow refuses what is cut off, but not what is filled up with zeros, as a file that
    is still being copied may be: those decode to flat grey without any fault.

    Raises:
        ValueError: it is missing.
    """
    before = file.tell()
    for at, head in _jpeg_segments(file):  # a small preview there has an end of its own
        file.seek(at)
        if head[1:2] == bytes((JPEG_SCAN,)):
            break
    ended = bytes((0xFF, JPEG_END)) in file.read()
    file.seek(before)
    if not ended:
        raise ValueError("its end is missing; it is damaged, or still being written")


def _guard_jpeg(file: BinaryIO, size: int, most: int) -> None:
    components = 0
    for at, head in _jpeg_segments(file):
        file.seek(at)
        if not head:
            break
        marker = head[1]
        if marker in JPEG_FRAMES:
            height, width, components = struct.unpack_from(">HHB", head, 5)
            if marker in JPEG_HUFFMAN and JPEG_RATIO * size < width * height <= most:
                raise _Lack(f"{width} x {height}")
            if marker not in JPEG_SEQUENTIAL:
                break
        elif marker == JPEG_SCAN:
            if head[4] >= components > 0:
                return  # one scan holds all components: libjpeg reads no further one
            break
    _count_scans(file.read())


def _jpeg_segments(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Place and first 10 bytes of every segment, by seeking; last the place where none begins, b"".

    Whoever asks stops at the first scan, whose pixels follow without a length.
    """
    at = 2
    for _ in range(MAX_SEGMENTS):
        file.seek(at)
        head = file.read(10)
        if len(head) < 10 or head[0] != 0xFF:
            yield at, b""
            return
        yield at, head
        marker, length = head[1], int.from_bytes(head[2:4], "big")
        at += 1 if marker == 0xFF else 2 if marker in JPEG_ALONE else 2 + length
    raise _Excess(f"{MAX_SEGMENTS:,} segments")


def _count_scans(data: bytes) -> None:
    at = scans = 0
    for _ in range(MAX_SEGMENTS):
        found = JPEG_MARKER.search(data, at)
        if found is None or found[1][0] == JPEG_END:
            return
        scans += found[1][0] == JPEG_SCAN
        if scans > MAX_SCANS:
            raise _Excess(f"{MAX_SCANS} scans")
        at = found.end()
        if found[1][0] not in JPEG_ALONE:
            at += int.from_bytes(data[at : at + 2], "big")
    raise _Excess(f"{MAX_SEGMENTS:,} segments")


def _tiff_strips(file: BinaryIO) -> int:
    """Number of strips or tiles that the first page claims."""
    page = next(tiff_pages(file), None)
    if page is None:
        return 0
    at, entries, end, big = page
    size, count_code = (20, "Q") if big else (12, "I")
    file.seek(at)
    table = file.read(min(entries, 65_535) * size)
    most = 0
    for start in range(0, len(table) - size + 1, size):
        (tag,) = struct.unpack_from(end + "H", table, start)
        if tag in (STRIP_OFFSETS, TILE_OFFSETS):
            most = max(most, *struct.unpack_from(end + count_code, table, start + 4))
    return most


def tiff_pages(file: BinaryIO) -> Iterator[tuple[int, int, str, bool]]:
    """Follow the chain of a TIFF's directories; at most 1000, and never round in circles.

    Yields:
        Position of the directory's entries, their number, the byte order for `struct`, and whether
        it is a BigTIFF.
    """
    file.seek(0)
    head = file.read(16)
    end = ">" if head[:2] == b"MM" else "<"
    big = 43 in head[2:4]
    count_code, next_code, size = ("Q", "Q", 20) if big else ("H", "I", 12)
    seen: set[int] = set()
    try:
        (at,) = struct.unpack_from(end + next_code, head, 8 if big else 4)
        while at and at not in seen and len(seen) < MAX_PAGES:
            seen.add(at)
            file.seek(at)
            (entries,) = _unpack(file, end + count_code)
            first = at + struct.calcsize(end + count_code)
            yield first, entries, end, big
            file.seek(first + entries * size)
            (at,) = _unpack(file, end + next_code)
    except (struct.error, OSError, OverflowError, ValueError):
        return  # the chain leads out of the file


def _unpack(file: BinaryIO, code: str) -> tuple[int, ...]:
    return struct.unpack(code, file.read(struct.calcsize(code)))
