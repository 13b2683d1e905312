"""A detector on a test set: one `Evaluation` that table, JSON and HTML are all made from."""

from __future__ import annotations

import csv
import io
import os
import platform
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict

import burnish
from burnish.detection.calibration import Calibration
from burnish.detection.result import Result, Speed
from burnish.errors import BurnishError
from burnish.evaluation import metrics
from burnish.files import atomic_write
from burnish.images.dataset import TestImage, find_test_images
from burnish.settings import Settings

BEST_F1_NOTE = "threshold chosen on the test images themselves: for display only, never to be used"


class Card(Protocol):
    """What evaluation reads of a `ModelCard`."""

    @property
    def preset(self) -> str: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def calibration(self) -> Calibration: ...
    @property
    def data(self) -> dict[str, Any]: ...
    @property
    def training(self) -> dict[str, Any]: ...
    @property
    def versions(self) -> dict[str, str]: ...


class Inspector(Protocol):
    """What evaluation asks of a `Detector`; anything that gives a `Result` can be evaluated."""

    @property
    def card(self) -> Card: ...
    @property
    def path(self) -> Path | None: ...
    def inspect(self, source: Path, /) -> Result: ...


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ImageRow(_Frozen):
    """One image: its path relative to the data folder, what it is and what was said of it."""

    path: str
    kind: str
    is_defect: bool
    score: float
    p_value: float
    verdict: str  # "good" or "defect"

    @property
    def called_defective(self) -> bool:
        return self.verdict == "defect"


class KindRow(_Frozen):
    """One kind of defect; `image_auroc` is against all good images, None without any."""

    kind: str
    images: int
    caught: int
    recall: float
    image_auroc: float | None
    median_score: float


class Unreadable(_Frozen):
    """A test image that could not be read; it counts in no number."""

    path: str
    kind: str
    problem: str


class Timing(_Frozen):
    """Median time an image, ms; the stages' medians need not add up to `total`."""

    read: float
    preprocess: float
    inference: float
    postprocess: float
    total: float


class ModelFacts(_Frozen):
    """Which model this is about."""

    path: str | None
    preset: str
    seed: int
    training_seconds: float | None
    training_images: int | None
    held_out_images: int
    promise: str


class Evaluation(_Frozen):
    """Everything known of a detector on a test set, JSON-ready.

    Attributes:
        not_available: why a number is None, by field name.
        false_alarm_interval: exact 95 % interval of the false-alarm rate got.
        median_score_good: raw, as every score here.
    """

    format: int = 1
    data: str
    created: str
    burnish_version: str
    machine: str
    model: ModelFacts
    n_good: int
    n_defect: int
    threshold: float
    image_auroc: float | None
    average_precision: float | None
    f1: float | None
    precision: float | None
    recall: float | None
    caught: int
    missed: int
    false_alarms: int
    escape_rate: float | None
    false_alarm_rate_wanted: float
    false_alarm_rate_got: float | None
    false_alarm_interval: tuple[float, float] | None
    best_f1: float | None
    best_f1_threshold: float | None
    best_f1_note: str = BEST_F1_NOTE
    all_positive_f1: float | None
    not_available: dict[str, str]
    ms_per_image: float
    speed_ms: Timing
    median_score_good: float | None
    kinds: tuple[KindRow, ...]
    images: tuple[ImageRow, ...]
    unreadable: tuple[Unreadable, ...]


def evaluate(
    detector: Inspector, data: str | Path, on_image: Callable[[int, int], None] | None = None
) -> Evaluation:
    """Inspect every test image and sum up.

    Pixels are dropped as soon as an image is scored, so memory does not grow with the test set.

    Args:
        detector: a `Detector`, or anything that inspects alike.
        data: folder in MVTec AD layout with `test/good` and `test/<kind>`.
        on_image: told (images done, images in all) after every image.

    Raises:
        BurnishError: no test images, none of them readable, or a score that is not finite.
    """
    data = Path(data)
    found = find_test_images(data)
    rows: list[ImageRow] = []
    speeds: list[Speed] = []
    unreadable: list[Unreadable] = []
    for done, image in enumerate(found, start=1):
        try:
            result = detector.inspect(image.path)
        except BurnishError as error:
            name = name_of(image.path, data)
            unreadable.append(
                Unreadable(path=name, kind=printable(image.kind), problem=printable(str(error)))
            )
        else:
            rows.append(_row(image, result, data))
            speeds.append(result.speed)
        if on_image is not None:
            on_image(done, len(found))
    if not rows:
        raise BurnishError(
            f"none of the {len(found)} test images in {data / 'test'} can be read; "
            f"the first: {unreadable[0].problem}"
        )
    return summarise(detector, data, rows, speeds, unreadable)


def summarise(
    detector: Inspector,
    data: Path,
    rows: Sequence[ImageRow],
    speeds: Sequence[Speed],
    unreadable: Sequence[Unreadable] = (),
) -> Evaluation:
    """All numbers from the rows; `speeds` one a row, at least one row."""
    card = detector.card
    calibration = card.calibration
    scores = np.array([row.score for row in rows])
    defect = np.array([row.is_defect for row in rows])
    counts = metrics.confusion_at(scores, defect, calibration.threshold)
    best = metrics.best_f1(scores, defect)
    timing = _timing(speeds)
    seconds = card.training.get("seconds")
    return Evaluation(
        data=printable(str(data)),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        burnish_version=burnish.__version__,
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        model=ModelFacts(
            path=None if detector.path is None else printable(str(detector.path)),
            preset=card.preset,
            seed=card.settings.seed,
            training_seconds=None if seconds is None else float(seconds),
            training_images=card.data.get("training_images"),
            held_out_images=len(calibration.scores),
            promise=calibration.promise(),
        ),
        n_good=counts.good,
        n_defect=counts.defects,
        threshold=calibration.threshold,
        image_auroc=metrics.image_auroc(scores, defect),
        average_precision=metrics.average_precision(scores, defect),
        f1=counts.f1,
        precision=counts.precision,
        recall=counts.recall,
        caught=counts.caught,
        missed=counts.missed,
        false_alarms=counts.false_alarms,
        escape_rate=counts.escape_rate,
        false_alarm_rate_wanted=calibration.false_alarms,
        false_alarm_rate_got=counts.false_alarm_rate,
        false_alarm_interval=metrics.binomial_interval(counts.false_alarms, counts.good),
        best_f1=best[0] if best else None,
        best_f1_threshold=best[1] if best else None,
        all_positive_f1=metrics.all_positive_f1(defect),
        not_available=_reasons(counts),
        ms_per_image=timing.total,
        speed_ms=timing,
        median_score_good=float(np.median(scores[~defect])) if counts.good else None,
        kinds=_kinds(rows, scores, defect, calibration.threshold),
        images=tuple(rows),
        unreadable=tuple(unreadable),
    )


def summary(evaluation: Evaluation) -> str:
    """The verdict in plain words: what was caught, missed and falsely called, then what to mind."""
    return " ".join([*verdict(evaluation), *cautions(evaluation)])


def verdict(evaluation: Evaluation) -> list[str]:
    """One sentence on defective images and one on good ones, as far as there are any."""
    e = evaluation
    sentences = []
    if e.n_defect:
        whole = f"{e.n_defect} images of defective parts" if e.n_defect > 1 else "1 defective image"
        if e.missed == 0:
            sentences.append(f"All {whole} were caught." if e.n_defect > 1 else f"The {whole} was.")
        else:
            worst = sorted(e.kinds, key=lambda row: row.caught - row.images)
            where = ", ".join(
                f"{row.kind} {row.images - row.caught}" for row in worst if row.caught < row.images
            )
            sentences.append(f"Of {whole}, {e.caught} were caught and {e.missed} missed ({where}).")
    if e.n_good:
        got, wanted = percent(e.false_alarm_rate_got), percent(e.false_alarm_rate_wanted)
        alarms = f"{e.false_alarms} false alarm{'' if e.false_alarms == 1 else 's'}"
        sentences.append(
            f"{e.n_good} image{'' if e.n_good == 1 else 's'} of good parts gave {alarms}: "
            f"{got}, where {wanted} was wanted."
        )
    return sentences


def cautions(evaluation: Evaluation) -> list[str]:
    """What a reader must know before trusting the numbers; empty when nothing stands out."""
    e = evaluation
    found = []
    if not e.n_defect:
        found.append("There are no defective test images, so nothing is known of missed defects.")
    if not e.n_good:
        found.append("There are no good test images, so nothing is known of false alarms.")
    if e.n_good and metrics.chance_of_rate(e.false_alarms, e.n_good, e.false_alarm_rate_wanted) < (
        0.05
    ):
        found.append(_too_many_false_alarms(e))
    if e.image_auroc is not None and e.image_auroc < 0.6:
        found.append(
            f"Good and defective images hardly differ in score (AUROC {e.image_auroc:.3f}, where "
            "0.5 is a coin toss)."
        )
    if e.best_f1 is not None and e.all_positive_f1 is not None and e.n_good:
        gain = e.best_f1 - e.all_positive_f1
        if gain < 0.02:
            found.append(
                f"F1 says little here: even the best threshold ({e.best_f1:.3f}) is barely better "
                f"than calling everything defective ({e.all_positive_f1:.3f})."
            )
    if e.unreadable:
        total = len(e.images) + len(e.unreadable)
        found.append(f"{len(e.unreadable)} of {total} test images could not be read.")
    return found


def _too_many_false_alarms(e: Evaluation) -> str:
    assert e.false_alarm_interval is not None
    low, high = (percent(rate) for rate in e.false_alarm_interval)
    held_out = e.model.held_out_images
    chance = metrics.chance_of_calibration(
        e.false_alarms, e.n_good, held_out, e.false_alarm_rate_wanted
    )
    why = (
        "the good test images differ from the good images calibrated on"
        if chance < 0.05
        else f"{held_out} held-out good images are few, and set the threshold only roughly"
    )
    return f"That is more than wanted beyond chance (95 % interval {low} to {high}): {why}."


def save_json(evaluation: Evaluation, path: str | Path) -> Path:
    """Write the whole evaluation in one step; `Evaluation.model_validate_json` reads it back."""
    atomic_write(path, evaluation.model_dump_json(indent=1) + "\n")
    return Path(path)


def save_scores(evaluation: Evaluation, path: str | Path) -> Path:
    """Write one CSV line an image, in one step."""
    text = io.StringIO()
    table = csv.DictWriter(text, list(ImageRow.model_fields), lineterminator="\n")
    table.writeheader()
    table.writerows(row.model_dump() for row in evaluation.images)
    atomic_write(path, text.getvalue())
    return Path(path)


def percent(rate: float | None) -> str:
    """0.0123 -> "1.2 %"; "n/a" for None."""
    if rate is None:
        return "n/a"
    return f"{100 * rate:.0f} %" if rate in (0, 1) else f"{100 * rate:.3g} %"


def printable(text: str) -> str:
    """Text that UTF-8 can hold: file names on Linux are bytes, and may be anything."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def name_of(path: Path, data: Path) -> str:
    """How an image is called in an evaluation: relative to the data folder, with slashes."""
    return printable(path.relative_to(data).as_posix())


def _row(image: TestImage, result: Result, data: Path) -> ImageRow:
    name = name_of(image.path, data)
    if not np.isfinite(result.score):
        raise BurnishError(
            f"{name}: the score is {result.score}. The model is broken; train it again"
        )
    return ImageRow(
        path=name,
        kind=printable(image.kind),
        is_defect=image.is_defect,
        score=float(result.score),
        p_value=float(result.p_value),
        verdict=result.verdict.lower(),
    )


def _kinds(
    rows: Sequence[ImageRow], scores: np.ndarray, defect: np.ndarray, threshold: float
) -> tuple[KindRow, ...]:
    kind_of = np.array([row.kind for row in rows])
    table = []
    for kind in sorted(set(kind_of[defect])):
        of_kind = defect & (kind_of == kind)
        chosen = of_kind | ~defect
        caught, images = int((scores[of_kind] > threshold).sum()), int(of_kind.sum())
        table.append(
            KindRow(
                kind=str(kind),
                images=images,
                caught=caught,
                recall=caught / images,
                image_auroc=metrics.image_auroc(scores[chosen], defect[chosen]),
                median_score=float(np.median(scores[of_kind])),
            )
        )
    return tuple(table)


def _timing(speeds: Sequence[Speed]) -> Timing:
    stages = ("read", "preprocess", "inference", "postprocess", "total")
    return Timing(**{name: float(np.median([getattr(s, name) for s in speeds])) for name in stages})


def _reasons(counts: metrics.Confusion) -> dict[str, str]:
    """Field -> why it is None; the fields not named here have a value."""
    reasons = {}
    if not counts.defects:
        names = ("image_auroc", "average_precision", "f1", "recall", "escape_rate", "best_f1",
                 "best_f1_threshold", "all_positive_f1")  # fmt: skip
        reasons |= dict.fromkeys(names, "there are no defective test images")
    if not counts.good:
        names = ("image_auroc", "average_precision", "false_alarm_rate_got",
                 "false_alarm_interval", "median_score_good")  # fmt: skip
        reasons |= dict.fromkeys(names, "there are no good test images")
    if counts.precision is None:
        reasons["precision"] = "no image was called defective"
    return reasons
