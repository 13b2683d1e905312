"""The surface as a whole against numpy, scipy and scikit-learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import mahalanobis
from sklearn.covariance import shrunk_covariance

from burnish.method.cells import coarse_cells
from burnish.method.factors import Factors, shared
from burnish.method.texture import (
    DESCRIPTORS,
    MAPS,
    TextureModel,
    descriptors,
    precisions,
    smoothed,
    surface,
    texture_maps,
)
from burnish.method.whole import (
    WholeModel,
    grid_means,
    learn_whole,
    texture_evidence,
    whole_distance,
)

RNG = np.random.default_rng(0)
COARSE, GRID, SHRINKAGE, SLACK = 8, 4, 0.3, 0.1


@pytest.mark.parametrize(("height", "width"), [(64, 96), (32, 32)])
def test_means_of_the_grid_against_numpy(height: int, width: int) -> None:
    values = RNG.normal(size=(2, 3, height, width))
    parts = values.reshape(2, 3, GRID, height // GRID, GRID, width // GRID)
    found = grid_means(*coarse_cells(torch.from_numpy(values).float()))
    np.testing.assert_allclose(found, parts.mean(axis=(3, 5)).reshape(2, -1), atol=1e-6)


@pytest.mark.parametrize("with_region", [False, True])
def test_means_of_any_size_against_loops(with_region: bool) -> None:
    """Of small cells, each as heavy as any other that the region reaches into."""
    values = RNG.normal(size=(1, 2, 44, 61))
    inside = np.ones((44, 61), dtype=bool)
    if with_region:
        inside[:] = False
        inside[5:30, 18:50] = True
    high, wide = -(-44 // COARSE), -(-61 // COARSE)
    expected = np.zeros((2, GRID, GRID))
    for row in range(GRID):
        for column in range(GRID):
            means = []
            for y in range(row * high // GRID, -(-(row + 1) * high // GRID)):
                for x in range(column * wide // GRID, -(-(column + 1) * wide // GRID)):
                    cell = np.s_[y * COARSE : (y + 1) * COARSE, x * COARSE : (x + 1) * COARSE]
                    if inside[cell].any():
                        means.append(values[0][:, *cell][:, inside[cell]].mean(axis=1))
            if means:
                expected[:, row, column] = np.mean(means, axis=0)
    region = torch.from_numpy(inside) if with_region else None
    found = grid_means(*coarse_cells(torch.from_numpy(values).float(), region))
    np.testing.assert_allclose(found[0], expected.ravel(), atol=1e-5)
    assert (expected == 0).any() == with_region


def test_distance_against_scipy_and_scikit_learn() -> None:
    good = RNG.normal(size=(40, 5)) @ RNG.normal(size=(5, 30)) + RNG.normal(size=(40, 30)) + 3
    model = learn_whole(torch.from_numpy(good).float())
    spread = good.std(axis=0)
    spread = spread + SLACK * spread.mean()
    np.testing.assert_allclose(model.deviation, spread, rtol=1e-5)
    alike = (good - good.mean(axis=0)) / spread
    precision = np.linalg.inv(shrunk_covariance(np.cov(alike.T, bias=True), SHRINKAGE))
    new = RNG.normal(3, 2, size=(6, 30))
    expected = [
        np.log(mahalanobis(row, np.zeros(30), precision) / np.sqrt(30))
        for row in (new - good.mean(axis=0)) / spread
    ]
    found = whole_distance(torch.from_numpy(new).float(), model)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("views", [np.full((1, 20), 2.0), np.full((5, 20), 2.0)])
def test_views_that_do_not_differ(views: np.ndarray) -> None:
    model = learn_whole(torch.from_numpy(views).float())
    same, other = whole_distance(torch.tensor([[2.0] * 20, [3.0] * 20]), model)
    assert torch.isfinite(same)
    assert torch.isfinite(other)
    assert other > same + 1


def texture(height: int, width: int, of: str = "residual") -> TextureModel:
    factor = RNG.normal(size=(MAPS, DESCRIPTORS, DESCRIPTORS))
    return TextureModel(
        1,
        torch.from_numpy(RNG.normal(0, 0.1, (DESCRIPTORS, height, width))).float(),
        torch.from_numpy(RNG.uniform(0.5, 1.5, (DESCRIPTORS, height, width))).float(),
        torch.from_numpy(factor @ factor.transpose(0, 2, 1)).float(),
        of,
    )


def some_whole(textures: int) -> WholeModel:
    values = textures * DESCRIPTORS * GRID**2
    mean, deviation = RNG.normal(size=values), RNG.uniform(0.5, 1, values)
    whitening = RNG.normal(size=(values, values)) / values
    return WholeModel(*(torch.from_numpy(v).float() for v in (mean, deviation, whitening)))


def test_nothing_outside_the_region_matters() -> None:
    inside = torch.zeros(20, 24, dtype=torch.bool)
    inside[3:15, 4:20] = True
    images = torch.from_numpy(RNG.uniform(-1, 1, (1, 1, 20, 24))).float()
    other = torch.where(inside, images, -images)
    painted, good = images[:, None] * 0.5, texture(20, 24)
    again = torch.where(inside, painted, 1.0)
    models, whole = [good, replace(good, of="image")], some_whole(2)
    one, first = texture_evidence(images, painted, models, whole, inside)
    two, second = texture_evidence(other, again, models, whole, inside)
    assert one.shape[1] == 2 * MAPS
    torch.testing.assert_close(one, two)
    torch.testing.assert_close(first, second)
    assert not one[..., ~inside].any()
    assert (one[..., inside] > 0).all()
    maps, none = texture_evidence(images, painted, models, inside=inside)
    assert none is None
    assert torch.equal(maps, one)


@pytest.mark.parametrize("with_whole", [False, True])
def test_what_factors_explain_is_taken_away_whether_or_not_the_whole_is_compared(
    with_whole: bool,
) -> None:
    images = torch.from_numpy(RNG.uniform(-1, 1, (1, 1, 32, 40))).float()
    plain, cells = texture(32, 40, "image"), (DESCRIPTORS, 4, 5)
    ways = np.linalg.qr(RNG.normal(size=(int(np.prod(cells)), 2)))[0].T.reshape(2, *cells)
    factors = Factors(torch.zeros(cells), torch.ones(cells), torch.from_numpy(ways).float())
    found = descriptors(smoothed(surface(images, images[:, None]), [1]), 1)
    less = found - shared(*coarse_cells(found), factors, (32, 40))
    whole = some_whole(1) if with_whole else None
    ours, _ = texture_evidence(images, images[:, None], [replace(plain, factors=factors)], whole)
    torch.testing.assert_close(ours, texture_maps(less, plain))
    assert not torch.allclose(ours, texture_maps(found, plain), rtol=1e-2)


def test_a_finish_that_is_wrong_everywhere_stands_out_as_a_whole_alone() -> None:
    """What it is for: as good as all others but for its grain, which is twice as strong."""
    made = np.random.default_rng(1)

    def part(strength: float) -> torch.Tensor:
        grain = gaussian_filter(made.normal(0, 1, (64, 64)), 0.7)
        return torch.from_numpy(0.15 * strength * grain).float()[None, None]

    goods = [part(made.uniform(0.9, 1.1)) for _ in range(40)]
    flat = torch.zeros(1, 1, 1, 64, 64)

    def described(image: torch.Tensor) -> torch.Tensor:
        return descriptors(smoothed((image[:, 0] - flat[:, 0, 0]) / 1.2, [1]), 1)

    found = torch.cat([described(good) for good in goods])
    mean, deviation = found.mean(dim=0), found.std(dim=0) + 0.01
    z = ((found - mean) / deviation).transpose(0, 1).flatten(1)
    model = TextureModel(1, mean, deviation, precisions(z, "residual"))
    whole = learn_whole(torch.cat([grid_means(*coarse_cells(described(good))) for good in goods]))
    fresh = [texture_evidence(part(made.uniform(0.9, 1.1)), flat, [model], whole)
             for _ in range(20)]  # fmt: skip
    maps, distance = texture_evidence(part(2.0), flat, [model], whole)
    assert distance is not None
    usual = [float(one) for _, one in fresh if one is not None]
    assert distance > np.mean(usual) + 5 * np.std(usual)
    # No place of it is unlike the rest of it.
    peaks = [float(one[0, 0].amax()) for one, _ in fresh]
    assert maps[0, 0].amax() < np.mean(peaks) + 3 * np.std(peaks)
