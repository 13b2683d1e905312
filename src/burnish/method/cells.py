"""Means over cells of a few pixels, and back: models of good parts are stored by cells.

Shapes: B batch, K values a pixel, H x W pixels, h x w cells.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from burnish.method.movable import Movable

CELL = 4  # px: side of the cells of texture and line models
COARSE = 8  # px: side of the cells for factors, extremes and the whole surface


@dataclass(frozen=True)
class ByCells(Movable):
    """A model of good parts with two tensors (K, h, w) by cells, named in `BY_CELLS`."""

    BY_CELLS: ClassVar[tuple[str, str]] = ("mean", "deviation")

    def at(self, height: int, width: int) -> Self:
        """The same model with these two tensors for every pixel of an image: (K, height, width)."""
        both = torch.stack([getattr(self, name) for name in self.BY_CELLS])
        return replace(
            self, **dict(zip(self.BY_CELLS, stretch(both, (height, width)), strict=True))
        )


def to_cells(values: Tensor) -> Tensor:
    """(K, H, W) -> means over cells of `CELL` px, (K, h, w)."""
    return F.avg_pool2d(values[None], CELL, ceil_mode=True, count_include_pad=False)[0]


def coarse_cells(values: Tensor, inside: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
    """(B, K, H, W) -> means over cells of `COARSE` px, (B, K, h, w), and which cells the region has
    pixels in, bool (h, w); without a region None, as all have."""
    if inside is None:
        return _pool(values), None
    share = _pool(inside[None, None].float())
    seen = share[0, 0] > 0
    return _pool(values.masked_fill(~inside, 0.0)) / share.clamp_min(1e-6), seen


def stretch(cells: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear (B, K, h, w) -> (B, K, H, W), as two matrix products: on a CPU three times as fast
    as `interpolate`."""
    sides = zip(cells.shape[2:], size, strict=True)
    down, across = (_linear(few, many, cells.device) for few, many in sides)
    return down @ cells @ across.T


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def _linear(few: int, many: int, device: torch.device) -> Tensor:
    """The matrix (many, few), float32, that interpolates `few` values at `many` places."""
    each = torch.eye(few, dtype=torch.float32, device=device)[None]
    return F.interpolate(each, size=many, mode="linear", align_corners=False)[0].T.contiguous()


def _pool(values: Tensor) -> Tensor:
    partial = bool(values.shape[2] % COARSE or values.shape[3] % COARSE)
    return F.avg_pool2d(values, COARSE, ceil_mode=partial, count_include_pad=False)
