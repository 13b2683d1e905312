"""Calibration from held-out good images alone: references, threshold, p-value, heat-map scale.

Split conformal prediction (Vovk et al. 2005; Lei et al. 2018): with n held-out good scores, the
k-th smallest with k = ceil((n + 1)(1 - alpha)) is exceeded by a new good part with probability at
most alpha, as long as new good parts are drawn as the held-out ones were.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field, model_validator

# Share of the threshold that is added to it: it is the very score of a held-out good part, which
# another runtime's last digits must not turn into a defect. Exports have the same threshold.
MARGIN = 1e-3


def conformal_threshold(scores: Sequence[float], false_alarms: float) -> float:
    """The k-th smallest score, k = ceil((n + 1)(1 - false_alarms)), at most the largest.

    Args:
        scores: of held-out good images, any order, at least one.
        false_alarms: wanted rate in (0, 1).
    """
    n = len(scores)
    k = math.ceil((n + 1) * (1 - false_alarms) - 1e-9)
    return sorted(scores)[min(max(k, 1), n) - 1]


def promised_rate(count: int, false_alarms: float) -> float:
    """The false-alarm rate that `count` held-out images can promise: at least 1 / (count + 1)."""
    return max(false_alarms, 1 / (count + 1))


def needed_images(false_alarms: float) -> int:
    """Held-out good images needed to promise a false-alarm rate."""
    return math.ceil(1 / false_alarms - 1e-9) - 1


def conformal_p_value(sorted_scores: Sequence[float], score: float) -> float:
    """(1 + number of held-out scores >= score) / (n + 1), in (0, 1]; scores sorted ascending."""
    n = len(sorted_scores)
    return (1 + n - bisect_left(sorted_scores, score)) / (n + 1)


class Calibration(BaseModel):
    """What held-out good images say; saved in the model file.

    Attributes:
        mu, sigma: mean and standard deviation of the error maps' pixels, per mask scale; with
            maps in units (fusion=highest, scores) see `learning.units_of`. Last, where it is
            compared, of the surface as a whole (`learning.unit_of_whole`).
        scores: image scores, ascending.
        peaks: highest anomaly-map value of each image, ascending.
        heat_low: anomaly-map value that 99 % of good pixels lie below; shown uncoloured.
        false_alarms: wanted rate of good parts called defective.
        parts: that the held-out images show; images of one part score alike, so that it is parts
            that count for the promise. None, in files of before: every image is a part.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    mu: tuple[float, ...]
    sigma: tuple[float, ...]
    scores: tuple[float, ...] = Field(min_length=1)
    peaks: tuple[float, ...] = Field(min_length=1)
    heat_low: float
    false_alarms: float = Field(gt=0, lt=1)
    parts: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _is_sorted(self) -> Calibration:
        for name in ("scores", "peaks"):
            values = getattr(self, name)
            if list(values) != sorted(values):
                raise ValueError(f"{name} are not in ascending order")
        if len(self.mu) != len(self.sigma):
            raise ValueError("mu and sigma differ in length")
        return self

    @property
    def threshold(self) -> float:
        """Image scores above it are called defective: `MARGIN` above the conformal one."""
        threshold = conformal_threshold(self.scores, self.false_alarms)
        return threshold + MARGIN * abs(threshold)

    @property
    def pixel_threshold(self) -> float:
        """Anomaly-map values above it are marked; good parts exceed it at the wanted rate."""
        return conformal_threshold(self.peaks, self.false_alarms)

    @property
    def heat_range(self) -> tuple[float, float]:
        """Cold and hot end of heat maps; the pixel threshold lies in the middle."""
        least = max(1e-9 * abs(self.heat_low), 1e-12)  # the ends must differ as numbers
        span = max(self.pixel_threshold - self.heat_low, least)
        return self.heat_low, self.heat_low + 2 * span

    def p_value(self, score: float) -> float:
        return conformal_p_value(self.scores, score)

    def promise(self) -> str:
        """One sentence on the false-alarm rate for the user."""
        images = len(self.scores)
        n = images if self.parts is None else min(images, self.parts)
        held, unit = f"{images} held-out good images", "images"
        if n < images:
            held, unit = f"{held} of {n} parts", "parts"
        if promised_rate(n, self.false_alarms) > self.false_alarms:
            return (
                f"{held} can promise at most {100 / (n + 1):.2g} % false alarms, "
                f"not the wanted {100 * self.false_alarms:.2g} %: that needs "
                f"{needed_images(self.false_alarms)} (more good {unit}, or a larger holdout)"
            )
        return (
            f"at most {100 * self.false_alarms:.2g} % of good parts will be called defective "
            f"(conformal, from {held})"
        )
