"""One training step: the discriminator with G fixed, then G and E with D fixed (2.4.1)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from burnish.method import losses
from burnish.method.reconstruction import hide, merge_halves
from burnish.settings import Settings

LOSS_TERMS = ("total", "l1", "ssim", "gradient", "adversarial", "latent", "discriminator")


def generator_pass(
    generator: nn.Module,
    images: Tensor,
    masks: Tensor,
    mask_channel: bool,
    inside: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Run both complementary masks of a scale in one batch.

    Args:
        images: (B, C, H, W) in [-1, 1], 0 outside the region of interest.
        masks: bool (2, H, W).
        inside: bool (B, 1, H, W), the region; the reconstruction is 0 outside it too.

    Returns:
        Merged reconstruction (B, C, H, W) float32, bottleneck (2B, N, D).
    """
    painted, bottleneck = generator(hide(images, masks, mask_channel), masks)
    merged = merge_halves(painted.float(), masks)
    return (merged if inside is None else merged.masked_fill(~inside, 0.0)), bottleneck


def discriminator_step(
    discriminator: nn.Module,
    optimizer: Optimizer,
    images: Tensor,
    reconstruction: Tensor,
    backward: Callable[[Tensor], None],
) -> Tensor:
    """Train D to tell part from reconstruction, with G fixed. Returns D's loss."""
    logits, _ = discriminator(torch.cat([images, reconstruction.detach()]))
    loss = losses.discriminator_loss(*logits.float().chunk(2))
    optimizer.zero_grad()
    backward(loss)
    optimizer.step()
    return loss.detach()


def generator_losses(
    images: Tensor,
    reconstruction: Tensor,
    bottleneck: Tensor,
    encoder: nn.Module | None,
    discriminator: nn.Module | None,
    settings: Settings,
    autocast: Callable[[], AbstractContextManager[object]],
    inside: Tensor | None = None,
    kept: Tensor | None = None,
) -> dict[str, Tensor]:
    """Every term of eq. 5 and their weighted sum `total`; a term with weight 0 is not computed.

    The consistency terms run outside autocast: SSIM needs float32. Outside the region of interest
    (bool (B, 1, H, W)) they are 0; they are means over the pixels inside. `kept`: see
    `latent_loss`.
    """
    s = settings
    terms: dict[str, Tensor] = {}
    consistency = {
        "l1": (s.weight_l1, losses.l1_loss),
        "ssim": (s.weight_ssim, losses.ssim_loss),
        "gradient": (s.weight_gradient, losses.gradient_loss),
    }
    total = reconstruction.new_zeros(())
    share = 1.0 if inside is None else inside.float().mean()
    for name, (weight, loss) in consistency.items():
        if weight and s.weight_consistency:
            terms[name] = loss(images, reconstruction) / share
            total = total + s.weight_consistency * weight * terms[name]
    if discriminator is not None:
        with autocast():
            with torch.no_grad():
                _, feature = discriminator(images)
            _, feature_reconstruction = discriminator(reconstruction)
        terms["adversarial"] = losses.feature_matching_loss(feature, feature_reconstruction)
        total = total + s.weight_adversarial * terms["adversarial"]
    if encoder is not None:
        with autocast():
            encoded, _ = encoder(reconstruction)
        terms["latent"] = losses.latent_loss(bottleneck, encoded, kept)
        total = total + s.weight_latent * terms["latent"]
    return {"total": total, **terms}
