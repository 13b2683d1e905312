"""All measurements of `burnish bench`, one after the other."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

import burnish
from burnish.bench.against import load_plain, race
from burnish.bench.images import pictures
from burnish.bench.inspection import measure_inspection
from burnish.bench.machine import hardware
from burnish.bench.models import compare_models, labelled
from burnish.bench.record import Bench, Machine
from burnish.bench.training import load_images, make_trainer, measure_training
from burnish.configuration import make_settings
from burnish.detection.detector import Detector, pick_device
from burnish.errors import BurnishError
from burnish.training.hardware import resolve_precision, training_precision

Tell = Callable[[str], None]


@contextmanager
def threads_of(count: int | None) -> Iterator[int]:
    """Set torch's number of threads inside; None leaves it. Yields the number in use."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


def run_bench(
    preset: str,
    changes: Mapping[str, Any],
    data: Path | None,
    threads: int | None,
    seconds: float,
    against_naive: bool,
    command: str,
    tell: Tell,
) -> Bench:
    """Train and inspect for a while with a preset; see `burnish bench`.

    Args:
        data: good images or MVTec AD layout; None: images are made.
        seconds: for each measurement; at least five steps and 20 images are timed however long
            they take.
        tell: called with what is being done.

    Raises:
        BurnishError: settings or data do not fit, or there is no plain version here.
    """
    settings = resolve_precision(make_settings(preset, changes))
    plain = load_plain(settings) if against_naive else None
    with (
        threads_of(threads) as count,
        pictures(data, settings) as good,
        tempfile.TemporaryDirectory(prefix="burnish-bench-") as name,
    ):
        work = Path(name)
        store = load_images(good, settings)
        if plain is not None and store.alignment is not None:
            raise BurnishError(
                "these images show parts that are found and turned, which the plain version does "
                "not do: --set align=none, or leave --against naive out"
            )
        tell("training: timing steps")
        training = measure_training(make_trainer(settings, store, work / "timed"), seconds)
        tell("inspection: a model of one step, calibrated (its speed is that of any other)")
        detector = _model_of_one_step(good, preset, settings.precision, changes, work / "model")
        tell("inspection: timing images")
        inspection = measure_inspection(detector, store.paths, seconds)
        naive = None
        if plain is not None:
            tell("against the plain version, in turns")
            trainer = make_trainer(settings, store, work / "raced")
            naive = race(plain, trainer, store.paths, detector, seconds)
    return Bench(
        command=command,
        preset=preset,
        changes=dict(changes),
        data="made by burnish" if data is None else str(data),
        machine=_machine(str(detector.scorer.scorer.device), count, training_precision(settings)),
        training=training,
        inspection=inspection,
        naive=naive,
    )


def _model_of_one_step(
    good: Path, preset: str, precision: str, changes: Mapping[str, Any], out: Path
) -> Detector:
    """A calibrated model that is trained for one step: it inspects as fast as any other."""
    short: dict[str, Any] = {**changes, "precision": precision, "steps": 1}
    short |= {"epochs": None, "minutes": None}
    # Without a listener its warnings would be logged, and they do not matter for its speed.
    return Detector.train(good, preset, out, on_stage=lambda stage: None, **short)


def bench_models(
    models: Sequence[Path],
    data: Path | None,
    threads: int | None,
    command: str,
    tell: Tell,
    left_out: Tell = lambda problem: None,
) -> Bench:
    """Model files side by side on the images of `data`.

    Args:
        left_out: called with the problem of each image that cannot be read.

    Raises:
        BurnishError: no data, a model that cannot be read, or no image that can.
    """
    if data is None:
        raise BurnishError("--model is compared on real images: name their folder with --data")
    files, defective = labelled(data)
    with threads_of(threads) as count:
        tell(f"{len(models)} models judge {len(files)} images, in turns")
        figures = compare_models(models, files, defective, left_out)
    return Bench(
        command=command,
        preset="",
        changes={},
        data=str(data),
        machine=_machine(str(pick_device("auto")), count, "32-true"),
        models=figures,
    )


def _machine(device: str, threads: int, precision: str) -> Machine:
    return Machine(
        hardware=hardware(device, threads),
        device=device,
        threads=threads,
        precision={"bf16-mixed": "bfloat16", "32-true": "float32"}[precision],
        torch=torch.__version__,
        burnish=burnish.__version__,
    )
