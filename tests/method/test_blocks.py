"""Transformer parts against torch's own attention, plain softmax and loops."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from burnish.method.blocks import (
    FEW_TOKENS,
    Attention,
    Block,
    PatchEmbedding,
    attend,
    init_weights,
    patchify,
    sine_positions,
    unpatchify,
)


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def attention(width: int = 24, heads: int = 3) -> Attention:
    torch.manual_seed(3)
    module = Attention(width, heads)
    nn.init.normal_(module.qkv.weight, std=0.5)  # weights far from uniform
    nn.init.normal_(module.qkv.bias, std=0.5)
    return module


@pytest.mark.parametrize(
    ("channels", "height", "width", "patch"), [(1, 8, 8, 4), (3, 12, 20, 4), (2, 6, 9, 3)]
)
def test_patchify_against_a_loop_and_back(
    channels: int, height: int, width: int, patch: int
) -> None:
    images = randn(2, channels, height, width)
    patches = patchify(images, patch)
    index = 0
    for top in range(0, height, patch):
        for left in range(0, width, patch):
            cut = images[:, :, top : top + patch, left : left + patch]
            assert torch.equal(patches[:, index], cut.reshape(2, -1))
            index += 1
    assert patches.shape[1] == index
    assert torch.equal(unpatchify(patches, patch, channels, height, width), images)


@torch.no_grad()
@pytest.mark.parametrize(("width", "heads"), [(24, 1), (24, 3), (32, 8)])
def test_attention_against_torchs_multihead_attention(width: int, heads: int) -> None:
    ours = attention(width, heads)
    reference = nn.MultiheadAttention(width, heads, batch_first=True)
    reference.in_proj_weight.copy_(ours.qkv.weight)
    reference.in_proj_bias.copy_(ours.qkv.bias)
    reference.out_proj.load_state_dict(ours.project.state_dict())
    tokens = randn(2, 7, width)
    out, keys = ours(tokens)
    expected, _ = reference(tokens, tokens, tokens)
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)
    all_keys = nn.functional.linear(
        tokens, ours.qkv.weight[width : 2 * width], ours.qkv.bias[width : 2 * width]
    )
    expected_keys = all_keys.reshape(2, 7, heads, width // heads).transpose(1, 2)
    torch.testing.assert_close(keys, expected_keys, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_proportional_attention_against_plain_softmax() -> None:
    module = attention(16, 2)
    tokens, sizes = randn(1, 5, 16), torch.tensor([1.0, 4.0, 2.0, 1.0, 9.0])
    query, key, value = module.qkv(tokens)[0].split(16, dim=1)
    heads = []
    for part in (slice(0, 8), slice(8, 16)):
        weight = sizes * torch.exp(query[:, part] @ key[:, part].T / math.sqrt(8))
        heads.append(weight / weight.sum(dim=1, keepdim=True) @ value[:, part])
    expected = module.project(torch.cat(heads, dim=1))
    out, _ = module(tokens, sizes.reshape(1, 5, 1))
    torch.testing.assert_close(out[0], expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_normalised_attention_against_numpy(scale: float) -> None:
    """Queries and keys standardised head by head, however large the weights have become."""
    module = attention(16, 2)
    module.normalised = True
    module.qkv.weight[:32] *= scale
    tokens = randn(1, 5, 16)
    query, key, value = (part.numpy() for part in module.qkv(tokens)[0].split(16, dim=1))
    heads = []
    for part in (slice(0, 8), slice(8, 16)):
        q, k = (
            (all_[:, part] - all_[:, part].mean(1, keepdims=True))
            / np.sqrt(all_[:, part].var(1, keepdims=True) + 1e-5)
            for all_ in (query, key)
        )
        logits = q @ k.T / math.sqrt(8)
        assert np.abs(logits).max() <= math.sqrt(8) * (1 + 1e-6)
        weight = np.exp(logits)
        heads.append(weight / weight.sum(axis=1, keepdims=True) @ value[:, part])
    expected = module.project(torch.from_numpy(np.concatenate(heads, axis=1)))
    out, _ = module(tokens)
    torch.testing.assert_close(out[0], expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_sharp_attention_magnifies_rounding_and_normalised_does_not() -> None:
    """Why `qk_norm`: far from float64 in float32 is far from every other runtime too."""
    apart = {}
    for normalised in (False, True):
        module = attention(16, 2)
        module.normalised = normalised
        module.qkv.weight[:32] *= 30
        tokens = randn(4, 400, 16)
        exact, _ = copy.deepcopy(module).double()(tokens.double())
        apart[normalised] = float((module(tokens)[0].double() - exact).abs().max())
    assert apart[True] < 2e-6
    assert apart[False] > 100 * apart[True]


@pytest.mark.parametrize("biased", [False, True])
def test_attention_in_bfloat16_against_float64(biased: bool) -> None:
    """Output and gradients, no further off than torch's own fused attention in bfloat16 is."""
    torch.manual_seed(0)
    given = [torch.randn(3, 2, 17, 16) for _ in range(3)]
    bias = torch.randn(3, 1, 17, 17) if biased else None
    upstream = torch.randn(3, 2, 17, 16)

    def far(attention: Callable[..., torch.Tensor], dtype: torch.dtype) -> list[torch.Tensor]:
        leaves = [part.to(torch.bfloat16).to(dtype).requires_grad_() for part in given]
        rounded = None if bias is None else bias.to(torch.bfloat16).to(dtype)
        out = attention(*leaves, rounded)
        assert out.dtype == dtype
        out.backward(upstream.to(torch.bfloat16).to(dtype))
        return [out.detach(), *(leaf.grad for leaf in leaves if leaf.grad is not None)]

    exact = far(by_hand, torch.float64)
    ours = far(attend, torch.bfloat16)
    fused = far(F.scaled_dot_product_attention, torch.bfloat16)
    for true, own, other in zip(exact, ours, fused, strict=True):
        off, fused_off = ((found - true).square().mean().sqrt() for found in (own, other))
        assert off < 1.5 * fused_off + 1e-3
        assert off < 0.02 * true.square().mean().sqrt()


def test_attention_of_many_tokens_keeps_no_pairs() -> None:
    one = torch.randn(1, 1, FEW_TOKENS + 1, 4, dtype=torch.bfloat16)
    assert torch.equal(attend(one, one, one, None), F.scaled_dot_product_attention(one, one, one))
    few = one[:, :, 1:]
    assert not torch.equal(
        attend(few, few, few, None), F.scaled_dot_product_attention(few, few, few)
    )


def by_hand(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    logits = torch.einsum("bhnd,bhmd->bhnm", query, key) / math.sqrt(query.shape[-1])
    weights = (logits if bias is None else logits + bias).exp()
    return torch.einsum("bhnm,bhmd->bhnd", weights / weights.sum(dim=-1, keepdim=True), value)


@torch.no_grad()
@pytest.mark.parametrize("times", [2, 3, 7])
def test_a_token_repeated_k_times_equals_one_of_size_k(times: int) -> None:
    module = attention()
    tokens = randn(2, 4, 24)
    sizes = torch.ones(2, 4, 1)
    sizes[:, 2] = times
    once, keys = module(tokens, sizes)
    repeats = torch.tensor([1, 1, times, 1])
    long, long_keys = module(tokens.repeat_interleave(repeats, dim=1))
    expected = once.repeat_interleave(repeats, dim=1)  # the copies themselves come out alike too
    torch.testing.assert_close(long, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(long_keys, keys.repeat_interleave(repeats, dim=2))
    ignored, _ = module(tokens)
    assert (once - ignored).abs().max() > 0.01  # the size does matter here


@torch.no_grad()
def test_sizes_of_one_change_nothing() -> None:
    module, tokens = attention(), randn(2, 5, 24)
    plain, sized = module(tokens)[0], module(tokens, torch.ones(2, 5, 1))[0]
    torch.testing.assert_close(sized, plain, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_block_is_pre_norm_with_two_residuals() -> None:
    torch.manual_seed(0)
    block = Block(16, 2, mlp_ratio=2.5)
    tokens = randn(2, 6, 16)
    assert block.mlp[0].out_features == 40
    after = tokens + block.attention(block.norm1(tokens))[0]
    expected = after + block.mlp(block.norm2(after))
    out, sizes = block(tokens)
    torch.testing.assert_close(out, expected)
    assert sizes is None


@torch.no_grad()
def test_block_merges_between_attention_and_mlp() -> None:
    torch.manual_seed(0)
    block = Block(16, 2, 4.0, tome_r=2)
    tokens = randn(1, 7, 16)
    seen = []
    block.mlp.register_forward_hook(lambda module, args, output: seen.append(args[0].shape[1]))
    block.attention.register_forward_hook(
        lambda module, args, output: seen.append(args[0].shape[1])
    )
    out, sizes = block(tokens)
    assert seen == [7, 5]
    assert out.shape == (1, 5, 16)
    assert sizes is not None
    assert sizes.sum() == 7


def test_sine_positions_against_a_loop() -> None:
    rows, columns, width = 3, 5, 12
    expected = np.zeros((rows * columns, width))
    quarter = width // 4
    for index in range(rows * columns):
        place = divmod(index, columns)
        for k in range(quarter):
            frequency = 1 / 10000 ** (k / quarter)
            for half, position in enumerate(place):
                expected[index, 2 * half * quarter + k] = math.sin(position * frequency)
                expected[index, (2 * half + 1) * quarter + k] = math.cos(position * frequency)
    np.testing.assert_allclose(sine_positions(rows, columns, width), expected, atol=1e-6)


@torch.no_grad()
def test_patch_embedding_puts_the_class_token_first() -> None:
    torch.manual_seed(0)
    embed = PatchEmbedding(8, 12, patch=4, channels=3, width=16, class_token=True)
    images = randn(2, 3, 8, 12)
    tokens = embed(images)
    assert tokens.shape == (2, 1 + 6, 16)
    assert torch.equal(tokens[:, 0], embed.class_token[0].expand(2, -1))
    corner = images[:, :, 4:8, 8:12].reshape(2, -1)  # the last patch
    expected = corner @ embed.project.weight.T + embed.project.bias + embed.position[0, -1]
    torch.testing.assert_close(tokens[:, -1], expected)
    assert torch.equal(embed.position[0], sine_positions(2, 3, 16))


def test_initial_weights() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(PatchEmbedding(16, 16, 4, 1, 64), nn.Linear(64, 256))
    nn.init.ones_(model[1].bias)
    init_weights(model)
    assert model[1].weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert not model[1].bias.any()
    bound = math.sqrt(6 / (16 + 64))  # Xavier, uniform
    assert model[0].project.weight.abs().max().item() == pytest.approx(bound, rel=0.05)
    assert model[0].position.abs().max() > 0.9  # still sines
