"""Factors of good parts' descriptors against numpy's singular values and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from burnish.method.cells import coarse_cells
from burnish.method.factors import Factors, find_factors, left_over, shared
from burnish.method.mahalanobis import SLACK

RNG = np.random.default_rng(0)
K, H, W = 3, 4, 5  # descriptors, cells
VIEWS = 40
COARSE = 8  # px of a cell
REACH, VIEWS_EACH = 3, 8


def good_cells() -> np.ndarray:
    """(N, K, h, w): two ways of going together, and some noise of each cell's own."""
    ways = RNG.normal(size=(2, K, H, W))
    strength = RNG.normal(size=(VIEWS, 2)) * (2.0, 1.0)
    return np.tensordot(strength, ways, 1) + RNG.normal(0, 0.3, (VIEWS, K, H, W)) + 5


def test_factors_against_numpy() -> None:
    cells = good_cells()
    found = find_factors(torch.from_numpy(cells).float(), 2)
    assert found is not None
    factors, of_views = found

    mean, spread = cells.mean(axis=0), cells.std(axis=0)
    spread = spread + SLACK * spread.mean(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(factors.mean.numpy(), mean, rtol=1e-4)
    np.testing.assert_allclose(factors.deviation.numpy(), spread, rtol=1e-3)
    z = np.clip((cells - mean) / spread, -REACH, REACH).reshape(VIEWS, -1)
    _, _, right = np.linalg.svd(z, full_matrices=False)
    ours = factors.ways.flatten(1).numpy()
    assert ours.shape == (2, K * H * W)
    # A way and its opposite are one; together they span the same.
    np.testing.assert_allclose(ours.T @ ours, right[:2].T @ right[:2], atol=1e-4)
    expected = (z @ right[:2].T @ right[:2]).reshape(cells.shape) * spread
    np.testing.assert_allclose(of_views.numpy(), expected, atol=1e-3)
    left = (cells - mean - expected).var() / cells.var(axis=0).mean()
    assert left < 0.1  # two ways were all there was but for the noise


def test_a_view_with_a_flaw_pulls_no_factor_further_than_its_reach() -> None:
    cells = good_cells()
    cells[7, :, 1, 2] += 60
    found = find_factors(torch.from_numpy(cells).float(), 2)
    assert found is not None
    mean, spread = cells.mean(axis=0), cells.std(axis=0)
    spread = spread + SLACK * spread.mean(axis=(1, 2), keepdims=True)
    z = ((cells - mean) / spread).reshape(VIEWS, -1)
    assert z.max() > 1.5 * REACH
    _, _, right = np.linalg.svd(np.clip(z, -REACH, REACH), full_matrices=False)
    ours = found[0].ways.flatten(1).numpy()
    np.testing.assert_allclose(ours.T @ ours, right[:2].T @ right[:2], atol=1e-4)


def test_few_views_have_few_factors() -> None:
    cells = torch.from_numpy(good_cells()).float()
    assert find_factors(cells, 0) is None
    assert find_factors(cells[: VIEWS_EACH - 1], 16) is None
    found = find_factors(cells[: 3 * VIEWS_EACH + 1], 16)
    assert found is not None
    assert len(found[0].ways) == 3


def test_views_that_are_all_alike_have_no_factors() -> None:
    assert find_factors(torch.ones(VIEWS, K, H, W), 4) is None


def test_cells_that_a_region_leaves_out_say_nothing() -> None:
    cells = torch.from_numpy(good_cells()).float()
    hidden = cells.clone()
    hidden[:, :, 0] = torch.nan  # in no view
    hidden[::2, :, 1, 0] = torch.nan  # in half of them
    found = find_factors(hidden, 2)
    assert found is not None
    factors, of_views = found
    assert all(torch.isfinite(t).all() for t in (*vars(factors).values(), of_views))
    assert not factors.ways[:, :, 0].any()
    half = cells[1::2, :, 1, 0]
    torch.testing.assert_close(factors.mean[:, 1, 0], half.mean(dim=0), rtol=1e-4, atol=1e-4)


def some_factors(height: int, width: int) -> Factors:
    ways = np.linalg.qr(RNG.normal(size=(K * height * width, 2)))[0].T
    return Factors(
        torch.from_numpy(RNG.normal(size=(K, height, width))).float(),
        torch.from_numpy(RNG.uniform(0.5, 1.5, (K, height, width))).float(),
        torch.from_numpy(ways.reshape(2, K, height, width)).float(),
    )


def explained(
    values: torch.Tensor, factors: Factors, inside: torch.Tensor | None = None
) -> torch.Tensor:
    return shared(*coarse_cells(values, inside), factors, (values.shape[2], values.shape[3]))


@pytest.mark.parametrize("with_region", [False, True])
@pytest.mark.parametrize("size", [(32, 40), (30, 37)])  # cells at the end may be cut
def test_shared_against_loops(size: tuple[int, int], with_region: bool) -> None:
    inside = np.ones(size, dtype=bool)
    if with_region:  # cells without a pixel of it count as ordinary ones
        inside[: 2 * COARSE] = False
    region = torch.from_numpy(inside) if with_region else None
    values, factors = RNG.normal(0, 3, (2, K, *size)), some_factors(H, W)
    ours = explained(torch.from_numpy(values).float(), factors, region).numpy()
    for number in range(2):
        z = np.zeros((K, H, W))
        for row in range(H):
            for column in range(W):
                place = values[number, :, COARSE * row : COARSE * (row + 1),
                               COARSE * column : COARSE * (column + 1)]  # fmt: skip
                z[:, row, column] = place.mean(axis=(1, 2))
        z = np.clip((z - factors.mean.numpy()) / factors.deviation.numpy(), -REACH, REACH)
        z[:, : 2 if with_region else 0] = 0
        expected = np.zeros((K, H, W))
        for way in factors.ways.numpy():
            expected += (z * way).sum() * way
        expected *= factors.deviation.numpy()
        full = F.interpolate(torch.from_numpy(expected)[None], size, mode="bilinear")[0].numpy()
        np.testing.assert_allclose(ours[number], full, atol=2e-4)


def test_a_flaw_pulls_no_factor_further_than_its_reach() -> None:
    factors = some_factors(H, W)
    values = torch.zeros(1, K, H * COARSE, W * COARSE)
    flawed, worse = values.clone(), values.clone()
    flawed[..., :COARSE, :COARSE] = 100.0
    worse[..., :COARSE, :COARSE] = 10_000.0
    torch.testing.assert_close(explained(flawed, factors), explained(worse, factors))


def test_what_lies_outside_the_region_explains_nothing() -> None:
    inside = torch.zeros(H * COARSE, W * COARSE, dtype=torch.bool)
    inside[5:20, 3:30] = True
    values = torch.from_numpy(RNG.normal(size=(1, K, H * COARSE, W * COARSE))).float()
    other = torch.where(inside, values, 7.0)
    factors = some_factors(H, W)
    torch.testing.assert_close(
        explained(values, factors, inside), explained(other, factors, inside)
    )
    cells, seen = coarse_cells(values, inside)
    assert seen is not None
    assert seen.tolist() == [[c < 4 and r < 3 for c in range(W)] for r in range(H)]
    corner = values[0, :, 5:8, 3:8].mean(dim=(1, 2))  # of the first cell, what the region has
    torch.testing.assert_close(cells[0, :, 0, 0], corner)


def test_what_factors_leave_of_a_deviation_against_numpy() -> None:
    """By cells of another size, and never less than 0.6 of it."""
    deviation = RNG.uniform(0.5, 1.5, (K, 2 * H, 2 * W))
    of_views = RNG.normal(size=(VIEWS, K, H, W)) * RNG.uniform(0, 1, (K, H, W))
    full = F.interpolate(torch.from_numpy(of_views), (2 * H, 2 * W), mode="bilinear").numpy()
    rest = deviation**2 - (full**2).mean(axis=0)
    expected = np.maximum(np.sqrt(np.maximum(rest, 0)), 0.6 * deviation)
    ours = left_over(torch.from_numpy(deviation).float(), torch.from_numpy(of_views).float())
    np.testing.assert_allclose(ours, expected, rtol=1e-4)
    floored = ours.numpy() < 0.6001 * deviation
    assert floored.any()
    assert not floored.all()
