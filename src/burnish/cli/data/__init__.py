"""`burnish data`: from whatever is on disk to images one can trust."""

from __future__ import annotations

import typer

from burnish.cli.data.cache import cache
from burnish.cli.data.check import check
from burnish.cli.data.prepare import formats, prepare
from burnish.cli.data.stain import stain
from burnish.cli.data.synth import synth

app = typer.Typer(
    name="data",
    help="Prepare images, check them, make synthetic ones.",
    no_args_is_help=True,
)

for verb in (prepare, check, formats, synth, stain, cache):
    app.command()(verb)
