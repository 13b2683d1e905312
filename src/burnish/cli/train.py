"""`burnish train`: a folder of good images becomes a calibrated model."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer


def train(
    data: Annotated[
        Path, typer.Argument(help="MVTec AD layout (train/good, ...) or a folder of good images.")
    ],
    out: Annotated[Path, typer.Option(help="Run folder: model, checkpoint, losses.csv.")],
    preset: Annotated[str, typer.Option(help="paper, small or tiny; see `burnish presets`.")] = (
        "small"
    ),
    epochs: Annotated[
        int | None,
        typer.Option(help="Length in passes over the images (default: the preset's length)."),
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Time limit of training, minutes.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.")] = None,
    false_alarms: Annotated[
        float | None,
        typer.Option(help="Share of good parts that may be called defective (default: 0.01)."),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(
            metavar="REGEX",
            help=r"Finds the part's name in a file name, as 'kos\d+', where several images show "
            "one part (default: as manifest.csv says).",
        ),
    ] = None,
    tile: Annotated[
        str | None,
        typer.Option(
            metavar="PX|full",
            help="Learn and score tiles of this side at the images' own resolution, for small "
            "flaws on big parts. full: the whole image, resized.",
        ),
    ] = None,
    overlap: Annotated[int | None, typer.Option(help="Overlap of neighbouring tiles, px.")] = None,
    roi: Annotated[
        str | None,
        typer.Option(
            metavar="MASK|POLYGON",
            help="Region of interest: a mask image (black outside) or 'x,y x,y x,y ...' in px. "
            "Nothing outside it is learnt or scored.",
        ),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Any setting, see `burnish presets NAME`; repeat as needed.",
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a stopped run.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what OUT holds.")] = False,
) -> None:
    """Learn good parts; some are held out and set the threshold."""
    from rich.console import Console

    from burnish.configuration import make_settings, parse_assignments
    from burnish.errors import BurnishError

    named = {
        "epochs": epochs, "minutes": minutes, "seed": seed, "false_alarms": false_alarms,
        "part_pattern": part, "overlap": overlap, "roi": roi,
        "tile": int(tile) if tile and tile.isdigit() else tile,
    }  # fmt: skip
    changes: dict[str, Any] = parse_assignments(assignments or [])
    options = {key: value for key, value in named.items() if value is not None}
    for key in options.keys() & changes.keys():
        raise BurnishError(f"{key} is given twice, as an option and with --set: give it once")
    changes |= options
    make_settings(preset, changes)  # a wrong setting is told before torch takes its seconds

    from burnish.cli.progress import training_progress
    from burnish.detection.detector import Detector
    from burnish.detection.stages import Stage
    from burnish.training.loop import Interrupted
    from burnish.training.process import is_worker

    console = Console(stderr=True)
    reached: set[str] = set()
    try:
        with training_progress(console) as show:

            def on_stage(stage: Stage) -> None:
                reached.add(stage.name)
                show(stage)

            Detector.train(
                data, preset, out, resume=resume, overwrite=overwrite, on_stage=on_stage, **changes
            )
    except KeyboardInterrupt as stop:  # training itself sees to it, and leaves a checkpoint
        if "calibrate" not in reached:  # what lies in OUT may be an older run's
            raise
        raise Interrupted(
            f"interrupted; what was trained is saved in {out}: the same command with --resume "
            "goes on"
        ) from stop
    if not is_worker():
        words = f"next: burnish inspect {shlex.quote(str(out))} IMAGES"
        console.print(words, highlight=False, markup=False, soft_wrap=True)
