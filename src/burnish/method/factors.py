"""How good parts differ all over at once, taken away before each place is judged.

Another lamp, a rougher batch, a thread turned about its axis change what every place looks like,
and no place is unusual by that. Over coarse cells the descriptors of good parts are written as
their mean and a few factors (principal components); of a new part, what the factors explain is
taken away.

Shapes: N views, B batch, K descriptors, R factors, H x W pixels, h x w cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from burnish.method.cells import stretch
from burnish.method.mahalanobis import SLACK
from burnish.method.movable import Movable

REACH = 3.0  # deviations: no cell pulls a factor further, so that no flaw explains itself away
FLOOR = 0.6  # of a place's deviation is left at least: else what never differs outweighs the rest
VIEWS_EACH = 8  # a factor has at least so many views to be learnt from


@dataclass(frozen=True)
class Factors(Movable):
    """Of the descriptors of good parts.

    Attributes:
        mean, deviation: (K, h, w), of the means over cells.
        ways: (R, K, h, w), orthonormal: each is one way in which standardised cells go together.
    """

    mean: Tensor
    deviation: Tensor
    ways: Tensor


def shared(cells: Tensor, seen: Tensor | None, factors: Factors, size: tuple[int, int]) -> Tensor:
    """What the factors explain of how descriptors differ from those of good parts.

    Args:
        cells, seen: of the descriptors, as of `cells.coarse_cells`.
        size: H, W.

    Returns:
        (B, K, H, W).
    """
    alike = ((cells - factors.mean) / factors.deviation).clamp(-REACH, REACH)
    if seen is not None:
        alike = alike.masked_fill(~seen, 0.0)
    ways = factors.ways.flatten(1)
    explained = (alike.flatten(1) @ ways.T @ ways).unflatten(1, alike.shape[1:])
    return stretch(explained * factors.deviation, size)


def find_factors(cells: Tensor, most: int) -> tuple[Factors, Tensor] | None:
    """Factors of good views, and what they explain of each view, (N, K, h, w).

    Args:
        cells: (N, K, h, w), NaN where a view's region has no pixel.
        most: how many factors; fewer of fewer than `VIEWS_EACH` times as many views.

    Returns:
        None where there are none.
    """
    count = min(most, len(cells) // VIEWS_EACH)
    if count == 0:
        return None
    mean = cells.nanmean(dim=0).nan_to_num()
    deviation = (cells - mean).square().nanmean(dim=0).nan_to_num().sqrt()
    deviation = deviation + SLACK * deviation.mean(dim=(1, 2), keepdim=True) + 1e-12
    alike = ((cells - mean) / deviation).nan_to_num().clamp(-REACH, REACH).flatten(1)
    # Of N views and many more cells: from the N x N products.
    strength, views = torch.linalg.eigh((alike @ alike.T).double())
    views = views[:, -count:].float()[:, strength[-count:] > 1e-6 * strength[-1]]
    if views.shape[1] == 0:  # all are alike
        return None
    ways = F.normalize(views.T @ alike, dim=1)
    explained = (alike @ ways.T @ ways).unflatten(1, cells.shape[1:])
    return Factors(mean, deviation, ways.unflatten(1, cells.shape[1:])), explained * deviation


def left_over(deviation: Tensor, explained: Tensor) -> Tensor:
    """What the factors leave of a deviation (K, h, w) by cells of another size; never less than
    `FLOOR` of it.

    Args:
        explained: (N, K, ...), of good views.
    """
    size = deviation.shape[1], deviation.shape[2]
    variance = torch.zeros_like(deviation)
    for view in explained:
        variance += stretch(view[None], size)[0].square() / len(explained)
    left = (deviation.square() - variance).clamp_min(0.0).sqrt()
    return left.maximum(FLOOR * deviation)
