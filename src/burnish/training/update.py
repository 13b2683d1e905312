"""The update of a training step: D's step, then that of G and E, without waiting for the device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from burnish.settings import Settings
from burnish.training.step import discriminator_step, generator_losses, generator_pass


class Update:
    """One step of D, then of G and E. It never waits for the device, so that it can be replayed.

    Args:
        networks: generator and, if they are trained, encoder and discriminator.
        wrapped: the same, set up by Fabric.
        stepping: adam_g of generator and encoder, adam_d of the discriminator, set up by Fabric.

    Attributes:
        names: of the loss terms, in the order of the values; empty before the first step.
    """

    def __init__(
        self,
        settings: Settings,
        fabric: Fabric,
        networks: Mapping[str, nn.Module],
        wrapped: Mapping[str, Any],
        stepping: Mapping[str, Any],
    ) -> None:
        self.settings, self.fabric = settings, fabric
        self.networks, self.wrapped, self.stepping = networks, wrapped, stepping
        self.names: list[str] = []

    def __call__(self, images: Tensor, masks: Tensor, inside: Tensor | None = None) -> Tensor:
        """Images (B, C, H, W), masks (2, H, W), region (B, 1, H, W) -> the loss terms, (T,)."""
        s, fabric = self.settings, self.fabric
        generator: Any = self.networks["generator"]
        painted, bottleneck = generator_pass(
            self.wrapped["generator"], images, masks, s.mask_channel, inside
        )
        terms: dict[str, Tensor] = {}
        discriminator = self.networks.get("discriminator")
        if discriminator is not None:
            discriminator.requires_grad_(True)
            terms["discriminator"] = discriminator_step(
                self.wrapped["discriminator"],
                self.stepping["adam_d"],
                images,
                painted,
                fabric.backward,
            )
            discriminator.requires_grad_(False)
        encoder = self.wrapped.get("encoder")
        kept = None if encoder is None else generator.kept(masks)
        terms |= generator_losses(
            images, painted, bottleneck, encoder, discriminator, s, fabric.autocast, inside, kept
        )
        self.stepping["adam_g"].zero_grad()
        fabric.backward(terms["total"])
        if s.clip_gradient:
            learners = self.stepping["adam_g"].optimizer.param_groups[0]["params"]
            torch.nn.utils.clip_grad_norm_(learners, s.clip_gradient)
        self.stepping["adam_g"].step()
        self.names = list(terms)
        return torch.stack([term.detach().float() for term in terms.values()])
