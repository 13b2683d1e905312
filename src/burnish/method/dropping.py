"""Tokens left out of the encoder and put back for the decoder (He et al., "Masked Autoencoders").

Shapes: M masks, B images under each, N tokens of the whole grid, K kept ones, D token width. A
batch holds all images under the first mask, then all under the second, ...
"""

from __future__ import annotations

import torch
from torch import Tensor


def take_tokens(tokens: Tensor, kept: Tensor) -> Tensor:
    """The tokens that are kept: (M * B, N, D), int64 (M, K) -> (M * B, K, D)."""
    parts = tokens.chunk(len(kept))
    return torch.cat([part.index_select(1, row) for part, row in zip(parts, kept, strict=True)])


def refill_tokens(tokens: Tensor, kept: Tensor, count: int, fill: Tensor) -> Tensor:
    """Put kept tokens back into their places and `fill` into all others.

    Args:
        tokens: (M * B, K, D).
        kept: int64 (M, K), the place of each.
        count: N, places in the grid.
        fill: (D,).

    Returns:
        (M * B, N, D).
    """
    masks, size = kept.shape
    places = kept.new_full((masks, count), size)  # the index of the fill, after the K tokens
    places.scatter_(1, kept, torch.arange(size, device=kept.device).expand(masks, -1))
    last = fill.to(tokens.dtype).expand(len(tokens), 1, -1)
    return take_tokens(torch.cat([tokens, last], dim=1), places)
