"""Levels between the pixels of a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def sample(
    maps: NDArray[np.float32], rows: NDArray[np.float32], columns: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Bilinear interpolation; places beyond the border take the nearest pixel.

    Args:
        maps: float32 (K, h, w).
        rows, columns: float32 (V, U), px; 0 is the centre of the first pixel.

    Returns:
        float32 (K, V, U).
    """
    height, width = maps.shape[1:]
    rows, columns = rows.clip(0, height - 1), columns.clip(0, width - 1)
    top, left = np.floor(rows), np.floor(columns)
    down, across = rows - top, columns - left
    y0, x0 = top.astype(np.int64), left.astype(np.int64)
    y1, x1 = np.minimum(y0 + 1, height - 1), np.minimum(x0 + 1, width - 1)
    upper = maps[:, y0, x0] * (1 - across) + maps[:, y0, x1] * across
    lower = maps[:, y1, x0] * (1 - across) + maps[:, y1, x1] * across
    return np.asarray(upper * (1 - down) + lower * down, dtype=np.float32)
