"""What the gate lets through."""

from __future__ import annotations

from pathlib import Path

import pytest

from burnish.export.parity import Difference, Parity


@pytest.mark.parametrize(
    ("score", "apart", "passes"),
    [
        (5.0, 0.0009, True),
        (5.0, 0.0011, False),
        (10.0, 0.0011, False),
        (30.0, 0.0029, True),  # three times the threshold, three times the difference
        (30.0, 0.0031, False),
        (5.0, float("nan"), False),
    ],
)
def test_high_scores_may_differ_by_the_same_share(score: float, apart: float, passes: bool) -> None:
    image = Difference(Path("a.png"), score, score + apart, 0.0, differs=False)
    parity = Parity((image,), 0.001, 10.0)
    assert parity.passed == passes
    assert ("a.png" in parity.complaint()) == (not passes)


@pytest.mark.parametrize("threshold", [0.0, -2.0])
def test_a_threshold_that_is_not_positive(threshold: float) -> None:
    near, far = (
        Parity((Difference(Path("a.png"), -1.0, -1.0 + by, 0.0, False),), 0.001, threshold)
        for by in (0.0005, 0.002)
    )
    assert near.passed
    assert not far.passed
