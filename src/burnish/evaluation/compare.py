"""Compare several evaluated runs: their figures, their settings, the data they were tested on."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from burnish.errors import BurnishError
from burnish.evaluation.paired import auroc_difference
from burnish.evaluation.record import FORMAT, Evaluation, Interval
from burnish.evaluation.seeds import OverSeeds, over_seeds, same_masks
from burnish.files import printable

RECORD = "evaluation.json"
# In a run folder; in a report's folder. A study's cell may have both, the first with more figures.
PLACES = (f"evaluation/{RECORD}", RECORD)
SEED_KEYS = {  # what `seeds.FIGURES` calls other than a line
    "pixels.auroc": "pixel_auroc",
    "pixels.aupro": "pixel_aupro",
    "equalised.image_auroc": "equalised_auroc",
}
MANY = 30  # most runs: more curves and columns cannot be read


@dataclass(frozen=True)
class Run:
    """One evaluated run.

    Attributes:
        name: short, and different from every other run's in a comparison.
        path: its evaluation.json.
    """

    name: str
    path: Path
    evaluation: Evaluation


@dataclass(frozen=True)
class TestedOn:
    """Runs tested on the same images.

    Attributes:
        number: from 1, in the order the runs were given.
        data: the folder, as the first of the runs calls it.
        fingerprint: of the test images; empty when some run does not hold one, and only the
            images' names were compared.
        runs: their names.
    """

    number: int
    data: str
    fingerprint: str
    runs: tuple[str, ...]


def load_runs(sources: Sequence[str | Path]) -> list[Run]:
    """Read the evaluations of run folders, report folders or evaluation.json files.

    Raises:
        BurnishError: fewer than two, one given twice, missing, or not an evaluation.
    """
    paths = [_record_of(Path(source)) for source in sources]
    if len(paths) < 2:
        raise BurnishError(
            f"{len(paths)} run given: a comparison needs at least two "
            "(burnish compare-runs RUN RUN ...)"
        )
    if len(paths) > MANY:
        raise BurnishError(f"{len(paths)} runs given: at most {MANY} can be read side by side")
    seen: dict[Path, Path] = {}
    for path in paths:
        real = path.resolve()
        if real in seen:
            raise BurnishError(f"{path} is given twice; give every run once")
        seen[real] = path
    names = short_names(paths)
    return [
        Run(printable(n), path, read_record(path)) for n, path in zip(names, paths, strict=True)
    ]


def read_record(path: Path) -> Evaluation:
    """Read and validate an evaluation.json.

    Raises:
        BurnishError: not readable, no evaluation, or written by a newer burnish.
    """
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        number = entry["format"]
    except OSError as error:
        raise BurnishError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BurnishError(
            f"{path} is not the record of an evaluation; burnish evaluate MODEL DATA writes one"
        ) from error
    if isinstance(number, int) and number > FORMAT:
        raise BurnishError(
            f"{path} has format {number}, this burnish reads up to {FORMAT}: update burnish"
        )
    try:
        record = Evaluation.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BurnishError(
            f"{path} is damaged ({where}: {first['msg']}); evaluate that model again"
        ) from error
    if not record.images:
        raise BurnishError(f"{path} holds no image; evaluate that model again")
    return record


def short_names(paths: Sequence[Path]) -> list[str]:
    """The shortest ends of the run folders' paths that tell them apart."""
    folders = []
    for path in paths:
        folder = path.resolve().parent
        if folder.name == "evaluation" and (folder.parent / "model.safetensors").exists():
            folder = folder.parent
        folders.append(folder / path.name if path.name != RECORD else folder)
    length = 1
    while True:
        names = ["/".join(folder.parts[-length:]) for folder in folders]
        if len(set(names)) == len(names) or length >= max(len(f.parts) for f in folders):
            return names
        length += 1


def by_test_set(runs: Sequence[Run]) -> list[TestedOn]:
    """Group the runs by their test images: by fingerprint if all have one, else by the images'
    names and labels. Figures of different groups cannot be compared.
    """
    known = all(run.evaluation.test_fingerprint for run in runs)
    groups: dict[object, list[Run]] = {}
    for run in runs:
        e = run.evaluation
        names = tuple(sorted((row.path, row.kind) for row in e.images))
        groups.setdefault(e.test_fingerprint if known else names, []).append(run)
    return [
        TestedOn(
            number=number,
            data=group[0].evaluation.data,
            fingerprint=group[0].evaluation.test_fingerprint if known else "",
            runs=tuple(run.name for run in group),
        )
        for number, group in enumerate(groups.values(), start=1)
    ]


def differing_settings(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """Settings that differ between runs -> value in each run, None if not known."""
    known = [run.evaluation.model.settings for run in runs]
    differing = {}
    for name in dict.fromkeys(name for settings in known for name in settings):
        values = [settings.get(name) for settings in known if settings]  # old records have none
        if any(value != values[0] for value in values):
            differing[name] = [settings.get(name) for settings in known]
    return differing


def over_seeds_of(runs: Sequence[Run]) -> dict[str, OverSeeds]:
    """Mean and deviation by `Line.key` if the runs differ only in their seed, else {}."""
    same = {
        (run.evaluation.model.preset, run.evaluation.model.training_fingerprint) for run in runs
    }
    if len(same) > 1 or len(by_test_set(runs)) > 1 or set(differing_settings(runs)) != {"seed"}:
        return {}
    if not all(run.evaluation.model.settings and run.evaluation.test_fingerprint for run in runs):
        return {}
    found = over_seeds([run.evaluation for run in runs])
    return {SEED_KEYS.get(name, name): value for name, value in found.items()}


@dataclass(frozen=True)
class Line:
    """One figure of every run.

    Attributes:
        key: its name in JSON and CSV.
        name: its name for people.
        values: one a run, None where not available.
        intervals: 95 %, one a run, None where not available.
        best: "high" or "low" when more or less of it is better; "" when it is neither.
        form: "number", "difference", "percent" or "ms".
        notes: one a run, or none at all.
    """

    key: str
    name: str
    values: tuple[float | None, ...]
    intervals: tuple[Interval | None, ...]
    best: str
    form: str
    notes: tuple[str, ...] = ()

    @property
    def leaders(self) -> frozenset[int]:
        """Indices of the best values; empty if neither direction is better or all are equal."""
        known = [value for value in self.values if value is not None]
        if not self.best or len(set(known)) < 2:
            return frozenset()
        top = max(known) if self.best == "high" else min(known)
        return frozenset(
            place
            for place, value in enumerate(self.values)
            if value is not None and math.isclose(value, top, rel_tol=0, abs_tol=5e-5)
        )


def lines(runs: Sequence[Run]) -> list[Line]:
    """The table: one line a figure, in the order to be read."""
    rows = [
        _line(runs, "image_auroc", "image AUROC", "high"),
        _difference(runs),
        _line(runs, "average_precision", "average precision", "high"),
        _line(runs, "f1", "F1 at the threshold", "high"),
        _line(runs, "all_positive_f1", "F1 of calling all defective", ""),
        _line(runs, "escape_rate", "escapes", "low", "percent"),
        _line(runs, "false_alarm_rate_wanted", "false alarms wanted", "", "percent"),
        _line(runs, "false_alarm_rate_got", "false alarms got", "", "percent"),
    ]
    records = [run.evaluation for run in runs]
    pixels, best = [e.pixels for e in records], "high" if same_masks(records) else ""
    for name in ("auroc", "aupro"):
        values = tuple(None if p is None else getattr(p.overall, name) for p in pixels)
        pairs = tuple(None if p is None else p.intervals.get(name) for p in pixels)
        rows.append(Line(f"pixel_{name}", f"pixel {name.upper()}", values, pairs, best, "number"))
    nothing = (None,) * len(runs)
    equal = tuple(None if e.equalised is None else e.equalised.image_auroc for e in records)
    rows.append(Line("equalised_auroc", "AUROC, light equalised", equal, nothing, "high", "number"))
    trivial = [e.best_trivial for e in records]
    rows.append(
        Line(
            key="trivial_auroc",
            name="AUROC of the best trivial statistic",
            values=tuple(None if row is None else row.auroc for row in trivial),
            intervals=nothing,
            best="",
            form="number",
            notes=tuple("" if row is None else row.label for row in trivial),
        )
    )
    rows.append(_line(runs, "ms_per_image", "time per image", "low", "ms"))
    return rows


def _difference(runs: Sequence[Run]) -> Line:
    """Difference from the first run, of those tested on its images, paired by image: its intervals
    are the ones to judge by."""
    same = by_test_set(runs)[0].runs
    pairs = [
        auroc_difference(runs[0].evaluation, run.evaluation) if run.name in same else (None, None)
        for run in runs[1:]
    ]
    values, intervals = zip((None, None), *pairs, strict=True)
    return Line(
        "image_auroc_difference",
        f"AUROC against {runs[0].name}",
        values,
        intervals,
        "",
        "difference",
    )


def _line(runs: Sequence[Run], key: str, name: str, best: str, form: str = "number") -> Line:
    values = tuple(getattr(run.evaluation, key) for run in runs)
    pairs = tuple(run.evaluation.intervals.get(key) for run in runs)
    if key == "false_alarm_rate_got":
        pairs = tuple(run.evaluation.false_alarm_interval for run in runs)
    return Line(key, name, values, pairs, best, form)


def _record_of(source: Path) -> Path:
    """The evaluation.json that an argument refers to."""
    if source.is_file():
        if source.suffix == ".safetensors":
            return _record_of(source.parent)
        return source
    if not source.exists():
        raise BurnishError(f"{source} does not exist")
    for place in PLACES:
        if (source / place).is_file():
            return source / place
    if (source / "model.safetensors").is_file():
        raise BurnishError(
            f"{source} has not been evaluated; burnish evaluate {source} DATA does that"
        )
    raise BurnishError(
        f"{source} holds neither a model nor an {RECORD}; give a run folder that was evaluated, or "
        f"the folder that burnish evaluate --report wrote"
    )
