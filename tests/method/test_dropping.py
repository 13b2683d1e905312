"""Dropping hidden tokens: which are kept, where they come back, what the encoder never sees."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from burnish.configuration import make_settings
from burnish.errors import BurnishError
from burnish.method.dropping import refill_tokens, take_tokens
from burnish.method.generator import Generator, InputShape
from burnish.method.losses import latent_loss
from burnish.method.masks import complementary_masks, hidden_patches, most_visible, visible_patches
from burnish.method.reconstruction import hide, reconstruct

SIZES = [(32, 32), (208, 80), (24, 40), (48, 16)]
BLOCKS = (8, 16)


def rand(*shape: int, seed: int = 1) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def generator(shape: InputShape, **changes: object) -> Generator:
    small = {
        "image_size": 32, "patch": 8, "disc_patch": 8, "mask_blocks": BLOCKS, "width": 32,
        "heads": 2, "depth_encoder": 2, "depth_decoder": 2, "hidden_tokens": "drop",
    }  # fmt: skip
    torch.manual_seed(0)
    network = Generator(make_settings("tiny", small | changes), shape)
    for part in network.modules():  # larger weights than at the start: every pixel counts
        if isinstance(part, torch.nn.Linear):
            torch.nn.init.normal_(part.weight, std=0.2)
    return network.eval()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("block", [4, 8, 12, 16, 32])
def test_hidden_patches_against_a_loop(size: tuple[int, int], block: int) -> None:
    masks = complementary_masks(*size, (block,))[0]
    found = hidden_patches(masks, 8)
    for mask, row in zip(masks, found, strict=True):
        expected = [
            bool(mask[top : top + 8, left : left + 8].all())
            for top in range(0, size[0], 8)
            for left in range(0, size[1], 8)
        ]
        assert row.tolist() == expected


@pytest.mark.parametrize("size", SIZES)
def test_every_visible_patch_is_kept_and_the_number_is_the_same_under_every_mask(
    size: tuple[int, int],
) -> None:
    masks = complementary_masks(*size, BLOCKS).flatten(0, 1)
    count, hidden = most_visible(*size, BLOCKS, 8), hidden_patches(masks, 8)
    kept = visible_patches(masks, 8, count)
    assert kept.shape == (4, count)
    assert count == max(int((~row).sum()) for row in hidden)
    for row, hides in zip(kept.tolist(), hidden, strict=True):
        assert len(set(row)) == count
        visible = (~hides).nonzero().flatten().tolist()
        assert row[: len(visible)] == visible  # in order; what follows makes up the number
        assert all(hides[number] for number in row[len(visible) :])


def test_take_and_refill_against_a_loop() -> None:
    kept = torch.tensor([[0, 3, 4], [5, 1, 2]])
    tokens, fill = rand(4, 6, 8), rand(8, seed=2)
    taken = take_tokens(tokens, kept)
    back = refill_tokens(taken, kept, 6, fill)
    for image in range(4):
        row = kept[image // 2].tolist()
        for position, number in enumerate(row):
            assert torch.equal(taken[image, position], tokens[image, number])
        for number in range(6):
            expected = tokens[image, number] if number in row else fill
            assert torch.equal(back[image, number], expected)


@torch.no_grad()
@pytest.mark.parametrize("skip", ["none", "outer", "all"])
@pytest.mark.parametrize("size", SIZES)
def test_the_encoder_sees_the_visible_patches_only(skip: str, size: tuple[int, int]) -> None:
    network = generator(InputShape(1, *size), skip=skip)
    masks = complementary_masks(*size, BLOCKS)
    counts = set()
    for block in [*network.encoder.blocks, *network.encoder.middle]:
        block.register_forward_hook(lambda m, args, out: counts.add(args[0].shape[1]))
    decoded = set()
    for block in network.blocks:
        block.register_forward_hook(lambda m, args, out: decoded.add(args[0].shape[1]))
    image, bottleneck = network(hide(rand(2, 1, *size), masks[0]), masks[0])
    assert counts == {most_visible(*size, BLOCKS, 8)} == {bottleneck.shape[1]}
    assert decoded == {size[0] // 8 * (size[1] // 8)}
    assert image.shape == (4, 1, *size)


@torch.no_grad()
def test_hidden_pixels_are_painted_from_visible_ones_alone() -> None:
    network, masks = generator(InputShape(1, 32, 32)), complementary_masks(32, 32, BLOCKS)
    image = rand(1, 1, 32, 32)
    changed = image.clone()
    changed[..., 13, 22] = 5
    before, after = reconstruct(network, image, masks), reconstruct(network, changed, masks)
    for scale, block in enumerate(BLOCKS):
        top, left = 13 // block * block, 22 // block * block
        cell = (0, scale, 0, slice(top, top + block), slice(left, left + block))
        assert torch.equal(after[cell], before[cell])
        assert (after[0, scale] - before[0, scale]).abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("size", SIZES)
def test_all_scales_in_one_batch_equal_one_copy_at_a_time(size: tuple[int, int]) -> None:
    network, images = generator(InputShape(1, *size)), rand(2, 1, *size)
    masks = complementary_masks(*size, BLOCKS)
    together = reconstruct(network, images, masks)
    for b in range(2):
        for scale in range(2):
            expected = torch.zeros(1, *size)
            for mask in masks[scale]:
                painted, _ = network(images[b : b + 1] * ~mask, mask[None])
                expected += painted[0] * mask
            torch.testing.assert_close(together[b, scale], expected, rtol=1e-4, atol=1e-5)


def test_latent_loss_compares_each_half_with_the_same_places_of_the_reconstruction() -> None:
    encoded = rand(2, 16, 32)
    kept = torch.tensor([[0, 2, 5], [1, 3, 4]])
    bottleneck = rand(4, 3, 32, seed=2)
    distances = [
        (bottleneck[half * 2 + b, k] - encoded[b, kept[half, k]]).square().mean().sqrt()
        for half in range(2)
        for b in range(2)
        for k in range(3)
    ]
    torch.testing.assert_close(
        latent_loss(bottleneck, encoded, kept), torch.stack(distances).mean()
    )


def test_every_weight_learns() -> None:
    network, masks = generator(InputShape(1, 32, 32)), complementary_masks(32, 32, BLOCKS)[0]
    image, bottleneck = network(hide(rand(2, 1, 32, 32), masks), masks)
    (image.square().mean() + bottleneck.square().mean()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_every_long_skip_has_a_filling_of_its_own() -> None:
    network = generator(InputShape(1, 32, 32), skip="all", depth_encoder=3, depth_decoder=3)
    masks = complementary_masks(32, 32, BLOCKS)[0]
    image, _ = network(hide(rand(2, 1, 32, 32), masks), masks)
    image.square().mean().backward()
    assert len(network.fill) == 1 + 3
    assert network.fill.grad is not None
    assert (network.fill.grad.abs().amax(dim=1) > 0).all()


def test_a_generator_that_keeps_them_is_as_it_was() -> None:
    plain = generator(InputShape(1, 32, 32), hidden_tokens="keep")
    assert not any(name.startswith(("fill", "position")) for name in plain.state_dict())
    assert plain.kept(complementary_masks(32, 32, BLOCKS)[0]) is None


def test_it_can_be_built_without_numbers() -> None:
    settings = make_settings("paper", {"hidden_tokens": "drop"})
    with torch.device("meta"):
        network = Generator(settings, InputShape(3, 256, 256))
    assert {p.device.type for p in network.parameters()} == {"meta"}
    assert network.visible == 128  # half of 16 x 16
    assert network.position.shape == (1, 256, 512)


def test_blocks_that_cut_through_patches_are_refused() -> None:
    with pytest.raises(BurnishError, match=r"mask_blocks \[4, 12\] are no multiples"):
        make_settings("tiny", {"hidden_tokens": "drop", "mask_blocks": (4, 8, 12)})
    assert make_settings("tiny", {"mask_blocks": (4, 8, 12)}).hidden_tokens == "keep"
