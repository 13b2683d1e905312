"""Block masks: a partition at every scale, for any size (section 2.2)."""

from __future__ import annotations

import pytest
import torch

from burnish.method.masks import checkerboard, complementary_masks

SIZES = [(64, 64), (64, 96), (33, 50), (7, 41), (1, 1), (5, 3)]
BLOCKS = (2, 3, 8, 16, 32)


def slow_checkerboard(height: int, width: int, block: int) -> torch.Tensor:
    board = torch.zeros(height, width, dtype=torch.bool)
    for y in range(height):
        for x in range(width):
            board[y, x] = (y // block) % 2 == (x // block) % 2
    return board


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("block", [1, 3, 8, 100])
def test_checkerboard_against_a_double_loop(height: int, width: int, block: int) -> None:
    board = checkerboard(height, width, block)
    assert board.dtype == torch.bool
    assert torch.equal(board, slow_checkerboard(height, width, block))


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_each_pixel_is_hidden_exactly_once_per_scale(height: int, width: int) -> None:
    masks = complementary_masks(height, width, BLOCKS)
    assert masks.shape == (len(BLOCKS), 2, height, width)
    assert masks.dtype == torch.bool
    times_hidden = masks.int().sum(dim=1)
    assert torch.equal(times_hidden, torch.ones(len(BLOCKS), height, width, dtype=torch.int64))


@pytest.mark.parametrize("block", [1, 4, 8, 16, 32])
def test_half_of_the_pixels_is_hidden_when_blocks_fit(block: int) -> None:
    masks = complementary_masks(64, 128, (block,))
    assert masks[0].sum(dim=(1, 2)).tolist() == [64 * 128 // 2] * 2


def test_the_papers_scales_at_256_px_hide_whole_patches() -> None:
    masks = complementary_masks(256, 256, (16, 32, 64)).float()
    share = torch.nn.functional.avg_pool2d(masks.flatten(0, 1)[:, None], 16)  # of each patch
    assert set(share.unique().tolist()) == {0.0, 1.0}
    assert masks.mean(dim=(2, 3)).unique().tolist() == [0.5]


def test_cells_have_the_block_side() -> None:
    board = checkerboard(24, 24, 8)
    changes_down = (board[1:, 0] != board[:-1, 0]).nonzero().flatten().tolist()
    assert changes_down == [7, 15]
    assert board[0, 0]
    assert not board[0, 8]
    assert not board[8, 0]
    assert board[8, 8]
