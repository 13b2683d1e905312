"""One way to read an image: path, PIL image or array -> trustworthy uint8 array."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from burnish.errors import BurnishError
from burnish.images.reading.decoding import (
    FORMATS,
    MAX_BYTES,
    SUFFIXES,
    check_suffix,
    format_of,
    opened,
    suffix_of,
    warnings_silenced,
)
from burnish.images.reading.header import (
    OF_32,
    TIFF_BITS,
    UPPER_8,
    Header,
    header_of,
    is_grey,
    upright,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "FORMATS", "MAX_BYTES", "SUFFIXES", "Header", "notes_of",
    "prepare", "prepare_picture", "read_header", "read_header_bytes", "read_image",
    "read_image_bytes", "read_once", "read_with_header", "resize", "suffix_of", "to_channels",
]  # fmt: skip

BAND = 1 << 24  # pixels converted at a time: whole, the copies of a large image need gigabytes
TIFF_PHOTOMETRIC, TIFF_SAMPLE_FORMAT = 262, 339  # tags


def read_image(source: str | Path | Image.Image | NDArray[Any]) -> NDArray[np.uint8]:
    """Read an image as uint8.

    Args:
        source: a file (PNG, JPEG, BMP, TIFF, WebP; EXIF orientation is applied, of several pages
            the first is read), a PIL image, or an array HxW, HxWx1, HxWx3 (RGB) or HxWx4 of uint8,
            uint16 (full range) or float in [0, 1]. 16 bits become 8 by dropping the lower ones,
            what is negative or above 65535 is clipped; an alpha channel is dropped.

    Returns:
        uint8 HxW (grey) or HxWx3 (RGB).

    Raises:
        BurnishError: missing, empty, truncated, not an image, over 1 GiB or 178 megapixels, a file
            whose suffix names another format than it holds, or an array of another shape, type or
            range.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, Image.Image):
        if 0 in source.size:
            raise BurnishError(f"a picture of {source.width} x {source.height} px is no image")
        try:
            with warnings_silenced():
                return _from_pil(upright(source))
        except BurnishError:
            raise
        except Exception as error:  # Pillow decodes only here, and may raise anything
            raise BurnishError(f"the image cannot be read: {error}") from error
    if not isinstance(source, str | Path):
        raise BurnishError(
            f"a file, a PIL image or a NumPy array is needed, not {type(source).__name__}"
        )
    return _read(Path(source), str(source))


def notes_of(source: Image.Image | NDArray[Any]) -> tuple[str, ...]:
    """Sentences on what `read_image` drops of a picture or array; of files see `Header.notes`."""
    if isinstance(source, Image.Image):
        if source.mode.startswith("I;16"):
            return (UPPER_8,)
        return (OF_32,) if source.mode == "I" else ()
    return (UPPER_8,) if source.dtype.kind == "u" and source.dtype.itemsize == 2 else ()


def read_with_header(path: str | Path) -> tuple[NDArray[np.uint8], Header]:
    """`read_image` and `read_header` of a file, opened once; raises as they do."""
    name = str(path)
    with opened(Path(path), name) as (image, file):
        header = header_of(image, file)
        try:
            return _from_pil(upright(image, file)), header
        except BurnishError as error:
            raise BurnishError(f"{name}: {error}") from error


def read_image_bytes(data: bytes, name: str) -> NDArray[np.uint8]:
    """Read the content of an image file (a member of an archive, say); see `read_image`.

    The content alone decides what it is, whatever `name` ends in.

    Args:
        name: what to call it in errors.

    Returns:
        uint8 HxW (grey) or HxWx3 (RGB).

    Raises:
        BurnishError: as `read_image`.
    """
    return _read(bytes(data), name)


def read_header(path: str | Path) -> Header:
    """What an image file is, without decoding its pixels.

    Raises:
        BurnishError: as `read_image`, but for damage that only decoding shows.
    """
    return _header(Path(path), str(path))


def read_header_bytes(data: bytes, name: str) -> Header:
    """What the content of an image file is, without decoding its pixels; `format` by content.

    Raises:
        BurnishError: as `read_image_bytes`, but for damage that only decoding shows.
    """
    return _header(bytes(data), name)


@dataclass(frozen=True)
class Reading:
    """An image file that was read from the disk once.

    Attributes:
        status: of the file.
        sha256: of its content, in hex.
        image: mode L or RGB, the same pixels as `read_image` gives; large images as arrays would
            be copied several times on the way to the model's size.
    """

    header: Header
    status: os.stat_result
    sha256: str
    image: Image.Image


def read_once(path: str | Path, before: Callable[[Header], None] = lambda header: None) -> Reading:
    """Everything about an image file, read from the disk once.

    Args:
        before: called with the header before the pixels are decoded.

    Raises:
        BurnishError: as `read_image`.
    """
    path, name = Path(path), str(path)
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
            raise OSError
        with open(path, "rb", buffering=0) as raw:
            status, data = os.fstat(raw.fileno()), raw.read()
    except OSError as error:
        read_header(path)  # says what is wrong
        raise BurnishError(f"{name} cannot be read: {error.strerror or 'it changed'}") from error
    with opened(data, name) as (image, file):
        check_suffix(path, format_of(image))
        header = header_of(image, file)
        before(header)
        try:
            picture = upright(image, file)
            if picture.mode not in ("L", "RGB"):
                picture = Image.fromarray(_from_pil(picture))
        except BurnishError as error:
            raise BurnishError(f"{name}: {error}") from error
    return Reading(header, status, hashlib.sha256(data).hexdigest(), picture)


def _read(source: Path | bytes, name: str) -> NDArray[np.uint8]:
    with opened(source, name) as (image, file):
        try:
            return _from_pil(upright(image, file))
        except BurnishError as error:
            raise BurnishError(f"{name}: {error}") from error


def _header(source: Path | bytes, name: str) -> Header:
    with opened(source, name) as (image, file):
        return header_of(image, file)


def _from_pil(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode == "F":
        wide = np.asarray(image)
        return _from_array(1 - wide if _white_is_zero(image) else wide)
    integers = image.mode == "I" or image.mode.startswith("I;16")
    mode = image.mode if integers else "L" if is_grey(image.mode) else "RGB"
    shape = (image.height, image.width, 3)[: 3 if mode == "RGB" else 2]
    array = np.empty(shape, np.uint8)
    rows = max(1, BAND // image.width)
    for top in range(0, image.height, rows):
        band = image
        if rows < image.height:
            band = image.crop((0, top, image.width, min(top + rows, image.height)))
        pixels = np.asarray(band if band.mode == mode else band.convert(mode))
        array[top : top + rows] = _narrowed(pixels, image) if integers else pixels
    return array


def _narrowed(wide: NDArray[Any], image: Image.Image) -> NDArray[np.uint8]:
    """The upper 8 of 16 or 12 bits; a TIFF's tags tell which, as Pillow's mode does not."""
    tags = getattr(image, "tag_v2", {})
    bits, signs = tags.get(TIFF_BITS), tags.get(TIFF_SAMPLE_FORMAT, (1,))
    if bits == (32,) and signs == (1,):  # Pillow's 32 bits are signed
        wide = wide.view(np.uint32)
    narrow = (np.clip(wide, 0, 65535) >> (4 if bits == (12,) else 8)).astype(np.uint8)
    return 255 - narrow if _white_is_zero(image) else narrow


def _white_is_zero(image: Image.Image) -> bool:
    """Whether 0 is white in a TIFF. Pillow inverts these with 8 bits, but not with more."""
    return getattr(image, "tag_v2", {}).get(TIFF_PHOTOMETRIC) == 0


def _from_array(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim == 3 and array.shape[2] == 4:
        array = array[..., :3]
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)) or array.size == 0:
        raise BurnishError(
            f"an array of shape {array.shape} is not an image: HxW, HxWx1, HxWx3 or HxWx4 is wanted"
        )
    if array.dtype == np.uint8:
        return array.copy()
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:  # either byte order
        return (array >> 8).astype(np.uint8)
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise BurnishError("a float image holds values that are no numbers (NaN or infinite)")
        low, high = array.min(), array.max()
        if low < 0 or high > 1:
            raise BurnishError(
                f"a float image must lie in [0, 1], not in [{low:g}, {high:g}]; convert it, or "
                "give uint8"
            )
        return np.round(array * 255).astype(np.uint8)
    raise BurnishError(
        f"an array of {array.dtype} is not an image: uint8, uint16 or float is wanted"
    )


def to_channels(image: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """HxW or HxWx3 -> HxW (1 channel, ITU-R 601 luma) or HxWx3 (3 channels)."""
    if channels == 1 and image.ndim == 3:
        return np.asarray(Image.fromarray(image).convert("L"))
    if channels == 3 and image.ndim == 2:
        return np.repeat(image[..., None], 3, axis=2)
    return image


def resize(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resize HxW(x3) uint8 with antialiasing (Pillow, bilinear)."""
    if image.shape[:2] == (height, width):
        return image
    resized = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized)


def prepare(image: NDArray[np.uint8], channels: int, height: int, width: int) -> NDArray[np.uint8]:
    """The preprocessing of training and inspection alike: uint8 (channels, height, width)."""
    array = resize(to_channels(image, channels), height, width)
    return array[None] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))


def prepare_picture(
    image: Image.Image, channels: int, height: int, width: int
) -> NDArray[np.uint8]:
    """`prepare` for a PIL image of mode L or RGB: the same pixels, with fewer copies."""
    if channels == 1 and image.mode == "RGB":
        image = image.convert("L")
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    array = np.asarray(image)
    if array.ndim == 2:
        return np.broadcast_to(array, (channels, height, width))
    return np.ascontiguousarray(array.transpose(2, 0, 1))
