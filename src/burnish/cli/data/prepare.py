"""`burnish data prepare` and `formats`: from whatever is on disk to MVTec AD layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from burnish.cli.data.prepared import counts_of, say_notes, status_of
from burnish.cli.say import say
from burnish.system import quoted

if TYPE_CHECKING:
    from burnish.images.preparing.prepare import Prepared


def prepare(
    source: Annotated[Path, typer.Argument(help="Folder, zip or tar with images.")],
    out: Annotated[Path, typer.Argument(help="Folder to write, new or empty.")],
    format: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="FORMAT",
            help="Format of the source, see `burnish data formats` (default: guessed).",
        ),
    ] = "",
    part: Annotated[
        str,
        typer.Option(metavar="REGEX", help=r"Finds a part's name in an image's path, as 'kos\d+'."),
    ] = "",
    train: Annotated[float, typer.Option(help="Share of the parts that go to training.")] = 0.7,
    seed: Annotated[int, typer.Option(help="Seed of the split.")] = 0,
    split: Annotated[
        str,
        typer.Option(
            help="source: keep its own split; part: split anew; auto: keep it if there is one."
        ),
    ] = "auto",
    good: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Pattern of the good images, as 'ok/*' (format folder)."),
    ] = None,
    bad: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Pattern of the defective images (format folder)."),
    ] = None,
    window: Annotated[
        int,
        typer.Option(metavar="PX", help="Side of the windows cut from large frames; 0: not cut."),
    ] = 256,
    table: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Name of the table in the source (formats csv, severstal)."
        ),
    ] = "",
    category: Annotated[
        str,
        typer.Option("--class", metavar="NAME", help="Which object, where a source holds several."),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Bring images into MVTec AD layout: split by part, without duplicates, with a manifest.

    Exit code: 0 written (what was left out is named), 2 nothing could be used.
    """
    from burnish.cli.console import Console
    from burnish.cli.progress import image_progress
    from burnish.images.formats.base import Options
    from burnish.images.parts import compiled_pattern
    from burnish.images.preparing.prepare import Request
    from burnish.images.preparing.prepare import prepare as prepare_images

    patterns = tuple(good or ()), tuple(bad or ())
    options = Options(compiled_pattern(part), *patterns, window, table, category)
    request = Request(format, options, split, train, seed)
    with image_progress(Console(stderr=True), "prepare") as progress:
        prepared = prepare_images(
            source, out, request, lambda stage, done, total: progress(done, total or done)
        )
    if as_json:
        print(json.dumps(prepared.to_dict(), indent=1))
    else:
        _print(prepared)


def formats(
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """List the formats that `prepare --from` reads."""
    from rich.table import Table

    from burnish.cli.console import Console
    from burnish.images.formats import formats as known

    summaries = {name: format.summary for name, format in sorted(known().items())}
    if as_json:
        print(json.dumps(summaries, indent=1))
        return
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, summary in summaries.items():
        table.add_row(f"[bold]{name}", summary)
    Console().print(table)


def _print(prepared: Prepared) -> None:
    from burnish.cli.console import Console

    console = Console(highlight=False)
    say(console, f"{status_of(prepared)} (format {prepared.format})")
    table = counts_of(prepared)
    table.add_row("[bold]on both sides", "", str(prepared.parts["both"]))
    table.add_row("[bold]masks", "", str(prepared.masks))
    console.print(table)
    record = f", see {prepared.out}/.prepare.json"
    say_notes(console, prepared, "could not be used and are left out", record)
    data, run = (quoted(path) for path in (prepared.out, Path("runs", prepared.out.name)))
    say(console, f"next: burnish data check {data}")
    say(console, f"      burnish train {data} --out {run}")
