"""How well each error map does alone, beside the fused score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from burnish.detection.result import map_names
from burnish.evaluation import metrics
from burnish.evaluation.record import Evaluation


@dataclass(frozen=True)
class ScaleRow:
    """One mask scale, or one map of texture, alone.

    Attributes:
        name: "16 px", "grain 2 px", "whole surface", or "scale 2" when block sizes are not known.
        image_auroc: against all good images; None for one class.
        by_kind: the same by kind of defect.
        good, defect: quartiles (lower, median, upper) of the scale's score; None without images.
        decided: share of the defective images whose highest score is this scale's.
    """

    name: str
    image_auroc: float | None
    by_kind: dict[str, float | None]
    good: tuple[float, float, float] | None
    defect: tuple[float, float, float] | None
    decided: float | None


def scale_table(evaluation: Evaluation) -> list[ScaleRow]:
    """One row per error map; empty if the images' rows do not hold the maps' scores.

    The scales' scores are in standard deviations of the error on good images, so that they can be
    compared with each other.
    """
    rows = evaluation.images
    count = len(rows[0].scale_scores)
    if count == 0 or any(len(row.scale_scores) != count for row in rows):
        return []
    scores = np.array([row.scale_scores for row in rows])  # (N, S)
    defect = np.array([row.is_defect for row in rows])
    kind_of = np.array([row.kind for row in rows])
    model = evaluation.model
    names = map_names(
        model.mask_blocks,
        model.textures,
        model.lines,
        features=model.features,
        whole=model.whole,
    )
    names = [name.replace("blocks of ", "").replace(" of ", " ") for name in names]
    if len(names) != count:
        names = [f"scale {number}" for number in range(1, count + 1)]
    highest = scores[defect].argmax(1)
    table = []
    for index, name in enumerate(names):
        alone = scores[:, index]
        by_kind = {}
        for kind in evaluation.kinds:
            chosen = ~defect | (kind_of == kind.kind)
            by_kind[kind.kind] = metrics.image_auroc(alone[chosen], defect[chosen])
        table.append(
            ScaleRow(
                name=name,
                image_auroc=metrics.image_auroc(alone, defect),
                by_kind=by_kind,
                good=_quartiles(alone[~defect]),
                defect=_quartiles(alone[defect]),
                decided=float((highest == index).mean()) if defect.any() else None,
            )
        )
    return table


def _quartiles(values: NDArray[np.float64]) -> tuple[float, float, float] | None:
    if not values.size:
        return None
    low, middle, high = np.percentile(values, [25, 50, 75])
    return float(low), float(middle), float(high)
