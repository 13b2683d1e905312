"""Floating-point operations of a training step, counted without computing.

The networks are built and run on torch's meta device, where tensors have shapes but no numbers:
the count is the same on every machine and takes seconds at any size.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from burnish.method.discriminator import Discriminator
from burnish.method.generator import Encoder, Generator, InputShape
from burnish.method.masks import complementary_masks
from burnish.method.tome import merged_count
from burnish.settings import Settings
from burnish.training.step import discriminator_step, generator_losses, generator_pass


@dataclass(frozen=True)
class StepCost:
    """One training step, forward and backward.

    Attributes:
        flops: of matrix products and convolutions (2 per multiply-add); the rest is small.
        discriminator_flops: the part that training without a discriminator would save.
        tokens: of the discriminator, class token included, before each block's attention and
            after the last block.
    """

    flops: int
    discriminator_flops: int
    tokens: tuple[int, ...]


def count_step(settings: Settings, shape: InputShape, batch: int) -> StepCost:
    """Count one step at `batch` images of `shape`; all terms with a weight take part."""
    total = _flops(settings, shape, batch)
    if not settings.weight_adversarial:
        return StepCost(total, 0, ())
    bare = settings.model_copy(update={"weight_adversarial": 0.0})
    return StepCost(total, total - _flops(bare, shape, batch), tuple(tokens_of(settings, shape)))


def tokens_of(settings: Settings, shape: InputShape) -> list[int]:
    """Tokens of the discriminator before its first block and after each."""
    side = settings.disc_patch
    counts = [1 + (shape.height // side) * (shape.width // side)]
    for _ in range(settings.disc_depth):
        counts.append(merged_count(counts[-1], settings.tome_r))
    return counts


def _flops(s: Settings, shape: InputShape, batch: int) -> int:
    with FlopCounterMode(display=False) as counter:
        run_step(s, shape, batch)
    return counter.get_total_flops()


def run_step(s: Settings, shape: InputShape, batch: int) -> None:
    """One training step, forward and backward, without numbers."""
    with torch.device("meta"):
        generator = Generator(s, shape)
        encoder = Encoder(s, shape, shape.channels) if s.weight_latent else None
        discriminator = Discriminator(s, shape) if s.weight_adversarial else None
        images = torch.empty(batch, shape.channels, shape.height, shape.width)
    masks = complementary_masks(shape.height, shape.width, s.mask_blocks)[0].to("meta")
    # The counter does not know a CPU's fused attention kernels, but plain products.
    with sdpa_kernel(SDPBackend.MATH):
        painted, bottleneck = generator_pass(generator, images, masks, s.mask_channel)
        if discriminator is not None:
            optimizer = torch.optim.SGD(discriminator.parameters())
            discriminator_step(
                discriminator, optimizer, images, painted, lambda loss: loss.backward()
            )
            discriminator.requires_grad_(False)
        terms = generator_losses(
            images,
            painted,
            bottleneck,
            encoder,
            discriminator,
            s,
            nullcontext,
            kept=generator.kept(masks),
        )
        terms["total"].backward()
