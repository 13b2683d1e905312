"""Model files of before: what their verdicts would no longer mean is refused, with the way out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from burnish import Detector
from burnish.detection.model_file import KEY, _digest, _read_file
from burnish.detection.older import BORDERS
from burnish.errors import BurnishError


def make_older(path: Path, number: int) -> None:
    """Write another format into a model file; the checksum fits."""
    metadata, tensors = _read_file(path)
    text = json.dumps(json.loads(metadata[KEY]) | {"format": number})
    save_file(tensors, path, metadata={KEY: text, "sha256": _digest(text, load_file(path))})


REGION = {"roi": "8,8 56,8 56,56 8,56"}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (REGION | {"texture": ("image:1",)}, "a region of interest"),
        (REGION | {"lines": (1,)}, "a region of interest"),
        ({"tile": 96, "overlap": 8, "lines": (1,)}, "images smaller than a tile"),
        (REGION, ""),  # mask scales alone are what they were
        ({"texture": ("image:1",)}, ""),  # no border
        ({"tile": 32, "overlap": 8, "texture": ("image:1",)}, ""),  # tiles that images fill
    ],
)
def test_borders_of_regions(
    metal: Path, micro: dict, tmp_path: Path, changes: dict, why: str
) -> None:
    given = {**micro, "steps": 2, "fusion": "scores", **changes}
    before = Detector.train(metal, "tiny", tmp_path, **given)
    model = tmp_path / "model.safetensors"
    make_older(model, BORDERS - 1)
    if not why:
        assert Detector.load(model).card.calibration == before.card.calibration
        return
    with pytest.raises(BurnishError, match=rf"older burnish.*border of {why}.*--resume"):
        Detector.load(model)
    Detector.train(metal, "tiny", tmp_path, resume=True, **given)
    assert Detector.load(model).card.calibration == before.card.calibration
