"""The `burnish` command. Every verb is one small file; heavy imports happen inside the verbs."""

from __future__ import annotations

import io
import os
import sys
import traceback
from typing import Annotated, TextIO

import typer

from burnish import __version__
from burnish.cli.bench import bench
from burnish.cli.calibrate import calibrate
from burnish.cli.compare_runs import compare_runs
from burnish.cli.data import app as data
from burnish.cli.demo import demo
from burnish.cli.doctor import doctor
from burnish.cli.ending import SIGNALS, clean_end
from burnish.cli.evaluate import evaluate
from burnish.cli.export import export
from burnish.cli.info import info
from burnish.cli.inspect import inspect
from burnish.cli.presets import presets
from burnish.cli.study import study
from burnish.cli.train import train
from burnish.errors import BurnishError
from burnish.files import visible

app = typer.Typer(
    name="burnish",
    help="Finds surface defects on metal parts after seeing only good ones.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 all went well; 1 defects found (inspect) or warnings (data check); "
    "2 error; 130 interrupted.",
)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"burnish {__version__}")
        raise typer.Exit


for verb in (
    train,
    calibrate,
    evaluate,
    compare_runs,
    inspect,
    export,
    info,
    presets,
    study,
    bench,
    doctor,
    demo,
):
    app.command()(verb)
app.add_typer(data)


def run() -> None:
    """Entry point: a user's mistake is one line on stderr and exit code 2, never a traceback.

    Nothing but a verdict (`inspect`) or a finding (`data check`) ends with 1.
    """
    try:
        _run()
    except OSError:  # from telling what went wrong: the disk that stderr goes to is full
        _drop(sys.stdout)
        _drop(sys.stderr)
        sys.exit(2)


def _run() -> None:
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed, as by `>&-` or some services
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file name may not fit the terminal's encoding
            utf8 = stream.encoding.lower().replace("-", "") == "utf8"
            stream.reconfigure(errors="surrogateescape" if utf8 else "backslashreplace")
    try:
        try:
            with clean_end():
                app()
        finally:  # here a full disk can be reported; at Python's exit it could not
            sys.stdout.flush()
    except BurnishError as error:
        interrupted = type(error).__name__ == "Interrupted"
        _tell(error)
        sys.exit(130 if interrupted else 2)
    except KeyboardInterrupt:
        print("burnish: interrupted", file=sys.stderr)
        sys.exit(130)
    except SystemExit as leaving:
        if leaving.code == 130:  # how typer reports Ctrl-C
            print("burnish: interrupted", file=sys.stderr)
        for kind in SIGNALS:
            if leaving.code == 128 + kind:
                print(f"burnish: ended by {kind.name}", file=sys.stderr)
        if not isinstance(leaving.__context__, BrokenPipeError):
            raise
        _drop(sys.stdout)  # its reader is gone, as with `| head`, for which typer exits with 1
        sys.exit(2)
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            _tell(error)
        _drop(sys.stdout)
        sys.exit(2)
    except Exception:  # a bug of burnish
        traceback.print_exc()
        sys.exit(2)


def _tell(error: Exception) -> None:
    """Further lines are indented: one from a name shall not look like another message."""
    print("burnish:", "\n  ".join(map(visible, str(error).split("\n"))), file=sys.stderr)


def _drop(stream: TextIO) -> None:
    """Send what is still buffered to nowhere: flushing it at Python's exit would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    run()
