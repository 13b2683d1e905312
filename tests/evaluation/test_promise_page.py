"""docs/calibration.md, results.md and accuracy.md say what benchmarks/promise.json holds."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from statistics import mean
from types import ModuleType
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
RECORD: dict[str, Any] = json.loads((ROOT / "benchmarks" / "promise.json").read_text("utf-8"))
NAMES = {"rail": "rail", "KolektorSDD": "kolektor", "Magnetic Tile, by series": "magnetic_tile",
         "screw": "screw"}  # fmt: skip


@pytest.fixture
def promise(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("promise")


def test_the_table_is_of_the_committed_scores(promise: ModuleType) -> None:
    lines = promise.table(RECORD)
    assert "\n".join(lines) in (ROOT / "docs" / "calibration.md").read_text("utf-8")
    assert len(lines) == 2 + len(promise.SETS) * len(promise.WANTED)


def test_drawn_anew_the_promise_is_kept_by_parts_and_not_by_images(promise: ModuleType) -> None:
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in promise.table(RECORD)[2:]]
    share = [[float(cell.removesuffix("%")) for cell in row[3:]] for row in cells]
    assert all(drawn <= promised for _, promised, _, drawn, _, _ in share)
    assert all(got <= promised for wanted, promised, got, *_ in share if wanted <= 5)
    assert any(images > promised for _, promised, _, _, _, images in share)
    got, _ = promise.rates(RECORD["runs"]["magnetic_tile-0"], 0.2, True)
    text = (ROOT / "docs" / "calibration.md").read_text("utf-8")
    assert f"{100 * got:.0f} % for 20 %" in text


def test_rates_by_a_slow_obvious_count(promise: ModuleType) -> None:
    """No margin to speak of: scores are far apart. Two held-out parts, thresholds by hand."""
    run = {
        "held_out": {"a": [1.0, 3.0], "b": [2.0]},
        "test_good": {"c": [2.5, 9.0], "d": [2.9, 2.95, 9.0], "e": [1.5]},
    }
    # Half of (2 + 1): one and a half parts lie at or below 2; by images half of 4: 2 likewise.
    assert promise.rates(run, 0.5, True)[0] == pytest.approx(5 / 6)
    assert promise.rates(run, 0.5, False)[0] == pytest.approx(5 / 6)
    # A fifth: more than two parts are asked for, so the highest; by images 3.2 of 3, so it too.
    assert promise.rates(run, 0.2, True)[0] == pytest.approx(2 / 6)
    every = [*run["held_out"].values(), *run["test_good"].values()]
    pairs = [(i, j) for i in range(5) for j in range(5) if i != j]
    shares = []
    for i, j in pairs:
        highest = max(every[i] + every[j])
        rest = [part for n, part in enumerate(every) if n not in (i, j)]
        shares.append(mean(np.mean([s > 1.001 * highest for s in part]) for part in rest))
    assert promise.rates(run, 0.2, True)[1] == pytest.approx(mean(shares), abs=0.06)


def test_auroc_of_every_split() -> None:
    text = (ROOT / "docs" / "accuracy.md").read_text("utf-8")
    table = text[text.index("| set | splits 0") :].split("\n\n")[0].splitlines()[2:]
    assert len(table) == len(NAMES)
    other = json.loads((ROOT / "benchmarks" / "patchcore.json").read_text("utf-8"))["sets"]
    deepest = []
    for line in table:
        name, shown, average, *yardstick = [c.strip() for c in line.strip("|").split("|")]
        found = [run["image_auroc"] for key, run in sorted(RECORD["runs"].items())
                 if key.rsplit("-", 1)[0] == NAMES[name]]  # fmt: skip
        assert shown == ", ".join(f"{value:.3f}".lstrip("0") for value in found)
        assert average == f"{mean(found):.3f}".lstrip("0")
        if name != "screw":
            drawn = [
                other[f"{NAMES[name]}-{split}" if split else NAMES[name]] for split in range(4)
            ]
            theirs = [draw["0"]["blocks 10+15"]["image_auroc"] for draw in drawn]
            assert yardstick[0] == ", ".join(f"{value:.3f}".lstrip("0") for value in theirs)
            assert yardstick[1] == f"{mean(theirs):.3f}".lstrip("0")
            deepest.append(mean(draw["0"]["blocks 15"]["image_auroc"] for draw in drawn))
            assert deepest[-1] < mean(found)
        short = f"{mean(found):.2f}".lstrip("0")
        if name in ("KolektorSDD", "Magnetic Tile, by series"):
            readme = " ".join((ROOT / "README.md").read_text("utf-8").split())
            assert f"{short} over four splits" in readme
    first, second, third = (f"{value:.3f}".lstrip("0") for value in deepest)
    assert f"(15: {first}, {second} and {third} on the first three)" in " ".join(text.split())
