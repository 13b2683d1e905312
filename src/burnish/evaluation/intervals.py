"""Confidence intervals by part: of rates, and by bootstrap.

Images of one part are not independent, so whole parts are drawn with replacement, never images
(the cluster bootstrap; Davison & Hinkley 1997, 3.8). The interval is the central 95 % of 1000
resamples. If every resample gives the same value (AUROC 1) there is none, as the parts are too few
to show any variation. Rates (escapes, false alarms) get the Clopper-Pearson interval for the
effective number of independent images: no escape among ten does not prove that nothing escapes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta, betabinom, t

from burnish.evaluation import ranking

LEVEL = 0.95
RESAMPLES = 1000
MIN_PARTS = 5  # least parts of a class: fewer say next to nothing about how parts differ
BLOCK = 4_000_000  # weights held at once


def independent_images(called: Sequence[bool], parts: Sequence[Hashable]) -> float:
    """The effective number of independent images, for the rate of those called defective.

    Images of one part are called alike: ten of one part say little more than one. How little is
    estimated from the variance between parts (Korn & Graubard 1998, with their degrees of freedom).
    If none or all are called it cannot be estimated, and the images of a part count as copies.

    Args:
        called: whether each image was called defective.
        parts: the part of each image.

    Returns:
        At most the number of images, and exactly that if every part has one; 0 for no images.
    """
    _, part_of = np.unique(np.asarray(parts), return_inverse=True)
    sizes = np.bincount(part_of)
    images, count, clusters = len(called), int(np.sum(called)), len(sizes)
    if images == clusters:
        return float(images)
    if count in (0, images) or clusters < 2:
        return float(images**2 / np.square(sizes).sum())
    rate = count / images
    apart = np.bincount(part_of, np.asarray(called, np.float64)) - rate * sizes
    variance = clusters / (clusters - 1) * np.square(apart).sum() / images**2
    if variance == 0:
        return float(images)
    middle = (1 + LEVEL) / 2
    freedom = (t.ppf(middle, images - 1) / t.ppf(middle, clusters - 1)) ** 2
    return float(min(images, rate * (1 - rate) / variance * freedom))


def rate_interval(rate: float, total: float) -> tuple[float, float] | None:
    """95 % Clopper-Pearson interval of a `rate` seen in `total` independent images; None for 0."""
    if total == 0:
        return None
    count, tail = rate * total, (1 - LEVEL) / 2
    low = beta.ppf(tail, count, total - count + 1) if count > 0 else 0.0
    high = beta.ppf(1 - tail, count + 1, total - count) if rate < 1 else 1.0
    return float(low), float(high)


def chance_of_calibration(got: float, total: float, held_out: int, rate: float) -> float:
    """Chance of at least as many false alarms when test and held-out good images are alike.

    The threshold is itself drawn: with the k-th smallest of n held-out scores, the false-alarm
    rate is Beta(n + 1 - k, k), so the count is beta-binomial (Vovk 2012, conditional validity).
    A small chance says that the good test images differ from the ones calibrated on.

    Args:
        got: share of `total` independent good test images.
    """
    k = min(max(math.ceil((held_out + 1) * (1 - rate) - 1e-9), 1), held_out)
    return float(betabinom.sf(round(got * total) - 1, round(total), held_out + 1 - k, k))


def draw_parts(parts: int, per_draw: int, seed: int = 0) -> Iterator[NDArray[np.int64]]:
    """How often each part is drawn, in blocks (B, parts) that together are `RESAMPLES` rows.

    Args:
        per_draw: numbers that the caller holds per resample, which limits the size of a block.
        seed: the draws depend on it alone, not on the size of blocks.
    """
    rng = np.random.default_rng(seed)
    block = max(1, min(RESAMPLES, BLOCK // max(per_draw, parts, 1)))
    for start in range(0, RESAMPLES, block):
        rows = min(block, RESAMPLES - start)
        yield rng.multinomial(parts, np.full(parts, 1 / parts), size=rows)


def image_intervals(
    scores: ArrayLike, is_defect: ArrayLike, parts: Sequence[str], threshold: float
) -> tuple[dict[str, tuple[float, float]], dict[str, str]]:
    """95 % intervals by part of image_auroc, average_precision, f1, recall and escape_rate.

    Args:
        scores: finite, (N,).
        is_defect: bool (N,).
        parts: of each image.
        threshold: images scoring higher are called defective.

    Returns:
        The intervals by name, and why those that are missing are.
    """
    score, defect = np.asarray(scores, np.float64), np.asarray(is_defect, bool)
    names, part_of = np.unique(np.asarray(parts), return_inverse=True)
    needs = {
        "image_auroc": (True, True),
        "average_precision": (True, True),
        "f1": (not defect.all(), True),  # without good images it depends on recall alone
        "recall": (False, True),
        "escape_rate": (False, True),
    }
    reasons = _too_few(part_of, defect, needs)
    if len(reasons) == len(needs):
        return {}, reasons
    order = np.argsort(score, kind="stable")
    score, defect, part_of = score[order], defect[order], part_of[order]
    first = np.flatnonzero(np.r_[True, np.diff(score) > 0])  # of each distinct score
    called = score > threshold

    def figures(drawn: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        weight = drawn[:, part_of].astype(np.float64)  # (B, N)
        bad, fine = weight * defect, weight * ~defect
        bad_at, fine_at = (np.add.reduceat(w, first, axis=1) for w in (bad, fine))
        caught, all_bad = bad[:, called].sum(1), bad.sum(1)
        alarms = fine[:, called].sum(1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return {
                "image_auroc": ranking.auroc(fine_at, bad_at),
                "average_precision": ranking.average_precision(fine_at, bad_at),
                "f1": np.where(all_bad > 0, 2 * caught / (caught + alarms + all_bad), np.nan),
            }

    found = bootstrap(figures, len(names), 4 * len(score))
    for name, (low, high) in found.items():
        if low == high:
            reasons.setdefault(
                name, "every resample gives the same: the parts are too few to show what they hide"
            )
    if defect.any():
        worth = independent_images(called[defect].tolist(), part_of[defect].tolist())
        low, high = rate_interval(float(called[defect].mean()), worth) or (0.0, 1.0)
        found |= {"recall": (low, high), "escape_rate": (1 - high, 1 - low)}
    return {name: interval for name, interval in found.items() if name not in reasons}, reasons


def bootstrap(
    figures: Callable[[NDArray[np.int64]], Mapping[str, NDArray[np.float64]]],
    parts: int,
    per_draw: int,
) -> dict[str, tuple[float, float]]:
    """The central 95 % of each figure over resamples of the parts; NaNs are left out.

    Args:
        figures: counts of each part (B, parts) -> figures (B,) by name.
        per_draw: see `draw_parts`.
    """
    blocks = [figures(drawn) for drawn in draw_parts(parts, per_draw)]
    found = {}
    for name in blocks[0]:
        values = np.concatenate([block[name] for block in blocks])
        values = values[np.isfinite(values)]
        if len(values):
            low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
            found[name] = (float(low), float(high))
    return found


def _too_few(
    part_of: NDArray[np.intp], defect: NDArray[np.bool_], needs: Mapping[str, tuple[bool, bool]]
) -> dict[str, str]:
    """Why a figure gets no interval, by name; `needs` says which of (good, defective) it takes."""
    have = [len(np.unique(part_of[chosen])) for chosen in (~defect, defect)]
    reasons = {}
    for name, wanted in needs.items():
        for class_name, count, need in zip(("good", "defective"), have, wanted, strict=True):
            if need and count < MIN_PARTS:
                noun = "part" if count == 1 else "parts"
                reasons[name] = (
                    f"the {class_name} test images show {count} {noun}; at least {MIN_PARTS} are "
                    "needed to tell how parts differ"
                )
    return reasons
