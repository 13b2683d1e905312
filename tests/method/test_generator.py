"""The generator: shapes, and that the long skip is wired as the paper draws it (Fig. 4)."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from burnish.configuration import make_settings
from burnish.method.generator import Encoder, Generator, InputShape
from burnish.method.masks import complementary_masks
from burnish.method.reconstruction import hide

SMALL = {
    "image_size": 32, "patch": 8, "disc_patch": 8, "mask_blocks": (8, 16), "width": 32, "heads": 2,
    "depth_encoder": 3, "depth_middle": 1, "depth_decoder": 3,
}  # fmt: skip


def generator(shape: InputShape = InputShape(1, 32, 32), **changes: object) -> Generator:  # noqa: B008
    torch.manual_seed(0)
    return Generator(make_settings("tiny", SMALL | changes), shape).eval()


def rand(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1)) * 2 - 1


@torch.no_grad()
@pytest.mark.parametrize("skip", ["none", "outer", "all"])
@pytest.mark.parametrize("mask_channel", [False, True])
@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 32, 32), (1, 24, 40), (3, 48, 16)])
def test_output_and_bottleneck_have_the_documented_shapes(
    skip: str, mask_channel: bool, shape: tuple[int, int, int]
) -> None:
    channels, height, width = shape
    network = generator(InputShape(*shape), skip=skip, mask_channel=mask_channel)
    image, bottleneck = network(rand(2, channels + mask_channel, height, width))
    assert image.shape == (2, channels, height, width)
    assert bottleneck.shape == (2, height // 8 * (width // 8), 32)
    assert image.dtype == torch.float32


@torch.no_grad()
def test_token_count_is_the_same_in_every_block_and_under_every_mask() -> None:
    network = generator(InputShape(1, 24, 40))
    counts = set()
    blocks = [*network.encoder.blocks, *network.encoder.middle, *network.blocks]
    for block in blocks:
        block.register_forward_hook(lambda m, args, out: counts.add(tuple(out[0].shape[1:])))
    for mask in complementary_masks(24, 40, (8, 16)).flatten(0, 1):
        network(hide(rand(1, 1, 24, 40), mask[None]))
    assert counts == {(15, 32)}


def test_the_papers_generator_has_13_blocks_512_wide() -> None:
    settings, shape = make_settings("paper"), InputShape(3, 256, 256)
    with torch.device("meta"):
        network = Generator(settings, shape)
        second = Encoder(settings, shape, 3)
    depth = (len(network.encoder.blocks), len(network.encoder.middle), len(network.blocks))
    assert depth == (6, 1, 6)
    assert len(network.joins) == 1
    assert network.encoder.embed.position.shape == (1, 256, 512)
    assert {b.attention.heads for b in network.blocks} == {8}
    assert network.blocks[0].mlp[0].out_features == 2048
    own = {name: p.shape for name, p in network.encoder.named_parameters()}
    assert {name: p.shape for name, p in second.named_parameters()} == own  # same layout


def encoder_gradients(network: Generator, cut: bool) -> list[float]:
    """Largest gradient in the embedding, each encoder block, and the middle.

    With `cut` the bottleneck is a constant: only the skip leads back to the encoder.
    """
    if cut:
        nn.init.zeros_(network.encoder.linear.weight)
        nn.init.zeros_(network.encoder.linear.bias)
    image, _ = network(rand(2, 1, 32, 32))
    image.square().mean().backward()
    encoder = network.encoder
    gradients = []
    for part in [encoder.embed, *encoder.blocks, *encoder.middle]:
        found = [p.grad.abs().max().item() for p in part.parameters() if p.grad is not None]
        gradients.append(max(found, default=0.0))
    return gradients


@pytest.mark.parametrize("skip", ["none", "outer", "all"])
def test_uncut_every_part_learns(skip: str) -> None:
    assert min(encoder_gradients(generator(skip=skip), cut=False)) > 0


def test_outer_skip_alone_reaches_the_first_block_and_no_other() -> None:
    embed, first, second, third, middle = encoder_gradients(generator(skip="outer"), cut=True)
    assert embed > 1e-8
    assert first > 1e-8
    assert second == third == middle == 0


def test_without_skip_nothing_reaches_the_encoder_past_the_cut() -> None:
    assert encoder_gradients(generator(skip="none"), cut=True) == [0, 0, 0, 0, 0]


@pytest.mark.parametrize("decoder_block", [0, 1, 2])
def test_all_skips_join_first_with_last(decoder_block: int) -> None:
    network = generator(skip="all")
    assert len(network.joins) == 3
    for index, join in enumerate(network.joins):
        if index != decoder_block:  # leave one skip only
            with torch.no_grad():
                join.weight[:, 32:] = 0
    partner = 2 - decoder_block  # the last decoder block (2) meets the first encoder block (0)
    embed, *blocks, middle = encoder_gradients(network, cut=True)
    assert embed > 1e-8
    assert [g > 1e-8 for g in blocks] == [index <= partner for index in range(3)]
    assert middle == 0


@torch.no_grad()
@pytest.mark.parametrize(("depth_encoder", "depth_decoder"), [(1, 3), (3, 1), (2, 2)])
def test_outer_skip_enters_before_the_last_decoder_block(
    depth_encoder: int, depth_decoder: int
) -> None:
    network = generator(skip="outer", depth_encoder=depth_encoder, depth_decoder=depth_decoder)
    seen = {}

    def note(name: str, module: nn.Module) -> None:
        def hook(m: nn.Module, args: tuple[Tensor, ...], out: Tensor | tuple[Tensor, ...]) -> None:
            seen[name] = (args[0], out[0] if isinstance(out, tuple) else out)

        module.register_forward_hook(hook)

    note("first", network.encoder.blocks[0])
    note("join", network.joins[0])
    note("last", network.blocks[-1])
    network(rand(2, 1, 32, 32))
    assert torch.equal(seen["join"][0][..., 32:], seen["first"][1])
    assert torch.equal(seen["last"][0], seen["join"][1])


@torch.no_grad()
def test_the_head_starts_as_identity_and_mixes_across_patch_borders() -> None:
    network = generator(InputShape(3, 32, 32))
    image = rand(1, 3, 32, 32)
    torch.testing.assert_close(network.smooth(image), image)
    assert network.smooth.kernel_size == (3, 3)
    nn.init.normal_(network.smooth.weight)
    spot = torch.zeros(1, 3, 32, 32)
    spot[0, 0, 7, 7] = 1  # the corner pixel of a patch
    touched = network.smooth(spot)[0].abs().amax(dim=0) > 0
    assert touched[6:9, 6:9].all()
    assert touched.sum() == 9


@torch.no_grad()
def test_output_is_not_clamped() -> None:
    network = generator()
    nn.init.constant_(network.smooth.bias, 3)
    assert network(rand(1, 1, 32, 32))[0].max() > 1


@pytest.mark.parametrize("channels", [1, 3])
def test_the_head_in_training_is_the_head_in_inspection(channels: int) -> None:
    network, masked = generator(InputShape(channels, 32, 32)), rand(2, channels, 32, 32)
    nn.init.normal_(network.smooth.weight)
    nn.init.normal_(network.smooth.bias)
    with torch.no_grad():
        inspected, _ = network(masked)
    trained, _ = network(masked)
    torch.testing.assert_close(trained, inspected, rtol=1e-5, atol=1e-5)
