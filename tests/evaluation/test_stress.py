"""Changes of test images against scipy, Pillow and numbers worked out by hand."""

from __future__ import annotations

import io
from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import transform

from burnish.evaluation import stress
from burnish.evaluation.stress import CHANGES, changes_of, choose_images, equalise


def part(channels: int = 1, size: tuple[int, int] = (200, 240)) -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    shape = size if channels == 1 else (*size, 3)
    return rng.integers(60, 180, shape, dtype=np.uint8)


@pytest.mark.parametrize("change", CHANGES, ids=lambda c: f"{c.name} {c.strength}")
@pytest.mark.parametrize("channels", [1, 3])
def test_every_change_keeps_shape_and_type_and_changes_something(
    change: stress.Change, channels: int
) -> None:
    image = part(channels)
    before = image.copy()
    changed = change.apply(image, 3)
    assert (changed.shape, changed.dtype) == (image.shape, np.uint8)
    np.testing.assert_array_equal(image, before)  # the image itself is left alone
    assert (changed != image).mean() > 0.2
    np.testing.assert_array_equal(change.apply(image, 3), changed)  # the same again


def test_brightness_and_contrast_by_hand() -> None:
    image = np.array([[10, 100], [200, 250]], np.uint8)
    assert stress.brightness(image, 1.25).tolist() == [[12, 125], [250, 255]]
    assert stress.brightness(image, 0.75).tolist() == [[8, 75], [150, 188]]
    # mean 140
    assert stress.contrast(image, 0.5).tolist() == [[75, 120], [170, 195]]
    assert stress.contrast(image, 2.0).tolist() == [[0, 60], [255, 255]]


def test_light_of_another_colour_by_hand() -> None:
    image = np.array([[[100, 100, 100]], [[40, 80, 120]]], np.uint8)
    # 105, 100, 95 and 42, 80, 114 have a mean of 536 / 6, where the image has 540 / 6.
    assert stress.tint(image, 0.05).tolist() == [[[106, 101, 96]], [[42, 81, 115]]]
    assert stress.tint(np.zeros((2, 2, 3), np.uint8), -0.05).max() == 0


@pytest.mark.parametrize("change", stress.OF_COLOUR, ids=lambda c: c.strength)
def test_light_of_another_colour_keeps_brightness_shape_and_type(change: stress.Change) -> None:
    image = part(3)
    changed = change.apply(image, 3)
    assert (changed.shape, changed.dtype) == (image.shape, np.uint8)
    assert changed.mean() == pytest.approx(image.mean(), abs=0.05)
    ratios = changed.mean(axis=(0, 1)) / image.mean(axis=(0, 1))
    assert ratios[0] / ratios[2] == pytest.approx(
        (1 + change.amount) / (1 - change.amount), abs=0.005
    )
    assert changes_of(1) == CHANGES
    assert changes_of(3) == (*CHANGES, *stress.OF_COLOUR)


def test_noise_has_its_deviation_and_its_seed() -> None:
    flat = np.full((200, 200, 3), 128, np.uint8)
    noisy = stress.noise(flat, 10, 1).astype(float) - 128
    assert noisy.std() == pytest.approx(10, abs=0.2)
    assert noisy.mean() == pytest.approx(0, abs=0.2)
    np.testing.assert_array_equal(noisy[..., 0], noisy[..., 2])
    assert (stress.noise(flat, 10, 2) != stress.noise(flat, 10, 1)).mean() > 0.8


def test_jpeg_is_pillows() -> None:
    image = part()
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=30)
    np.testing.assert_array_equal(stress.jpeg(image, 30), np.asarray(Image.open(stream)))


def test_shift_moves_right_and_down_and_mirrors_what_is_bare() -> None:
    image = part(size=(40, 60))
    moved = stress.shift(image, 0.05)  # 2 px
    np.testing.assert_array_equal(moved[2:, 2:], image[:-2, :-2])
    np.testing.assert_array_equal(moved[:2, 2:], image[1::-1, :-2])


def test_rotation_is_scikit_images_inside() -> None:
    rows, columns = np.mgrid[:61, :61]
    image = (128 + 60 * np.sin(rows / 6) * np.cos(columns / 9)).astype(np.uint8)
    turned = stress.rotation(image, 5)
    expected = 255 * transform.rotate(image, 5, order=1, mode="reflect")
    np.testing.assert_allclose(turned[8:-8, 8:-8], expected[8:-8, 8:-8], atol=1)


def test_equalise_brings_to_the_wanted_mean_and_deviation() -> None:
    image = part()
    done = equalise(image, float(image.mean()), float(image.std()), 110, 15)
    assert done.mean() == pytest.approx(110, abs=0.1)
    assert done.std() == pytest.approx(15, abs=0.1)
    flat = np.full((5, 5), 40, np.uint8)
    assert (equalise(flat, 40, 0.0, 90, 15) == 90).all()
    order = np.argsort(image, axis=None, kind="stable")
    assert (np.diff(done.ravel()[order].astype(int)) >= 0).all()


def test_images_are_drawn_evenly_over_classes_and_kinds() -> None:
    kinds = ["good"] * 50 + ["a"] * 40 + ["b"] * 40 + ["c"] * 2
    chosen = choose_images(kinds, 20)
    assert chosen == sorted(set(chosen))
    assert Counter(kinds[i] for i in chosen) == {"good": 10, "a": 4, "b": 4, "c": 2}
    assert choose_images(kinds, 20) == chosen
    assert choose_images(kinds, 10_000) == list(range(132))
    assert choose_images(kinds, 0) == []
    few_good = ["good"] * 2 + ["a"] * 30
    assert Counter(few_good[i] for i in choose_images(few_good, 12)) == {"good": 2, "a": 10}
    few_bad = ["good"] * 30 + ["a"] * 2
    assert Counter(few_bad[i] for i in choose_images(few_bad, 12)) == {"good": 10, "a": 2}
    assert choose_images(["good"] * 3, 2) == choose_images(["good"] * 3, 2)
    assert len(choose_images(["a"] * 9, 5)) == 5
