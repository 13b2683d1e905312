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
