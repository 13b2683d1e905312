"""Where a part lies and how it is turned, as drawn and as scikit-image measures it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.measure import regionprops

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


def test_unturned(bolt: Callable[..., NDArray[np.uint8]]) -> None:
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
def test_nothing_found(image: NDArray[np.uint8]) -> None:
    pose = find_pose(image, turned=True)
    assert not pose.found
    assert (pose.x, pose.y, pose.along) == (64.0, 64.0, (1.0, 0.0))
