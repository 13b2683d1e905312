"""The batch of a step, drawn from (seed, epoch) and (seed, step): the same after a resume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from burnish.method.light import levelled, light_of
from burnish.settings import Settings
from burnish.training.augment import augment
from burnish.training.samples import Samples


@dataclass(frozen=True)
class Batch:
    """What a step trains on.

    Attributes:
        images: (B, C, H, W) in [-1, 1], 0 outside the region of interest; levelled ones may exceed
            1.
        inside: that region, bool (B, 1, H, W); None: everything counts.
        scale: index of the mask scale.
    """

    images: Tensor
    inside: Tensor | None
    scale: int


def draw_batch(
    samples: Samples,
    settings: Settings,
    step: int,
    size: int,
    scales: int,
    device: torch.device | None = None,
) -> Batch:
    """Draw the `size` samples of optimiser step `step`, and one of `scales` mask scales."""
    seed = settings.seed
    epoch, position = divmod(step, len(samples) // size)
    order = np.random.default_rng((seed, 0, epoch)).permutation(len(samples))
    chosen = order[position * size : (position + 1) * size]
    rng = np.random.default_rng((seed, 1, step))
    scale = int(rng.integers(scales))
    pixels, region = samples.batch(chosen, np.random.default_rng((seed, 2, step)))
    by_images = "both" if samples.mirrored else "none"
    images, inside = augment(
        torch.from_numpy(pixels),
        by_images if settings.flips == "auto" else settings.flips,
        settings.jitter,
        rng,
        None if region is None else torch.from_numpy(region),
        device,
    )
    if inside is not None:
        images = images.masked_fill(~inside, 0.0)
    if settings.level_light:
        images = levelled(images, light_of(images, inside), inside)
    return Batch(images, inside, scale)
