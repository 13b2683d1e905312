"""What is learnt of good parts, on another device."""

from __future__ import annotations

import torch

from burnish.method.factors import Factors
from burnish.method.texture import TextureModel

META = torch.device("meta")


def test_every_tensor_moves_and_the_rest_stays() -> None:
    factors = Factors(torch.zeros(9, 2, 2), torch.ones(9, 2, 2), torch.zeros(1, 9, 2, 2))
    model = TextureModel(
        4, torch.zeros(9, 4, 4), torch.ones(9, 4, 4), torch.zeros(2, 9, 9), "image", factors
    )
    moved = model.to(META)
    assert moved.factors is not None
    tensors = (moved.mean, moved.deviation, moved.precision, *vars(moved.factors).values())
    assert {tensor.device for tensor in tensors} == {META}
    assert (moved.grain, moved.of) == (4, "image")
    assert model.mean.device.type == "cpu"
    bare = TextureModel(4, model.mean, model.deviation, model.precision).to(META)
    assert bare.factors is None
