"""`burnish study`: a grid of settings, data sets and seeds becomes a table beside the paper's."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from burnish.cli.say import say

if TYPE_CHECKING:
    from rich.console import JustifyMethod

    from burnish.cli.console import Console
    from burnish.studies.report import Report
    from burnish.studies.study import Plan


def study(
    file: Annotated[Path, typer.Argument(help="Study file, as studies/table05.toml.")],
    data: Annotated[
        Path, typer.Option(help="Folder that holds the data sets, from `burnish data prepare`.")
    ],
    out: Annotated[
        Path, typer.Option(help="Where tables and cells/ go; studies share cells that are equal.")
    ],
    scale: Annotated[str, typer.Option(help="small (two cores) or paper (GPU).")] = "small",
    jobs: Annotated[
        int, typer.Option(min=1, max=256, help="Runs at once. The figures do not depend on it.")
    ] = 1,
    seeds: Annotated[
        str | None, typer.Option(metavar="0,1,2", help="Seeds, in place of those of the scale.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL", help="Run this row alone; repeat as needed."),
    ] = None,
    datasets: Annotated[
        list[str] | None,
        typer.Option("--dataset", metavar="NAME", help="This data set alone; repeat as needed."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run, and stop.")] = (
        False
    ),
) -> None:
    """Run the trainings of a study and write its table: Markdown, CSV and HTML.

    A cell is one training and its test, kept in OUT/cells. A finished cell is
    never run again, a stopped one goes on where it was.

    Exit code: 0 all cells done, 2 some failed (they are named), 130 stopped.
    """
    from burnish.cli.console import Console
    from burnish.errors import BurnishError
    from burnish.studies.file import load_study

    numbers = _seeds(seeds)
    loaded = load_study(file)

    from burnish.studies.study import make_plan, run_study

    planned = make_plan(loaded, scale, data, out, numbers, only or (), datasets or ())
    messages = Console(stderr=True)
    if dry_run:
        _show_plan(planned, jobs, Console())
        return

    from burnish.cli.study_progress import study_progress

    count = len(planned.missing) + len(planned.missing_tasks)
    with study_progress(messages, count) as on_news:
        report, files, failed = run_study(
            planned, jobs, _command(file, scale, seeds, datasets, data, out), on_news
        )
    _show(report, Console())
    for path in files:
        say(messages, f"written: {path}")
    if failed:
        raise BurnishError(
            f"{len(failed)} of {count} cells failed, the first: {next(iter(failed.values()))}"
        )


def _seeds(text: str | None) -> tuple[int, ...]:
    from burnish.errors import BurnishError

    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError as error:
        raise BurnishError(f"--seeds '{text}' is not a list of numbers such as 0,1,2") from error


def _command(
    file: Path, scale: str, seeds: str | None, datasets: list[str] | None, data: Path, out: Path
) -> str:
    """The command that makes this table again, without --jobs and --only: they change no figure."""
    import shlex

    words = [
        "burnish",
        "study",
        str(file),
        "--scale",
        scale,
        "--data",
        str(data),
        "--out",
        str(out),
    ]
    if seeds:
        words += ["--seeds", seeds]
    for name in datasets or ():
        words += ["--dataset", name]
    return shlex.join(words)


def _show_plan(planned: Plan, jobs: int, console: Console) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("data set", "setting", "seed", "state", "folder"):
        table.add_column(column, overflow="fold")
    todo = {cell.folder for cell in planned.missing}
    told = set()
    for cell in planned.cells:
        state = "finished" if cell.is_finished else "begun" if cell.is_begun else "to run"
        if cell.folder not in todo and not cell.is_finished:
            state = "left out"
        if cell.folder in told and cell.folder in todo:
            state = "same as above"
        told.add(cell.folder)
        table.add_row(cell.dataset, cell.label, str(cell.seed), state, cell.folder.name)
    missing = {task.folder for task in planned.missing_tasks}
    for task in planned.tasks:
        state = "to run" if task.folder in missing else "finished"
        table.add_row(task.values["dataset"], "all rows in turns", "", state, task.folder.name)
    console.print(table, highlight=False)
    count, threads = len(todo) + len(missing), planned.scale.threads
    console.print(
        f"{count} to run, {jobs} at once, each on {threads} thread{'s' if threads > 1 else ''}"
        f"{_estimate(planned)}",
        highlight=False,
        soft_wrap=True,
    )


def _estimate(planned: Plan) -> str:
    """The time left, estimated from finished cells; "" if there are none."""
    results = [cell.result() for cell in planned.cells]
    seconds = [r["train_seconds"] + r["evaluate_seconds"] for r in results if r is not None]
    if not seconds or not planned.missing:
        return ""
    mean = sum(seconds) / len(seconds)
    left = len(planned.missing) * mean / 60
    return f"; {mean / 60:.1f} min a cell so far: about {left:.0f} min of work"


def _show(report: Report, console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    for table in report.tables[: 2 if len(report.tables) > 2 else None]:
        shown = Table(
            box=None,
            padding=(0, 2, 0, 0),
            title=Text(table.caption, style="bold"),
            title_justify="left",
        )
        for index, name in enumerate(table.head):
            width = max((len(row[index]) for row in table.rows), default=0)
            # Heads may wrap, figures may not.
            head = "\n".join(textwrap.wrap(name, max(width, 8), break_long_words=False))
            justify: JustifyMethod = "right" if index else "left"
            style = "dim italic" if index in table.of_paper else ""
            shown.add_column(Text(head), justify=justify, style=style, no_wrap=index > 0)
        for row in table.rows:
            shown.add_row(*map(Text, row))
        console.print(shown, highlight=False)
        console.print()
    for sentence in report.says:
        console.print(Text(f"- {sentence}"), soft_wrap=not console.is_terminal)
