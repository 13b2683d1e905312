"""Pictures for the page: thumbnails, mask outlines and histograms, small enough to embed."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from burnish.checks.shortcuts import Contrast
from burnish.images.reader import to_channels
from burnish.images.statistics import number

SIDE = 320  # px of a thumbnail's longer side: sharp at half that size
MARK = np.array([213, 94, 0], dtype=np.uint8)  # Okabe-Ito vermillion
BINS = 32
WIDTH, HEIGHT = 320.0, 96.0  # of a histogram, in its own units


@dataclass(frozen=True)
class Histogram:
    """Two groups' values of one statistic, as outlines to draw.

    Attributes:
        title: what is counted, and how well it tells the groups apart.
        low, high: ends of the axis, as text.
        first, second: SVG path data, each scaled to its group's share, within 320 x 96.
    """

    title: str
    low: str
    high: str
    first: str
    second: str


def thumbnail(image: NDArray[np.uint8], mask: NDArray[np.bool_] | None = None) -> str:
    """An image made small, with the outline of its mask where both have one size: a data URI."""
    height, width = image.shape[:2]
    factor = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    if factor < 1:
        image = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))
    if mask is not None and mask.shape == (height, width) and mask.any():
        picture = to_channels(image, 3).copy()
        picture[_outline(_reduced(mask, size))] = MARK
        return _uri(picture)
    return _uri(image)


def mask_picture(mask: NDArray[np.bool_]) -> str:
    """A mask alone, white where it marks something: a data URI."""
    height, width = mask.shape
    factor = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return _uri(_reduced(mask, size).astype(np.uint8) * 255)


def histogram(contrast: Contrast) -> Histogram:
    """Both groups of a contrast over one axis, 32 bins wide."""
    low, high = _range(contrast)
    edges = np.linspace(low, high, BINS + 1)
    shares = [
        np.histogram(np.clip(values, low, high), edges)[0] / len(values)
        for values in (contrast.first, contrast.second)
    ]
    top = max(float(share.max()) for share in shares)
    first, second = (_path(share / top) for share in shares)
    label = contrast.about.label
    title = f"{label[0].upper()}{label[1:]}, AUROC {contrast.strength:.3f}"
    return Histogram(title, number(low), f"{number(high)} {contrast.about.unit}", first, second)


def _range(contrast: Contrast) -> tuple[float, float]:
    """The range of the values, without outliers beyond 40 times the usual spread."""
    values = np.concatenate((contrast.first, contrast.second))
    low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
    reach = 4 * max(float(high - low), 1e-9)
    least, most = max(values.min(), middle - reach), min(values.max(), middle + reach)
    return (float(least), float(most)) if most > least else (float(least), float(least) + 1)


def _path(heights: NDArray[np.float64]) -> str:
    step = WIDTH / len(heights)
    points = [f"M0,{HEIGHT:g}"]
    for at, height in enumerate(heights):
        y = f"{HEIGHT * (1 - float(height)):.1f}"
        points.append(f"L{at * step:g},{y}L{(at + 1) * step:g},{y}")
    return "".join(points) + f"L{WIDTH:g},{HEIGHT:g}Z"


def _reduced(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Shrink a mask such that no marked pixel vanishes."""
    if size == mask.shape[::-1]:
        return mask
    wide = Image.fromarray(mask.astype(np.uint8) * 255).convert("F")
    return np.asarray(wide.resize(size, Image.Resampling.BOX)) > 0


def _outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels just outside of what is marked, so that it stays visible."""
    from scipy.ndimage import binary_dilation

    grown: NDArray[np.bool_] = binary_dilation(mask, np.ones((3, 3), bool), iterations=2)
    inner: NDArray[np.bool_] = binary_dilation(mask, np.ones((3, 3), bool))
    edge = grown & ~inner
    return edge if edge.any() else mask


def _uri(picture: NDArray[np.uint8]) -> str:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=82, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
