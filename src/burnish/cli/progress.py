"""Progress of training on a terminal (a bar) or in a log (a line now and then)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from burnish.cli.say import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import TaskID

    from burnish.cli.console import Console
    from burnish.detection.stages import Stage

STAGES = {"data": "read", "train": "train", "calibrate": "calibrate"}  # stage -> title of its bar
LOG_EVERY = 20.0  # s between lines where there is no terminal
SHOWN = {"total": "loss", "l1": "L1", "ssim": "SSIM", "gradient": "grad", "adversarial": "adv",
         "latent": "enc", "discriminator": "D"}  # fmt: skip


def clock(seconds: float) -> str:
    """90 -> "1:30"."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def loss_text(losses: dict[str, float]) -> str:
    """`loss 3.12  L1 0.041  ...`, in the order of the paper's equations."""
    return "  ".join(f"{label} {losses[n]:.3g}" for n, label in SHOWN.items() if n in losses)


@contextmanager
def training_progress(console: Console) -> Iterator[Callable[[Stage], None]]:
    """Yield the `on_stage` function for `Detector.train`."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (
        TextColumn("{task.description:<9}"),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TextColumn("{task.fields[note]}"),
    )
    last = time.monotonic()
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        tasks: dict[str, TaskID] = {}

        def on_stage(stage: Stage) -> None:
            nonlocal last
            if stage.message:
                say(console, stage.message)
            step = not stage.message or stage.done > 0
            if stage.name not in STAGES or not step:
                return
            if stage.name not in tasks:
                tasks[stage.name] = bar.add_task(STAGES[stage.name], total=1.0, note="")
            note = ""
            if stage.event is not None:
                left = clock(stage.event.seconds_left)
                note = f"epoch {stage.event.epoch}  {loss_text(stage.event.losses)}  {left} left"
            bar.update(tasks[stage.name], completed=stage.done, note=note)
            if not (console.is_terminal or stage.message) and time.monotonic() - last > LOG_EVERY:
                last = time.monotonic()
                line = f"{STAGES[stage.name]} {100 * stage.done:3.0f} %  {note}".rstrip()
                console.print(line, highlight=False, soft_wrap=True)

        yield on_stage


@contextmanager
def image_progress(console: Console, name: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function (done, all) that moves a bar; it does nothing without a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn(f"{name:<9}"), BarColumn(bar_width=24), MofNCompleteColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
