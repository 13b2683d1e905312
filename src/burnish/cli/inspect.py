"""`burnish inspect`: one line a part; the exit code is the verdict."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated

import typer

from burnish.files import visible

if TYPE_CHECKING:
    from burnish.cli.printing import Lines
    from burnish.detection.detector import Detector
    from burnish.detection.result import Result
    from burnish.images.arriving import Problem

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
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            help="Keep running and inspect each image that arrives in the folders, until Ctrl-C; "
            "with --json one object per line.",
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
    from burnish.errors import BurnishError

    if as_json and as_csv:
        raise BurnishError("choose one of --json and --csv")
    if full_size and heatmaps is None:
        raise BurnishError("--full-size says how --heatmaps DIR draws: give that too")
    work = _arriving(paths, heatmaps) if watch else _there(paths, heatmaps)

    from burnish.cli import printing
    from burnish.detection.detector import Detector
    from burnish.files import check_writable
    from burnish.training.allocator import keep_freed_memory

    keep_freed_memory()
    detector = Detector.load(model, device)
    if false_alarms is not None:
        detector = detector.with_false_alarms(false_alarms)
        _say(detector.card.calibration.promise())
    pictures = None
    if heatmaps is not None:
        check_writable(heatmaps / "heatmap.png")
        pictures = Pictures(heatmaps, work.root, full_size)
    if as_csv:
        printer: printing.Lines = printing.Table()
    elif as_json:
        printer = printing.Objects() if watch else printing.Array()
    else:
        printer = printing.Lines()
    inspection = Inspection(detector, printer, pictures)
    with closing(printer):
        try:
            for found in work.found:
                if isinstance(found, Path):
                    inspection.judge(found)
                else:
                    inspection.failed(*found)
        except KeyboardInterrupt:  # how watching ends
            if not watch:
                raise
    inspection.end(summary=not (as_json or as_csv))
    raise typer.Exit(inspection.exit_code)


@dataclass(frozen=True)
class Work:
    """What to inspect.

    Attributes:
        found: images, perhaps without end, and problems in place of what gives none.
        root: a folder that all images lie in or below; None if there is none, as on two drives of
            Windows.
    """

    found: Iterable[Path | Problem]
    root: PurePath | None


def _there(paths: list[str], heatmaps: Path | None) -> Work:
    """The images that are there now."""
    from burnish.checks.finding import counted
    from burnish.errors import BurnishError
    from burnish.images.arriving import Problem
    from burnish.images.dataset import expand_paths
    from burnish.system import common_folder

    files, problems = expand_paths(paths)
    if not files:
        raise BurnishError("nothing to inspect: " + "; ".join(problems.values()))
    kept = [file for file in files if not _is_picture(file, heatmaps)]
    if pictures := len(files) - len(kept):
        _say(f"note: {counted(pictures, 'heat map')} in {heatmaps} left out")
    if not kept:
        raise BurnishError(f"nothing to inspect but heat maps in {heatmaps}")
    root = common_folder(_absolute(file).parent for file in kept)
    return Work([*(Problem(*problem) for problem in problems.items()), *kept], root)


def _arriving(paths: list[str], heatmaps: Path | None) -> Work:
    """The images in folders, and those that come into them."""
    from burnish.errors import BurnishError
    from burnish.images.arriving import arriving
    from burnish.system import common_folder

    for path in paths:
        if not os.path.isdir(path):
            raise BurnishError(f"--watch wants folders, and {path} is none")
    found = (
        one for one in arriving(paths) if not (isinstance(one, Path) and _is_picture(one, heatmaps))
    )
    return Work(found, common_folder(map(_absolute, paths)))


def _absolute(path: str | Path) -> Path:
    """Without `..`, which `Path.absolute` keeps; links stay as they are."""
    return Path(os.path.abspath(path))


def _is_picture(file: Path, heatmaps: Path | None) -> bool:
    """Whether a file is a heat map of an earlier run: no part, though it may lie in a folder of
    parts."""
    if heatmaps is None or not file.name.endswith(HEATMAP):
        return False
    # By the folders that links lead to: the same one may be given in two ways.
    return Path(os.path.realpath(file.parent)).is_relative_to(os.path.realpath(heatmaps))


@dataclass(frozen=True)
class Pictures:
    """Where heat maps go: a tree of folders like that of the images, from `root` down."""

    folder: Path
    root: PurePath | None
    full_size: bool

    def save(self, result: Result, file: Path) -> bool:
        """Whether the picture could be written; where not, the verdict stands all the same."""
        from burnish.detection.pictures import heatmap, outline, panels, save_picture
        from burnish.errors import BurnishError

        path = self.folder / place_below(_absolute(file), self.root)
        try:
            picture = outline(heatmap(result), result) if self.full_size else panels(result)
            # The suffix stays in the name: part.png and part.jpg must not overwrite each other.
            save_picture(picture, path.with_name(f"{path.name}{HEATMAP}"))
        except BurnishError as error:
            _say(str(error))
            return False
        return True


def place_below(file: PurePath, root: PurePath | None) -> PurePath:
    """Where a file, absolute, lies below `root`; without one a folder's name stands for its drive:
    D:\\in\\a.png is D\\in\\a.png."""
    if root is not None:
        return file.relative_to(root)
    return type(file)(re.sub(r"\W+", "_", file.drive).strip("_"), *file.parts[1:])


@dataclass
class Inspection:
    """Judges image after image, prints each, and keeps count."""

    detector: Detector
    printer: Lines
    pictures: Pictures | None = None
    images: int = 0
    defects: int = 0
    unread: int = 0
    unlike: int = 0
    unlike_good: int = 0
    notes: int = 0
    failures: int = 0
    before: tuple[str, tuple[int, ...], bytes] = ("", (), b"")

    def judge(self, file: Path) -> None:
        from burnish.errors import BurnishError

        self.images += 1
        try:
            result = self.detector.inspect(file)
        except BurnishError as error:
            self._not_read(file, str(error))
            return
        except MemoryError:
            self._not_read(file, f"{file} cannot be inspected: not enough memory")
            return
        result = self._compared(result)
        self.defects += result.is_defect
        self.unlike += bool(result.out_of_range)
        self.unlike_good += bool(result.out_of_range) and not result.is_defect
        for note in result.notes[: max(0, NOTES - self.notes)]:
            _say(f"note: {file}: {note}")
        self.notes += len(result.notes)
        self.printer.result(result)
        if self.pictures is not None and not self.pictures.save(result, file):
            self.failures += 1

    def _compared(self, result: Result) -> Result:
        """With a note if every pixel is as in the image before: a camera's noise rules it out."""
        image, name = result.image, str(result.path)
        before, self.before = self.before, (name, image.shape, sha256(image.data).digest())
        if before[1:] != self.before[1:]:
            return result
        note = f"every pixel is as in {before[0]}, the image before: is the camera stuck?"
        return replace(result, notes=(*result.notes, note))

    def _not_read(self, file: Path, problem: str) -> None:
        self.unread += 1
        self.failed(str(file), problem)

    def failed(self, source: str, problem: str) -> None:
        """Something could not be judged; people are told at once."""
        self.failures += 1
        _say(problem)
        self.printer.failed(source, problem)

    def end(self, summary: bool) -> None:
        """Say what is left to say; with `summary` how many images were good."""
        from burnish.checks.finding import counted

        if self.notes > NOTES:
            _say(f"and {counted(self.notes - NOTES, 'more note')}; --csv and --json have all")
        if not summary:
            return
        good = self.images - self.defects - self.unread
        print(f"{counted(self.images, 'image')}: {good} good, {self.defects} defective, "
              f"{self.unread} not read", file=sys.stderr)  # fmt: skip
        if self.unlike:
            _say(f"{self.unlike} of them unlike the training images, {self.unlike_good} of these "
                 "called good: check lamp, lens and exposure before trusting their verdicts (a "
                 "large defect alone can make its image unlike)")  # fmt: skip

    @property
    def exit_code(self) -> int:
        """0 all good, 1 defects found, 2 something not read or not written."""
        return 2 if self.failures else 1 if self.defects else 0


def _say(message: str) -> None:
    print(f"burnish: {visible(message)}", file=sys.stderr)
