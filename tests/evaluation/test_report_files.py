"""The report's files: raw numbers in the tables, and nothing left over from an earlier report."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from burnish.evaluation.drawing import canvas, drawn, styled
from burnish.evaluation.record import Evaluation
from burnish.evaluation.report_files import write_figures, write_galleries, write_tables
from burnish.evaluation.scales import scale_table


def read(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_tables_hold_the_raw_numbers(evaluation: Evaluation, tmp_path: Path) -> None:
    e = evaluation
    write_tables(tmp_path, e, scale_table(e))
    numbers = {row["metric"]: row for row in read(tmp_path / "metrics.csv")}
    assert float(numbers["image_auroc"]["value"]) == e.image_auroc
    assert float(numbers["missed"]["value"]) == e.missed
    assert e.false_alarm_interval is not None
    assert float(numbers["false_alarm_rate_got"]["low_95"]) == e.false_alarm_interval[0]
    for name, (low, high) in e.intervals.items():
        assert (float(numbers[name]["low_95"]), float(numbers[name]["high_95"])) == (low, high)
    kinds = read(tmp_path / "kinds.csv")
    assert [row["kind"] for row in kinds] == [row.kind for row in e.kinds]
    assert [int(row["caught"]) for row in kinds] == [row.caught for row in e.kinds]
    trivial = read(tmp_path / "trivial.csv")
    assert [float(row["auroc"]) for row in trivial] == [row.auroc for row in e.trivial]
    assert len(read(tmp_path / "scales.csv")) == 3


def test_roc_table_by_counting(evaluation: Evaluation, tmp_path: Path) -> None:
    write_tables(tmp_path, evaluation, [])
    rows = read(tmp_path / "roc.csv")
    good = np.array([r.score for r in evaluation.images if not r.is_defect])
    bad = np.array([r.score for r in evaluation.images if r.is_defect])
    for row in rows:
        cut = float(row["threshold"])
        assert float(row["false_alarm_rate"]) == pytest.approx((good > cut).mean())
        assert float(row["recall"]) == pytest.approx((bad > cut).mean())
        called = (good > cut).sum() + (bad > cut).sum()
        if called:
            assert float(row["precision"]) == pytest.approx((bad > cut).sum() / called)
        else:
            assert row["precision"] == ""
    assert (rows[0]["recall"], rows[-1]["recall"]) == ("0.0", "1.0")
    assert len(rows) == len(np.unique(np.append(good, bad))) + 1


def test_what_an_earlier_report_had_and_this_has_not_is_removed(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    with styled():
        drawing = drawn(canvas(1.0)[0])
    write_tables(tmp_path, evaluation, scale_table(evaluation))
    write_figures(tmp_path, {"roc": drawing, "stress": drawing})
    (tmp_path / "figures/gallery_missed.png").write_bytes(b"old")
    (tmp_path / "figures/mine.png").write_bytes(b"kept")
    good = tuple(row for row in evaluation.images if not row.is_defect)
    poor = evaluation.model_copy(update={"images": good, "kinds": (), "trivial": ()})
    write_tables(tmp_path, poor, [])
    write_figures(tmp_path, {"roc": drawing, "stress": None})
    write_galleries(tmp_path, [])
    left = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.*"))
    assert left == ["figures/mine.png", "figures/roc.png", "metrics.csv"]


def test_why_a_number_is_missing_stands_beside_it(evaluation: Evaluation, tmp_path: Path) -> None:
    e = evaluation.model_copy(
        update={"precision": None, "not_available": {"precision": "no image was called defective"}}
    )
    write_tables(tmp_path, e, [])
    row = next(r for r in read(tmp_path / "metrics.csv") if r["metric"] == "precision")
    assert (row["value"], row["why"]) == ("", "no image was called defective")
