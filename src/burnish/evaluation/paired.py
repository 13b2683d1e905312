"""The difference of two models on the same images, with a paired interval.

Both models share what is hard about the images, so the difference is known far better than the two
figures' own intervals suggest. Both are resampled together, by part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from burnish.evaluation import ranking
from burnish.evaluation.intervals import MIN_PARTS, bootstrap
from burnish.evaluation.record import Evaluation, Interval

Weighted = Callable[[NDArray[np.int64]], NDArray[np.float64]]


def auroc_difference(first: Evaluation, other: Evaluation) -> tuple[float | None, Interval | None]:
    """Image AUROC of `other` minus that of `first`, and its 95 % paired bootstrap by part.

    None if a figure is missing or the images are not the same; no interval with fewer than
    `MIN_PARTS` parts of a class, nor if every resample gives the same though the scores differ: two
    models with AUROC 1 are not shown to be equally good.
    """
    if first.image_auroc is None or other.image_auroc is None:
        return None, None
    ours = {row.path: row for row in first.images}
    theirs = {row.path: row for row in other.images}
    if ours.keys() != theirs.keys():
        return None, None
    paths = sorted(ours)
    parts, part_of = np.unique([ours[path].part for path in paths], return_inverse=True)
    defect = np.array([ours[path].is_defect for path in paths])
    difference = other.image_auroc - first.image_auroc
    if min(len(np.unique(part_of[chosen])) for chosen in (defect, ~defect)) < MIN_PARTS:
        return difference, None
    scores = [[rows[path].score for path in paths] for rows in (ours, theirs)]
    pair = [_weighted(each, defect, part_of) for each in scores]

    def figures(drawn: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        return {"difference": pair[1](drawn) - pair[0](drawn)}

    interval = bootstrap(figures, len(parts), 6 * len(paths)).get("difference")
    if interval is not None and interval[0] == interval[1] and scores[0] != scores[1]:
        return difference, None
    return difference, interval


def _weighted(
    scores: Sequence[float], defect: NDArray[np.bool_], part_of: NDArray[np.intp]
) -> Weighted:
    """How often each part is drawn (B, parts) -> AUROC (B,)."""
    score = np.asarray(scores, np.float64)
    order = np.argsort(score, kind="stable")
    bad, part = defect[order], part_of[order]
    first = np.flatnonzero(np.r_[True, np.diff(score[order]) > 0])  # of each distinct score

    def auroc(drawn: NDArray[np.int64]) -> NDArray[np.float64]:
        weight = drawn[:, part].astype(np.float64)
        good_at, bad_at = (np.add.reduceat(w, first, axis=1) for w in (weight * ~bad, weight * bad))
        return ranking.auroc(good_at, bad_at)

    return auroc
