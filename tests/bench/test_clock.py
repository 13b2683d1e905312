"""Laps add up; typical and percentile by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from burnish.bench import clock
from burnish.bench.clock import Laps, best_seconds, percentile, typical

CPU = torch.device("cpu")


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the only clock there is: a real one would also tell how busy the machine is."""
    moment = [0.0]
    monkeypatch.setattr(clock, "now", lambda device: moment[0])

    def wait(seconds: float) -> None:
        moment[0] += seconds

    return wait


def test_laps_add_up_to_all_of_the_time(wait: Callable[[float], None]) -> None:
    laps = Laps(CPU)
    laps.mark("before any round")  # a hook that fires outside a step is nobody's time
    wait(64.0)
    laps.begin()
    for part, seconds in (("a", 1.0), ("b", 2.0), ("a", 4.0)):
        wait(seconds)
        laps.mark(part)
    assert laps.rounds == [{"a": 5.0, "b": 2.0}]


def test_typical_averages_the_middle_half_by_total() -> None:
    rounds = [{"a": float(a), "b": 10.0 - a / 2} for a in (1, 9, 2, 4)]  # totals 10.5, 14.5, 11, 12
    assert typical(rounds) == {"a": 3.0, "b": 8.5}  # of those with 2 and 4


def test_typical_counts_a_missing_part_as_no_time() -> None:
    assert typical([{"a": 2.0, "b": 2.0}, {"a": 4.0}]) == {"a": 3.0, "b": 1.0}


def test_percentile_interpolates() -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], 0.5) == 2.5
    assert percentile(list(range(101)), 0.99) == 99.0


def test_best_seconds_is_the_shortest_of_what_was_tried(wait: Callable[[float], None]) -> None:
    pauses = iter([0.5, 3.0, 1.0, 3.0])  # the first one is not counted
    assert best_seconds(lambda: wait(next(pauses)), CPU, 0.0) == 1.0
    assert next(pauses, None) is None


def test_best_seconds_goes_on_until_the_time_is_used(wait: Callable[[float], None]) -> None:
    pauses = iter([4.0] * 5 + [3.0, 1.0])
    assert best_seconds(lambda: wait(next(pauses)), CPU, 18.0) == 3.0
    assert next(pauses) == 1.0
