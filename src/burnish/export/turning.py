"""`burnish.images.alignment` as tensor operations: find, turn and cut out the part, put maps back.

Uses whole numbers and single float32 operations in the order of `burnish.images.pose`, so that the
graph sees the same view as training did. Shapes: h x w the working size, V x U the view.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d, pad

from burnish.export.resampling import resize_levels
from burnish.images.alignment import Alignment, part_weight
from burnish.images.background import LARGEST, SHADOW, SMALLEST
from burnish.images.dial import STEP, Dial, ring_places
from burnish.images.pose import REACH, border


class Turn(NamedTuple):
    """A `Pose` as tensors (): the part's centroid, px of the working size, and its direction."""

    x: Tensor
    y: Tensor
    cos: Tensor
    sin: Tensor


def find_turn(large: Tensor, alignment: Alignment, may_go_down_first: bool) -> Turn:
    """`Alignment._pose` of a grey image at the scale of the view.

    Args:
        large: float32 (1, *alignment.enlarged), whole grey levels.
        may_go_down_first: see `resize_levels`.
    """
    height, width = alignment.height, alignment.width
    small = resize_levels(large, height, width, may_go_down_first)[0]
    part = _silhouette(small)
    count = part.sum(dtype=torch.int32)
    pixels = height * width
    share = count.float() / pixels
    found = torch.logical_and(share >= SMALLEST, share <= LARGEST)
    least = count.clamp(min=1)
    columns = torch.arange(width, dtype=torch.int32)[None, :]
    rows = torch.arange(height, dtype=torch.int32)[:, None]
    inside = part.to(torch.int32)
    x0, y0 = (_sum(inside * places) // least for places in (columns, rows))
    dx, dy, n = (columns - x0) * inside, (rows - y0) * inside, least.float()
    mx, my = _sum(dx).float() / n, _sum(dy).float() / n
    x, y = x0.float() + mx + 0.5, y0.float() + my + 0.5
    one, none = torch.ones(()), torch.zeros(())
    if alignment.turned:
        sxx = _sum(dx * dx).float() / n - mx * mx
        syy = _sum(dy * dy).float() / n - my * my
        sxy = _sum(dx * dy).float() / n - mx * my
        cos, sin = _half_angle(sxx - syy, 2 * sxy)
        weight = part.float() / n
        ahead = _ahead(dx - mx, dy - my, cos, sin, small, weight, alignment)
        cos, sin = cos * ahead, sin * ahead
    elif alignment.dial is not None:
        cos, sin = _along(small, x, y, alignment.dial)
    else:
        cos, sin = one, none
    return Turn(
        torch.where(found, x, torch.full((), width / 2)),
        torch.where(found, y, torch.full((), height / 2)),
        torch.where(found, cos, one),
        torch.where(found, sin, none),
    )


def turned_view(large: Tensor, turn: Turn, alignment: Alignment) -> tuple[Tensor, Tensor | None]:
    """`Alignment.view` of an image at the scale of the view.

    Args:
        large: float32 (C, *alignment.enlarged), whole grey levels.

    Returns:
        float32 (C, V, U), whole grey levels; and how much each pixel counts, float32 (V, U) in
        [0, 1], as of `detection.view.seen_of`, or None.
    """
    height, width = alignment.size
    t = (torch.arange(width) + 0.5) / alignment.scale + alignment.left
    u = ((torch.arange(height) + 0.5) / alignment.scale + alignment.top)[:, None]
    x = turn.x + t * turn.cos - u * turn.sin
    y = turn.y + t * turn.sin + u * turn.cos
    high, wide = alignment.enlarged
    rows = y * (high / alignment.height) - 0.5
    columns = x * (wide / alignment.width) - 0.5
    seen = None
    if alignment.part is not None:
        part = torch.from_numpy(part_weight(alignment).copy())
        seen = torch.floor(_within(rows, columns, (high, wide)) * part * 255 + 0.5) / 255
    return torch.floor(_sample(large, rows, columns) + 0.5), seen


def put_back(
    maps: Tensor, turn: Turn, alignment: Alignment, height: int, width: int
) -> tuple[Tensor, Tensor]:
    """`Alignment.put_back`: maps (K, V, U) -> (K, height, width), and how much the view counts."""
    columns_of = torch.arange(width, dtype=torch.int32).float() + 0.5
    rows_of = torch.arange(height, dtype=torch.int32).float() + 0.5
    x = columns_of / (_length(columns_of) / alignment.width) - turn.x
    y = (rows_of / (_length(rows_of) / alignment.height) - turn.y)[:, None]
    t, u = x * turn.cos + y * turn.sin, y * turn.cos - x * turn.sin
    columns = (t - alignment.left) * alignment.scale - 0.5
    rows = (u - alignment.top) * alignment.scale - 0.5
    return _sample(maps, rows, columns), _within(rows, columns, alignment.size)


def _within(rows: Tensor, columns: Tensor, size: tuple[int, int]) -> Tensor:
    """`alignment._within`."""
    inwards = [
        torch.minimum(places + 0.5, (length - 0.5) - places)
        for places, length in zip((rows, columns), size, strict=True)
    ]
    return (2 * torch.minimum(*inwards)).clamp(0, 1)


def _silhouette(small: Tensor) -> Tensor:
    """`pose.silhouette`: float32 (h, w) -> bool (h, w)."""
    threshold = _otsu(small)
    dark = small <= threshold
    ring = torch.from_numpy(border(tuple(small.shape))).float()
    bright_behind = 2 * (dark.float() * ring).sum() <= ring.sum()
    part = (dark == bright_behind).float()
    mean = (small * part).sum() / part.sum().clamp(min=1)
    tighter = threshold + SHADOW * (mean - threshold)
    part = ((small > tighter) == (mean > threshold)).float()
    # Opening: eroded by a pixel (the border counts as background), then dilated by one.
    hole = pad((1 - part)[None, None], (1, 1, 1, 1), value=1.0)
    shrunk = 1 - max_pool2d(hole, 3, stride=1)
    grown = max_pool2d(pad(shrunk, (1, 1, 1, 1), value=0.0), 3, stride=1)
    # Filling: holes are what cannot be reached from the border.
    free = 1 - (grown > 0.5).float()
    outside = ring * free
    for _ in range(REACH):
        outside = max_pool2d(outside, 3, stride=1, padding=1) * free
    return outside[0, 0] < 0.5


def _otsu(small: Tensor) -> Tensor:
    """`background.otsu_threshold` as float32 ()."""
    values = torch.arange(256).float()
    # Pixels at or below each value, and their sum: whole numbers below 2**24.
    at_most = (small.flatten()[None] <= values[:, None]).float()
    below, sums = at_most.sum(dim=1), at_most @ small.flatten()
    number, total = below[-1:], sums[-1:]
    apart = number * sums - below * total
    between = apart * apart / (below * (number - below)).clamp(min=1)
    first = torch.where(between >= between.amax(dim=0), values, 255.0)
    return first.amin(dim=0)


def _half_angle(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    length = torch.sqrt(a * a + b * b).clamp(min=1e-20)
    ratio = a / length
    larger = torch.sqrt((1 + ratio.abs()) / 2)
    smaller = b / length / (2 * larger)
    return torch.where(a >= 0, larger, smaller), torch.where(a >= 0, smaller, larger)


def _ahead(
    dx: Tensor, dy: Tensor, cos: Tensor, sin: Tensor, small: Tensor, weight: Tensor, a: Alignment
) -> Tensor:
    """+1 if the part lies the right way round, else -1."""
    t, u = dx * cos + dy * sin, dy * cos - dx * sin
    spread = torch.sqrt((t * t * weight).sum()) + 1e-6
    across = (u * u * weight).sum() + 1e-6
    contrast = small - (small * weight).sum()
    contrast = contrast / (torch.sqrt((contrast * contrast * weight).sum()) + 1e-6)
    t = t / spread
    features = (t * t * t, t * u * u / across, t * contrast)
    found = sum(w * (f * weight).sum() for w, f in zip(a.ahead, features, strict=True))
    assert isinstance(found, Tensor)
    return torch.where(found < 0, -torch.ones(()), torch.ones(()))


def _along(small: Tensor, x: Tensor, y: Tensor, dial: Dial) -> tuple[Tensor, Tensor]:
    """`Dial.along`: cosine and sine of the direction."""
    right, below = map(torch.from_numpy, ring_places(dial.reach))
    found = _sample(small[None], y + below - 0.5, x + right - 0.5)[0]
    found = found / found.mean().clamp(min=1)
    around = torch.cat([found, found[:, :-1]], dim=1)  # each turn reads on past the last place
    template = torch.from_numpy(np.array(dial.template, dtype=np.float32))
    fit = conv2d(around[None, :, None], template[None, :, None]).flatten()
    best = fit.argmax(dim=0, keepdim=True)
    beside = torch.cat([fit[-1:], fit, fit[:1]])
    left, middle, right = (beside.index_select(0, best + step) for step in range(3))
    bend = (left + right - 2 * middle).clamp(max=-1e-20)
    angle = ((best.float() + 0.5 * (left - right) / bend) * STEP)[0]
    return torch.cos(angle), torch.sin(angle)


def _sample(maps: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """`alignment.sample`: bilinear, the border continued; (K, h, w) -> (K, V, U)."""
    height, width = maps.shape[1:]
    flat = maps.flatten(1)
    rows, columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    top, left = rows.floor(), columns.floor()
    down, across = rows - top, columns - left
    y0, x0 = top.to(torch.int32), left.to(torch.int32)
    y1, x1 = (y0 + 1).clamp(max=height - 1), (x0 + 1).clamp(max=width - 1)

    def at(y: Tensor, x: Tensor) -> Tensor:
        places = (y * width + x).flatten()
        return flat.index_select(1, places).reshape(len(maps), *y.shape)

    upper = at(y0, x0) * (1 - across) + at(y0, x1) * across
    lower = at(y1, x0) * (1 - across) + at(y1, x1) * across
    return upper * (1 - down) + lower * down


def _sum(values: Tensor) -> Tensor:
    return values.sum(dtype=torch.int32)


def _length(line: Tensor) -> Tensor:
    """The number of elements as float32 (), symbolic or not."""
    return line[-1] + 0.5
