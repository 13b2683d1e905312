"""The training cost of two settings: seconds per step, measured in turns; FLOPs; tokens.

In turns, because a machine's speed drifts: times taken a minute apart are not comparable.
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from burnish.bench.flops import count_step
from burnish.bench.machine import hardware
from burnish.configuration import make_settings
from burnish.detection.training_data import hold_out
from burnish.files import atomic_write
from burnish.images.dataset import MIN_GOOD, find_training_images
from burnish.images.parts import parts_of
from burnish.images.store import load_store
from burnish.method.generator import InputShape
from burnish.studies.cells import FORMAT
from burnish.studies.costs import RESULT
from burnish.studies.place import commit
from burnish.studies.worker import Tell
from burnish.training.loop import Trainer
from burnish.training.process import deterministic
from burnish.training.samples import Samples

WARM_UP_TURNS = 2  # not counted: caches fill, clocks settle


def measure(task: dict[str, Any], tell: Tell) -> None:
    """Time both rows on one data set and write `cost.json`.

    Args:
        task: as `burnish.studies.costs.task_of` makes it.
        tell: called with progress.
    """
    folder = Path(task["folder"])
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        trainers = [_trainer(task, row, Path(scratch)) for row in task["rows"]]
        seconds = _take_turns(trainers, task["turns"], task["turn_steps"], tell)
    rows = []
    for row, trainer, turns in zip(task["rows"], trainers, seconds, strict=True):
        s = trainer.settings
        paper = make_settings("paper", row["paper_changes"])
        at_paper = InputShape(1, paper.sides[0], paper.sides[0])
        rows.append(
            {
                "label": row["label"],
                "settings": s.model_dump(mode="json"),
                "seconds_per_step": turns.tolist(),
                "steps_per_epoch": trainer.steps_per_epoch,
                "batch": trainer.batch,
                "input": list(trainer.samples.shape),
                "step": asdict(count_step(s, InputShape(*trainer.samples.shape), trainer.batch)),
                "paper_step": asdict(count_step(paper, at_paper, paper.batch)),
            }
        )
    device = str(trainers[0].fabric.device)
    result = {
        "format": FORMAT,
        "dataset": task["dataset"],
        "rows": rows,
        "turn_steps": task["turn_steps"],
        "threads": task["threads"],
        "hardware": hardware(device, task["threads"]),
        "torch": torch.__version__,
        "commits": [commit()],
    }
    atomic_write(folder / RESULT, json.dumps(result, indent=1) + "\n")


def _trainer(task: dict[str, Any], row: dict[str, Any], scratch: Path) -> Trainer:
    settings = make_settings(task["preset"], row["changes"])
    data = Path(task["data"])
    store = load_store(find_training_images(data), settings, MIN_GOOD)
    parts = parts_of(store.paths, settings.part_pattern, data)
    training, _ = hold_out(parts, settings)
    folder = scratch / str(len(list(scratch.iterdir())))
    folder.mkdir()
    return Trainer(settings, Samples(store, training, settings.tile, None), folder, {})


def _take_turns(
    trainers: list[Trainer], turns: int, steps: int, tell: Tell
) -> list[NDArray[np.float64]]:
    """Seconds per step, an array (turns,) per trainer; they alternate in going first."""
    seconds: list[list[float]] = [[] for _ in trainers]
    with deterministic(trainers[0].fabric.device):
        for turn in range(-WARM_UP_TURNS, turns):
            order = list(range(len(trainers)))
            for index in order if turn % 2 else reversed(order):
                start = time.perf_counter()
                for _ in range(steps):
                    trainers[index].train_step()  # returns floats, so a GPU has finished
                if turn >= 0:
                    seconds[index].append((time.perf_counter() - start) / steps)
            tell(stage="training", done=(turn + WARM_UP_TURNS + 1) / (turns + WARM_UP_TURNS))
    return [np.array(each) for each in seconds]
