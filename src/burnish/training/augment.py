"""Random mirroring and lamp changes of training images, drawn from a given generator."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def augment(
    pixels: Tensor,
    flips: str,
    jitter: float,
    rng: np.random.Generator,
    inside: Tensor | None = None,
    device: torch.device | None = None,
) -> tuple[Tensor, Tensor | None]:
    """uint8 (B, C, H, W) -> float32 in [-1, 1], each image changed on its own.

    Args:
        flips: "none", "horizontal", "vertical" or "both"; each mirror is drawn with chance 1/2.
        jitter: brightness shifts by up to `jitter` of the range, contrast scales by up to
            1 +- jitter; the result is clipped to the range as a camera would.
        rng: draws the same numbers whatever the settings.
        inside: bool (B, 1, H, W), the region of interest of each image, mirrored with it.
        device: where the result is computed; pixels are sent there as bytes.

    Returns:
        The images and their regions.
    """
    drawn = rng.random((len(pixels), 2)) < 0.5
    lamp = rng.uniform(-1, 1, (2, len(pixels), 1, 1, 1)) * jitter
    wanted = drawn & np.array([flips in ("vertical", "both"), flips in ("horizontal", "both")])
    if wanted.any():
        pixels = _mirror(pixels, wanted)
        inside = None if inside is None else _mirror(inside, wanted)
    inside = None if inside is None else inside.to(device)
    images = pixels.to(device).float().div_(127.5).sub_(1)
    if jitter:
        shift, scale = torch.from_numpy(lamp).float().to(device)
        middle = images.mean(dim=(1, 2, 3), keepdim=True)
        images.sub_(middle).mul_(1 + scale).add_(middle).add_(2 * shift).clamp_(-1, 1)
    return images, inside


def _mirror(images: Tensor, wanted: NDArray[np.bool_]) -> Tensor:
    """Mirror each of (B, C, H, W) up-down and left-right as (B, 2) says."""
    return torch.stack(
        [
            image.flip([axis + 1 for axis in (0, 1) if axes[axis]])
            for image, axes in zip(images, wanted, strict=True)
        ]
    )
