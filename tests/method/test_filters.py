"""Banded-matrix blur against scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d, gaussian_filter

from burnish.method.filters import (
    BLOCK,
    Band,
    convolve3,
    gaussian_band,
    gaussian_smooth,
    smooth_within,
)
from burnish.method.losses import ssim_loss

CPU = torch.device("cpu")


@pytest.mark.parametrize("sigma", [0.5, 1.0, 1.5, 2.0, 4.0])
@pytest.mark.parametrize(("height", "width"), [(32, 48), (17, 64), (5, 7), (1, 30)])
def test_smoothing_against_scipy(sigma: float, height: int, width: int) -> None:
    maps = np.random.default_rng(0).random((2, 3, height, width))
    ours = gaussian_smooth(torch.from_numpy(maps).float(), sigma)
    for b in range(2):
        for s in range(3):
            expected = gaussian_filter(maps[b, s], sigma, mode="reflect", radius=round(4 * sigma))
            np.testing.assert_allclose(ours[b, s], expected, atol=2e-6)


@pytest.mark.parametrize("sigma", [0.1, 0.5, 3.0, 20.0])
def test_the_mean_is_kept(sigma: float) -> None:
    maps = torch.rand(2, 21, 34, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        gaussian_smooth(maps, sigma).mean(dim=(1, 2)), maps.mean(dim=(1, 2)), rtol=1e-5, atol=1e-6
    )


def test_a_tiny_sigma_changes_as_good_as_nothing() -> None:
    maps = torch.rand(1, 8, 9)
    for sigma in (1e-160, 1e-3, 0.1):
        assert torch.equal(gaussian_smooth(maps, sigma), maps)


def test_sigma_0_changes_nothing() -> None:
    maps = torch.rand(2, 8, 8)
    assert torch.equal(gaussian_smooth(maps, 0), maps)


def test_only_pixels_of_a_region_contribute() -> None:
    rng = np.random.default_rng(0)
    maps, inside = rng.normal(size=(2, 24, 31)), np.zeros((24, 31), dtype=bool)
    inside[4:15, 6:27], inside[8:10, 9] = True, False
    region = torch.from_numpy(inside)
    ours = smooth_within(torch.from_numpy(maps).float(), 2, region).numpy()
    weight = gaussian_filter(inside.astype(float), 2, mode="reflect")
    for found, values in zip(ours, maps, strict=True):
        expected = gaussian_filter(np.where(inside, values, 0), 2, mode="reflect") / weight
        near = weight > 0.01
        np.testing.assert_allclose(found[near], expected[near], rtol=1e-3, atol=1e-5)
    elsewhere = np.where(inside, maps, rng.normal(size=maps.shape))
    again = smooth_within(torch.from_numpy(elsewhere).float(), 2, region).numpy()
    assert np.array_equal(ours, again)


@pytest.mark.parametrize("pad", [True, False])
def test_rows_of_a_band_sum_to_one(pad: bool) -> None:
    band = gaussian_band(20, 1.5, 5, pad)
    matrix = band.dense(CPU)
    assert matrix.shape == band.shape == (20 if pad else 10, 20)
    torch.testing.assert_close(matrix.sum(dim=1), torch.ones(len(matrix)))
    assert (matrix >= 0).all()
    assert torch.equal(band.transposed.dense(CPU), matrix.T)


@pytest.mark.parametrize("rows", [1, 31, 32, 65, 200])
@pytest.mark.parametrize("more", [0, 6, -6])
def test_blocks_of_a_band_are_all_of_it(rows: int, more: int) -> None:
    """Any banded matrix: square, as a filter that only fits inside, and that one's transpose."""
    columns = max(1, rows + more)
    rng = np.random.default_rng(0)
    away = np.arange(columns)[None] - np.arange(rows)[:, None] - more / 2
    banded = np.where(np.abs(away) <= 3, rng.normal(size=(rows, columns)), 0).astype(np.float32)
    band = Band(torch.from_numpy(banded), 3)
    images = rng.normal(size=(2, columns, 5)).astype(np.float32)
    np.testing.assert_allclose(band.down(torch.from_numpy(images)), banded @ images, atol=1e-5)
    lines = images[..., 0]
    np.testing.assert_allclose(band.across(torch.from_numpy(lines)), lines @ banded.T, atol=1e-5)
    np.testing.assert_array_equal(band.dense(CPU), banded)
    np.testing.assert_array_equal(band.transposed.dense(CPU), banded.T)
    assert sum(part.numel() for _, part in band.blocks) <= rows * (BLOCK + 6)


def test_without_padding_only_places_where_the_filter_fits() -> None:
    signal = np.random.default_rng(0).random(30)
    taps = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    expected = correlate1d(signal, taps / taps.sum())[5:-5]
    ours = gaussian_band(30, 1.5, 5, False).dense(CPU) @ torch.from_numpy(signal).float()
    np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_a_band_first_used_in_inference_still_trains() -> None:
    gaussian_band.cache_clear()
    image, other = torch.rand(2, 1, 1, 16, 16)
    with torch.inference_mode():
        ssim_loss(image, other)
    painted = other.clone().requires_grad_()
    ssim_loss(image, painted).backward()
    assert painted.grad is not None
    assert painted.grad.abs().sum() > 0


@pytest.mark.parametrize(("height", "width"), [(128, 128), (24, 40), (7, 3), (1, 1)])
def test_3x3_convolution_and_its_gradients_against_torchs(height: int, width: int) -> None:
    source = torch.Generator().manual_seed(0)
    shapes = [(2, 1, height, width), (1, 1, 3, 3), (1,)]
    given = [torch.randn(shape, generator=source, dtype=torch.float64) for shape in shapes]
    results = []
    for function in (convolve3, lambda *args: torch.nn.functional.conv2d(*args, padding=1)):
        leaves = [tensor.clone().requires_grad_() for tensor in given]
        out = function(*leaves)
        out.sin().sum().backward()
        results.append([out, *(leaf.grad for leaf in leaves)])
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-9)
