"""Token Merging against a slow, obvious loop (section 2.3; Bolya et al., 2023)."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from burnish.configuration import make_settings
from burnish.method.blocks import Block, patchify
from burnish.method.discriminator import Discriminator
from burnish.method.generator import InputShape
from burnish.method.tome import _AddUp, _any_order, match, merge_tokens, merged_count


def pairs(keys: Tensor, r: int) -> tuple[Tensor, Tensor]:
    """`match`, where something is merged."""
    found = match(keys, r)
    assert found is not None
    return found


def slow_groups(keys: Tensor, r: int) -> list[list[int]]:
    """Which tokens (of keys (N, D)) end up together, in the order of the output."""
    unit = [[v / math.sqrt(sum(x * x for x in k)) for v in k] for k in keys.double().tolist()]
    evens, odds = range(0, len(unit), 2), range(1, len(unit), 2)
    edges = []
    for even in evens:
        if even == 0:
            continue  # the class token
        similarity = {o: sum(a * b for a, b in zip(unit[even], unit[o], strict=True)) for o in odds}
        if similarity:
            partner = max(similarity, key=lambda o: similarity[o])
            edges.append((similarity[partner], even, partner))
    edges = sorted(edges, reverse=True)[:r]
    gone = {even: partner for _, even, partner in edges}
    groups = [[even] for even in evens if even not in gone]
    return groups + [[odd, *(e for e, p in gone.items() if p == odd)] for odd in odds]


def slow_merge(tokens: Tensor, sizes: Tensor, keys: Tensor, r: int) -> tuple[Tensor, Tensor]:
    """(N, D), (N, 1), (N, Dk) -> size-weighted means and their sizes."""
    rows, weights = [], []
    for group in slow_groups(keys, r):
        weight = sum(sizes[i, 0] for i in group)
        rows.append(sum(sizes[i, 0] * tokens[i] for i in group) / weight)
        weights.append(weight)
    return torch.stack(rows), torch.stack(weights)[:, None]


def random_input(n: int, batch: int = 3, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    tokens = torch.randn(batch, n, 6, generator=rng)
    sizes = torch.randint(1, 5, (batch, n, 1), generator=rng).float()
    return tokens, sizes, torch.randn(batch, n, 4, generator=rng)


@pytest.mark.parametrize("n", [2, 3, 10, 17, 65])
@pytest.mark.parametrize("r", [1, 2, 4, 8])
def test_same_means_and_sizes_as_the_slow_loop(n: int, r: int) -> None:
    tokens, sizes, keys = random_input(n, seed=n + r)
    merged, merged_sizes = merge_tokens(tokens, sizes, keys, r)
    for b in range(len(tokens)):
        expected, expected_sizes = slow_merge(tokens[b], sizes[b], keys[b], r)
        torch.testing.assert_close(merged[b], expected, rtol=1e-5, atol=1e-6)
        assert torch.equal(merged_sizes[b], expected_sizes)


@pytest.mark.parametrize("r", [1, 3, 8])
def test_same_pairs_as_the_slow_loop(r: int) -> None:
    _, _, keys = random_input(17, batch=4, seed=r)
    places, merging = pairs(keys, r)
    assert merging.shape == (len(keys), keys.shape[1] - merged_count(keys.shape[1], r))
    for b in range(4):
        found = [(places[b] == place).nonzero().flatten().tolist() for place in range(17 - r)]
        assert found == [sorted(group) for group in slow_groups(keys[b], r)]


def test_r_0_is_the_identity() -> None:
    tokens, sizes, keys = random_input(9)
    assert match(keys, 0) is None
    merged, merged_sizes = merge_tokens(tokens, sizes, keys, 0)
    assert torch.equal(merged, tokens)
    assert torch.equal(merged_sizes, sizes)


@pytest.mark.parametrize(("n", "most"), [(1, 0), (2, 0), (3, 1), (10, 4), (17, 8)])
def test_r_larger_than_possible_merges_what_there_is(n: int, most: int) -> None:
    tokens, sizes, keys = random_input(n)
    merged, merged_sizes = merge_tokens(tokens, sizes, keys, 100)
    assert merged.shape[1] == merged_count(n, 100) == n - most
    torch.testing.assert_close(merged_sizes.sum(dim=1), sizes.sum(dim=1))
    torch.testing.assert_close(merged[:, 0], tokens[:, 0])


def test_two_tokens_may_join_the_same_partner() -> None:
    # Tokens 2 and 4 both look like token 1; token 3 looks like nothing.
    keys = torch.tensor([[[1.0, 1.0], [1.0, 0.0], [0.9, 0.1], [-1.0, 0.3], [0.95, 0.05]]])
    tokens = torch.tensor([[[7.0], [1.0], [10.0], [100.0], [-4.0]]])
    sizes = torch.tensor([[[1.0], [2.0], [3.0], [1.0], [5.0]]])
    merged, merged_sizes = merge_tokens(tokens, sizes, keys, 2)
    assert merged_sizes.flatten().tolist() == [1, 10, 1]
    mean = (2 * 1 + 3 * 10 + 5 * -4) / 10
    assert merged.flatten().tolist() == pytest.approx([7, mean, 100])


def test_class_token_stays_alone_even_when_it_is_everyones_twin() -> None:
    tokens, sizes, keys = random_input(12)
    keys[:] = keys[:, :1] + 1e-3 * keys  # all keys nearly equal the class token's
    for r in (1, 3, 50):
        merged, merged_sizes = merge_tokens(tokens, sizes, keys, r)
        assert torch.equal(merged_sizes[:, 0], sizes[:, 0])
        torch.testing.assert_close(merged[:, 0], tokens[:, 0])


def test_similarity_is_cosine_not_dot_product() -> None:
    # Token 2: parallel to the short token 1; its dot product with the long token 3 is larger.
    keys = torch.tensor([[[0.0, 1.0], [0.1, 0.0], [1.0, 0.0], [9.0, 9.0]]])
    tokens = torch.arange(4.0).reshape(1, 4, 1)
    merged, _ = merge_tokens(tokens, torch.ones(1, 4, 1), keys, 1)
    assert merged.flatten().tolist() == [0, 1.5, 3]


def test_gradient_of_the_means() -> None:
    tokens, sizes, keys = random_input(9, batch=2)
    tokens, sizes = tokens.double().requires_grad_(), sizes.double()
    assert torch.autograd.gradcheck(lambda t: merge_tokens(t, sizes, keys, 3)[0], (tokens,))


def discriminator(**changes: object) -> Discriminator:
    small = {
        "image_size": 32, "patch": 8, "disc_patch": 8, "mask_blocks": (8,), "disc_width": 32,
        "disc_heads": 2, "disc_depth": 3, "tome_r": 2,
    }  # fmt: skip
    torch.manual_seed(0)
    network = Discriminator(make_settings("tiny", small | changes), InputShape(1, 32, 32))
    for part in network.modules():  # untrained weights hardly tell tokens apart
        if isinstance(part, torch.nn.Linear):
            torch.nn.init.normal_(part.weight, std=0.3)
    return network.eval()


def images(batch: int = 2) -> Tensor:
    return torch.rand(batch, 1, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize(("r", "depth"), [(0, 2), (1, 4), (2, 3), (3, 4)])
def test_token_count_falls_by_r_a_block_and_rl_in_all(r: int, depth: int) -> None:
    network = discriminator(tome_r=r, disc_depth=depth)
    outputs = []
    for block in network.blocks:
        block.register_forward_hook(lambda module, args, output: outputs.append(output))
    network(images())
    start = 16 + 1
    assert [tokens.shape[1] for tokens, _ in outputs] == [start - r * (i + 1) for i in range(depth)]
    assert outputs[-1][0].shape[1] == start - r * depth
    for _, sizes in outputs:
        if r:
            torch.testing.assert_close(sizes.sum(dim=1), torch.full((2, 1), float(start)))
            assert sizes[:, 0].unique().tolist() == [1]
        else:
            assert sizes is None


def slow_discriminator(network: Discriminator, image: Tensor) -> tuple[Tensor, Tensor]:
    """One image (1, 1, H, W) through the weights of `network`, written out step by step."""
    embed = network.embed
    patches = embed.project(patchify(image, embed.patch))[0] + embed.position[0]
    tokens, sizes = torch.cat([embed.class_token[0], patches]), torch.ones(len(patches) + 1, 1)
    for block in network.blocks:
        assert isinstance(block, Block)
        heads, width = block.attention.heads, tokens.shape[1]
        query, key, value = block.attention.qkv(block.norm1(tokens)).split(width, dim=1)
        side = width // heads
        outs, keys = [], []
        for head in range(heads):
            q, k, v = (t[:, head * side : (head + 1) * side] for t in (query, key, value))
            weight = sizes.T * torch.exp(q @ k.T / math.sqrt(side))  # a token counts size times
            outs.append(weight / weight.sum(dim=1, keepdim=True) @ v)
            keys.append(k)
        tokens = tokens + block.attention.project(torch.cat(outs, dim=1))
        tokens, sizes = slow_merge(tokens, sizes, torch.stack(keys).mean(dim=0), block.tome_r)
        tokens = tokens + block.mlp(block.norm2(tokens))
    feature = network.norm(tokens[0])
    return network.linear(feature)[0], feature


@torch.no_grad()
@pytest.mark.parametrize("r", [0, 2, 4])
def test_whole_discriminator_against_the_slow_loop(r: int) -> None:
    network = discriminator(tome_r=r)
    logits, features = network(images(3))
    for image, logit, feature in zip(images(3), logits, features, strict=True):
        expected_logit, expected_feature = slow_discriminator(network, image[None])
        torch.testing.assert_close(feature, expected_feature, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(logit, expected_logit, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("r", [1, 2, 5])
def test_adding_up_in_parts_is_adding_up(r: int) -> None:
    """What a GPU does in place of sorting; here on the processor."""
    tokens, _, keys = random_input(17, batch=3, seed=r)
    places, merging = pairs(keys, r)
    left = 17 - r
    rows = (places + left * torch.arange(3)[:, None]).flatten()
    later = (2 * merging + 17 * torch.arange(3)[:, None])[:, 1:].T
    values = tokens.flatten(0, 1).double().requires_grad_()
    slowly = torch.zeros(3 * left, values.shape[1], dtype=torch.float64)
    for row, value in zip(rows.tolist(), values, strict=True):
        slowly[row] = slowly[row] + value
    found = _AddUp.apply(values, rows, 3 * left, later)
    torch.testing.assert_close(found, slowly, rtol=0, atol=1e-12)
    weights = torch.rand_like(slowly)
    (quick,) = torch.autograd.grad((found * weights).sum(), values)
    (slow,) = torch.autograd.grad((slowly * weights).sum(), values)
    assert torch.equal(quick, slow)


def test_what_is_merged_could_be_added_up_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `later` no more than two values go to a row, and each part of it brings one."""
    seen = []

    def by_parts(values: Tensor, rows: Tensor, count: int, later: Tensor) -> Tensor:
        seen.append((rows, later))
        return _AddUp.apply(values, rows, count, later)

    tokens, sizes, keys = random_input(33, batch=4)
    keys[:, 2::2] = keys[:, 1:2]  # all even tokens like the same odd one best
    expected = merge_tokens(tokens, sizes, keys, 6)
    monkeypatch.setattr("burnish.method.tome.add_up", by_parts)
    for ours, plain in zip(merge_tokens(tokens, sizes, keys, 6), expected, strict=True):
        torch.testing.assert_close(ours, plain)
    assert len(seen) == 2
    for rows, later in seen:
        assert later.shape == (5, 4)
        first = torch.ones_like(rows, dtype=torch.bool)
        first[later.flatten()] = False
        assert rows[first].bincount().max() == 2
        assert all(len(set(rows[part].tolist())) == 4 for part in later)


def test_the_callers_choice_of_kernels_comes_back() -> None:
    for before in (False, True):
        torch.use_deterministic_algorithms(before, warn_only=True)
        try:
            with _any_order():
                assert not torch.are_deterministic_algorithms_enabled()
            assert torch.are_deterministic_algorithms_enabled() == before
            assert torch.is_deterministic_algorithms_warn_only_enabled()
        finally:
            torch.use_deterministic_algorithms(False)


def test_no_part_brings_a_third_number_to_a_place() -> None:
    """Else the order in which a GPU adds them would show."""
    for seed in range(20):
        _, _, keys = random_input(33, batch=4, seed=seed)
        keys[:, 2::2] = keys[:, 1:2]  # all even tokens like the same odd one best
        places, merging = pairs(keys, 6)
        assert all(len(set(places[b, 2 * merging[b]].tolist())) == 1 for b in range(4))
        first = torch.ones_like(places, dtype=torch.bool).scatter_(1, 2 * merging[:, 1:], False)
        for b in range(4):
            assert places[b, first[b]].bincount().max() <= 2
