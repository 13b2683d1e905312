"""What an evaluation is: one frozen record that text, table, JSON, CSV and HTML are made from."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from burnish.files import atomic_write

BEST_F1_NOTE = "threshold chosen on the test images themselves: for display only, never to be used"


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


def printable(text: str) -> str:
    """Text that UTF-8 can hold: file names on Linux are bytes, and may be anything."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
