"""A process of its own for one task of a study: `python -m burnish.studies.worker`.

The task is read as one line of JSON from stdin; progress and the outcome are written as lines of
JSON to stdout. If stdin ends before, the study is gone, perhaps killed: the worker saves its
training and stops, so that no orphan writes into a folder that the next study uses.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from burnish.detection.stages import Stage

Tell = Callable[..., None]  # keyword facts, sent as one line
EVERY = 1.0  # s between lines of progress


def main() -> int:
    """Run one task. Returns exit code 0, or 1 after an error that was reported."""
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # other output goes to the log, not between the lines of JSON
    task = json.loads(sys.stdin.readline())
    threading.Thread(target=_stop_when_alone, daemon=True).start()

    import torch

    from burnish.errors import BurnishError

    torch.set_num_threads(task["threads"])
    try:
        _do(task, _teller(lines))
    except BurnishError as error:
        _send(lines, error=str(error))
        return 1
    except Exception as error:
        traceback.print_exc()
        _send(lines, error=f"{type(error).__name__}: {error}", crashed=True)
        return 1
    _send(lines, finished=True)
    return 0


def _do(task: dict[str, Any], tell: Tell) -> None:
    from filelock import FileLock

    if task["kind"] == "cost":
        from burnish.studies.cost import measure

        measure(task, tell)
        return
    lock = Path(task["lock"])
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):  # another study may run the same cell
        if not (Path(task["folder"]) / "cell.json").is_file():
            from burnish.studies.quality import run_cell

            run_cell(task, tell)


def _stop_when_alone() -> None:
    while sys.stdin.readline():
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _send(lines: TextIO, **facts: Any) -> None:
    with suppress(BrokenPipeError, ValueError):  # the study is gone: the end of stdin will stop us
        print(json.dumps(facts), file=lines, flush=True)


def _teller(lines: TextIO) -> Tell:
    last = 0.0

    def tell(**facts: Any) -> None:
        nonlocal last
        if "note" in facts:
            _send(lines, **facts)
        elif time.monotonic() - last >= EVERY:
            last = time.monotonic()
            _send(lines, **facts)

    return tell


def on_stage(tell: Tell, start: float = 0.0, share: float = 1.0) -> Callable[[Stage], None]:
    """An `on_stage` for `Detector.train`: messages to the log, progress of training and what may be
    wrong with it to `tell`."""

    def told(stage: Stage) -> None:
        if stage.message:
            print(stage.message, flush=True)
        if stage.warns and stage.name in ("data", "train"):
            tell(note=stage.message.removeprefix("note: "))
        if stage.name == "train" and stage.event is not None:
            tell(stage="training", done=start + share * stage.done)

    return told


if __name__ == "__main__":
    sys.exit(main())
