"""Masks against pycocotools' own strings, slow loops and matplotlib's paths."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from matplotlib.path import Path as Outline
from PIL import Image

from burnish.errors import BurnishError
from burnish.images.formats.masks import (
    Patch,
    box_patch,
    mask_of_counts,
    mask_of_file,
    mask_of_runs,
    polygon_patch,
)

# From pycocotools 2.0 (`encode`), for the masks that `golden` draws.
BOX = "m05400MM03300000000`0"
ELLIPSE = (
    "^`2=X36K4L4M2M4M2N2N2N2N2N2N2O0O2N2N2O0O2O0O2N2O0O2O0O2O000O2O0O2O000O2O000O2O000O2O00000O2O"
    "0000000O2O000000000O2O00000000^N[O1e0O[O1e0O[O1e0O[O1e0O[O1e0O[O1e0O[O1e0O[O1e0O[O1e0O[O1e0O"
    "[O1e0O[O1e0O[O1e0O[O1e0O[O1e0O[O1e0O[O1e0O[O1e0O[O1e0O[O1e0a100000000001N10000000001N1000000"
    "01N1000001N10001N10001N10001N101N10001N101N101N2N101N101N2N2N101N2N2N2N2N2N2N3L3N3L4L5J]d4"
)


def golden(name: str) -> np.ndarray:
    if name == "box":
        mask = np.zeros((9, 13), bool)
        mask[2:7, 3:11] = True
        mask[4, 5] = False
        return mask
    y, x = np.mgrid[:120, :200]
    mask = ((y - 60) ** 2 / 40**2 + (x - 90) ** 2 / 70**2) < 1
    mask[50:70, 80:100] = False
    return mask


def encoded(picture: Image.Image, format: str) -> bytes:
    file = io.BytesIO()
    picture.save(file, format)
    return file.getvalue()


def whole(patch: Patch, height: int, width: int) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    rows, columns = patch.mask.shape
    mask[patch.top : patch.top + rows, patch.left : patch.left + columns] = patch.mask
    return mask


@pytest.mark.parametrize(("text", "name"), [(BOX, "box"), (ELLIPSE, "ellipse")])
def test_compressed_counts_are_those_of_pycocotools(text: str, name: str) -> None:
    mask = golden(name)
    assert np.array_equal(mask_of_counts(text, *mask.shape), mask)


def test_counts_of_single_pixels_and_plain_lists() -> None:
    corners = np.zeros((300, 300), bool)
    corners[0, 0] = corners[299, 299] = True
    assert np.array_equal(mask_of_counts("01^lg20", 300, 300), corners)
    assert np.array_equal(mask_of_counts("1^lg21", 300, 300), ~corners)
    assert mask_of_counts([2, 3, 1], 2, 3).tolist() == [[False, True, True], [False, True, False]]


@pytest.mark.parametrize("counts", [[2, 3], [2, 3, 2], [-1, 7], "m054", "a!", "zz"])
def test_counts_that_do_not_fit_are_refused(counts: list[int] | str) -> None:
    with pytest.raises(BurnishError):
        mask_of_counts(counts, 2, 3)


def test_runs_against_a_slow_loop() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        height, width = rng.integers(1, 20, 2)
        mask = rng.random((height, width)) < 0.4
        runs: list[int] = []
        for number in range(height * width):  # Kaggle's rule: down the columns, from 1
            if mask[number % height, number // height]:
                if runs and sum(runs[-2:]) == number + 1:
                    runs[-1] += 1
                else:
                    runs += [number + 1, 1]
        assert np.array_equal(mask_of_runs(runs, height, width), mask)


@pytest.mark.parametrize("runs", [[1], [0, 2], [5, 3], [1, -1], [2, 99]])
def test_runs_that_leave_the_image_are_refused(runs: list[int]) -> None:
    with pytest.raises(BurnishError, match=r"pairs|leaves the image of 3 x 2"):
        mask_of_runs(runs, 2, 3)


def test_polygons_hold_the_pixels_whose_centres_lie_inside() -> None:
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:40, :50]
    centres = np.stack([x.ravel() + 0.5, y.ravel() + 0.5], 1)
    for _ in range(100):
        angles = np.sort(rng.random(rng.integers(3, 9)) * 2 * np.pi)  # a star: never crosses itself
        radii = rng.uniform(3, 40, angles.size)
        points = np.stack([25 + radii * np.cos(angles), 20 + radii * np.sin(angles)], 1)
        if np.diff(np.append(angles, angles[0] + 2 * np.pi)).max() > np.pi:
            continue
        inside = Outline(points).contains_points(centres).reshape(40, 50)
        ours = whole(polygon_patch([tuple(p) for p in points], 40, 50), 40, 50)
        assert np.array_equal(ours, inside)


def test_a_polygon_thinner_than_a_pixel_does_not_vanish() -> None:
    mask = whole(polygon_patch([(3.1, 7.1), (3.2, 7.2), (3.3, 7.1)], 20, 20), 20, 20)
    assert mask.sum() == 1
    assert mask[7, 3]
    line = whole(polygon_patch([(2, 5), (12, 5), (2, 5)], 20, 20), 20, 20)
    assert line[5, 2]
    assert line[5, 11]


def test_shapes_outside_the_image_are_empty_and_huge_ones_are_cut() -> None:
    assert polygon_patch([(-9, -9), (-5, -9), (-5, -2)], 20, 20).mask.size == 0
    assert box_patch(30, 3, 4, 4, 20, 20).mask.size == 0
    assert whole(box_patch(-1e9, -1e9, 2e9, 2e9, 20, 20), 20, 20).all()
    assert whole(polygon_patch([(-1e9, -1e9), (1e9, -1e9), (1e9, 1e9), (-1e9, 1e9)], 20, 20), 20, 20
                 ).all()  # fmt: skip


def test_boxes_mark_the_pixels_they_cover() -> None:
    assert np.argwhere(whole(box_patch(2, 3, 2, 1, 9, 9), 9, 9)).tolist() == [[3, 2], [3, 3]]
    assert whole(box_patch(4.2, 4.2, 0.1, 0, 9, 9), 9, 9).sum() == 1  # never nothing
    assert np.argwhere(whole(box_patch(8.7, 2, 0.3, 1, 9, 9), 9, 9)).tolist() == [[2, 8]]


@pytest.mark.parametrize(("x", "y"), [(-5, 2), (9, 2), (2, -3), (2, 9.5)])
def test_boxes_outside_the_image_mark_nothing(x: float, y: float) -> None:
    assert box_patch(x, y, 3, 3, 9, 9).mask.size == 0


def test_mask_files_count_every_value_above_zero() -> None:
    values = np.array([[0, 1, 2, 255]], np.uint8)
    wanted = [[False, True, True, True]]
    assert mask_of_file(encoded(Image.fromarray(values), "PNG"), "m").tolist() == wanted
    assert mask_of_file(encoded(Image.fromarray(values), "BMP"), "m").tolist() == wanted
    deep = Image.fromarray(values.astype(np.uint16))  # in 8 bits all of them would be 0 but one
    assert mask_of_file(encoded(deep, "PNG"), "m").tolist() == wanted
    blue = np.zeros((1, 2, 3), np.uint8)
    blue[0, 1] = 0, 0, 1  # luma 0.114, which is 0 in 8 bits
    assert mask_of_file(encoded(Image.fromarray(blue), "PNG"), "m").tolist() == [[False, True]]
    alpha = Image.fromarray(np.full((1, 2, 4), (0, 0, 0, 255), np.uint8))
    assert mask_of_file(encoded(alpha, "PNG"), "m").tolist() == [[False, False]]


def test_the_noise_of_a_jpeg_mask_is_no_defect() -> None:
    values = np.zeros((32, 32), np.uint8)
    values[10:19, 10:19] = 255
    data = encoded(Image.fromarray(values), "JPEG")
    assert (np.asarray(Image.open(io.BytesIO(data)))[values == 0] > 0).any()  # so it is noisy
    assert np.array_equal(mask_of_file(data, "m"), values > 0)


def test_a_mask_that_cannot_be_read_is_named() -> None:
    with pytest.raises(BurnishError, match=re.escape("gt/a.png")):
        mask_of_file(b"not an image", "gt/a.png")


def test_a_mask_that_is_still_being_copied_is_named() -> None:
    whole = encoded(Image.linear_gradient("L").rotate(30), "PNG")
    half = whole[: len(whole) // 2]
    with pytest.raises(BurnishError, match=r"gt/a\.png.* do not match their check sum"):
        mask_of_file(half + bytes(len(whole) - len(half)), "gt/a.png")
