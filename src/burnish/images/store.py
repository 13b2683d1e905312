"""Good images decoded once and kept as uint8."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from burnish.errors import BurnishError
from burnish.images.reader import prepare, read_image
from burnish.settings import Settings

SSIM_WINDOW = 11  # px; a narrower input would have no place where the loss's window fits


@dataclass(frozen=True)
class ImageStore:
    """Images as the model sees them.

    Attributes:
        pixels: uint8 (N, C, H, W).
        paths: N files, in the same order.
        skipped: message of every file that could not be read.
        sizes: distinct (height, width) of the files.
    """

    pixels: NDArray[np.uint8]
    paths: list[Path]
    skipped: list[str]
    sizes: list[tuple[int, int]]


def model_size(sizes: Sequence[tuple[int, int]], settings: Settings) -> tuple[int, int]:
    """(height, width) of the model's input in px, multiples of both patch sides.

    With aspect=keep the median aspect of `sizes` at about image_size**2 pixels.
    """
    side, unit = settings.image_size, math.lcm(settings.patch, settings.disc_patch)
    if settings.aspect == "square":
        return side, side
    ratio = median(h / w for h, w in sizes) ** 0.5
    least = math.ceil(SSIM_WINDOW / unit) * unit
    height, width = (max(least, round(side * f / unit) * unit) for f in (ratio, 1 / ratio))
    return height, width


def load_store(paths: Sequence[Path], settings: Settings, minimum: int) -> ImageStore:
    """Read every image; unreadable ones are left out and named in `skipped`.

    Raises:
        BurnishError: fewer than `minimum` of the images can be read.
    """

    def read(path: Path) -> NDArray[np.uint8] | str:
        try:
            return read_image(path)
        except BurnishError as error:
            return str(error)

    # Two passes keep memory flat: sizes and colour first, then pixels at the model's size.
    with ThreadPoolExecutor(8) as pool:
        looks = list(pool.map(lambda p: _look(read(p)), paths))
        skipped = [look for look in looks if isinstance(look, str)]
        good = [p for p, look in zip(paths, looks, strict=True) if not isinstance(look, str)]
        seen = [look for look in looks if not isinstance(look, str)]
        if len(good) < minimum:
            raise BurnishError(
                f"only {len(good)} of {len(paths)} images can be read; at least {minimum} are "
                "needed. " + "; ".join(skipped[:5])
            )
        grey = all(is_grey for _, is_grey in seen)
        channels = {"grey": 1, "rgb": 3, "auto": 1 if grey else 3}[settings.colour]
        height, width = model_size([size for size, _ in seen], settings)
        if max(settings.mask_blocks) >= min(height, width):
            raise BurnishError(
                f"mask_blocks {settings.mask_blocks} do not fit the model's input of {height} x "
                f"{width} px (height x width): choose smaller blocks or a larger image_size"
            )
        pixels = np.stack(
            list(pool.map(lambda p: prepare(read_image(p), channels, height, width), good))
        )
    return ImageStore(pixels, good, skipped, sorted({size for size, _ in seen}))


def _look(image: NDArray[np.uint8] | str) -> tuple[tuple[int, int], bool] | str:
    if isinstance(image, str):
        return image
    grey = image.ndim == 2 or bool((image == image[..., :1]).all())
    return (image.shape[0], image.shape[1]), grey
