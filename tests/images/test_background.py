"""The part before a plain background: Otsu as scikit-image has it, parts found, nothing claimed."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from burnish.images.background import find_part, otsu
from burnish.images.synthetic.surfaces import SURFACES, make_surface


def scene(
    size: tuple[int, int], background: float, part: float, angle: float
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A turned bar before a plain background with noise, and where it is."""
    y, x = np.mgrid[: size[0], : size[1]]
    u, v = x - size[1] / 2, y - size[0] / 2
    side = min(size)
    along = u * np.cos(angle) + v * np.sin(angle)
    across = v * np.cos(angle) - u * np.sin(angle)
    bar = (np.abs(along) < 0.4 * side) & (np.abs(across) < 0.12 * side)
    rng = np.random.default_rng(0)
    image = np.where(bar, part, background) + rng.normal(0, 6, size)
    return np.clip(image, 0, 255).astype(np.uint8), bar


@pytest.mark.parametrize("seed", range(6))
def test_otsu_is_that_of_scikit_image(seed: int) -> None:
    rng = np.random.default_rng(seed)
    low, high = rng.integers(0, 100), rng.integers(120, 255)
    image = np.concatenate([rng.normal(low, 12, 3000), rng.normal(high, 20, 1000 + 500 * seed)])
    image = np.clip(image, 0, 255).astype(np.uint8)
    threshold, separability = otsu(np.bincount(image, minlength=256))
    assert threshold == threshold_otsu(image)
    dark, bright = image[image <= threshold], image[image > threshold]
    within = dark.size * dark.var() + bright.size * bright.var()
    assert separability == pytest.approx(1 - within / (image.size * image.var()), abs=1e-9)


def test_otsu_of_one_value() -> None:
    assert otsu(np.bincount([7, 7, 7], minlength=256))[1] == 0.0


@pytest.mark.parametrize("angle", [0.0, 0.5, 1.2, 2.5])
@pytest.mark.parametrize(
    ("background", "part"), [(210, 90), (20, 120)], ids=["bright behind", "dark behind"]
)
@pytest.mark.parametrize("size", [(256, 256), (200, 400), (900, 700)])
def test_a_part_is_found(
    size: tuple[int, int], background: float, part: float, angle: float
) -> None:
    image, bar = scene(size, background, part, angle)
    for picture in (image, np.dstack([image] * 3)):
        found = find_part(picture)
        assert found is not None
        assert found.shape == size
        assert (found & ~bar).sum() <= 0.02 * bar.sum(), "only the part"
        assert (found & bar).sum() >= 0.85 * bar.sum(), "nearly all of it"


def test_holes_and_marks_on_the_part_are_part() -> None:
    image, bar = scene((256, 256), 210, 90, 0.3)
    mark = ndimage.binary_dilation(np.eye(256, dtype=np.bool_)) & ndimage.binary_erosion(
        bar, iterations=12
    )
    image[mark] = 210
    found = find_part(image)
    assert found is not None
    assert mark.sum() > 50
    assert found[mark].all()


@pytest.mark.parametrize("kind", SURFACES)
def test_a_surface_that_fills_the_picture_has_no_background(kind: str) -> None:
    for seed in range(4):
        assert find_part(make_surface(kind, (160, 128), np.random.default_rng(seed))) is None


@pytest.mark.parametrize(
    "image",
    [
        np.full((64, 64), 9, np.uint8),
        np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8),
        np.tile(np.repeat(np.array([30, 220], np.uint8), 32), (64, 1)),  # half and half
        np.tile(np.linspace(0, 255, 128).astype(np.uint8), (128, 1)),  # uneven light
    ],
    ids=["flat", "noise", "halves", "ramp"],
)
def test_nothing_is_claimed_without_a_plain_background(image: NDArray[np.uint8]) -> None:
    assert find_part(image) is None


def test_a_speck_is_no_part() -> None:
    image = np.full((128, 128), 200, np.uint8)
    image[60:66, 60:66] = 20
    assert find_part(image) is None
