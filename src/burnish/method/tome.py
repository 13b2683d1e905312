"""Token Merging: bipartite soft matching of attention keys (paper section 2.3).

Reference: Bolya et al., "Token Merging: Your ViT But Faster", ICLR 2023. Shapes: B batch, N tokens,
D channels. Token 0 is the class token: it is never merged into another nor receives one.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Merge = Callable[[Tensor], Tensor]


def merged_count(tokens: int, r: int) -> int:
    """Tokens left of `tokens` (class token included) after one merge of at most r pairs."""
    return tokens - min(r, (tokens - 1) // 2)


def match(keys: Tensor, r: int) -> Merge | None:
    """Choose the r most similar pairs (cosine) between even and odd tokens.

    Args:
        keys: (B, N, D) attention keys, averaged over heads.
        r: pairs to merge; at most half of the tokens besides the class token are merged.

    Returns:
        A function (B, N, C) -> (B, N - r, C) that ADDS each merged token onto its partner (order:
        class token, other unmerged even tokens, odd tokens), or None when nothing is merged.
    """
    r = keys.shape[1] - merged_count(keys.shape[1], r)
    if r == 0:
        return None
    with torch.no_grad():  # which pairs merge is a choice, not a function to differentiate
        unit = F.normalize(keys.float(), dim=-1)
        similarity = unit[:, ::2] @ unit[:, 1::2].transpose(1, 2)
        similarity[:, 0] = -torch.inf
        best, partner = similarity.max(dim=-1)
        order = best.argsort(dim=-1, descending=True, stable=True)[..., None]
        merging, staying = order[:, :r], order[:, r:].sort(dim=1).values
        target = partner[..., None].gather(1, merging)

    def merge(tokens: Tensor) -> Tensor:
        even, odd = tokens[:, ::2], tokens[:, 1::2]
        channels = tokens.shape[-1]
        moved = even.gather(1, merging.expand(-1, -1, channels))
        kept = even.gather(1, staying.expand(-1, -1, channels))
        return torch.cat([kept, odd.scatter_add(1, target.expand(-1, -1, channels), moved)], dim=1)

    return merge


def merge_tokens(tokens: Tensor, sizes: Tensor, keys: Tensor, r: int) -> tuple[Tensor, Tensor]:
    """Merge the r best pairs into their size-weighted means.

    Args:
        tokens: (B, N, D).
        sizes: (B, N, 1), number of patches each token stands for.
        keys: (B, N, Dk), see `match`.

    Returns:
        tokens (B, N', D) and sizes (B, N', 1); the sizes' sum does not change.
    """
    merge = match(keys, r)
    if merge is None:
        return tokens, sizes
    merged_sizes = merge(sizes)
    weighted = merge(tokens * sizes.to(tokens.dtype))
    return weighted / merged_sizes.to(tokens.dtype), merged_sizes
