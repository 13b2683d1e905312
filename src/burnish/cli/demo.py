"""`burnish demo`: make metal, learn the good parts, find the defects, write a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from burnish.cli.say import say
from burnish.system import quoted

# A fifth of the training images is held out: 100 of them can promise 1 % false alarms.
TRAIN, GOOD, DEFECTS = 500, 60, 60


def demo(
    out: Annotated[Path, typer.Option(help="Where data, model, report and results go.")] = Path(
        "demo"
    ),
    surface: Annotated[
        str, typer.Option(help="brushed, rolled, cast, ground or mixed.")
    ] = "brushed",
    seed: Annotated[int, typer.Option(help="Seed of images and training.")] = 0,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of preset tiny."),
    ] = None,
) -> None:
    """Make images, learn, inspect and report: a first look, in about two minutes."""
    from burnish.cli.console import Console
    from burnish.configuration import make_settings, parse_assignments
    from burnish.errors import BurnishError

    changes: dict[str, Any] = parse_assignments(assignments or [])
    if "seed" in changes:  # it draws the images too
        raise BurnishError("give the seed with --seed, not with --set")
    changes |= {"seed": seed}
    make_settings("tiny", changes)
    console = Console()
    making = f"making {TRAIN + GOOD + DEFECTS} images of {surface} metal in {out / 'data'}"
    console.print(making, markup=False)

    from burnish.cli.progress import image_progress, training_progress
    from burnish.cli.tables import by_kind, overall
    from burnish.detection.detector import Detector
    from burnish.evaluation.evaluate import evaluate
    from burnish.evaluation.record import save_json, save_scores
    from burnish.evaluation.report import write_report
    from burnish.evaluation.summary import summary
    from burnish.images.synthetic.synth import write_dataset

    folder = out / f"data/{surface}-{seed}"
    write_dataset(folder, train=TRAIN, good=GOOD, defects=DEFECTS, surface=surface, seed=seed)
    with training_progress(console) as on_stage:
        detector = Detector.train(
            folder, "tiny", out / "run", overwrite=True, on_stage=on_stage, **changes
        )
    with image_progress(console, "test") as on_image:
        evaluation = evaluate(detector, folder, on_image)
    page = write_report(evaluation, detector, folder, out / "report.html")
    save_scores(evaluation, out / "scores.csv")
    save_json(evaluation, out / "evaluation.json")
    _save_results(evaluation, out / "results.json")
    for table in (overall(evaluation), by_kind(evaluation)):
        console.print()
        console.print(table, highlight=False)
    console.print()
    say(console, summary(evaluation))
    run, test = (quoted(path) for path in (out / "run", folder / "test"))
    for line in (
        "",
        f"report:  {page}",
        f"results: {out / 'results.json'}",
        f"try:     burnish inspect {run} {test}",
    ):
        say(console, line)


def _save_results(evaluation: Any, path: Path) -> None:
    import json

    from burnish.files import atomic_write

    facts = (
        "image_auroc",
        "f1",
        "best_f1",
        "all_positive_f1",
        "false_alarm_rate_wanted",
        "false_alarm_rate_got",
        "escape_rate",
        "ms_per_image",
        "n_good",
        "n_defect",
    )
    results = {name: getattr(evaluation, name) for name in facts}
    results |= {
        "preset": "tiny",
        "seed": evaluation.model.seed,
        "train_seconds": evaluation.model.training_seconds,
    }
    atomic_write(path, json.dumps(results, indent=1) + "\n")
