"""Levels between pixels are those of scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from burnish.images.bilinear import sample


@pytest.mark.parametrize("seed", range(3))
def test_sample_is_scipys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    maps = rng.normal(size=(2, 9, 13)).astype(np.float32)
    rows, columns = (rng.uniform(-3, n + 3, (20, 30)).astype(np.float32) for n in (9, 13))
    expected = [
        ndimage.map_coordinates(m.astype(float), [rows, columns], order=1, mode="nearest")
        for m in maps
    ]
    np.testing.assert_allclose(sample(maps, rows, columns), expected, atol=1e-5)
