"""Complementary block masks at several scales (paper section 2.2, Fig. 5)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def checkerboard(height: int, width: int, block: int) -> Tensor:
    """A checkerboard of `block` x `block` px cells, the top left cell hidden.

    Cells at the right and lower edges are cut where the size is not a multiple of the block.

    Returns:
        bool (height, width), True where hidden.
    """
    rows = torch.arange(height) // block
    columns = torch.arange(width) // block
    return (rows[:, None] + columns[None, :]) % 2 == 0


def complementary_masks(height: int, width: int, blocks: Sequence[int]) -> Tensor:
    """For every scale the checkerboard and its complement: each pixel is hidden exactly once.

    Returns:
        bool (S, 2, height, width) for S block sides in px, True where hidden.
    """
    boards = [checkerboard(height, width, block) for block in blocks]
    return torch.stack([torch.stack([board, ~board]) for board in boards])


def hidden_patches(masks: Tensor, patch: int) -> Tensor:
    """bool (..., H, W) -> bool (..., H/p * W/p): the patches that are wholly hidden."""
    height, width = masks.shape[-2:]
    grid = masks.unflatten(-1, (width // patch, patch)).unflatten(-3, (height // patch, patch))
    return grid.all(dim=-1).all(dim=-2).flatten(-2)


def most_visible(height: int, width: int, blocks: Sequence[int], patch: int) -> int:
    """The largest number of patches that any of the complementary masks leaves visible."""
    with torch.device("cpu"):
        masks = complementary_masks(height, width, blocks)
        return int((~hidden_patches(masks, patch)).sum(dim=-1).max())


def visible_patches(masks: Tensor, patch: int, count: int) -> Tensor:
    """Indices of `count` patches of every mask: the visible ones, in order.

    If a mask leaves fewer visible (a checkerboard with an odd number of cells has one more of one
    colour), its first hidden patches fill up, so that all copies fit one batch.

    Args:
        masks: bool (M, H, W), True where hidden.
        count: at least as many as any mask leaves visible, see `most_visible`.

    Returns:
        int64 (M, count).
    """
    return hidden_patches(masks, patch).byte().argsort(dim=-1, stable=True)[:, :count]
