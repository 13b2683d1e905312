"""Find the part before a plain background, in each image anew: for parts lying at any place.

N. Otsu's threshold ("A Threshold Selection Method from Gray-Level Histograms", IEEE Transactions on
Systems, Man, and Cybernetics 9, 1979) cuts the grey levels in two; the side that the border of the
image shows is the background. Where the border shows both, or the two sides are not clearly apart,
there is no plain background and nothing is claimed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from burnish.images.reader import resize, to_channels
from burnish.images.statistics import histogram

PLAIN = 0.85
"""Share of the border that a plain background holds; the part may reach out of the image."""

APART = 0.6
"""Otsu's separability (variance between the sides over all variance) that counts as clear."""

GAP = 4.5
"""Distance of the part's mean from the background's, in the background's standard deviations. The
halves of a normal distribution are 2.6 apart; uneven light on magnetic tiles reaches 3.3, and the
least of MVTec AD's screws is 6.1 from its background."""

SHADOW = 0.3
"""Share of the way from Otsu's threshold to the part's mean by which the outline is drawn tighter:
the grey of a shadow lies between."""

WORKING_SIDE = 256
"""Shorter side, px, at which the outline is looked for; larger images are scaled down to it."""

SMALLEST, LARGEST = 0.02, 0.9
"""Share of the image that a part may cover."""


def find_part(image: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
    """Mask of the part; holes in it are filled, its outermost pixels are left out.

    Args:
        image: HxW or HxWx3.

    Returns:
        bool HxW, or None where there is no plain background.
    """
    from scipy import ndimage  # slow to import, and not needed for a first verdict

    height, width = image.shape[:2]
    scale = min(1.0, WORKING_SIDE / min(height, width))
    grey = resize(to_channels(image, 1), round(scale * height), round(scale * width))
    threshold, separability = otsu(histogram(grey))
    dark = grey <= threshold
    margin = max(1, min(grey.shape) // 64)
    ring = np.ones(grey.shape, dtype=np.bool_)
    ring[margin:-margin, margin:-margin] = False
    share = float(dark[ring].mean())
    part = ~dark if share > 0.5 else dark
    if max(share, 1.0 - share) < PLAIN or separability < APART:
        return None
    background, mean = grey[~part].astype(np.float32), float(grey[part].mean())
    if abs(mean - float(background.mean())) < GAP * float(background.std()):
        return None
    tighter = threshold + SHADOW * (mean - threshold)
    part = grey > tighter if share > 0.5 else grey <= tighter
    # Specks of background and glints on the part are not outlines.
    part = ndimage.binary_opening(part, iterations=margin)
    part = ndimage.binary_fill_holes(ndimage.binary_closing(part, iterations=margin))
    part = ndimage.binary_erosion(part)
    if not SMALLEST <= float(part.mean()) <= LARGEST:
        return None
    whole = Image.fromarray(part).resize((width, height), Image.Resampling.NEAREST)
    return np.array(whole)


def otsu_threshold(counts: NDArray[np.int64]) -> int:
    """The last value of the dark side, by Otsu.

    Computed in single float32 operations on whole numbers, exactly as the exported graph does
    (`export.turning`): exact for up to 2**16 pixels, close for more.

    Args:
        counts: int (256,), pixels of each value.
    """
    number = np.float32(counts.sum())
    below = np.cumsum(counts).astype(np.float32)
    sums = np.cumsum(counts * np.arange(256)).astype(np.float32)
    apart = number * sums - below * sums[-1]
    return int(np.argmax(apart * apart / np.maximum(below * (number - below), np.float32(1))))


def otsu(counts: NDArray[np.int64]) -> tuple[int, float]:
    """Otsu's threshold and separability.

    Args:
        counts: int (256,), pixels of each value, at least one.

    Returns:
        The last value of the dark side, and the share of all variance that lies between the two
        sides, 0 to 1; 0 for an image of one value.
    """
    threshold, values = otsu_threshold(counts), np.arange(256)
    share = counts / counts.sum()
    mean = float(share @ values)
    total = float(share @ (values - mean) ** 2)
    dark = values <= threshold
    below, sum_below = float(share[dark].sum()), float((share * values)[dark].sum())
    if total == 0.0 or below in (0.0, 1.0):
        return threshold, 0.0
    between = (mean * below - sum_below) ** 2 / (below * (1.0 - below))
    return threshold, between / total
