"""On a GPU a replayed step is the launched one, and runs repeat to the last bit."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from burnish.configuration import make_settings
from burnish.images.synthetic.surfaces import make_surface
from burnish.training.loop import Interrupted, Trainer, TrainingEvent
from burnish.training.samples import Samples

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

MICRO = {
    "image_size": 64, "patch": 8, "disc_patch": 8, "mask_blocks": (8, 16), "width": 64, "heads": 2,
    "depth_encoder": 2, "depth_decoder": 2, "disc_width": 64, "disc_heads": 2, "disc_depth": 2,
    "batch": 4, "warmup": 4, "schedule": "cosine", "clip_gradient": 1.0, "ema": 0.9,
    "flips": "both", "weight_latent": 1.0, "tome_r": 4, "checkpoint_minutes": 9, "steps": 24,
}  # fmt: skip


def fit(
    folder: Path, resume: bool = False, stop_after: int = 0, **changes: object
) -> tuple[list[float], list[Tensor]]:
    """Every step's total loss, and all weights at the end."""
    folder.mkdir(exist_ok=True)
    settings = make_settings("tiny", MICRO | changes)
    rng = np.random.default_rng(0)
    images = np.stack([make_surface("brushed", (64, 64), rng)[None] for _ in range(12)])

    def stop(event: TrainingEvent) -> None:
        if event.step == stop_after:
            signal.raise_signal(signal.SIGINT)

    run = Trainer(settings, Samples(images, range(12)), folder, {}, stop)
    totals, step = [], run.train_step

    def noted() -> dict[str, float]:
        terms = step()
        totals.append(terms["total"])
        return terms

    run.train_step = noted  # type: ignore[method-assign]
    run.fit(resume)
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
    with pytest.raises(Interrupted):
        fit(tmp_path / "c", stop_after=11)
    rest, resumed = fit(tmp_path / "c", resume=True)
    assert rest == totals[11:]
    assert same(unbroken, resumed)


def test_float32_on_the_gpu_is_that_of_the_processor(tmp_path: Path) -> None:
    there, _ = fit(tmp_path / "a", precision="float32", steps=6)
    here, _ = fit(tmp_path / "b", precision="float32", steps=6, accelerator="cpu")
    assert there == pytest.approx(here, rel=1e-3)


@pytest.mark.slow
def test_compiled_blocks_learn_the_same(tmp_path: Path) -> None:
    plain, _ = fit(tmp_path / "a", precision="float32", steps=8)
    compiled, _ = fit(tmp_path / "b", precision="float32", steps=8, compiled=True)
    assert compiled == pytest.approx(plain, rel=1e-3)
