"""Metrics against slow, obvious versions and against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score

from burnish.errors import BurnishError
from burnish.evaluation import metrics


def random_case(seed: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Both classes present; every other case full of ties."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 40))
    scores = rng.normal(size=count) * 10.0 ** rng.integers(-6, 7)
    if seed % 2:
        scores = rng.integers(0, 4, count).astype(float)
    defect = rng.random(count) < rng.uniform(0.1, 0.9)
    defect[:2] = (True, False)
    return scores, defect


def auroc_by_pairs(scores: NDArray[np.float64], defect: NDArray[np.bool_]) -> float:
    """Share of (defective, good) pairs in the right order, ties one half."""
    won = [1.0 if bad > good else 0.5 if bad == good else 0.0
           for bad in scores[defect] for good in scores[~defect]]  # fmt: skip
    return sum(won) / len(won)


def f1_by_counting(called: NDArray[np.bool_], defect: NDArray[np.bool_]) -> float:
    right = int((called & defect).sum())
    return 2 * right / (int(called.sum()) + int(defect.sum()))


@pytest.mark.parametrize("seed", range(40))
def test_auroc_is_the_share_of_pairs_in_order(seed: int) -> None:
    scores, defect = random_case(seed)
    assert metrics.image_auroc(scores, defect) == pytest.approx(auroc_by_pairs(scores, defect))


@pytest.mark.parametrize("seed", range(40))
def test_best_f1_is_the_best_of_every_threshold(seed: int) -> None:
    scores, defect = random_case(seed)
    cuts = np.unique(scores)
    tried = [-np.inf, *cuts, *((cuts[1:] + cuts[:-1]) / 2)]
    expected = max(f1_by_counting(scores > cut, defect) for cut in tried)
    best = metrics.best_f1(scores, defect)
    assert best is not None
    f1, threshold = best
    assert f1 == pytest.approx(expected, abs=1e-12)
    assert f1_by_counting(scores > threshold, defect) == f1
    highest = max(cut for cut in tried if f1_by_counting(scores > cut, defect) > expected - 1e-12)
    assert (scores > threshold).sum() == (scores > highest).sum()


@pytest.mark.parametrize("seed", range(40))
def test_confusion_agrees_with_scikit_learn(seed: int) -> None:
    scores, defect = random_case(seed)
    threshold = float(np.random.default_rng(seed).choice(scores))
    called = scores > threshold
    counts = metrics.confusion_at(scores, defect, threshold)
    assert counts.f1 == pytest.approx(f1_score(defect, called))
    assert counts.recall == pytest.approx(recall_score(defect, called))
    if called.any():
        assert counts.precision == pytest.approx(precision_score(defect, called))
    assert counts.false_alarm_rate == pytest.approx(called[~defect].mean())
    assert counts.escape_rate == pytest.approx((~called[defect]).mean())
    assert counts.caught + counts.missed + counts.false_alarms + counts.passed == len(scores)
    everything = np.ones_like(defect)
    assert metrics.all_positive_f1(defect) == pytest.approx(f1_score(defect, everything))
    expected = average_precision_score(defect, scores)
    assert metrics.average_precision(scores, defect) == pytest.approx(expected)


def test_a_score_at_the_threshold_is_good() -> None:
    counts = metrics.confusion_at([1.0, 1.0, 1.0 + 1e-12], [True, False, True], 1.0)
    assert (counts.caught, counts.missed, counts.false_alarms, counts.passed) == (1, 1, 0, 1)


def test_scores_are_taken_raw() -> None:
    """Negative, huge and minute differences all count: nothing is clamped or rescaled."""
    defect = [False, False, True, True]
    assert metrics.image_auroc([-5e300, 1e300, 1.0000000001e300, 5e300], defect) == 1.0
    assert metrics.image_auroc([-1e-300, -2e-300, 0.0, 3e-300], defect) == 1.0
    best = metrics.best_f1([-5e300, 1e300, 1.0000000001e300, 5e300], defect)
    assert best is not None
    assert best[0] == 1.0


@pytest.mark.parametrize("low", [1.0, math.nextafter(1.0, 2)])  # the mean is rounded to even
def test_best_threshold_between_neighbouring_floats(low: float) -> None:
    high = math.nextafter(low, 2)
    assert metrics.best_f1([low, high], [False, True]) == (1.0, low)


def test_a_rate_that_is_a_whole_number_of_images_allows_as_many() -> None:
    """29 % of 100 are 29, though 0.29 * 100 is below it in floating point."""
    ((threshold, counts),) = metrics.escapes_at([*range(100), 200], [False] * 100 + [True], [0.29])
    assert counts.false_alarms == 29
    assert threshold == 70


def test_all_scores_equal_calls_everything_defective() -> None:
    best = metrics.best_f1([2.0, 2.0, 2.0], [True, False, False])
    assert best is not None
    assert best[0] == metrics.all_positive_f1([True, False, False]) == 0.5
    assert best[1] < 2.0
    assert metrics.image_auroc([2.0, 2.0, 2.0], [True, False, False]) == 0.5


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_scores_that_are_not_finite_are_an_error(bad: float) -> None:
    scores, defect = [1.0, bad, 3.0], [True, False, True]
    for function in (metrics.image_auroc, metrics.average_precision, metrics.best_f1,
                     metrics.roc_points):  # fmt: skip
        with pytest.raises(BurnishError, match=r"1 of 3 scores .* number 1"):
            function(scores, defect)
    with pytest.raises(BurnishError, match="not finite"):
        metrics.confusion_at(scores, defect, 2.0)


def test_without_defects_what_needs_them_is_none() -> None:
    scores, defect = [1.0, 2.0, 3.0], [False, False, False]
    counts = metrics.confusion_at(scores, defect, 2.5)
    assert (counts.f1, counts.recall, counts.escape_rate) == (None, None, None)
    assert counts.false_alarm_rate == pytest.approx(1 / 3)
    assert counts.precision == 0.0
    assert metrics.image_auroc(scores, defect) is None
    assert metrics.average_precision(scores, defect) is None
    assert metrics.best_f1(scores, defect) is None
    assert metrics.all_positive_f1(defect) is None
    assert metrics.roc_points(scores, defect) is None


def test_without_good_images_what_needs_them_is_none() -> None:
    scores, defect = [1.0, 2.0], [True, True]
    counts = metrics.confusion_at(scores, defect, 5.0)
    assert counts.false_alarm_rate is None
    assert counts.precision is None
    assert counts.f1 == 0.0  # nothing caught is a real nought
    assert metrics.image_auroc(scores, defect) is None
    assert metrics.average_precision(scores, defect) is None


def test_mismatched_lengths_are_a_programming_error() -> None:
    with pytest.raises(ValueError, match=r"must both be \(N,\)"):
        metrics.image_auroc([1.0, 2.0], [True])
