"""Image-level metrics as pure functions of raw scores; by scikit-learn where it has them.

Everywhere: `scores` float (N,), larger is worse, never clamped or rescaled; `is_defect` bool (N,).
A metric that is undefined on the test set is None, not 0. NaN and infinite scores are an error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from burnish.errors import BurnishError


@dataclass(frozen=True)
class Confusion:
    """The confusion matrix at one threshold, and the rates computed from it."""

    caught: int
    missed: int
    false_alarms: int
    passed: int

    @property
    def defects(self) -> int:
        return self.caught + self.missed

    @property
    def good(self) -> int:
        return self.false_alarms + self.passed

    @property
    def precision(self) -> float | None:
        """Share of the images called defective that are; None when none is called so."""
        return _ratio(self.caught, self.caught + self.false_alarms)

    @property
    def recall(self) -> float | None:
        """Share of the defective images that are caught; None without defective images."""
        return _ratio(self.caught, self.defects)

    @property
    def escape_rate(self) -> float | None:
        """Share of the defective images that are missed; None without defective images."""
        return _ratio(self.missed, self.defects)

    @property
    def false_alarm_rate(self) -> float | None:
        """Share of the good images called defective; None without good images."""
        return _ratio(self.false_alarms, self.good)

    @property
    def f1(self) -> float | None:
        """2 TP / (2 TP + FP + FN); None without defective images."""
        if self.defects == 0:
            return None
        return _ratio(2 * self.caught, 2 * self.caught + self.false_alarms + self.missed)


def confusion_at(scores: ArrayLike, is_defect: ArrayLike, threshold: float) -> Confusion:
    """Counts at a threshold; an image is called defective when score > threshold, strictly.

    Raises:
        BurnishError: a score is not finite.
    """
    score, defect = _checked(scores, is_defect)
    called = score > threshold
    return Confusion(
        caught=int((called & defect).sum()),
        missed=int((~called & defect).sum()),
        false_alarms=int((called & ~defect).sum()),
        passed=int((~called & ~defect).sum()),
    )


def image_auroc(scores: ArrayLike, is_defect: ArrayLike) -> float | None:
    """Chance that a defective image scores higher than a good one, ties counting half.

    Returns:
        In [0, 1]; None when only one class is there.

    Raises:
        BurnishError: a score is not finite.
    """
    score, defect = _checked(scores, is_defect)
    return float(roc_auc_score(defect, score)) if _both_classes(defect) else None


def average_precision(scores: ArrayLike, is_defect: ArrayLike) -> float | None:
    """Precision averaged over recall steps (scikit-learn's definition, no interpolation).

    Returns:
        In [0, 1]; None when only one class is there.

    Raises:
        BurnishError: a score is not finite.
    """
    score, defect = _checked(scores, is_defect)
    return float(average_precision_score(defect, score)) if _both_classes(defect) else None


def best_f1(scores: ArrayLike, is_defect: ArrayLike) -> tuple[float, float] | None:
    """The highest F1 that any threshold reaches on these very images, and that threshold.

    Chosen on test data: an upper bound for display, never a setting. Of equally good thresholds
    the highest; it lies midway between two scores, so that score > threshold is clear of ties.

    Returns:
        (F1, threshold); None without defective images.

    Raises:
        BurnishError: a score is not finite.
    """
    score, defect = _checked(scores, is_defect)
    if not defect.any():
        return None
    precision, recall, cuts = precision_recall_curve(defect, score)
    f1 = 2 * precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)
    best = int(np.flatnonzero(f1 >= f1.max() - 1e-12)[-1])
    cut = float(cuts[best])  # scikit-learn calls score >= cut defective, burnish score > threshold
    lower = score[score < cut]
    threshold = _between(float(lower.max()), cut) if lower.size else math.nextafter(cut, -math.inf)
    reached = confusion_at(score, defect, threshold).f1
    assert reached is not None
    return reached, threshold


def all_positive_f1(is_defect: ArrayLike) -> float | None:
    """F1 of calling every image defective, the floor an F1 must be read against.

    Returns:
        2 p / (1 + p) for a share p of defective images; None without defective images.
    """
    defect = np.asarray(is_defect, dtype=bool)
    if not defect.any():
        return None
    return 2 * int(defect.sum()) / (defect.size + int(defect.sum()))


def roc_points(
    scores: ArrayLike, is_defect: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """False-alarm rate and recall along all thresholds, (0, 0) to (1, 1); None for one class."""
    score, defect = _checked(scores, is_defect)
    if not _both_classes(defect):
        return None
    false_alarm_rate, recall, _ = roc_curve(defect, score)
    return false_alarm_rate, recall


def escapes_at(
    scores: ArrayLike, is_defect: ArrayLike, rates: Sequence[float]
) -> list[tuple[float, Confusion]]:
    """The lowest threshold with no more than each rate of false alarms on these very images.

    Chosen on test data, as a point of the ROC curve is: for display only, never a setting.

    Args:
        rates: false-alarm rates in [0, 1).

    Returns:
        Threshold and counts, one a rate; empty when only one class is there.

    Raises:
        BurnishError: a score is not finite.
    """
    score, defect = _checked(scores, is_defect)
    if not _both_classes(defect):
        return []
    good = np.sort(score[~defect])
    found = []
    for rate in rates:
        allowed = math.floor(rate * len(good) + 1e-9)
        threshold = float(good[len(good) - 1 - allowed])
        found.append((threshold, confusion_at(score, defect, threshold)))
    return found


def _checked(
    scores: ArrayLike, is_defect: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    score = np.asarray(scores, dtype=np.float64)
    defect = np.asarray(is_defect, dtype=bool)
    if score.ndim != 1 or score.shape != defect.shape:
        raise ValueError(f"scores {score.shape} and is_defect {defect.shape} must both be (N,)")
    bad = np.flatnonzero(~np.isfinite(score))
    if bad.size:
        raise BurnishError(
            f"{bad.size} of {score.size} scores are not finite (the first: number {bad[0]}, "
            f"{score[bad[0]]}): no metric holds for them. Inspect that image alone; if it is "
            "fine, the model is broken and has to be trained again"
        )
    return score, defect


def _both_classes(defect: NDArray[np.bool_]) -> bool:
    return bool(defect.any()) and not bool(defect.all())


def _between(low: float, high: float) -> float:
    """A number in [low, high), midway if floating point allows."""
    middle = low / 2 + high / 2
    return middle if low <= middle < high else low


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
