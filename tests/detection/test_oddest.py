"""The held-out part that alone sets the threshold."""

from __future__ import annotations

import numpy as np
import pytest

from burnish.detection.calibration import above, conformal_threshold
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
def test_no_part_stands_apart(scores: list[float], parts: str, threshold: float) -> None:
    assert found(scores, parts, threshold) is None


@pytest.mark.parametrize(("count", "rate"), [(99, 0.01), (199, 0.01), (298, 0.01), (20, 0.1)])
def test_of_many_parts_one_alone_sets_no_threshold(count: int, rate: float) -> None:
    """From 199 parts on the second highest score is the threshold for 1 %."""
    scores = [5 + number / count for number in range(count - 1)] + [60.0]
    names = [f"{number}.png" for number in range(count)]
    threshold = above(conformal_threshold(scores, rate))
    alone = conformal_threshold(scores, rate) == 60
    assert alone == (count == 99)
    assert (find_oddest(names, names, scores, threshold) is not None) == alone


def test_of_five_parts_one_may_be_odd_and_of_four_none() -> None:
    assert found([1, 2, 3, 10, 3, 2, 1, 5], "abcdeeee") == Oddest("3.png", 10, 5)
    assert found([1, 2, 3, 10, 3, 2, 1, 5], "abcdaaaa") is None


def test_it_stands_apart_by_more_than_twice_the_distance_of_the_next() -> None:
    """From the median, 2."""
    assert found([2, 2, 2, 10, 2, 2, 2, 6]) is None
    assert found([2, 2, 2, 10.1, 2, 2, 2, 6], threshold=10.1) == Oddest("3.png", 10.1, 6)


def test_images_of_one_part_are_no_company() -> None:
    """Three images of one odd part score alike: the next part counts."""
    assert found([1, 2, 3, 10, 9, 9.5, 1, 4], "abcdddef") == Oddest("3.png", 10, 4)


def test_the_image_is_the_one_whose_score_sets_the_threshold() -> None:
    """Of several of one part that need not be the highest: each counts for a third."""
    scores = [1, 2, 3, 10, 9, 9.5, 1, 4]
    named = found(scores, "abcdddef", threshold=above(9.5))
    assert named == Oddest("5.png", 9.5, 4)
    assert "one held-out image alone, 5.png (9.5;" in str(named)


@pytest.mark.parametrize(("parts", "normal", "skewed"), [(10, 0.21, 0.35), (20, 0.07, 0.19)])
def test_how_often_one_of_ordinary_parts_is_named(parts: int, normal: float, skewed: float) -> None:
    """docs/calibration.md says that it may be chance."""
    rng, names = np.random.default_rng(0), [str(number) for number in range(parts)]
    for draw, expected in ((rng.standard_normal, normal), (rng.standard_exponential, skewed)):
        scores = draw((1500, parts)).tolist()
        named = [find_oddest(names, names, one, above(max(one))) is not None for one in scores]
        assert np.mean(named) == pytest.approx(expected, abs=0.04)
