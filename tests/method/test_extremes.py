"""Extremes of good parts' maps against loops over numpy and scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from burnish.method.cells import stretch
from burnish.method.extremes import (
    Extremes,
    against_extremes,
    cell_values,
    find_extremes,
    sparing,
)

RNG = np.random.default_rng(0)
COARSE, SHARE, SMOOTHING, EVEN = 8, 0.02, 1.0, 0.3


@pytest.mark.parametrize("with_region", [False, True])
def test_values_of_cells_against_loops(with_region: bool) -> None:
    maps = RNG.normal(size=(1, 2, 44, 61))
    inside = np.ones((44, 61), dtype=bool)
    if with_region:
        inside[:] = False
        inside[5:30, 18:50] = True
    region = torch.from_numpy(inside) if with_region else None
    means, peaks = cell_values(torch.from_numpy(maps).float(), region).numpy()
    assert means.shape == peaks.shape == (1, 2, -(-44 // COARSE), -(-61 // COARSE))
    for y in range(means.shape[2]):
        for x in range(means.shape[3]):
            cell = np.s_[y * COARSE : (y + 1) * COARSE, x * COARSE : (x + 1) * COARSE]
            for number in range(2):
                values = np.maximum(maps[0, number][cell][inside[cell]], 0)
                if len(values) == 0:
                    assert np.isnan([means[0, number, y, x], peaks[0, number, y, x]]).all()
                else:
                    assert means[0, number, y, x] == pytest.approx(values.mean(), abs=1e-5)
                    assert peaks[0, number, y, x] == pytest.approx(values.max(), abs=1e-6)


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("views", [1, 30, 120])
def test_extremes_against_loops(views: int, gaps: bool) -> None:
    peaks = RNG.exponential(RNG.uniform(0.5, 2, (2, 9, 12)), (views, 2, 9, 12))
    means = peaks * RNG.uniform(0.2, 0.6, peaks.shape)
    if gaps:  # what regions leave out: here and there, and at one place in every view
        hidden = RNG.random((views, 1, 9, 12)) < 0.2
        hidden[:, :, 4, 7] = True
        peaks, means = np.where(hidden, np.nan, peaks), np.where(hidden, np.nan, means)
    mean, peak, highest = (np.full((2, 9, 12), np.nan) for _ in range(3))
    for place in np.ndindex(mean.shape):
        seen = np.sort(peaks[:, *place][~np.isnan(peaks[:, *place])])
        if len(seen):
            mean[place] = np.nanmean(means[:, *place])
            peak[place] = seen.mean()
            highest[place] = seen[-max(1, round(SHARE * len(seen))) :].mean()
    for values in (mean, peak, highest):
        for number in range(2):
            one = values[number]
            one[np.isnan(one)] = np.nanmean(one)
            one[:] = gaussian_filter(one, SMOOTHING, mode="reflect")
    above = np.maximum(highest - peak, 0)
    if views > 1:
        above = above / above.mean(axis=(1, 2), keepdims=True)
    found = find_extremes(torch.from_numpy(np.stack([means, peaks], axis=1)).float())
    np.testing.assert_allclose(found.mean, mean, rtol=1e-4)
    np.testing.assert_allclose(found.height, (above + EVEN) / (1 + EVEN), rtol=1e-3)


def test_the_mean_height_is_one_and_no_place_is_blown_up() -> None:
    peaks = torch.rand(50, 1, 8, 8)
    peaks[:, :, :, :4] *= 1e-6  # a black background: always alike
    found = find_extremes(torch.stack([peaks / 2, peaks], dim=1))
    assert float(found.height.mean()) == pytest.approx(1, abs=1e-5)
    assert float(found.height.min()) > 0.99 * EVEN / (1 + EVEN)


@pytest.mark.parametrize("value", [0.0, 3.0, torch.nan])
def test_views_that_are_all_alike_change_no_order(value: float) -> None:
    found = find_extremes(torch.full((5, 2, 3, 4, 5), value)).at(32, 40)
    maps = torch.rand(1, 3, 32, 40)
    changed = against_extremes(maps, found)
    assert changed.isfinite().all()
    for number in range(3):
        order = maps[0, number].flatten().argsort()
        assert (changed[0, number].flatten()[order].diff() >= -1e-5).all()  # last digits


def test_maps_are_compared_with_their_extremes_at_every_pixel() -> None:
    mean, height = torch.rand(3, 4, 5), torch.rand(3, 4, 5) + 0.5
    maps = torch.rand(2, 3, 32, 40)
    found = against_extremes(maps, Extremes(mean, height).at(32, 40))
    by_pixel = [stretch(values[None], (32, 40))[0] for values in (mean, height)]
    torch.testing.assert_close(found, (maps - by_pixel[0]) / by_pixel[1])


def test_spared_maps_stay_as_they_are() -> None:
    known = Extremes(torch.rand(3, 4, 5), torch.rand(3, 4, 5) + 0.5)
    maps = torch.rand(2, 3, 32, 40)
    all_of_them = against_extremes(maps, known.at(32, 40))
    found = against_extremes(maps, sparing(known, 2).at(32, 40))
    torch.testing.assert_close(found[:, :2], maps[:, :2])
    assert torch.equal(found[:, 2], all_of_them[:, 2])
    assert not (known.mean == 0).any()


def test_a_flaw_in_quiet_places_outweighs_what_is_usual_at_a_border() -> None:
    """The point of it: a map whose border is restless on good parts finds a flaw elsewhere."""
    rng = np.random.default_rng(3)

    def view() -> torch.Tensor:
        values = rng.exponential(0.2, (1, 1, 64, 64))
        values[..., :8] *= rng.choice([1, 12], p=[0.8, 0.2])  # of a few parts only
        return torch.from_numpy(values).float()

    found = find_extremes(torch.cat([cell_values(view()).transpose(0, 1) for _ in range(200)]))
    flawed, odd = view(), view()
    odd[..., :8] = torch.from_numpy(rng.exponential(2.4, (1, 1, 64, 8))).float()
    flawed[..., 30:38, 30:38] += 3
    assert odd.max() > flawed.max()
    compared = [against_extremes(one, found.at(64, 64)) for one in (flawed, odd)]
    assert compared[0].max() > compared[1].max()
