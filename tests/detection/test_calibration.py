"""Threshold, p-value and heat-map range: promises kept over many draws."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from pydantic import ValidationError

from burnish.detection.calibration import (
    Calibration,
    conformal_p_value,
    conformal_threshold,
    needed_parts,
    part_weights,
    promised_rate,
    ranked,
)

Draw = Callable[[np.random.Generator, int], np.ndarray]

DRAWS: dict[str, Draw] = {
    "normal": lambda rng, n: rng.standard_normal(n),
    "heavy tail": lambda rng, n: rng.standard_cauchy(n),
    "ties": lambda rng, n: rng.integers(0, 12, n).astype(float),
}


def calibration(**changes: object) -> Calibration:
    values = {
        "mu": (0.1, 0.2), "sigma": (0.01, 0.02), "scores": (1.0, 2.0, 3.0, 4.0),
        "peaks": (2.0, 3.0, 5.0, 9.0), "heat_low": 1.0, "false_alarms": 0.5,
    }  # fmt: skip
    return Calibration.model_validate(values | changes)


@pytest.mark.parametrize("kind", list(DRAWS))
@pytest.mark.parametrize(
    ("n", "alpha"), [(19, 0.05), (20, 0.1), (37, 0.1), (99, 0.01), (150, 0.02), (9, 0.5)]
)
def test_threshold_keeps_its_promise_and_is_not_uselessly_loose(
    kind: str, n: int, alpha: float
) -> None:
    rng, draws = np.random.default_rng(n), 8000
    alarms = 0
    for scores in DRAWS[kind](rng, draws * (n + 1)).reshape(draws, n + 1):
        alarms += scores[0] > conformal_threshold(scores[1:].tolist(), alpha)
    rate, slack = alarms / draws, 4 * math.sqrt(alpha * (1 - alpha) / draws)
    assert rate <= alpha + slack
    if kind != "ties":  # with a continuous score at most 1/(n+1) below what was asked for
        assert rate >= alpha - 1 / (n + 1) - slack


@pytest.mark.parametrize(("n", "alpha"), [(5, 0.01), (10, 0.05), (98, 0.01)])
def test_too_few_images_give_the_largest_score(n: int, alpha: float) -> None:
    rng = np.random.default_rng(0)
    alarms, draws = 0, 8000
    for scores in rng.standard_normal((draws, n + 1)):
        threshold = conformal_threshold(scores[1:].tolist(), alpha)
        assert threshold == scores[1:].max()
        alarms += scores[0] > threshold
    promised = promised_rate(n, alpha)
    assert promised == 1 / (n + 1) > alpha
    assert alarms / draws == pytest.approx(promised, abs=4 * math.sqrt(promised / draws))


@pytest.mark.parametrize(
    ("n", "alpha", "often", "times"),
    [(10, 1 / 11, 0.39, 2.3), (99, 0.01, 0.37, 2.3), (99, 0.05, 0.44, 1.6), (199, 0.05, 0.46, 1.4)],
)
def test_how_far_one_model_may_lie_above_its_promise(
    n: int, alpha: float, often: float, times: float
) -> None:
    """docs/calibration.md names these: how often it does, and the times that one in ten exceeds."""
    draws = np.random.default_rng(n).random((4000, n))  # its rate is 1 less the threshold
    rates = np.array([1 - conformal_threshold(scores.tolist(), alpha) for scores in draws])
    assert rates.mean() == pytest.approx(alpha, rel=0.05)
    assert (rates > alpha).mean() == pytest.approx(often, abs=0.03)
    assert np.quantile(rates, 0.9) / alpha == pytest.approx(times, abs=0.1)


@pytest.mark.parametrize(
    ("n", "alpha", "k"),
    [(99, 0.01, 99), (100, 0.01, 100), (199, 0.01, 198), (9, 0.1, 9), (19, 0.1, 18), (4, 0.5, 3),
     (9, 0.3, 7), (3, 0.99, 1), (149, 0.18, 123), (24, 0.44, 14)],
)  # fmt: skip
def test_threshold_is_the_kth_smallest(n: int, alpha: float, k: int) -> None:
    scores = np.random.default_rng(0).permutation(np.arange(1, n + 1)).tolist()  # any order
    assert conformal_threshold(scores, alpha) == k


@pytest.mark.parametrize(
    "alpha", [0.001, 0.01, 0.03, 0.05, 0.1, 0.2, 0.3, 1 / 3, 0.5, 0.07, 1 / 49]
)
def test_needed_parts_is_the_smallest_number_that_can_promise(alpha: float) -> None:
    n = needed_parts(alpha)
    assert promised_rate(n, alpha) == alpha
    assert n == 1 or promised_rate(n - 1, alpha) > alpha


@pytest.mark.parametrize("alpha", [1e-10, 1e-30, 1e-320, 5e-324])
def test_a_rate_that_nobody_has_parts_for_has_a_figure_all_the_same(alpha: float) -> None:
    """1 / 1e-320 is infinite."""
    assert needed_parts(alpha) == 1_000_000_000
    told = calibration(false_alarms=alpha).promise()
    assert f"not the wanted {100 * alpha:.2g} %: that needs at least 1,000,000,000 (" in told


@pytest.mark.parametrize("kind", list(DRAWS))
@pytest.mark.parametrize("n", [9, 50])
def test_p_value_is_valid_and_uniform_without_ties(kind: str, n: int) -> None:
    rng, draws = np.random.default_rng(n), 6000
    samples = DRAWS[kind](rng, draws * (n + 1)).reshape(draws, n + 1)
    p = np.array([conformal_p_value(sorted(s[1:].tolist()), float(s[0])) for s in samples])
    assert p.min() >= 1 / (n + 1)
    assert p.max() <= 1
    for a in (0.1, 0.2, 0.5, 0.8):
        slack = 4 * math.sqrt(a * (1 - a) / draws)
        assert (p <= a).mean() <= a + slack
        if kind != "ties":
            assert (p <= a + 1e-9).mean() >= math.floor(a * (n + 1) + 1e-9) / (n + 1) - slack


def test_p_value_by_counting() -> None:
    scores = [1.0, 2.0, 2.0, 2.0, 5.0]
    for score in (0, 1, 1.5, 2, 3, 5, 6):
        expected = (1 + sum(s >= score for s in scores)) / 6
        assert conformal_p_value(scores, score) == expected


def test_verdict_and_p_value_agree_when_there_are_enough_images() -> None:
    rng = np.random.default_rng(0)
    for alpha in (0.02, 0.05, 0.1, 0.25):
        made = calibration(
            scores=tuple(sorted(rng.integers(0, 60, 120).astype(float))), false_alarms=alpha
        )
        for score in np.arange(-1, 62, 0.5):  # none within the margin, .06 at most
            assert (score > made.threshold) == (made.p_value(float(score)) <= alpha)


def test_threshold_lies_a_margin_above_the_held_out_score() -> None:
    """Whose last digits another runtime may round up."""
    for scores in ((1.0, 2.0, 20.0), (-20.0, -3.0, -2.0), (0.0, 0.0, 0.0)):
        made = calibration(scores=scores, false_alarms=0.25)
        highest = scores[-1]
        assert made.threshold - highest == pytest.approx(0.001 * abs(highest))


def test_promise_says_what_can_be_kept() -> None:
    few = calibration(scores=tuple(map(float, range(20))), false_alarms=0.01).promise()
    assert "20 held-out" in few
    assert "4.8 %" in few  # 1 / 21
    assert "99" in few
    enough = calibration(scores=tuple(map(float, range(99))), false_alarms=0.01).promise()
    assert "on average at most 1 %" in enough  # of one model in three it is more
    assert "99 held-out" in enough


def test_the_promise_counts_parts_where_several_images_show_one() -> None:
    scores = tuple(map(float, range(120)))
    few = calibration(scores=scores, false_alarms=0.01, parts=5).promise()
    assert "120 held-out good images of 5 parts" in few
    assert "17 %" in few  # 1 / 6
    assert "99 (more good parts" in few
    single = calibration(scores=scores, false_alarms=0.01, parts=120).promise()
    assert single == calibration(scores=scores, false_alarms=0.01).promise()
    assert "at most 1 % of good parts will" in single
    weights = (0.5,) * 240
    pairs = calibration(
        scores=tuple(map(float, range(240))), false_alarms=0.01, parts=120,
        score_weights=weights, peak_weights=None,
    )  # fmt: skip
    assert "at most 1 % of images of new good parts will" in pairs.promise()


def test_no_more_parts_are_believed_than_there_are_images() -> None:
    claimed = calibration(false_alarms=0.01, parts=1000)
    assert not claimed.keeps_promise
    assert claimed.promise() == calibration(false_alarms=0.01).promise()


def parts_of_many_sizes(rng: np.random.Generator, count: int) -> list[np.ndarray]:
    """Scores of `count` parts that differ more than the images of one: one image, or thirty."""
    return [rng.normal() + 0.3 * rng.normal(size=rng.choice([1, 1, 30])) for _ in range(count)]


@pytest.mark.parametrize(("count", "alpha"), [(12, 0.2), (20, 0.1), (10, 0.05)])
def test_the_promise_is_kept_for_parts_of_several_images(count: int, alpha: float) -> None:
    """A new part, any image of it. Counting images breaks the promise: parts with many decide."""
    rng, draws = np.random.default_rng(count), 4000
    by_part, by_image = 0.0, 0.0
    for _ in range(draws):
        *held, new = parts_of_many_sizes(rng, count + 1)
        scores = np.concatenate(held).tolist()
        weights = part_weights([n for n, part in enumerate(held) for _ in part])
        by_part += (new > conformal_threshold(scores, alpha, weights)).mean()
        by_image += (new > conformal_threshold(scores, alpha)).mean()
    promised = promised_rate(count, alpha)
    slack = 4 * math.sqrt(promised * (1 - promised) / draws)
    assert by_part / draws <= promised + slack
    assert by_image / draws > by_part / draws + slack
    if promised == alpha:
        assert by_image / draws > alpha + slack


@pytest.mark.parametrize("alpha", [0.02, 0.1, 0.25, 0.5, 0.9])
def test_weighted_threshold_by_its_definition(alpha: float) -> None:
    """The smallest score that so many parts lie at or below, each by the share of its images."""
    rng = np.random.default_rng(3)
    for count in (1, 2, 9, 30):
        parts = [np.round(part, 1) for part in parts_of_many_sizes(rng, count)]  # with ties
        scores = np.concatenate(parts)
        names = [n for n, part in enumerate(parts) for _ in part]
        enough = [
            s for s in scores
            if sum((part <= s).mean() for part in parts) >= (count + 1) * (1 - alpha) - 1e-9
        ]  # fmt: skip
        expected = min(enough, default=scores.max())
        order = rng.permutation(len(scores))
        weights = part_weights([names[i] for i in order])
        assert conformal_threshold(scores[order].tolist(), alpha, weights) == expected


@pytest.mark.parametrize(
    ("images", "parts", "alpha", "k"), [(3, 39, 0.05, 38), (6, 19, 0.1, 18), (6, 99, 0.02, 98)]
)
def test_shares_that_are_no_whole_numbers_lose_no_part(
    images: int, parts: int, alpha: float, k: int
) -> None:
    """Thirds do not add up to whole parts in floating point: the k-th part is the threshold."""
    scores = [float(part) for part in range(1, parts + 1) for _ in range(images)]
    weights = part_weights([str(score) for score in scores])
    assert conformal_threshold(scores, alpha, weights) == k


def test_weighted_p_value_by_counting_parts() -> None:
    parts = {"a": [1.0, 4.0, 4.0, 6.0], "b": [4.0], "c": [2.0, 9.0]}
    names = [name for name, scores in parts.items() for _ in scores]
    ascending, weights = ranked([s for p in parts.values() for s in p], part_weights(names))
    assert ascending == (1.0, 2.0, 4.0, 4.0, 4.0, 6.0, 9.0)
    for score in (0, 1, 1.5, 4, 5, 9, 10):
        above = sum(np.mean([s >= score for s in scores]) for scores in parts.values())
        assert conformal_p_value(ascending, score, weights) == pytest.approx((1 + above) / 4)


def test_weights_of_single_images_change_nothing() -> None:
    rng = np.random.default_rng(1)
    scores = rng.normal(size=40).round(1).tolist()
    weights = part_weights(list(range(40)))
    assert weights == [1.0] * 40
    for alpha in (0.01, 0.05, 0.1, 0.3, 0.5, 0.99):
        assert conformal_threshold(scores, alpha, weights) == conformal_threshold(scores, alpha)
        assert conformal_p_value(sorted(scores), 0.3, weights) == conformal_p_value(
            sorted(scores), 0.3
        )


def test_a_calibration_with_weights_uses_them_and_wants_one_for_each_score() -> None:
    made = calibration(
        scores=(1.0, 2.0, 3.0, 4.0), score_weights=(0.5, 0.5, 1.0, 1.0), parts=3,
        peaks=(2.0, 3.0, 5.0, 9.0), peak_weights=(1.0, 1.0, 0.5, 0.5),
    )  # fmt: skip
    assert made.threshold == pytest.approx(1.001 * 3.0)  # 2 of 3 parts: ceil(4 * .5)
    assert made.pixel_threshold == 3.0
    assert made.p_value(3.5) == (1 + 1) / 4
    assert made.p_value(1.5) == (1 + 2.5) / 4
    for wrong in ((0.5, 0.5, 1.0), (0.5, 0.5, 1.0, 0.0), (0.5, 0.5, 1.0, 2.0)):
        with pytest.raises(ValidationError, match="weights are not one"):
            calibration(score_weights=wrong)
        with pytest.raises(ValidationError, match="weights are not one"):
            calibration(peak_weights=wrong)
    for parts in (None, 2, 4):
        with pytest.raises(ValidationError, match=r"add up to 3.00, not to the parts"):
            calibration(score_weights=(0.5, 0.5, 1.0, 1.0), parts=parts)


def test_heat_range_puts_the_pixel_threshold_in_the_middle() -> None:
    made = calibration()
    assert made.pixel_threshold == 5  # the 3rd of 4 peaks: ceil(5 * 0.5)
    low, high = made.heat_range
    assert low == 1
    assert (low + high) / 2 == made.pixel_threshold


@pytest.mark.parametrize("low", [0.0, 9.0, 30.0, 1e9])
def test_heat_range_is_never_empty(low: float) -> None:
    cold, hot = calibration(heat_low=low, peaks=(low, low)).heat_range
    assert hot > cold == low


def test_round_trip_through_json_keeps_every_bit() -> None:
    rng = np.random.default_rng(0)
    made = calibration(
        mu=tuple(rng.random(2)), sigma=tuple(rng.random(2)), scores=tuple(sorted(rng.random(30))),
        peaks=tuple(sorted(rng.random(30))), heat_low=0.1 + 0.2,
    )  # fmt: skip
    again = Calibration.model_validate_json(made.model_dump_json())
    assert again == made
    assert again.threshold == made.threshold
    assert again.heat_range == made.heat_range


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"scores": (2.0, 1.0)}, "ascending"),
        ({"peaks": (2.0, 1.0)}, "ascending"),
        ({"scores": ()}, "at least 1"),
        ({"mu": (0.1,)}, "differ in length"),
        ({"scores": (1.0, math.nan)}, "finite"),
        ({"heat_low": math.inf}, "finite"),
        ({"false_alarms": 0.0}, "greater than 0"),
        ({"false_alarms": 1.0}, "less than 1"),
        ({"thresold": 1.0}, "not permitted"),
    ],
)
def test_nonsense_is_refused(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        calibration(**changes)


def test_it_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        calibration().heat_low = 3.0
