"""Masked copies and their merger (eq. 6): what is hidden never reaches the generator."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from burnish.configuration import make_settings
from burnish.method.generator import Generator, InputShape
from burnish.method.masks import complementary_masks
from burnish.method.reconstruction import hide, merge_halves, reconstruct

BLOCKS = (4, 8, 16)


def generator(channels: int = 1, **changes: object) -> Generator:
    small = {
        "image_size": 32, "patch": 8, "disc_patch": 8, "mask_blocks": BLOCKS, "width": 32,
        "heads": 2, "depth_encoder": 2, "depth_decoder": 2,
    }  # fmt: skip
    torch.manual_seed(0)
    network = Generator(make_settings("tiny", small | changes), InputShape(channels, 32, 32))
    for part in network.modules():  # larger weights than at the start: every pixel counts
        if isinstance(part, torch.nn.Linear):
            torch.nn.init.normal_(part.weight, std=0.2)
    return network.eval()


def rand(*shape: int, seed: int = 1) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_hide_against_a_loop() -> None:
    images, masks = rand(2, 3, 6, 5), complementary_masks(6, 5, (2, 3)).flatten(0, 1)
    copies = hide(images, masks, mask_channel=True)
    assert copies.shape == (4 * 2, 4, 6, 5)
    for k in range(4):
        for b in range(2):
            for y in range(6):
                for x in range(5):
                    hidden = bool(masks[k, y, x])
                    seen = torch.zeros(3) if hidden else images[b, :, y, x]
                    expected = torch.cat([seen, torch.tensor([float(hidden)])])
                    assert torch.equal(copies[2 * k + b, :, y, x], expected)
    assert torch.equal(hide(images, masks), copies[:, :3])


@torch.no_grad()
@pytest.mark.parametrize("mask_channel", [False, True])
@pytest.mark.parametrize("replacement", ["noise", "nan"])
def test_hidden_pixels_never_reach_the_generator(mask_channel: bool, replacement: str) -> None:
    network = generator(mask_channel=mask_channel)
    image = rand(1, 1, 32, 32)
    other = rand(1, 1, 32, 32, seed=9) if replacement == "noise" else image * float("nan")
    for mask in complementary_masks(32, 32, BLOCKS).flatten(0, 1):
        before, _ = network(hide(image, mask[None], mask_channel))
        inside = torch.where(mask, other, image)
        after, _ = network(hide(inside, mask[None], mask_channel))
        assert torch.equal(after, before)
        outside = torch.where(mask, image, rand(1, 1, 32, 32, seed=9))  # the visible ones do count
        moved, _ = network(hide(outside, mask[None], mask_channel))
        assert (moved - before).abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("place", [(0, 0), (13, 22), (31, 31)])
def test_no_pixel_takes_part_in_its_own_painting(place: tuple[int, int]) -> None:
    network, masks = generator(), complementary_masks(32, 32, BLOCKS)
    image = rand(1, 1, 32, 32)
    changed = image.clone()
    changed[..., place[0], place[1]] = 5
    before, after = reconstruct(network, image, masks), reconstruct(network, changed, masks)
    # Block by block: the whole block around the pixel is hidden with it.
    for scale, block in enumerate(BLOCKS):
        top, left = (p // block * block for p in place)
        cell = (0, scale, 0, slice(top, top + block), slice(left, left + block))
        assert torch.equal(after[cell], before[cell])
        assert not torch.equal(after[0, scale], before[0, scale])  # its neighbours did see it


def test_merge_halves_against_a_pixel_loop() -> None:
    painted, masks = rand(6, 3, 7, 9), complementary_masks(7, 9, (2,))[0]
    merged = merge_halves(painted, masks)
    assert merged.shape == (3, 3, 7, 9)
    for b in range(3):
        for c in range(3):
            for y in range(7):
                for x in range(9):  # O = O_1 M_1 + O_2 M_2, M = 1 where hidden
                    first, second = painted[b, c, y, x], painted[3 + b, c, y, x]
                    expected = first * masks[0, y, x].float() + second * masks[1, y, x].float()
                    assert merged[b, c, y, x] == expected


@torch.no_grad()
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mask_channel", [False, True])
def test_all_scales_in_one_batch_equal_one_copy_at_a_time(
    channels: int, mask_channel: bool
) -> None:
    network = generator(channels, mask_channel=mask_channel)
    images, masks = rand(2, channels, 32, 32), complementary_masks(32, 32, BLOCKS)
    together = reconstruct(network, images, masks)
    assert together.shape == (2, 3, channels, 32, 32)
    for b in range(2):
        for scale in range(3):
            expected = torch.zeros(channels, 32, 32)
            for mask in masks[scale]:
                copy = images[b : b + 1] * ~mask
                if mask_channel:
                    copy = torch.cat([copy, mask[None, None].float()], dim=1)
                expected += network(copy)[0][0] * mask
            torch.testing.assert_close(together[b, scale], expected, rtol=1e-4, atol=1e-5)
