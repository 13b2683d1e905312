"""Numbers drawn at random, against what they are of."""

from __future__ import annotations

import numpy as np
import pytest

from burnish.drawing import draw, some_of


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
