"""A training step split by part, from outside: hooks on the networks and optimisers of the real
`Trainer`; nothing of the step is copied or changed.

A hook marks the end of a part, so the parts add up to the whole step. On a GPU every hook waits for
the device, which an ordinary step does not do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from burnish.bench.clock import Laps
from burnish.training.loop import Trainer

DATA = "data"
D_FORWARD, D_BACKWARD, D_OPTIMISER = "D forward", "D backward", "D optimiser"
G_FORWARD, G_BACKWARD, G_OPTIMISER = "G forward", "G and E backward", "G and E optimiser"
E_FORWARD, LOSSES = "E forward", "losses of G and E"
PARTS = (
    DATA, G_FORWARD, D_FORWARD, D_BACKWARD, D_OPTIMISER, LOSSES, E_FORWARD, G_BACKWARD, G_OPTIMISER,
)  # fmt: skip
"""In the order they first come in a step. "losses of G and E" holds L1, SSIM, gradient and D's
features of part and reconstruction; the optimisers' parts hold clipping and averaging."""


@contextmanager
def step_parts(trainer: Trainer) -> Iterator[Callable[[], dict[str, float]]]:
    """Yield a function that does one step and returns the seconds of each part. On a GPU the step
    is not replayed as a graph."""
    laps = Laps(trainer.fabric.device)
    phase = {"generator": False}  # whether D's step is over
    handles: list[Any] = []

    def ends(part: str) -> Callable[..., None]:
        return lambda *_: laps.mark(part)

    def before_generator(*_: object) -> None:
        phase["generator"] = "discriminator" not in trainer.networks
        laps.mark(DATA)

    def around_discriminator(after: bool) -> Callable[..., None]:
        def mark(*_: object) -> None:
            # What comes before D's own step is the merging of the halves.
            laps.mark(LOSSES if phase["generator"] else D_FORWARD if after else G_FORWARD)

        return mark

    def after_adam_d(*_: object) -> None:
        laps.mark(D_OPTIMISER)
        phase["generator"] = True

    backward, replay = trainer.fabric.backward, trainer.replay

    def timed_backward(*given: Any, **named: Any) -> None:
        laps.mark(LOSSES if phase["generator"] else D_FORWARD)
        backward(*given, **named)
        laps.mark(G_BACKWARD if phase["generator"] else D_BACKWARD)

    nets, adams = trainer.networks, trainer.optimizers
    handles.append(nets["generator"].register_forward_pre_hook(before_generator))
    handles.append(nets["generator"].register_forward_hook(ends(G_FORWARD)))
    if "encoder" in nets:
        handles.append(nets["encoder"].register_forward_pre_hook(ends(LOSSES)))
        handles.append(nets["encoder"].register_forward_hook(ends(E_FORWARD)))
    if "discriminator" in nets:
        net = nets["discriminator"]
        handles.append(net.register_forward_pre_hook(around_discriminator(False)))
        handles.append(net.register_forward_hook(around_discriminator(True)))
        handles.append(adams["adam_d"].register_step_post_hook(after_adam_d))

    def step() -> dict[str, float]:
        laps.begin()
        trainer.train_step()
        laps.mark(G_OPTIMISER)
        return laps.rounds[-1]

    trainer.fabric.backward = timed_backward  # type: ignore[method-assign]
    trainer.replay = None
    try:
        yield step
    finally:
        del trainer.fabric.backward
        trainer.replay = replay
        for handle in handles:
            handle.remove()
