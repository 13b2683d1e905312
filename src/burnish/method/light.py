"""One brightness for all images while they are painted: a lamp that ages is not the network's task.

A generator that has seen one lamp paints badly under another, where some of its squares follow the
light and others do not. So an image is scaled to a mean brightness of half the range, painted, and
the painting scaled back. Not the paper's; as reversible instance normalisation does it for time
series (Kim et al. 2022), but for the mean alone, since light multiplies.

Shapes: B batch, S mask scales, C channels, H x W image; values in [-1, 1], -1 is black.
"""

from __future__ import annotations

import torch
from torch import Tensor

LEAST = 0.05  # of brightness in [0, 2]: an image nearly black is not blown up further


def light_of(images: Tensor, inside: Tensor | None = None) -> Tensor:
    """Mean brightness of images (B, C, H, W), in [.05, 2], over all channels: (B, 1, 1, 1).

    Averaged row by row: exported graphs lose digits over all pixels at once.

    Args:
        inside: region of interest, bool (H, W) or (B, 1, H, W); None: everything.
    """
    brightness = images.mean(dim=1, keepdim=True) + 1
    weight = torch.ones_like(brightness) if inside is None else inside.expand_as(brightness).float()
    total, count = (
        values.mean(dim=3, keepdim=True).mean(dim=2, keepdim=True)
        for values in (brightness * weight, weight)
    )
    return (total / count.clamp_min(1e-6)).clamp_min(LEAST)


def levelled(images: Tensor, light: Tensor, inside: Tensor | None = None) -> Tensor:
    """Images of brightness `light` at a mean of 0; bright spots of dark images exceed 1. 0 outside
    the region."""
    found = (images + 1) / light - 1
    return found if inside is None else found.masked_fill(~inside, 0.0)


def relit(painted: Tensor, light: Tensor) -> Tensor:
    """Paintings (B, ..., C, H, W) of levelled images, in the light that these had."""
    return (painted + 1) * light.reshape(-1, *[1] * (painted.dim() - 1)) - 1
