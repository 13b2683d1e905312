"""Separable filters as banded matrix products, block by block of the band; a 3x3 filter as sums.

On a CPU a one-channel convolution is slow. The same blur as small matrix products is fast if the
zeros of the banded matrix, nine tenths of it at 256 px, are left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property, lru_cache
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F

BLOCK = 16  # least number of rows of a band that are multiplied at once


class Band:
    """A banded matrix (rows, columns), float32, stored in blocks of rows without outer zeros.

    Attributes:
        shape: rows, columns.
        blocks: which columns each block of rows spans, and its part of the matrix.
    """

    def __init__(self, matrix: Tensor, radius: int) -> None:
        self.shape, self._radius = matrix.shape, radius
        block = max(BLOCK, radius)
        if block + 2 * radius >= max(matrix.shape):  # hardly any zeros to leave out
            block = len(matrix)
        self.blocks: list[tuple[slice, Tensor]] = []
        for rows in matrix.split(block):
            used = rows.any(dim=0).nonzero()[:, 0].tolist() or [0]
            span = slice(used[0], used[-1] + 1)
            self.blocks.append((span, rows[:, span].clone()))
        self._dense: dict[torch.device, Tensor] = {}

    @cached_property
    def transposed(self) -> Band:
        return Band(self.dense(torch.device("cpu")).T, self._radius)

    def dense(self, device: torch.device) -> Tensor:
        """The whole matrix on that device; cached unless it is the CPU."""
        if device in self._dense:
            return self._dense[device]
        parts = [F.pad(m, (s.start, self.shape[1] - s.stop)) for s, m in self.blocks]
        whole = torch.cat(parts).to(device)
        if device.type != "cpu":
            self._dense[device] = whole
        return whole

    def down(self, images: Tensor) -> Tensor:
        """Apply the matrix to columns: images (n, columns, W) -> (n, rows, W)."""
        return torch.cat([rows.to(images) @ images[:, span] for span, rows in self.blocks], dim=1)

    def across(self, lines: Tensor) -> Tensor:
        """Apply the matrix to rows: lines (n, columns) -> (n, rows)."""
        return torch.cat([lines[:, span] @ rows.to(lines).T for span, rows in self.blocks], dim=1)


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # else a band first made in inference could not train later
def gaussian_band(size: int, sigma: float, radius: int, pad: bool) -> Band:
    """The band that blurs a signal of `size` samples with a Gaussian of `2 * radius + 1` taps.

    Args:
        sigma: in samples, > 0.
        pad: True: half-sample symmetric borders, result as long as the signal (its mean is kept);
            False: only where the filter fits, result shorter by 2 * radius.

    Returns:
        (size, size) or (size - 2 * radius, size); rows sum to 1.
    """
    far = (min(abs(k) / sigma, 40.0) for k in range(-radius, radius + 1))  # beyond it exp gives 0
    taps = torch.tensor([math.exp(-0.5 * x**2) for x in far], dtype=torch.float32)
    taps = (taps.double() / taps.double().sum()).float()
    rows = range(size) if pad else range(radius, size - radius)
    band = torch.zeros(len(rows), size, dtype=torch.float32)
    for row, centre in enumerate(rows):
        for k, tap in zip(range(-radius, radius + 1), taps, strict=True):
            position = (centre + k) % (2 * size)  # mirrored signal has period 2 * size
            band[row, position if position < size else 2 * size - 1 - position] += tap
    return Band(band, radius)


def smooth_within(maps: Tensor, sigma: float, inside: Tensor | None) -> Tensor:
    """`gaussian_smooth` to which only pixels of a region contribute, bool (H, W); None: all do.

    Beside the region it goes on smoothly; far from it, where nothing contributes, it is 0.
    """
    if inside is None:
        return gaussian_smooth(maps, sigma)
    weight = gaussian_smooth(inside.to(maps.dtype), sigma)
    smooth = gaussian_smooth(maps.masked_fill(~inside, 0.0), sigma)
    return smooth / weight.clamp_min(1e-6)


def separable(images: Tensor, rows: Band, columns: Band) -> Tensor:
    """Apply one band down and one across: (..., H, W) -> (..., rows, columns)."""
    if images.device.type != "cpu":  # there, few large products are faster
        down, across = (band.dense(images.device).to(images) for band in (rows, columns))
        return down @ images @ across.T
    found = rows.down(images.reshape(-1, *images.shape[-2:]))
    lines = columns.across(found.flatten(0, 1))
    return lines.reshape(*images.shape[:-2], rows.shape[0], columns.shape[0])


def convolve3(images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`conv2d(images, weight, bias, padding=1)` of one channel: nine sums each way.

    torch's own backward of a one-channel convolution takes several times as long.

    Args:
        images: (B, 1, H, W).
        weight: (1, 1, 3, 3).
        bias: (1,).

    Returns:
        (B, 1, H, W).
    """
    found: Tensor = _Convolve3.apply(images, weight, bias)
    return found


class _Convolve3(Function):
    """Forward and both gradients as sums over the nine places."""

    @staticmethod
    def forward(context: Any, images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        images = images.to(weight)  # under autocast: nine sums in bfloat16 would round
        context.save_for_backward(images, weight)
        return _weighted(images, weight[0, 0]) + bias

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        images, weight = context.saved_tensors
        gradient = gradients[0]
        taps = [(shifted * gradient).sum() for shifted in _neighbours(images)]
        before = _weighted(gradient, weight[0, 0].flip(0, 1))
        return before, torch.stack(taps).view_as(weight), gradient.sum().view(1)


def _weighted(images: Tensor, weight: Tensor) -> Tensor:
    found = torch.zeros_like(images)
    if images.device.type == "cpu":
        for shifted, tap in zip(_neighbours(images), weight.flatten().tolist(), strict=True):
            found.add_(shifted, alpha=tap)
        return found
    for shifted, tap in zip(_neighbours(images), weight.flatten(), strict=True):
        found.addcmul_(shifted, tap)  # `tolist` would wait for the device
    return found


def _neighbours(images: Tensor) -> Iterator[Tensor]:
    """The images shifted to each place of a 3x3 window, row by row, padded with 0."""
    height, width = images.shape[-2:]
    padded = F.pad(images, (1, 1, 1, 1))
    for row, column in product(range(3), range(3)):
        yield padded[..., row : row + height, column : column + width]


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
