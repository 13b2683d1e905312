"""Error maps, fusion over scales and image scores against hand-made maps and numpy (eq. 7-9)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from burnish.method.scoring import (
    best_scale,
    choose_scale,
    choose_score,
    cold_unseen,
    error_maps,
    fuse,
    image_score,
    where_seen,
    with_whole,
)

MU = torch.tensor([0.50, 0.10, 0.20])
SIGMA = torch.tensor([0.05, 0.02, 0.10])


def maps_with_means(*means: float) -> torch.Tensor:
    """(1, S, 8, 8): noise around the wanted means, one bright spot each."""
    noise = torch.rand(len(means), 8, 8, generator=torch.Generator().manual_seed(0)) * 0.1
    noise[:, 3, 4] += 1
    return (noise - noise.mean(dim=(1, 2), keepdim=True) + torch.tensor(means)[:, None, None])[None]


@pytest.mark.parametrize(
    ("means", "chosen"),
    [
        ((0.55, 0.15, 0.45), 2),  # the largest mean is scale 0, the largest excess scale 2
        ((0.52, 0.30, 0.21), 1),  # the smallest but one
        ((0.90, 0.30, 0.21), 0),
        ((0.40, 0.09, 0.05), 1),  # all below their references: the least below
        ((0.50, 0.11, 0.20), 1),  # by a hair, against a raw mean five times as large
    ],
)
def test_paper_fusion_picks_the_scale_of_largest_excess(
    means: tuple[float, ...], chosen: int
) -> None:
    errors = maps_with_means(*means)
    assert choose_scale(errors, MU).tolist() == [chosen]
    assert torch.equal(fuse(errors, MU, SIGMA, "paper")[0], errors[0, chosen])


def test_each_image_of_a_batch_picks_its_own_scale() -> None:
    errors = torch.cat([maps_with_means(0.9, 0.1, 0.2), maps_with_means(0.5, 0.3, 0.2)])
    fused = fuse(errors, MU, SIGMA, "paper")
    assert torch.equal(fused[0], errors[0, 0])
    assert torch.equal(fused[1], errors[1, 1])


def test_only_the_region_chooses_the_scale() -> None:
    """Outside of it scale 0 errs most, inside scale 2."""
    errors = maps_with_means(0.5, 0.1, 0.3)
    inside = torch.zeros(8, 8, dtype=torch.bool)
    inside[2:6, 2:6] = True
    errors[0, 0, ~inside] += 10
    assert choose_scale(errors, MU).tolist() == [0]
    assert choose_scale(errors, MU, inside).tolist() == [2]
    assert torch.equal(fuse(errors, MU, SIGMA, "paper", inside)[0], errors[0, 2])
    assert int(best_scale(errors, torch.zeros(3), MU, "paper", 3, inside)) == 2


@pytest.mark.parametrize(
    ("rule", "shown"), [("paper", 2), ("mean", 2), ("max", 2), ("scores", 1), ("highest", 1)]
)
def test_the_scale_that_is_shown_is_one_of_the_masks(rule: str, shown: int) -> None:
    """Not a map of texture that stands out even more: nothing is painted for it."""
    errors = torch.cat([maps_with_means(0.5, 0.1, 0.4), torch.full((1, 1, 8, 8), 9.0)], dim=1)
    mu, alone = torch.tensor([*MU.tolist(), 0.0]), torch.tensor([3.0, 5.0, 4.0, 70.0])
    assert int(best_scale(errors, alone, mu, rule, 3)) == shown


@pytest.mark.parametrize("rule", ["mean", "max"])
def test_mean_and_max_fusion_against_numpy(rule: str) -> None:
    errors = torch.rand(2, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    z = (errors.numpy() - MU.numpy()[:, None, None]) / SIGMA.numpy()[:, None, None]
    expected = z.mean(axis=1) if rule == "mean" else z.max(axis=1)
    np.testing.assert_allclose(fuse(errors, MU, SIGMA, rule), expected, rtol=1e-5, atol=1e-5)


def test_errors_that_cancel_still_score() -> None:
    image = torch.zeros(1, 3, 8, 8)
    sign = torch.tensor([1.0, -1.0]).repeat(4)[None, :] * torch.ones(8, 1)
    over_space = (0.5 * sign).expand(1, 1, 3, 8, 8)  # mean over pixels 0
    over_colour = torch.tensor([0.5, -0.5, 0.0]).reshape(1, 1, 3, 1, 1).expand(1, 1, 3, 8, 8)
    painted = torch.cat([over_space, over_colour], dim=1)
    assert painted.mean(dim=(2, 3, 4)).abs().max() < 1e-7
    absolute = error_maps(image, painted, "absolute", 0)
    assert torch.equal(absolute[0, 0], torch.full((8, 8), 0.5))
    torch.testing.assert_close(absolute[0, 1], torch.full((8, 8), 1 / 3))
    squared = error_maps(image, painted, "squared", 0)
    torch.testing.assert_close(squared[0, 0], torch.full((8, 8), 0.25))
    torch.testing.assert_close(squared[0, 1], torch.full((8, 8), 1 / 6))
    smoothed = error_maps(image, painted, "absolute", 3.0)  # smoothed after, not before
    torch.testing.assert_close(smoothed[0, 0], torch.full((8, 8), 0.5))


@pytest.mark.parametrize("kind", ["absolute", "squared", "relative"])
@pytest.mark.parametrize("smoothing", [0.0, 1.5])
def test_error_maps_against_numpy(kind: str, smoothing: float) -> None:
    rng = np.random.default_rng(0)
    images, painted = rng.uniform(-1, 1, (2, 3, 12, 9)), rng.uniform(-1, 1, (2, 4, 3, 12, 9))
    ours = error_maps(
        torch.from_numpy(images).float(), torch.from_numpy(painted).float(), kind, smoothing
    )
    assert ours.shape == (2, 4, 12, 9)
    for b in range(2):
        for s in range(4):
            difference = painted[b, s] - images[b]
            error = difference**2 if kind == "squared" else np.abs(difference)
            expected = error.mean(axis=0)
            if smoothing:
                expected = gaussian_filter(expected, smoothing, mode="reflect", radius=6)
            if kind == "relative":
                light = gaussian_filter(painted[b, s].mean(axis=0), 4, mode="reflect", radius=16)
                expected = expected / (light + 1 + 0.2)
                expected = expected / (np.minimum(expected, expected.mean()).mean() + 0.02)
            np.testing.assert_allclose(ours[b, s], expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["absolute", "relative"])
@pytest.mark.parametrize("smoothing", [0.0, 1.5])
def test_error_maps_of_a_region_against_numpy(kind: str, smoothing: float) -> None:
    """Means are over the region's pixels alone, and so is what is smoothed."""
    rng = np.random.default_rng(0)
    image, painted = rng.uniform(-1, 1, (3, 20, 26)), rng.uniform(-1, 1, (2, 3, 20, 26))
    inside = np.zeros((20, 26), dtype=bool)
    inside[2:9, 3:11] = True
    inside[18, 24] = True  # far from all others: almost nothing of what lies around it weighs

    def smooth(values: np.ndarray, sigma: float) -> np.ndarray:
        if sigma == 0:
            return np.where(inside, values, 0)
        radius = round(4 * sigma)
        summed = gaussian_filter(np.where(inside, values, 0), sigma, mode="reflect", radius=radius)
        weight = gaussian_filter(inside.astype(float), sigma, mode="reflect", radius=radius)
        return np.where(inside, summed / np.maximum(weight, 1e-30), 0)

    ours = error_maps(
        torch.from_numpy(image)[None].float(), torch.from_numpy(painted)[None].float(), kind,
        smoothing, torch.from_numpy(inside),
    )[0]  # fmt: skip
    for scale in range(2):
        expected = smooth(np.abs(painted[scale] - image).mean(axis=0), smoothing)
        if kind == "relative":
            expected = expected / (smooth(painted[scale].mean(axis=0) + 1, 4) + 0.2)
            values = expected[inside]
            expected = expected / (np.minimum(values, values.mean()).mean() + 0.02)
        np.testing.assert_allclose(ours[scale], expected, atol=1e-5)


def test_a_relative_error_does_not_see_the_lamp() -> None:
    """Contrast and brightness of part and repainting doubled: the same map but for the floors."""
    noise = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    part, painted = 0.8 + 0.05 * noise, torch.full((1, 1, 1, 32, 32), 0.8)
    dim = error_maps(part - 1, painted - 1, "relative", 1.0)
    lit = error_maps(2 * part - 1, 2 * painted - 1, "relative", 1.0)
    torch.testing.assert_close(lit, dim, rtol=0.1, atol=0)
    assert (
        error_maps(2 * part - 1, 2 * painted - 1, "absolute", 1.0).mean()
        > 1.9 * error_maps(part - 1, painted - 1, "absolute", 1.0).mean()
    )


def test_a_large_flaw_does_not_hide_itself() -> None:
    noise = 0.02 * torch.rand(1, 1, 40, 40, generator=torch.Generator().manual_seed(0))
    painted = torch.zeros(1, 1, 1, 40, 40)
    heights = []
    for side in (4, 16):  # 1 % and 16 % of the image
        part = noise.clone()
        part[..., 12 : 12 + side, 12 : 12 + side] += 0.3
        heights.append(error_maps(part, painted, "relative", 0).amax().item())
    small, large = heights
    assert large > 0.7 * small  # with the plain mean it would be half


@pytest.mark.parametrize("kind", ["absolute", "relative"])
def test_what_lies_outside_the_region_does_not_weigh(kind: str) -> None:
    rng = torch.Generator().manual_seed(1)
    image, painted = (
        torch.rand(1, 1, 24, 24, generator=rng),
        torch.rand(1, 2, 1, 24, 24, generator=rng),
    )
    inside = torch.zeros(24, 24, dtype=torch.bool)
    inside[4:20, 6:18] = True
    ours = error_maps(image, painted, kind, 1.5, inside)
    other = error_maps(
        torch.where(inside, image, -1.0), torch.where(inside, painted, 1.0), kind, 1.5, inside
    )
    torch.testing.assert_close(ours, other)
    assert not ours[..., ~inside].any()


def test_nothing_is_clamped_or_rescaled() -> None:
    image, painted = torch.full((1, 1, 4, 4), -1.0), torch.full((1, 1, 1, 4, 4), 9.0)
    assert error_maps(image, painted, "absolute", 0).unique().tolist() == [10]
    assert image_score(torch.full((1, 4, 4), -7.0), "mean", 1).item() == -7
    assert image_score(torch.full((1, 4, 4), 70.0), "max", 1).item() == 70


@pytest.mark.parametrize("reduction", ["mean", "max", "top"])
@pytest.mark.parametrize("share", [0.003, 0.01, 0.25, 1.0])
def test_reductions_against_numpy(reduction: str, share: float) -> None:
    maps = torch.randn(3, 20, 31, generator=torch.Generator().manual_seed(0))
    flat = np.sort(maps.numpy().reshape(3, -1), axis=1)[:, ::-1]
    expected = {
        "mean": flat.mean(axis=1),
        "max": flat[:, 0],
        "top": flat[:, : round(share * 620)].mean(axis=1),
    }[reduction]
    np.testing.assert_allclose(image_score(maps, reduction, share), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("reduction", ["mean", "max", "top"])
def test_what_is_not_seen_counts_neither_way(reduction: str) -> None:
    """As if the map had no such pixels, be they high or low."""
    rng = torch.Generator().manual_seed(0)
    maps, seen = torch.randn(2, 3, 20, 31, generator=rng), torch.ones(20, 31)
    seen[:4], seen[:, 25:] = 0, 0
    expected = image_score(maps[..., 4:, :25].flatten(0, 1), reduction, 6 / 400).view(2, 3)
    maps[..., :2, :], maps[..., 2:4, :] = 50, -50
    found = where_seen(maps, seen)
    assert torch.equal(found[..., 4:, :25], maps[..., 4:, :25])
    scores = image_score(found.flatten(0, 1), reduction, 6 / 620).view(2, 3)
    torch.testing.assert_close(scores, expected)


def test_pixels_may_count_in_part() -> None:
    maps = torch.tensor([[[4.0, 1.0, 0.0]]])
    seen = torch.tensor([[0.5, 1.0, 0.0]])
    mean = np.average([4.0, 1.0, 0.0], weights=[0.5, 1.0, 0.0])
    torch.testing.assert_close(
        where_seen(maps, seen), torch.tensor([[[(4 + mean) / 2, 1.0, mean]]], dtype=torch.float32)
    )


def test_a_map_is_coldest_where_nothing_is_seen() -> None:
    found = cold_unseen(torch.tensor([[[4.0, 1.0, 9.0]]]), torch.tensor([[0.5, 1.0, 0.0]]))
    assert found.tolist() == [[[2.5, 1.0, 1.0]]]


def test_top_share_takes_at_least_one_pixel() -> None:
    maps = torch.arange(16.0).reshape(1, 4, 4)
    assert image_score(maps, "top", 0.001).tolist() == [15]


@pytest.mark.parametrize("rule", ["paper", "mean", "max", "scores"])
def test_the_fused_map_judges(rule: str) -> None:
    assert choose_score(lambda: torch.tensor([3.0]), torch.tensor([[1.0, 9.0]]), rule).tolist() == [
        3
    ]


def test_the_map_that_is_most_certain_judges() -> None:
    """Two maps with two odd pixels each, elsewhere: together they show four, and no map does."""
    errors = torch.zeros(1, 2, 8, 8)
    errors[0, 0, 0, :2], errors[0, 1, 5, :2] = 4.0, 6.0
    mu, sigma = torch.zeros(2), torch.ones(2)
    fused = image_score(fuse(errors, mu, sigma, "highest"), "top", 4 / 64)
    alone = image_score(errors[0], "top", 4 / 64)
    assert fused.tolist() == [5]
    assert choose_score(lambda: fused, alone[None], "highest").tolist() == [3]


def test_the_whole_adds_only_what_it_has_above_an_ordinary_image() -> None:
    score, whole = torch.tensor([7.0, 7.0, 7.0]), torch.tensor([1.0, 5.0, 8.5])
    assert with_whole(score, whole).tolist() == [7, 7, 10.5]
