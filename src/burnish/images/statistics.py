"""Trivial statistics of an image, which tell pictures apart without looking at the part.

Images are uint8; a statistic is a float in the unit that `STATISTICS` names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from burnish.images.reader import to_channels

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike, NDArray

    from burnish.images.reader import Header

STRIP = 1 << 20  # pixels worked on at a time: memory stays flat however large the image
MAD_TO_SIGMA = 1.4826  # of a normal distribution
DIM = 32  # grey levels of 255; an image of 16 bits that stays below it uses few of them
LOSSLESS = ("PNG", "BMP", "TIFF")  # a WebP may be either; a TIFF is hardly ever lossy


@dataclass(frozen=True)
class Statistic:
    """Description of a statistic.

    Attributes:
        label: its name in a sentence.
        unit: of its values.
        of_pixels: whether it is computed from pixels, and so can leave some out; otherwise it is of
            the file or of the image's size.
        of_few: whether a small flaw alone can change it.
    """

    label: str
    unit: str
    of_pixels: bool = True
    of_few: bool = False


STATISTICS = {
    "mean": Statistic("mean brightness", "grey levels"),
    "spread": Statistic("spread of brightness", "grey levels", of_few=True),
    "darkest": Statistic("darkest pixel", "grey levels", of_few=True),
    "dark": Statistic("0.1 % quantile of brightness", "grey levels", of_few=True),
    "bright": Statistic("99.9 % quantile of brightness", "grey levels", of_few=True),
    "brightest": Statistic("brightest pixel", "grey levels", of_few=True),
    "sharpness": Statistic("sharpness", "variance of the Laplacian", of_few=True),
    "colour": Statistic("colourfulness", "grey levels"),
    "corner_top_left": Statistic("mean of the top left corner", "grey levels"),
    "corner_top_right": Statistic("mean of the top right corner", "grey levels"),
    "corner_bottom_left": Statistic("mean of the bottom left corner", "grey levels"),
    "corner_bottom_right": Statistic("mean of the bottom right corner", "grey levels"),
    "width": Statistic("image width", "px", of_pixels=False),
    "height": Statistic("image height", "px", of_pixels=False),
    "area": Statistic("image area", "px", of_pixels=False),
    "file_bytes": Statistic("file size", "bytes", of_pixels=False, of_few=True),
}


def statistics_of(
    image: NDArray[np.uint8], file_bytes: int = 0, leave_out: NDArray[np.bool_] | None = None
) -> dict[str, float]:
    """Every statistic of `STATISTICS` by name.

    Brightness is ITU-R 601 luma, 0 to 255. Quantiles are values that occur (inverted CDF).
    Sharpness is the variance of the 4-neighbour Laplacian inside the border. Colourfulness is the
    mean over pixels of the largest less the smallest channel. A corner is a square with an eighth
    of the shorter side.

    Args:
        image: HxW or HxWx3.
        file_bytes: size of the image file.
        leave_out: HxW; pixels that do not count. A statistic with no pixel left is NaN.
    """
    grey = to_channels(image, 1)
    height, width = grey.shape
    keep = None if leave_out is None else ~leave_out
    corner = max(1, min(height, width) // 8)
    top, bottom = slice(None, corner), slice(height - corner, None)
    left, right = slice(None, corner), slice(width - corner, None)
    return {
        **_of_histogram(histogram(grey, keep)),
        "sharpness": sharpness(grey, keep),
        "colour": _colourfulness(image, keep),
        "corner_top_left": _mean(grey, keep, top, left),
        "corner_top_right": _mean(grey, keep, top, right),
        "corner_bottom_left": _mean(grey, keep, bottom, left),
        "corner_bottom_right": _mean(grey, keep, bottom, right),
        "width": float(width),
        "height": float(height),
        "area": float(width * height),
        "file_bytes": float(file_bytes),
    }


def has_colour(image: NDArray[np.uint8]) -> bool:
    """Whether any pixel of uint8 HxW or HxWx3 is not grey."""
    return image.ndim == 3 and bool((image != image[..., :1]).any())


def bytes_follow_pixels(headers: Iterable[Header]) -> bool:
    """Whether file sizes depend on little else than what the pixels show: all files have one
    lossless format, mode, depth, size in pixels and number of pages. False for no files.

    A flaw then changes the size of its file, as texture takes bytes.
    """
    kinds = {(h.format, h.mode, h.bits, h.width, h.height, h.pages) for h in headers}
    return len(kinds) == 1 and next(iter(kinds))[0] in LOSSLESS


def histogram(grey: NDArray[np.uint8], keep: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    """Number of pixels of each of the 256 values, of those that `keep` (HxW) marks."""
    counts = np.zeros(256, np.int64)
    for rows in _strips(*grey.shape):
        chosen = grey[rows].ravel() if keep is None else grey[rows][keep[rows]]
        counts += np.bincount(chosen, minlength=256)
    return counts


def sharpness(grey: NDArray[np.uint8], keep: NDArray[np.bool_] | None = None) -> float:
    """Variance of the 4-neighbour Laplacian over pixels that have four neighbours, all kept.

    Returns:
        0 for less than 3 px a side; NaN when no pixel is kept.
    """
    height, width = grey.shape
    if min(height, width) < 3:
        return 0.0
    count, total, squares = 0, 0.0, 0.0
    for rows in _strips(height - 2, width):
        block = grey[rows.start : rows.stop + 2].astype(np.int16)
        edges = _sum_of_neighbours(block) - 4 * block[1:-1, 1:-1]
        if keep is not None:
            out = (~keep[rows.start : rows.stop + 2]).astype(np.int16)
            edges = edges[(_sum_of_neighbours(out) + out[1:-1, 1:-1]) == 0]
        count += edges.size
        total += float(edges.sum(dtype=np.int64))
        squares += float(np.square(edges, dtype=np.int32).sum(dtype=np.int64))
    return squares / count - (total / count) ** 2 if count else float("nan")


def auroc(positive: ArrayLike, negative: ArrayLike) -> float:
    """Chance that a value of `positive` exceeds one of `negative`, ties counting half.

    NaNs are left out.

    Returns:
        In [0, 1]; NaN when either side is empty.
    """
    above, below = _finite(positive), np.sort(_finite(negative))
    if not above.size or not below.size:
        return float("nan")
    won = np.searchsorted(below, above, "left") + np.searchsorted(below, above, "right")
    return float(won.sum() / (2 * above.size * below.size))


def robust_z(values: ArrayLike, reference: ArrayLike, least: float = 1e-9) -> NDArray[np.float64]:
    """Distance from the reference's median in robust standard deviations (1.4826 MAD).

    Args:
        values: any shape; NaN stays NaN.
        reference: what is normal; at least one finite value.
        least: lower bound of the standard deviation.
    """
    normal = _finite(reference)
    centre = np.median(normal)
    sigma = max(MAD_TO_SIGMA * float(np.median(np.abs(normal - centre))), least)
    return (np.asarray(values, np.float64) - centre) / sigma


def number(value: float) -> str:
    """Three significant digits or more, no exponent: 184, 0.0123, 28,457."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _of_histogram(counts: NDArray[np.int64]) -> dict[str, float]:
    pixels = int(counts.sum())
    if pixels == 0:
        return dict.fromkeys(("mean", "spread", "darkest", "dark", "bright", "brightest"), np.nan)
    values = np.arange(256)
    mean = float(values @ counts / pixels)
    reached = np.cumsum(counts)

    def quantile(share: float) -> float:  # the least value with at least this share at or below it
        return float(np.searchsorted(reached, share * pixels - 1e-9))

    occurring = np.flatnonzero(counts)
    return {
        "mean": mean,
        "spread": float(np.sqrt(np.square(values - mean) @ counts / pixels)),
        "darkest": float(occurring[0]),
        "dark": quantile(0.001),
        "bright": quantile(0.999),
        "brightest": float(occurring[-1]),
    }


def _colourfulness(image: NDArray[np.uint8], keep: NDArray[np.bool_] | None) -> float:
    if image.ndim == 2:
        return 0.0
    total, count = 0, 0
    for rows in _strips(*image.shape[:2]):
        block = image[rows]
        range_HW = block.max(axis=2) - block.min(axis=2)
        chosen = range_HW if keep is None else range_HW[keep[rows]]
        total, count = total + int(chosen.sum(dtype=np.int64)), count + chosen.size
    return total / count if count else float("nan")


def _mean(
    grey: NDArray[np.uint8], keep: NDArray[np.bool_] | None, rows: slice, columns: slice
) -> float:
    block = grey[rows, columns]
    chosen = block if keep is None else block[keep[rows, columns]]
    return float(chosen.mean(dtype=np.float64)) if chosen.size else float("nan")


def _sum_of_neighbours(block: NDArray[np.int16]) -> NDArray[np.int16]:
    return block[:-2, 1:-1] + block[2:, 1:-1] + block[1:-1, :-2] + block[1:-1, 2:]


def _strips(height: int, width: int) -> list[slice]:
    step = max(1, STRIP // max(width, 1))
    return [slice(at, min(at + step, height)) for at in range(0, height, step)]


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, np.float64).ravel()
    return array[np.isfinite(array)]
