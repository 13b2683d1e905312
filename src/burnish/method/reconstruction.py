"""Masked copies in, merged reconstruction out (eq. 6).

Shapes: B batch, S mask scales, C channels, H x W image. Masks are bool, True where hidden.
"""

from __future__ import annotations

import torch
from torch import Tensor

from burnish.method.generator import Generator
from burnish.method.light import levelled, light_of, relit


def hide(images: Tensor, masks: Tensor, mask_channel: bool = False) -> Tensor:
    """Set hidden pixels to 0, one copy of the batch per mask.

    Args:
        images: (B, C, H, W) in [-1, 1].
        masks: bool (K, H, W).
        mask_channel: append the mask (1 hidden, 0 seen) as a channel.

    Returns:
        (K * B, C [+ 1], H, W): all images under the first mask, then under the second, ...
    """
    masks = masks[:, None, None]
    copies = images[None].masked_fill(masks, 0.0)
    if mask_channel:
        channel = masks.to(images.dtype).expand(-1, len(images), -1, -1, -1)
        copies = torch.cat([copies, channel], dim=2)
    return copies.flatten(0, 1)


def merge_halves(painted: Tensor, masks: Tensor) -> Tensor:
    """Keep of each copy only what was hidden in it and add the copies up (eq. 6).

    Args:
        painted: (2 * B, C, H, W), the generator's output for `hide(images, masks)`.
        masks: bool (2, H, W), complementary.

    Returns:
        (B, C, H, W): every pixel painted without having been seen.
    """
    first, second = painted.chunk(2)
    return torch.where(masks[0], first, second)


def reconstruct(generator: Generator, images: Tensor, masks: Tensor) -> Tensor:
    """The merged reconstruction at every scale, all masked copies in one batch.

    Args:
        images: (B, C, H, W) in [-1, 1].
        masks: bool (S, 2, H, W).

    Returns:
        (B, S, C, H, W), not clamped.
    """
    flat = masks.flatten(0, 1)
    painted, _ = generator(hide(images, flat, generator.mask_channel), flat)
    per_scale = painted.chunk(len(masks))
    merged = [merge_halves(p, pair) for p, pair in zip(per_scale, masks, strict=True)]
    return torch.stack(merged, dim=1)


def reconstruct_levelled(
    generator: Generator, images: Tensor, masks: Tensor, inside: Tensor | None = None
) -> Tensor:
    """`reconstruct` for a generator that paints images of one mean brightness, see `light`.

    Args:
        images: 0 outside the region of interest.
        inside: the region, bool (H, W), that the mean is taken of; None: everything.
    """
    light = light_of(images, inside)
    return relit(reconstruct(generator, levelled(images, light, inside), masks), light)
