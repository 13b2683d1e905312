"""Token Merging: bipartite soft matching of attention keys (paper section 2.3).

Reference: Bolya et al., "Token Merging: Your ViT But Faster", ICLR 2023. Shapes: B batch, N tokens,
D channels. Token 0 is the class token: it is never merged into another nor receives one.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def merged_count(tokens: int, r: int) -> int:
    """Tokens left of `tokens` (class token included) after one merge of at most r pairs."""
    return tokens - min(r, (tokens - 1) // 2)


@torch.no_grad()  # which pairs merge is a choice, not a function to differentiate
def match(keys: Tensor, r: int) -> Tensor | None:
    """Choose the r most similar pairs (cosine) between even and odd tokens.

    Args:
        keys: (B, N, D) attention keys, averaged over heads.
        r: pairs to merge; at most half of the tokens besides the class token are merged.

    Returns:
        int64 (B, N): the place of each token among the N - r that are left (order: class token,
        other unmerged even tokens, odd tokens); merged ones share a place. None: nothing is merged.
    """
    batch, n, _ = keys.shape
    left = merged_count(n, r)
    if left == n:
        return None
    unit = F.normalize(keys.float(), dim=-1)
    similarity = unit[:, ::2] @ unit[:, 1::2].transpose(1, 2)
    similarity[:, 0] = -torch.inf
    best, partner = similarity.max(dim=-1)
    merging = best.argsort(dim=-1, descending=True, stable=True)[:, : n - left]
    stays = torch.ones_like(partner).scatter_(1, merging, 0)
    first_odd = left - n // 2
    places = torch.empty(batch, n, dtype=torch.int64, device=keys.device)
    places[:, ::2] = torch.where(stays.bool(), stays.cumsum(dim=1) - 1, first_odd + partner)
    places[:, 1::2] = torch.arange(first_odd, left, device=keys.device)
    return places


def merge_tokens(tokens: Tensor, sizes: Tensor, keys: Tensor, r: int) -> tuple[Tensor, Tensor]:
    """Merge the r best pairs into their size-weighted means.

    Args:
        tokens: (B, N, D).
        sizes: (B, N, 1), number of patches each token stands for.
        keys: (B, N, Dk), see `match`.

    Returns:
        tokens (B, N', D) and sizes (B, N', 1); the sizes' sum does not change.
    """
    places = match(keys, r)
    if places is None:
        return tokens, sizes
    batch, left = len(tokens), merged_count(tokens.shape[1], r)
    # Moving tokens costs more than matching them: each is weighted and added up once.
    rows = (places + left * torch.arange(batch, device=places.device)[:, None]).flatten()
    old = sizes.flatten(0, 1)
    merged = old.new_zeros(batch * left, 1).index_add_(0, rows, old)
    weights = (old / merged[rows]).to(tokens.dtype)
    weighted = tokens.flatten(0, 1) * weights
    means = tokens.new_zeros(batch * left, tokens.shape[2]).index_add(0, rows, weighted)
    return means.unflatten(0, (batch, left)), merged.unflatten(0, (batch, left))
