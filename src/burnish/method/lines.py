"""Long thin lines: a crack or a scratch too faint at any one pixel shows along its length.

A matched filter: by how much a line through each pixel is darker or brighter than its two sides
(the second derivative across it), averaged along it in 16 directions. Good parts have lines
too (grinding, edges), so each direction is compared with what it is on good parts at the same
place. Not the paper's.

Shapes: B batch, D directions, H x W pixels, h x w cells.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional as F

from burnish.method.cells import ByCells, stretch, to_cells
from burnish.method.filters import smooth_within
from burnish.method.scoring import shares_of_usual
from burnish.method.texture import surface

DIRECTIONS = 16  # over half a turn
DOUBLINGS = 5  # the length of a line is doubled so often, from 1 px on
LENGTH = 2**DOUBLINGS  # px, of the average along a line
WIDEN = 5  # px that lines are widened to: a thin one has too few pixels to raise the score
ANGLES = tuple(math.pi * number / DIRECTIONS for number in range(DIRECTIONS))


def doublings(angle: float) -> tuple[tuple[int, int], ...]:
    """Shifts (right, down), px, by which a line is doubled in length: a pixel and its neighbour,
    that pair and the next pair, and so on. Each shift is rounded by itself, so that the line stays
    within about a pixel of its direction (as in the fast Hough transform, Vuillemin 1994)."""
    return tuple(
        (round(2**number * math.cos(angle)), round(2**number * math.sin(angle)))
        for number in range(DOUBLINGS)
    )


@dataclass(frozen=True)
class LineModel(ByCells):
    """Lines of good parts.

    Attributes:
        width: of a line, px: sigma of the filter.
        mean, deviation: (D, h, w), by cells as of `cells.to_cells`.
    """

    width: int
    mean: Tensor
    deviation: Tensor


def by_cells(mean: Tensor, deviation: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of every pixel (D, H, W) -> of every cell (D, h, w).

    A line at the same place in all good parts causes no deviation at any pixel, and its two sides
    cancel out in a cell's mean. So the spread of pixels within a cell is added to the deviation.
    """
    middle = to_cells(mean)
    apart = mean - stretch(middle[None], (mean.shape[1], mean.shape[2]))[0]
    return middle, to_cells(deviation.square() + apart.square()).sqrt()


def line_responses(field: Tensor, width: float, inside: Tensor | None = None) -> Iterator[Tensor]:
    """A field (B, H, W) -> (B, H, W) for each direction: above 0 on dark lines, below on bright.

    One direction at a time: all of them exceed the processor's cache. No line is seen outside the
    region, bool (H, W), and its border is none.
    """
    # Shares of the local brightness are about 1: differences of small numbers keep more digits.
    smooth = smooth_within(field - 1, width, inside)
    around = F.pad(smooth[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    middle = around[:, 1:-1, 1:-1]
    across = around[:, 1:-1, 2:] + around[:, 1:-1, :-2] - 2 * middle
    down = around[:, 2:, 1:-1] + around[:, :-2, 1:-1] - 2 * middle
    falling = around[:, 2:, 2:] + around[:, :-2, :-2]
    both = (falling - around[:, 2:, :-2] - around[:, :-2, 2:]) / 4
    if inside is not None:
        across, down, both = (curve.masked_fill(~inside, 0.0) for curve in (across, down, both))
    for angle in ANGLES:
        x, y = math.cos(angle), math.sin(angle)
        curve = across * (y * y) - both * (2 * x * y) + down * (x * x)
        yield _along(curve, doublings(angle))


def line_map(field: Tensor, model: LineModel, inside: Tensor | None = None) -> Tensor:
    """Unusual lines of a field (B, H, W): (B, H, W), >= 0, 0 outside the region.

    The deviation from good parts in the direction where it is largest, in shares of its usual size
    in the image, as texture is.

    Args:
        model: with mean and deviation for every pixel (`LineModel.at`).
    """
    most = torch.zeros_like(field)
    for number, response in enumerate(line_responses(field, model.width, inside)):
        deviation = (response - model.mean[number]) / model.deviation[number]
        most = torch.maximum(most, deviation.abs())
    if inside is not None:
        most = most.masked_fill(~inside, 0.0)
    wide = _widened(shares_of_usual(most, 0.1, inside))
    smooth = smooth_within(wide, model.width, inside)
    return smooth if inside is None else smooth.masked_fill(~inside, 0.0)


def all_line_maps(
    images: Tensor,
    reconstructions: Tensor,
    models: Sequence[LineModel],
    inside: Tensor | None = None,
) -> Tensor:
    """Maps of all models in their order, (B, models, H, W); arguments as of `texture.residual`."""
    field = surface(images, reconstructions, inside)
    return torch.stack([line_map(field, model, inside) for model in models], dim=1)


def _along(values: Tensor, shifts: Sequence[tuple[int, int]]) -> Tensor:
    """(B, H, W) -> (B, H, W): means along the line through each pixel that these shifts make."""
    wide, high = (sum(abs(shift[axis]) for shift in shifts) for axis in (0, 1))
    found = _bordered(values, wide, high)
    for right, down in shifts:
        height, width = found.shape[1] - down, found.shape[2] - abs(right)
        first, second = max(-right, 0), max(right, 0)
        near = found[:, :height, first : first + width]
        found = near + found[:, down:, second : second + width]
    return found / 2 ** len(shifts)


def _widened(values: Tensor) -> Tensor:
    """(B, H, W) -> (B, H, W): the maximum within `WIDEN` x `WIDEN` px; on a CPU many times as fast
    as `max_pool2d`."""
    found = _bordered(values, WIDEN - 1, WIDEN - 1)
    rows = reduce(torch.maximum, (found[:, n : n + values.shape[1]] for n in range(WIDEN)))
    return reduce(torch.maximum, (rows[:, :, n : n + values.shape[2]] for n in range(WIDEN)))


def _bordered(values: Tensor, wide: int, high: int) -> Tensor:
    """(B, H, W) padded by `wide` columns and `high` rows in all, which repeat the outermost."""
    sides = (wide // 2, wide - wide // 2, high // 2, high - high // 2)
    return F.pad(values[:, None], sides, mode="replicate")[:, 0]
