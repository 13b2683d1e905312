"""One way to read an image: path, PIL image or array -> trustworthy uint8 array."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from burnish.errors import BurnishError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")  # decoders a hostile file may reach
MAX_PIXELS = 178_000_000  # just below the size at which Pillow itself refuses


def read_image(source: str | Path | Image.Image | NDArray[Any]) -> NDArray[np.uint8]:
    """Read an image as uint8.

    Args:
        source: a file (PNG, JPEG, BMP, TIFF, WebP; EXIF orientation is applied, of several pages
            the first is read), a PIL image, or an array HxW, HxWx1, HxWx3 (RGB) or HxWx4 of uint8,
            uint16 (full range) or float in [0, 1]. 16 bits become 8 by dropping the lower ones;
            an alpha channel is dropped.

    Returns:
        uint8 HxW (grey) or HxWx3 (RGB).

    Raises:
        BurnishError: missing, empty, truncated, not an image, larger than 178 megapixels, or an
            array of another shape, type or range.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, Image.Image):
        try:
            return _from_pil(ImageOps.exif_transpose(source))
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise BurnishError(f"the image cannot be read: {error}") from error
    path = Path(source)
    try:
        if path.is_dir():
            raise BurnishError(f"{path} is a folder, not an image")
        if path.stat().st_size == 0:
            raise BurnishError(f"{path} is empty (0 bytes)")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the cap below speaks for Pillow's bomb warning
            with Image.open(path, formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise BurnishError(
                        f"{path} has {image.width} x {image.height} pixels; "
                        f"at most {MAX_PIXELS:,} are read"
                    )
                try:
                    return _from_pil(ImageOps.exif_transpose(image))
                except BurnishError as error:
                    raise BurnishError(f"{path}: {error}") from error
    except FileNotFoundError as error:
        raise BurnishError(f"no such file: {path}") from error
    except UnidentifiedImageError as error:
        raise BurnishError(f"{path} is not an image ({', '.join(FORMATS)} are read)") from error
    except Image.DecompressionBombError as error:
        raise BurnishError(
            f"{path} is too large: at most {MAX_PIXELS:,} pixels are read"
        ) from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BurnishError(f"{path} cannot be read: {reason}") from error


def _from_pil(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode == "I" or image.mode.startswith("I;16"):
        wide = np.asarray(image).astype(np.int64)
        return (np.clip(wide, 0, 65535) >> 8).astype(np.uint8)
    if image.mode == "F":
        return _from_array(np.asarray(image))
    if image.mode in ("1", "L", "LA", "La"):
        return np.array(image.convert("L"))
    return np.array(image.convert("RGB"))


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
    if array.dtype == np.uint16:
        return (array >> 8).astype(np.uint8)
    if array.dtype.kind == "f":
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise BurnishError("a float image must lie in [0, 1]; convert it, or give uint8")
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
