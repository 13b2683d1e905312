"""burnish against a plain version of itself, in turns in one process.

A turn is a few steps or images after an untimed one, which lets each side's memory settle.

The plain version, benchmarks/naive, is not part of the package: it is found beside a checkout.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

import burnish
from burnish.bench.clock import now, percentile
from burnish.bench.record import Against
from burnish.detection.detector import Detector
from burnish.errors import BurnishError
from burnish.settings import Settings
from burnish.training.allocator import freed_memory_kept
from burnish.training.loop import Trainer
from burnish.training.process import deterministic

LEAST, TURN, BLOCK = 4, 2, 8  # least number of timed steps; steps, and images, in a turn
TIE = 1e-4  # share of the threshold within which rounding may decide the verdict
SUPPORTED: dict[str, tuple[object, ...]] = {  # values that the plain version knows
    "roi": ("",), "tile": ("full",), "mask_channel": (False,), "features": ("",),
    "align": ("none", "auto"),  # whether "auto" found parts is known when the images are read
}  # fmt: skip


def load_plain(settings: Settings) -> ModuleType:
    """The package benchmarks/naive.

    Raises:
        BurnishError: it is not there, or cannot do what `settings` ask for.
    """
    for name, known in SUPPORTED.items():
        if getattr(settings, name) not in known:
            raise BurnishError(
                f"the plain version knows no {name}={getattr(settings, name)}: "
                "leave --against naive out, or the setting"
            )
    path = Path(burnish.__file__).resolve().parents[2] / "benchmarks" / "naive"
    if not (path / "__init__.py").is_file():
        raise BurnishError(
            f"the plain version is part of the source, not of the installed package: there is no "
            f"{path}. Get the source, `pip install -e .` in it, and run --against naive there"
        )
    spec = util.spec_from_file_location("burnish_naive", path / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its own files import each other
    spec.loader.exec_module(module)
    return module


def race(
    plain: ModuleType,
    trainer: Trainer,
    good: Sequence[Path],
    detector: Detector,
    seconds: float,
) -> Against:
    """Time steps and images in turns, so that a drifting clock affects both alike.

    Args:
        trainer: untouched; the plain one starts with its weights.
        good: the files of the trainer's images, in its order.
        seconds: for training, and again for inspection.
    """
    device = trainer.fabric.device
    slow = plain.Trainer(trainer, list(good))
    train: dict[str, list[float]] = {"ours": [], "plain": []}
    differences: list[float] = []
    start = time.perf_counter()
    with deterministic(device):
        while len(train["plain"]) < LEAST or time.perf_counter() - start < seconds:
            with freed_memory_kept():  # ours alone has it, as `fit` does
                ours = _turn(trainer.train_step, train["ours"], device)
            differences.append(_difference(ours, _turn(slow.train_step, train["plain"], device)))
    inspect: dict[str, list[float]] = {"ours": [], "plain": []}
    inspector, scores, verdicts = plain.Inspector(detector), [0.0], 0
    start, count = time.perf_counter(), 0
    while count < len(good) or time.perf_counter() - start < seconds:
        files = [good[(count + index) % len(good)] for index in range(BLOCK)]
        with freed_memory_kept():  # ours alone has it, as `burnish inspect` does
            detector.inspect(files[0])
            judged = [
                _timed(lambda f=f: detector.inspect(f), inspect["ours"], device) for f in files
            ]
        inspector.inspect(files[0])
        plainly = [
            _timed(lambda f=f: inspector.inspect(f), inspect["plain"], device) for f in files
        ]
        for place, (result, (score, is_defect, _)) in enumerate(zip(judged, plainly, strict=True)):
            scores.append(abs(result.score - score) / max(abs(score), 1e-12))
            if count + place < len(good) and abs(score / result.threshold - 1) > TIE:
                verdicts += is_defect != result.is_defect
        count += BLOCK
    train_ms, train_naive_ms = (1000 * percentile(t, 0.5) for t in train.values())
    inspect_ms, inspect_naive_ms = (1000 * percentile(t, 0.5) for t in inspect.values())
    return Against(
        train_ms=train_ms,
        train_naive_ms=train_naive_ms,
        train_speedup=train_naive_ms / train_ms,
        train_difference=differences[0],  # later steps drift apart, as rounding differs
        inspect_ms=inspect_ms,
        inspect_naive_ms=inspect_naive_ms,
        inspect_speedup=inspect_naive_ms / inspect_ms,
        inspect_difference=max(scores),
        verdicts_differ=verdicts,
        steps=len(train["ours"]),
        images=count,
    )


def _turn(
    step: Callable[[], dict[str, float]], into: list[float], device: torch.device
) -> dict[str, float]:
    """One untimed step, for the memory to settle, and some timed ones; the first one's losses."""
    first = step()
    for _ in range(TURN):
        _timed(step, into, device)
    return first


def _timed(work: Any, into: list[float], device: torch.device) -> Any:
    start = now(device)
    result = work()
    into.append(now(device) - start)
    return result


def _difference(ours: Mapping[str, float], theirs: Mapping[str, float]) -> float:
    return max(abs(ours[k] - theirs[k]) / max(abs(theirs[k]), 1e-12) for k in theirs)
