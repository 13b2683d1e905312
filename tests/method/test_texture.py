"""Texture of the residual against scipy, numpy and obvious loops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from burnish.method.mahalanobis import RIDGE
from burnish.method.texture import (
    AMOUNT,
    DESCRIPTORS,
    MAPS,
    SOURCES,
    TextureModel,
    all_descriptors,
    descriptors,
    precisions,
    red_green,
    residual,
    smoothed,
    surface,
    texture_maps,
    yellow_blue,
)

RNG = np.random.default_rng(0)
ENERGY, SLOPE = 0.01, 1e-4


def blur(values: np.ndarray, sigma: float) -> np.ndarray:
    """scipy's, in float64; the borders are mirrored as ours are."""
    return gaussian_filter(values, sigma, mode="reflect") if sigma else values


def slow_descriptors(
    left: np.ndarray, grain: float, inside: np.ndarray | None = None
) -> np.ndarray:
    """Only pixels inside contribute."""
    weights = np.ones(left.shape) if inside is None else inside.astype(float)

    def blur(values: np.ndarray, sigma: float) -> np.ndarray:
        if not sigma:
            return values
        weight, summed = (gaussian_filter(one, sigma, mode="reflect")
                          for one in (weights, weights * values))  # fmt: skip
        return summed / np.maximum(weight, 1e-9)

    found = []
    for inner, outer in ((0, 1), (1, 2), (2, 4)):
        band = blur(left, inner * grain) - blur(left, outer * grain)
        found += [band, np.log(blur(np.abs(band), 2 * grain) + ENERGY)]
    smooth = np.pad(blur(left, grain), 1, mode="edge")
    height, width = left.shape
    down, across = np.zeros((height, width)), np.zeros((height, width))
    for row in range(height):
        for column in range(width):
            down[row, column] = (smooth[row + 2, column + 1] - smooth[row, column + 1]) / 2
            across[row, column] = (smooth[row + 1, column + 2] - smooth[row + 1, column]) / 2
    found.append(np.log(blur(down**2, 2 * grain) + SLOPE))
    found.append(np.log(blur(across**2, 2 * grain) + SLOPE))
    found.append(blur(down * across, 2 * grain))
    return np.stack(found)


def test_neighbouring_grains_share_what_is_smoothed() -> None:
    left = torch.rand(2, 40, 30, generator=torch.Generator().manual_seed(0))
    found = smoothed(left, [1, 2, 4])
    assert sorted(found) == [0, 1, 2, 4, 8, 16]
    assert found[0] is left
    for grain in (1, 2, 4):
        assert torch.equal(descriptors(found, grain), descriptors(smoothed(left, [grain]), grain))


def test_residual_is_the_mean_over_scales_in_shares_of_light() -> None:
    images = torch.from_numpy(RNG.uniform(-1, 1, (2, 3, 9, 12))).float()
    painted = torch.from_numpy(RNG.uniform(-1, 1, (2, 4, 3, 9, 12))).float()
    ours = residual(images, painted).numpy()
    grey, scales = images.numpy().mean(axis=1), painted.numpy().mean(axis=2)
    for number in range(2):
        light = gaussian_filter(scales[number].mean(axis=0) + 1.0, 4.0, mode="reflect")
        for row in range(9):
            for column in range(12):
                left = grey[number, row, column] - scales[number, :, row, column].mean()
                expected = left / (light[row, column] + 0.2)
                assert ours[number, row, column] == pytest.approx(expected, abs=1e-5)


def test_residual_does_not_change_with_the_lamp() -> None:
    part = torch.from_numpy(RNG.uniform(0.8, 1.2, (1, 1, 16, 16))).float()
    painted = torch.from_numpy(RNG.uniform(0.9, 1.1, (1, 2, 1, 16, 16))).float()
    dim, lit = residual(0.8 * part - 1, 0.8 * painted - 1), residual(part - 1, painted - 1)
    assert (dim - lit).abs().max() < 0.06 * lit.abs().max()  # but for the floor under black


@pytest.mark.parametrize("grain", [1, 2])
def test_descriptors_against_scipy(grain: int) -> None:
    left = RNG.normal(0, 0.1, (2, 40, 36))
    ours = descriptors(smoothed(torch.from_numpy(left).float(), [grain]), grain).numpy()
    assert ours.shape == (2, DESCRIPTORS, 40, 36)
    for number in range(2):
        np.testing.assert_allclose(
            ours[number], slow_descriptors(left[number], grain), atol=2e-5, rtol=1e-4
        )


def test_descriptors_of_hues_are_amounts_of_both() -> None:
    image = torch.from_numpy(RNG.uniform(-1, 1, (1, 3, 30, 28))).float()
    colour, grey = all_descriptors(image, image[:, None], [("colour", 1), ("image", 1)])
    hues = [
        slow_descriptors(field(image, image)[0].numpy(), 1)[:AMOUNT]
        for field in (red_green, yellow_blue)
    ]
    assert colour.shape == (1, SOURCES["colour"].descriptors, 30, 28)
    np.testing.assert_allclose(colour[0], np.concatenate(hues), atol=1e-4, rtol=1e-3)
    expected = slow_descriptors(surface(image, image[:, None])[0].numpy(), 1)
    np.testing.assert_allclose(grey[0], expected, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("of", ["image", "colour"])
def test_precisions_against_numpy(of: str) -> None:
    count = SOURCES[of].descriptors
    mixed = RNG.normal(size=(count, count)) @ RNG.normal(size=(count, 500))
    values = mixed / mixed.std(axis=1, keepdims=True)
    found = precisions(torch.from_numpy(values), of).numpy()
    assert len(found) == len(SOURCES[of].maps) == (1 if of == "colour" else MAPS)
    correlation = values @ values.T / 500 + RIDGE * np.eye(count)
    np.testing.assert_allclose(found[-1] @ correlation * count, np.eye(count), atol=1e-3)
    if of == "image":
        block = correlation[:AMOUNT, :AMOUNT]
        np.testing.assert_allclose(
            found[0, :AMOUNT, :AMOUNT] @ block * AMOUNT, np.eye(AMOUNT), atol=1e-3
        )
        assert not found[0, AMOUNT:].any()
        assert not found[0, :, AMOUNT:].any()


def test_surface_against_scipy() -> None:
    image = RNG.uniform(-1, 1, (2, 3, 20, 24))
    found = surface(torch.from_numpy(image).float(), torch.zeros(2, 1, 3, 20, 24)).numpy()
    for number in range(2):
        level = image[number].mean(axis=0) + 1
        expected = level / (blur(level, 4) + 0.2)
        np.testing.assert_allclose(found[number], expected, rtol=1e-4)
    # The lamp does not show, where it is not dark.
    bright = torch.from_numpy(RNG.uniform(0.5, 1, (1, 1, 20, 24))).float()
    dim = (bright + 1) * 0.7 - 1
    one, two = (surface(i, i[:, None]) for i in (bright, dim))
    assert (one - two).abs().max() < 0.05


def test_hues_against_scipy() -> None:
    image = RNG.uniform(-1, 1, (2, 3, 20, 24))
    given = torch.from_numpy(image).float(), torch.zeros(2, 1, 3, 20, 24)
    for number in range(2):
        means = (image[number] + 1).mean(axis=(1, 2))
        red, green, blue = ((image[number] + 1).T * (means.mean() / means)).T
        light = blur(image[number].mean(axis=0) + 1, 4) + 0.2
        for field, expected in (
            (red_green, red - green),
            (yellow_blue, (red + green) / 2 - blue),
        ):
            found = field(*given)[number].numpy()
            np.testing.assert_allclose(found, expected / light, rtol=1e-4, atol=1e-6)


def test_hues_do_not_change_with_the_lamp_and_one_metal_has_none() -> None:
    part = torch.from_numpy(RNG.uniform(0.8, 1.2, (1, 3, 16, 16))).float()
    metal = part[:, :1] * torch.tensor([1.1, 1.0, 0.7])[:, None, None]
    warm = torch.tensor([1.1, 1.0, 0.9])[:, None, None]
    for field in (red_green, yellow_blue):
        dim, lit = field(0.8 * part - 1, part[:, None]), field(part - 1, part[:, None])
        assert (dim - lit).abs().max() < 0.06 * lit.abs().max()  # but for the floor under black
        assert (field(warm * part - 1, part[:, None]) - lit).abs().max() < 0.01 * lit.abs().max()
        assert field(metal - 1, part[:, None]).abs().max() < 1e-6
    black = torch.cat([part[:, :2], torch.zeros(1, 1, 16, 16)], dim=1)
    assert yellow_blue(black - 1, part[:, None]).isfinite().all()


def test_fields_of_a_region_against_scipy() -> None:
    """Only its own pixels say how light it is there, and outside both fields are 0."""
    inside = np.zeros((20, 24), dtype=bool)
    inside[3:15, 4:20] = True
    image, painted = RNG.uniform(-1, 1, (1, 20, 24)), RNG.uniform(-1, 1, (2, 1, 20, 24))

    def light(level: np.ndarray) -> np.ndarray:
        weight = np.maximum(blur(inside.astype(float), 4), 1e-30)
        return blur(np.where(inside, level, 0), 4) / weight + 0.2

    given = (torch.from_numpy(image)[None].float(), torch.from_numpy(painted)[None].float())
    mean = painted.mean(axis=(0, 1))
    for field, expected in (
        (surface, (image[0] + 1) / light(image[0] + 1)),
        (residual, (image[0] - mean) / light(mean + 1)),
    ):
        found = field(*given, torch.from_numpy(inside))[0]
        np.testing.assert_allclose(found, np.where(inside, expected, 0), atol=1e-5)
    colours = RNG.uniform(-1, 1, (3, 20, 24))
    found = red_green(torch.from_numpy(colours)[None].float(), given[1], torch.from_numpy(inside))
    red, green, _ = ((level + 1) / (level + 1)[inside].mean() for level in colours)
    expected = (red - green) * (colours + 1)[:, inside].mean() / light(colours.mean(axis=0) + 1)
    np.testing.assert_allclose(found[0], np.where(inside, expected, 0), atol=1e-5)


def model(height: int, width: int, grain: float = 1) -> TextureModel:
    factor = RNG.normal(size=(MAPS, DESCRIPTORS, DESCRIPTORS))
    return TextureModel(
        grain,
        torch.from_numpy(RNG.normal(0, 0.1, (DESCRIPTORS, height, width))).float(),
        torch.from_numpy(RNG.uniform(0.5, 1.5, (DESCRIPTORS, height, width))).float(),
        torch.from_numpy(factor @ factor.transpose(0, 2, 1)).float(),
    )


@pytest.mark.parametrize("with_region", [False, True])
def test_maps_against_loops(with_region: bool) -> None:
    inside = np.ones((20, 24), dtype=bool)
    if with_region:  # its own pixels alone say what is usual
        inside[:, 14:] = False
    left, good = RNG.normal(0, 0.1, (1, 20, 24)), model(20, 24)
    good = replace(good, deviation=40 * good.deviation)  # a usual value of about 0.1
    region = torch.from_numpy(inside) if with_region else None
    found = descriptors(smoothed(torch.from_numpy(left).float(), [1], region), 1, inside=region)
    ours = texture_maps(found, good, region)[0].numpy()
    z = (slow_descriptors(left[0], 1, inside) - good.mean.numpy()) / good.deviation.numpy()
    for number in range(MAPS):
        distance = np.zeros((20, 24))
        for row in range(20):
            for column in range(24):
                at = z[:, row, column]
                distance[row, column] = np.sqrt(at @ good.precision[number].numpy() @ at)
        usual = np.minimum(distance[inside], distance[inside].mean()).mean()
        shares = blur(np.where(inside, distance / (usual + 0.1), 0), 1.0)
        expected = np.where(inside, shares / np.maximum(blur(inside.astype(float), 1.0), 1e-9), 0)
        np.testing.assert_allclose(ours[number], expected, rtol=1e-3)


def test_a_line_among_grain_stands_out_though_its_error_is_no_larger() -> None:
    """What it is for: brushed metal, and a scratch across it of the same contrast."""
    made = np.random.default_rng(1)
    good = [np.repeat(made.normal(0, 0.1, (1, 48)), 48, axis=0) for _ in range(40)]
    good = [field + made.normal(0, 0.02, (48, 48)) for field in good]
    found = torch.cat(
        [descriptors(smoothed(torch.from_numpy(f)[None].float(), [1]), 1) for f in good]
    )
    mean, deviation = found.mean(dim=0), found.std(dim=0) + 0.01
    z = ((found - mean) / deviation).transpose(0, 1).flatten(1)
    texture = TextureModel(1, mean, deviation, precisions(z, "residual"))
    marked = good[0].copy()
    marked[20, 8:40] += 0.1
    assert np.abs(marked).max() < np.abs(good[0]).max() + 0.11
    before, after = (
        texture_maps(descriptors(smoothed(torch.from_numpy(f)[None].float(), [1]), 1), texture)[0]
        for f in (good[0], marked)
    )
    assert after[1].max() > 2 * before[1].max()
    row, _ = divmod(int(after[1].argmax()), 48)
    assert abs(row - 20) <= 3
