"""`burnish info` as a person reads it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from burnish import Detector


def test_an_exported_model_tells_of_itself(
    run_folder: Path, metal: Path, tmp_path: Path, burnish: Callable
) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    model = tmp_path / "model.onnx"
    code, _, err = burnish("export", run_folder, "--to", "onnx", "--out", model, "--data", metal)
    assert code == 0, err
    code, text, _ = burnish("info", model)
    assert code == 0
    assert "model.onnx" in text
    assert f"{Detector.load(run_folder).threshold:.5g}" in text
    own, exported = (json.loads(burnish("info", m, "--json")[1]) for m in (run_folder, model))
    assert exported.pop("file_bytes") == model.stat().st_size
    assert own.pop("parameters") > 0
    del own["file_bytes"]
    about = exported.pop("export")
    assert exported == own
    assert about["threshold"] == Detector.load(run_folder).threshold
    assert about["precision"] == "float32"
    assert f"float32; scores within {100 * about['tolerance']:g} % of the threshold" in text


def test_a_defective_part_among_the_good_ones_is_named(
    metal: Path, micro: dict, tmp_path: Path, burnish: Callable
) -> None:
    good = tmp_path / "good"
    shutil.copytree(metal / "train/good", good)
    settings = micro | {"seed": 2}
    first = Detector.train(good, "tiny", tmp_path / "first", steps=8, **settings)
    assert first.card.data["oddest"] is None
    name = first.card.data["held_out"][1]
    pixels = np.array(Image.open(good / name))
    pixels[20:44, 20:44] = 255 - pixels[20:44, 20:44]
    Image.fromarray(pixels).save(good / name)
    said: list[str] = []
    second = Detector.train(
        good, "tiny", tmp_path / "second", steps=8, **settings,
        on_stage=lambda stage: said.append(stage.message),
    )  # fmt: skip
    assert second.card.data["oddest"]["name"] == name
    assert any(f"one held-out image alone, {name}" in message for message in said)
    assert Detector.load(tmp_path / "second").card.data["oddest"]["name"] == name
    assert name in burnish("info", tmp_path / "second")[1]
    other = second.with_false_alarms(0.4).save(tmp_path / "other.safetensors")
    assert "odd one out" not in burnish("info", other)[1]  # it sets that threshold no more
    assert "odd one out" not in burnish("info", tmp_path / "first")[1]


def test_tiles_are_told_from_whole_images(
    run_folder: Path, metal: Path, micro: dict, tmp_path: Path, burnish: Callable
) -> None:
    assert "input          32 x 32 px, grey" in burnish("info", run_folder)[1]
    Detector.train(metal, "tiny", tmp_path / "run", steps=1, tile=32, overlap=8, **micro)
    assert "input          tiles of 32 x 32 px, grey" in burnish("info", tmp_path / "run")[1]
