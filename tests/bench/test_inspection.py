"""Inspection timed: a batch scores as its images alone; figures are in order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from burnish import Detector
from burnish.bench import inspection
from burnish.bench.inspection import BATCHES, measure_inspection, score_batch
from burnish.bench.models import compare_models, labelled
from burnish.detection.view import to_tensor
from burnish.errors import BurnishError
from burnish.images.reader import prepare, read_image


def test_a_batch_scores_as_its_images_alone(detector: Detector, metal: Path) -> None:
    files, _ = labelled(metal)
    shape, known = detector.card.shape, detector.card.calibration
    pixels = np.stack([prepare(read_image(f), shape.channels, shape.height, shape.width)
                       for f in files])  # fmt: skip
    scorer = detector.scorer.scorer
    assert scorer.position is not None
    got = score_batch(scorer, to_tensor(pixels, torch.device("cpu")),
                      *scorer.references(known.mu, known.sigma))  # fmt: skip
    alone = [detector.inspect(file).score for file in files]
    np.testing.assert_allclose(got.numpy(), alone, rtol=1e-4)
    assert np.ptp(alone) > 0.01 * np.mean(np.abs(alone))  # they differ, so order counts


def test_inspection_figures(detector: Detector, metal: Path) -> None:
    files, _ = labelled(metal)
    found = measure_inspection(detector, files[:3], 0.05)
    assert found.images >= 20
    assert found.files == 3
    assert found.source_size == (64, 64)
    assert tuple(found.stages_ms) == ("read", "preprocess", "inference", "postprocess", "total")
    assert all(0 < ms.p50 <= ms.p99 for ms in found.stages_ms.values())
    parts = sum(ms.p50 for name, ms in found.stages_ms.items() if name != "total")
    assert parts < 1.5 * found.stages_ms["total"].p50
    assert tuple(found.batches) == BATCHES["cpu"]
    assert found.batches[found.best_batch] == max(found.batches.values())
    assert 0 < found.best_batch_ms.p50 <= found.best_batch_ms.p99
    p = found.products
    assert p.reached == pytest.approx(p.flops / found.stages_ms["inference"].p50 * 1000)
    assert p.share == pytest.approx(p.reached / p.square_peak)
    assert 0 < p.share < 1


def test_the_best_batch_is_timed_as_a_whole(
    detector: Detector, metal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored = []

    def repeated(work: Callable[[], Tensor], *_: object) -> list[float]:
        scored.append(len(work()))
        return [0.1, 0.2, 0.4]

    monkeypatch.setattr(inspection, "repeated_seconds", repeated)
    found = measure_inspection(detector, labelled(metal)[0][:1], 0.02)
    assert scored == [found.best_batch]
    assert found.best_batch_ms.p50 == pytest.approx(200)
    assert found.best_batch_ms.p99 == pytest.approx(396)


def test_a_batch_of_a_tiled_model_is_one_of_tiles(metal: Path, tmp_path: Path) -> None:
    tiled = Detector.train(
        metal, "tiny", tmp_path / "run", tile=32, overlap=8, epochs=1, batch=4,
        mask_blocks=[8, 16], width=32, disc_width=32,
    )  # fmt: skip
    files, _ = labelled(metal)
    found = measure_inspection(tiled, files[:2], 0.02)
    assert found.source_size == (64, 64)
    assert all(rate > 0 for rate in found.batches.values())


def test_models_side_by_side(detector: Detector, metal: Path, tmp_path: Path) -> None:
    strict = detector.with_false_alarms(0.9)
    first, second = (
        detector.save(tmp_path / "a.safetensors"),
        strict.save(tmp_path / "b.safetensors"),
    )
    files, defective = labelled(metal)
    assert defective is not None
    a, b = compare_models([first, second], files, defective)
    assert (a.score_difference, a.verdicts_differ) == (0.0, 0)
    assert b.score_difference == 0.0
    scores = [detector.inspect(f).score for f in files]
    assert b.verdicts_differ == sum(
        (s > detector.card.calibration.threshold) != (s > strict.card.calibration.threshold)
        for s in scores
    )
    assert b.verdicts_differ > 0
    good = [s for s, bad in zip(scores, defective, strict=True) if not bad]
    bad = [s for s, bad in zip(scores, defective, strict=True) if bad]
    pairs = [(x > y) + 0.5 * (x == y) for x in bad for y in good]
    assert a.image_auroc == pytest.approx(sum(pairs) / len(pairs))
    assert a.size_mib == pytest.approx(first.stat().st_size / 2**20)
    assert a.images == len(files) == 16
    assert a.device == b.device == str(detector.scorer.scorer.device)


def test_a_folder_without_labels_gives_no_auroc(detector: Detector, metal: Path) -> None:
    files, defective = labelled(metal / "train" / "good")
    assert (len(files), defective) == (24, None)
    assert detector.path is not None
    (figures,) = compare_models([detector.path], files[:2], None)
    assert figures.image_auroc is None


def test_a_folder_without_images_is_told(tmp_path: Path) -> None:
    with pytest.raises(BurnishError, match="holds no image"):
        labelled(tmp_path)
