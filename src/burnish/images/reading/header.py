"""The header of an image file, read without decoding its pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from PIL import ExifTags, Image

from burnish.images.reading.decoding import format_of
from burnish.images.reading.guards import (
    MAX_PAGES,
    check_jpeg_end,
    check_png_sums,
    png_chunks,
    tiff_pages,
)

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

UPPER_8 = "it has 16 bits a channel; the upper 8 are read"
OF_32 = "it has 32 bits a pixel; the upper 8 of their lower 16 are read, larger values cut"
MAX_EXIF = 1 << 20  # bytes

TIFF_WIDTH, TIFF_LENGTH, TIFF_BITS = 256, 257, 258  # tags
PNG_BITS = 24  # offset of the bit depth, always in the first chunk

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}  # fmt: skip
"""What the values of EXIF's Orientation ask for; 1 asks for nothing."""


@dataclass(frozen=True)
class Header:
    """An image file without its pixels.

    Attributes:
        format: "PNG", "JPEG", "BMP", "TIFF" or "WEBP", by content.
        mode: Pillow's: "L", "RGB", "I;16", "P", ...
        bits: per channel, as stored: 1, 8 (also for fewer and for a palette), 16 or 32.
        width, height: px, after EXIF orientation, as `read_image` gives them.
        pages: pages of a TIFF, frames of a WebP or PNG, pictures in a JPEG; counted up to 1000.
    """

    format: str
    mode: str
    bits: int
    width: int
    height: int
    pages: int

    @property
    def is_grey(self) -> bool:
        """Whether it cannot hold colour; a palette can, even if all its entries are grey."""
        return is_grey(self.mode)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what reading it as one page of 8 bits leaves out."""
        notes = []
        if self.pages > 1:
            word = "pages" if self.format == "TIFF" else "frames"
            count = f"{MAX_PAGES} or more" if self.pages >= MAX_PAGES else self.pages
            notes.append(f"it has {count} {word}; the first is read")
        if self.bits == 16:
            notes.append(UPPER_8)
        if self.bits == 32 and self.mode == "I":
            notes.append(OF_32)
        return tuple(notes)


def is_grey(mode: str) -> bool:
    """Whether pictures of this Pillow mode cannot hold colour."""
    return mode in ("1", "L", "LA", "La", "I", "F") or mode.startswith("I;16")


def header_of(image: ImageFile, file: BinaryIO) -> Header:
    """Describe an opened picture; decodes no pixel.

    Args:
        image: not loaded yet.
        file: where it reads from; its position is kept.
    """
    before = file.tell()
    format, mode, (width, height) = format_of(image), image.mode, image.size
    if format == "TIFF":  # versions of Pillow differ in whether `size` is already turned
        tags = getattr(image, "tag_v2", {})
        width, height = tags[TIFF_WIDTH], tags[TIFF_LENGTH]
    if _orientation(image, file) in (5, 6, 7, 8):
        width, height = height, width
    bits = _bits(image, file, format)
    # Pillow would parse every page of a TIFF to count them.
    tiff = format == "TIFF"
    pages = sum(1 for _ in tiff_pages(file)) if tiff else getattr(image, "n_frames", 1)
    file.seek(before)
    pages = max(1, min(pages, MAX_PAGES))
    return Header(format, mode, bits, width, height, pages)


def upright(image: Image.Image, file: BinaryIO | None = None) -> Image.Image:
    """The decoded picture, turned as its EXIF orientation asks.

    Args:
        file: where it reads from; given as to `header_of`, so that both find the same
            orientation.

    Raises:
        ValueError: a PNG whose pixels are not those that were written, or a JPEG without its end.
    """
    if format_of(image) == "TIFF":  # Pillow turns a TIFF itself, on loading
        image.load()
        return image
    turn = TURNS.get(_orientation(image, file))
    if file is not None and image.format == "PNG":
        check_png_sums(file)
    if file is not None and format_of(image) == "JPEG":
        check_jpeg_end(file)
    image.load()
    return image if turn is None else image.transpose(turn)


def _orientation(image: Image.Image, file: BinaryIO | None) -> int:
    """Value of EXIF's Orientation, 1 where there is none; decodes nothing if `file` is given."""
    try:
        if file is not None and format_of(image) == "PNG":
            # A PNG's own method decodes every pixel to look for EXIF behind them.
            image.info.update(_png_exif(file))
            exif = Image.Image.getexif(image)
        else:
            exif = image.getexif()
        value = exif.get(ExifTags.Base.Orientation, 1)
    except Exception:  # damaged EXIF: the pixels are fine, so take them as they are
        return 1
    return value if isinstance(value, int) else 1


def _png_exif(file: BinaryIO) -> dict[str, bytes]:
    """The last EXIF chunk of a PNG, before or after the pixels: `{"exif": ...}`, or empty."""
    before, found = file.tell(), {}
    for kind, at, length in png_chunks(file):
        if kind == b"eXIf" and length <= MAX_EXIF:
            file.seek(at)
            found = {"exif": b"Exif\0\0" + file.read(length)}
    file.seek(before)
    return found


def _bits(image: ImageFile, file: BinaryIO, format: str) -> int:
    """Bits per channel as stored, rounded up to 1, 8, 16 or 32."""
    if image.mode == "1":
        return 1
    stored = 8
    if format == "PNG":
        file.seek(PNG_BITS)
        stored = file.read(1)[0]
    elif format == "TIFF":
        tag = getattr(image, "tag_v2", {}).get(TIFF_BITS, 8)
        stored = max(tag) if isinstance(tag, tuple) else tag
    return 8 if stored <= 8 else 16 if stored <= 16 else 32
