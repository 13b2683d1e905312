"""docs/accuracy.md says what the committed results say."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "accuracy.md").read_text("utf-8")
RESULTS: list[dict[str, Any]] = json.loads((ROOT / "docs" / "results.json").read_text("utf-8"))
YARDSTICK = json.loads((ROOT / "benchmarks" / "patchcore.json").read_text("utf-8"))["sets"]
NAMES = {
    "rail": "rail",
    "KolektorSDD": "kolektor",
    "screw": "screw",
    "Magnetic Tile, by picture": "magnetic_tile_by_picture",
    "Magnetic Tile, by series": "magnetic_tile",
}
HELPED = ["features=efficientnet-lite0"]


def rows(heading: str) -> dict[str, list[str]]:
    """Cells of the first table after some text, by the first cell, without bold."""
    table = TEXT[TEXT.index("\n| set", TEXT.index(heading)) :].strip().split("\n\n")[0]
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return {row[0]: [cell.replace("**", "") for cell in row[1:]] for row in cells}


def figures(name: str, changes: list[str]) -> list[dict[str, Any]]:
    found = [r for r in RESULTS if r["dataset"] == name and r["changes"] == changes]
    assert [r["seed"] for r in found] == [0, 1, 2]
    return found


def short(value: float) -> str:
    return f"{value:.3f}".lstrip("0")


def seeds_and_mean(results: list[dict[str, Any]]) -> tuple[str, str]:
    def average(key: str) -> str:
        return short(mean(r[key] for r in results))

    seeds = ", ".join(short(r["image_auroc"]) for r in results)
    return seeds, f"{average('image_auroc')} ({average('equalised_image_auroc')})"


@pytest.mark.parametrize("label", NAMES)
def test_the_table_of_test_sets(label: str) -> None:
    row = rows("## On the test sets")[label]
    assert tuple(row[:2]) == seeds_and_mean(figures(NAMES[label], []))
    deep = [draw["blocks 10+15"] for draw in YARDSTICK[NAMES[label]].values()]
    assert len(deep) == 3
    assert row[3] == seeds_and_mean(deep)[1]


@pytest.mark.parametrize("label", ["KolektorSDD", "Magnetic Tile, by series"])
def test_the_table_of_the_helping_hand(label: str) -> None:
    row = rows("**A helping hand**")[label]
    helped, alone = figures(NAMES[label], HELPED), figures(NAMES[label], [])
    assert tuple(row[:2]) == seeds_and_mean(helped)
    assert row[2] == seeds_and_mean(alone)[1]
    assert row[3:] == [short(mean(r["pixel_aupro"] for r in rs)) for rs in (helped, alone)]


def test_what_pretrained_features_reach_on_new_tiles() -> None:
    draws = list(YARDSTICK["magnetic_tile"].values())
    blocks = [key for key in draws[0] if "blocks" in key]
    depths = [mean(draw[key]["image_auroc"] for draw in draws) for key in blocks]
    low, high = f"{min(depths):.2f}".lstrip("0"), f"{max(depths):.2f}".lstrip("0")
    assert f"at whatever depth, have {low} to {high}" in " ".join(TEXT.split())
