"""Reliefs: antialiased lines keep their area; shapes are signed profiles within their support."""

from __future__ import annotations

import math

import numpy as np
import pytest

from burnish.images.synthetic.reliefs import RELIEFS, _line


@pytest.mark.parametrize("width", [0.6, 1.0, 2.5])
@pytest.mark.parametrize("slope", [0.0, 0.3, 0.9])
def test_line_covers_its_area(width: float, slope: float) -> None:
    """Antialiasing keeps the area: the sum of coverage is length times width."""
    v, u = np.mgrid[-60:61, -60:61].astype(np.float32)
    path_u = np.linspace(-40.3, 40.3, 9)
    cover = _line(u, v, path_u, slope * path_u, np.full(9, width))
    inside = cover[:, np.abs(u[0]) <= 30]
    assert inside.sum() == pytest.approx(61 * math.hypot(1.0, slope) * width, rel=0.03)


@pytest.mark.parametrize("side", [32.0, 200.5, 1000.0])
@pytest.mark.parametrize("kind", RELIEFS)
def test_profiles_stay_in_range_and_end_within_the_canvas(kind: str, side: float) -> None:
    for seed in range(4):
        relief = RELIEFS[kind](side, np.random.default_rng(seed))
        assert relief.profile.dtype == np.float32
        assert relief.profile.shape == relief.support.shape
        assert 0.5 < np.abs(relief.profile).max() < 1.6
        assert relief.support.any()
        assert np.abs(relief.profile[~relief.support]).max(initial=0.0) <= 0.15
        rim = np.concatenate(
            [relief.support[edge] for edge in ((0,), (-1,), (slice(None), 0), (slice(None), -1))],
            axis=None,
        )
        assert not rim.any(), "cut off by its own canvas"
