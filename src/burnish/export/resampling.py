"""Pillow's antialiased bilinear resize as matrix products, for a graph whose input size is open.

Pillow resamples 8 bits in fixed point, across and then down, with weights of 22 bits and rounding
to a byte after each pass. Here the same integers come out of float32 products: each weight is split
into two halves of 11 bits, so that every sum stays below 2**24, where float32 counts exactly (up to
a reduction of about 30 to 1; beyond it a sum may be off by 2**-11 of a grey level). No 64-bit type
is used, because OpenVINO computes with 32 bits.

Everything is a tensor operation on `arange`, so that sizes can be symbolic in `torch.export`.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

BITS, HALF = 1 << 22, 1 << 11


def triangles(source: int, target: int) -> tuple[Tensor, Tensor]:
    """Unnormalised weights of the antialiased triangle filter, in whole numbers.

    Args:
        source, target: length of the signal before and after, px.

    Returns:
        int32 (target, source), and their sums, int32 (target, 1).
    """
    x = 2 * torch.arange(source, dtype=torch.int32) + 1  # centres of pixels, in half pixels
    y = 2 * torch.arange(target, dtype=torch.int32) + 1
    # Twice the longer length: the value of |x * target - y * source| where the filter becomes 0.
    foot = torch.maximum(x[-1:], y[-1:]) + 1
    distance = (x[None, :] * (y[-1:] + 1) - y[:, None] * (x[-1:] + 1)).abs() // 2
    weights = (foot - distance).clamp(min=0)
    return weights, weights.sum(dim=1, keepdim=True, dtype=torch.int32)


def fixed_point(weights: Tensor, sums: Tensor) -> tuple[Tensor, Tensor]:
    """round(2**22 * weights / sums) as Pillow rounds it, in two halves: high * 2**11 + low.

    Returns:
        float32 (target, source) each, whole numbers; low lies in [-1024, 1023].
    """
    guess = torch.floor(weights.float() / sums.float() * BITS + 0.5).to(torch.int32)
    # A float32 quotient may be off by one. The remainder is small, so it is right in 32 bits even
    # if the products overflow.
    rest = 2 * (weights * BITS - guess * sums)
    fixed = guess + (rest >= sums).to(torch.int32) - (rest < -sums).to(torch.int32)
    high = torch.floor((fixed.float() + HALF // 2) / HALF)
    return high, fixed.float() - high * HALF


def down_first() -> bool:
    """Whether this version of Pillow resizes vertically first if that is the larger step (13 does;
    up to 12 it never did). The two orders round differently, so a graph must use the same."""
    picture = (np.arange(40 * 8).reshape(40, 8) * 89 % 256).astype(np.uint8)
    expected = np.asarray(Image.fromarray(picture).resize((5, 8), Image.Resampling.BILINEAR))
    image = torch.from_numpy(picture).float()[None]
    return not np.array_equal(
        _across_then_down(image, _band(8, 5), _band(40, 8))[0].byte().numpy(), expected
    )


def resize_levels(images: Tensor, height: int, width: int, may_go_down_first: bool) -> Tensor:
    """(C, H, W) -> (C, height, width), grey levels 0 to 255 as float32, equal to Pillow's.

    Args:
        may_go_down_first: `down_first()`. If the sizes are open, only one call in a graph may pass
            True: with two, `torch.export` takes the second's sizes for the first's. With False,
            single levels of an image that loses height may be off by one.
    """
    bands = (_band(images.shape[2], width), _band(images.shape[1], height))
    if not may_go_down_first:
        return _across_then_down(images, *bands)
    less_high, less_wide = images.shape[1] - height, images.shape[2] - width
    down = (less_high > 0) & (less_high > 2 * less_wide)
    if isinstance(down, bool):  # the sizes are not symbolic
        return (_down_then_across if down else _across_then_down)(images, *bands)
    flat = torch.cond(  # flat, as it cannot compare strides of open sizes
        down,
        lambda *given: _down_then_across(*given).flatten(),
        lambda *given: _across_then_down(*given).flatten(),
        (images, *bands),
    )
    return flat.reshape(images.shape[0], height, width)


def _band(source: int, target: int) -> Tensor:
    """The two halves of the weights: (2, target, source)."""
    return torch.stack(fixed_point(*triangles(source, target)))


def _across_then_down(images: Tensor, across: Tensor, down: Tensor) -> Tensor:
    return _along(_along(images, across).transpose(1, 2), down).transpose(1, 2)


def _down_then_across(images: Tensor, across: Tensor, down: Tensor) -> Tensor:
    return _along(_along(images.transpose(1, 2), down).transpose(1, 2), across)


def _along(images: Tensor, band: Tensor) -> Tensor:
    """One pass over the last dimension, rounded to whole grey levels."""
    high, low = images @ band[0].T, images @ band[1].T
    return torch.floor((high + torch.floor(low / HALF) + HALF // 2) / HALF)


def resize_map(maps: Tensor, height: int, width: int) -> Tensor:
    """(h, w) -> (height, width), float32: Pillow's resize in mode F, to rounding errors."""
    across, down = triangles(maps.shape[1], width), triangles(maps.shape[0], height)
    return (down[0].float() / down[1].float()) @ (maps @ (across[0].float() / across[1].float()).T)
