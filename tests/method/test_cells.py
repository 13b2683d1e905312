"""Means over cells and back, against loops and torch's own interpolation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from burnish.method.cells import coarse_cells, stretch, to_cells
from burnish.method.extremes import Extremes
from burnish.method.lines import LineModel
from burnish.method.texture import TextureModel

RNG = np.random.default_rng(0)
CELL, COARSE = 4, 8  # px


def noise(*shape: int) -> torch.Tensor:
    return torch.from_numpy(RNG.normal(size=shape)).float()


@pytest.mark.parametrize(("few", "many"), [(4, 32), (5, 37), (1, 8)])
def test_stretch_is_bilinear(few: int, many: int) -> None:
    cells = noise(2, 3, few, 6)
    expected = F.interpolate(cells, size=(many, 45), mode="bilinear")
    torch.testing.assert_close(stretch(cells, (many, 45)), expected)


def test_cells_are_means() -> None:
    values = noise(9, 18, 21)
    cells = to_cells(values)
    assert cells.shape == (9, 5, 6)
    for row in range(5):
        for column in range(6):
            place = values[:, CELL * row : CELL * (row + 1), CELL * column : CELL * (column + 1)]
            torch.testing.assert_close(cells[:, row, column], place.mean(dim=(1, 2)))


@pytest.mark.parametrize("size", [(20, 30), (24, 30), (20, 32)])  # cells at the end may be cut
def test_coarse_cells_are_means_of_what_the_region_has(size: tuple[int, int]) -> None:
    values, inside = noise(1, 2, *size), torch.zeros(size, dtype=torch.bool)
    inside[5:13, 3:18] = True
    for region in (None, inside):
        cells, seen = coarse_cells(values, region)
        assert cells.shape == (1, 2, 3, 4)
        assert (seen is None) == (region is None)
        for row in range(3):
            for column in range(4):
                part = np.s_[
                    COARSE * row : COARSE * (row + 1), COARSE * column : COARSE * (column + 1)
                ]
                counts = torch.ones(size, dtype=torch.bool) if region is None else region
                found = values[0][:, *part][:, counts[part]]
                if seen is not None:
                    assert bool(seen[row, column]) == (found.shape[1] > 0)
                expected = found.mean(dim=1) if found.shape[1] else torch.zeros(2)
                torch.testing.assert_close(cells[0, :, row, column], expected)


@pytest.mark.parametrize(
    "model",
    [
        TextureModel(1, noise(9, 5, 6), noise(9, 5, 6), noise(2, 9, 9)),
        LineModel(1, noise(16, 5, 6), noise(16, 5, 6)),
        Extremes(noise(11, 5, 6), noise(11, 5, 6)),
    ],
    ids=["texture", "lines", "extremes"],
)
def test_what_is_kept_by_cells_at_every_pixel(model: TextureModel | LineModel | Extremes) -> None:
    full = model.at(18, 21)
    for name, values in vars(model).items():
        expected = values
        if name in model.BY_CELLS:
            expected = F.interpolate(values[None], size=(18, 21), mode="bilinear")[0]
            torch.testing.assert_close(getattr(full, name), expected)
        else:
            assert getattr(full, name) is values
