"""Ways to damage a file: blindly, and along the structure of its format."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import struct
import zlib
from collections.abc import Callable

import numpy as np
from corpus import png_chunk

Rng = np.random.Generator

INTERESTING = (0, 1, 2, 7, 8, 15, 16, 31, 127, 128, 255, 256, 1000, 32767, 32768, 65535, 65536,
               0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFE)  # fmt: skip


def overwrite(data: bytearray, rng: Rng) -> None:
    """Bytes at random, half of the time near the front."""
    reach = len(data) if rng.random() < 0.5 else min(len(data), 96)
    for _ in range(int(rng.integers(1, 5))):
        data[rng.integers(reach)] = rng.choice([0, 1, 127, 128, 255, int(rng.integers(256))])


def set_number(data: bytearray, rng: Rng) -> None:
    """A 16 or 32 bit number becomes one at a border, or a little larger or smaller."""
    code = str(rng.choice(["<H", ">H", "<I", ">I"]))
    size = struct.calcsize(code)
    if len(data) <= size:
        return
    reach = len(data) - size
    at = int(rng.integers(reach if rng.random() < 0.5 else min(reach, 96)))
    (old,) = struct.unpack_from(code, data, at)
    new = rng.choice(INTERESTING) if rng.random() < 0.6 else old + rng.integers(-20, 21)
    struct.pack_into(code, data, at, int(new) % (1 << 8 * size))


def block(data: bytearray, rng: Rng) -> tuple[int, int]:
    start = int(rng.integers(len(data)))
    return start, min(len(data), start + int(rng.integers(1, 65)))


def truncate(data: bytearray, rng: Rng) -> None:
    del data[int(rng.integers(1, len(data) + 1)) :]


def remove(data: bytearray, rng: Rng) -> None:
    start, stop = block(data, rng)
    if stop - start < len(data):
        del data[start:stop]


def repeat(data: bytearray, rng: Rng) -> None:
    start, stop = block(data, rng)
    data[start:start] = data[start:stop] * int(rng.integers(1, 20))


def swap(data: bytearray, rng: Rng) -> None:
    start, stop = block(data, rng)
    piece = data[start:stop]
    del data[start:stop]
    at = int(rng.integers(len(data) + 1))
    data[at:at] = piece


def insert(data: bytearray, rng: Rng) -> None:
    at = int(rng.integers(len(data) + 1))
    data[at:at] = rng.bytes(int(rng.integers(1, 40)))


def png_parts(data: bytearray, rng: Rng) -> None:
    """Chunks changed inside, repeated, dropped or moved, with checksums that hold."""
    if data[:4] != b"\x89PNG":
        return set_number(data, rng)
    chunks, at = [], 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        chunks.append((bytes(data[at + 4 : at + 8]), bytearray(data[at + 8 : at + 8 + length])))
        at += 12 + length
    if not chunks:
        return None
    which = int(rng.integers(len(chunks)))
    kind, body = chunks[which]
    choice = rng.random()
    if choice < 0.5 and body:
        if kind == b"IDAT" and choice < 0.25:
            with contextlib.suppress(zlib.error):
                rows = bytearray(zlib.decompress(body))
                MUTATIONS[int(rng.integers(7))](rows, rng)
                body = bytearray(zlib.compress(rows))
        else:
            (overwrite, set_number)[int(rng.integers(2))](body, rng)
        chunks[which] = (kind, body)
    elif choice < 0.65:
        chunks.insert(int(rng.integers(len(chunks))), chunks[which])
    elif choice < 0.8:
        chunks.insert(int(rng.integers(len(chunks))), chunks.pop(which))
    elif choice < 0.9:
        chunks.pop(which)
    else:
        kinds = [b"eXIf", b"tRNS", b"PLTE", b"iCCP", b"zTXt", b"iTXt", b"acTL", b"fcTL", b"fdAT"]
        chunks[which] = (kinds[int(rng.integers(len(kinds)))], body)
    data[8:] = b"".join(png_chunk(kind, bytes(body)) for kind, body in chunks)
    return None


def tiff_entry(data: bytearray, rng: Rng) -> None:
    """One entry of a TIFF's first directory: its tag, type, count or value."""
    if data[:4] not in (b"II*\0", b"MM\0*") or len(data) < 26:
        return set_number(data, rng)
    end = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(end + "I", data, 4)
    if at + 2 > len(data):
        return None
    (entries,) = struct.unpack_from(end + "H", data, at)
    at += 2 + 12 * int(rng.integers(max(1, entries)))
    if at + 12 > len(data):
        return None
    field, code = ((0, "H"), (2, "H"), (4, "I"), (8, "I"), (8, "H"))[int(rng.integers(5))]
    tags = (254, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 317, 320, 322, 323,
            324, 325, 338, 339, 347, 530, 532, 33723, 34377, 34665, 34675, 700)  # fmt: skip
    new = rng.choice(tags) if field == 0 else rng.choice(INTERESTING)
    if field == 8 and rng.random() < 0.5:
        new = rng.integers(0, 40)
    struct.pack_into(end + code, data, at + field, int(new) & (0xFFFF if code == "H" else -1))
    return None


def jpeg_segment(data: bytearray, rng: Rng) -> None:
    """A marker turned into another, or the length behind one changed."""
    marks = [i for i in range(len(data) - 4) if data[i] == 0xFF and data[i + 1] not in (0, 0xFF)]
    if data[:2] != b"\xff\xd8" or not marks:
        return set_number(data, rng)
    at = int(rng.choice(marks))
    if rng.random() < 0.4:
        data[at + 1] = int(rng.choice([0xC0, 0xC1, 0xC2, 0xC4, 0xC9, 0xDA, 0xD9, 0xDB, 0xDD, 0xE1,
                                       0xE2, 0xED, 0xEE, 0xFE]))  # fmt: skip
    else:
        data[at + 2 + int(rng.integers(12)) if at + 14 < len(data) else at + 2] = rng.integers(256)
    return None


def zip_field(data: bytearray, rng: Rng) -> None:
    """A field of a zip's local header, directory entry or end."""
    marks = [i for sign in (b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6") for i in find(data, sign)]
    if not marks:
        return set_number(data, rng)
    at = int(rng.choice(marks)) + int(rng.integers(4, 48))
    if at + 4 <= len(data):
        if rng.random() < 0.5:
            data[at] = rng.integers(256)
        else:
            struct.pack_into("<I", data, at, int(rng.choice(INTERESTING)))
    return None


def tar_field(data: bytearray, rng: Rng) -> None:
    """A field of a tar header, with a checksum that holds."""
    heads = [i for i in range(0, len(data) - 511, 512) if data[i + 257 : i + 262] == b"ustar"]
    if not heads:
        return set_number(data, rng)
    at = int(rng.choice(heads))
    field, size = ((0, 100), (100, 8), (124, 12), (136, 12), (156, 1), (157, 100), (257, 8),
                   (345, 155))[int(rng.integers(8))]  # fmt: skip
    choice = rng.random()
    if field == 156:
        data[at + 156] = int(rng.choice(list(b"01234567gxLKSDMV\0")))
    elif choice < 0.3:
        value = [b"../../up", b"/etc/passwd", b"C:\\x", b"a\\b", b"", b"7" * size, b"-1"]
        data[at + field : at + field + size] = value[int(rng.integers(7))][:size].ljust(size, b"\0")
    elif choice < 0.5:
        data[at + field : at + field + size] = b"\xff" * (size - 1) + bytes([rng.integers(256)])
    else:
        data[at + field + int(rng.integers(size))] = rng.integers(256)
    data[at + 148 : at + 156] = b" " * 8
    data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
    return None


def find(data: bytearray, sign: bytes) -> list[int]:
    found, at = [], data.find(sign)
    while at >= 0:
        found.append(at)
        at = data.find(sign, at + 1)
    return found


Mutation = Callable[[bytearray, Rng], None]
MUTATIONS: list[Mutation] = [overwrite, set_number, truncate, remove, repeat, swap, insert]
IMAGE_MUTATIONS = [*MUTATIONS, png_parts, png_parts, tiff_entry, tiff_entry, jpeg_segment]
ARCHIVE_MUTATIONS = [*MUTATIONS, zip_field, zip_field, zip_field, tar_field, tar_field, tar_field]


def mutated(corpus: list[bytes], mutations: list[Mutation], rng: Rng) -> bytes:
    data = bytearray(corpus[int(rng.integers(len(corpus)))])
    if rng.random() < 0.05:  # splice two files
        other = corpus[int(rng.integers(len(corpus)))]
        data[int(rng.integers(len(data))) :] = other[int(rng.integers(len(other))) :]
    for _ in range(min(4, int(rng.geometric(0.6)))):
        if data:
            mutations[int(rng.integers(len(mutations)))](data, rng)
    return bytes(data)


def packed(data: bytes, rng: Rng) -> bytes:
    """A mutated tar, compressed now and then, which may then be damaged itself."""
    if data[257:262] != b"ustar" or rng.random() < 0.4:
        return data
    pack = (gzip.compress, bz2.compress, lzma.compress)[int(rng.integers(3))]
    result = bytearray(pack(data))
    if rng.random() < 0.3:
        MUTATIONS[int(rng.integers(7))](result, rng)
    return bytes(result)
