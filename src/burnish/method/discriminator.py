"""The discriminator: a ViT with Token Merging in every block (sections 2.1.3, 2.3, 3.2)."""

from __future__ import annotations

from torch import Tensor, nn

from burnish.method.blocks import Block, PatchEmbedding, init_weights
from burnish.method.generator import InputShape
from burnish.settings import Settings


class Discriminator(nn.Module):
    """Real or painted? Only training uses it."""

    def __init__(self, settings: Settings, shape: InputShape) -> None:
        super().__init__()
        s = settings
        self.embed = PatchEmbedding(
            shape.height, shape.width, s.disc_patch, shape.channels, s.disc_width, class_token=True
        )
        self.blocks = nn.ModuleList(
            Block(s.disc_width, s.disc_heads, s.mlp_ratio, s.tome_r) for _ in range(s.disc_depth)
        )
        self.norm = nn.LayerNorm(s.disc_width)
        self.linear = nn.Linear(s.disc_width, 1)
        init_weights(self)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) in [-1, 1] -> logit (B,) (its sigmoid: share real), feature (B, D).

        The feature, matched by L_adv, is the normalised class token before the linear layer.
        """
        tokens, sizes = self.embed(images), None
        for block in self.blocks:
            tokens, sizes = block(tokens, sizes)
        feature = self.norm(tokens[:, 0])
        return self.linear(feature).squeeze(-1), feature
