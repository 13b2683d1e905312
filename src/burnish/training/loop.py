"""The training loop: a batch, a mask scale, D's step, then that of G and E (section 2.4.1)."""

from __future__ import annotations

import copy
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from burnish.errors import BurnishError
from burnish.method.generator import Generator, InputShape
from burnish.method.masks import complementary_masks
from burnish.settings import Settings
from burnish.training.allocator import freed_memory_kept
from burnish.training.batches import draw_batch
from burnish.training.compiling import compile_blocks, failures_reported, release_blocks
from burnish.training.hardware import training_precision
from burnish.training.log import LossLog
from burnish.training.networks import (
    average_weights,
    make_networks,
    make_optimizers,
    set_learning_rates,
)
from burnish.training.process import deterministic, launch, stop_on_signals
from burnish.training.replay import Replay
from burnish.training.samples import Samples
from burnish.training.state import CHECKPOINT, Progress, load_state, save_state
from burnish.training.update import Update

UNLIMITED = 10**9  # steps


class Interrupted(BurnishError):
    """Training stopped on request, after saving; `--resume` goes on."""


@dataclass(frozen=True)
class TrainingEvent:
    """What `on_step` is given after every step.

    Attributes:
        share_done: in (0, 1], by steps or by time, whichever is further.
        seconds_left: estimated from the time so far.
        losses: mean of each loss term over the epoch so far.
    """

    step: int
    total_steps: int
    epoch: int
    share_done: float
    seconds_left: float
    losses: dict[str, float]


class Trainer:
    """Trains on good images and leaves a checkpoint that a later run can go on from.

    Args:
        settings: the run's settings.
        samples: good images, or crops of them.
        folder: where checkpoint and logs go.
        identity: JSON-ready facts that a resumed run must share (settings, data fingerprint).
        on_step: called after every step, on the main process only.
    """

    def __init__(
        self,
        settings: Settings,
        samples: Samples,
        folder: Path,
        identity: Mapping[str, Any],
        on_step: Callable[[TrainingEvent], None] = lambda event: None,
    ) -> None:
        self.settings, self.samples = settings, samples
        self.identity, self.on_step = identity, on_step
        self.checkpoint = folder / CHECKPOINT
        self.batch = min(settings.batch, len(samples))
        self.steps_per_epoch = len(samples) // self.batch
        self.total_steps = self._total_steps()
        self.fabric = launch(settings, self.batch)
        self.progress = Progress()
        self._stop = threading.Event()
        self._build()
        self.log = LossLog(folder) if self.fabric.is_global_zero else None

    def _total_steps(self) -> int:
        if self.settings.steps is not None:
            return self.settings.steps
        if self.settings.epochs is not None:
            return self.settings.epochs * self.steps_per_epoch
        return UNLIMITED  # minutes alone decide

    def _build(self) -> None:
        s, fabric = self.settings, self.fabric
        channels, height, width = self.samples.shape
        self.networks = make_networks(s, InputShape(channels, height, width))
        self.optimizers = make_optimizers(s, self.networks, fabric.device, self._replayed)
        self.wrapped = {name: fabric.setup_module(net) for name, net in self.networks.items()}
        self.stepping: dict[str, Any] = {
            name: fabric.setup_optimizers(optimizer) for name, optimizer in self.optimizers.items()
        }
        self.update = Update(s, fabric, dict(self.networks), self.wrapped, self.stepping)
        self.averaged = copy.deepcopy(self.networks["generator"]) if s.ema else None
        if s.compiled:
            compile_blocks(self.networks)
        self.replay = Replay(self.update) if self._replayed else None
        self._ahead: tuple[Tensor, Tensor, Tensor | None] | None = None  # the next batch, if drawn
        if self.averaged is not None:
            self.networks["averaged"] = self.averaged.requires_grad_(False)
        self.masks = complementary_masks(height, width, s.mask_blocks).to(fabric.device)

    @property
    def _replayed(self) -> bool:
        """Whether steps are replayed as a CUDA graph, which several processes (DDP) cannot do."""
        asked, fabric = self.settings.cuda_graph, self.fabric
        return asked and fabric.device.type == "cuda" and fabric.world_size == 1

    def fit(self, resume: bool = False) -> Generator:
        """Train to the end and return the generator to keep (the averaged one with `ema`).

        Raises:
            Interrupted: SIGINT or SIGTERM came; the state is saved.
            BurnishError: the loss is no longer finite, or the folder cannot be written to.
        """
        if resume and self.checkpoint.exists():
            self.progress = load_state(self.checkpoint, self.networks, self.optimizers)
        start = time.monotonic() - self.progress.seconds
        saved = time.monotonic()
        device = self.fabric.device
        with stop_on_signals(self._stop), deterministic(device), freed_memory_kept():
            while not self._finished():
                terms = self.train_step()
                self.progress.seconds = time.monotonic() - start
                self._record(terms)
                due = time.monotonic() - saved >= 60 * self.settings.checkpoint_minutes
                if self._agreed(self._stop.is_set()):
                    self.save()
                    raise Interrupted(
                        f"stopped at step {self.progress.step}; everything is saved in "
                        f"{self.checkpoint.parent}: the same command with --resume goes on "
                        "(in Python: resume=True)"
                    )
                if due and not self._finished():
                    self.save()
                    saved = time.monotonic()
        self.save()
        if self.log is not None and self.progress.sums:  # the end cut an epoch short
            self.log.write([*self.progress.rows, self.progress.row(self.steps_per_epoch)])
        release_blocks(self.networks)
        kept = self.networks["generator"] if self.averaged is None else self.averaged
        assert isinstance(kept, Generator)
        return kept

    def save(self) -> None:
        """Write the checkpoint (main process only)."""
        if self.fabric.is_global_zero:
            save_state(
                self.checkpoint, self.networks, self.optimizers, self.progress, self.identity
            )

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files (there are several under DDP)."""
        return self.fabric.is_global_zero

    def wait(self) -> None:
        """Let all processes of a DDP run meet."""
        self.fabric.barrier()

    def describe(self) -> str:
        """Device, precision and length for people."""
        device, precision = self.fabric.device, training_precision(self.settings)
        length = f"{self.total_steps} steps" if self.total_steps < UNLIMITED else ""
        if self.settings.minutes is not None:
            length = f"{length}{', ' if length else ''}at most {self.settings.minutes:g} minutes"
        return f"{device} ({precision}), {length}"

    def summary(self) -> dict[str, Any]:
        """The facts on the training that the model file keeps."""
        p = self.progress
        return {
            "steps": p.step,
            "epochs": p.step / self.steps_per_epoch,
            "seconds": round(p.seconds, 1),
            "device": str(self.fabric.device),
            "threads": p.threads,
            "precision": training_precision(self.settings),
            "last_losses": p.rows[-1] if p.rows else {},
        }

    def _share_done(self) -> float:
        """Progress in [0, 1], by steps or by time, whichever is further."""
        share = self.progress.step / self.total_steps
        if self.settings.minutes is not None:
            share = max(share, self.progress.seconds / (60 * self.settings.minutes))
        return min(share, 1.0)

    def _finished(self) -> bool:
        return self._agreed(self._share_done() >= 1)

    def _agreed(self, flag: bool) -> bool:
        """The first process's flag, for all: clocks and signals differ between processes."""
        if self.fabric.world_size == 1:
            return flag
        return bool(self.fabric.broadcast(flag))

    def train_step(self) -> dict[str, float]:
        """One step of D, then of G and E; returns the loss terms (which waits for the device)."""
        (images, masks, inside), self._ahead = self._ahead or self._batch(self.progress.step), None
        set_learning_rates(self.optimizers, self.settings, self.progress.step, self._share_done())
        with failures_reported():
            values = (self.replay or self.update)(images, masks, inside)
        if self.averaged is not None:
            generator = self.networks["generator"]
            average_weights(self.averaged, generator, self.settings.ema, self.progress.step)
        if self.replay is not None:  # while the GPU works; a CPU would gain nothing
            self._ahead = self._batch(self.progress.step + 1)
        numbers = dict(zip(self.update.names, values.tolist(), strict=True))
        if not all(map(math.isfinite, numbers.values())):
            raise BurnishError(
                f"training diverged: loss {numbers} at step {self.progress.step}. "
                "Train again with --overwrite and a lower learning_rate"
            )
        self.progress.step += 1
        self.progress.threads = torch.get_num_threads()
        return numbers

    def _batch(self, step: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """This process's share of a step's images, a scale's masks (2, H, W), and regions."""
        fabric = self.fabric
        batch = draw_batch(
            self.samples, self.settings, step, self.batch, len(self.masks), fabric.device
        )
        mine = slice(fabric.global_rank, None, fabric.world_size)
        inside = None if batch.inside is None else batch.inside[mine]
        return batch.images[mine], self.masks[batch.scale], inside

    def _record(self, terms: Mapping[str, float]) -> None:
        p = self.progress
        for name, value in terms.items():
            p.sums[name] = p.sums.get(name, 0.0) + value
        row = p.row(self.steps_per_epoch)
        if p.step % self.steps_per_epoch == 0:
            p.rows.append(row)
            p.sums = {}
            if self.log is not None:
                self.log.write(p.rows)
        if self.fabric.is_global_zero:
            share = max(self._share_done(), 1e-9)
            left = p.seconds * (1 - share) / share
            means = {name: row[name] for name in terms}
            self.on_step(
                TrainingEvent(p.step, self.total_steps, int(row["epoch"]), share, left, means)
            )
