"""A GPU gives the processor's scores and verdicts, replayed or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from burnish import Detector

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def test_scores_maps_and_verdicts_are_the_processors(run_folder: Path, metal: Path) -> None:
    """To 1e-3 of the threshold: it stands so far above the score that it comes from."""
    here, there = Detector.load(run_folder, "cpu"), Detector.load(run_folder, "cuda")
    files = sorted((metal / "test").rglob("*.png"))[:12]
    assert len(files) > 5  # the first three are launched, the rest replayed
    for file in files:
        one, other = here.inspect(file), there.inspect(file)
        assert abs(one.score - other.score) < 1e-3 * abs(one.threshold)
        assert one.is_defect == other.is_defect
        span = np.ptp(one.anomaly_map)
        np.testing.assert_allclose(other.anomaly_map, one.anomaly_map, rtol=0, atol=1e-2 * span)


def test_a_score_does_not_depend_on_what_was_seen_before(run_folder: Path, metal: Path) -> None:
    files = sorted((metal / "test").rglob("*.png"))[:6]
    detector = Detector.load(run_folder, "cuda")
    forth = [detector.inspect(file).score for file in files]
    again = [detector.inspect(file).score for file in reversed(files)][::-1]
    assert forth[3:] == again[3:]  # both replayed
    assert forth == pytest.approx(again, rel=1e-5)
