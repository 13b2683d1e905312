"""Calibration from held-out good images alone: references, threshold, p-value, heat-map scale.

Split conformal prediction (Vovk et al. 2005; Lei et al. 2018): with n held-out good scores, the
k-th smallest with k = ceil((n + 1)(1 - alpha)) is exceeded by a new good part with probability at
most alpha, as long as new good parts are drawn as the held-out ones were. Images of one part score
alike and are not independent draws. If several images show one part, every part counts once,
whatever the number of its images (hierarchical conformal prediction: Dunn, Wasserman and Ramdas
2023; Lee, Barber and Willett 2023), which keeps the promise for any one image of a new part.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import accumulate

from pydantic import BaseModel, ConfigDict, Field, model_validator

from burnish.errors import BurnishError

# Share of the threshold that is added to it. The bare threshold is the score of a held-out good
# part, which rounding in another runtime must not turn into a defect. Exports share the threshold.
MARGIN = 1e-3
MANY_PARTS = 10**9  # more than anybody has; 1 / rate may be more than a number can hold


def part_weights(parts: Sequence[Hashable]) -> list[float]:
    """1 / (number of images of its part), for every image; they add up to the number of parts."""
    images = Counter(parts)
    return [1 / images[part] for part in parts]


def ranked(
    values: Sequence[float], weights: Sequence[float] | None
) -> tuple[tuple[float, ...], tuple[float, ...] | None]:
    """Values in ascending order, and their weights, if any, in that order."""
    if weights is None:
        return tuple(sorted(values)), None
    ascending, along = zip(*sorted(zip(values, weights, strict=True)), strict=True)
    return ascending, along


def above(score: float) -> float:
    """The threshold that lies above a score by `MARGIN` of its size."""
    return score + MARGIN * abs(score)


def conformal_threshold(
    scores: Sequence[float], false_alarms: float, weights: Sequence[float] | None = None
) -> float:
    """The conformal threshold: the smallest score with (n + 1)(1 - false_alarms) of n parts at or
    below it, or the largest score. With one image per part it is the k-th smallest score,
    k = ceil((n + 1)(1 - false_alarms)).

    Args:
        scores: of held-out good images, any order, at least one.
        false_alarms: wanted rate in (0, 1).
        weights: `part_weights` of the scores; None: every image is a part of its own.
    """
    ascending, along = ranked(scores, weights)
    counts = list(accumulate(along or [1.0] * len(scores)))
    needed = (counts[-1] + 1) * (1 - false_alarms) - 1e-9
    return ascending[min(bisect_left(counts, needed), len(scores) - 1)]


def promised_rate(count: int, false_alarms: float) -> float:
    """The false-alarm rate that `count` held-out parts can promise: at least 1 / (count + 1)."""
    return max(false_alarms, 1 / (count + 1))


def needed_parts(false_alarms: float) -> int:
    """Held-out good parts needed to promise a false-alarm rate; `MANY_PARTS` if that or more."""
    return math.ceil(min(1 / false_alarms, MANY_PARTS + 1) - 1e-9) - 1


def conformal_p_value(
    sorted_scores: Sequence[float], score: float, weights: Sequence[float] | None = None
) -> float:
    """(1 + number of held-out scores >= score) / (n + 1), in (0, 1]; scores sorted ascending.

    With `weights` (see `conformal_threshold`; in the order of the scores) parts are counted in
    place of images.
    """
    first, n = bisect_left(sorted_scores, score), len(sorted_scores)
    if weights is None:
        return (1 + n - first) / (n + 1)
    return (1 + sum(weights[first:])) / (1 + sum(weights))


class Calibration(BaseModel):
    """The result of calibration on held-out good images; saved in the model file.

    Attributes:
        mu, sigma: mean and standard deviation of the error maps' pixels, per mask scale; with
            maps in units (fusion=highest, scores) see `learning.units_of`. The last value is that
            of the surface as a whole, if it is compared (`learning.unit_of_whole`).
        scores: image scores, ascending.
        peaks: highest anomaly-map value of each image, ascending.
        heat_low: anomaly-map value that 99 % of a good image's pixels lie below (the median over
            the images); shown uncoloured.
        false_alarms: wanted rate of good parts called defective.
        parts: number of parts that the held-out images show. None, in older files: every image is a
            part.
        score_weights, peak_weights: `part_weights` of every score and peak. None if every image is
            a part, and in older files.
        folds: number of networks that judged the images in turn (`folds`); None: the model did.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    mu: tuple[float, ...]
    sigma: tuple[float, ...]
    scores: tuple[float, ...] = Field(min_length=1)
    peaks: tuple[float, ...] = Field(min_length=1)
    heat_low: float
    false_alarms: float = Field(gt=0, lt=1)
    parts: int | None = Field(None, ge=1)
    score_weights: tuple[float, ...] | None = None
    peak_weights: tuple[float, ...] | None = None
    folds: int | None = Field(None, ge=2)

    @model_validator(mode="after")
    def _is_sorted(self) -> Calibration:
        for name in ("scores", "peaks"):
            values = getattr(self, name)
            if list(values) != sorted(values):
                raise ValueError(f"{name} are not in ascending order")
        if len(self.mu) != len(self.sigma):
            raise ValueError("mu and sigma differ in length")
        for values, weights in ((self.scores, self.score_weights), (self.peaks, self.peak_weights)):
            if weights is not None and (
                len(weights) != len(values) or not all(0 < weight <= 1 for weight in weights)
            ):
                raise ValueError("weights are not one in (0, 1] for every score and peak")
            if weights is not None and (
                self.parts is None or abs(sum(weights) - self.parts) > 0.01
            ):
                raise ValueError(f"weights add up to {sum(weights):.2f}, not to the parts")
        return self

    @property
    def threshold(self) -> float:
        """Image scores above it are called defective: `MARGIN` above the conformal one."""
        return above(conformal_threshold(self.scores, self.false_alarms, self.score_weights))

    @property
    def pixel_threshold(self) -> float:
        """Anomaly-map values above it are marked; good parts exceed it at the wanted rate."""
        return conformal_threshold(self.peaks, self.false_alarms, self.peak_weights)

    @property
    def heat_range(self) -> tuple[float, float]:
        """Cold and hot end of heat maps; the pixel threshold lies in the middle."""
        least = max(1e-9 * abs(self.heat_low), 1e-12)  # the ends must differ as numbers
        span = max(self.pixel_threshold - self.heat_low, least)
        return self.heat_low, self.heat_low + 2 * span

    def with_false_alarms(self, rate: float) -> Calibration:
        """The same scores with another wanted false-alarm rate, and so another threshold.

        Raises:
            BurnishError: the rate does not lie in (0, 1).
        """
        if not 0 < rate < 1:
            raise BurnishError(f"false alarms must lie between 0 and 1, not {rate}")
        return self.model_copy(update={"false_alarms": rate})

    def p_value(self, score: float) -> float:
        """How often a good part scores at least this high, in (0, 1]; see `conformal_p_value`."""
        return conformal_p_value(self.scores, score, self.score_weights)

    @property
    def _counted(self) -> int:
        """Number of held-out parts; of images if every image is a part."""
        images = len(self.scores)
        return images if self.parts is None else min(images, self.parts)

    @property
    def keeps_promise(self) -> bool:
        """Whether there are parts enough to promise the wanted false-alarm rate."""
        return promised_rate(self._counted, self.false_alarms) <= self.false_alarms

    def promise(self) -> str:
        """One sentence on the false-alarm rate for the user.

        On average: over the draw of held-out parts, not of this one model.
        """
        images, n = len(self.scores), self._counted
        unit, called, of_parts = "images", "good parts", ""
        if n < images:
            unit, called, of_parts = "parts", "images of new good parts", f" of {n} parts"
        held = f"{images} held-out good images{of_parts}"
        can, more = "can promise at most", ", a larger holdout, or folds"
        at_most, how = "on average at most", "conformal"
        if self.folds:  # without a proof
            held = f"{images} good images{of_parts} in {self.folds} folds"
            can, more, at_most, how = "allow at best", "", "about", "cross-validated"
        if not self.keeps_promise:
            return (
                f"{held} {can} {100 / (n + 1):.2g} % false alarms, "
                f"not the wanted {100 * self.false_alarms:.2g} %: that needs at "
                f"least {needed_parts(self.false_alarms):,} (more good {unit}{more})"
            )
        return (
            f"{at_most} {100 * self.false_alarms:.2g} % of {called} will be called defective "
            f"({how}, from {held})"
        )
