"""Tiles cover an image and stitch together again to what was cut."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from burnish.images.tiles import Grid, blend_weights, cut, cut_region, starts


@pytest.mark.parametrize("length", [1, 31, 32, 33, 50, 64, 100, 257])
@pytest.mark.parametrize("overlap", [0, 1, 8, 16])
def test_tiles_cover_every_pixel_with_the_overlap_asked_for(length: int, overlap: int) -> None:
    first = starts(length, 32, overlap)
    covered = np.zeros(max(length, 32), dtype=int)
    for start in first:
        covered[start : start + 32] += 1
    assert covered[:length].min() >= 1
    assert first[0] == 0
    assert first[-1] == max(length - 32, 0)  # the last tile ends with the image
    for one, two in pairwise(first):
        assert one + 32 - two >= overlap
    even = np.linspace(0, max(length - 32, 0), len(first))
    assert np.abs(np.array(first) - even).max() <= 0.5
    fewest = 1 if length <= 32 else -(-(length - overlap) // (32 - overlap))
    assert len(first) == fewest


@pytest.mark.parametrize(("length", "overlap"), [(32, 8), (33, 0), (100, 8), (257, 16), (20, 4)])
def test_weights_sum_to_one(length: int, overlap: int) -> None:
    first = starts(length, 32, overlap)
    total = np.zeros(max(length, 32))
    for start, weight in zip(first, blend_weights(first, 32, length), strict=True):
        assert (weight > 0).all()
        total[start : start + 32] += weight
    np.testing.assert_allclose(total, 1, atol=1e-6)


def test_a_single_tile_counts_exactly_one() -> None:
    assert (blend_weights([0], 32, 32) == 1).all()


def test_weights_fall_towards_a_tiles_edge() -> None:
    first, second = blend_weights([0, 24], 32, 56)
    assert (np.diff(first[24:]) < 0).all()
    assert (np.diff(second[:8]) > 0).all()
    assert (first[:24] == 1).all()


@pytest.mark.parametrize("size", [(32, 32), (70, 45), (100, 33)])
def test_a_map_cut_and_stitched_is_the_map(size: tuple[int, int]) -> None:
    values = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    grid = Grid.of(*size, 32, 8)
    stitched = np.zeros(size)
    for tile in grid:
        piece = cut(values, tile.top, tile.left, 32)
        stitched[tile.top : tile.top + 32, tile.left : tile.left + 32] += grid.weights(tile) * piece
    np.testing.assert_allclose(stitched, values, atol=1e-3)


def test_an_image_smaller_than_a_tile_is_mirrored_and_what_is_mirrored_does_not_count() -> None:
    image = np.arange(1, 7, dtype=np.uint8).reshape(1, 2, 3)
    piece = cut(image, 0, 0, 4)
    expected = [[1, 2, 3, 3], [4, 5, 6, 6], [4, 5, 6, 6], [1, 2, 3, 3]]
    assert piece.tolist() == [expected]
    inside = cut_region(None, 0, 0, 4, (2, 3))
    assert inside is not None
    assert inside.tolist() == [[True] * 3 + [False]] * 2 + [[False] * 4] * 2


def test_the_region_is_cut_as_the_image_is() -> None:
    region = np.random.default_rng(0).random((40, 50)) < 0.5
    assert np.array_equal(cut_region(region, 5, 9, 32, (40, 50)), region[5:37, 9:41])
    assert cut_region(None, 5, 9, 32, (40, 50)) is None
