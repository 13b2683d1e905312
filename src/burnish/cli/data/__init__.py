"""`burnish data`: from whatever is on disk to images one can trust."""

from __future__ import annotations

import typer

from burnish.cli.data.check import check
from burnish.cli.data.prepare import formats, prepare

app = typer.Typer(
    name="data",
    help="Bring images in, tell the truth about them, make synthetic ones.",
    no_args_is_help=True,
)

for verb in (prepare, check, formats):
    app.command()(verb)
