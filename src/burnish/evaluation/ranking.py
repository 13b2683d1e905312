"""Ranking metrics from counts: how many good and how many defective items have each score.

Shapes: `good`, `defect` are counts or weights >= 0, float (..., K), of K distinct scores in
ascending order; leading axes are separate cases (bootstrap resamples, say). Items of one score are
ties, passed or called defective together. A metric that is undefined for a case is NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.float64]


def auroc(good: Counts, defect: Counts) -> NDArray[np.float64]:
    """Chance that a defective item scores higher than a good one, ties counting half: (...)."""
    below = np.cumsum(good, axis=-1) - good
    won = (defect * (below + good / 2)).sum(axis=-1)
    return _ratio(won, good.sum(axis=-1) * defect.sum(axis=-1))


def auroc_error(good: Counts, defect: Counts) -> NDArray[np.float64]:
    """Bound of the error of `auroc` if items of different scores were counted as ties: (...)."""
    tied = (defect * good).sum(axis=-1)
    return _ratio(tied / 2, good.sum(axis=-1) * defect.sum(axis=-1))


def average_precision(good: Counts, defect: Counts) -> NDArray[np.float64]:
    """Precision averaged over the steps of recall (scikit-learn's definition): (...)."""
    caught, alarms = _at_least(defect), _at_least(good)
    precision = _ratio(caught, caught + alarms)
    steps = np.where(defect > 0, defect * precision, 0)
    both = (good.sum(axis=-1) > 0) & (defect.sum(axis=-1) > 0)
    return np.where(both, _ratio(steps.sum(axis=-1), defect.sum(axis=-1)), np.nan)


def best_f1(good: Counts, defect: Counts) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """The highest F1 of any threshold, and the index of the lowest score called defective: (...).

    Of equally good thresholds the highest.
    """
    caught, alarms = _at_least(defect), _at_least(good)
    total = defect.sum(axis=-1, keepdims=True)
    f1 = _ratio(2 * caught, caught + alarms + total)
    last = f1.shape[-1] - 1
    index = last - np.argmax(np.nan_to_num(f1[..., ::-1], nan=-1), axis=-1)
    best = np.take_along_axis(f1, index[..., None], axis=-1)[..., 0]
    return np.where(total[..., 0] > 0, best, np.nan), index


def area_up_to(false_positive: Counts, height: Counts, limit: float) -> NDArray[np.float64]:
    """Area under `height` against `false_positive` up to a rate `limit`, divided by it: (...).

    Args:
        false_positive: rates along all thresholds, ascending, (..., K), the last 1.
        height: in [0, 1], (..., K).
        limit: in (0, 1]; the curve is straight between its points and begins at (0, 0).
    """
    zero = np.zeros((*false_positive.shape[:-1], 1))
    x = np.concatenate([zero, false_positive], axis=-1)
    y = np.concatenate([zero, height], axis=-1)
    x0, x1, y0, y1 = x[..., :-1], x[..., 1:], y[..., :-1], y[..., 1:]
    end = np.minimum(x1, limit)
    width = np.clip(end - x0, 0, None)
    share = np.divide(width, x1 - x0, out=np.zeros_like(width), where=x1 > x0)
    area = (width * (y0 + (y0 + (y1 - y0) * share)) / 2).sum(axis=-1)
    return np.asarray(area / limit)


def aupro(good: Counts, overlap: Counts, limit: float) -> NDArray[np.float64]:
    """Area under the mean per-region overlap up to a false-positive rate, divided by it: (...).

    Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 2021: the share of each connected
    marked region that lies above the threshold, averaged over regions whatever their size, against
    the share of unmarked pixels above it.

    Args:
        good: unmarked pixels of each score.
        overlap: sum over regions of (marked pixels of each score / pixels of the region).
        limit: false-positive rate in (0, 1]; 0.3 by convention.
    """
    all_good, regions = good.sum(axis=-1, keepdims=True), overlap.sum(axis=-1, keepdims=True)
    rate = _ratio(_at_least(good), all_good)[..., ::-1]
    mean_overlap = _ratio(_at_least(overlap), regions)[..., ::-1]
    return area_up_to(rate, mean_overlap, limit)


def _at_least(counts: Counts) -> Counts:
    """Counts of items with this score or a higher one."""
    return np.cumsum(counts[..., ::-1], axis=-1)[..., ::-1]


def _ratio(part: Counts, whole: Counts) -> NDArray[np.float64]:
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    nothing = np.full(np.broadcast(part, whole).shape, np.nan)
    return np.divide(part, whole, out=nothing, where=whole > 0)
