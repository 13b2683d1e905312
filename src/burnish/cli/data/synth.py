"""`burnish data synth`: a set of procedural metal, with defects and their masks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from burnish.cli.say import say
from burnish.system import quoted


def synth(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write, new or empty.")],
    surface: Annotated[
        str, typer.Option(help="brushed, rolled, cast, ground or mixed.")
    ] = "brushed",
    train: Annotated[int, typer.Option(help="Good images to train on.")] = 500,
    good: Annotated[int, typer.Option(help="Good images to test on.")] = 60,
    defects: Annotated[
        int, typer.Option(help="Defective images to test on: scratch, pit, stain, dent, crack.")
    ] = 60,
    size: Annotated[
        str, typer.Option(metavar="HxW", help="Height x width of the images, px.")
    ] = "128x128",
    seed: Annotated[int, typer.Option(help="Seed of every image.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Make synthetic images of metal: good ones, and defects with exact masks.

    OUT is in MVTec AD layout with manifest.csv; synth.json keeps the settings.
    Called again, it completes what is missing; other settings are refused.
    """
    height, width = _size(size)

    from burnish.cli.console import Console
    from burnish.cli.progress import image_progress
    from burnish.images.synthetic.defects import DEFECTS
    from burnish.images.synthetic.synth import write_dataset

    with image_progress(Console(stderr=True), "synth") as on_image:
        write_dataset(
            out,
            train=train,
            good=good,
            defects=defects,
            size=(height, width),
            surface=surface,
            seed=seed,
            on_image=on_image,
        )
    if as_json:
        import json

        facts = {"out": str(out), "surface": surface, "size": [height, width], "seed": seed}
        print(json.dumps(facts | {"train": train, "good": good, "defects": defects}, indent=1))
        return
    console = Console()
    data, run = (quoted(path) for path in (out, Path("runs", out.name)))
    for line in (
        f"{out}: {surface} metal, {height}x{width} px (height x width), seed {seed}",
        f"  train/good    {train:6,}",
        f"  test/good     {good:6,}",
        f"  test/<defect> {defects:6,}  {', '.join(DEFECTS)}; masks in ground_truth/",
        f"next: burnish data check {data}",
        f"      burnish train {data} --out {run}",
    ):
        say(console, line)


def _size(text: str) -> tuple[int, int]:
    """ "96x128" -> (96, 128)."""
    from burnish.errors import BurnishError

    found = re.fullmatch(r"\s*(\d{1,9})\s*[x×]\s*(\d{1,9})\s*", text, re.IGNORECASE)
    if not found:
        raise BurnishError(f"--size '{text}': height x width in px is wanted, as 128x128")
    return int(found[1]), int(found[2])
