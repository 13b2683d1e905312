"""Metrics from counts, on random, tied and degenerate inputs: scikit-learn and slow loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from burnish.evaluation import metrics, ranking

# Few distinct values make ties the rule; single class, single thing and huge spans are drawn too.
SCORES = st.one_of(st.integers(-3, 3).map(float), st.floats(-1e12, 1e12, allow_subnormal=False))
THINGS = st.lists(st.tuples(SCORES, st.booleans()), min_size=1, max_size=40)


def split(things: list[tuple[float, bool]]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    return np.array([s for s, _ in things]), np.array([d for _, d in things])


def counts(
    scores: NDArray[np.float64], defect: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    distinct = np.unique(scores)
    good, bad = (
        np.array([(scores[chosen] == v).sum() for v in distinct], float)
        for chosen in (~defect, defect)
    )
    return distinct, good, bad


@settings(max_examples=150, deadline=None, derandomize=True)
@given(THINGS)
def test_auroc_and_average_precision_are_scikit_learns(things: list[tuple[float, bool]]) -> None:
    scores, defect = split(things)
    _, good, bad = counts(scores, defect)
    area, precision = ranking.auroc(good, bad), ranking.average_precision(good, bad)
    if defect.all() or not defect.any():
        assert np.isnan(area)
        assert np.isnan(precision)
        assert metrics.image_auroc(scores, defect) is None
        assert metrics.average_precision(scores, defect) is None
    else:
        assert area == pytest.approx(roc_auc_score(defect, scores), abs=1e-12)
        assert precision == pytest.approx(average_precision_score(defect, scores), abs=1e-12)
        assert metrics.image_auroc(scores, defect) == pytest.approx(area, abs=1e-12)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(THINGS)
def test_best_f1_is_the_best_of_all_thresholds(things: list[tuple[float, bool]]) -> None:
    scores, defect = split(things)
    distinct, good, bad = counts(scores, defect)
    f1, index = ranking.best_f1(good, bad)
    if not defect.any():
        assert np.isnan(f1)
        return
    tried = [
        2 * (defect & (scores >= v)).sum() / ((scores >= v).sum() + defect.sum()) for v in distinct
    ]
    assert f1 == pytest.approx(max(tried), abs=1e-12)
    assert int(index) == max(i for i, one in enumerate(tried) if one == max(tried))
    assert metrics.best_f1(scores, defect)[0] == pytest.approx(max(tried))  # type: ignore[index]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(THINGS, st.sampled_from([0.0, 0.01, 0.05, 0.5, 0.999]))
def test_escapes_at_a_rate_are_the_fewest_that_keep_to_it(
    things: list[tuple[float, bool]], rate: float
) -> None:
    scores, defect = split(things)
    found = metrics.escapes_at(scores, defect, [rate])
    if defect.all() or not defect.any():
        assert found == []
        return
    threshold, got = found[0]
    assert got.false_alarm_rate is not None
    assert got.false_alarm_rate <= rate
    allowed = [
        cut for cut in (-np.inf, *np.unique(scores)) if (scores[~defect] > cut).mean() <= rate
    ]
    assert got.missed == min((scores[defect] <= cut).sum() for cut in allowed)
    assert got == metrics.confusion_at(scores, defect, threshold)


def test_cases_side_by_side_are_the_cases_alone() -> None:
    rng = np.random.default_rng(0)
    good, bad = rng.integers(0, 4, (2, 9, 15)).astype(float)
    good[3], bad[4] = 0, 0  # one class only: NaN there, and there alone
    for together in (ranking.auroc, ranking.average_precision, ranking.auroc_error):
        alone = [together(g, b) for g, b in zip(good, bad, strict=True)]
        np.testing.assert_array_equal(together(good, bad), alone)
        assert np.flatnonzero(np.isnan(alone)).tolist() == [3, 4]
    f1, index = ranking.best_f1(good, bad)
    for row in range(9):
        one, place = ranking.best_f1(good[row], bad[row])
        np.testing.assert_array_equal([f1[row], index[row]], [one, place])


def test_error_bound_is_reached_by_the_best_and_worst_order_inside_ties() -> None:
    good, bad = np.array([3.0, 5, 2]), np.array([1.0, 4, 6])
    area, error = ranking.auroc(good, bad), ranking.auroc_error(good, bad)
    for bad_first, sign in ((True, -1), (False, 1)):
        scores, defect = [], []
        for level in range(3):
            order = [True, False] if bad_first else [False, True]
            for place, is_bad in enumerate(order):
                count = int((bad if is_bad else good)[level])
                scores += [level + 0.1 * place] * count
                defect += [is_bad] * count
        assert roc_auc_score(defect, scores) == pytest.approx(area + sign * error)


def test_area_up_to_a_limit_by_hand() -> None:
    rate = np.array([0.1, 0.2, 0.6, 1.0])
    height = np.array([0.5, 0.8, 1.0, 1.0])
    # trapezoids to .1 and .2, then a straight line to (.6, 1): .85 at .3
    expected = (0.1 * 0.25 + 0.1 * 0.65 + 0.1 * 0.825) / 0.3
    assert ranking.area_up_to(rate, height, 0.3) == pytest.approx(expected)
    jump = ranking.area_up_to(np.array([0.0, 0.0, 1.0]), np.array([0.4, 1.0, 1.0]), 0.3)
    assert jump == pytest.approx(1.0)  # all regions found before the first false positive
