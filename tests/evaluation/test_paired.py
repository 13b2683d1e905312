"""The paired difference against a slow loop that draws whole parts and asks scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from burnish.evaluation import intervals
from burnish.evaluation.paired import auroc_difference
from burnish.evaluation.record import Evaluation
from burnish.evaluation.rows import ImageRow


def record(evaluation: Evaluation, scores: np.ndarray, parts: int = 16) -> Evaluation:
    """An evaluation whose images are three of each part; every second part is defective."""
    rows = [
        ImageRow(
            path=f"{number}.png", kind="bad" if number // 3 % 2 else "good", score=float(score),
            is_defect=bool(number // 3 % 2), p_value=0.5, verdict="good", scale_scores=(),
            part=f"p{number // 3 % parts}",
        )
        for number, score in enumerate(scores)
    ]  # fmt: skip
    truth = [row.is_defect for row in rows]
    auroc = float(roc_auc_score(truth, scores)) if any(truth) else None
    return evaluation.model_copy(update={"images": tuple(rows), "image_auroc": auroc})


def test_difference_and_interval_are_those_of_a_slow_loop(
    evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 60)
    rng = np.random.default_rng(0)
    truth = np.arange(48) // 3 % 2
    shared = rng.normal(size=48) + truth
    first = record(evaluation, np.round(shared, 1))
    other = record(evaluation, np.round(shared + 0.4 * rng.normal(size=48) + 0.3 * truth, 1))
    difference, interval = auroc_difference(first, other)
    names = sorted({row.part for row in first.images})
    expected = []
    for drawn in np.concatenate(list(intervals.draw_parts(len(names), 1))):
        again = [
            [(row.score, row.is_defect) for name, count in zip(names, drawn, strict=True)
             for row in e.images if row.part == name for _ in range(count)]
            for e in (first, other)
        ]  # fmt: skip
        a, b = (roc_auc_score([t for _, t in x], [s for s, _ in x]) for x in again)
        expected.append(b - a)
    assert difference == pytest.approx(other.image_auroc - first.image_auroc)
    assert interval == pytest.approx(tuple(np.quantile(expected, [0.025, 0.975])))
    single = intervals.image_intervals(
        [r.score for r in first.images], [r.is_defect for r in first.images],
        [r.part for r in first.images], 0.0,
    )[0]["image_auroc"]  # fmt: skip
    assert interval[1] - interval[0] < 0.7 * (single[1] - single[0])  # what pairing is for


def test_a_model_against_itself_differs_by_nothing(evaluation: Evaluation) -> None:
    same = record(evaluation, np.random.default_rng(1).normal(size=48))
    assert auroc_difference(same, same) == (0.0, (0.0, 0.0))


def test_two_models_without_a_fault_are_not_shown_to_be_equal(evaluation: Evaluation) -> None:
    """AUROC is 1 in every resample: the parts are too few to show any difference."""
    truth = np.arange(48) // 3 % 2
    rng = np.random.default_rng(3)
    first, other = (record(evaluation, 9 * truth + rng.normal(size=48)) for _ in range(2))
    assert auroc_difference(first, other) == (0.0, None)


def test_other_images_few_parts_and_one_class_give_no_claim(evaluation: Evaluation) -> None:
    scores = np.random.default_rng(2).normal(size=48)
    full, fewer = record(evaluation, scores), record(evaluation, scores[:45])
    assert auroc_difference(full, fewer) == (None, None)
    assert auroc_difference(*[record(evaluation, scores[:24], parts=8)] * 2) == (0.0, None)
    assert auroc_difference(*[record(evaluation, scores[:3])] * 2) == (None, None)
    rows = (r if r.is_defect else r.model_copy(update={"part": "p0"}) for r in full.images)
    one_good = full.model_copy(update={"images": tuple(rows)})  # eight defective parts, one good
    assert auroc_difference(one_good, one_good) == (0.0, None)
