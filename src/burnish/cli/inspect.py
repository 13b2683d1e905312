"""`burnish inspect`: one line a part; the exit code is the verdict."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from burnish.detection.result import Result

COLUMNS = (
    "path", "verdict", "score", "threshold", "p_value", "where", "out_of_range", "ms", "error",
)  # fmt: skip
HEATMAP = ".heatmap.png"
NOTES = 5  # shown; a camera of 16 bits would give one an image


def inspect(
    model: Annotated[Path, typer.Argument(help="Model file, run folder or exported model.")],
    paths: Annotated[list[str], typer.Argument(help="Image files, folders or globs.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="JSON on stdout, an array with an object an image.")
    ] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="CSV on stdout, a row as soon as an image is judged.")
    ] = False,
    heatmaps: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write a picture of every part: image, reconstruction, residual, heat map.",
        ),
    ] = None,
    full_size: Annotated[
        bool,
        typer.Option(
            "--full-size", help="With --heatmaps: the heat map alone, as large as the image."
        ),
    ] = False,
    false_alarms: Annotated[
        float | None, typer.Option(help="Another wanted false-alarm rate than at training.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
) -> None:
    """Judge images: verdict, score, p-value and place of the defect.

    Exit code: 0 all good, 1 defects found, 2 something not read or not written.

    An image unlike the training images in brightness, contrast, sharpness or
    colour is judged and flagged: do not trust its verdict before a look at it.
    """
    from burnish.checks.finding import counted
    from burnish.errors import BurnishError
    from burnish.files import check_writable
    from burnish.images.dataset import expand_paths

    if as_json and as_csv:
        raise BurnishError("choose one of --json and --csv")
    if full_size and heatmaps is None:
        raise BurnishError("--full-size says how --heatmaps DIR draws: give that too")
    files, problems = expand_paths(paths)
    if not files:
        raise BurnishError("nothing to inspect: " + "; ".join(problems.values()))

    from burnish.detection.detector import Detector
    from burnish.training.allocator import keep_freed_memory

    keep_freed_memory()
    detector = Detector.load(model, device)
    if false_alarms is not None:
        detector = detector.with_false_alarms(false_alarms)
        print(f"burnish: {detector.card.calibration.promise()}", file=sys.stderr)
    if heatmaps is not None:
        check_writable(heatmaps / "heatmap.png")
        # Pictures of an earlier run are no parts, though they lie in a folder of parts.
        files, pictures = _without(files, heatmaps)
        if pictures:
            count = counted(pictures, "heat map")
            print(f"burnish: note: {count} in {heatmaps} left out", file=sys.stderr)
        if not files:
            raise BurnishError(f"nothing to inspect but heat maps in {heatmaps}")
    root = os.path.commonpath([os.path.dirname(os.path.abspath(file)) for file in files])
    table = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
    if as_csv:
        table.writeheader()
    rows = [_failed(source, problem) for source, problem in problems.items()]
    if as_csv:
        table.writerows(rows)
    defects, errors, notes, unlike, unlike_good, unsaved = 0, 0, 0, 0, 0, False

    with _as_json(rows) if as_json else nullcontext():
        for file in files:
            try:
                result = detector.inspect(file)
            except BurnishError as error:
                errors += 1
                row = _failed(str(file), str(error))
            else:
                defects += result.is_defect
                unlike += bool(result.out_of_range)
                unlike_good += bool(result.out_of_range) and not result.is_defect
                for note in result.notes[: max(0, NOTES - notes)]:
                    print(f"burnish: note: {file}: {note}", file=sys.stderr)
                notes += len(result.notes)
                row = _row(result) if as_csv else result.to_dict()
                if not (as_json or as_csv):
                    print(_line(result), flush=True)
                if heatmaps is not None:
                    place = heatmaps / os.path.relpath(file, root)
                    unsaved |= not _save_heatmap(result, place, full_size)
            if as_csv:
                table.writerow(row)
                sys.stdout.flush()  # who reads the line wants it now
            rows.append(row)
    if notes > NOTES:
        more = counted(notes - NOTES, "more note")
        print(f"burnish: and {more}; --json has all", file=sys.stderr)
    if not (as_json or as_csv):
        good = len(files) - defects - errors
        print(f"{counted(len(files), 'image')}: {good} good, {defects} defective, "
              f"{errors} not read", file=sys.stderr)  # fmt: skip
        if unlike:
            print(f"burnish: {unlike} of them unlike the training images, {unlike_good} of these "
                  "called good: check lamp, lens and exposure before trusting their verdicts (a "
                  "large defect alone can make its image unlike)", file=sys.stderr)  # fmt: skip
    raise typer.Exit(2 if errors or problems or unsaved else 1 if defects else 0)


@contextmanager
def _as_json(rows: list[dict[str, Any]]) -> Iterator[None]:
    """Print the rows at the end; also at an early one, by Ctrl-C say: what was judged so far."""
    try:
        yield
    finally:
        print(json.dumps(rows, indent=1))


def _without(files: list[Path], folder: Path) -> tuple[list[Path], int]:
    """The files without the heat maps in the folder, and how many these are."""
    inside = os.path.abspath(folder) + os.sep
    kept = [
        file for file in files
        if not (file.name.endswith(HEATMAP) and os.path.abspath(file).startswith(inside))
    ]  # fmt: skip
    return kept, len(files) - len(kept)


def _failed(source: str, problem: str) -> dict[str, Any]:
    """The row of what could not be judged; people are told at once."""
    print(f"burnish: {problem}", file=sys.stderr)
    return {"path": source, "verdict": "error", "error": problem}


def _line(result: Result) -> str:
    sign = ">" if result.is_defect else "<="
    at = "at " if result.regions else ""
    where = f"  {at}{result.where}" if result.where else ""
    if result.out_of_range:
        more = f" (+{len(result.out_of_range) - 1})" if len(result.out_of_range) > 1 else ""
        where += f"  UNLIKE TRAINING: {result.out_of_range[0]}{more}"
    return (
        f"{result.headline:<6}  score {result.score:.4g} {sign} {result.threshold:.4g}  "
        f"p {result.p_value:.3g}  {result.path}{where}"
    )


def _row(result: Result) -> dict[str, Any]:
    return {
        "path": result.path,
        "verdict": result.verdict,
        "score": result.score,
        "threshold": result.threshold,
        "p_value": result.p_value,
        "where": result.where,
        "out_of_range": "; ".join(map(str, result.out_of_range)),
        "ms": round(result.speed.total, 2),
        "error": "",
    }


def _save_heatmap(result: Result, path: Path, full_size: bool) -> bool:
    """Whether the picture could be written; where not, the verdict stands all the same."""
    from burnish.detection.pictures import heatmap, outline, panels, save_picture
    from burnish.errors import BurnishError

    try:
        picture = outline(heatmap(result), result) if full_size else panels(result)
        # The suffix stays in the name: part.png and part.jpg must not overwrite each other.
        save_picture(picture, path.with_name(f"{path.name}{HEATMAP}"))
    except BurnishError as error:
        print(f"burnish: {error}", file=sys.stderr)
        return False
    return True
