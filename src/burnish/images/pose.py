"""Pose of a part: its place and direction, measured on its outline.

The arithmetic uses whole numbers and single float32 operations, so that an exported graph, which
does the same with tensors (`burnish.export.turning`), finds the same view.

Shapes: h x w the *working size*, at which outlines are looked for; H x W the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from burnish.images.background import LARGEST, SHADOW, SMALLEST, otsu_threshold
from burnish.images.statistics import histogram

ODD = 3
"""Features of a part that change sign when it is turned by 180 degrees, see `Pose.features`."""

REACH = 96
"""Steps of a pixel, sideways or slanting, that the background is followed by from the border."""

SQUARE = np.ones((3, 3), dtype=np.bool_)
Float = NDArray[np.float32]
_F = np.float32


@dataclass(frozen=True)
class Pose:
    """Place and direction of a part at the working size.

    Attributes:
        x, y: centroid of the outline's area, px from the image's top left corner.
        along: unit vector (x, y) of its longer axis; (1, 0) for parts that are not turned.
        found: whether there is an outline; if not, the pose is the image's centre, unturned.
        features: `ODD` numbers: skewness along the axis, how much wider and how much brighter the
            part is ahead than behind.
    """

    x: float
    y: float
    along: tuple[float, float]
    found: bool = True
    features: tuple[float, ...] = (0.0,) * ODD

    def reversed(self) -> Pose:
        """The same part, seen from its other end."""
        along, features = (-self.along[0], -self.along[1]), tuple(-f for f in self.features)
        return Pose(self.x, self.y, along, self.found, features)


def silhouette(grey: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Mask of the part at the working size: the side of Otsu's threshold that the border is not.

    Unlike `find_part`, asks nothing of the background. Holes are filled, as a bright flaw would
    move the centroid: a hole is what cannot be reached from the border in `REACH` steps.

    Args:
        grey: uint8 (h, w).

    Returns:
        bool (h, w).
    """
    from scipy import ndimage  # slow to import; models that do not align do not need it

    threshold = otsu_threshold(histogram(grey))
    dark = grey <= threshold
    ring = border(grey.shape)
    part = ~dark if 2 * int(dark[ring].sum()) > int(ring.sum()) else dark
    count = max(int(part.sum()), 1)
    mean = _F(int(grey[part].sum(dtype=np.int64))) / _F(count)
    tighter = _F(threshold) + _F(SHADOW) * (mean - _F(threshold))
    part = np.where(mean > threshold, grey > tighter, grey <= tighter)
    part = ndimage.binary_opening(part, structure=SQUARE)
    outside = ndimage.binary_dilation(
        border(part.shape) & ~part, structure=SQUARE, iterations=REACH, mask=~part
    )
    return ~outside


def border(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The outermost two pixels of a picture: bool (h, w)."""
    ring = np.ones(shape, dtype=np.bool_)
    ring[2:-2, 2:-2] = False
    return ring


def find_pose(grey: NDArray[np.uint8], turned: bool) -> Pose:
    """Find the pose of the part in a picture at the working size.

    The axis is the principal axis of the outline's second moments; which of its ends points ahead
    is left open (`Pose.reversed`).

    Args:
        grey: uint8 (h, w).
        turned: whether the axis is looked for.
    """
    part = silhouette(grey)
    height, width = part.shape
    count = int(part.sum())
    if not SMALLEST <= _F(count) / _F(part.size) <= LARGEST:
        return Pose(width / 2, height / 2, (1.0, 0.0), found=False)
    rows, columns = np.nonzero(part)
    # Integer sums about an integer centre are exact, and small enough for float32 to hold.
    x0, y0 = int(columns.sum()) // count, int(rows.sum()) // count
    dx, dy = columns - x0, rows - y0
    n = _F(count)
    mx, my = _F(int(dx.sum())) / n, _F(int(dy.sum())) / n
    middle = (_F(x0) + mx + _F(0.5), _F(y0) + my + _F(0.5))
    if not turned:
        return Pose(float(middle[0]), float(middle[1]), (1.0, 0.0))
    sxx = _F(int((dx * dx).sum())) / n - mx * mx
    syy = _F(int((dy * dy).sum())) / n - my * my
    sxy = _F(int((dx * dy).sum())) / n - mx * my
    cos, sin = _half_angle(sxx - syy, _F(2) * sxy)
    levels = grey[part].astype(_F)
    features = odd_features(dx.astype(_F) - mx, dy.astype(_F) - my, cos, sin, levels)
    return Pose(
        float(middle[0]),
        float(middle[1]),
        (float(cos), float(sin)),
        features=tuple(map(float, features)),
    )


def _half_angle(a: _F, b: _F) -> tuple[_F, _F]:
    """Cosine and sine of half the angle of (a, b), without losing digits."""
    length = np.maximum(np.sqrt(a * a + b * b), _F(1e-20))
    ratio = a / length
    larger = np.sqrt((_F(1) + np.abs(ratio)) / _F(2))
    smaller = b / length / (_F(2) * larger)
    return (larger, smaller) if a >= 0 else (smaller, larger)


def odd_features(dx: Float, dy: Float, cos: _F, sin: _F, levels: Float) -> Float:
    """`Pose.features`, from the offsets of the part's n pixels to its centroid and their levels."""
    t, u = dx * cos + dy * sin, dy * cos - dx * sin
    spread, width = np.sqrt((t * t).mean()) + _F(1e-6), (u * u).mean() + _F(1e-6)
    contrast = levels - levels.mean()
    contrast /= np.sqrt((contrast * contrast).mean()) + _F(1e-6)
    t = t / spread
    return np.stack([(t * t * t).mean(), (t * u * u).mean() / width, (t * contrast).mean()])
