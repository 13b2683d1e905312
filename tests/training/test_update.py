"""Steps of the training loop against a plain loop of torch's own optimizers."""

from __future__ import annotations

import copy
import csv
import math
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch

from burnish.configuration import make_settings
from burnish.method.masks import complementary_masks
from burnish.training.batches import draw_batch
from burnish.training.loop import Trainer, TrainingEvent
from burnish.training.samples import Samples
from burnish.training.step import discriminator_step, generator_losses, generator_pass

SMALL = {
    "image_size": 32, "patch": 8, "disc_patch": 8, "mask_blocks": (8, 16), "width": 32, "heads": 2,
    "depth_encoder": 1, "depth_decoder": 1, "disc_width": 32, "disc_heads": 2, "disc_depth": 2,
    "batch": 4, "warmup": 2, "checkpoint_minutes": 9, "precision": "float32", "steps": 5,
    "learning_rate": 2e-3, "disc_learning_rate": 7e-4, "jitter": 0.1,
}  # fmt: skip


def trainer(folder: Path, **changes: object) -> Trainer:
    folder.mkdir(parents=True, exist_ok=True)
    settings = make_settings("tiny", SMALL | changes)
    pixels = np.random.default_rng(0).integers(0, 256, (10, 1, 32, 32), dtype=np.uint8)
    return Trainer(settings, Samples(pixels, range(10)), folder, {})


@pytest.mark.parametrize("clip", [0.0, 0.05])
def test_steps_are_those_of_a_plain_loop(tmp_path: Path, clip: float) -> None:
    run = trainer(tmp_path, clip_gradient=clip)
    s = run.settings
    generator, encoder, discriminator = (
        copy.deepcopy(run.networks[name]) for name in ("generator", "encoder", "discriminator")
    )
    learners = [*generator.parameters(), *encoder.parameters()]
    adam_g, adam_d = (
        torch.optim.AdamW(
            parameters, lr=1.0, betas=(s.beta1, s.beta2), weight_decay=s.weight_decay
        )
        for parameters in (learners, list(discriminator.parameters()))
    )  # fmt: skip
    masks = complementary_masks(32, 32, s.mask_blocks)
    expected = []
    for step in range(5):
        factor = min(1, (step + 1) / 2) * 0.5 * (1 + math.cos(math.pi * step / 5))
        adam_g.param_groups[0]["lr"], adam_d.param_groups[0]["lr"] = 2e-3 * factor, 7e-4 * factor
        batch = draw_batch(run.samples, s, step, 4, 2)
        pair = masks[batch.scale]
        painted, bottleneck = generator_pass(generator, batch.images, pair, s.mask_channel)
        loss = discriminator_step(
            discriminator, adam_d, batch.images, painted, lambda value: value.backward()
        )
        kept = generator.kept(pair)
        terms = generator_losses(
            batch.images, painted, bottleneck, encoder, discriminator, s, nullcontext, None, kept
        )
        adam_g.zero_grad()
        terms["total"].backward()
        if clip:
            size = torch.stack([p.grad.square().sum() for p in learners]).sum().sqrt()
            assert size > 2 * clip
            for parameter in learners:
                parameter.grad.mul_(clip / size)
        adam_g.step()
        expected.append({"discriminator": loss.item()} | {k: v.item() for k, v in terms.items()})
    for one in expected:
        assert run.train_step() == pytest.approx(one, rel=1e-3)
    for name, plain in (
        ("generator", generator), ("encoder", encoder), ("discriminator", discriminator)
    ):  # fmt: skip
        theirs = dict(plain.named_parameters())
        for key, ours in run.networks[name].named_parameters():
            torch.testing.assert_close(ours, theirs[key], rtol=0, atol=1e-4, msg=f"{name} {key}")


def test_means_of_an_epoch_begin_anew_and_the_rest_of_the_time_is_told(tmp_path: Path) -> None:
    """Ten images, four a step: two steps an epoch."""
    events: list[TrainingEvent] = []
    steps: list[float] = []
    run = trainer(tmp_path, steps=None, epochs=3)
    run.on_step = events.append
    plain = run.train_step

    def counted() -> dict[str, float]:
        terms = plain()
        steps.append(terms["l1"])
        return terms

    run.train_step = counted  # type: ignore[method-assign]
    run.fit()
    assert len(events) == run.total_steps == 6
    rows = list(csv.DictReader((tmp_path / "losses.csv").open()))
    means = [(steps[n] + steps[n + 1]) / 2 for n in (0, 2, 4)]
    assert [float(row["l1"]) for row in rows] == pytest.approx(means, rel=1e-4)
    told = [event.losses["l1"] for event in events]
    expected = [steps[0], means[0], steps[2], means[1], steps[4], means[2]]
    assert told == pytest.approx(expected, rel=1e-6)
    assert [event.share_done for event in events] == pytest.approx([n / 6 for n in range(1, 7)])
    assert [event.epoch for event in events] == [1, 1, 2, 2, 3, 3]
    seconds = [float(row["seconds"]) for row in rows]
    assert [events[n].seconds_left for n in (1, 3, 5)] == pytest.approx(
        [seconds[0] * 2, seconds[1] / 2, 0], rel=0.02, abs=0.02
    )


def test_half_an_epoch_is_told_as_such(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    run.fit()
    assert (run.summary()["steps"], run.summary()["epochs"]) == (5, 2.5)
