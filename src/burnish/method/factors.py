"""Factors: ways in which good parts differ all over at once, removed before each place is judged.

Another lamp, a rougher batch or a thread turned about its axis change every place without making
any place unusual. So the descriptors of good parts, over coarse cells, are modelled as a mean and a
few principal components; what these explain of a new part is subtracted from it.

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

REACH = 3.0  # deviations at which cells are clamped, so that no flaw explains itself away
FLOOR = 0.6  # least share of a deviation that is left: else places that never differ dominate
VIEWS_EACH = 8  # least number of views per factor


@dataclass(frozen=True)
class Factors(Movable):
    """Factors of the descriptors of good parts.

    Attributes:
        mean, deviation: (K, h, w), of the means over cells.
        ways: (R, K, h, w), orthonormal: the principal components of the standardised cells.
    """

    mean: Tensor
    deviation: Tensor
    ways: Tensor


def shared(cells: Tensor, seen: Tensor | None, factors: Factors, size: tuple[int, int]) -> Tensor:
    """The part of the descriptors' difference from good parts that the factors explain.

    Args:
        cells, seen: of the descriptors, as of `cells.coarse_cells`.
        size: H, W.

    Returns:
        (B, K, H, W).
    """
    standardised = ((cells - factors.mean) / factors.deviation).clamp(-REACH, REACH)
    if seen is not None:
        standardised = standardised.masked_fill(~seen, 0.0)
    ways = factors.ways.flatten(1)
    explained = (standardised.flatten(1) @ ways.T @ ways).unflatten(1, standardised.shape[1:])
    return stretch(explained * factors.deviation, size)


def find_factors(cells: Tensor, most: int) -> tuple[Factors, Tensor] | None:
    """Factors of good views, and what they explain of each view, (N, K, h, w).

    Args:
        cells: (N, K, h, w), NaN where a view's region has no pixel.
        most: number of factors, less if there are fewer than `VIEWS_EACH` views for each.

    Returns:
        None where there are none.
    """
    count = min(most, len(cells) // VIEWS_EACH)
    if count == 0:
        return None
    mean = cells.nanmean(dim=0).nan_to_num()
    deviation = (cells - mean).square().nanmean(dim=0).nan_to_num().sqrt()
    deviation = deviation + SLACK * deviation.mean(dim=(1, 2), keepdim=True) + 1e-12
    standardised = ((cells - mean) / deviation).nan_to_num().clamp(-REACH, REACH).flatten(1)
    # N views, many more cells: the N x N products are enough.
    strength, views = torch.linalg.eigh((standardised @ standardised.T).double())
    views = views[:, -count:].float()[:, strength[-count:] > 1e-6 * strength[-1]]
    if views.shape[1] == 0:  # all are alike
        return None
    ways = F.normalize(views.T @ standardised, dim=1)
    explained = (standardised @ ways.T @ ways).unflatten(1, cells.shape[1:])
    return Factors(mean, deviation, ways.unflatten(1, cells.shape[1:])), explained * deviation


def left_over(deviation: Tensor, explained: Tensor) -> Tensor:
    """The deviation (K, h, w) that the factors leave, by cells of another size; at least `FLOOR`
    of `deviation`.

    Args:
        explained: (N, K, ...), of good views.
    """
    size = deviation.shape[1], deviation.shape[2]
    variance = torch.zeros_like(deviation)
    for view in explained:
        variance += stretch(view[None], size)[0].square() / len(explained)
    left = (deviation.square() - variance).clamp_min(0.0).sqrt()
    return left.maximum(FLOOR * deviation)
