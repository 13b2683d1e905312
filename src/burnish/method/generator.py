"""The generator: ViT encoder, middle, ViT decoder, long skip, 3x3 head (sections 2.1.1, 2.1.2).

Shapes: B batch, N tokens, D token width, C image channels, H x W image.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from burnish.method.blocks import (
    Block,
    PatchEmbedding,
    init_weights,
    sine_positions,
    unpatchify,
)
from burnish.method.dropping import refill_tokens
from burnish.method.filters import convolve3
from burnish.method.masks import most_visible, visible_patches
from burnish.settings import Settings


@dataclass(frozen=True)
class InputShape:
    """What the networks see: image channels (1 or 3) and size in px."""

    channels: int
    height: int
    width: int


class Encoder(nn.Module):
    """Patch embedding, encoder and middle blocks, norm and the paper's "linear layer".

    Serves as G_E and, with weights of its own, as the second encoder E.
    """

    def __init__(self, settings: Settings, shape: InputShape, channels: int) -> None:
        super().__init__()
        s = settings
        self.embed = PatchEmbedding(shape.height, shape.width, s.patch, channels, s.width)
        self.blocks = nn.ModuleList(
            Block(s.width, s.heads, s.mlp_ratio, qk_norm=s.qk_norm) for _ in range(s.depth_encoder)
        )
        self.middle = nn.ModuleList(
            Block(s.width, s.heads, s.mlp_ratio, qk_norm=s.qk_norm) for _ in range(s.depth_middle)
        )
        self.norm = nn.LayerNorm(s.width)
        self.linear = nn.Linear(s.width, s.width)
        init_weights(self)

    def forward(self, images: Tensor, kept: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        """(B, C, H, W) -> bottleneck (B, N, D) and each encoder block's output, first to last.

        With `kept`, int64 (M, K), only those patches are seen (`PatchEmbedding`); then N is K.
        """
        tokens = self.embed(images, kept)
        outputs = []
        for block in self.blocks:
            tokens, _ = block(tokens)
            outputs.append(tokens)
        for block in self.middle:
            tokens, _ = block(tokens)
        return self.linear(self.norm(tokens)), outputs


class Generator(nn.Module):
    """Paints what a mask hides. Input and output lie in [-1, 1]; the output is not clamped."""

    def __init__(self, settings: Settings, shape: InputShape) -> None:
        super().__init__()
        s = settings
        self.shape, self.patch, self.skip = shape, s.patch, s.skip
        self.mask_channel = s.mask_channel
        self.encoder = Encoder(settings, shape, shape.channels + s.mask_channel)
        self.blocks = nn.ModuleList(
            Block(s.width, s.heads, s.mlp_ratio, qk_norm=s.qk_norm) for _ in range(s.depth_decoder)
        )
        joins = {"none": 0, "outer": 1, "all": s.depth_decoder}[s.skip]
        self.joins = nn.ModuleList(nn.Linear(2 * s.width, s.width) for _ in range(joins))
        self.norm = nn.LayerNorm(s.width)
        self.to_pixels = nn.Linear(s.width, shape.channels * s.patch * s.patch)
        self.smooth = nn.Conv2d(shape.channels, shape.channels, 3, padding=1)
        init_weights(self)
        self._dropping(settings)
        nn.init.dirac_(self.smooth.weight)  # start as the identity: nothing to smooth yet
        assert self.smooth.bias is not None
        nn.init.zeros_(self.smooth.bias)

    def _dropping(self, settings: Settings) -> None:
        """Add what hidden_tokens=drop needs: tokens and positions for places the encoder skips."""
        s, shape = settings, self.shape
        self.visible = 0  # patches the encoder sees of each copy; 0: all
        if s.hidden_tokens == "drop":
            self.visible = most_visible(shape.height, shape.width, s.mask_blocks, s.patch)
            rows, columns = shape.height // s.patch, shape.width // s.patch
            self.position = nn.Parameter(torch.zeros(1, rows * columns, s.width))
            with torch.no_grad():
                self.position[0] = sine_positions(rows, columns, s.width)
            # One for the bottleneck, one for the missing side of each long skip.
            self.fill = nn.Parameter(torch.zeros(1 + len(self.joins), s.width))
            nn.init.trunc_normal_(self.fill, std=0.02)

    def kept(self, masks: Tensor) -> Tensor | None:
        """bool (M, H, W) -> int64 (M, K), the patches the encoder sees; None: all of them."""
        return visible_patches(masks, self.patch, self.visible) if self.visible else None

    def forward(self, masked: Tensor, masks: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, C [+ 1 with mask_channel], H, W) -> image (B, C, H, W), bottleneck (B, N, D).

        Args:
            masked: B / M images under each of M masks, mask by mask (`hide`).
            masks: bool (M, H, W); with hidden_tokens=drop they must be given, and the bottleneck
                is (B, K, D), of the visible patches alone.
        """
        kept = None
        if self.visible:
            assert masks is not None
            kept = self.kept(masks)
        bottleneck, outputs = self.encoder(masked, kept)
        tokens = self._refill(bottleneck, kept, 0)
        if kept is not None:
            tokens = tokens + self.position
        first_join = len(self.blocks) - len(self.joins)
        for index, block in enumerate(self.blocks):
            if index >= first_join:  # the last decoder block meets the first encoder block
                join = self.joins[index - first_join]
                early = outputs[len(self.blocks) - 1 - index]
                early = self._refill(early, kept, 1 + index - first_join)
                tokens = join(torch.cat([tokens, early], dim=-1))
            tokens, _ = block(tokens)
        patches = self.to_pixels(self.norm(tokens))
        shape = self.shape
        image = unpatchify(patches, self.patch, shape.channels, shape.height, shape.width)
        return self._head(image), bottleneck

    def _head(self, image: Tensor) -> Tensor:
        if torch.is_grad_enabled() and image.shape[1] == 1:
            assert self.smooth.bias is not None
            return convolve3(image, self.smooth.weight, self.smooth.bias)
        return self.smooth(image)

    def _refill(self, tokens: Tensor, kept: Tensor | None, which: int) -> Tensor:
        """Put the kept tokens back into the whole grid, with a learnt token in all other places."""
        if kept is None:
            return tokens
        return refill_tokens(tokens, kept, self.position.shape[1], self.fill[which])
