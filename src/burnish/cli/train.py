"""`burnish train`: a folder of good images becomes a calibrated model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from burnish.cli.say import say
from burnish.system import quoted

if TYPE_CHECKING:
    from burnish.cli.console import Console


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
    folds: Annotated[
        int | None,
        typer.Option(
            help="For few good parts: hold them out in turn, in so many groups (5, say). All are "
            "learnt from and all set the threshold, in FOLDS + 1 times the time."
        ),
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
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with a stopped run, or calibrate a finished one with other settings.",
        ),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what OUT holds.")] = False,
) -> None:
    """Learn good parts; some are held out and set the threshold."""
    from burnish.configuration import make_settings

    options = {
        "epochs": epochs,
        "minutes": minutes,
        "seed": seed,
        "false_alarms": false_alarms,
        "folds": folds,
        "part_pattern": part,
        "overlap": overlap,
        "roi": roi,
        "tile": int(tile) if tile and tile.isdigit() else tile,
    }
    changes = _changes(options, assignments or [])
    make_settings(preset, changes)  # refuses a wrong setting before torch takes its seconds to load

    from burnish.cli.console import Console
    from burnish.training.process import is_worker

    console = Console(stderr=True)
    _train(console, data, preset, out, resume, overwrite, changes)
    if not is_worker():
        say(console, f"next: burnish inspect {quoted(out)} IMAGES")


def _changes(options: dict[str, Any], assignments: list[str]) -> dict[str, Any]:
    """The settings that the options and --set change; an option that is None is left out.

    Raises:
        BurnishError: a setting is given in both ways.
    """
    from burnish.configuration import parse_assignments
    from burnish.errors import BurnishError

    changes = parse_assignments(assignments)
    given = {key: value for key, value in options.items() if value is not None}
    for key in given.keys() & changes.keys():
        raise BurnishError(f"{key} is given twice, as an option and with --set: give it once")
    return changes | given


def _train(
    console: Console,
    data: Path,
    preset: str,
    out: Path,
    resume: bool,
    overwrite: bool,
    changes: dict[str, Any],
) -> None:
    """Train with a progress bar; Ctrl-C during the calibration says how to go on."""
    from burnish.cli.progress import training_progress
    from burnish.detection.detector import Detector
    from burnish.detection.stages import Stage
    from burnish.training.loop import Interrupted

    reached: set[str] = set()
    try:
        with training_progress(console) as show:

            def on_stage(stage: Stage) -> None:
                reached.add(stage.name)
                show(stage)

            Detector.train(
                data, preset, out, resume=resume, overwrite=overwrite, on_stage=on_stage, **changes
            )
    except KeyboardInterrupt as stop:  # training itself catches it and leaves a checkpoint
        if "calibrate" not in reached:  # OUT may still hold an older run
            raise
        raise Interrupted(
            f"interrupted; what was trained is saved in {out}: the same command with --resume "
            "goes on"
        ) from stop
