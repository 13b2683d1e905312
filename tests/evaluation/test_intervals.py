"""Intervals: exact ones against tails of the distribution, bootstrap against a slow loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom, binomtest, norm
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from burnish.detection.calibration import conformal_threshold
from burnish.evaluation import intervals


def test_rate_interval_holds_the_rates_that_fit_the_count() -> None:
    interval = intervals.rate_interval(3 / 40, 40)
    assert interval is not None
    low, high = interval
    assert binom.sf(2, 40, low) == pytest.approx(0.025)  # 3 or more at the lower end
    assert binom.cdf(3, 40, high) == pytest.approx(0.025)  # 3 or fewer at the upper end
    assert interval == pytest.approx(tuple(binomtest(3, 40).proportion_ci(0.95, "exact")))
    assert intervals.rate_interval(0, 0) is None
    for rate in (0, 1):
        expected = tuple(binomtest(10 * rate, 10).proportion_ci(0.95, "exact"))
        assert intervals.rate_interval(rate, 10) == pytest.approx(expected)


def test_images_of_one_part_are_worth_less_the_more_alike_they_are_called() -> None:
    parts = [f"part {i // 5}" for i in range(100)]  # 20 parts of 5 images

    def worth(called: list[bool]) -> float:
        return intervals.independent_images(called, parts)

    copies = [i // 5 in (3, 8, 9, 15) for i in range(100)]
    freedom = (1.984217 / 2.093024) ** 2  # quantiles of t for 99 and 19, from a table
    assert worth(copies) == pytest.approx(19 * freedom, rel=1e-4)
    spread = [i % 5 == 0 for i in range(100)]  # one of each: no part differs from another
    assert worth(spread) == 100
    assert 20 < worth([i in (1, 2, 40, 41, 77, 90) for i in range(100)]) < 100
    assert worth([False] * 100) == worth([True] * 100) == 20  # nothing to tell it by
    # Parts more alike than chance would have them make no more images than there are.
    pairs = [False, True] * 20 + [True, True, False, False]
    assert intervals.independent_images(pairs, [i // 2 for i in range(44)]) == 44
    assert intervals.independent_images([True, False, False], ["a", "b", "c"]) == 3
    assert intervals.independent_images([True, False, False], ["a", "a", "a"]) == 1
    assert intervals.independent_images([], []) == 0


@pytest.mark.parametrize(("parts", "images", "alike"), [(20, 5, 0.6), (12, 10, 0.2), (30, 8, 0.6)])
def test_intervals_of_rates_hold_the_truth_where_parts_differ(
    parts: int, images: int, alike: float
) -> None:
    """False alarms drawn by part (beta-binomial, intraclass correlation `alike`)."""
    rng, rate, draws = np.random.default_rng(0), 0.05, 600
    names = np.repeat(np.arange(parts), images).astype(str).tolist()
    odds = (1 - alike) / alike
    by_part = by_image = 0

    def holds(got: float, total: float) -> bool:
        interval = intervals.rate_interval(got, total)
        assert interval is not None
        return interval[0] <= rate <= interval[1]

    for _ in range(draws):
        own = np.repeat(rng.beta(rate * odds, (1 - rate) * odds, parts), images)
        called = rng.random(len(own)) < own
        got = float(called.mean())
        by_part += holds(got, intervals.independent_images(called.tolist(), names))
        by_image += holds(got, len(called))
    assert by_part / draws > 0.88
    assert by_image / draws < 0.85


def test_chance_of_calibration_agrees_with_drawing() -> None:
    """Draw held-out and test scores alike, calibrate for real, count the false alarms."""
    rng = np.random.default_rng(0)
    held_out, total, rate, draws = 30, 25, 0.1, 20_000
    alarms = np.empty(draws)
    for i in range(draws):
        threshold = conformal_threshold(rng.random(held_out).tolist(), rate)
        alarms[i] = (rng.random(total) > threshold).sum()
    for count in (0, 2, 4, 7):
        seen = (alarms >= count).mean()
        expected = intervals.chance_of_calibration(count / total, total, held_out, rate)
        assert seen == pytest.approx(expected, abs=0.015)


@pytest.mark.parametrize(
    ("held_out", "rate", "k"), [(99, 0.01, 99), (20, 0.01, 20), (24, 0.44, 14), (3, 0.99, 1)]
)
def test_one_good_image_lies_above_the_kth_of_those_held_out(
    held_out: int, rate: float, k: int
) -> None:
    """It has as good a chance to be at any of the n + 1 places among them."""
    assert conformal_threshold(list(range(1, held_out + 1)), rate) == k
    chance = intervals.chance_of_calibration(1.0, 1, held_out, rate)
    assert chance == pytest.approx((held_out + 1 - k) / (held_out + 1))


def parts_case(seed: int, parts: int = 12) -> tuple[NDArray[np.float64], NDArray[np.bool_], list]:
    """Parts of one to six images, scores alike within a part; both classes; ties."""
    rng = np.random.default_rng(seed)
    scores, defect, names = [], [], []
    for part in range(parts):
        images = int(rng.integers(1, 7))
        middle = rng.normal()
        scores += list(np.round(middle + 0.5 * rng.normal(size=images) + (part % 2), 1))
        defect += [part % 2 == 1] * images
        names += [f"part {part}"] * images
    return np.array(scores), np.array(defect), names


@pytest.mark.parametrize("seed", range(3))
def test_bootstrap_is_the_slow_loop_over_parts(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same draws of parts; images copied out one by one, figures by scikit-learn."""
    monkeypatch.setattr(intervals, "RESAMPLES", 60)
    scores, defect, names = parts_case(seed)
    threshold = float(np.median(scores))
    distinct = sorted(set(names))
    members = [np.flatnonzero(np.array(names) == name) for name in distinct]
    drawn = np.concatenate(list(intervals.draw_parts(len(distinct), 1)))
    assert drawn.shape == (60, len(distinct))
    figures: dict[str, list[float]] = {"image_auroc": [], "average_precision": [], "f1": []}
    for counts in drawn:
        chosen = np.concatenate([np.tile(m, c) for m, c in zip(members, counts, strict=True)])
        s, d = scores[chosen], defect[chosen]
        if d.any() and not d.all():
            figures["image_auroc"].append(roc_auc_score(d, s))
            figures["average_precision"].append(average_precision_score(d, s))
        if d.any():
            figures["f1"].append(f1_score(d, s > threshold))
    found, missing = intervals.image_intervals(scores, defect, names, threshold)
    assert missing == {}
    for name, values in figures.items():
        expected = np.quantile(values, [0.025, 0.975])
        assert found[name] == pytest.approx(tuple(expected), abs=1e-12), name


@pytest.mark.parametrize("caught", [0, 4, 10])
def test_escapes_have_the_interval_of_a_rate(caught: int) -> None:
    """Of ten defective parts; none missed does not say that none is ever missed."""
    scores = np.r_[np.zeros(6), np.where(np.arange(10) < caught, 2.0, 0.5)]
    defect = np.arange(16) >= 6
    found, missing = intervals.image_intervals(scores, defect, list(map(str, range(16))), 1.0)
    exact = binomtest(10 - caught, 10).proportion_ci(method="exact")
    assert found["escape_rate"] == pytest.approx((exact.low, exact.high))
    assert found["recall"] == pytest.approx((1 - exact.high, 1 - exact.low))
    if caught == 10:
        assert found["escape_rate"][1] == pytest.approx(0.308, abs=1e-3)
    assert "image_auroc" not in found  # 1 in every resample: that is no interval
    assert "every resample gives the same" in missing["image_auroc"]


def test_escapes_of_parts_with_several_images_count_by_part() -> None:
    """Ten defective parts, three images each; of four parts all are caught, of the others none."""
    defect = np.arange(48) >= 18
    parts = [str(i // 3) for i in range(48)]
    scores = np.where((np.arange(48) >= 36), 2.0, 0.5)
    found, _ = intervals.image_intervals(scores, defect, parts, 1.0)
    freedom = (2.045230 / 2.262157) ** 2  # quantiles of t for 29 and 9, from a table
    expected = intervals.rate_interval(0.4, 9 * freedom)
    assert found["recall"] == pytest.approx(expected, abs=1e-5)
    exact = binomtest(12, 30).proportion_ci(method="exact")
    assert found["recall"][0] < exact.low - 0.1
    assert found["recall"][1] > exact.high + 0.1


def test_resamples_that_have_no_figure_are_left_out() -> None:
    """Those without any image of a class, say."""

    def figures(drawn: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        return {"first": np.where(drawn[:, 0] == 0, np.nan, drawn[:, 0] + drawn[:, 1] / 10)}

    drawn = np.concatenate(list(intervals.draw_parts(5, 1)))
    assert drawn.shape == (1000, 5)
    values = [row[0] + row[1] / 10 for row in drawn if row[0] > 0]
    assert 300 < len(values) < 900
    found = intervals.bootstrap(figures, 5, 1)
    assert found["first"] == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])))


def test_draws_do_not_depend_on_the_block() -> None:
    whole = np.concatenate(list(intervals.draw_parts(7, 1, seed=3)))
    pieces = list(intervals.draw_parts(7, intervals.BLOCK // 10, seed=3))
    assert len(pieces) == intervals.RESAMPLES // 10
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_copies_of_a_part_do_not_make_an_interval_narrower() -> None:
    """Eight equal images of each part tell no more than one: an interval by image would shrink."""
    rng = np.random.default_rng(0)
    scores, defect = rng.normal(size=24) + np.arange(24) % 2, np.arange(24) % 2 == 1
    names = [str(i) for i in range(24)]
    once, _ = intervals.image_intervals(scores, defect, names, 0.5)
    many = (np.repeat(x, 8) for x in (scores, defect))
    copied, _ = intervals.image_intervals(*many, list(np.repeat(names, 8)), 0.5)
    assert copied["image_auroc"] == pytest.approx(once["image_auroc"])
    by_image, _ = intervals.image_intervals(
        np.repeat(scores, 8), np.repeat(defect, 8), [str(i) for i in range(192)], 0.5
    )
    low, high = by_image["image_auroc"]
    assert high - low < 0.6 * (once["image_auroc"][1] - once["image_auroc"][0])


@pytest.mark.slow
def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Parts drawn from a known law with AUROC Phi(1 / sqrt 2)."""
    truth = 0.5 * (1 + math.erf(1 / 2))
    hits = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        scores = np.concatenate([rng.normal(size=40), rng.normal(1, 1, size=40)])
        defect = np.arange(80) >= 40
        found, _ = intervals.image_intervals(scores, defect, [str(i) for i in range(80)], 0.5)
        low, high = found["image_auroc"]
        hits += low <= truth <= high
    assert 88 <= hits <= 99


@pytest.mark.slow
def test_with_few_defects_the_interval_is_too_narrow_as_the_page_says() -> None:
    """10 defective and 50 good images, AUROC .9: docs/evaluation.md names what it covers."""
    rng, truth, hits, too_high, draws = np.random.default_rng(1), 0.9, 0, 0, 250
    apart = 2**0.5 * norm.ppf(truth)
    for _ in range(draws):
        scores = np.concatenate([rng.normal(size=50), rng.normal(apart, 1, size=10)])
        defect = np.arange(60) >= 50
        found, _ = intervals.image_intervals(scores, defect, [str(i) for i in range(60)], 0.5)
        low, high = found["image_auroc"]
        hits += low <= truth <= high
        too_high += truth < low
    assert 0.83 <= hits / draws <= 0.91
    assert too_high >= 0.8 * (draws - hits)


def test_too_few_parts_of_a_class_give_a_reason_not_an_interval() -> None:
    scores = np.arange(20.0)
    defect = np.arange(20) >= 10
    names = [f"good {i}" for i in range(10)] + [f"bad {i % 4}" for i in range(10)]
    found, missing = intervals.image_intervals(scores, defect, names, 9.5)
    assert found == {}
    assert "the defective test images show 4 parts; at least 5" in missing["escape_rate"]
    only_bad = [f"bad {i}" for i in range(10)]
    found, missing = intervals.image_intervals(scores[10:], defect[10:], only_bad, 12.5)
    assert set(found) == {"f1", "recall", "escape_rate"}
    assert "the good test images show 0 parts" in missing["image_auroc"]
    names = [f"good {i % 4}" for i in range(10)] + only_bad
    found, missing = intervals.image_intervals(scores, defect, names, 9.5)
    assert set(found) == {"recall", "escape_rate"}
    assert "the good test images show 4 parts; at least 5" in missing["f1"]
