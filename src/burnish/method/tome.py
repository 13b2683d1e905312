"""Token Merging: bipartite soft matching of attention keys (paper section 2.3).

Reference: Bolya et al., "Token Merging: Your ViT But Faster", ICLR 2023. Shapes: B batch, N tokens,
D channels. Token 0 is the class token: it is never merged into another nor receives one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F


def merged_count(tokens: int, r: int) -> int:
    """Tokens left of `tokens` (class token included) after one merge of at most r pairs."""
    return tokens - min(r, (tokens - 1) // 2)


@torch.no_grad()  # the choice of pairs has no gradient
def match(keys: Tensor, r: int) -> tuple[Tensor, Tensor] | None:
    """Choose the r most similar pairs (cosine) between even and odd tokens.

    Args:
        keys: (B, N, D) attention keys, averaged over heads.
        r: pairs to merge; at most half of the tokens besides the class token are merged.

    Returns:
        int64 (B, N): the place of each token among the N - r that are left (order: class token,
        other unmerged even tokens, odd tokens); merged ones share a place. int64 (B, r): which even
        tokens are merged (token 2 k is number k). None: nothing is merged.
    """
    batch, n, _ = keys.shape
    left = merged_count(n, r)
    if left == n:
        return None
    unit = F.normalize(keys.float(), dim=-1)
    similarity = unit[:, ::2] @ unit[:, 1::2].transpose(1, 2)
    similarity[:, 0] = -torch.inf
    best, partner = similarity.max(dim=-1)
    if keys.device.type == "cuda":  # where sorting takes many kernels
        merging = best.topk(n - left, dim=-1).indices
    else:
        merging = best.argsort(dim=-1, descending=True, stable=True)[:, : n - left]
    stays = torch.ones_like(partner).scatter_(1, merging, 0)
    first_odd = left - n // 2
    places = torch.empty(batch, n, dtype=torch.int64, device=keys.device)
    places[:, ::2] = torch.where(stays.bool(), stays.cumsum(dim=1) - 1, first_odd + partner)
    places[:, 1::2] = torch.arange(first_odd, left, device=keys.device)
    return places, merging


def merge_tokens(tokens: Tensor, sizes: Tensor, keys: Tensor, r: int) -> tuple[Tensor, Tensor]:
    """Merge the r best pairs into their size-weighted means.

    Args:
        tokens: (B, N, D).
        sizes: (B, N, 1), number of patches each token stands for.
        keys: (B, N, Dk), see `match`.

    Returns:
        tokens (B, N', D) and sizes (B, N', 1); the sizes' sum does not change.
    """
    matched = match(keys, r)
    if matched is None:
        return tokens, sizes
    places, merging = matched
    batch, count, _ = tokens.shape
    left = count - merging.shape[1]
    first = torch.arange(batch, device=places.device)[:, None]
    # Moving tokens costs more than matching them, so each is weighted and added once.
    rows = (places + left * first).flatten()
    later = (2 * merging + count * first)[:, 1:].T
    old = sizes.flatten(0, 1)
    merged = add_up(old, rows, batch * left, later)
    weights = (old / merged[rows]).to(tokens.dtype)
    means = add_up(tokens.flatten(0, 1) * weights, rows, batch * left, later)
    return means.unflatten(0, (batch, left)), merged.unflatten(0, (batch, left))


def add_up(values: Tensor, rows: Tensor, count: int, later: Tensor) -> Tensor:
    """Add up the values of each of `count` rows, bit for bit repeatable on a GPU too.

    Args:
        values: (V, D).
        rows: int64 (V,), the row that each value is added to.
        later: int64 (L, B), indices of values that are added afterwards, such that no more than
            two of the others go to one row, and those of each of the L parts to different rows.

    Returns:
        (count, D).
    """
    if values.device.type != "cuda":
        return values.new_zeros(count, values.shape[1]).index_add(0, rows, values)
    found: Tensor = _AddUp.apply(values, rows, count, later)
    return found


class _AddUp(Function):
    """A GPU would have to sort all rows to add in a fixed order. For two numbers the order does not
    matter, so any further ones are added afterwards."""

    @staticmethod
    def forward(context: Any, values: Tensor, rows: Tensor, count: int, later: Tensor) -> Tensor:
        context.save_for_backward(rows)
        found = values.new_zeros(count, values.shape[1])
        with _any_order():
            found.index_add_(0, rows, values.index_fill(0, later.flatten(), 0.0))
            for part in later:
                found.index_add_(0, rows[part], values[part])
        return found

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (rows,) = context.saved_tensors
        return gradients[0].index_select(0, rows), None, None, None


@contextmanager
def _any_order() -> Iterator[None]:
    """Allow kernels whose order of summation varies: with two summands at most they repeat."""
    before = torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(False)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warned)
