"""The record of an evaluation, from which text, table, JSON, CSV and HTML are made.

Every score is raw: nothing is clamped or rescaled before a metric. A figure that is undefined on
the test set is None, and `Evaluation.not_available` says why (by field name; a field of a part is
named like `pixels.aupro`).
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from burnish.evaluation.rows import (
    Equalised,
    EscapesAt,
    Frozen,
    ImageRow,
    Interval,
    KindRow,
    ModelFacts,
    PixelSummary,
    StressRow,
    Timing,
    TrivialRow,
    Unreadable,
)
from burnish.files import atomic_write
from burnish.tables import csv_text

FORMAT = 2  # 2: intervals, pixel level, trivial statistics, equalised, stress
BEST_F1_NOTE = "threshold chosen on the test images themselves: for display only, never to be used"


class Evaluation(Frozen):
    """Everything known of a detector on a test set, JSON-ready.

    Attributes:
        not_available: why a number is None, by field name.
        test_fingerprint: SHA-256 over names and contents of the test images.
        n_parts: parts that the test images show; intervals go by them.
        intervals: 95 %, by part, of image_auroc, average_precision, f1 (bootstrap) and escape_rate
            (Clopper-Pearson); those that are missing are named in `not_available` as
            `intervals.<name>`.
        independent_good: effective number of independent good images, as images of one part are
            called alike; None in old records.
        false_alarm_interval: 95 %, of `false_alarm_rate_got`, for `independent_good` images.
        escapes_at: at 0, 1 and 5 % false alarms on the good test images; empty for one class.
        median_score_good: raw, as every score here.
        trivial: the strongest first; empty for one class.
        pixels, equalised: None when not available, or not asked for.
        stress: the unchanged images first; empty when not asked for.
    """

    format: int = FORMAT
    data: str
    created: str
    burnish_version: str
    machine: str
    model: ModelFacts
    test_fingerprint: str = ""
    n_good: int
    n_defect: int
    n_parts: int = 0
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
    independent_good: float | None = None
    false_alarm_interval: Interval | None
    best_f1: float | None
    best_f1_threshold: float | None
    best_f1_note: str = BEST_F1_NOTE
    all_positive_f1: float | None
    intervals: dict[str, Interval] = Field(default_factory=dict)
    escapes_at: tuple[EscapesAt, ...] = ()
    not_available: dict[str, str]
    ms_per_image: float
    speed_ms: Timing
    median_score_good: float | None
    kinds: tuple[KindRow, ...]
    pixels: PixelSummary | None = None
    trivial: tuple[TrivialRow, ...] = ()
    equalised: Equalised | None = None
    stress: tuple[StressRow, ...] = ()
    images: tuple[ImageRow, ...] = Field(repr=False)
    unreadable: tuple[Unreadable, ...]

    @property
    def best_trivial(self) -> TrivialRow | None:
        """The trivial statistic that best tells defective from good test images, except a file size
        that follows from the pixels."""
        return next((row for row in self.trivial if not row.follows_pixels), None)

    @property
    def out_of_range(self) -> tuple[ImageRow, ...]:
        """The images unlike the training images in some trivial statistic."""
        return tuple(row for row in self.images if row.out_of_range)


def save_json(evaluation: Evaluation, path: str | Path) -> Path:
    """Write the whole evaluation in one step; `Evaluation.model_validate_json` reads it back."""
    atomic_write(path, evaluation.model_dump_json(indent=1) + "\n")
    return Path(path)


def save_scores(evaluation: Evaluation, path: str | Path) -> Path:
    """Write one CSV line per image, in one step; lists become text separated by spaces."""
    lines = (
        row.model_dump()
        | {
            "scale_scores": " ".join(map(str, row.scale_scores)),
            "out_of_range": " ".join(unlike.statistic for unlike in row.out_of_range),
        }
        for row in evaluation.images
    )
    atomic_write(path, csv_text(ImageRow.model_fields, lines))
    return Path(path)
