"""The generator: ViT encoder, middle, ViT decoder, long skip, 3x3 head (sections 2.1.1, 2.1.2).

Shapes: B batch, N tokens, D token width, C image channels, H x W image.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from burnish.method.blocks import Block, PatchEmbedding, init_weights, unpatchify
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
            Block(s.width, s.heads, s.mlp_ratio) for _ in range(s.depth_encoder)
        )
        self.middle = nn.ModuleList(
            Block(s.width, s.heads, s.mlp_ratio) for _ in range(s.depth_middle)
        )
        self.norm = nn.LayerNorm(s.width)
        self.linear = nn.Linear(s.width, s.width)
        init_weights(self)

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, C, H, W) -> bottleneck (B, N, D) and each encoder block's output, first to last."""
        tokens = self.embed(images)
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
            Block(s.width, s.heads, s.mlp_ratio) for _ in range(s.depth_decoder)
        )
        joins = {"none": 0, "outer": 1, "all": s.depth_decoder}[s.skip]
        self.joins = nn.ModuleList(nn.Linear(2 * s.width, s.width) for _ in range(joins))
        self.norm = nn.LayerNorm(s.width)
        self.to_pixels = nn.Linear(s.width, shape.channels * s.patch * s.patch)
        self.smooth = nn.Conv2d(shape.channels, shape.channels, 3, padding=1)
        init_weights(self)
        nn.init.dirac_(self.smooth.weight)  # start as the identity: nothing to smooth yet
        nn.init.zeros_(self.smooth.bias)  # type: ignore[arg-type]

    def forward(self, masked: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C [+ 1 with mask_channel], H, W) -> image (B, C, H, W), bottleneck (B, N, D)."""
        bottleneck, outputs = self.encoder(masked)
        tokens = bottleneck
        first_join = len(self.blocks) - len(self.joins)
        for index, block in enumerate(self.blocks):
            if index >= first_join:  # the last decoder block meets the first encoder block
                join = self.joins[index - first_join]
                tokens = join(torch.cat([tokens, outputs[len(self.blocks) - 1 - index]], dim=-1))
            tokens, _ = block(tokens)
        patches = self.to_pixels(self.norm(tokens))
        shape = self.shape
        image = unpatchify(patches, self.patch, shape.channels, shape.height, shape.width)
        return self.smooth(image), bottleneck
