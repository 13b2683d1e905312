"""`burnish bench`: how fast training and inspection are here, and what share of the peak."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer


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

    Nothing is kept but the file of --json. Close what else runs: every figure is of this moment.
    """
    import json
    from dataclasses import asdict

    from rich.console import Console

    from burnish.configuration import make_settings, parse_assignments
    from burnish.errors import BurnishError

    if against not in (None, "naive"):
        raise BurnishError(f"--against '{against}': there is only 'naive'")
    others = ("preset", "against", "seconds", "assignments")
    given = [n for n in others if (s := context.get_parameter_source(n)) and s.name != "DEFAULT"]
    if models and given:
        named = ", ".join("--set" if name == "assignments" else f"--{name}" for name in given)
        raise BurnishError(
            f"--model compares model files as they are, each image once: leave {named} out"
        )
    changes: dict[str, Any] = parse_assignments(assignments or [])
    make_settings(preset, changes)
    missing = [str(path) for path in (*(models or ()), *([data] if data else ()))
               if not path.exists()]  # fmt: skip
    if missing:
        raise BurnishError(f"there is no {', no '.join(missing)}")

    from burnish.bench.bench import bench_models, run_bench
    from burnish.cli.bench_tables import bench_tables
    from burnish.files import atomic_write, check_writable

    if as_json is not None and str(as_json) != "-":  # told before minutes of measuring, not after
        check_writable(as_json)
    console = Console(stderr=True)
    command = "burnish " + " ".join(sys.argv[1:])
    with console.status("") as status:

        def tell(text: str) -> None:
            status.update(text)

        if models:
            found = bench_models(
                models, data, threads, command, tell,
                lambda problem: console.print(f"not used: {problem}", highlight=False,
                                              markup=False, soft_wrap=True),
            )  # fmt: skip
        else:
            found = run_bench(
                preset, changes, data, threads, seconds, against == "naive", command, tell
            )
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
