"""A detector on a test set: one `Evaluation` that table, JSON and HTML are all made from."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

import burnish
from burnish.detection.calibration import Calibration
from burnish.detection.result import Result, Speed
from burnish.errors import BurnishError
from burnish.evaluation import metrics
from burnish.evaluation.record import (
    Evaluation,
    ImageRow,
    KindRow,
    ModelFacts,
    Timing,
    Unreadable,
    printable,
)
from burnish.images.dataset import TestImage, find_test_images
from burnish.settings import Settings

NEED_DEFECTS = (
    "image_auroc", "average_precision", "f1", "recall", "escape_rate", "best_f1",
    "best_f1_threshold", "all_positive_f1",
)  # fmt: skip
NEED_GOOD = (
    "image_auroc", "average_precision", "false_alarm_rate_got", "false_alarm_interval",
    "median_score_good",
)  # fmt: skip


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
    rows: Sequence[ImageRow],
    scores: NDArray[np.float64],
    defect: NDArray[np.bool_],
    threshold: float,
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
    reasons: dict[str, str] = {}
    if not counts.defects:
        reasons |= dict.fromkeys(NEED_DEFECTS, "there are no defective test images")
    if not counts.good:
        reasons |= dict.fromkeys(NEED_GOOD, "there are no good test images")
    if counts.precision is None:
        reasons["precision"] = "no image was called defective"
    return reasons
