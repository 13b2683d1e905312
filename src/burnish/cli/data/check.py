"""`burnish data check`: the truth about a data set, for people, programs and the browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from burnish.cli.say import say

if TYPE_CHECKING:
    from rich.text import Text

    from burnish.checks.check import Check
    from burnish.cli.console import Console

COLOURS = {"error": "bold red", "warning": "yellow", "note": "cyan"}
HEADS = {
    "error": "Errors: figures on this data would be wrong",
    "warning": "Warnings: look at these before trusting a figure",
    "note": "Notes",
}


def check(
    data: Annotated[
        Path,
        typer.Argument(
            help="MVTec AD layout, a folder of good images, or a raw source (folder, zip, tar).",
        ),
    ],
    form: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="FORMAT",
            help="Format of a raw source, see `burnish data formats` (default: guessed)",
        ),
    ] = "",
    part: Annotated[
        str,
        typer.Option(
            metavar="REGEX",
            help="Finds the part's name in the file name "
            "(default: as manifest.csv or the format says)",
        ),
    ] = "",
    category: Annotated[
        str,
        typer.Option(
            "--class", metavar="NAME", help="Which object, where a raw source holds several."
        ),
    ] = "",
    false_alarms: Annotated[
        float, typer.Option(help="Wanted false-alarm rate: are there good images enough for it?")
    ] = 0.01,
    holdout: Annotated[
        float | None,
        typer.Option(help="Share of good images that training holds out (default: holdout=auto)."),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write an HTML page with pictures of every finding."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout, complete.")] = False,
) -> None:
    """Find what is wrong with data: copies, leaks, bad masks, shortcuts, too few images.

    Nothing is changed.

    Exit code: 0 nothing worse than notes, 1 warnings or errors, 2 could not be checked.
    """
    from burnish.errors import BurnishError

    for name, value in (("--false-alarms", false_alarms), ("--holdout", holdout)):
        if value is not None and not 0 < value < 1:
            raise BurnishError(f"{name} is a share above 0 and below 1, not {value:g}")
    if page is not None and page.is_dir():
        raise BurnishError(f"--page {page} is a folder; give the file, {page / 'check.html'} say")

    from burnish.checks.check import check as run_check
    from burnish.checks.sources import open_data
    from burnish.cli.console import Console
    from burnish.cli.progress import image_progress
    from burnish.files import check_writable

    messages = Console(stderr=True)
    with open_data(data, form, part, category) as opened:
        if page is not None:
            check_writable(page)  # before the pass, whose findings would be lost
        with image_progress(messages, "check") as on_image:
            result = run_check(
                opened, false_alarms, "auto" if holdout is None else holdout, on_image
            )
        if as_json:
            print(json.dumps(result.as_json(), indent=1))
        else:
            _tell(result, Console())
        if page is not None:
            from burnish.checks.page import write_page

            write_page(result, page)
    if page is not None:
        say(messages, f"page: {page}")
    elif not as_json and result.findings:
        say(messages, "pictures of what was found: add --page check.html")
    raise typer.Exit(0 if result.is_clean else 1)


def _tell(result: Check, console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    from burnish.checks.finding import SEVERITIES, counted, printable

    console.print(
        Text(f"{printable(str(result.data.path))}: {result.data.form}", style="dim"),
        soft_wrap=True,
    )
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for row in result.counts():
        parts = counted(row["parts"], "part") if row["parts"] else ""
        parts = parts if result.data.parts_known else "parts unknown"
        table.add_row(row["split"], Text(row["kind"]), f"{row['images']:,}", parts)
    console.print(table, highlight=False)
    console.print()
    worst = result.findings[0].severity if result.findings else "note"
    console.print(Text(result.verdict, style="bold" if worst == "note" else COLOURS[worst]))
    for severity in SEVERITIES:
        found = [finding for finding in result.findings if finding.severity == severity]
        if not found:
            continue
        console.print()
        console.print(Text(HEADS[severity], style=COLOURS[severity]))
        for finding in found:
            console.print(Text(f"- {finding.title}", style="bold"))
            _indented(console, Text(finding.message))
            if finding.advice:
                _indented(console, Text(finding.advice, style="dim"))


def _indented(console: Console, text: Text) -> None:
    """Wrapped on a terminal; one line each where a program reads."""
    if console.is_terminal:
        from rich.padding import Padding

        console.print(Padding(text, (0, 0, 0, 2)))
    else:
        say(console, f"  {text.plain}")
