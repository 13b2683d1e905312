"""Laps add up; typical and percentile by hand."""

from __future__ import annotations

import time

import pytest
import torch

from burnish.bench.clock import Laps, best_seconds, percentile, typical

CPU = torch.device("cpu")


def test_laps_add_up_to_all_of_the_time() -> None:
    laps = Laps(CPU)
    laps.mark("before any round")  # a hook that fires outside a step is nobody's time
    start = time.perf_counter()
    laps.begin()
    for part in ("a", "b", "a"):
        time.sleep(0.01)
        laps.mark(part)
    whole = time.perf_counter() - start
    (found,) = laps.rounds
    assert set(found) == {"a", "b"}
    assert found["a"] >= 0.02
    assert found["b"] >= 0.01
    assert sum(found.values()) == pytest.approx(whole, abs=0.005)


def test_typical_averages_the_middle_half_by_total() -> None:
    rounds = [{"a": float(a), "b": 10.0 - a / 2} for a in (1, 9, 2, 4)]  # totals 10.5, 14.5, 11, 12
    assert typical(rounds) == {"a": 3.0, "b": 8.5}  # of those with 2 and 4


def test_typical_counts_a_missing_part_as_no_time() -> None:
    assert typical([{"a": 2.0, "b": 2.0}, {"a": 4.0}]) == {"a": 3.0, "b": 1.0}


def test_percentile_interpolates() -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], 0.5) == 2.5
    assert percentile(list(range(101)), 0.99) == 99.0


def test_best_seconds_is_the_shortest_of_what_was_tried() -> None:
    pauses = [0.0, 0.03, 0.01, 0.03]  # the first one is not counted
    tried = []

    def work() -> None:
        time.sleep(pauses[len(tried)])
        tried.append(1)

    assert 0.01 <= best_seconds(work, CPU, 0.0) < 0.03
    assert len(tried) == 4
