"""Small files of every make that the reader takes, as material for mutations."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
import zlib

import numpy as np
from PIL import Image


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def tiff_file(tags: list[tuple[int, int, int, int]], data: bytes, big: bool = False) -> bytes:
    """A little-endian TIFF of one page by hand; a tag is (number, type, count, value or offset).

    `data` lies at byte 8 (16 in a BigTIFF), the directory behind it.
    """
    head, entry = ("<HHQ", "<HHQQ") if big else ("<H", "<HHII")
    start = b"II+\0\x08\0\0\0" if big else b"II*\0"
    first = (16 if big else 8) + len(data)
    offset = struct.pack("<Q" if big else "<I", first)
    count = struct.pack("<Q" if big else "<H", len(tags))
    del head
    body = b"".join(struct.pack(entry, *tag) for tag in sorted(tags))
    return start + offset + data + count + body + bytes(8 if big else 4)


def image_corpus() -> list[bytes]:
    """Small files of every format, mode and depth that is read."""
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (11, 14), dtype=np.uint8)
    colour = rng.integers(0, 256, (11, 14, 3), dtype=np.uint8)
    wide = rng.integers(0, 65536, (11, 14), dtype=np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a part"
    modes = {
        "1": Image.fromarray(grey > 127), "L": Image.fromarray(grey),
        "RGB": Image.fromarray(colour), "I;16": Image.fromarray(wide),
        "I;16B": Image.frombytes("I;16B", (14, 11), wide.tobytes()),
        "F": Image.fromarray(grey.astype(np.float32) / 255),
        "I": Image.fromarray(grey.astype(np.int32)),
    }  # fmt: skip
    modes["RGBA"], modes["LA"] = modes["RGB"].convert("RGBA"), modes["L"].convert("LA")
    modes["P"], modes["CMYK"] = modes["RGB"].quantize(8), modes["RGB"].convert("CMYK")
    found: list[bytes] = []

    def add(format: str, mode: str, **options: object) -> None:
        file = io.BytesIO()
        modes[mode].copy().save(file, format, **options)  # saving leaves its mark on a picture
        found.append(file.getvalue())

    def more() -> dict[str, object]:
        pages = [modes["RGB"].rotate(90), modes["RGB"].rotate(180)]
        return {"save_all": True, "append_images": pages}

    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        add("PNG", mode)
    add("PNG", "RGB", exif=exif, icc_profile=b"p" * 60, dpi=(96, 96))
    add("PNG", "P", transparency=1)
    add("PNG", "RGB", **more())
    head = struct.pack(">IIBBBBB", 3, 2, 16, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" + bytes(18) + b"\1" + bytes(range(18)))
    late = png_chunk(b"eXIf", exif.tobytes()[6:]) + png_chunk(b"tEXt", b"k\0value")
    found.append(
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + png_chunk(b"zTXt", b"k\0\0" + rows)
        + png_chunk(b"IDAT", rows[:9]) + png_chunk(b"IDAT", rows[9:]) + late
        + png_chunk(b"IEND", b"")
    )  # fmt: skip
    for mode in ("L", "RGB", "CMYK"):
        add("JPEG", mode, exif=exif)
        add("JPEG", mode, progressive=True)
    add("JPEG", "RGB", subsampling=0, restart_marker_blocks=1)
    add("MPO", "RGB", **more())
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        add("BMP", mode)
    rle = b"\x04\x01\0\0\x02\x02\x00\x01"
    found.append(
        b"BM" + struct.pack("<IHHI", 1078 + len(rle), 0, 0, 1078)
        + struct.pack("<IiiHHIIiiII", 40, 4, 2, 1, 8, 1, len(rle), 0, 0, 256, 0)
        + bytes(1024) + rle
    )  # fmt: skip
    for mode in modes:
        add("TIFF", mode)
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits", "zstd", "lzma"):
        add("TIFF", "RGB", compression=compression)
    for compression in ("group3", "group4", "tiff_ccitt"):
        add("TIFF", "1", compression=compression)
    add("TIFF", "I;16", compression="tiff_lzw")
    add("TIFF", "RGB", **more(), exif=exif)
    add("TIFF", "L", big_tiff=True, compression="tiff_lzw", exif=exif)
    base = [(256, 4, 1, 20), (257, 4, 1, 20), (258, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1)]
    tile = zlib.compress(bytes(256))
    data = struct.pack("<8I", *[40] * 4, *[len(tile)] * 4) + tile
    tiles = [(322, 4, 1, 16), (323, 4, 1, 16), (324, 4, 4, 8), (325, 4, 4, 24)]
    found.append(tiff_file([*base, (259, 3, 1, 8), *tiles], data))
    twelve = [(258, 3, 1, 12) if tag[0] == 258 else tag for tag in base]
    found.append(
        tiff_file([*twelve, (273, 4, 1, 8), (278, 4, 1, 20), (279, 4, 1, 600)], bytes(600))
    )
    add("WEBP", "RGB")
    add("WEBP", "RGBA", lossless=True)
    add("WEBP", "RGB", lossless=True, exif=exif, icc_profile=b"p" * 60, xmp=b"<x/>")
    add("WEBP", "RGB", **more())
    return found


def archive_corpus(images: list[bytes]) -> list[bytes]:
    """Small zips and tars of every make; those of compressed tars are made by `pack`."""
    members = [(f"set/good/{i}.png", data) for i, data in enumerate(images[:6])]
    members += [("set/._hidden", b"x"), ("set/" + "long/" * 30 + "name.png", images[0])]
    members += [("set/blank.bmp", bytes(3000)), ("set/empty.png", b"")]
    found = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", method) as archive:
            archive.writestr("set/", b"")
            for name, data in members:
                with archive.open(name, "w", force_zip64=method == zipfile.ZIP_STORED) as member:
                    member.write(data)
            archive.comment = b"a comment"
        found.append(file.getvalue())
    for format in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=format) as tar:
            for name, data in [*members, ("set/Prüfling.png", images[1])]:
                info = tarfile.TarInfo(name)
                info.size, info.mtime = len(data), 1.5 if format == tarfile.PAX_FORMAT else 1
                tar.addfile(info, io.BytesIO(data))
            folder = tarfile.TarInfo("set/more")
            folder.type = tarfile.DIRTYPE
            tar.addfile(folder)
        found.append(file.getvalue())
    return found
