"""Long lines against scipy, numpy and obvious loops."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, maximum_filter

from burnish.method.lines import (
    ANGLES,
    DIRECTIONS,
    LENGTH,
    WIDEN,
    LineModel,
    all_line_maps,
    by_cells,
    doublings,
    line_map,
    line_responses,
)
from burnish.method.texture import surface

RNG = np.random.default_rng(0)
HEIGHT, WIDTH = 24, 33


def pixels_of(angle: float) -> list[tuple[int, int]]:
    """(right, down) of every pixel of a line from its first one, some of them twice."""
    return [
        (sum(s[0] for s in chosen), sum(s[1] for s in chosen))
        for chosen in product(*(((0, 0), shift) for shift in doublings(angle)))
    ]


def blur_within(values: np.ndarray, sigma: float, inside: np.ndarray) -> np.ndarray:
    """scipy's blur, to which only pixels inside contribute."""
    weight, summed = (gaussian_filter(one, sigma, mode="reflect")
                      for one in (inside.astype(float), np.where(inside, values, 0)))  # fmt: skip
    return summed / np.maximum(weight, 1e-9)


def slow_response(
    field: np.ndarray, width: float, angle: float, inside: np.ndarray | None = None
) -> np.ndarray:
    """Of one direction, in float64: pixel by pixel of the image, and of the line."""
    inside = np.ones(field.shape, dtype=bool) if inside is None else inside
    smooth = np.pad(blur_within(field, width, inside), 1, mode="edge")
    high, wide = field.shape
    normal = np.array([-math.sin(angle), math.cos(angle)])
    curve = np.zeros((high, wide))
    for row in range(high):
        for column in range(wide):
            near = smooth[row : row + 3, column : column + 3]
            across = near[1, 2] + near[1, 0] - 2 * near[1, 1]
            down = near[2, 1] + near[0, 1] - 2 * near[1, 1]
            both = (near[2, 2] + near[0, 0] - near[2, 0] - near[0, 2]) / 4
            curve[row, column] = normal @ [[across, both], [both, down]] @ normal
    curve[~inside] = 0
    line = np.array(pixels_of(angle))
    line -= (line.min(axis=0) + np.ptp(line, axis=0) // 2).astype(int)  # around the pixel
    found = np.zeros((high, wide))
    for row in range(high):
        for column in range(wide):
            rows = np.clip(row + line[:, 1], 0, high - 1)
            columns = np.clip(column + line[:, 0], 0, wide - 1)
            found[row, column] = curve[rows, columns].mean()
    return found


@pytest.mark.parametrize("width", [1, 2])
def test_responses_against_loops(width: int) -> None:
    field = RNG.uniform(0, 1, (HEIGHT, WIDTH))
    ours = list(line_responses(torch.from_numpy(field).float()[None], width))
    assert len(ours) == DIRECTIONS
    for angle, response in zip(ANGLES, ours, strict=True):
        expected = slow_response(field, width, angle)
        np.testing.assert_allclose(response[0].numpy(), expected, atol=1e-5, err_msg=f"{angle}")


def test_lines_keep_to_their_direction() -> None:
    np.testing.assert_allclose(np.diff([*ANGLES, math.pi]), math.pi / DIRECTIONS)
    for angle in ANGLES:
        line = np.array(pixels_of(angle))
        beside = line[:, 1] * math.cos(angle) - line[:, 0] * math.sin(angle)
        assert np.abs(beside - np.median(beside)).max() < 1.2
        along = line[:, 0] * math.cos(angle) + line[:, 1] * math.sin(angle)
        assert np.ptp(along) == pytest.approx(LENGTH - 1, abs=1.5)
        assert np.diff(np.unique(along)).max() < 2  # without gaps


def drawn(angle: float, contrast: float, size: int = 96) -> torch.Tensor:
    """Noise of deviation 1 with a line through the middle, one pixel wide and 40 long."""
    noise = np.random.default_rng(4).normal(0, 1, (size, size))
    down, across = np.mgrid[:size, :size] - (size - 1) / 2
    along = across * math.cos(angle) + down * math.sin(angle)
    beside = down * math.cos(angle) - across * math.sin(angle)
    noise += contrast * np.exp(-0.5 * (beside / 0.8) ** 2) * (np.abs(along) < 20)
    return torch.from_numpy(noise).float()[None]


def usual(size: int = 96) -> LineModel:
    """What noise alone gives."""
    rng = np.random.default_rng(5)
    fields = torch.from_numpy(rng.normal(0, 1, (8, size, size))).float()
    found = torch.stack(list(line_responses(fields, 1)), dim=1)
    spread = found.std(dim=(0, 2, 3), correction=0)[:, None, None].expand(-1, size // 4, size // 4)
    return LineModel(1, torch.zeros_like(spread), spread)


@pytest.mark.parametrize("contrast", [2.0, -2.0])
@pytest.mark.parametrize("degrees", [0, 20, 45, 77, 110, 150])
def test_a_line_no_pixel_shows_is_found_by_its_length(degrees: int, contrast: float) -> None:
    model = usual().at(96, 96)
    field = drawn(math.radians(degrees), contrast)
    assert field.abs().argmax() != line_map(field, model).argmax()
    found = line_map(field, model)
    assert found.max() > 1.2 * line_map(drawn(0.0, 0.0), model).max()
    row, column = divmod(int(found.argmax()), 96)
    angle = math.radians(degrees)
    beside = (row - 47.5) * math.cos(angle) - (column - 47.5) * math.sin(angle)
    assert abs(beside) < 5


def test_lines_that_all_good_parts_have_are_none() -> None:
    edge = drawn(0.3, 0.0) + 6.0 * (torch.arange(96) > 50)
    responses = torch.cat(list(line_responses(edge, 1)))
    unseen = usual()
    seen = LineModel(1, *by_cells(responses, unseen.at(96, 96).deviation))
    others = line_map(edge, unseen.at(96, 96))[0]
    ours = line_map(edge, seen.at(96, 96))[0]
    near, far = slice(44, 58), slice(0, 30)
    assert others[:, near].amax() > 3 * others[:, far].amax()
    assert ours[:, near].amax() < 1.3 * ours[:, far].amax()


def test_a_cell_is_the_mean_and_spread_of_its_pixels() -> None:
    mean, spread = RNG.normal(0, 1, (1, 16, 32)), RNG.uniform(0.1, 1, (1, 16, 32))
    mean = mean.repeat(4, axis=1) + RNG.normal(0, 1, (1, 64, 32))  # cells differ, and pixels
    spread = spread.repeat(4, axis=1)
    middle, deviation = by_cells(*(torch.from_numpy(v).float() for v in (mean, spread)))
    smooth = LineModel(1, middle, middle).at(64, 32).mean.numpy()
    for row in range(16):
        for column in range(8):
            cell = (0, slice(4 * row, 4 * row + 4), slice(4 * column, 4 * column + 4))
            assert middle[0, row, column] == pytest.approx(mean[cell].mean(), abs=1e-5)
            expected = (spread[cell] ** 2 + (mean[cell] - smooth[cell]) ** 2).mean() ** 0.5
            assert deviation[0, row, column] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("with_region", [False, True])
def test_map_against_numpy(with_region: bool) -> None:
    inside = np.ones((HEIGHT, WIDTH), dtype=bool)
    if with_region:  # its own pixels alone say what is usual
        inside[:, 20:] = False
    field = RNG.uniform(0, 1, (2, HEIGHT, WIDTH))
    mean, spread = RNG.normal(0, 0.1, (16, 6, 9)), RNG.uniform(0.1, 0.3, (16, 6, 9))
    model = LineModel(2, *(torch.from_numpy(v).float() for v in (mean, spread)))
    full = model.at(HEIGHT, WIDTH)
    region = torch.from_numpy(inside) if with_region else None
    ours = line_map(torch.from_numpy(field).float(), full, region)
    for number in range(2):
        values = np.stack([slow_response(field[number], 2, angle, inside) for angle in ANGLES])
        far = np.abs((values - full.mean.numpy()) / full.deviation.numpy()).max(axis=0)
        shares = far / (np.minimum(far[inside], far[inside].mean()).mean() + 0.1)
        wide = maximum_filter(np.where(inside, shares, 0), WIDEN, mode="nearest")
        expected = np.where(inside, blur_within(wide, 2, inside), 0)
        np.testing.assert_allclose(ours[number].numpy(), expected, rtol=1e-3)


def test_nothing_outside_the_region_counts() -> None:
    images = torch.from_numpy(RNG.uniform(-1, 1, (1, 3, HEIGHT, WIDTH))).float()
    inside = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    inside[4:20, 6:30] = True
    images = images.masked_fill(~inside, 0.0)
    models = [LineModel(w, torch.zeros(16, 6, 9), torch.ones(16, 6, 9)).at(HEIGHT, WIDTH)
              for w in (1, 2)]  # fmt: skip
    found = all_line_maps(images, images[:, None], models, inside)
    assert found.shape == (1, 2, HEIGHT, WIDTH)
    assert not found[:, :, ~inside].any()
    assert (found[:, :, inside] > 0).all()
    for number, model in enumerate(models):
        alone = line_map(surface(images, images[:, None], inside), model, inside)
        assert torch.equal(found[:, number], alone)
