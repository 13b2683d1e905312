"""`burnish bench`: how fast training and inspection are here, and what share of the peak."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from burnish.cli.say import say

if TYPE_CHECKING:
    from burnish.bench.record import Bench


def bench(
    context: typer.Context,
    preset: Annotated[str, typer.Option(help="paper, small or tiny.")] = "small",
    data: Annotated[
        Path | None,
        typer.Option(help="Good images or MVTec AD layout; without it images are made."),
    ] = None,
    models: Annotated[
        list[Path] | None,
        typer.Option(
            "--model",
            help="A model file of any format, compared with others on --data; repeat as needed.",
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Processor threads; default: torch's.")
    ] = None,
    as_json: Annotated[
        Path | None,
        typer.Option("--json", metavar="PATH", help="File for every figure; - is stdout."),
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="naive: race the plain, untuned version (needs a checkout).")
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0.1, max=3600, help="About how long each measurement takes.")
    ] = 10.0,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting.")
    ] = None,
) -> None:
    """Time a training step by part and an inspection by stage, against this machine's own peak.

    Close other programs: every figure is of this moment. Nothing is kept but
    the file of --json.
    """
    from burnish.cli.console import Console
    from burnish.configuration import make_settings, parse_assignments
    from burnish.errors import BurnishError

    if against not in (None, "naive"):
        raise BurnishError(f"--against '{against}': there is only 'naive'")
    if models:
        _refuse_preset_options(context)
    changes = parse_assignments(assignments or [])
    make_settings(preset, changes)
    _check_there([*(models or []), *([data] if data else [])])

    from burnish.bench.bench import bench_models, run_bench
    from burnish.files import check_writable

    if as_json is not None and str(as_json) != "-":  # before minutes of measuring, not after
        check_writable(as_json)
    console = Console(stderr=True)
    command = "burnish " + " ".join(sys.argv[1:])
    with console.status("") as status:
        if models:
            found = bench_models(
                models,
                data,
                threads,
                command,
                status.update,
                lambda problem: say(console, f"not used: {problem}"),
            )
        else:
            found = run_bench(
                preset, changes, data, threads, seconds, against == "naive", command, status.update
            )
    _give(found, as_json)


def _refuse_preset_options(context: typer.Context) -> None:
    """Refuse, beside --model, the options that only say how to train."""
    from burnish.errors import BurnishError

    others = ("preset", "against", "seconds", "assignments")
    given = [n for n in others if (s := context.get_parameter_source(n)) and s.name != "DEFAULT"]
    if given:
        named = ", ".join("--set" if name == "assignments" else f"--{name}" for name in given)
        raise BurnishError(
            f"--model compares model files as they are, each image once: leave {named} out"
        )


def _check_there(paths: list[Path]) -> None:
    from burnish.errors import BurnishError

    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise BurnishError(f"there is no {', no '.join(missing)}")


def _give(found: Bench, as_json: Path | None) -> None:
    """JSON on stdout for `-`; else the tables there, and JSON in the file that is named."""
    import json
    from dataclasses import asdict

    from burnish.cli.bench_tables import bench_tables
    from burnish.cli.console import Console
    from burnish.files import atomic_write

    text = json.dumps(asdict(found), indent=1) + "\n"
    if as_json is not None and str(as_json) == "-":
        print(text, end="")
        return
    if as_json is not None:
        atomic_write(as_json, text)
    out = Console()
    for table in bench_tables(found):
        out.print(table, highlight=False)
        out.print()
