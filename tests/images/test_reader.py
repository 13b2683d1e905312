"""One way to read images: every kind a camera or editor writes, and every way a file can be bad."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from burnish.errors import BurnishError
from burnish.images import decoding
from burnish.images.reader import (
    prepare,
    read_header,
    read_header_bytes,
    read_image,
    read_image_bytes,
    resize,
    suffix_of,
    to_channels,
)

GREY = np.random.default_rng(0).integers(0, 256, (12, 17), dtype=np.uint8)
RGB = np.random.default_rng(1).integers(0, 256, (12, 17, 3), dtype=np.uint8)
WIDE = np.random.default_rng(2).integers(0, 65536, (12, 17), dtype=np.uint16)
LOSSLESS = ["png", "bmp", "tif", "tiff", "webp"]


def save(path: Path, image: Image.Image | np.ndarray, **options: Any) -> Path:
    picture = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    picture.save(path, **({"lossless": True} if path.suffix == ".webp" else {}) | options)
    return path


def png(width: int, height: int, bits: int, colour: int, rows: bytes) -> bytes:
    """A PNG written by hand, for what Pillow cannot write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


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
    for read in (read_image, read_header):
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


def test_truncated_picture_opened_by_the_caller(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    data = save(tmp_path / "whole.png", noise).read_bytes()
    with pytest.raises(BurnishError, match="cannot be read"):
        read_image(Image.open(io.BytesIO(data[: len(data) // 2])))


def test_no_damage_leads_to_a_traceback(tmp_path: Path) -> None:
    rng, refused = np.random.default_rng(0), 0
    wholes = []
    for suffix, image in (("png", RGB), ("jpg", RGB), ("tif", WIDE), ("webp", RGB), ("bmp", GREY)):
        wholes.append(save(tmp_path / f"whole.{suffix}", image).read_bytes())
    for index in range(300):
        data = bytearray(wholes[index % 5])
        for _ in range(int(rng.integers(1, 8))):
            data[rng.integers(min(len(data), 200))] = rng.integers(256)
        path = tmp_path / f"{index}.png"
        path.write_bytes(data)
        try:
            assert read_image(path).dtype == np.uint8
        except BurnishError as error:
            assert str(path) in str(error)  # noqa: PT017
            refused += 1
    assert refused > 50


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
    with pytest.raises(BurnishError, match=r"not an image|\[0, 1\]"):
        read_image(array)


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
def test_prepare(image: np.ndarray, channels: int) -> None:
    found = prepare(image, channels, 24, 10)
    assert found.shape == (channels, 24, 10)
    assert found.dtype == np.uint8
    assert found.flags.c_contiguous
    expected = resize(to_channels(image, channels), 24, 10)
    assert np.array_equal(found, expected[None] if channels == 1 else expected.transpose(2, 0, 1))
