"""Stopwatches that wait for the device, and summaries of many times."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch


def now(device: torch.device) -> float:
    """The time in seconds, after waiting for the device to finish."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


class Laps:
    """Splits a stretch of time into parts that add up to it: a mark names the part since the last.

    Attributes:
        rounds: seconds by part, one dict for every `begin`.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.rounds: list[dict[str, float]] = []
        self._last = 0.0

    def begin(self) -> None:
        self.rounds.append({})
        self._last = now(self.device)

    def mark(self, part: str) -> None:
        """Attribute the time since the last mark to `part`."""
        if not self.rounds:
            return
        moment = now(self.device)
        found = self.rounds[-1]
        found[part] = found.get(part, 0.0) + moment - self._last
        self._last = moment


def typical(rounds: Sequence[dict[str, float]]) -> dict[str, float]:
    """Seconds by part, averaged over the middle half of the rounds by length, so that they add up.

    Like a median it ignores a shared machine's slow moments, but the parts still add up.
    """
    ordered = sorted(rounds, key=lambda parts: sum(parts.values()))
    quarter = len(ordered) // 4
    middle = ordered[quarter : len(ordered) - quarter]
    names = dict.fromkeys(name for parts in middle for name in parts)
    return {name: sum(p.get(name, 0.0) for p in middle) / len(middle) for name in names}


def percentile(values: Sequence[float], share: float) -> float:
    """The `share` (0 to 1) quantile, interpolated."""
    return float(np.quantile(np.asarray(values), share))


def repeated_seconds(
    work: Callable[[], object], device: torch.device, seconds: float, least: int = 3
) -> list[float]:
    """The times of `work`, repeated for about `seconds` after an untimed call."""
    work()
    times: list[float] = []
    while len(times) < least or sum(times) < seconds:
        start = now(device)
        work()
        times.append(now(device) - start)
    return times


def best_seconds(work: Callable[[], object], device: torch.device, seconds: float) -> float:
    """The shortest of `repeated_seconds`."""
    return min(repeated_seconds(work, device, seconds))
