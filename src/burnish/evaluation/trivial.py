"""Trivial statistics of the images in place of the model: the baseline of every result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from burnish.evaluation.rows import TrivialRow
from burnish.images.statistics import STATISTICS, auroc


def trivial_rows(
    statistics: Sequence[Mapping[str, float]],
    is_defect: ArrayLike,
    bytes_follow_pixels: bool = False,
) -> tuple[TrivialRow, ...]:
    """AUROC of every statistic by itself, the strongest first; empty when one class is missing.

    The better direction is taken, and the best of some 16 statistics: on few images chance alone
    reaches well above 0.5.

    Args:
        statistics: of each test image as read, see `statistics_of`.
        is_defect: bool (N,).
        bytes_follow_pixels: of the test images' files, see `burnish.images.statistics`.
    """
    defect = np.asarray(is_defect, bool)
    if not defect.any() or defect.all():
        return ()
    rows = []
    for name, about in STATISTICS.items():
        values = np.array([image[name] for image in statistics], np.float64)
        bad, good = (side[np.isfinite(side)] for side in (values[defect], values[~defect]))
        if not len(bad) or not len(good):
            continue
        area = auroc(bad, good)
        rows.append(
            TrivialRow(
                statistic=name,
                label=about.label,
                unit=about.unit,
                auroc=max(area, 1 - area),
                higher_in_defects=area >= 0.5,
                median_good=float(np.median(good)),
                median_defect=float(np.median(bad)),
                follows_pixels=name == "file_bytes" and bytes_follow_pixels,
            )
        )
    return tuple(sorted(rows, key=lambda row: -row.auroc))
