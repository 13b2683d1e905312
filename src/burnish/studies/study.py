"""A study from file to table: plan it, run the missing cells, write the tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.errors import BurnishError
from burnish.studies import costs
from burnish.studies.cells import Cell, Dataset, distinct, find_datasets, plan
from burnish.studies.file import Scale, Study
from burnish.studies.report import Report, write_report
from burnish.studies.run import News, Task, run_cells, run_tasks


@dataclass(frozen=True)
class Plan:
    """All cells and tasks of a study at one scale.

    Attributes:
        cells: of every row, data set and seed; empty for a study of cost.
        tasks: one per data set, for a study of cost.
        chosen: labels of the rows to run; the others are shown if they are finished.
    """

    study: Study
    scale_name: str
    scale: Scale
    datasets: tuple[Dataset, ...]
    seeds: tuple[int, ...]
    cells: tuple[Cell, ...]
    tasks: tuple[Task, ...]
    chosen: tuple[str, ...]
    out: Path

    @property
    def stem(self) -> Path:
        """Of the files that the study writes."""
        return self.out / f"{self.study.name}-{self.scale_name}"

    @property
    def missing(self) -> list[Cell]:
        """The cells to run, in order."""
        wanted = [c for c in self.cells if c.label in self.chosen and not c.is_finished]
        return distinct(wanted)

    @property
    def missing_tasks(self) -> list[Task]:
        return [task for task in self.tasks if not costs.is_finished(task)]


def make_plan(
    study: Study,
    scale_name: str,
    data: Path,
    out: Path,
    seeds: Sequence[int] = (),
    only: Sequence[str] = (),
    only_datasets: Sequence[str] = (),
) -> Plan:
    """Plan a study; everything is checked before anything runs.

    Args:
        seeds: in place of the scale's.
        only: labels of the rows to run.
        only_datasets: names of the data sets, in place of all of the scale's.

    Raises:
        BurnishError: an unknown scale, row or data set; a data set missing; no room to write.
    """
    scale = study.scale(scale_name)
    chosen = [study.row(label).label for label in only] or [row.label for row in study.rows]
    if only and study.kind == "cost":
        raise BurnishError("a study of cost compares its rows in one run: --only does not apply")
    datasets = find_datasets(scale, data, only_datasets)
    use = tuple(dict.fromkeys(seeds)) or scale.seeds
    cells: list[Cell] = []
    tasks: list[Task] = []
    if study.kind == "cost" and len(use) > 1:
        raise BurnishError("a study of cost compares its rows in one run: give one seed")
    if study.kind == "cost":
        tasks = [costs.task_of(study, scale, dataset, use[0], out) for dataset in datasets]
    else:
        cells = plan(study, scale, datasets, use, out)
    return Plan(
        study,
        scale_name,
        scale,
        tuple(datasets),
        use,
        tuple(cells),
        tuple(tasks),
        tuple(chosen),
        out,
    )


def run_study(
    planned: Plan, jobs: int, command: str, on_news: Callable[[News], None]
) -> tuple[Report, list[Path], dict[Path, str]]:
    """Run what is missing and write the tables.

    Args:
        jobs: cells at once. Figures do not depend on it; a study of cost takes one at a time.
        command: what a reader would type to run it again.
        on_news: called with progress, from several threads.

    Returns:
        The report, the files written, and the problem of each cell folder that failed.

    Raises:
        Interrupted: stopped by SIGINT; what is done is kept.
        BurnishError: a finished cell is damaged, or of other settings.
    """
    for cell in planned.cells:
        cell.result()  # raises for a damaged one now, not after days of running the others
    if planned.study.kind == "cost":
        failed = run_tasks(planned.missing_tasks, 1, on_news)
    else:
        failed = run_cells(planned.missing, jobs, on_news)
    report = report_of(planned, failed, command)
    return report, write_report(report, planned.stem), failed


def report_of(planned: Plan, failed: dict[Path, str], command: str) -> Report:
    """The report on all cells that are finished."""
    scale = planned.scale
    facts = {
        "scale": f"{planned.scale_name}: {scale.about}",
        "preset": f"{scale.preset}{_changes(scale.changes)}",
        "seeds": ", ".join(map(str, planned.seeds)),
        "command": command,
    }
    if planned.study.kind == "cost":
        titles = {task.folder: task.title for task in planned.tasks}
    else:
        titles = {cell.folder: cell.title for cell in reversed(planned.cells)}
    problems = [f"{titles.get(folder, folder)}: {why}" for folder, why in failed.items()]
    study, datasets = planned.study, planned.datasets
    if study.kind == "cost":
        return costs.cost_report(study, scale, datasets, planned.tasks, problems, facts)
    from burnish.studies.curve import curve_report
    from burnish.studies.table import quality_report

    done = planned.seeds, planned.cells, problems, facts
    if study.kind == "curve":
        return curve_report(study, scale, datasets, *done)
    return quality_report(study, datasets, *done)


def _changes(changes: dict[str, Any]) -> str:
    return f" with {', '.join(f'{k} = {v}' for k, v in changes.items())}" if changes else ""
