"""Alignment: bring every part to the same place and direction, and map results back.

Parts that lie before a plain background at any place and angle are found in each image anew
(`burnish.images.pose`), turned to one direction and cut out; what a detector finds is put back to
where the part lay. Shapes: h x w the working size, V x U the model's input, H x W the image.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from burnish.images.background import find_part
from burnish.images.pose import ODD, Pose, find_pose, silhouette
from burnish.images.reader import resize, to_channels

WORKING_SIDE = 128  # shorter side, px, at which outlines are looked for
LOOKED_AT = 128  # training images, at most, that an alignment is learnt from
NEARLY_ALL = 0.95  # share of them in which the part must be found
ELONGATED = 1.3  # ratio of the axes' lengths from which on a part has a direction
MARGIN = 0.06  # of the part's length, round the farthest outlines
STILL = 0.01  # of the image's side: parts that lie so alike need no alignment
AT_ONCE = 1 << 20  # pixels put back at a time: memory stays flat, however large the image
LONGEST, LARGEST_SCALE = 1024, 64  # of the working size, px, and of `Alignment.scale`
CLOSE_UP = 0.7  # parts that lie alike and fill more than this share of the image are left as is

_F = np.float32


class Alignment(BaseModel):
    """How parts are brought into one view; saved with the model.

    Attributes:
        height, width: the working size, px.
        turned: whether parts are turned to their longer axis, or only moved.
        ahead: weights of `Pose.features` whose sum is positive when a part lies the right way.
        left, top: corner of the view from the part's middle, px of the working size, along and
            across its axis.
        scale: px of the view per px of the working size.
        size: (V, U) of the view, px.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    height: int = Field(ge=1, le=LONGEST)
    width: int = Field(ge=1, le=LONGEST)
    turned: bool
    ahead: tuple[float, ...] = Field(min_length=ODD, max_length=ODD)
    left: float
    top: float
    scale: float = Field(gt=0, le=LARGEST_SCALE)
    size: tuple[int, int]

    @property
    def enlarged(self) -> tuple[int, int]:
        """(height, width) at which an image has the scale of the view."""
        return round(self.height * self.scale), round(self.width * self.scale)

    def _pose(self, large: NDArray[np.uint8]) -> Pose:
        """The pose of the part in a grey image of the size `enlarged`, the right way round."""
        small = resize(large, self.height, self.width)
        found = find_pose(small, self.turned)
        ahead = sum(_F(a) * _F(f) for a, f in zip(self.ahead, found.features, strict=True))
        return found.reversed() if ahead < 0 else found

    def view(self, image: NDArray[np.uint8], channels: int) -> tuple[NDArray[np.uint8], Pose]:
        """The preprocessing of an aligned model: uint8 (channels, V, U), and the part's pose.

        Args:
            image: HxW or HxWx3.
        """
        image = to_channels(image, channels)
        large = resize(image, *self.enlarged)
        pose = self._pose(large if channels == 1 else resize(to_channels(image, 1), *self.enlarged))
        levels = large[None] if large.ndim == 2 else large.transpose(2, 0, 1)
        rows, columns = self._places(pose)
        seen = sample(levels.astype(_F), rows, columns)
        return np.floor(seen + _F(0.5)).astype(np.uint8), pose

    def _places(self, pose: Pose) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Where each pixel of the view lies in the enlarged image: row and column, px."""
        height, width = self.size
        scale, (cos, sin) = _F(self.scale), map(_F, pose.along)
        t = (np.arange(width, dtype=_F) + _F(0.5)) / scale + _F(self.left)
        u = (np.arange(height, dtype=_F) + _F(0.5)) / scale + _F(self.top)
        x = _F(pose.x) + t * cos - u[:, None] * sin
        y = _F(pose.y) + t * sin + u[:, None] * cos
        high, wide = self.enlarged
        return (
            y * _F(high / self.height) - _F(0.5),
            x * _F(wide / self.width) - _F(0.5),
        )

    def put_back(
        self, maps: NDArray[np.float32], pose: Pose, height: int, width: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Maps of the view as they lie on the image.

        Args:
            maps: float32 (K, V, U).
            pose: of the part in the image.

        Returns:
            Maps, float32 (K, height, width), with the view's edge values continued outside of it;
            and the view's weight at each pixel, float32 (height, width): 0 outside of the view, 1
            from the centres of its outermost pixels inwards. A ramp, not a step: rounding in the
            last digit must not decide whether a pixel counts.
        """
        back = np.empty((len(maps), height, width), dtype=_F)
        weight = np.empty((height, width), dtype=_F)
        scale, (cos, sin) = _F(self.scale), map(_F, pose.along)
        x = (np.arange(width, dtype=_F) + _F(0.5)) * _F(self.width / width) - _F(pose.x)
        y = (np.arange(height, dtype=_F) + _F(0.5)) * _F(self.height / height) - _F(pose.y)
        band = max(1, AT_ONCE // width)
        for first in range(0, height, band):
            some = slice(first, first + band)
            down = y[some, None]
            columns = (x * cos + down * sin - _F(self.left)) * scale - _F(0.5)
            rows = (down * cos - x * sin - _F(self.top)) * scale - _F(0.5)
            back[:, some] = sample(maps, rows, columns)
            within = [
                np.minimum(places + _F(0.5), _F(length - 0.5) - places)
                for places, length in zip((rows, columns), self.size, strict=True)
            ]
            weight[some] = (2 * np.minimum(*within)).clip(0, 1)
        return back, weight


def sample(
    maps: NDArray[np.float32], rows: NDArray[np.float32], columns: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Bilinear interpolation; places beyond the border take the nearest pixel.

    Args:
        maps: float32 (K, h, w).
        rows, columns: float32 (V, U), px; 0 is the centre of the first pixel.

    Returns:
        float32 (K, V, U).
    """
    height, width = maps.shape[1:]
    rows, columns = rows.clip(0, height - 1), columns.clip(0, width - 1)
    top, left = np.floor(rows), np.floor(columns)
    down, across = rows - top, columns - left
    y0, x0 = top.astype(np.int64), left.astype(np.int64)
    y1, x1 = np.minimum(y0 + 1, height - 1), np.minimum(x0 + 1, width - 1)
    upper = maps[:, y0, x0] * (1 - across) + maps[:, y0, x1] * across
    lower = maps[:, y1, x0] * (1 - across) + maps[:, y1, x1] * across
    return np.asarray(upper * (1 - down) + lower * down, dtype=_F)


@dataclass(frozen=True)
class Look:
    """A training image at the working size.

    Attributes:
        size: (height, width) of the file, px.
        grey: uint8 (h, w).
        has_part: whether a part before a plain background was found in it.
    """

    size: tuple[int, int]
    grey: NDArray[np.uint8]
    has_part: bool


def look_at(images: Iterable[NDArray[np.uint8]]) -> list[Look]:
    """Shrink training images to what `learn_alignment` needs; none is kept at its own size.

    Stops as soon as so many images show no part that no alignment can be learnt.

    Args:
        images: HxW or HxWx3, at most `LOOKED_AT`.
    """
    looks: list[Look] = []
    for image in images:
        height, width = image.shape[:2]
        scale = WORKING_SIDE / min(height, width)
        if scale * max(height, width) > LONGEST:
            looks.append(Look((height, width), np.zeros((1, 1), dtype=np.uint8), False))
        else:
            grey = resize(to_channels(image, 1), round(scale * height), round(scale * width))
            looks.append(Look((height, width), grey, find_part(image) is not None))
        if sum(not look.has_part for look in looks) > (1 - NEARLY_ALL) * LOOKED_AT:
            break
    return looks


def side_for(own: float, sides: tuple[int, int], unit: int) -> int:
    """Side of the model's input, px, for images or parts whose area has the root `own` px.

    Args:
        own: px.
        sides: least and largest side that may be chosen, px.
        unit: the side is a multiple of it, px.
    """
    return max(sides[0], int(min(own, sides[1])) // unit * unit)


def learn_alignment(
    looks: list[Look], sides: tuple[int, int], unit: int, square: bool, least: int = 1
) -> Alignment | None:
    """Learn how to align parts that lie before a plain background; None where that makes no sense.

    Args:
        sides: least and largest side of a square of as many pixels as the view, see `side_for`.
        unit: its sides are multiples of it.
        square: whether the view is one.
        least: px that each side must have.

    Returns:
        None if the part is not found in nearly all images, if it lies alike in all and fills them,
        or if images or parts are too long and thin.
    """
    if not looks or sum(look.has_part for look in looks) < NEARLY_ALL * len(looks):
        return None
    height, width = _working_size(looks)
    greys = [resize(look.grey, height, width) for look in looks]
    found = [(grey, pose) for grey in greys if (pose := find_pose(grey, True)).found]
    if len(found) < NEARLY_ALL * len(looks):
        return None
    outlines, poses = [silhouette(grey) for grey, _ in found], [pose for _, pose in found]
    turned, ahead = median(map(_elongation, outlines, poses)) >= ELONGATED, _direction(poses)
    if turned:
        poses = [p.reversed() if np.dot(ahead, p.features) < 0 else p for p in poses]
    else:
        poses = [replace(pose, along=(1.0, 0.0)) for pose in poses]
    low, high = _extent(outlines, poses)
    length, breadth = map(float, high - low)
    share = float(np.prod(high - low)) / (height * width)
    if share > CLOSE_UP and _lie_alike(poses, min(height, width)):
        return None
    own = median(min(look.size) for look in looks) / min(height, width)  # px per working px
    side = side_for(own * math.sqrt(length * breadth), sides, unit)
    size = (side, side) if square else _view_size(breadth / length, side, unit, least)
    scale = min(size[1] / length, size[0] / breadth)
    if scale > LARGEST_SCALE:
        return None
    middle = (low + high) / 2
    return Alignment(
        height=height,
        width=width,
        turned=turned,
        ahead=tuple(ahead.tolist()),
        left=float(middle[0]) - size[1] / scale / 2,
        top=float(middle[1]) - size[0] / scale / 2,
        scale=scale,
        size=size,
    )


def _working_size(looks: list[Look]) -> tuple[int, int]:
    """(height, width) of the median aspect, the shorter side `WORKING_SIDE` px."""
    ratio = median(look.size[0] / look.size[1] for look in looks)
    height, width = (round(WORKING_SIDE * max(1.0, r)) for r in (ratio, 1 / ratio))
    return height, width


def _extent(
    outlines: list[NDArray[np.bool_]], poses: list[Pose]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least and largest (t, u) that any part reaches along and across its axis, plus `MARGIN`."""
    reach = np.stack(list(map(_reach, outlines, poses)))
    low, high = reach[:, :2].min(axis=0), reach[:, 2:].max(axis=0)
    margin = MARGIN * float((high - low).max())
    return low - margin, high + margin


def _lie_alike(poses: list[Pose], side: int) -> bool:
    """Whether all parts have the same place and direction; `side`: the image's shorter one, px."""
    places = np.array([[p.x, p.y, *(side * a for a in p.along)] for p in poses])
    return bool(places.std(axis=0).max() < STILL * side)


def _view_size(ratio: float, side: int, unit: int, least: int) -> tuple[int, int]:
    """(height, width) of that ratio with about side**2 pixels: multiples of `unit` from `least`."""
    sides = (side * math.sqrt(r) / unit for r in (ratio, 1 / ratio))
    height, width = (max(math.ceil(least / unit), round(s)) * unit for s in sides)
    return height, width


def _direction(poses: list[Pose]) -> NDArray[np.float64]:
    """Weights of the features whose sum best tells the two ends of a part apart, float64 (ODD,).

    Turning a part round changes the sign of all features at once. So the combination that is
    farthest from 0 is sought: the first eigenvector of their second moments about 0.
    """
    features = np.array([pose.features for pose in poses], dtype=np.float64)
    axis = np.linalg.eigh(features.T @ features)[1][:, -1]
    return axis * (1.0 if axis[np.abs(axis).argmax()] > 0 else -1.0)


def _spots(
    outline: NDArray[np.bool_], pose: Pose
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pixels of a part along and across its axis, px from its middle."""
    rows, columns = np.nonzero(outline)
    dx, dy = columns + 0.5 - pose.x, rows + 0.5 - pose.y
    cos, sin = pose.along
    return dx * cos + dy * sin, dy * cos - dx * sin


def _elongation(outline: NDArray[np.bool_], pose: Pose) -> float:
    t, u = _spots(outline, pose)
    return float(t.std() / max(u.std(), 1e-6))


def _reach(outline: NDArray[np.bool_], pose: Pose) -> NDArray[np.float64]:
    """How far a part reaches: least t, least u, most t, most u."""
    t, u = _spots(outline, pose)
    return np.array([t.min(), u.min(), t.max(), u.max()])
