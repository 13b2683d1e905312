"""Separable filters as banded matrix products.

On a CPU a one-channel convolution is slow; the same blur as two small matrix products is not.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F


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


def convolve3(images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`conv2d(images, weight, bias, padding=1)` of a 3x3 filter as three banded products.

    On a CPU torch's own backward of a one-channel convolution takes about three times as long. (Its
    forward alone, and several channels, are faster in torch.)

    Args:
        images: (B, C, H, W).
        weight: (K, C, 3, 3).
        bias: (K,).

    Returns:
        (B, K, H, W).
    """
    batch, channels, height, width = images.shape
    eye = torch.eye(width + 2, dtype=weight.dtype, device=weight.device)
    shifts = torch.stack([eye[1:-1, column : column + width] for column in range(3)])
    bands = torch.einsum("kcij,jxy->icxky", weight, shifts)  # column x of c gives to y of k
    bands = bands.reshape(3, channels * width, len(weight) * width)
    lines = images.transpose(1, 2).reshape(batch, height, channels * width)
    lines = F.pad(lines, (0, 0, 1, 1))
    found = sum(lines[:, row : row + height] @ bands[row] for row in range(3))
    assert isinstance(found, Tensor)
    return found.unflatten(-1, (len(weight), width)).transpose(1, 2) + bias[:, None, None]


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
