"""The region of interest: which pixels show the part, and which clamp, background or edge."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from burnish.errors import BurnishError
from burnish.images.formats.masks import mask_of_file
from burnish.images.png import png_bytes
from burnish.images.reader import read_image, read_image_bytes, to_channels

Region = NDArray[np.bool_]

_POINT = r"-?\d+(?:\.\d+)?,-?\d+(?:\.\d+)?"
_POLYGON = re.compile(rf"\s*{_POINT}(?:[\s;]+{_POINT})*\s*")


def load_roi(text: str, sizes: Sequence[tuple[int, int]]) -> Region:
    """The region that `text` describes, for images of the given sizes.

    Args:
        text: path of a mask image (black outside), or a polygon "x,y x,y x,y ..." in px of an image
            of the commonest size.
        sizes: (height, width) of the images: of one shape, give or take 3 %; the region is scaled.

    Returns:
        bool HxW, True inside: at the commonest size for a polygon, at its own for a mask image.

    Raises:
        BurnishError: no such file, fewer than three corners, a region that holds nothing, or one
            that does not fit the images.
    """
    if _POLYGON.fullmatch(text):
        region = _polygon(text, Counter(sizes).most_common(1)[0][0])
    elif (file := roi_file(text)) is not None:
        mask = to_channels(read_image(file), 1)
        region = mask > int(mask.max()) // 2  # 0/255 or 0/1, whatever a JPEG's noise
        if not mask.any():  # 16 bits of which only the lower 8 are used
            region = mask_of_file(file.read_bytes(), text)
    else:
        raise BurnishError(f"roi '{text}' is neither a file nor a polygon 'x,y x,y x,y' in px")
    for height, width in sorted(set(sizes)):
        ratio = (height / width) / (region.shape[0] / region.shape[1])
        if not 0.97 < ratio < 1.03:
            raise BurnishError(
                f"roi {text} is for {region.shape[1]}x{region.shape[0]} px and an image is "
                f"{width}x{height}: one region fits only images of one shape"
            )
    if not region.any():
        raise BurnishError(f"roi '{text}' marks nothing: no pixel of the images lies inside")
    return region


def roi_file(text: str) -> Path | None:
    """The mask image that `text` names; None for a polygon, or where there is no such file."""
    # Not Path.is_file, which raises if a polygon is too long for a file name.
    return Path(text) if not _POLYGON.fullmatch(text) and os.path.isfile(text) else None


def _polygon(text: str, size: tuple[int, int]) -> Region:
    corners = [tuple(map(float, point.split(","))) for point in re.split(r"[\s;]+", text.strip())]
    if len(corners) < 3:
        raise BurnishError(f"roi '{text}' has {len(corners)} corners; a polygon needs three")
    height, width = size
    canvas = Image.new("1", (width, height))
    ImageDraw.Draw(canvas).polygon([(x, y) for x, y in corners], fill=1)
    return np.array(canvas)


def fit_roi(region: Region, height: int, width: int) -> Region:
    """The region at another size: bool (height, width).

    A pixel is inside if all pixels that `reader.resize` mixes into it are: no clamp leaks in.
    """
    if region.shape == (height, width):
        return region
    picture = Image.fromarray(region.astype(np.uint8) * 255)
    small = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR)) == 255
    if not small.any():
        raise BurnishError(
            f"the roi vanishes at {width}x{height} px: no pixel lies wholly inside it; "
            "mark a larger region, or use a larger image_size or tiles"
        )
    return small


def regions_at(region: Region | None) -> Callable[[int, int], Region | None]:
    """A function (height, width) -> the region at that size, see `fit_roi`, or None: all counts.

    Regions of the last few sizes are cached: sizes rarely differ, and memory must not grow.
    """
    if region is None:
        return lambda height, width: None
    return lru_cache(maxsize=4)(lambda height, width: fit_roi(region, height, width))


def pack_roi(region: Region) -> NDArray[np.uint8]:
    """The region as the bytes of a PNG, for the model file: uint8 (n,)."""
    return np.frombuffer(png_bytes(Image.fromarray(region)), dtype=np.uint8).copy()


def unpack_roi(packed: NDArray[np.uint8]) -> Region:
    """The inverse of `pack_roi`.

    Raises:
        BurnishError: the bytes are damaged.
    """
    return read_image_bytes(packed.tobytes(), "the model's roi") > 0
