"""The held-out part that alone sets the threshold."""

from __future__ import annotations

import pytest

from burnish.detection.oddest import Oddest, find_oddest

NAMES = [f"{number}.png" for number in range(8)]


def found(scores: list[float], parts: str = "abcdefgh", threshold: float = 10.0) -> Oddest | None:
    return find_oddest(NAMES, list(parts), scores, threshold)


def test_one_that_stands_apart() -> None:
    assert found([1, 2, 3, 10, 3, 2, 1, 5]) == Oddest("3.png", 10, 5)  # the median is 2.5


@pytest.mark.parametrize(
    ("scores", "parts", "threshold"),
    [
        ([1, 2, 3, 10, 3, 2, 1, 7], "abcdefgh", 10),  # the next is near
        ([1, 2, 3, 10, 3, 2, 1, 9], "abcdefga", 10),
        ([1, 2, 3, 10, 3, 2, 1, 5], "aaaabbbb", 10),  # two parts: which is the odd one?
        ([1, 2, 3, 10, 3, 2, 1, 5], "abcdefgh", 5),  # it does not set the threshold
        ([4] * 8, "abcdefgh", 4),
    ],
)
def test_none_that_does(scores: list[float], parts: str, threshold: float) -> None:
    assert found(scores, parts, threshold) is None


def test_images_of_one_part_are_no_company() -> None:
    """Three images of one odd part score alike: the next part counts."""
    assert found([1, 2, 3, 10, 9, 9.5, 1, 4], "abcdddef") == Oddest("3.png", 10, 4)
