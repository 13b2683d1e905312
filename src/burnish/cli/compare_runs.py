"""`burnish compare-runs`: several evaluated runs side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from burnish.cli.say import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from burnish.evaluation.compare import Line, Run


def compare_runs(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN",
            help="Run folders that were evaluated, report folders, or evaluation.json files.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write compare.html (one page, opens offline), compare.csv, compare.json and the "
            "curves as PNG there.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout, no table.")] = False,
) -> None:
    """Compare evaluated runs side by side: figures, settings that differ, ROC curves."""
    from burnish.evaluation.compare import load_runs

    loaded = load_runs(runs)

    from burnish.cli.console import Console
    from burnish.evaluation.compare_page import as_json as to_json
    from burnish.evaluation.compare_page import warnings, write_comparison

    messages = Console(stderr=True)
    for said in warnings(loaded):
        say(messages, f"careful: {said}")
    page = None if out is None else write_comparison(loaded, out)
    if as_json:
        print(json.dumps(to_json(loaded), indent=1))
    else:
        Console().print(table_of(loaded), highlight=False)
    if page is not None:
        say(messages, f"page: {page}")


def table_of(runs: Sequence[Run]) -> Table:
    """One column a run, one line a figure, then what was learnt from and settings that differ."""
    from rich.markup import escape
    from rich.table import Table

    from burnish.evaluation.compare import by_test_set, differing_settings, lines, over_seeds_of
    from burnish.evaluation.compare_page import mean_of
    from burnish.evaluation.compare_training import training_facts
    from burnish.evaluation.pages import plain

    sets = by_test_set(runs)
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("", overflow="fold")
    for run in runs:
        table.add_column(escape(run.name), justify="right", overflow="fold")
    over = over_seeds_of(runs)
    if over:
        table.add_column("mean ± SD", justify="right")
    table.add_row("[bold]preset", *(escape(run.evaluation.model.preset) for run in runs))
    if len(sets) > 1:
        numbers = [next(s.number for s in sets if run.name in s.runs) for run in runs]
        table.add_row("[bold]test set", *map(str, numbers))
    counts = [(run.evaluation.n_good, run.evaluation.n_defect) for run in runs]
    table.add_row("[bold]good, defective", *(f"{good}, {bad}" for good, bad in counts))
    comparable = len(sets) == 1 and not over  # of several seeds none is better
    for line in lines(runs):
        leaders = line.leaders if comparable else frozenset()
        cells = [_cell(line, place, place in leaders) for place in range(len(runs))]
        cells += [mean_of(line, over)] if over else []
        table.add_row(f"[bold]{escape(line.name)}", *cells)
    table.add_section()
    table.add_row("data learnt from")
    for name, values in training_facts(runs).items():
        table.add_row(f"[bold]  {name}", *(escape(value) for value in values))
    differing = differing_settings(runs)
    if differing:
        table.add_section()
        table.add_row("settings that differ")
    for name, values in differing.items():
        table.add_row(f"[bold]  {name}", *(escape(plain(value)) for value in values))
    return table


def _cell(line: Line, place: int, leads: bool) -> str:
    """A run's figure, with its interval and note below, as rich's markup."""
    from rich.markup import escape

    from burnish.evaluation.compare_page import range_of, text_of

    text = text_of(line, place)
    if leads:
        text = f"[bold green]{text}[/]"
    if inside := range_of(line, place):
        text += f"\n[dim]{inside}[/]"
    if line.notes and line.notes[place]:
        text += f"\n[dim]{escape(line.notes[place])}[/]"
    return text
