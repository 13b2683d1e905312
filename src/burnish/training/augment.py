"""Random mirroring and lamp changes of training images, drawn from a given generator."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def augment(pixels: Tensor, flips: str, jitter: float, rng: np.random.Generator) -> Tensor:
    """uint8 (B, C, H, W) -> float32 in [-1, 1], each image changed on its own.

    Args:
        flips: "none", "horizontal", "vertical" or "both"; each mirror is drawn with chance 1/2.
        jitter: brightness shifts by up to `jitter` of the range, contrast scales by up to
            1 +- jitter; the result is clipped to the range as a camera would.
        rng: draws the same numbers whatever the settings.
    """
    mirror = rng.random((len(pixels), 2)) < 0.5
    lamp = rng.uniform(-1, 1, (2, len(pixels), 1, 1, 1)) * jitter
    images = pixels.float() / 127.5 - 1
    if flips != "none":
        wanted = (flips in ("vertical", "both"), flips in ("horizontal", "both"))
        images = torch.stack(
            [
                image.flip([axis + 1 for axis in (0, 1) if drawn[axis] and wanted[axis]])
                for image, drawn in zip(images, mirror, strict=True)
            ]
        )
    if jitter:
        shift, scale = torch.from_numpy(lamp).float()
        middle = images.mean(dim=(1, 2, 3), keepdim=True)
        images = (middle + (images - middle) * (1 + scale) + 2 * shift).clamp(-1, 1)
    return images
