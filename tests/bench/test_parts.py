"""The parts of a step: what is slowed down shows where it belongs, and the step stays the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from burnish.bench import clock, parts
from burnish.bench.parts import PARTS, step_parts
from burnish.configuration import make_settings
from burnish.training.loop import Trainer
from burnish.training.samples import Samples

MOMENT = [0.0]  # s; the only clock: what is to be slow moves it, and nothing else does


@pytest.fixture(autouse=True)
def slow_parts_alone_take_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda device: MOMENT[0])


def trainer_of(micro: dict, folder: Path, **changes: Any) -> Trainer:
    settings = make_settings("tiny", micro | {"precision": "float32"} | changes)
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (1, 32, 32), dtype=np.uint8) for _ in range(8)]
    return Trainer(settings, Samples(images, list(range(8))), folder, {})


def pause(*_: object) -> None:
    MOMENT[0] += 1.0


def in_module(network: str, part: str) -> Callable[[Trainer], None]:
    return lambda trainer: (
        trainer.networks[network].get_submodule(part).register_forward_pre_hook(pause)  # type: ignore[func-returns-value]
    )


def in_backward(network: str) -> Callable[[Trainer], None]:
    def slow(trainer: Trainer) -> None:
        net = trainer.networks[network].requires_grad_(True)  # D's is off since its last step
        next(net.parameters()).register_hook(pause)

    return slow


def in_optimiser(name: str) -> Callable[[Trainer], None]:
    return lambda trainer: trainer.optimizers[name].register_step_pre_hook(pause)  # type: ignore[arg-type, return-value]


def in_data(trainer: Trainer) -> None:
    images = trainer.samples.images

    class Slow:
        def __len__(self) -> int:
            return len(images)

        def __getitem__(self, index: int) -> Any:
            MOMENT[0] += 0.25  # the batch is of four
            return images[index]

    object.__setattr__(trainer.samples, "images", Slow())


SLOWED = {
    parts.DATA: in_data,
    parts.G_FORWARD: in_module("generator", "norm"),
    parts.D_BACKWARD: in_backward("discriminator"),
    parts.D_OPTIMISER: in_optimiser("adam_d"),
    parts.E_FORWARD: in_module("encoder", "norm"),
    parts.G_BACKWARD: in_backward("generator"),
    parts.G_OPTIMISER: in_optimiser("adam_g"),
}


@pytest.mark.parametrize("part", SLOWED)
def test_what_is_slow_shows_in_its_part(part: str, micro: dict, tmp_path: Path) -> None:
    trainer = trainer_of(micro, tmp_path)
    trainer.train_step()
    SLOWED[part](trainer)
    with step_parts(trainer) as step:
        found = step()
    assert tuple(found) == PARTS
    assert found == dict.fromkeys(PARTS, 0.0) | {part: 1.0}


def test_the_discriminator_is_seen_in_its_own_step_and_in_the_generators(
    micro: dict, tmp_path: Path
) -> None:
    trainer = trainer_of(micro, tmp_path)
    trainer.train_step()
    in_module("discriminator", "norm")(trainer)
    with step_parts(trainer) as step:
        found = step()
    expected = {parts.D_FORWARD: 1.0, parts.LOSSES: 2.0}  # both in one batch, then one by one
    assert found == dict.fromkeys(PARTS, 0.0) | expected


def test_timing_does_not_change_the_step_and_leaves_nothing_behind(
    micro: dict, tmp_path: Path
) -> None:
    bare, timed = trainer_of(micro, tmp_path / "a"), trainer_of(micro, tmp_path / "b")
    losses = [bare.train_step() for _ in range(3)]
    before = {name: len(net._forward_hooks) for name, net in timed.networks.items()}
    with step_parts(timed) as step:
        step()
    assert {name: len(net._forward_hooks) for name, net in timed.networks.items()} == before
    assert "backward" not in vars(timed.fabric)
    timed.train_step()
    assert timed.train_step() == losses[2]


def test_without_discriminator_or_encoder_their_parts_are_not_there(
    micro: dict, tmp_path: Path
) -> None:
    trainer = trainer_of(micro, tmp_path, weight_adversarial=0.0, weight_latent=0.0)
    with step_parts(trainer) as step:
        found = step()
    assert tuple(found) == (
        parts.DATA, parts.G_FORWARD, parts.LOSSES, parts.G_BACKWARD, parts.G_OPTIMISER,
    )  # fmt: skip
