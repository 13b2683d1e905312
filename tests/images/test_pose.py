"""Where a part lies and how it is turned, as drawn and as scikit-image measures it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from scipy.stats import skew
from skimage.filters import threshold_otsu
from skimage.measure import regionprops
from skimage.morphology import opening

from burnish.images.pose import find_pose, silhouette

ANGLES = [0.0, 0.3, 0.8, np.pi / 2, 1.9, np.pi, -0.7, -2.8]


@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize(("background", "part"), [(205, 90), (25, 140)])
def test_place_and_axis_as_drawn(
    bolt: Callable[..., NDArray[np.uint8]], angle: float, background: float, part: float
) -> None:
    image = bolt((128, 160), (85, 62), angle, 90, background, part)
    pose = find_pose(image, turned=True)
    assert pose.found
    axis = np.array(pose.along)
    assert np.hypot(*axis) == pytest.approx(1, abs=1e-6)
    assert abs(axis @ [np.cos(angle), np.sin(angle)]) > np.cos(np.radians(1))
    # The head is heavy: the middle of the area lies towards it, on the axis.
    off = np.array([85 - pose.x, 62 - pose.y])
    along = off @ [np.cos(angle), np.sin(angle)]
    assert 5 < along < 20
    assert np.hypot(*off) == pytest.approx(abs(along), abs=0.1)


@pytest.mark.parametrize("angle", ANGLES)
def test_moments_as_scikit_image_has_them(
    bolt: Callable[..., NDArray[np.uint8]], angle: float
) -> None:
    image = bolt((128, 128), (60, 66), angle, 80)
    pose = find_pose(image, turned=True)
    expected = regionprops(silhouette(image).astype(np.uint8))[0]
    row, column = expected.centroid
    assert (pose.y - 0.5, pose.x - 0.5) == pytest.approx((row, column), abs=1e-4)
    # Its orientation is the angle between the rows' axis and the longer one.
    assert abs(
        pose.along[1] * np.cos(expected.orientation) + pose.along[0] * np.sin(expected.orientation)
    ) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("angle", ANGLES)
def test_features_tell_the_ends_apart(bolt: Callable[..., NDArray[np.uint8]], angle: float) -> None:
    pose = find_pose(bolt((128, 128), (64, 64), angle, 90), turned=True)
    forward = pose.along[0] * np.cos(angle) + pose.along[1] * np.sin(angle)
    skew, wider, _ = pose.features if forward > 0 else pose.reversed().features
    assert skew > 0.1, "the long shank lies ahead"
    assert wider < -0.5, "the head behind"
    assert pose.reversed().reversed() == pose


@pytest.mark.parametrize("turned_round", [False, True])
def test_features_are_skewness_width_and_correlation(
    bolt: Callable[..., NDArray[np.uint8]], turned_round: bool
) -> None:
    image = bolt((128, 128), (60, 66), 0.4, 90).astype(int)
    image -= np.where(image < 150, np.arange(128) // 4, 0)  # darker to the right
    image = np.clip(image, 0, 255).astype(np.uint8)
    pose = find_pose(image[::-1, ::-1] if turned_round else image, turned=True)
    image = image[::-1, ::-1] if turned_round else image
    rows, columns = np.nonzero(silhouette(image))
    x, y = columns + 0.5 - pose.x, rows + 0.5 - pose.y
    t, u = x * pose.along[0] + y * pose.along[1], y * pose.along[0] - x * pose.along[1]
    wider = (t * u**2).mean() / (t.std() * (u**2).mean())
    brighter = np.corrcoef(t, image[rows, columns])[0, 1]
    assert abs(brighter) > 0.2
    assert pose.features == pytest.approx((skew(t), wider, brighter), abs=1e-3)


@pytest.mark.parametrize("bright", [False, True])
def test_silhouette_against_scikit_image(bright: bool) -> None:
    """Tighter than Otsu's threshold, without whiskers and specks, and without holes."""
    rng = np.random.default_rng(0)
    image = np.full((80, 100), 200.0)
    image[18:62, 18:82] = 165 if bright else 125  # a shadow
    image[20:60, 20:80] = 60
    image[30:36, 40:50] = 220  # a bright flaw
    image[40, 80:95] = 60  # a whisker one pixel wide
    image[5, 5] = image[70, 90] = 60  # specks
    image = np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
    image = 255 - image if bright else image
    threshold = threshold_otsu(image)
    beyond = image > threshold if bright else image <= threshold
    tighter = threshold + 0.3 * (image[beyond].mean() - threshold)
    part = image > tighter if bright else image <= tighter
    expected = ndimage.binary_fill_holes(opening(part, np.ones((3, 3))))
    assert np.array_equal(silhouette(image), expected)
    drawn = np.zeros((80, 100), dtype=bool)
    drawn[20:60, 20:80] = True
    assert np.array_equal(expected, drawn)
    if not bright:
        assert beyond.sum() > drawn.sum() + 300  # with the shadow


def test_an_unturned_pose_has_the_same_place(bolt: Callable[..., NDArray[np.uint8]]) -> None:
    image = bolt((128, 128), (64, 64), 0.8, 90)
    pose, turned = find_pose(image, turned=False), find_pose(image, turned=True)
    assert pose.along == (1.0, 0.0)
    assert (pose.x, pose.y) == (turned.x, turned.y)
    assert set(pose.features) == {0.0}


@pytest.mark.parametrize(
    "image",
    [np.full((128, 128), 9, np.uint8), np.eye(128, dtype=np.uint8) * 200],
    ids=["flat", "a line a pixel wide"],
)
def test_without_a_part_the_pose_is_the_centre(image: NDArray[np.uint8]) -> None:
    pose = find_pose(image, turned=True)
    assert not pose.found
    assert (pose.x, pose.y, pose.along) == (64.0, 64.0, (1.0, 0.0))
