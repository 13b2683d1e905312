"""One way to read images: every kind a camera or editor writes, and every way a file can be bad."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import subprocess
import sys
import time
import tracemalloc
import warnings
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from burnish.errors import BurnishError
from burnish.images import reader
from burnish.images.reader import (
    FORMATS,
    Header,
    notes_of,
    prepare,
    read_header,
    read_header_bytes,
    read_image,
    read_image_bytes,
    read_once,
    read_with_header,
    resize,
    suffix_of,
    to_channels,
)
from burnish.images.reading import decoding

GREY = np.random.default_rng(0).integers(0, 256, (12, 17), dtype=np.uint8)
RGB = np.random.default_rng(1).integers(0, 256, (12, 17, 3), dtype=np.uint8)
WIDE = np.random.default_rng(2).integers(0, 65536, (12, 17), dtype=np.uint16)
LOSSLESS = ["png", "bmp", "tif", "tiff", "webp"]


def save(path: Path, image: Image.Image | np.ndarray, **options: Any) -> Path:
    picture = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    picture.save(path, **({"lossless": True} if path.suffix == ".webp" else {}) | options)
    return path


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, bits: int, colour: int, rows: bytes) -> bytes:
    """A PNG written by hand, for what Pillow cannot write."""

    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def tiff_bytes(
    data: bytes, width: int, height: int, *, bits: int = 8, samples: int = 1,
    sample_format: int = 1, photometric: int = 1, compression: int = 1, rows: int | None = None,
    extra: Sequence[tuple[int, int, int, int]] = (), end: str = "<",
) -> bytes:  # fmt: skip
    """A TIFF of one strip written by hand: the data at byte 8, the directory behind it."""
    tags = [
        (256, 4, 1, width), (257, 4, 1, height), (259, 3, 1, compression),
        (262, 3, 1, photometric), (277, 3, 1, samples), (339, 3, 1, sample_format), *extra,
    ]  # fmt: skip
    if not extra:  # else tiles
        tags += [(273, 4, 1, 8), (278, 4, 1, rows or height), (279, 4, 1, len(data))]
    data += bytes(len(data) % 2)
    if samples == 1:
        tags.append((258, 3, 1, bits))
    else:
        tags.append((258, 3, samples, 8 + len(data)))
        data += struct.pack(end + "H", bits) * samples + bytes(samples % 2 * 2)
    directory = struct.pack(end + "H", len(tags))
    for tag, kind, count, value in sorted(tags):
        short = kind == 3 and count == 1
        directory += struct.pack(end + "HHI", tag, kind, count)
        directory += struct.pack(
            end + ("HH" if short else "I"), *((value, 0) if short else (value,))
        )
    start = b"II*\0" if end == "<" else b"MM\0*"
    return start + struct.pack(end + "I", 8 + len(data)) + data + directory + bytes(4)


def tiff(path: Path, array: np.ndarray, **options: Any) -> Path:
    """A TIFF of any type and byte order, which Pillow could not write."""
    samples = array.shape[2] if array.ndim == 3 else 1
    end = ">" if array.dtype.str[0] == ">" else "<"
    path.write_bytes(tiff_bytes(
        array.tobytes(), array.shape[1], array.shape[0], bits=8 * array.itemsize,
        samples=samples, photometric=2 if samples == 3 else 1, end=end, **options,
    ))  # fmt: skip
    return path


def assert_image(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.dtype == np.uint8
    assert found.shape == expected.shape
    assert np.array_equal(found, expected)


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_colour_files(suffix: str, tmp_path: Path) -> None:
    assert_image(read_image(save(tmp_path / f"a.{suffix}", RGB)), RGB)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_grey_files(suffix: str, tmp_path: Path) -> None:
    path = save(tmp_path / f"a.{suffix}", GREY)
    assert_image(read_image(path), GREY)
    assert_image(read_image(str(path)), GREY)


@pytest.mark.parametrize("colour", [False, True])
def test_jpeg(colour: bool, tmp_path: Path) -> None:
    y, x = np.mgrid[:40, :50]
    smooth = (60 + 2 * y + x).astype(np.uint8)
    image = np.stack([smooth, 255 - smooth, smooth // 2], axis=-1) if colour else smooth
    found = read_image(save(tmp_path / "a.jpg", image, quality=95))
    assert found.shape == image.shape
    assert np.abs(found.astype(int) - image).mean() < 3


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey_keeps_the_upper_byte(suffix: str, tmp_path: Path) -> None:
    assert_image(read_image(save(tmp_path / f"a.{suffix}", WIDE)), (WIDE // 256).astype(np.uint8))


def test_16_bit_big_endian_tiff(tmp_path: Path) -> None:
    picture = Image.frombytes("I;16B", (17, 12), WIDE.astype(">u2").tobytes())
    found = read_image(save(tmp_path / "a.tif", picture))
    assert_image(found, (WIDE // 256).astype(np.uint8))


def test_16_bit_colour_png(tmp_path: Path) -> None:
    wide = np.random.default_rng(0).integers(0, 65536, (3, 5, 3), dtype=np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in wide)
    (tmp_path / "a.png").write_bytes(png(5, 3, 16, 2, rows))
    assert_image(read_image(tmp_path / "a.png"), (wide // 256).astype(np.uint8))


def test_alpha_is_dropped(tmp_path: Path) -> None:
    alpha = np.random.default_rng(3).integers(0, 256, (12, 17, 1), dtype=np.uint8)
    rgba = np.concatenate([RGB, alpha], axis=2)
    assert_image(read_image(save(tmp_path / "a.png", rgba)), RGB)
    with_alpha = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(alpha[..., 0])])
    assert_image(read_image(save(tmp_path / "b.png", with_alpha)), GREY)


def test_palette_with_transparency(tmp_path: Path) -> None:
    indices = np.random.default_rng(4).integers(0, 4, (12, 17), dtype=np.uint8)
    colours = np.array([[0, 0, 0], [200, 10, 30], [4, 250, 6], [9, 8, 255]], np.uint8)
    picture = Image.fromarray(indices).copy()
    picture.putpalette(colours.flatten().tolist())
    path = save(tmp_path / "a.png", picture, transparency=2)
    with Image.open(path) as again:
        assert again.mode == "P"
    assert_image(read_image(path), colours[indices])


def test_one_bit(tmp_path: Path) -> None:
    picture = Image.fromarray(GREY > 127)
    assert picture.mode == "1"
    expected = np.where(GREY > 127, 255, 0).astype(np.uint8)
    assert_image(read_image(save(tmp_path / "a.png", picture)), expected)


@pytest.mark.parametrize("suffix", ["tif", "jpg"])
def test_cmyk(suffix: str, tmp_path: Path) -> None:
    cmyk = np.zeros((16, 16, 4), np.uint8)
    cmyk[..., 0], cmyk[..., 3] = 255, 100  # cyan and some black
    path = save(tmp_path / f"a.{suffix}", Image.fromarray(cmyk, "CMYK"))
    found = read_image(path)
    expected = np.broadcast_to([0, 155, 155], (16, 16, 3))
    assert found.shape == (16, 16, 3)
    assert np.abs(found.astype(int) - expected).max() <= 3


ORIENTED = {
    1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud,
    5: np.transpose, 6: lambda a: np.rot90(a, -1), 7: lambda a: np.rot90(a.T, 2),
    8: lambda a: np.rot90(a, 1),
}  # fmt: skip


@pytest.mark.parametrize("orientation", list(ORIENTED))
def test_exif_orientation_is_applied(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "a.png", GREY, exif=exif)
    assert_image(read_image(path), np.ascontiguousarray(ORIENTED[orientation](GREY)))
    with Image.open(path) as picture:  # a picture opened by the caller is turned too
        assert_image(read_image(picture), np.ascontiguousarray(ORIENTED[orientation](GREY)))


def test_exif_orientation_of_a_jpeg(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    bright_left = np.repeat(np.array([[255, 0]], np.uint8), 16, axis=0).repeat(16, axis=1)
    found = read_image(save(tmp_path / "a.jpg", bright_left, exif=exif))
    assert found.shape == (32, 16)
    assert found[:12].min() > 200  # turned clockwise: left is now on top
    assert found[20:].max() < 50


def test_of_several_pages_the_first_is_read(tmp_path: Path) -> None:
    pages = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    path = tmp_path / "a.tif"
    pages[0].save(path, save_all=True, append_images=pages[1:])
    assert_image(read_image(path), GREY)


def test_a_file_whose_suffix_names_another_format(tmp_path: Path) -> None:
    save(tmp_path / "a.bmp", GREY).rename(tmp_path / "a.png")
    for read in (read_image, read_header, read_with_header):
        with pytest.raises(
            BurnishError, match=r"a\.png holds a BMP, not a PNG: rename it to a\.bmp$"
        ):
            read(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    assert_image(read_image_bytes(content, "a.png"), GREY)  # the caller is to rename it
    assert suffix_of(read_header_bytes(content, "a.png").format) == ".bmp"


@pytest.mark.parametrize("name", ["a.JPEG", "a.jpe", "a", "a.jpg.orig"])
def test_a_suffix_that_contradicts_nothing(name: str, tmp_path: Path) -> None:
    save(tmp_path / "b.jpg", GREY).rename(tmp_path / name)
    assert read_image(tmp_path / name).shape == GREY.shape
    assert read_header(tmp_path / name).format == "JPEG"


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_pixels_and_header_at_once_are_those_of_two_looks(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"part.{suffix}"
    Image.fromarray(GREY if suffix == "jpg" else WIDE).save(path)
    pixels, header = read_with_header(path)
    assert np.array_equal(pixels, read_image(path))
    assert header == read_header(path)
    assert bool(header.notes) == (suffix != "jpg")  # 16 bits: the lower ones are dropped


def test_signed_16_bit_tiff(tmp_path: Path) -> None:
    signed = np.array([[-32768, -1, 0, 255], [256, 1000, 16384, 32767]], np.int16)
    for code in "<>":
        path = tiff(tmp_path / "a.tif", signed.astype(code + "i2"), sample_format=2)
        assert_image(read_image(path), np.array([[0, 0, 0, 0], [1, 3, 64, 127]], np.uint8))
        assert read_header(path).bits == 16


def test_32_bit_integers_are_clipped(tmp_path: Path) -> None:
    wide = np.array([[0, 255, 256, 65535], [65536, 2**31 - 1, 2**31, 2**32 - 1]], np.uint32)
    path = tiff(tmp_path / "a.tif", wide)
    expected = np.array([[0, 0, 1, 255], [255, 255, 255, 255]], np.uint8)
    assert_image(read_image(path), expected)
    expected[1, 2:] = 0  # as signed numbers, negative
    path = tiff(tmp_path / "b.tif", wide.view(np.int32), sample_format=2)
    assert_image(read_image(path), expected)


def test_12_bit_tiff_is_not_black(tmp_path: Path) -> None:
    twelve = np.random.default_rng(5).integers(0, 4096, (4, 6))
    bits = "".join(f"{value:012b}" for value in twelve.ravel())
    path = tmp_path / "a.tif"
    path.write_bytes(tiff_bytes(int(bits, 2).to_bytes(36, "big"), 6, 4, bits=12))
    assert_image(read_image(path), (twelve >> 4).astype(np.uint8))


def test_white_is_zero(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    for data, bits, sample_format in (
        (GREY.tobytes(), 8, 1), (WIDE.astype("<u2").tobytes(), 16, 1),
        ((GREY / np.float32(255)).tobytes(), 32, 3),
    ):  # fmt: skip
        options = {"bits": bits, "sample_format": sample_format}
        path.write_bytes(tiff_bytes(data, 17, 12, **options))
        plain = read_image(path)
        path.write_bytes(tiff_bytes(data, 17, 12, photometric=0, **options))
        assert_image(read_image(path), 255 - plain)


def test_large_16_bit_image_in_bands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "BAND", 40)  # two rows, of twelve
    assert_image(read_image(save(tmp_path / "a.tif", WIDE)), (WIDE // 256).astype(np.uint8))
    monkeypatch.setattr(reader, "BAND", 1)
    assert_image(read_image(save(tmp_path / "a.png", WIDE)), (WIDE // 256).astype(np.uint8))


def test_16_bit_colour_tiff(tmp_path: Path) -> None:
    wide = np.random.default_rng(0).integers(0, 65536, (3, 5, 3), dtype=np.uint16)
    for code in "<>":
        path = tiff(tmp_path / "a.tif", wide.astype(code + "u2"))
        assert_image(read_image(path), (wide // 256).astype(np.uint8))
        assert read_header(path).bits == 16


@pytest.mark.parametrize(
    "compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd", "lzma"]
)
@pytest.mark.parametrize("image", [GREY, RGB, WIDE], ids=["grey", "rgb", "wide"])
def test_compressed_tiff(image: np.ndarray, compression: str, tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", image, compression=compression)
    expected = image if image.dtype == np.uint8 else (image // 256).astype(np.uint8)
    assert_image(read_image(path), expected)
    assert_image(read_image_bytes(path.read_bytes(), "a"), expected)


def test_bytes_give_the_same_as_files(tmp_path: Path) -> None:
    for suffix, image in (("png", WIDE), ("jpg", RGB), ("bmp", GREY), ("tif", RGB), ("webp", RGB)):
        path = save(tmp_path / f"a.{suffix}", image)
        assert_image(read_image_bytes(path.read_bytes(), "a"), read_image(path))
        header = read_header_bytes(path.read_bytes(), str(path))
        assert header == read_header(path)


# --- headers --------------------------------------------------------------------------------------


def test_header(tmp_path: Path) -> None:
    colours = Image.fromarray(RGB).quantize(4)
    one_bit = Image.fromarray(GREY > 127)
    for name, image, format, mode, bits, grey in (
        ("a.png", GREY, "PNG", "L", 8, True), ("a.png", RGB, "PNG", "RGB", 8, False),
        ("a.png", WIDE, "PNG", "I;16", 16, True), ("a.png", one_bit, "PNG", "1", 1, True),
        ("a.png", colours, "PNG", "P", 8, False), ("a.jpg", GREY, "JPEG", "L", 8, True),
        ("a.jpeg", RGB, "JPEG", "RGB", 8, False), ("a.bmp", GREY, "BMP", "L", 8, True),
        ("a.tif", WIDE, "TIFF", "I;16", 16, True), ("a.tiff", RGB, "TIFF", "RGB", 8, False),
        ("a.tif", one_bit, "TIFF", "1", 1, True), ("a.webp", RGB, "WEBP", "RGB", 8, False),
        ("a.tif", GREY.astype(np.float32) / 255, "TIFF", "F", 32, True),
    ):  # fmt: skip
        path = save(tmp_path / name, image)
        expected = Header(format, mode, bits, 17, 12, 1)
        assert read_header(path) == expected
        assert read_header(path).is_grey == grey
        assert (read_image(path).ndim == 2) == grey
        wide = "it has 16 bits a channel; the upper 8 are read"
        assert read_header(path).notes == ((wide,) if bits == 16 else ())


def test_a_header_decodes_no_pixel(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    for suffix in ("png", "jpg", "bmp"):
        data = save(tmp_path / f"a.{suffix}", noise).read_bytes()
        assert read_header_bytes(data[: len(data) // 2], "half").width == 400
        with pytest.raises(BurnishError, match="half"):
            read_image_bytes(data[: len(data) // 2], "half")


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("orientation", list(ORIENTED))
def test_a_header_is_turned_as_the_image_is(orientation: int, suffix: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / f"a.{suffix}", RGB, exif=exif)
    header, image = read_header(path), read_image(path)
    assert (header.height, header.width) == image.shape[:2]
    assert image.shape[:2] == ((12, 17) if orientation < 5 else (17, 12))
    if suffix != "jpg":
        turned = np.stack([ORIENTED[orientation](RGB[..., i]) for i in range(3)], axis=2)
        assert_image(image, turned)


def test_png_orientation_behind_the_pixels(tmp_path: Path) -> None:
    """exiftool writes it there. Of two, the last counts (found by the fuzzer)."""
    exif = Image.Exif()
    path = tmp_path / "a.png"
    for before, behind, turned in ((None, 6, True), (6, 1, False), (1, 6, True)):
        exif[0x0112] = before or 1
        data = save(path, GREY, **({"exif": exif} if before else {})).read_bytes()
        exif[0x0112] = behind
        path.write_bytes(data[:-12] + chunk(b"eXIf", exif.tobytes()[6:]) + data[-12:])
        expected = np.rot90(GREY, -1) if turned else GREY
        assert_image(read_image(path), np.ascontiguousarray(expected))
        header = read_header(path)
        assert (header.height, header.width) == expected.shape


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0", b"garbage"]
)
def test_damaged_exif_turns_nothing(exif: bytes, tmp_path: Path) -> None:
    for suffix in ("png", "webp"):
        path = save(tmp_path / f"a.{suffix}", RGB, exif=exif)
        assert_image(read_image(path), RGB)
        assert (read_header(path).width, read_header(path).height) == (17, 12)


def test_further_pages_are_counted_and_noted(tmp_path: Path) -> None:
    pages = [Image.fromarray(np.roll(RGB, i, axis=0)) for i in range(3)]
    for name, format, word in (
        ("a.tif", "TIFF", "pages"), ("b.tif", "TIFF", "pages"), ("a.webp", "WEBP", "frames"),
        ("a.png", "PNG", "frames"), ("a.jpg", "MPO", "frames"),
    ):  # fmt: skip
        options: dict[str, Any] = {"lossless": True} if format == "WEBP" else {}
        if name == "b.tif":
            options = {"big_tiff": True}
        path = tmp_path / name
        pages[0].save(path, format, save_all=True, append_images=pages[1:], **options)
        header = read_header(path)
        assert header.pages == 3
        assert header.notes == (f"it has 3 {word}; the first is read",)
        assert header.format == ("JPEG" if format == "MPO" else format)
        if format == "MPO":
            assert np.abs(read_image(path).astype(int) - RGB).mean() < 60
        else:
            assert_image(read_image(path), RGB)


def test_pages_that_lead_round_in_circles_or_out(tmp_path: Path) -> None:
    data = bytearray(tiff_bytes(GREY.tobytes(), 17, 12))
    (first,) = struct.unpack_from("<I", data, 4)
    link = len(data) - 4  # where the next page would be
    for target, pages in ((first, 1), (len(data) + 1000, 2), (2**32 - 1, 2), (0, 1)):
        struct.pack_into("<I", data, link, target)
        path = tmp_path / "a.tif"
        path.write_bytes(data)
        start = time.perf_counter()
        assert read_header(path).pages <= pages
        assert time.perf_counter() - start < 5


def test_pages_are_counted_up_to_a_thousand(tmp_path: Path) -> None:
    data = bytearray(tiff_bytes(GREY.tobytes(), 17, 12))
    chained = bytearray()
    struct.pack_into("<I", data, len(data) - 4, len(data))
    for index in range(5000):
        chained += struct.pack("<HI", 0, len(data) + 6 * (index + 1))
    path = tmp_path / "a.tif"
    path.write_bytes(data + chained)
    start = time.perf_counter()
    assert read_header(path).notes == ("it has 1000 or more pages; the first is read",)
    assert_image(read_image(path), GREY)
    assert time.perf_counter() - start < 5


def test_suffix_of() -> None:
    assert [suffix_of(f) for f in FORMATS] == [".png", ".jpg", ".bmp", ".tif", ".webp"]
    with pytest.raises(BurnishError, match="GIF is not read; PNG, JPEG"):
        suffix_of("GIF")


# --- bad files ------------------------------------------------------------------------------------


def test_missing_folder_and_empty(tmp_path: Path) -> None:
    with pytest.raises(BurnishError, match=r"no such file.*x\.png"):
        read_image(tmp_path / "x.png")
    with pytest.raises(BurnishError, match="is a folder"):
        read_image(tmp_path)
    (tmp_path / "e.png").touch()
    with pytest.raises(BurnishError, match=r"e\.png is empty"):
        read_image(tmp_path / "e.png")
    with pytest.raises(BurnishError, match=r"cannot be read"):
        read_image(tmp_path / "e.png" / "below.png")
    with pytest.raises(BurnishError, match=r"cannot be read"):
        read_image(tmp_path / ("long" * 100 + ".png"))


def test_text_and_gif_named_png(tmp_path: Path) -> None:
    (tmp_path / "t.png").write_text("I am a text.\n" * 20)
    with pytest.raises(BurnishError, match=r"t\.png is not an image"):
        read_image(tmp_path / "t.png")
    Image.fromarray(GREY).save(tmp_path / "g.png", format="GIF")
    with pytest.raises(BurnishError, match=r"g\.png is not an image \(PNG, JPEG, BMP"):
        read_image(tmp_path / "g.png")


@pytest.mark.parametrize("suffix", [*LOSSLESS, "jpg"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_truncated(suffix: str, kept: float, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    data = save(tmp_path / f"whole.{suffix}", noise).read_bytes()
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(BurnishError, match=rf"cut\.{suffix}"):
        read_image(path)


@pytest.mark.parametrize("written", [0.3, 0.6, 0.9])
def test_a_png_whose_room_is_taken_but_not_filled_yet(written: float, tmp_path: Path) -> None:
    picture = Image.linear_gradient("L").rotate(30)
    data = save(tmp_path / "whole.png", picture).read_bytes()
    cut = int(written * len(data))
    path = tmp_path / "copied.png"
    path.write_bytes(data[:cut] + bytes(len(data) - cut))
    Image.open(path).load()  # Pillow sees no fault, and gives black rows
    for read in (read_image, read_with_header, read_once):
        with pytest.raises(BurnishError, match=r"copied\.png cannot be read: its pixels do not"):
            read(path)
    assert read_header(path).width == 256  # decodes nothing
    # Of the end that holds no pixels Pillow asks nothing either.
    path.write_bytes(data[:-13])
    assert np.array_equal(read_image(path), np.asarray(picture))


@pytest.mark.parametrize("written", [0.3, 0.6, 0.9])
def test_a_jpeg_whose_room_is_taken_but_not_filled_yet(written: float, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 100), dtype=np.uint8)
    preview = save(tmp_path / "preview.jpg", noise[:20]).read_bytes()  # its end is not the file's
    whole = save(tmp_path / "whole.jpg", noise, comment=preview)
    data = whole.read_bytes()
    at = len(preview) + int(written * (len(data) - len(preview)))
    path = tmp_path / "copied.jpg"
    path.write_bytes(data[:at] + bytes(len(data) - at))
    Image.open(path).load()  # Pillow sees no fault, and gives grey rows
    for read in (read_image, read_with_header, read_once):
        with pytest.raises(BurnishError, match=r"copied\.jpg cannot be read: its end is missing"):
            read(path)
    assert read_header(path).width == 100  # decodes nothing
    whole.write_bytes(data + bytes(1000))  # behind the end anything may follow
    assert np.array_equal(read_image(whole), np.asarray(Image.open(io.BytesIO(data))))


def test_truncated_picture_opened_by_the_caller(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    data = save(tmp_path / "whole.png", noise).read_bytes()
    with pytest.raises(BurnishError, match="cannot be read"):
        read_image(Image.open(io.BytesIO(data[: len(data) // 2])))


def test_too_many_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.png", GREY)
    monkeypatch.setattr(decoding, "MAX_PIXELS", GREY.size)
    read_image(path)
    monkeypatch.setattr(decoding, "MAX_PIXELS", GREY.size - 1)
    with pytest.raises(BurnishError, match=r"a\.png has 17 x 12 pixels; at most 203 are read"):
        read_image(path)


@pytest.mark.parametrize("side", [13_400, 100_000])
def test_a_small_file_that_claims_a_huge_image(tmp_path: Path, side: int) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png(side, side, 8, 0, b""))
    with pytest.raises(BurnishError, match=r"bomb\.png .*at most 178,000,000"):
        read_image(path)


def test_float_tiff_out_of_range_is_named(tmp_path: Path) -> None:
    unit = np.linspace(0, 1, 24, dtype=np.float32).reshape(4, 6)
    assert_image(read_image(save(tmp_path / "a.tif", unit)), np.round(unit * 255).astype(np.uint8))
    with pytest.raises(BurnishError, match=r"b\.tif.*\[0, 1\]"):
        read_image(save(tmp_path / "b.tif", unit * 100))


# --- hostile files: small, few pixels, and yet minutes or gigabytes -------------------------------


def crowded_tags(block: int, count: int) -> bytes:
    """A TIFF of 8 x 8 px with `count` further tags that all hold the same `block` bytes."""
    start = 8 + 2 + 12 * (9 + count) + 4  # of the pixels, and of the block
    entries = [(256, 8), (257, 8), (258, 8), (259, 1), (262, 1), (273, start), (277, 1), (278, 8),
               (279, 64)]  # fmt: skip
    tags = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries]
    tags += [struct.pack("<HHII", 40_000 + i, 7, block, start) for i in range(count)]
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    return head + b"".join(tags) + bytes(4) + b"\x80" * block


def with_exif(data: bytes, exif: bytes) -> bytes:
    """A PNG with an EXIF chunk behind its header."""
    chunk = b"eXIf" + exif
    end = len(exif).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    return data[:33] + end + data[33:]


@pytest.mark.parametrize("kind", ["tiff", "png"])
def test_tags_that_share_their_bytes_do_not_fill_the_memory(kind: str) -> None:
    """300 KB that Pillow before 13 reads as 400 MB; 1 MB would be 20 GB."""
    data, stream = crowded_tags(200_000, 2000), io.BytesIO()
    Image.new("L", (8, 8), 128).save(stream, "PNG")
    data = with_exif(stream.getvalue(), data) if kind == "png" else data
    tracemalloc.start()
    try:
        assert (read_image_bytes(data, "x") == 128).all()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20 * len(data)


def peak_and_time(path: Path) -> tuple[str, float, float]:
    """What `read_image` says, peak MiB and seconds, in a process of its own."""
    code = (
        "import resource, sys, time\n"
        "from burnish.errors import BurnishError\n"
        "from burnish.images.reader import read_image\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "before, start = peak(), time.perf_counter()\n"
        "try: said = read_image(sys.argv[1]).shape\n"
        "except BurnishError as error: said = error\n"
        "print(said, peak() - before, time.perf_counter() - start, sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
    )
    said, peak, seconds = done.stdout.rsplit("\n", 3)[:3]
    return said, float(peak), float(seconds)


def test_jpeg_of_thousands_of_scans(tmp_path: Path) -> None:
    """62 kB that took a minute: each scan goes over all 169 megapixels again."""
    file = io.BytesIO()
    Image.fromarray(GREY).resize((64, 64)).save(file, "JPEG", progressive=True)
    data = bytearray(file.getvalue())
    frame = data.index(b"\xff\xc2")
    data[frame + 5 : frame + 9] = struct.pack(">HH", 13_000, 13_000)
    last = data.rindex(b"\xff\xda")
    path = tmp_path / "a.jpg"
    scans = data[last : last + 12] * 5000
    path.write_bytes(data[:last] + scans + bytes(400_000) + b"\xff\xd9")
    said, _, seconds = peak_and_time(path)
    assert f"{path} is made of more than 100 scans" in said
    assert seconds < 5
    for scans, fine in ((80, True), (120, False)):
        (path).write_bytes(file.getvalue()[:-2] + data[last : last + 12] * scans + b"\xff\xd9")
        assert ("scans" in peak_and_time(path)[0]) != fine


def test_ordinary_progressive_jpeg(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x010E] = "\xff\xda" * 500  # in a segment, no scans
    path = save(
        tmp_path / "a.jpg", noise, progressive=True, exif=exif, icc_profile=b"\xff\xda" * 500
    )
    assert read_image(path).shape == (300, 300, 3)
    path.write_bytes(path.read_bytes() + b"\xff\xda\0\x02" * 500)  # behind the end, as a film is
    assert read_image(path).shape == (300, 300, 3)


def test_jpeg_of_many_segments(tmp_path: Path) -> None:
    data = save(tmp_path / "a.jpg", GREY).read_bytes()
    comment = b"\xff\xfe\0\x02"
    (tmp_path / "b.jpg").write_bytes(data[:2] + comment * 9_000 + data[2:])
    assert read_image(tmp_path / "b.jpg").shape == GREY.shape
    (tmp_path / "b.jpg").write_bytes(data[:2] + comment * 1_000_000 + data[2:])
    said, _, seconds = peak_and_time(tmp_path / "b.jpg")
    assert "10,000 segments" in said
    assert seconds < 5


def test_png_of_many_chunks(tmp_path: Path) -> None:
    data = save(tmp_path / "a.png", GREY).read_bytes()
    (tmp_path / "b.png").write_bytes(data[:33] + chunk(b"teST", b"") * 1_000_000 + data[33:])
    said, _, seconds = peak_and_time(tmp_path / "b.png")
    assert "more than 200,000 chunks" in said
    assert seconds < 10


@pytest.mark.parametrize(
    "kind", [b"zTXtk\0\0", b"iCCPk\0\0", b"iTXtk\0\1\0\0\0"], ids=["zTXt", "iCCP", "iTXt"]
)
def test_png_text_that_unpacks_to_much(kind: bytes, tmp_path: Path) -> None:
    text = zlib.compress(bytes(60 << 20), 1)
    data = save(tmp_path / "a.png", GREY).read_bytes()
    path = tmp_path / "b.png"
    path.write_bytes(data[:33] + chunk(kind[:4], kind[4:] + text) + data[33:])
    said, peak, _ = peak_and_time(path)
    assert str(path) in said
    assert peak < 40


def test_png_pixels_that_unpack_to_more_than_the_image(tmp_path: Path) -> None:
    rows = (b"\0" + bytes(4)) * 4
    path = tmp_path / "a.png"
    path.write_bytes(png(4, 4, 8, 0, rows + bytes(100 << 20)))
    said, peak, _ = peak_and_time(path)
    assert said == "(4, 4)"
    assert peak < 40


def test_too_few_bytes_for_so_many_pixels(tmp_path: Path) -> None:
    """Found by the fuzzer: 1.6 kB gave 168 megapixels, black where no data came, and took seconds.

    The other way round, images as empty as they can be must be read.
    """
    flat = Image.new("L", (4000, 4000))
    for suffix, options in (
        ("png", {"compress_level": 9}), ("jpg", {"quality": 1}), ("jpg", {"progressive": True}),
    ):  # fmt: skip
        path = save(tmp_path / f"a.{suffix}", flat, optimize=True, **options)
        assert read_image(path).shape == (4000, 4000)
        data = bytearray(path.read_bytes())
        if suffix == "png":
            data[16:24] = struct.pack(">II", 12_000, 12_000)
            data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
        else:
            frame = data.index(b"\xff\xc2" if "progressive" in options else b"\xff\xc0")
            data[frame + 5 : frame + 9] = struct.pack(">HH", 13_000, 13_000)
            data = data[:-2][: 13_000**2 // 512 - 2] + data[-2:]
        path.write_bytes(data)
        for read in (read_image, read_header):
            with pytest.raises(BurnishError, match=r"too little data for 1[23]000 x 1[23]000 px$"):
                read(path)


def test_rows_of_millions_of_pixels(tmp_path: Path) -> None:
    """Found by the fuzzer: a WebP of 1 kB took minutes; Pillow joins a row from small pieces."""
    frames = [Image.fromarray(RGB), Image.fromarray(255 - RGB)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    data = bytearray((tmp_path / "a.webp").read_bytes())
    data[24:27] = (14_000_000 - 1).to_bytes(3, "little")
    (tmp_path / "a.webp").write_bytes(data)
    for name, content in (
        ("a.webp", bytes(data)),
        ("b.tif", tiff_bytes(bytes(1000), 14_000_000, 12)),
        ("c.bmp", b"BM" + struct.pack("<IHHI", 54, 0, 0, 54)
         + struct.pack("<IiiHHIIiiII", 40, 14_000_000, 12, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(1000)),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(content)
        for read in (read_image, read_header):
            with pytest.raises(BurnishError, match=rf"{name} is 14,000,000 px wide; at most 500,0"):
                read(tmp_path / name)
    wide = np.zeros((2, 400_000, 3), np.uint8)
    for name in ("d.tif", "d.bmp"):
        assert read_image(save(tmp_path / name, wide)).shape == wide.shape


def test_tiff_of_many_strips(tmp_path: Path) -> None:
    """12 MB that took 23 s and 0.9 GiB."""
    path = tmp_path / "a.tif"
    offsets = struct.pack("<I", 8) * 3_000_000
    data = bytearray(tiff_bytes(offsets, 1, 3_000_000))
    strips = data.rindex(struct.pack("<HHI", 273, 4, 1))
    struct.pack_into("<I", data, strips + 4, 3_000_000)
    path.write_bytes(data)
    said, peak, seconds = peak_and_time(path)
    assert "more than 100,000 strips or tiles" in said
    assert peak < 40
    assert seconds < 5


def test_tiff_of_one_huge_tile(tmp_path: Path) -> None:
    """libtiff unpacks a whole tile, 3.6 GB, for an image of 16 x 16."""
    tile = zlib.compress(bytes(1 << 20))
    extra = [(322, 4, 1, 60_000), (323, 4, 1, 60_000), (324, 4, 1, 8), (325, 4, 1, len(tile))]
    path = tmp_path / "a.tif"
    path.write_bytes(tiff_bytes(tile, 16, 16, compression=8, extra=extra))
    with pytest.raises(BurnishError, match=r"a\.tif has tiles of 60000 x 60000 pixels"):
        read_image(path)


def test_tiff_that_lacks_strips(tmp_path: Path) -> None:
    """Found by the fuzzer: 750 bytes gave 117 megapixels, nearly all of them never written."""
    path = tmp_path / "a.tif"
    path.write_bytes(tiff_bytes(GREY.tobytes(), 17, 8_000_000, rows=12))
    for read in (read_image, read_header):
        with pytest.raises(BurnishError, match=r"a\.tif is damaged: strips or tiles of it are"):
            read(path)


def test_webp_that_claims_a_huge_canvas(tmp_path: Path) -> None:
    side = (65_534).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + side + side
    path = tmp_path / "a.webp"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    said, peak, _ = peak_and_time(path)
    assert f"{path} is too large" in said
    assert peak < 40


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    for path in (tmp_path / "a.png", Path("/dev/zero")):
        with pytest.raises(BurnishError, match="is a device or a pipe"):
            read_image(path)


def test_too_many_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    with path.open("wb") as file:
        file.write(save(tmp_path / "b.png", GREY).read_bytes())
        file.truncate(2 << 30)  # a hole, not on the disk
    for read in (read_image, read_header):
        with pytest.raises(BurnishError, match=r"a\.png has 2,147,483,648 bytes; at most 1,073"):
            read(path)


def test_bytes_that_are_no_image() -> None:
    for data, why in (
        (b"", "member is empty"), (b"I am a text.", "member is not an image"),
        (b"\x89PNG\r\n\x1a\n", "a PNG that is damaged"), (b"II*\0" + bytes(20), "a TIFF that is"),
    ):  # fmt: skip
        for read in (read_image_bytes, read_header_bytes):
            with pytest.raises(BurnishError, match=why):
                read(data, "member")


class Broken(io.BytesIO):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def seek(self, *_: int) -> int:
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        struct.error("x"), OverflowError("x"), MemoryError(), zlib.error("x"), IndexError("x"),
        KeyError("x"), RuntimeError("x"), TypeError("x"), RecursionError("x"), AssertionError(),
        OSError(5, "Input/output error"), UnicodeDecodeError("utf-8", b"x", 0, 1, "x"),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_whatever_a_decoder_raises(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding.io, "BytesIO", lambda _: Broken(error))
    with pytest.raises(BurnishError, match=r"^member cannot be read: .") as caught:
        read_image_bytes(b"x", "member")
    assert caught.value.__cause__ is error


def test_ctrl_c_goes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding.io, "BytesIO", lambda _: Broken(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        read_image_bytes(b"x", "member")


def test_pillow_is_left_as_it_was(tmp_path: Path) -> None:
    limits = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    filters = list(warnings.filters)
    paths = [save(tmp_path / f"{i}.png", GREY) for i in range(8)]
    (tmp_path / "7.png").write_bytes(png(13_000, 13_000, 8, 0, b""))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda p: [quietly(p) for _ in range(50)], paths))
    assert warnings.filters == filters  # catch_warnings alone is torn apart by threads
    assert limits == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)


def quietly(path: Path) -> None:
    with contextlib.suppress(BurnishError):
        read_header(path)


def test_a_large_image_gives_no_warning(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    path = tmp_path / "a.png"
    rows = zlib.compress(bytes(1)) + bytes(160_000)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 13_000, 13_000, 8, 0, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    assert read_header(path).width == 13_000  # Pillow warns above 89 megapixels
    assert len(recwarn) == 0


# --- pictures and arrays --------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB", "P", "PA"])
def test_picture_modes_give_rgb(mode: str) -> None:
    assert read_image(Image.new(mode, (5, 3))).shape == (3, 5, 3)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"])
def test_picture_modes_give_grey(mode: str) -> None:
    found = read_image(Image.new(mode, (5, 3)))
    assert found.shape == (3, 5)
    assert found.dtype == np.uint8


def test_arrays() -> None:
    assert_image(read_image(GREY), GREY)
    assert_image(read_image(GREY[..., None]), GREY)
    assert_image(read_image(RGB), RGB)
    assert_image(read_image(np.concatenate([RGB, RGB[..., :1]], axis=2)), RGB)
    assert_image(read_image(WIDE), (WIDE // 256).astype(np.uint8))
    unit = np.linspace(0, 1, 204).reshape(12, 17)
    for kind in (np.float16, np.float32, np.float64):
        expected = np.round(unit.astype(kind).astype(np.float64) * 255)
        assert np.abs(read_image(unit.astype(kind)) - expected).max() <= 1
    assert_image(read_image(RGB[:, ::-1].transpose(1, 0, 2)), RGB[:, ::-1].transpose(1, 0, 2))


def test_an_empty_picture() -> None:
    for mode in ("L", "RGB", "I"):
        with pytest.raises(BurnishError, match="0 x 3 px is no image"):
            read_image(Image.new(mode, (0, 3)))


def test_the_callers_array_is_not_shared() -> None:
    mine = GREY.copy()
    found = read_image(mine)
    found[:] = 0
    assert np.array_equal(mine, GREY)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 3, 2), np.uint8), np.zeros((2, 3, 5), np.uint8), np.zeros(9, np.uint8),
        np.zeros((1, 2, 3, 3), np.uint8), np.zeros((0, 4), np.uint8), np.zeros((), np.uint8),
        np.zeros((4, 4), np.int64), np.zeros((4, 4), bool), np.zeros((4, 4), np.int8),
        np.zeros((4, 4), complex), np.zeros((4, 4), object), np.full((4, 4), "a"),
        np.full((4, 4), 1.01), np.full((4, 4), -0.01), np.full((4, 4), np.nan),
        np.full((4, 4), np.inf), GREY.astype(float),
    ],
    ids=lambda a: f"{a.dtype}{a.shape}",
)  # fmt: skip
def test_arrays_that_are_no_images(array: np.ndarray) -> None:
    with pytest.raises(BurnishError, match=r"not an image|\[0, 1\]|no numbers"):
        read_image(array)


def test_what_pictures_and_arrays_leave_out() -> None:
    wide = GREY.astype(np.uint16) * 257
    for source in (Image.fromarray(wide), wide, wide.astype(">u2")):
        assert_image(read_image(source), GREY)
        assert notes_of(source) == ("it has 16 bits a channel; the upper 8 are read",)
    (note,) = notes_of(Image.fromarray(GREY.astype(np.int32)))
    assert "32 bits a pixel" in note
    for source in (Image.fromarray(GREY), GREY, Image.fromarray(RGB), GREY / 255.0):
        assert notes_of(source) == ()


def test_floats_out_of_range_are_told_with_their_range() -> None:
    with pytest.raises(BurnishError, match=r"not in \[-2, 7.5\]"):
        read_image(np.array([[-2.0, 7.5]]))


# --- preprocessing --------------------------------------------------------------------------------


def test_to_channels() -> None:
    assert to_channels(GREY, 1) is GREY
    assert to_channels(RGB, 3) is RGB
    assert_image(to_channels(GREY, 3), np.stack([GREY] * 3, axis=-1))
    luma = RGB @ np.array([0.299, 0.587, 0.114])  # ITU-R 601
    assert np.abs(to_channels(RGB, 1) - luma).max() <= 1


def test_resize_antialiases() -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    found = resize(stripes, 16, 8)
    assert found.shape == (16, 8)
    assert np.abs(found.astype(int) - 128).max() < 12  # point sampling would give 0 or 255
    assert resize(GREY, 12, 17) is GREY


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("image", [GREY, RGB], ids=["grey", "rgb"])
def test_prepare_resizes_and_puts_channels_first(image: np.ndarray, channels: int) -> None:
    found = prepare(image, channels, 24, 10)
    assert found.shape == (channels, 24, 10)
    assert found.dtype == np.uint8
    assert found.flags.c_contiguous
    expected = resize(to_channels(image, channels), 24, 10)
    assert np.array_equal(found, expected[None] if channels == 1 else expected.transpose(2, 0, 1))
