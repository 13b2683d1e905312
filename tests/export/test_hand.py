"""Exports of a model that a pretrained network lends a hand: all of it is in the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from burnish import Detector


def test_every_format_has_it(
    hand_run: Path, metal: Path, write_formats: Callable[[Path, Path], Path], tmp_path: Path
) -> None:
    model, folder = Detector.load(hand_run), write_formats(hand_run, tmp_path / "exports")
    paths = sorted((metal / "test").rglob("*.png"))[::4]
    for suffix in (".onnx", ".xml", ".pt2"):
        exported = Detector.load(folder / f"model{suffix}")
        for path in paths:
            one, two = model.inspect(path), exported.inspect(path)
            assert two.scale_scores == pytest.approx(one.scale_scores, rel=1e-3, abs=1e-3)
            assert two.score == pytest.approx(one.score, rel=1e-4)
