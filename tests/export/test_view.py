"""What a traced view does otherwise than the scorer, because a region may be open."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from burnish import Detector
from burnish.export.view import ViewGraph, share_counts
from burnish.method.scoring import image_score


@pytest.mark.parametrize("share", [0.001, 0.003, 0.01, 0.25, 0.5, 1.0])
def test_counts_are_those_of_the_image_score(share: float) -> None:
    counts = share_counts(2500, share)
    for pixels in [*range(1, 700), 1499, 1500, 1501, 2499, 2500]:
        expected = max(1, round(share * pixels))
        assert max(1, int((counts <= pixels).sum())) == expected


@pytest.mark.parametrize("reduction", ["mean", "max", "top"])
def test_a_region_reduces_maps_as_the_scorer_does(run_folder: Path, reduction: str) -> None:
    model = Detector.load(run_folder).model
    settings = model.card.settings.model_copy(update={"reduction": reduction, "top_share": 0.01})
    card = model.card.model_copy(update={"settings": settings})
    graph = ViewGraph(replace(model, card=card, roi=np.ones((32, 32), dtype=np.bool_)))
    rng = np.random.default_rng(0)
    maps = torch.from_numpy(rng.standard_normal((3, 32, 32)).astype(np.float32))
    for pixels in (1, 49, 50, 150, 151, 1024):
        inside = torch.from_numpy(rng.permutation(32 * 32).reshape(32, 32) < pixels)
        expected = image_score(maps, reduction, 0.01, inside)
        torch.testing.assert_close(graph.reduce(maps, inside), expected)
