"""`burnish evaluate`: how well a model does on a labelled test set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from burnish.cli.say import say

if TYPE_CHECKING:
    from burnish.cli.console import Console
    from burnish.detection.detector import Detector
    from burnish.evaluation.record import Evaluation

STRESS_IMAGES = 100  # of --stress without --stress-images


def evaluate(
    model: Annotated[Path, typer.Argument(help="Model file or run folder.")],
    data: Annotated[Path, typer.Argument(help="MVTec AD layout: test/good and test/<kind>.")],
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where report.html, evaluation.json and scores.csv go "
            "(default: evaluation/ beside the model).",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout, no table.")] = False,
    false_alarms: Annotated[
        float | None, typer.Option(help="Another wanted false-alarm rate than at training.")
    ] = None,
    pixels: Annotated[
        bool, typer.Option(help="Pixel-level metrics against the masks in ground_truth/.")
    ] = True,
    equalised: Annotated[
        bool,
        typer.Option(
            help="Inspect every image again with brightness and contrast made those of the "
            "training images; takes twice the time."
        ),
    ] = True,
    stress: Annotated[
        bool,
        typer.Option(
            "--stress",
            help="Inspect some images under 16 changes of light, focus, noise and place as well, "
            "colour images under 18.",
        ),
    ] = False,
    stress_images: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=2, help="How many images --stress takes, drawn evenly (default: 100)."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
) -> None:
    """Measure a model on labelled images: a table, JSON, and an HTML page with pictures.

    It also shows what trivial statistics such as brightness reach alone, and
    the result with brightness and contrast equalised: does the model look at
    the light or at the defects? Intervals are 95 %, by part.

    Exit code: 0 once measured, however good or bad.
    """
    from burnish.cli.console import Console
    from burnish.images.dataset import find_test_images

    folder = _report_folder(report, model)
    find_test_images(data)  # refuses a wrong folder before torch takes its seconds to load

    from burnish.cli.progress import image_progress
    from burnish.detection.detector import Detector
    from burnish.evaluation.evaluate import evaluate as run_evaluation
    from burnish.files import check_writable

    detector = Detector.load(model, device)
    if false_alarms is not None:
        detector = detector.with_false_alarms(false_alarms)
    check_writable(folder / "report.html")  # before all images are inspected, not after
    messages = Console(stderr=True)
    if false_alarms is not None:
        say(messages, detector.card.calibration.promise())
    with image_progress(messages, "evaluate") as on_image:
        evaluation = run_evaluation(
            detector,
            data,
            on_image,
            pixels=pixels,
            equalised=equalised,
            stress_images=(stress_images or STRESS_IMAGES) if stress or stress_images else 0,
        )
    page = _write(evaluation, detector, data, folder, messages)
    if as_json:
        print(evaluation.model_dump_json(indent=1))
        return
    _show(evaluation, Console(), messages)
    say(messages, f"report: {page}")


def _report_folder(report: Path | None, model: Path) -> Path:
    """Where the results go: `report`, or `evaluation/` beside the model."""
    from burnish.errors import BurnishError

    folder = report or (model if model.is_dir() else model.parent) / "evaluation"
    if folder.suffix.lower() in (".html", ".htm") and not folder.is_dir():
        raise BurnishError(
            f"--report {folder} is to be a folder, which report.html, evaluation.json and "
            f"scores.csv go into: give {folder.with_suffix('')}, say"
        )
    return folder


def _write(
    evaluation: Evaluation, detector: Detector, data: Path, folder: Path, messages: Console
) -> Path:
    """Write evaluation.json, scores.csv and the page, whose path is returned."""
    from burnish.evaluation.record import save_json, save_scores
    from burnish.evaluation.report import write_report

    if before := _other_data(folder / "evaluation.json", evaluation.test_fingerprint):
        say(
            messages,
            f"note: what stood in {folder}, of {before}, is replaced; --report FOLDER keeps both",
        )
    save_json(evaluation, folder / "evaluation.json")
    save_scores(evaluation, folder / "scores.csv")
    return write_report(evaluation, detector, data, folder / "report.html")


def _other_data(record: Path, fingerprint: str) -> str:
    """The data of an earlier evaluation.json that is of other test images; else ""."""
    try:
        found = json.loads(record.read_text("utf-8"))
        return "" if found["test_fingerprint"] == fingerprint else str(found["data"])
    except (OSError, ValueError, KeyError, TypeError):  # none, or nothing worth keeping
        return ""


def _show(evaluation: Evaluation, console: Console, messages: Console) -> None:
    """The tables and the summary; what could not be used goes to `messages`."""
    from burnish.cli import tables
    from burnish.evaluation.findings import on_stressed
    from burnish.evaluation.summary import summary

    masks = evaluation.pixels.mask_problems if evaluation.pixels else ()
    for problem in (*evaluation.unreadable, *masks):
        say(messages, f"not used: {problem.problem}")
    shown = [tables.overall(evaluation)]
    if evaluation.kinds:
        shown.append(tables.by_kind(evaluation))
    if evaluation.trivial:
        shown.append(tables.trivial(evaluation))
    if evaluation.stress:
        shown.append(tables.stress(evaluation))
    for table in shown:
        console.print(table, highlight=False)
        console.print()
    if evaluation.stress:
        say(console, f"Under changes: {on_stressed(evaluation)}")
    say(console, summary(evaluation))
