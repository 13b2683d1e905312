"""What is gathered from views, against a list of all of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from burnish.detection.gathering import MOST, SomeViews


@pytest.mark.parametrize("views", [1, MOST - 1, MOST, MOST + 1, 2 * MOST, 5 * MOST + 7])
def test_kept_views_are_never_too_many_and_rows_belong_together(views: int) -> None:
    kept = SomeViews()
    for number in range(views):
        if kept.wants():
            kept.add(
                number, number=torch.tensor(number), square=torch.full((2, 3), float(number**2))
            )
    numbers = kept["number"].tolist()
    assert len(set(numbers)) == len(numbers) == min(views, MOST)
    assert kept["square"].shape == (len(numbers), 2, 3)
    assert torch.equal(kept["square"][:, 1, 2], (kept["number"].float()) ** 2)
    if views <= MOST:
        assert numbers == list(range(views))


def test_each_view_is_kept_as_often_as_any_other_and_kinds_that_take_turns_alike() -> None:
    """Over many seeds: those that came first, last and in between, of even and of odd number."""
    views, seeds = 3 * MOST, 40
    counts = np.zeros(views)
    for seed in range(seeds):
        kept = SomeViews(seed)
        for number in range(views):
            if kept.wants():
                kept.add(number, number=torch.tensor(number))
        counts[kept["number"].numpy()] += 1
    expected = seeds * MOST / 3
    for group in (counts[:MOST], counts[MOST : 2 * MOST], counts[2 * MOST :]):
        assert abs(group.sum() - expected) < 0.06 * expected
    assert abs(counts[::2].sum() - counts[1::2].sum()) < 0.06 * expected * 3
