"""The graph's resize against Pillow's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from burnish.export.resampling import (
    down_first,
    fixed_point,
    resize_levels,
    resize_map,
    triangles,
)

SIDES = st.integers(1, 300)
BILINEAR = Image.Resampling.BILINEAR


def levels(image: np.ndarray, height: int, width: int) -> np.ndarray:
    stack = torch.from_numpy(image).float()[None]
    return resize_levels(stack, height, width, down_first())[0].numpy()


@settings(max_examples=150, deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, st.integers(0, 2**32 - 1))
def test_grey_levels_equal_pillows(h: int, w: int, height: int, width: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (h, w), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(image).resize((width, height), BILINEAR))
    assert np.array_equal(levels(image, height, width), expected)


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, st.integers(0, 2**32 - 1))
def test_maps_equal_pillows(h: int, w: int, height: int, width: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(h, w)).astype(np.float32)
    expected = np.asarray(Image.fromarray(values).resize((width, height), BILINEAR))
    found = resize_map(torch.from_numpy(values), height, width).numpy()
    np.testing.assert_allclose(found, expected, atol=3e-6)


@pytest.mark.parametrize("size", [(3000, 4000), (4100, 37), (37, 4100), (1280, 512), (256, 256)])
def test_a_cameras_image(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    expected = np.asarray(Image.fromarray(image).resize((128, 128), BILINEAR))
    assert np.array_equal(levels(image, 128, 128), expected)


@pytest.mark.parametrize("more", [-1, 0, 1])
@pytest.mark.parametrize("less", [5, 20, 41])
def test_where_pillow_changes_the_order_of_its_passes(less: int, more: int) -> None:
    """It goes down first where it takes away more than twice as many rows as columns."""
    image = np.random.default_rng(less).integers(
        0, 256, (30 + 2 * less + more, 50 + less), dtype=np.uint8
    )
    expected = np.asarray(Image.fromarray(image).resize((50, 30), BILINEAR))
    assert np.array_equal(levels(image, 30, 50), expected)


def test_extremes_stay_black_and_white() -> None:
    for value in (0, 255):
        image = np.full((97, 61), value, np.uint8)
        assert (levels(image, 33, 150) == value).all()


def test_colour_channels_are_resized_alike() -> None:
    image = np.random.default_rng(1).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(image).resize((33, 20), BILINEAR))
    stack = torch.from_numpy(image).permute(2, 0, 1).float()
    found = resize_levels(stack, 20, 33, down_first()).permute(1, 2, 0).numpy()
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(("source", "target"), [(640, 200), (7, 5), (5, 7), (1, 9), (4096, 128)])
def test_fixed_point_weights_are_the_rounded_quotients(source: int, target: int) -> None:
    weights, sums = triangles(source, target)
    high, low = fixed_point(weights, sums)
    scale = source / target
    support = max(scale, 1.0)
    for y in (0, target // 2, target - 1):  # Pillow's precompute_coeffs, in doubles
        centre = (y + 0.5) * scale
        taps = [max(0.0, 1 - abs((x - centre + 0.5) / support)) for x in range(source)]
        expected = [int(0.5 + tap / sum(taps) * (1 << 22)) for tap in taps]
        assert (high * 2048 + low)[y].int().tolist() == expected


def test_the_order_of_passes_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Pillow that goes across first is told from one that goes down first."""
    resize = Image.Image.resize

    def across_first(picture: Image.Image, size: tuple[int, int], how: int) -> Image.Image:
        return resize(resize(picture, (size[0], picture.height), how), size, how)

    def down_before(picture: Image.Image, size: tuple[int, int], how: int) -> Image.Image:
        return resize(resize(picture, (picture.width, size[1]), how), size, how)

    monkeypatch.setattr(Image.Image, "resize", across_first)
    assert not down_first()
    monkeypatch.setattr(Image.Image, "resize", down_before)
    assert down_first()
