"""Vision Transformer parts shared by generator, second encoder and discriminator (Fig. 3).

Shapes: B batch, N tokens, D token width, C image channels, H x W image, p patch side.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from burnish.method.dropping import take_tokens
from burnish.method.tome import merge_tokens

FEW_TOKENS = 512  # most for plain attention: all pairs of 16 images, 2 heads take 64 MiB a block


def patchify(images: Tensor, patch: int) -> Tensor:
    """(B, C, H, W) -> (B, H/p * W/p, C*p*p), row by row; H and W are multiples of `patch`."""
    b, c, h, w = images.shape
    grid = images.reshape(b, c, h // patch, patch, w // patch, patch)
    return grid.permute(0, 2, 4, 1, 3, 5).reshape(b, -1, c * patch * patch)


def unpatchify(patches: Tensor, patch: int, channels: int, height: int, width: int) -> Tensor:
    """The inverse of `patchify`: (B, N, C*p*p) -> (B, C, height, width)."""
    rows, columns = height // patch, width // patch
    grid = patches.reshape(-1, rows, columns, channels, patch, patch)
    return grid.permute(0, 3, 1, 4, 2, 5).reshape(-1, channels, height, width)


def init_weights(module: nn.Module) -> None:
    """Linear layers: truncated normal (std 0.02), zero biases. Patch embeddings: their `reset`."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.trunc_normal_(part.weight, std=0.02)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    for part in module.modules():
        if isinstance(part, PatchEmbedding):
            part.reset()


def sine_positions(rows: int, columns: int, width: int) -> Tensor:
    """Sines and cosines of row and column at growing wavelengths: (rows * columns, width).

    The first half of the channels codes the row, the second the column (He et al., "Masked
    Autoencoders", 2022). `width` is a multiple of 4.
    """
    # On the CPU even where a model is built on the meta device: `arange` there loads sympy and
    # torch's compiler, which takes longer than all the rest of a first inspection.
    places = [torch.arange(n, device="cpu") for n in (width // 4, rows, columns)]
    frequency = 10000.0 ** (-places[0] / (width // 4))
    row, column = torch.meshgrid(places[1], places[2], indexing="ij")
    parts = []
    for axis in (row, column):
        angle = axis.reshape(-1, 1) * frequency
        parts += [angle.sin(), angle.cos()]
    return torch.cat(parts, dim=1)


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
    """Softmax attention (Vaswani et al. 2017): (B, heads, N, D/heads) each, and the result too;
    `bias` (B, 1, N, N) is added to the logits.

    In bfloat16 on a CPU the backward pass of torch's fused attention takes ten times as long as
    the plain one (34 to 65 tokens; benchmarks/README.md), which is used instead unless there are
    many tokens: it keeps all pairs in memory.
    """
    slow = query.dtype == torch.bfloat16 and query.device.type == "cpu"
    if slow and query.shape[2] <= FEW_TOKENS:
        logits = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
        logits = logits if bias is None else logits + bias
        return logits.softmax(dim=-1, dtype=torch.float32).to(value.dtype) @ value
    return F.scaled_dot_product_attention(query, key, value, attn_mask=bias)


class Attention(nn.Module):
    """Multi-head self-attention; `sizes` turns it into ToMe's proportional attention.

    With `normalised`, queries and keys have mean 0 and deviation 1 in each head (Dehghani et al.,
    "Scaling Vision Transformers to 22 Billion Parameters", 2023), so that no logit is beyond
    sqrt(D/heads), and rounding cannot change which token is attended to.
    """

    def __init__(self, width: int, heads: int, normalised: bool = False) -> None:
        super().__init__()
        self.heads, self.normalised = heads, normalised
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)

    def forward(self, tokens: Tensor, sizes: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, N, D), sizes (B, N, 1) or None -> output (B, N, D), keys (B, heads, N, D/heads).

        A token of size k draws attention like k equal tokens: log(size) is added to its logits.
        """
        b, n, d = tokens.shape
        # Split before transposing: the gradients are then joined in one copy.
        parts = self.qkv(tokens).view(b, n, 3, self.heads, d // self.heads).unbind(2)
        query, key, value = (part.transpose(1, 2) for part in parts)
        if self.normalised:
            query, key = (F.layer_norm(part, part.shape[-1:]) for part in (query, key))
        bias = None
        if sizes is not None:
            bias = sizes.log().to(query.dtype).reshape(b, 1, 1, n).expand(-1, -1, n, -1)
        out = attend(query, key, value, bias)
        return self.project(out.transpose(1, 2).reshape(b, n, d)), key


class Block(nn.Module):
    """Pre-norm Transformer block; merges `tome_r` tokens between attention and MLP."""

    def __init__(
        self, width: int, heads: int, mlp_ratio: float, tome_r: int = 0, qk_norm: bool = False
    ) -> None:
        super().__init__()
        self.tome_r = tome_r
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads, qk_norm)
        self.norm2 = nn.LayerNorm(width)
        hidden = int(width * mlp_ratio)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, tokens: Tensor, sizes: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """(B, N, D), sizes (B, N, 1) or None -> the same, with N - tome_r tokens."""
        tokens, keys = self.attention_half(tokens, sizes)
        if self.tome_r:
            if sizes is None:
                sizes = torch.ones_like(tokens[..., :1], dtype=torch.float32)
            tokens, sizes = merge_tokens(tokens, sizes, keys.detach().mean(dim=1), self.tome_r)
        return self.mlp_half(tokens), sizes

    def attention_half(self, tokens: Tensor, sizes: Tensor | None) -> tuple[Tensor, Tensor]:
        """Tokens (B, N, D), sizes (B, N, 1) or None -> tokens, keys (B, heads, N, D/heads)."""
        attended, keys = self.attention(self.norm1(tokens), sizes)
        return tokens + attended, keys

    def mlp_half(self, tokens: Tensor) -> Tensor:
        """Token by token: (B, N, D) -> the same."""
        return tokens + self.mlp(self.norm2(tokens))


class PatchEmbedding(nn.Module):
    """Patches, linearly projected, plus a learnt position; optionally a class token in front.

    Positions start as sines: with random ones a small ViT spends much of its training on learning
    which patches are neighbours.
    """

    def __init__(
        self,
        height: int,
        width_px: int,
        patch: int,
        channels: int,
        width: int,
        class_token: bool = False,
    ) -> None:
        super().__init__()
        self.patch = patch
        self.grid = (height // patch, width_px // patch)
        self.project = nn.Linear(channels * patch * patch, width)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width)) if class_token else None
        self.position = nn.Parameter(torch.zeros(1, self.grid[0] * self.grid[1], width))
        self.reset()

    def reset(self) -> None:
        """Set all weights to their initial values."""
        nn.init.xavier_uniform_(self.project.weight)
        nn.init.zeros_(self.project.bias)
        with torch.no_grad():
            self.position[0] = sine_positions(*self.grid, self.position.shape[-1])
        if self.class_token is not None:
            nn.init.trunc_normal_(self.class_token, std=0.02)

    def forward(self, images: Tensor, kept: Tensor | None = None) -> Tensor:
        """(B, C, H, W) -> (B, N, D), the class token first if there is one.

        With `kept`, int64 (M, K), only these patches: images [0, B/M) those of its first row, and
        so on; then N is K.
        """
        patches = patchify(images, self.patch)
        if kept is None:
            tokens = self.project(patches) + self.position
        else:
            positions = self.position[0][kept].repeat_interleave(len(images) // len(kept), dim=0)
            tokens = self.project(take_tokens(patches, kept)) + positions
        if self.class_token is None:
            return tokens
        return torch.cat([self.class_token.expand(len(tokens), -1, -1).to(tokens), tokens], dim=1)
