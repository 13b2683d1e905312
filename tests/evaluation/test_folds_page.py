"""docs/calibration.md says what benchmarks/folds.json and folds_kept.json hold."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "calibration.md").read_text("utf-8")


@pytest.mark.parametrize("name", ["folds", "folds_kept"])
def test_the_table_is_of_the_committed_figures(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    record = json.loads((ROOT / "benchmarks" / f"{name}.json").read_text("utf-8"))
    lines = importlib.import_module(name).table(record)
    assert len(lines) > 2
    assert "\n".join(lines) in PAGE


def test_every_part_that_is_judged_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    rate_of: Any = importlib.import_module("folds_kept").rate_of
    assert rate_of({"a": [1.0, 3.0], "b": [5.0], "c": [0.0, 0.0, 0.0]}, 2.0) == np.mean([0.5, 1, 0])


def test_what_is_said_of_them() -> None:
    runs = json.loads((ROOT / "benchmarks" / "folds.json").read_text("utf-8"))
    by = {(r["dataset"], r["parts"], r["folds"]): r for r in runs}
    accuracy = " ".join((ROOT / "docs" / "accuracy.md").read_text("utf-8").split())
    said = " ".join(PAGE.split())
    for name, parts in (("rail", 20), ("screw", 20), ("screw", 40)):
        held_out, folds = by[name, parts, 0], by[name, parts, 5]
        old, new = (f"{r['image_auroc']:.3f}".lstrip("0") for r in (held_out, folds))
        assert re.search(rf"{new} in place of {old} from {parts}", accuracy)
        assert 0.01 < folds["image_auroc"] - held_out["image_auroc"] < 0.02
        medians = folds["median_good_score_of_folds"]
        assert folds["median_good_score"] < min(medians)
        assert (
            f"{folds['median_good_score']:.1f} and {min(medians):.1f} to {max(medians):.1f}" in said
        )
    rails = by["rail", 0, 5]
    medians = [f"{m:.1f}" for m in sorted(rails["median_good_score_of_folds"])]
    assert f"({rails['median_good_score']:.1f} and {medians[0]} to {medians[-1]})" in said
    assert f"{100 * rails['rates'][2]['false_alarms']:.0f} % false alarms were got for 10 %" in said
