"""docs/results.md says what docs/results.json and benchmarks/lamp.json hold."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "results.md").read_text("utf-8")
RESULTS: list[dict[str, Any]] = json.loads((ROOT / "docs" / "results.json").read_text("utf-8"))
LAMP = json.loads((ROOT / "benchmarks" / "lamp.json").read_text("utf-8"))["false_alarms"]
NAMES = {
    "rail": "rail",
    "screw": "screw",
    "KolektorSDD": "kolektor",
    "Magnetic Tile, by series": "magnetic_tile",
    "Magnetic Tile, by picture": "magnetic_tile_by_picture",
}


def rows(heading: str) -> list[list[str]]:
    """Cells of the first table after a heading, without its head."""
    table = TEXT[TEXT.index("\n| set |", TEXT.index(f"## {heading}\n")) :].strip().split("\n\n")[0]
    return [[c.strip() for c in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def seeds(label: str) -> list[dict[str, Any]]:
    wanted = {"dataset": NAMES[label], "preset": "small", "changes": []}
    found = [r for r in RESULTS if all(r[key] == value for key, value in wanted.items())]
    assert [r["seed"] for r in found] == [0, 1, 2]
    return found


def short(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}f}".removeprefix("0")


def average(label: str, key: str) -> float:
    return mean(r[key] for r in seeds(label))


def test_in_short() -> None:
    shown = rows("In short")
    assert [row[0] for row in shown] == list(NAMES)
    for label, *cells in shown:
        trivial = seeds(label)[0]["trivial"]
        assert cells == [
            short(average(label, "image_auroc")),
            short(average(label, "equalised_image_auroc")),
            f"{short(trivial['auroc'])} ({trivial['label']})",
            short(average(label, "pixel_aupro")),
        ]


def test_by_kind() -> None:
    expected = []
    for label in NAMES:
        for kind, facts in seeds(label)[0]["kinds"].items():
            found = [r["kinds"][kind]["image_auroc"] for r in seeds(label)]
            ends = f"{short(min(found), 2)} to {short(max(found), 2)}"
            expected.append([label, kind, str(facts["images"]), ends])
    assert rows("By kind of defect") == expected


def lamp(label: str) -> list[dict[str, Any]]:
    """Of each seed."""
    return [LAMP[f"{NAMES[label]}-small-{seed}"] for seed in range(3)]


def test_false_alarms_and_escapes() -> None:
    shown = rows("False alarms and escapes")
    assert [row[0] for row in shown] == [label for label in NAMES if "picture" not in label]
    for label, parts, promised, got, escapes in shown:
        counts = [run["held-out parts"] for run in lamp(label)]
        assert parts == " to ".join(map(str, sorted({min(counts), max(counts)})))
        least = mean(100 / (count + 1) for count in counts)
        assert float(promised.removesuffix(" %")) == pytest.approx(least, abs=0.5)
        rate = average(label, "false_alarm_rate_got")
        assert got.split(" (")[0] == f"{100 * rate:.1f} %"
        first, second, third = (f"{100 * r['escape_rate']:.0f}" for r in seeds(label))
        assert escapes == f"{first}, {second} and {third} %"
    assert {round(41 * r["false_alarm_rate_got"], 9) for r in seeds("screw")} == {1, 2}


def test_another_lamp() -> None:
    shown = rows("Another lamp")
    assert [row[0] for row in shown] == [label for label in NAMES if "picture" not in label]
    beyond = {}
    for label, *cells in shown:
        for cell, light in zip(cells, ("0.75", "0.9", "1.0", "1.1", "1.25"), strict=True):
            found = [run["test good"]["wanted 1%"][f"light x {light}"] for run in lamp(label)]
            assert cell == ", ".join(f"{100 * rate:.1f}" for rate in found)
            held = lamp(label)[0]["held-out parts"]
            if light in ("0.9", "1.0", "1.1"):  # the aim of issue 6, on average
                twice = 2 * max(0.01, 1 / (held + 1))
                if mean(found) > twice:
                    beyond[label, light] = f"{100 * mean(found):.1f} % where {100 * twice:.1f} %"
    lights = ("0.9", "1.0", "1.1")
    assert beyond == {("screw", light): "3.3 % where 3.1 %" for light in lights}
    assert "3.3 % where 3.1 % would be twice" in " ".join(TEXT.split())


def test_every_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    tables = "\n".join(importlib.import_module("real").tables(RESULTS))
    assert f"<!-- table: benchmarks/real.py -->\n{tables}\n\n<!-- end of table -->" in TEXT
    assert tables.count("\n| ") - 2 * len(NAMES) == len(RESULTS)
