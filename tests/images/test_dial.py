"""The direction of parts without a longer axis is read off the rings round their middle."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy import ndimage

from burnish.images.dial import RINGS, TURNS, Dial, fit_of, read_rings
from burnish.images.dial_learning import FEWEST, learn_dial
from burnish.images.pose import Pose

Flange = Callable[..., NDArray[np.uint8]]
SIZE, MIDDLE, RADIUS = (128, 160), (80.3, 63.6), 50.0


def drawn(flange: Flange, angles: NDArray[np.float64], **given: Any) -> list[NDArray[np.uint8]]:
    return [
        flange(SIZE, MIDDLE, angle, RADIUS, seed=seed, **given) for seed, angle in enumerate(angles)
    ]


def learn(images: list[NDArray[np.uint8]]) -> Dial | None:
    pose = Pose(*MIDDLE, (1.0, 0.0))
    return learn_dial(images, [pose] * len(images), RADIUS)


def errors(dial: Dial, flange: Flange, symmetry: int = 1, **given: Any) -> NDArray[np.float64]:
    """Degrees beside the usual difference of what is read and how the parts were drawn."""
    angles = np.random.default_rng(1).uniform(-np.pi, np.pi, 60)
    found = [dial.along(image, *MIDDLE) for image in drawn(flange, angles, **given)]
    assert np.hypot(*np.transpose(found)) == pytest.approx(np.ones(60), abs=1e-6)
    off = (np.array([complex(*one) for one in found]) * np.exp(-1j * angles)) ** symmetry
    return np.degrees(np.abs(np.angle(off / off.mean()))) / symmetry


@pytest.fixture(scope="module")
def angles() -> NDArray[np.float64]:
    return np.random.default_rng(0).uniform(-np.pi, np.pi, 24)


@pytest.fixture(scope="module")
def dial(flange: Flange, angles: NDArray[np.float64]) -> Dial:
    found = learn(drawn(flange, angles))
    assert found is not None
    return found


def test_rings_are_read_where_they_lie(flange: Flange) -> None:
    image = flange(SIZE, MIDDLE, 0.4, RADIUS)
    found = read_rings(image, *MIDDLE, RADIUS)
    expected = np.empty((RINGS, TURNS))
    for ring, turn in np.ndindex(RINGS, TURNS):
        radius, angle = RADIUS * (ring + 1) / RINGS, 2 * np.pi * turn / TURNS
        x, y = MIDDLE[0] + radius * np.cos(angle) - 0.5, MIDDLE[1] + radius * np.sin(angle) - 0.5
        expected[ring, turn] = ndimage.map_coordinates(image.astype(float), [[y], [x]], order=1)[0]
    np.testing.assert_allclose(found, expected / expected.mean(), atol=1e-4)


def test_the_fit_is_the_sum_of_products_with_the_turned_template() -> None:
    rng = np.random.default_rng(2)
    template, read = rng.integers(-127, 128, (RINGS, TURNS)), rng.random((3, RINGS, TURNS))
    expected = [
        [(one * np.roll(template, turn, axis=1)).sum() for turn in range(TURNS)] for one in read
    ]
    np.testing.assert_allclose(fit_of(read, template), expected, atol=1e-8)


def test_the_direction_is_right_to_a_fraction_of_a_step(dial: Dial, flange: Flange) -> None:
    """A step of the dial is 1.4 degrees."""
    assert errors(dial, flange).max() < 0.3


@pytest.mark.parametrize("given", [{"part": 90}, {"gradient": 0.3}, {"background": 60}])
def test_another_lamp_gives_the_same_direction(
    dial: Dial, flange: Flange, given: dict[str, float]
) -> None:
    assert errors(dial, flange, **given).max() < 0.5


@pytest.mark.parametrize("gradient", [0.2, 0.3])
def test_light_from_one_side_does_not_hold_parts_where_they_lie(
    flange: Flange, angles: NDArray[np.float64], gradient: float
) -> None:
    """One hole of five is a little larger: nothing else tells the five turns apart."""
    given: dict[str, Any] = {"gradient": gradient, "holes": (0.25, 0.22, 0.22, 0.22, 0.22)}
    found = learn(drawn(flange, angles, **given))
    assert found is not None
    assert errors(found, flange, **given).max() < 0.5


@pytest.mark.parametrize("holes", [(0.12,) * 2, (0.15,) * 6])
def test_parts_alike_at_several_turns_lie_at_one_of_them(
    flange: Flange, angles: NDArray[np.float64], holes: tuple[float, ...]
) -> None:
    found = learn(drawn(flange, angles, holes=holes))
    assert found is not None
    assert errors(found, flange, symmetry=len(holes), holes=holes).max() < 0.5


def test_a_black_picture_has_a_direction_too(dial: Dial) -> None:
    assert np.isfinite(dial.along(np.zeros(SIZE, dtype=np.uint8), *MIDDLE)).all()


def test_it_survives_json(dial: Dial) -> None:
    assert Dial.model_validate_json(dial.model_dump_json()) == dial


@pytest.mark.parametrize(
    "change",
    [
        {"reach": 0},
        {"reach": 1e30},
        {"reach": "NaN"},
        {"template": []},
        {"template": [[0] * TURNS] * (RINGS - 1)},
        {"template": [[0] * (TURNS - 1)] * RINGS},
        {"template": [[128] * TURNS] * RINGS},
        {"more": 1},
    ],
)
def test_what_is_no_dial_is_refused(dial: Dial, change: dict[str, Any]) -> None:
    text = json.dumps(json.loads(dial.model_dump_json()) | change)
    with pytest.raises(ValidationError):
        Dial.model_validate_json(text)


def test_too_few_parts_teach_none(flange: Flange, angles: NDArray[np.float64]) -> None:
    images = drawn(flange, angles)
    assert learn(images[:FEWEST]) is not None
    assert learn(images[: FEWEST - 1]) is None


@pytest.mark.parametrize("gradient", [0.0, 0.3])
def test_parts_that_lie_alike_teach_none(flange: Flange, gradient: float) -> None:
    assert learn(drawn(flange, np.full(16, 0.4), gradient=gradient)) is None
    assert learn([flange(SIZE, MIDDLE, 0.4, RADIUS)] * 16) is None  # the very same picture


@pytest.mark.parametrize("gradient", [0.0, 0.3])
def test_parts_that_look_alike_at_every_turn_teach_none(
    flange: Flange, angles: NDArray[np.float64], gradient: float
) -> None:
    assert learn(drawn(flange, angles, holes=(), gradient=gradient)) is None


def test_the_same_images_teach_the_same(
    dial: Dial, flange: Flange, angles: NDArray[np.float64]
) -> None:
    assert learn(drawn(flange, angles)) == dial
