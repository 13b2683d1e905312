"""Numbers drawn at random, against what they are of."""

from __future__ import annotations

import numpy as np
import pytest

from burnish.sampling import draw, some_of


@pytest.mark.parametrize(("total", "count"), [(1, 5), (5, 5), (1000, 100)])
def test_each_is_drawn_once_and_all_if_they_are_few(total: int, count: int) -> None:
    drawn = draw(total, count, 1)
    assert len(drawn) == len(set(drawn.tolist())) == min(total, count)
    assert (drawn.min(), drawn.max()) >= (0, 0)
    assert drawn.max() < total
    assert np.array_equal(drawn, draw(total, count, 1))
    items = [f"{number:04}" for number in range(total)]
    assert some_of(items, count, 1) == sorted(items[number] for number in drawn)


def test_another_seed_draws_others() -> None:
    assert draw(1000, 100, 1).tolist() != draw(1000, 100, 2).tolist()


@pytest.mark.parametrize("period", [2, 4, 5, 8, 10])
def test_kinds_that_take_turns_are_drawn_about_equally(period: int) -> None:
    """Every tenth of 1000, as a stride would take them, is of one kind for each of these."""
    counts = np.bincount(np.sort(draw(1000, 200)) % period, minlength=period)
    expected = 200 / period
    assert np.abs(counts - expected).max() < 4 * np.sqrt(expected)


@pytest.mark.parametrize(("total", "count"), [(532, 256), (1000, 100), (300, 256)])
def test_each_run_of_neighbours_gives_its_share(total: int, count: int) -> None:
    """Of any stretch of names as many are drawn as its share, but for the runs it cuts."""
    for seed in range(5):
        drawn = np.sort(draw(total, count, seed))
        for start in range(0, total - 50, 25):
            inside = ((drawn >= start) & (drawn < start + 50)).sum()
            assert abs(inside - 50 * count / total) <= 2


def test_every_number_is_drawn_equally_often() -> None:
    counts = np.bincount(np.concatenate([draw(20, 8, seed) for seed in range(4000)]), minlength=20)
    chance = np.array([1 / 2, 1 / 2, 1 / 3, 1 / 3, 1 / 3] * 4)  # in its run of two or of three
    deviation = np.sqrt(4000 * chance * (1 - chance))
    assert np.all(np.abs(counts - 4000 * chance) < 4.5 * deviation)
