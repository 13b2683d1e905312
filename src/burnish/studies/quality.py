"""Run one cell of a study: train, calibrate and test; its figures go into `cell.json`."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import torch

from burnish.bench.machine import hardware
from burnish.detection.detector import Detector
from burnish.evaluation.evaluate import evaluate
from burnish.evaluation.record import Evaluation, save_json, save_scores
from burnish.files import atomic_path, atomic_write
from burnish.studies.cells import FORMAT, RESULT
from burnish.studies.place import commit
from burnish.studies.worker import Tell, on_stage
from burnish.training.state import CHECKPOINT

FIGURES = (
    "image_auroc", "average_precision", "best_f1", "f1", "all_positive_f1", "n_good", "n_defect",
    "false_alarm_rate_wanted", "false_alarm_rate_got", "escape_rate", "image_auroc_interval",
    "unreadable",
)  # fmt: skip


def run_cell(task: dict[str, Any], tell: Tell) -> None:
    """Train (or resume, or only calibrate anew), test, and write `cell.json` last.

    Args:
        task: see `burnish.studies.run.task_of`.
        tell: called with progress.

    Raises:
        BurnishError: training diverged or was stopped, or the folder cannot be written to.
    """
    folder = Path(task["folder"])
    commits = _note_commit(folder)
    _take_weights(folder, task["training_key"])
    points = [_point(task, epoch, tell) for epoch in task["points"]]
    notes: dict[str, None] = {}

    def noting(**facts: Any) -> None:
        if "note" in facts:
            notes[facts["note"]] = None
        tell(**facts)

    detector = _train(task, folder, noting, task["changes"])
    if points:
        figures, seconds = points[-1], 0.0
    else:
        evaluation, seconds = _test(detector, folder, Path(task["data"]), tell)
        figures = figures_of(evaluation)
    training = detector.card.training
    result = {
        "format": FORMAT,
        "dataset": task["dataset"],
        "seed": task["seed"],
        "preset": task["preset"],
        "settings": detector.card.settings.model_dump(mode="json"),
        "figures": {name: figures[name] for name in FIGURES},
        "notes": list(notes),
        "points": points,
        "steps": training["steps"],
        "epochs": training["epochs"],
        "training_images": detector.card.data["training_images"],
        "held_out_images": detector.card.data["held_out_images"],
        "train_seconds": training["seconds"],
        "evaluate_seconds": round(seconds, 1),
        "threads": task["threads"],
        "precision": training["precision"],
        "hardware": hardware(training["device"], task["threads"]),
        "torch": torch.__version__,
        "commits": commits,
    }
    atomic_write(folder / RESULT, json.dumps(result, indent=1) + "\n")
    if not task["keep_checkpoint"]:
        (folder / CHECKPOINT).unlink(missing_ok=True)


def figures_of(evaluation: Evaluation) -> dict[str, Any]:
    """The figures that tables are made of, JSON-ready."""
    figures = {name: getattr(evaluation, name) for name in FIGURES[:-2]}
    return figures | {
        "image_auroc_interval": evaluation.intervals.get("image_auroc"),
        "unreadable": len(evaluation.unreadable),
    }


def _point(task: dict[str, Any], epoch: int, tell: Tell) -> dict[str, Any]:
    """Train the run up to `epoch` and test it there; a point that was measured before is reused."""
    folder = Path(task["folder"])
    kept = folder / f"epoch-{epoch}.json"
    if kept.is_file():
        return dict(json.loads(kept.read_text("utf-8")))
    before = max((e for e in task["points"] if e < epoch), default=0)
    last = task["points"][-1]
    detector = _train(
        task,
        folder,
        tell,
        task["changes"] | {"epochs": epoch},
        before / last,
        (epoch - before) / last,
    )
    evaluation, _ = _test(detector, folder, Path(task["data"]), tell)
    scores = [[row.score, row.is_defect] for row in evaluation.images]
    point = {"epoch": epoch, "steps": detector.card.training["steps"], "scores": scores}
    point |= figures_of(evaluation)
    atomic_write(kept, json.dumps(point) + "\n")
    return point


def _train(
    task: dict[str, Any],
    folder: Path,
    tell: Tell,
    changes: dict[str, Any],
    start: float = 0.0,
    share: float = 1.0,
) -> Detector:
    return Detector.train(
        task["data"],
        task["preset"],
        folder,
        resume=True,
        on_stage=on_stage(tell, start, share),
        **changes,
    )


def _test(detector: Detector, folder: Path, data: Path, tell: Tell) -> tuple[Evaluation, float]:
    start = time.monotonic()
    evaluation = evaluate(
        detector,
        data,
        lambda done, total: tell(stage="testing", done=done / total),
        pixels=False,  # tables only use the image level; pixels would double the time
        equalised=False,
    )
    save_json(evaluation, folder / "evaluation.json")
    save_scores(evaluation, folder / "scores.csv")
    return evaluation, time.monotonic() - start


def _take_weights(folder: Path, training_key: str) -> None:
    """Copy the checkpoint of a finished cell with the same weights: then only calibration is left.

    The caller's lock is that of all cells with these weights, so that none of them is training.
    """
    if (folder / CHECKPOINT).exists():
        return
    for other in sorted(folder.parent.glob(f"*-{training_key}-*")):
        if other != folder and (other / RESULT).is_file() and (other / CHECKPOINT).is_file():
            with atomic_path(folder / CHECKPOINT) as beside:
                shutil.copyfile(other / CHECKPOINT, beside)
            print(f"weights taken from {other}: only scoring differs", flush=True)
            return


def _note_commit(folder: Path) -> list[str]:
    """Record the commits that worked on this cell, the current one last."""
    path, now = folder / "commits.txt", commit()
    commits = path.read_text("utf-8").split("\n") if path.is_file() else []
    commits = [each for each in commits if each and each != now] + [now]
    atomic_write(path, "\n".join(commits) + "\n")
    return commits
