"""Run cells one after another or side by side, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from burnish.errors import BurnishError
from burnish.studies.cells import Cell

LOG = "log.txt"


class Interrupted(BurnishError):
    """The study was stopped; the same command goes on."""


@dataclass(frozen=True)
class News:
    """Progress of a task.

    Attributes:
        title: of the task.
        stage: "begun", "note", "training", "testing", "finished" or "failed".
        done: share of the stage in [0, 1].
        problem: why it failed, or what the note says; else "".
    """

    title: str
    stage: str
    done: float = 0.0
    problem: str = ""


@dataclass(frozen=True)
class Task:
    """Work for one process: `values` go to the worker as they are, its log into `folder`."""

    title: str
    folder: Path
    threads: int
    values: dict[str, Any]


def task_of(cell: Cell, keep_checkpoint: bool) -> Task:
    """The task of running a cell; see `burnish.studies.quality.run_cell`."""
    cells = cell.folder.parent
    values = {
        "kind": "quality",
        "folder": str(cell.folder),
        "lock": str(cells / ".locks" / f"{cell.training_key}.lock"),
        "training_key": cell.training_key,
        "keep_checkpoint": keep_checkpoint,
        "data": str(cell.data),
        "dataset": cell.dataset,
        "seed": cell.seed,
        "preset": cell.preset,
        "changes": dict(cell.changes),
        "threads": cell.threads,
        "points": list(cell.points),
    }
    return Task(cell.title, cell.folder, cell.threads, values)


def run_cells(cells: Sequence[Cell], jobs: int, on_news: Callable[[News], None]) -> dict[Path, str]:
    """Run cells (distinct folders); returns the problem of each folder that failed.

    Raises:
        Interrupted: SIGINT came; running cells have saved their training.
    """
    keys = [cell.training_key for cell in cells]
    tasks = [task_of(cell, keys.count(cell.training_key) > 1) for cell in cells]
    return run_tasks(tasks, jobs, on_news)


def run_tasks(tasks: Sequence[Task], jobs: int, on_news: Callable[[News], None]) -> dict[Path, str]:
    """Run tasks, at most `jobs` at once; one that fails does not stop the others."""
    failed: dict[Path, str] = {}
    workers: set[subprocess.Popen[str]] = set()
    stopping = threading.Event()

    def run(task: Task) -> None:
        if stopping.is_set():
            return
        on_news(News(task.title, "begun"))
        problem = _run_task(task, workers, stopping, on_news)
        if problem and not stopping.is_set():
            failed[task.folder] = problem
        if not stopping.is_set():
            on_news(News(task.title, "failed" if problem else "finished", 1.0, problem))

    with ThreadPoolExecutor(jobs) as pool:
        futures: set[Future[None]] = {pool.submit(run, task) for task in tasks}
        try:
            while futures:
                ended, futures = wait(futures, timeout=0.5, return_when=FIRST_COMPLETED)
                for future in ended:
                    future.result()
        except BaseException as error:
            stopping.set()
            for worker in list(workers):
                if worker.stdin is not None:
                    worker.stdin.close()  # it saves and stops
            if isinstance(error, KeyboardInterrupt):
                pool.shutdown(wait=True)
                raise Interrupted("stopped; what is done is kept: the same command goes on") from (
                    error
                )
            raise
    return failed


def _run_task(
    task: Task,
    workers: set[subprocess.Popen[str]],
    stopping: threading.Event,
    on_news: Callable[[News], None],
) -> str:
    """Returns the problem, or ""."""
    threads = str(task.threads)
    environment = os.environ | {
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
    }
    with _open_log(task.folder) as log:
        worker = subprocess.Popen(
            # -P: without it a torch.py in the current folder, with the data say, would be run.
            [sys.executable, "-P", "-m", "burnish.studies.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            encoding="utf-8",
            env=environment,
            start_new_session=True,  # Ctrl-C is for the study alone, which stops its workers
        )
        workers.add(worker)
        assert worker.stdin is not None
        assert worker.stdout is not None
        told: dict[str, Any] = {}
        try:
            worker.stdin.write(json.dumps(task.values) + "\n")
            worker.stdin.flush()
            if stopping.is_set():
                worker.stdin.close()
            for line in worker.stdout:
                told = json.loads(line)
                if "note" in told:
                    on_news(News(task.title, "note", problem=told["note"]))
                if "stage" in told:
                    on_news(News(task.title, told["stage"], told.get("done", 0.0)))
        except (BrokenPipeError, ValueError) as error:
            told = {"error": f"the worker broke off ({error})"}
        finally:
            code = worker.wait()
            workers.discard(worker)
            worker.stdout.close()
            if not worker.stdin.closed:
                with suppress(BrokenPipeError):
                    worker.stdin.close()
    if told.get("finished"):
        return ""
    if "error" in told:
        return f"{told['error']} (see {task.folder / LOG})" if "crashed" in told else told["error"]
    return f"the process ended with code {code}, killed perhaps for memory; see {task.folder / LOG}"


def _open_log(folder: Path) -> TextIO:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return (folder / LOG).open("a", encoding="utf-8")
    except OSError as error:
        raise BurnishError(
            f"cannot write into {folder}: {error.strerror or error}. "
            "Choose an --out that can be written to and has room"
        ) from error
