"""Is an image like the training images at all? Compares trivial statistics with their range there,
so that an aged lamp or a lens out of focus is reported, not judged in silence.

Statistics are computed on the prepared image, as the model sees it, inside the
region of interest only; at training and at inspection by the same function.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from burnish.images.statistics import STATISTICS, number, statistics_of

WATCHED = ("mean", "spread", "dark", "bright", "sharpness", "colour")
# Of colour images too: which colour it is. The hues that are compared do not tell, as every image
# is brought to one white balance.
TINTS = {"red": "red less green", "blue": "blue less green"}
LABELS = {name: STATISTICS[name].label for name in WATCHED} | TINTS
MARGIN = 1.0  # standard deviations beyond the training images' range that are tolerated
LEAST_SHARE, LEAST_STEP = 0.01, 0.5  # lower bounds of a standard deviation, see `TrainingRange`


class TrainingRange(BaseModel):
    """One statistic over the training images: lowest, highest, mean and standard deviation."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    low: float
    high: float
    mean: float
    deviation: float

    @property
    def step(self) -> float:
        """The standard deviation, at least 1 % of the value and half a grey level."""
        return max(self.deviation, LEAST_SHARE * max(abs(self.low), abs(self.high)), LEAST_STEP)


@dataclass(frozen=True)
class Unlike:
    """A trivial statistic in which an image is unlike the training images.

    Attributes:
        statistic: its name in `burnish.images.statistics`.
        label: its name for people.
        value: of this image.
        low, high: the training images' range.
        by: distance outside that range in standard deviations of the training images; below 0 when
            under `low`.
    """

    statistic: str
    label: str
    value: float
    low: float
    high: float
    by: float

    def __str__(self) -> str:
        side = "below" if self.by < 0 else "above"
        return (
            f"{self.label} {number(self.value)} (training {number(self.low)} to "
            f"{number(self.high)}; "
            f"{abs(self.by):.1f} sd {side})"
        )


def prepared_statistics(
    prepared: NDArray[np.uint8], inside: NDArray[np.bool_] | None = None
) -> dict[str, float]:
    """The watched statistics of a prepared image; of a colour image also how much more red and blue
    than green it has on average, in grey levels.

    Args:
        prepared: uint8 (C, H, W) with C 1 or 3; what it has beside is not looked at.
        inside: the region of interest, bool (H, W); None: everything.
    """
    prepared = prepared[: 3 if len(prepared) >= 3 else 1]
    image = prepared[0] if len(prepared) == 1 else prepared.transpose(1, 2, 0)
    found = statistics_of(image, leave_out=None if inside is None else ~inside)
    watched = {name: found[name] for name in WATCHED}
    if len(prepared) == 1:
        return watched
    counted = prepared.reshape(3, -1) if inside is None else prepared[:, inside]
    red, green, blue = counted.mean(axis=1) if counted.size else np.full(3, np.nan)
    return watched | {"red": float(red - green), "blue": float(blue - green)}


def learn_ranges(images: Iterable[Mapping[str, float]]) -> dict[str, TrainingRange]:
    """The range of each watched statistic over the images' `prepared_statistics`.

    A statistic that some image does not have (no pixel to take it of) is left out.
    """
    found = list(images)
    if not found:
        return {}
    names = list(found[0])
    table = np.array([[image[name] for name in names] for image in found], np.float64)
    return {
        name: TrainingRange(
            low=float(values.min()),
            high=float(values.max()),
            mean=float(values.mean()),
            deviation=float(values.std()),
        )
        for name, values in zip(names, table.T, strict=True)
        if np.isfinite(values).all()
    }


def find_unlike(
    statistics: Mapping[str, float], ranges: Mapping[str, TrainingRange]
) -> tuple[Unlike, ...]:
    """The statistics outside the training images' range by more than `MARGIN` steps, worst first.

    With n training images an image like them leaves the bare range in one given statistic with
    probability 2 / (n + 1); the margin makes that rarer.
    """
    found = []
    for name, known in ranges.items():
        value = statistics.get(name, float("nan"))
        beyond = value - known.high if value > known.high else min(value - known.low, 0.0)
        if abs(beyond) > MARGIN * known.step:  # never for NaN
            found.append(
                Unlike(name, LABELS[name], value, known.low, known.high, beyond / known.step)
            )
    return tuple(sorted(found, key=lambda unlike: -abs(unlike.by)))
