"""Means over many pixels keep their digits in ONNX Runtime, which adds up in float32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from burnish.method.scoring import region_mean

HEIGHT, WIDTH = 608, 256


class Means(nn.Module):
    def __init__(self, inside: Tensor | None) -> None:
        super().__init__()
        self.inside = inside

    def forward(self, maps: Tensor) -> Tensor:
        return region_mean(maps, self.inside)


@pytest.mark.parametrize("region", [False, True])
def test_of_a_whole_map_and_of_a_region(region: bool, tmp_path: Path) -> None:
    """Added up one after another they were 1.2 and 1.8 millionths off. In units of how little the
    scores of good parts scatter that was enough for the gate to refuse a KolektorSDD model."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="pip install 'burnish[export]'")
    rng = np.random.default_rng(0)
    maps = rng.gamma(1.5, 1.0, (2, 3, HEIGHT, WIDTH)).astype(np.float32)
    inside = rng.uniform(size=(HEIGHT, WIDTH)) < 0.9 if region else np.ones((HEIGHT, WIDTH), bool)
    module = Means(torch.from_numpy(inside) if region else None)
    path = tmp_path / "means.onnx"
    torch.onnx.export(module, (torch.from_numpy(maps),), path, dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(path)
    (found,) = session.run(None, {session.get_inputs()[0].name: maps})
    np.testing.assert_allclose(found, maps[..., inside].astype(float).mean(axis=-1), rtol=4e-7)
