"""`burnish export`: the whole inspection as one file for another runtime, proven to judge alike."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from burnish.cli.ending import check_end


class Format(StrEnum):
    """What an exported model can be."""

    onnx = "onnx"
    openvino = "openvino"
    torch_export = "torch-export"


def export(
    model: Annotated[Path, typer.Argument(help="Model file or run folder.")],
    to: Annotated[Format, typer.Option("--to", help="Format of the file.")],
    int8: Annotated[
        bool,
        typer.Option("--int8", help="Linear layers in 8 bits: a smaller file, not a faster one."),
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File to write (default: beside the model).")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Images to compare on: a folder of good ones, or MVTec AD layout. Default: the "
            "model's own held-out good images and its data set's test images.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Export a model to one file that takes raw pixels and gives score, verdict and map.

    Everything from resizing to the threshold is inside. The file is only
    written if it judges real images as the model does.

    Exit code: 0 written, 2 no file.
    """
    from burnish.export.export import export_model

    shown = sys.stderr.isatty()

    def tell(stage: str) -> None:
        check_end()
        print(f"{stage} ...", file=sys.stderr)

    def count(done: int, total: int) -> None:
        check_end()
        if shown:
            print(f"\r{done}/{total}", end="\n" if done == total else "", file=sys.stderr)

    made = export_model(model, to.value, out, data, int8, tell, count)
    if as_json:
        record = {"files": [str(file) for file in made.files], "bytes": made.bytes}
        print(json.dumps(record | {"parity": made.parity.to_dict()}, indent=1))
        return
    print(f"{made.files[0]} ({made.bytes / 1e6:.1f} MB)")
    print(f"compared on {made.parity.summary()}")
    if made.parity.raised:
        print(
            f"threshold {made.parity.exported_threshold:.6g}, raised from "
            f"{made.parity.threshold:.6g}: some good images score higher in 8 bits"
        )
