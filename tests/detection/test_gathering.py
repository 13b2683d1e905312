"""What is gathered from views, against a list of all of them."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from burnish.detection.gathering import MOST, EvenViews


@pytest.mark.parametrize("views", [1, MOST - 1, MOST, MOST + 1, 2 * MOST, 5 * MOST + 7])
def test_kept_views_lie_evenly_and_are_never_too_many(views: int) -> None:
    kept = EvenViews()
    for number in range(views):
        if kept.wants():
            kept.add(number=torch.tensor(number), square=torch.full((2, 3), float(number**2)))
    numbers = kept["number"].tolist()
    assert min(views, MOST // 2) <= len(numbers) <= MOST
    steps = {b - a for a, b in pairwise(numbers)}
    assert len(steps) <= 1  # all as far from each other
    assert numbers[0] == 0
    assert views - numbers[-1] <= max(steps, default=1)
    assert kept["square"].shape == (len(numbers), 2, 3)
    assert torch.equal(kept["square"][:, 1, 2], (kept["number"].float()) ** 2)
