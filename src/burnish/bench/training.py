"""Time the steps of the real `Trainer`, and their share of the machine's peak."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch

from burnish.bench.clock import now, percentile, typical
from burnish.bench.flops import count_step, run_step
from burnish.bench.memory import peak_mib, reset_peak
from burnish.bench.parts import PARTS, step_parts
from burnish.bench.peak import products_peak, record_products, square_peak
from burnish.bench.record import Products, TrainingFigures
from burnish.images.dataset import MIN_GOOD, find_training_images
from burnish.images.store import ImageStore, load_store
from burnish.method.generator import InputShape
from burnish.settings import Settings
from burnish.training.allocator import freed_memory_kept
from burnish.training.hardware import training_precision
from burnish.training.loop import Trainer
from burnish.training.process import deterministic
from burnish.training.replay import WARM_UP as CALLS_BEFORE_REPLAY
from burnish.training.samples import Samples

WARM_UP, LEAST = 2, 5  # untimed steps, and least number of timed ones
REPLAYED = "whole"


def load_images(good: Path, settings: Settings) -> ImageStore:
    """Every image of a folder, prepared."""
    return load_store(find_training_images(good), settings, MIN_GOOD)


def make_trainer(settings: Settings, store: ImageStore, folder: Path) -> Trainer:
    """A trainer as `burnish train` would build it on these images."""
    samples = Samples(store, list(range(len(store))), settings.tile)
    return Trainer(settings, samples, folder, {})


def measure_training(trainer: Trainer, seconds: float) -> TrainingFigures:
    """Time steps for about `seconds`, at least five.

    The peak is measured before and after, and the higher one counts: a clock that rises meanwhile
    must not inflate the share.
    """
    s, device = trainer.settings, trainer.fabric.device
    shape, kind = InputShape(*trainer.samples.shape), training_type(s)
    before = square_peak(device, kind, seconds / 20)
    reset_peak(device)
    with deterministic(device), freed_memory_kept():
        with step_parts(trainer) as step:
            rounds = _rounds(step, WARM_UP, seconds)
        parts = whole = typical(rounds)
        if trainer.replay is not None:

            def replayed() -> dict[str, float]:
                start = now(device)
                trainer.train_step()
                return {REPLAYED: now(device) - start}

            rounds = _rounds(replayed, WARM_UP + CALLS_BEFORE_REPLAY, seconds)
            whole = typical(rounds)
    memory = peak_mib(device)
    totals = [sum(parts.values()) for parts in rounds]
    step_seconds = sum(whole.values())
    flops = count_step(s, shape, trainer.batch).flops
    own = record_products(lambda: run_step(s, shape, trainer.batch))
    return TrainingFigures(
        batch=trainer.batch,
        input=(shape.channels, shape.height, shape.width),
        steps=len(rounds),
        parts_ms={name: 1000 * parts[name] for name in PARTS if name in parts},
        replayed=trainer.replay is not None,
        step_ms=1000 * step_seconds,
        step_ms_p50=1000 * percentile(totals, 0.5),
        step_ms_p99=1000 * percentile(totals, 0.99),
        images_per_second=trainer.batch / step_seconds,
        peak_memory_mib=memory,
        products=Products.of(
            flops=flops,
            seconds=step_seconds,
            square_peak=max(before, square_peak(device, kind, seconds / 20)),
            products_peak=products_peak(own, device, kind, seconds / 5),
        ),
    )


def _rounds(
    step: Callable[[], dict[str, float]], unseen: int, seconds: float
) -> list[dict[str, float]]:
    """Seconds by part of each step, for about `seconds` and at least five, after the warm-up."""
    for _ in range(unseen):
        step()
    rounds: list[dict[str, float]] = []
    start = time.perf_counter()
    while len(rounds) < LEAST or time.perf_counter() - start < seconds:
        rounds.append(step())
    return rounds


def training_type(settings: Settings) -> torch.dtype:
    """The dtype of training's products."""
    return torch.bfloat16 if training_precision(settings) == "bf16-mixed" else torch.float32
