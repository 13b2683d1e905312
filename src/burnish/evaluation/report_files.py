"""Write the report's parts as files beside the page: figures as PNG, tables as CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from burnish.evaluation import metrics
from burnish.evaluation.drawing import Drawing
from burnish.evaluation.figures import labelled_scores
from burnish.evaluation.gallery import TEXTS, Gallery
from burnish.evaluation.record import Evaluation
from burnish.evaluation.scales import ScaleRow
from burnish.evaluation.sheets import gallery_sheet
from burnish.files import atomic_write
from burnish.tables import csv_text

FIGURES = "figures"
METRICS = (
    "image_auroc", "average_precision", "f1", "precision", "recall", "escape_rate",
    "false_alarm_rate_got", "false_alarm_rate_wanted", "best_f1", "all_positive_f1", "threshold",
    "caught", "missed", "false_alarms", "n_good", "n_defect", "ms_per_image",
)  # fmt: skip
PIXELS = ("auroc", "average_precision", "aupro", "best_f1", "defect_share", "images", "components")
Line = Mapping[str, Any]


def write_figures(folder: Path, figures: Mapping[str, Drawing | None]) -> None:
    """Write `folder/figures/<name>.png` of every figure; remove those of figures that are None."""
    for name, drawing in figures.items():
        _write(folder / FIGURES / f"{name}.png", None if drawing is None else drawing.png)


def write_galleries(folder: Path, galleries: Sequence[Gallery]) -> None:
    """Write `folder/figures/gallery_<key>.png` of galleries with pictures; remove the others."""
    sheets = {gallery.key: gallery_sheet(gallery) for gallery in galleries}
    for key in TEXTS:
        _write(folder / FIGURES / f"gallery_{key}.png", sheets.get(key))


def write_tables(folder: Path, evaluation: Evaluation, scales: Sequence[ScaleRow]) -> None:
    """Write one CSV per table that has rows; remove those of tables that have none.

    metrics.csv (number, value, 95 % interval, why there is none), kinds.csv, roc.csv, trivial.csv,
    stress.csv and scales.csv. Raw values, not rounded; empty cells for what is not available.
    """
    tables: dict[str, Sequence[Line]] = {
        "metrics": _metric_lines(evaluation),
        "kinds": _kind_lines(evaluation),
        "roc": _roc_lines(evaluation),
        "trivial": [row.model_dump() for row in evaluation.trivial],
        "stress": [row.model_dump() for row in evaluation.stress],
        "scales": _scale_lines(scales),
    }
    for name, lines in tables.items():
        _write(folder / f"{name}.csv", csv_text(lines[0], lines) if lines else None)


def _metric_lines(e: Evaluation) -> Sequence[Line]:
    intervals = dict(e.intervals)
    if e.false_alarm_interval is not None:
        intervals["false_alarm_rate_got"] = e.false_alarm_interval
    values = {name: getattr(e, name) for name in METRICS}
    for at in e.escapes_at:
        values[f"escape_rate_at_{100 * at.false_alarm_rate:g}_percent"] = at.escape_rate
    if e.pixels is not None:
        values |= {f"pixels.{name}": getattr(e.pixels.overall, name) for name in PIXELS}
        intervals |= {f"pixels.{name}": pair for name, pair in e.pixels.intervals.items()}
    if e.equalised is not None:
        values |= {f"equalised.{k}": v for k, v in e.equalised.model_dump().items()}
    lines = []
    for name, value in values.items():
        low, high = intervals.get(name, (None, None))
        why = e.not_available.get(name, "") if value is None else ""
        lines.append({"metric": name, "value": value, "low_95": low, "high_95": high, "why": why})
    return lines


def _kind_lines(e: Evaluation) -> Sequence[Line]:
    lines = []
    for row in e.kinds:
        line = row.model_dump(exclude={"pixels", "intervals"})
        for name in ("image_auroc", "average_precision", "recall"):
            line[f"{name}_low_95"], line[f"{name}_high_95"] = row.intervals.get(name, (None, None))
        for name in PIXELS:
            line[f"pixel_{name}"] = None if row.pixels is None else getattr(row.pixels, name)
        lines.append(line)
    return lines


def _roc_lines(e: Evaluation) -> Sequence[Line]:
    """Every threshold at which a count changes, highest first: `score > threshold` is defective."""
    scores, defect = labelled_scores(e)
    if metrics.roc_points(scores, defect) is None:
        return []
    cuts = np.append(np.unique(scores)[::-1], np.nextafter(scores.min(), -np.inf))
    good, bad = np.sort(scores[~defect]), np.sort(scores[defect])
    alarms = good.size - np.searchsorted(good, cuts, side="right")
    caught = bad.size - np.searchsorted(bad, cuts, side="right")
    return [
        {
            "threshold": float(cut),
            "false_alarm_rate": a / good.size,
            "recall": c / bad.size,
            "precision": c / (a + c) if a + c else None,
        }
        for cut, a, c in zip(cuts, alarms.tolist(), caught.tolist(), strict=True)
    ]


def _scale_lines(scales: Sequence[ScaleRow]) -> Sequence[Line]:
    lines = []
    for row in scales:
        line: dict[str, Any] = {"scale": row.name, "image_auroc": row.image_auroc}
        for label, quartiles in (("good", row.good), ("defect", row.defect)):
            names = (f"{label}_lower_quartile", f"{label}_median", f"{label}_upper_quartile")
            line |= dict(zip(names, quartiles or (None, None, None), strict=True))
        line["decided"] = row.decided
        lines.append(line | {f"image_auroc {kind}": v for kind, v in row.by_kind.items()})
    return lines


def _write(path: Path, content: str | bytes | None) -> None:
    """Write a part of the report, or remove what an earlier one left."""
    if content is not None:
        atomic_write(path, content)
        return
    with suppress(OSError):
        path.unlink()
