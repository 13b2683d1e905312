"""`burnish calibrate`: a new threshold for a trained model, from other good images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def calibrate(
    model: Annotated[Path, typer.Argument(help="Model file or run folder.")],
    data: Annotated[
        Path, typer.Argument(help="Folder of good images that the model has not learnt from.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the new model.safetensors.")],
    false_alarms: Annotated[
        float | None,
        typer.Option(help="Share of good parts that may be called defective (default: as before)."),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(
            metavar="REGEX",
            help="Finds the part's name in a file name (default: as at training).",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what OUT holds.")] = False,
) -> None:
    """Set a new threshold and p-values from good images, without training.

    For another lamp, lens or station, or for a lower false-alarm rate,
    with more good parts than training held out.
    """
    from burnish.cli.console import Console
    from burnish.errors import BurnishError
    from burnish.images.dataset import find_training_images

    find_training_images(data)  # a wrong folder is told before torch takes its seconds
    if (out / "model.safetensors").exists() and not overwrite:
        raise BurnishError(
            f"{out} already holds model.safetensors: --overwrite replaces it, or choose another "
            "--out"
        )

    from burnish.cli.progress import training_progress
    from burnish.cli.say import say
    from burnish.detection.detector import Detector
    from burnish.detection.run_folder import locked_run_folder, stale_files_note
    from burnish.system import quoted

    console = Console(stderr=True)
    detector = Detector.load(model, device)
    with locked_run_folder(out, resume=False, overwrite=True):
        with training_progress(console) as on_stage:
            calibrated = detector.calibrate(
                data, part_pattern=part, false_alarms=false_alarms, on_stage=on_stage
            )
        stale = stale_files_note(out)
        path = calibrated.save(out)
    lines = [f"note: {stale}"] if stale else []
    lines += [f"model written to {path}", f"next: burnish inspect {quoted(out)} IMAGES"]
    for line in lines:
        say(console, line)
