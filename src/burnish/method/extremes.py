"""How high every error map gets on good parts, place by place. Not the paper's.

With one unit for the whole map, the highest values lie where good parts differ most: at borders,
in glare, along a thread. The standard deviation at a place does not capture that, as the tail is
made by a few odd parts, least of all on the parts that the map was learnt from. So each map is
compared with the highest values it takes, at the same place, on good parts it was not learnt from.

Shapes: N views, B batch, M maps, H x W pixels, h x w cells of `cells.COARSE` px.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from burnish.method.cells import COARSE, ByCells, coarse_cells
from burnish.method.filters import gaussian_smooth

SHARE = 0.02  # of the views: the mean of a place's highest values is over this share
SMOOTHING = 1.0  # cells
EVEN = 0.3  # of a map's mean height, added at every place: none is 0 where good parts are alike


@dataclass(frozen=True)
class Extremes(ByCells):
    """Mean and height of the error maps of good parts.

    Attributes:
        mean: (M, h, w).
        height: (M, h, w), how far above its mean each place gets, in shares of the map's own mean
            height: 1 in the mean over places.
    """

    mean: Tensor
    height: Tensor
    BY_CELLS = ("mean", "height")


def sparing(extremes: Extremes, maps: int) -> Extremes:
    """The same, but without effect on the first `maps` maps."""
    mean, height = extremes.mean.clone(), extremes.height.clone()
    mean[:maps], height[:maps] = 0.0, 1.0
    return Extremes(mean, height)


def against_extremes(maps: Tensor, extremes: Extremes) -> Tensor:
    """Error maps (B, M, H, W) less their mean on good parts, over the height that good parts reach
    there; the same shape.

    Args:
        extremes: for every pixel (`Extremes.at`).
    """
    return (maps - extremes.mean) / extremes.height


def cell_values(maps: Tensor, inside: Tensor | None = None) -> Tensor:
    """(B, M, H, W) -> (2, B, M, h, w): the mean and the highest value of each cell, values below 0
    as 0; NaN where the region, bool (H, W), has no pixel."""
    maps = maps.clamp_min(0.0)
    means, seen = coarse_cells(maps, inside)
    if inside is not None:
        maps = maps.masked_fill(~inside, 0.0)
    values = torch.stack([means, F.max_pool2d(maps, COARSE, ceil_mode=True)])
    return values if seen is None else values.masked_fill(~seen, torch.nan)


def find_extremes(values: Tensor) -> Extremes:
    """Extremes over good views that the maps were not learnt from.

    Args:
        values: (N, 2, M, h, w), as of `cell_values`.
    """
    means, peaks = values[:, 0], values[:, 1]
    mean, peak = _filled(means.nanmean(dim=0)), _filled(peaks.nanmean(dim=0))
    count = (~peaks.isnan()).sum(dim=0)
    few = (SHARE * count).round().clamp_min(1)
    ordered = peaks.nan_to_num(-torch.inf).sort(dim=0, descending=True).values
    ranks = torch.arange(len(peaks)).view(-1, 1, 1, 1)
    highest = ordered.masked_fill(ranks >= few, 0.0).sum(dim=0) / few
    highest = _filled(highest.masked_fill(count == 0, torch.nan))
    mean, peak, highest = gaussian_smooth(torch.stack([mean, peak, highest]), SMOOTHING)
    above = (highest - peak).clamp_min(0.0)
    shares = above / above.mean(dim=(1, 2), keepdim=True).clamp_min(1e-9)
    return Extremes(mean, (shares + EVEN) / (1 + EVEN))


def _filled(values: Tensor) -> Tensor:
    """(M, h, w): the map's own mean where no view shows a place."""
    usual = values.flatten(1).nanmean(dim=1).nan_to_num()[:, None, None]
    return torch.where(values.isnan(), usual, values)
