"""Real cells in real processes: killed, stopped, side by side, failing."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from safetensors.torch import load_file

from burnish.errors import BurnishError
from burnish.studies import run as run_module
from burnish.studies.cells import Cell
from burnish.studies.file import load_study
from burnish.studies.run import News, Task, run_tasks
from burnish.studies.study import Plan, make_plan, run_study
from burnish.training.state import read_header

PASSING = re.compile(r"_seconds$|^commit$")  # other people may commit in between


def no_news(news: News) -> None:
    """Nobody watches."""


def table(plan: Plan) -> list[dict[str, str]]:
    """The CSV without times and commits, which two runs need not share."""
    with plan.stem.with_name(plan.stem.name + ".csv").open() as file:
        return [{k: v for k, v in row.items() if not PASSING.search(k)}
                for row in csv.DictReader(file)]  # fmt: skip


def cell_of(plan: Plan, label: str) -> Cell:
    return next(cell for cell in plan.cells if cell.label == label)


@pytest.mark.slow
def test_a_study_stopped_killed_and_resumed_gives_the_table_of_one_never_disturbed(
    study_file: Callable[..., Path], studies_data: Path, tmp_path: Path
) -> None:
    path = study_file()
    study = load_study(path)

    # Undisturbed, one after another.
    calm = make_plan(study, "micro", studies_data, tmp_path / "calm")
    told: list[News] = []
    _, _, failed = run_study(calm, 1, "burnish study", told.append)
    assert failed == {}
    assert [n.title for n in told if n.stage == "finished"] == [
        f"metal, {label}, seed 0" for label in ("R = 0", "R = 2", "R = 2, absolute")
    ]
    expected = table(calm)
    assert [row["setting"] for row in expected] == ["R = 0", "R = 2", "R = 2, absolute"]
    assert all(0 <= float(row["image_auroc"]) <= 1 for row in expected)

    # Scoring alone differs: the weights are those of R = 2, the scores are not.
    two, absolute = cell_of(calm, "R = 2"), cell_of(calm, "R = 2, absolute")
    assert "only scoring differs" in (absolute.folder / "log.txt").read_text()
    weights = [load_file(c.folder / "model.safetensors") for c in (two, absolute)]
    generator = [k for k in weights[0] if not k.startswith("position")]
    assert generator
    assert all(weights[0][k].equal(weights[1][k]) for k in generator)
    scores = [(c.folder / "scores.csv").read_text() for c in (two, absolute)]
    assert scores[0] != scores[1]

    # Stopped with ^C, then killed, then left alone; two cells at once.
    out = tmp_path / "rough"
    command = [sys.executable, "-m", "burnish.cli.main", "study", str(path), "--scale", "micro",
               "--data", str(studies_data), "--out", str(out), "--jobs", "2"]  # fmt: skip
    rough = make_plan(study, "micro", studies_data, out)
    assert [c.folder.name for c in rough.cells] == [c.folder.name for c in calm.cells]
    first = cell_of(rough, "R = 0")
    for kill, code in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        before = step_of(first)
        study_process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=hear_interrupts,
        )  # fmt: skip
        wait_for(lambda before=before: step_of(first) > before)  # type: ignore[misc]
        study_process.send_signal(kill)
        assert study_process.wait(300) == code
        lock = FileLock(out / "cells/.locks" / f"{first.training_key}.lock")
        with lock.acquire(timeout=300):  # its worker has stopped by itself
            assert 0 < step_of(first) < 40
            assert not first.is_finished
    run_study(make_plan(study, "micro", studies_data, out), 2, "burnish study", no_news)
    assert table(rough) == expected
    markdown = [p.stem.with_name(p.stem.name + ".md").read_text() for p in (calm, rough)]
    figures = [text.split("## Every run")[0] for text in markdown]
    assert figures[0] == figures[1]

    # Finished cells are not run again, and the table is there all the same.
    stamps = {f: f.stat().st_mtime_ns for f in out.rglob("*") if f.parent.parent.name == "cells"}
    told.clear()
    run_study(make_plan(study, "micro", studies_data, out), 2, "burnish study", told.append)
    assert told == []
    assert {f: f.stat().st_mtime_ns for f in stamps} == stamps
    assert table(rough) == expected


@pytest.mark.slow
def test_of_two_cells_at_once_that_train_alike_one_takes_the_others_weights(
    study_file: Callable[..., Path], studies_data: Path, tmp_path: Path
) -> None:
    rows = "[[row]]\nlabel = 'a'\n[[row]]\nlabel = 'b'\nsettings = { error = 'absolute' }\n"
    plan = make_plan(load_study(study_file(rows=rows)), "micro", studies_data, tmp_path)
    _, _, failed = run_study(plan, 2, "burnish study", no_news)
    assert failed == {}
    logs = [(cell.folder / "log.txt").read_text() for cell in plan.cells]
    assert sum("only scoring differs" in log for log in logs) == 1


def test_a_damaged_cell_is_told_before_the_others_are_run(
    study_file: Callable[..., Path], studies_data: Path, tmp_path: Path
) -> None:
    plan = make_plan(load_study(study_file()), "micro", studies_data, tmp_path)
    last = plan.cells[-1].folder
    last.mkdir(parents=True)
    (last / "cell.json").write_text("[]")
    told: list[News] = []
    with pytest.raises(BurnishError, match=f"{last / 'cell.json'} is damaged"):
        run_study(plan, 2, "burnish study", told.append)
    assert told == []


def hear_interrupts() -> None:
    """A shell lets what it starts in the background ignore SIGINT, and the tests with it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def step_of(cell: Cell) -> int:
    checkpoint = cell.folder / "checkpoint.safetensors"
    return int(read_header(checkpoint)["progress"]["step"]) if checkpoint.exists() else 0


def wait_for(condition: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)


@pytest.mark.slow
def test_a_curve_is_one_run_measured_on_the_way(
    study_file: Callable[..., Path], studies_data: Path, tmp_path: Path
) -> None:
    curve = study_file(
        ("paper_says", 'kind = "curve"\npaper_says'), ("steps = 40, ", ""),
        ("seeds = [0]", "seeds = [0]\npoints = [1, 3]"), rows='[[row]]\nlabel = "it"\n',
    )  # fmt: skip
    plan = make_plan(load_study(curve), "micro", studies_data, tmp_path / "curve")
    report, files, failed = run_study(plan, 1, "burnish study", no_news)
    assert failed == {}
    assert [f.suffix for f in files] == [".md", ".csv", ".html", ".png"]
    assert files[3].read_bytes().startswith(b"\x89PNG")
    assert [row["epoch"] for row in table(plan)] == ["1", "3"]
    assert "For display only" in report.says[-1]

    # The same length at one go: the last point is that run.
    rows = '[[row]]\nlabel = "R = 2"\n'
    study = load_study(study_file(("steps = 40", "epochs = 3"), rows=rows))
    whole = make_plan(study, "micro", studies_data, tmp_path / "whole")
    run_study(whole, 1, "burnish study", no_news)
    (at_once,) = table(whole)
    for name in ("image_auroc", "best_f1", "f1", "average_precision"):
        assert table(plan)[-1][name] == at_once[name]
    weights = [load_file(p.cells[0].folder / "model.safetensors") for p in (plan, whole)]
    assert all(weights[0][k].equal(weights[1][k]) for k in weights[1])


@pytest.mark.slow
def test_a_curve_without_an_auroc_is_told(
    study_file: Callable[..., Path], metal: Path, tmp_path: Path
) -> None:
    shutil.copytree(metal, tmp_path / "data/metal")
    broken = sorted((tmp_path / "data/metal/test/good").iterdir())
    for path in broken:
        path.write_bytes(b"nothing")
    curve = study_file(
        ("paper_says", 'kind = "curve"\npaper_says'), ("steps = 40, ", "warmup = 0, "),
        ("seeds = [0]", "seeds = [0]\npoints = [1, 2]"), rows='[[row]]\nlabel = "it"\n',
    )  # fmt: skip
    plan = make_plan(load_study(curve), "micro", tmp_path / "data", tmp_path / "curve")
    report, files, failed = run_study(plan, 1, "burnish study", no_news)
    assert failed == {}
    assert files[3].read_bytes().startswith(b"\x89PNG")
    assert [row[1] for row in report.tables[0].rows] == ["–", "–"]
    assert report.says[0].startswith(f"metal: {len(broken)} of ")
    assert report.says[1] == "metal, seed 0: no AUROC, its test images were of one class."


@pytest.mark.slow
def test_cost_is_measured_in_turns(
    study_file: Callable[..., Path], studies_data: Path, tmp_path: Path
) -> None:
    path = study_file(
        ("paper_says", 'kind = "cost"\nagainst = "R = 0"\npaper_says'),
        ("threads = 1", "threads = 1\nturns = 4\nturn_steps = 2"),
        rows='[[row]]\nlabel = "R = 0"\nsettings = { tome_r = 0 }\n'
        '[[row]]\nlabel = "R = 2"\nsettings = { tome_r = 2 }\n',
    )
    plan = make_plan(load_study(path), "micro", studies_data, tmp_path)
    _, _, failed = run_study(plan, 4, "burnish study", no_news)
    assert failed == {}
    result = json.loads((plan.tasks[0].folder / "cost.json").read_text())
    for row, tokens in zip(result["rows"], ([17, 17, 17], [17, 15, 13]), strict=True):
        assert len(row["seconds_per_step"]) == 4
        assert all(0 < s < 10 for s in row["seconds_per_step"])
        assert row["step"]["tokens"] == tokens
        assert row["steps_per_epoch"] == 3  # 14 images (10 of 24 are held out), batches of 4
    # the trainers' scratch folder is gone
    assert {p.name for p in plan.tasks[0].folder.iterdir()} == {"cost.json", "log.txt"}
    assert make_plan(load_study(path), "micro", studies_data, tmp_path).missing_tasks == []


@pytest.mark.slow
def test_a_cell_that_fails_is_named_and_the_others_go_on(
    study_file: Callable[..., Path], metal: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(metal, data / "metal")
    rows = (
        '[[row]]\nlabel = "bad"\nsettings = { learning_rate = 1e30 }\n'
        '[[row]]\nlabel = "good"\nagainst = "bad"\n'
    )
    study = load_study(study_file(("steps = 40", "steps = 3, warmup = 0"), rows=rows))
    plan = make_plan(study, "micro", data, tmp_path / "out")
    report, _, failed = run_study(plan, 1, "burnish study", no_news)
    bad = cell_of(plan, "bad")
    assert list(failed) == [bad.folder]
    assert "training diverged" in failed[bad.folder]
    assert report.problems[0].startswith("metal, bad, seed 0: training diverged")
    assert cell_of(plan, "good").is_finished
    assert report.tables[0].rows[0][1] == "–"
    assert report.says == ("good against bad: not all runs are there yet.",)


@pytest.mark.slow
def test_a_setting_that_does_nothing_is_told_at_once_and_in_the_table(
    study_file: Callable[..., Path], studies_data: Path, tmp_path: Path
) -> None:
    rows = (
        '[[row]]\nlabel = "1 %"\n'
        '[[row]]\nlabel = "half"\nsettings = { top_share = 0.5 }\nagainst = "1 %"\n'
    )
    path = study_file(("steps = 40", "steps = 3, warmup = 0"), rows=rows)
    plan = make_plan(load_study(path), "micro", studies_data, tmp_path / "out")
    told: list[News] = []
    report, _, failed = run_study(plan, 1, "burnish study", told.append)
    assert failed == {}
    what = "top_share=0.5 does nothing: needed is reduction=top"
    assert report.says[0] == f"half on metal: {what}."
    notes = [(news.title, news.problem) for news in told if news.stage == "note"]
    assert notes == [("metal, half, seed 0", what)]


def task(tmp_path: Path, **values: Any) -> Task:
    base = {"kind": "quality", "folder": str(tmp_path / "cell"), "threads": 1,
            "lock": str(tmp_path / "lock")}  # fmt: skip
    return Task("a task", tmp_path / "cell", 1, base | values)


def test_a_worker_killed_from_outside_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*arguments: Any, **options: Any) -> subprocess.Popen[str]:
        worker = subprocess.Popen(*arguments, **options)
        worker.kill()
        return worker

    class Subprocess:
        PIPE, Popen = subprocess.PIPE, staticmethod(killed)

    monkeypatch.setattr(run_module, "subprocess", Subprocess)
    told: list[News] = []
    work = task(tmp_path)
    failed = run_tasks([work], 1, told.append)
    assert [n.stage for n in told] == ["begun", "failed"]
    problem = failed[work.folder]
    assert "ended with code -9" in problem or "broke off" in problem


@pytest.mark.slow
def test_a_bug_in_a_worker_leaves_its_traceback_in_the_log(tmp_path: Path) -> None:
    work = task(tmp_path)  # a task that lacks what run_cell wants
    failed = run_tasks([work], 1, no_news)
    assert failed[work.folder].startswith("KeyError: ")
    assert str(tmp_path / "cell/log.txt") in failed[work.folder]
    assert "Traceback" in (tmp_path / "cell/log.txt").read_text()


def test_an_orphan_ends(tmp_path: Path) -> None:
    """A worker whose study has gone, its stdin at an end, does not go on."""
    lock = tmp_path / "lock"
    with FileLock(lock):  # it could only wait
        worker = subprocess.Popen(
            [sys.executable, "-m", "burnish.studies.worker"], stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ.copy(),
        )  # fmt: skip
        assert worker.stdin is not None
        worker.stdin.write(json.dumps(task(tmp_path).values).encode() + b"\n")
        worker.stdin.close()
        assert worker.wait(300) == -signal.SIGTERM


def test_workers_run_no_code_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torch.py").write_text("open('ran', 'w')")
    monkeypatch.chdir(tmp_path)
    task = Task("none", tmp_path / "cell", 1, {"kind": "none", "threads": 1})
    failed = run_tasks([task], 1, no_news)
    assert "KeyError: 'lock'" in failed[task.folder]  # it came as far as its work
    assert not (tmp_path / "ran").exists()
