"""`burnish data stain`: defects on held-out good images, to choose settings without test labels."""

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


def stain(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="MVTec AD layout (only train/good is read) or a folder of good images.",
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write, new or empty.")],
    part: Annotated[
        str,
        typer.Option(
            metavar="REGEX",
            help=r"Finds the part's name in a file name, as 'kos\d+'; else as manifest.csv says.",
        ),
    ] = "",
    holdout: Annotated[
        float | None,
        typer.Option(
            help="Share of the images held out, whole parts at a time (default: as training does)."
        ),
    ] = None,
    kinds: Annotated[
        str,
        typer.Option(
            metavar="KIND,...",
            help="Of scratch, pit, stain, dent, crack, wear, uneven, cutpaste; all if not given. "
            "For colour images discolouration too, if named.",
        ),
    ] = "",
    per_image: Annotated[
        int, typer.Option(help="Defective versions of each held-out image, kinds in turn.")
    ] = 1,
    strength: Annotated[
        float, typer.Option(help="Contrast of the defects: 0.5 is half the usual.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of split and defects.")] = 0,
    roi: Annotated[
        str,
        typer.Option(
            metavar="FILE|POLYGON", help="Where defects may lie: a mask image, or 'x,y x,y x,y' px."
        ),
    ] = "",
    on_part: Annotated[
        bool,
        typer.Option("--on-part", help="Keep defects off a plain background, found by itself."),
    ] = False,
    edges: Annotated[
        float,
        typer.Option(
            help="Share of the defects (0 to 1) across the edge of image, region or part."
        ),
    ] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Draw defects on good images held out of training, so that settings can be tried on them.

    OUT is in MVTec AD layout. Nothing under DIR/test is ever touched.
    Training files are hard links where the disk allows it.

    Exit code: 0 written (what was left out is named), 2 nothing could be drawn on.
    """
    from burnish.cli.console import Console
    from burnish.cli.progress import image_progress
    from burnish.images.synthetic.stain import stain as draw_stains
    from burnish.images.synthetic.stain_plan import Request

    named = {"kinds": tuple(k.strip() for k in kinds.split(","))} if kinds else {}
    request = Request(
        part=part,
        holdout="auto" if holdout is None else holdout,
        per_image=per_image,
        strength=strength,
        roi=roi,
        on_part=on_part,
        edges=edges,
        seed=seed,
        **named,
    )
    with image_progress(Console(stderr=True), "stain") as progress:
        stained = draw_stains(data, out, request, lambda stage, done, total: progress(done, total))
    if as_json:
        print(json.dumps(stained.to_dict(), indent=1))
    else:
        _print(stained)


def _print(stained: Prepared) -> None:
    from burnish.cli.console import Console

    console = Console(highlight=False)
    say(console, status_of(stained))
    console.print(counts_of(stained))
    say_notes(console, stained, "are left out", "; --json names them all")
    # Not the name alone: that is where the model of the set itself is likely to lie.
    run = Path("runs", f"{stained.out.name}-drawn")
    data, model = (quoted(path) for path in (stained.out, run))
    say(console, f"next: burnish train {data} --out {model}")
    say(console, f"      burnish evaluate {model} {data}")
