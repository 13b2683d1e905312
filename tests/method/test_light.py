"""One brightness for all images while they are painted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from burnish.configuration import make_settings
from burnish.method.generator import Generator, InputShape
from burnish.method.light import LEAST, levelled, light_of, relit
from burnish.method.masks import complementary_masks
from burnish.method.reconstruction import reconstruct, reconstruct_levelled


def images(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1)) * 2 - 1


def region(height: int, width: int) -> Tensor:
    inside = torch.zeros(height, width, dtype=torch.bool)
    inside[3:9, 2:10] = True
    return inside


def test_light_is_the_mean_brightness_of_each_image() -> None:
    some = images(3, 2, 12, 14)
    expected = (some.numpy().astype(np.float64) + 1).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(light_of(some).flatten(), expected, rtol=1e-6)
    inside = region(12, 14)
    expected = (some.numpy().astype(np.float64) + 1)[:, :, inside.numpy()].mean(axis=(1, 2))
    np.testing.assert_allclose(light_of(some, inside).flatten(), expected, rtol=1e-6)
    each = torch.stack([inside, inside.flip(0), torch.ones_like(inside)])[:, None]
    one_by_one = [light_of(some[n : n + 1], each[n, 0]) for n in range(3)]
    torch.testing.assert_close(light_of(some, each), torch.cat(one_by_one))


def test_levelled_images_have_a_mean_of_zero_and_come_back() -> None:
    some, inside = images(2, 3, 12, 14), region(12, 14)
    level = levelled(some, light_of(some))
    torch.testing.assert_close(level.mean(dim=(1, 2, 3)), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(relit(level, light_of(some)), some)
    scales = torch.stack([level, 2 * level], dim=1)  # (B, S, C, H, W)
    torch.testing.assert_close(relit(scales, light_of(some))[:, 0], some)
    level = levelled(some, light_of(some, inside), inside)
    assert level[:, :, ~inside].abs().max() == 0
    torch.testing.assert_close(
        level[:, :, inside].mean(dim=(1, 2)), torch.zeros(2), atol=1e-6, rtol=0
    )


def test_a_black_image_is_not_blown_up() -> None:
    black = torch.full((1, 1, 8, 8), -1.0)
    assert light_of(black).item() == pytest.approx(LEAST)
    assert torch.isfinite(levelled(black, light_of(black))).all()
    assert light_of(black, torch.zeros(8, 8, dtype=torch.bool)).item() == pytest.approx(LEAST)


@torch.no_grad()
def test_a_painting_follows_the_lamp() -> None:
    """Half the light, half the painting: exactly, whatever the generator does."""
    settings = make_settings(
        "tiny", {"image_size": 32, "patch": 8, "disc_patch": 8, "mask_blocks": (8,), "width": 32,
                 "heads": 2, "depth_encoder": 1, "depth_decoder": 1},
    )  # fmt: skip
    torch.manual_seed(0)
    generator = Generator(settings, InputShape(1, 32, 32)).eval()
    for part in generator.modules():
        if isinstance(part, torch.nn.Linear):
            torch.nn.init.normal_(part.weight, std=0.2)
    masks = complementary_masks(32, 32, (8,))
    bright = images(2, 1, 32, 32) * 0.5 + 0.4
    dim = (bright + 1) / 2 - 1
    painted, dimmed = (reconstruct_levelled(generator, some, masks) for some in (bright, dim))
    torch.testing.assert_close(dimmed + 1, (painted + 1) / 2, atol=1e-5, rtol=1e-4)
    painted, dimmed = (reconstruct(generator, some, masks) for some in (bright, dim))
    assert (dimmed + 1 - (painted + 1) / 2).abs().max() > 0.05
