"""Separable filters as banded matrix products.

On a CPU a one-channel convolution is slow; the same blur as two small matrix products is not.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # else a band first made in inference could not train later
def gaussian_band(size: int, sigma: float, radius: int, pad: bool) -> Tensor:
    """The matrix that blurs a signal of `size` samples with a Gaussian of `2 * radius + 1` taps.

    Args:
        sigma: in samples, > 0.
        pad: True: half-sample symmetric borders, result as long as the signal (its mean is kept);
            False: only where the filter fits, result shorter by 2 * radius.

    Returns:
        float32 (size, size) or (size - 2 * radius, size); rows sum to 1.
    """
    taps = torch.tensor([math.exp(-0.5 * (k / sigma) ** 2) for k in range(-radius, radius + 1)])
    taps = (taps.double() / taps.double().sum()).float()
    rows = range(size) if pad else range(radius, size - radius)
    band = torch.zeros(len(rows), size)
    for row, centre in enumerate(rows):
        for k, tap in zip(range(-radius, radius + 1), taps, strict=True):
            position = (centre + k) % (2 * size)  # mirrored signal has period 2 * size
            band[row, position if position < size else 2 * size - 1 - position] += tap
    return band


def separable(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Apply one band matrix down and one across: (..., H, W) -> (..., rows, columns)."""
    return rows.to(images) @ images @ columns.to(images).T


def gaussian_smooth(maps: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (..., H, W), symmetric borders, cut at 4 sigma; sigma 0 changes nothing."""
    if sigma == 0:
        return maps
    radius = max(1, round(4 * sigma))
    height, width = maps.shape[-2:]
    return separable(
        maps,
        gaussian_band(height, sigma, radius, True),
        gaussian_band(width, sigma, radius, True),
    )
