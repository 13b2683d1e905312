"""Learn an `Alignment` from training images whose parts lie before a plain background.

Shapes: h x w the working size, V x U the model's input.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
from numpy.typing import NDArray

from burnish.images.alignment import LARGEST_SCALE, LONGEST, Alignment, cells_of
from burnish.images.background import find_part
from burnish.images.dial_learning import learn_dial
from burnish.images.pose import Pose, find_pose, silhouette
from burnish.images.reader import resize, to_channels

WORKING_SIDE = 128  # shorter side, px, at which outlines are looked for
LOOKED_AT = 128  # training images, at most, that an alignment is learnt from
NEARLY_ALL = 0.95  # share of them in which the part must be found
ELONGATED = 1.3  # ratio of the axes' lengths from which on a part has a direction
BESIDE = 0.04  # of the part's length: so far beside parts the view is judged too
SEEN_IN = 0.02  # share of the parts that must reach a place for it to count as theirs
MARGIN = 0.06  # of the part's length, round the farthest outlines
STILL = 0.01  # of the image's side: parts that lie so alike need no alignment
CLOSE_UP = 0.7  # parts that lie alike and fill more than this share of the image are left as is


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
    looks: list[Look],
    sides: tuple[int, int],
    unit: int,
    square: bool,
    least: int = 1,
    part_only: bool = False,
) -> Alignment | None:
    """Learn how to align parts that lie before a plain background; None where that makes no sense.

    Args:
        sides: least and largest side of a square of as many pixels as the view, see `side_for`.
        unit: its sides are multiples of it.
        square: whether the view is one.
        least: px that each side must have.
        part_only: whether only the part is judged, see `Alignment.part`.

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
    dial = None
    if turned:
        poses = [p.reversed() if np.dot(ahead, p.features) < 0 else p for p in poses]
    else:
        poses = [replace(pose, along=(1.0, 0.0)) for pose in poses]
        dial = learn_dial([grey for grey, _ in found], poses, median(map(_radius, outlines, poses)))
    if dial is not None:
        directions = [dial.along(grey, pose.x, pose.y) for grey, pose in found]
        poses = [replace(p, along=d) for p, d in zip(poses, directions, strict=True)]
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
    aligned = Alignment(
        height=height,
        width=width,
        turned=turned,
        dial=dial,
        ahead=tuple(ahead.tolist()),
        left=float(middle[0]) - size[1] / scale / 2,
        top=float(middle[1]) - size[0] / scale / 2,
        scale=scale,
        size=size,
    )
    if not part_only:
        return aligned
    part = _part(outlines, poses, aligned, BESIDE * length)
    return aligned.model_copy(update={"part": part})


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


def _part(
    outlines: list[NDArray[np.bool_]], poses: list[Pose], alignment: Alignment, beside: float
) -> tuple[str, ...]:
    """`Alignment.part`: the cells that parts reach, and those up to `beside` px from them."""
    high, wide = cells_of(alignment.size, alignment.scale)
    t = np.arange(wide) + 0.5 + alignment.left
    u = (np.arange(high) + 0.5 + alignment.top)[:, None]
    reached = np.zeros((high, wide))
    for outline, pose in zip(outlines, poses, strict=True):
        cos, sin = pose.along
        rows = np.floor(pose.y + t * sin + u * cos).astype(int)
        columns = np.floor(pose.x + t * cos - u * sin).astype(int)
        inside = (rows >= 0) & (columns >= 0)
        inside &= (rows < outline.shape[0]) & (columns < outline.shape[1])
        reached[inside] += outline[rows[inside], columns[inside]]
    from scipy import ndimage  # slow to import; only training needs it

    away = ndimage.distance_transform_edt(reached <= SEEN_IN * len(outlines))
    return tuple(row.tobytes().hex() for row in np.packbits(away <= beside, axis=1))


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


def _radius(outline: NDArray[np.bool_], pose: Pose) -> float:
    """Distance of a part's farthest pixel from its middle, px."""
    return float(np.hypot(*_spots(outline, pose)).max())


def _reach(outline: NDArray[np.bool_], pose: Pose) -> NDArray[np.float64]:
    """How far a part reaches: least t, least u, most t, most u."""
    t, u = _spots(outline, pose)
    return np.array([t.min(), u.min(), t.max(), u.max()])
