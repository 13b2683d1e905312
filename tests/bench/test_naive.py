"""The plain version computes what burnish computes: losses, weights, scores, verdicts, maps.

Tolerances, stated in docs/speed.md: losses to 1e-4 of their size, weights to 1e-4 after four steps,
scores to 1e-3 of their size, maps to 1e-3 of their range.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from burnish import Detector
from burnish.bench.against import load_plain
from burnish.configuration import make_settings
from burnish.images.dataset import find_test_images, find_training_images
from burnish.images.store import load_store
from burnish.training.loop import Trainer
from burnish.training.samples import Samples

STEPS = 4
LENGTH = {"precision": "float32", "steps": 20, "warmup": 2}


@pytest.fixture(scope="module")
def naive() -> Any:
    return load_plain(make_settings("tiny"))


VARIANTS: dict[str, dict[str, Any]] = {
    "tiny": {},
    "paper's losses and schedule": {"schedule": "constant", "clip_gradient": 0.0,
                                    "ema": 0.0, "flips": "none"},
    "small's depth": {"depth_encoder": 3, "depth_decoder": 3, "disc_depth": 4, "tome_r": 4},
    "consistency alone": {"weight_adversarial": 0.0, "weight_latent": 0.0, "skip": "none"},
    "dropped tokens": {"hidden_tokens": "drop"},
    "another lamp": {"jitter": 0.2},
    "mirrored by itself": {"flips": "auto"},
    "level light": {"jitter": 0.2, "level_light": True},
    "normalised attention": {"qk_norm": True},
    "colour, all skips": {"colour": "rgb", "skip": "all", "flips": "horizontal"},
}  # fmt: skip


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_training_is_the_same(
    naive: Any, changes: dict[str, Any], metal: Path, micro: dict, tmp_path: Path
) -> None:
    settings = make_settings("tiny", micro | LENGTH | changes)
    paths = find_training_images(metal)
    store = load_store(paths, settings, 8)
    trainer = Trainer(settings, Samples(store, list(range(len(store)))), tmp_path, {})
    plain = naive.Trainer(trainer, store.paths)
    start = {k: v.clone() for k, v in trainer.networks["generator"].state_dict().items()}
    for _ in range(STEPS):
        fast, slow = trainer.train_step(), plain.train_step()
        assert fast.keys() == slow.keys()
        for name, value in fast.items():
            assert value == pytest.approx(slow[name], rel=1e-4), name
    moved = 0.0
    for name, network in trainer.networks.items():
        for key, value in network.state_dict().items():
            torch.testing.assert_close(
                plain.networks[name].state_dict()[key], value, rtol=0, atol=1e-4
            )
            if name == "generator":
                moved = max(moved, (value - start[key]).abs().max().item())
    assert moved > 1e-3  # ten times the tolerance: the weights that agree have moved


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"error": "absolute", "smoothing": 2.0, "fusion": "paper", "reduction": "mean",
         "standardise": "none"},
        {"fusion": "mean", "reduction": "top", "top_share": 0.05, "error": "relative"},
        {"error": "relative", "smoothing": 2.0, "reduction": "top", "top_share": 0.01},
        {"hidden_tokens": "drop", "qk_norm": True, "error": "relative", "fusion": "highest",
         "texture": ("residual:1", "residual:2", "image:1", "image:2"), "texture_factors": 2,
         "lines": (1, 2), "whole": True, "extremes": True, "reduction": "top", "top_share": 0.01},
        {"level_light": True, "error": "relative", "texture": ("residual:1",)},
    ],
    ids=["tiny", "paper", "mean and top", "relative", "texture, lines, whole, extremes",
         "level light"],
)  # fmt: skip
def test_inspection_is_the_same(
    naive: Any, changes: dict[str, Any], metal: Path, micro: dict, tmp_path: Path
) -> None:
    _inspects_alike(naive, metal, micro | changes, tmp_path)


def test_inspection_of_colour_images_is_the_same(
    naive: Any, brass: Path, micro: dict, tmp_path: Path
) -> None:
    changes = {"texture": ("image:1", "colour:1", "residual:2"), "whole": True, "extremes": True,
               "fusion": "highest", "level_light": True, "lines": (1,)}  # fmt: skip
    _inspects_alike(naive, brass, micro | changes, tmp_path)


def _inspects_alike(naive: Any, data: Path, changes: dict[str, Any], run: Path) -> None:
    detector = Detector.train(data, "tiny", run, steps=8, false_alarms=0.5, **changes)
    plain = naive.Inspector(detector)
    verdicts = set()
    for image in find_test_images(data):
        result = detector.inspect(image.path)
        score, is_defect, anomaly_map = plain.inspect(image.path)
        assert score == pytest.approx(result.score, rel=1e-3)
        assert is_defect == result.is_defect
        span = float(np.ptp(result.anomaly_map))
        np.testing.assert_allclose(anomaly_map, result.anomaly_map, rtol=0, atol=1e-3 * span)
        verdicts.add(is_defect)
    assert verdicts == {True, False}
