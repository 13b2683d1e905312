"""On a GPU a replayed step is the launched one, and runs repeat to the last bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from burnish.configuration import make_settings
from burnish.images.synthetic.surfaces import make_surface
from burnish.training.loop import Trainer
from burnish.training.samples import Samples

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

MICRO = {
    "image_size": 64, "patch": 8, "disc_patch": 8, "mask_blocks": (8, 16), "width": 64, "heads": 2,
    "depth_encoder": 2, "depth_decoder": 2, "disc_width": 64, "disc_heads": 2, "disc_depth": 2,
    "batch": 4, "warmup": 4, "schedule": "cosine", "clip_gradient": 1.0, "ema": 0.9,
    "flips": "both", "weight_latent": 1.0, "tome_r": 4, "checkpoint_minutes": 0, "steps": 24,
}  # fmt: skip


def fit(folder: Path, resume: bool = False, **changes: object) -> tuple[list[float], list[Tensor]]:
    """Every step's total loss, and all weights at the end."""
    settings = make_settings("tiny", MICRO | changes)
    rng = np.random.default_rng(0)
    images = np.stack([make_surface("brushed", (64, 64), rng)[None] for _ in range(12)])
    totals: list[float] = []
    run = Trainer(settings, Samples(images, range(12)), folder, {})
    assert run.fabric.device.type == "cuda"
    step = run.train_step

    def noted() -> dict[str, float]:
        terms = step()
        totals.append(terms["total"])
        return terms

    run.train_step = noted  # type: ignore[method-assign]
    run.fit(resume=resume)
    return totals, [v.cpu() for net in run.networks.values() for v in net.state_dict().values()]


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(map(torch.equal, one, other))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("hidden", ["keep", "drop"])
def test_a_replayed_step_is_the_launched_one(tmp_path: Path, precision: str, hidden: str) -> None:
    changes = {"precision": precision, "hidden_tokens": hidden}
    replayed, one = fit(tmp_path / "a", **changes)
    launched, other = fit(tmp_path / "b", **changes, cuda_graph=False)
    assert replayed[-1] < replayed[0]
    assert replayed == pytest.approx(launched, rel=1e-3)
    differences = [(a - b).abs().max().item() for a, b in zip(one, other, strict=True)]
    assert max(differences) < 1e-3


def test_runs_repeat_and_a_resumed_one_equals_an_unbroken_one(tmp_path: Path) -> None:
    totals, unbroken = fit(tmp_path / "a")
    again, repeated = fit(tmp_path / "b")
    assert totals == again
    assert same(unbroken, repeated)
    fit(tmp_path / "c", steps=11, schedule="constant")
    stop, steps = 11, []

    class Stop(Exception):
        pass

    settings = make_settings("tiny", MICRO)
    rng = np.random.default_rng(0)
    images = np.stack([make_surface("brushed", (64, 64), rng)[None] for _ in range(12)])
    run = Trainer(settings, Samples(images, range(12)), tmp_path / "d", {})
    run.on_step = lambda event: steps.append(event.step)  # type: ignore[method-assign]
    before = run.save

    def save() -> None:
        before()
        if len(steps) >= stop:
            raise Stop

    run.save = save  # type: ignore[method-assign]
    with pytest.raises(Stop):
        run.fit()
    _, resumed = fit(tmp_path / "d", resume=True)
    assert same(unbroken, resumed)


def test_float32_on_the_gpu_is_that_of_the_processor(tmp_path: Path) -> None:
    on_gpu, _ = fit(tmp_path / "a", precision="float32", steps=6)
    settings = make_settings("tiny", MICRO | {"precision": "float32", "steps": 6} |
                             {"accelerator": "cpu"})  # fmt: skip
    rng = np.random.default_rng(0)
    images = np.stack([make_surface("brushed", (64, 64), rng)[None] for _ in range(12)])
    run = Trainer(settings, Samples(images, range(12)), tmp_path / "b", {})
    assert on_gpu == pytest.approx([run.train_step()["total"] for _ in range(6)], rel=1e-3)


@pytest.mark.slow
def test_compiled_blocks_learn_the_same(tmp_path: Path) -> None:
    plain, _ = fit(tmp_path / "a", precision="float32", steps=8)
    compiled, _ = fit(tmp_path / "b", precision="float32", steps=8, compiled=True)
    assert compiled == pytest.approx(plain, rel=1e-3)
