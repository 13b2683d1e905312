"""Open image files safely: checks before any decoder runs, and one error for whatever fails.

Formats are allow-listed and told by content; bytes and pixels are capped before anything is
decoded. Files are opened here, not by Pillow, which would map them into memory: a mapped file that
shrinks kills the process.
"""

from __future__ import annotations

import io
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from PIL import Image, UnidentifiedImageError

from burnish.errors import BurnishError
from burnish.images.reading.guards import claimed_format, guard

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

SUFFIXES_OF = {
    "PNG": (".png",), "JPEG": (".jpg", ".jpeg"), "BMP": (".bmp",), "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
}  # fmt: skip
FORMATS = tuple(SUFFIXES_OF)  # decoders a hostile file may reach
SUFFIXES = tuple(suffix for suffixes in SUFFIXES_OF.values() for suffix in suffixes)
MAX_BYTES = 1 << 30
MAX_WIDTH = 500_000  # px; Pillow's time grows with the square of a row's bytes
MAX_PIXELS = 178_000_000  # just below the size at which Pillow itself refuses

TILE_WIDTH, TILE_LENGTH = 322, 323  # TIFF tags


def suffix_of(format: str) -> str:
    """The usual suffix of a format: "JPEG" -> ".jpg".

    Raises:
        BurnishError: the format is not read.
    """
    if format not in SUFFIXES_OF:
        raise BurnishError(f"{format} is not read; {', '.join(FORMATS)} are")
    return SUFFIXES_OF[format][0]


def format_of(image: Image.Image) -> str:
    """One of `FORMATS`: a JPEG that carries further pictures (Pillow's "MPO") is a JPEG."""
    return "JPEG" if image.format == "MPO" else str(image.format)


@contextmanager
def opened(source: Path | bytes, name: str) -> Iterator[tuple[ImageFile, BinaryIO]]:
    """Open an image file and check it; any exception in the body becomes a `BurnishError` too.

    Args:
        source: a file, whose suffix must not contradict its content, or the content of one.
        name: what to call it in errors.

    Yields:
        The picture, not decoded yet; the file it reads from.

    Raises:
        BurnishError: missing, a folder, a device, empty, over 1 GiB, 178 megapixels or 500,000 px
            a row, of an unsupported format or another than its suffix says, damaged, or built such
            that decoding would take minutes (see `guards`).
    """
    try:
        with _file(source, name) as file, warnings_silenced():
            size = file.seek(0, io.SEEK_END)
            if size == 0:
                raise BurnishError(f"{name} is empty (0 bytes)")
            _check_bytes(size, name)
            guard(file, name, MAX_PIXELS)
            with _identified(file, name) as image:
                _check_pixels(image, name)
                if format_of(image) == "TIFF":
                    _check_whole(image, name)
                if isinstance(source, Path):
                    check_suffix(source, format_of(image))
                yield image, file
    except BurnishError:
        raise
    except FileNotFoundError as error:
        raise BurnishError(f"no such file: {name}") from error
    except Image.DecompressionBombError as error:
        raise BurnishError(
            f"{name} is too large: at most {MAX_PIXELS:,} pixels are read"
        ) from error
    except MemoryError as error:
        raise BurnishError(f"{name} cannot be read: not enough memory") from error
    # On hostile bytes decoders raise anything: struct.error, zlib.error, IndexError, TypeError, ...
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise BurnishError(f"{name} cannot be read: {reason}") from error


def file_bytes(path: Path) -> bytes:
    """All bytes of the file of an image or a mask.

    Raises:
        BurnishError: it cannot be read, is no file, or is larger than any that is read.
    """
    try:
        with _file(path, str(path)) as file:
            _check_bytes(file.seek(0, io.SEEK_END), str(path))
            file.seek(0)
            return file.read()
    except OSError as error:
        raise BurnishError(f"{path} cannot be read: {error.strerror or error}") from error


def _check_bytes(size: int, name: str) -> None:
    if size > MAX_BYTES:
        raise BurnishError(f"{name} has {size:,} bytes; at most {MAX_BYTES:,} are read")


def _file(source: Path | bytes, name: str) -> BinaryIO:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    kind = source.stat().st_mode
    if stat.S_ISDIR(kind):
        raise BurnishError(f"{name} is a folder, not an image")
    if not stat.S_ISREG(kind):  # opening a pipe would wait for ever
        raise BurnishError(f"{name} is a device or a pipe, not an image file")
    return source.open("rb")


def _identified(file: BinaryIO, name: str) -> ImageFile:
    try:
        return Image.open(file, formats=FORMATS)
    except UnidentifiedImageError as error:
        file.seek(0)
        claimed = claimed_format(file.read(8))
        if claimed is None:
            raise BurnishError(f"{name} is not an image ({', '.join(FORMATS)} are read)") from error
        raise BurnishError(
            f"{name} cannot be read: a {claimed} that is damaged, or of a rare kind; "
            "open it in an image editor and save it as PNG"
        ) from error


def _check_pixels(image: ImageFile, name: str) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise BurnishError(
            f"{name} has {image.width} x {image.height} pixels; at most {MAX_PIXELS:,} are read"
        )
    rows = [tile[1][2] - tile[1][0] for tile in image.tile if tile[1]]  # as `size` may be turned
    if (widest := max([image.width, *rows])) > MAX_WIDTH:
        raise BurnishError(f"{name} is {widest:,} px wide; at most {MAX_WIDTH:,} are read")
    tags = getattr(image, "tag_v2", {})
    width, length = (tags.get(tag, 1) for tag in (TILE_WIDTH, TILE_LENGTH))
    if width * length > MAX_PIXELS:  # libtiff allocates a whole tile, however small the image
        raise BurnishError(
            f"{name} has tiles of {width} x {length} pixels; at most {MAX_PIXELS:,} are read"
        )


def _check_whole(image: ImageFile, name: str) -> None:
    """Refuse a TIFF with missing strips or tiles: Pillow would leave those pixels black."""
    boxes = [tile[1] for tile in image.tile]
    covered = sum((box[2] - box[0]) * (box[3] - box[1]) for box in boxes if box)
    if covered < image.width * image.height:
        raise BurnishError(f"{name} is damaged: strips or tiles of it are missing")


def format_of_suffix(suffix: str) -> str | None:
    """The format that a file's suffix, with the dot, names; None if it is not one that is read."""
    return next((f for f, known in SUFFIXES_OF.items() if suffix.lower() in known), None)


def check_suffix(path: Path, format: str) -> None:
    """Make sure that a file's suffix does not contradict its content.

    Raises:
        BurnishError: it does.
    """
    claimed = format_of_suffix(path.suffix)
    if claimed not in (None, format):
        raise BurnishError(
            f"{path} holds a {format}, not a {claimed}: "
            f"rename it to {path.with_suffix(suffix_of(format)).name}"
        )


_silence_lock = threading.Lock()
_silence: list[warnings.catch_warnings] = []
_silence_users = 0


@contextmanager
def warnings_silenced() -> Iterator[None]:
    """Silence Pillow's warnings while any thread is inside; errors are raised anyway.

    `warnings.catch_warnings` alone is not thread-safe: it swaps one global list of filters.
    """
    global _silence_users
    with _silence_lock:
        _silence_users += 1
        if _silence_users == 1:
            _silence.append(warnings.catch_warnings())
            _silence[0].__enter__()
            warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        yield
    finally:
        with _silence_lock:
            _silence_users -= 1
            if _silence_users == 0:
                _silence.pop().__exit__(None, None, None)
