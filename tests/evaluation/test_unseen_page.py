"""docs/accuracy.md says of drawn surfaces what benchmarks/unseen.json says; the drawings hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "accuracy.md").read_text("utf-8")
FOUND = json.loads((ROOT / "benchmarks" / "unseen.json").read_text("utf-8"))


@pytest.fixture
def surfaces(monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[..., Any]]:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return import_module("unseen_surfaces").SURFACES


def short(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def test_the_table_is_what_was_measured(surfaces: dict[str, Callable[..., Any]]) -> None:
    lines = TEXT[TEXT.index("\n| surface |") :].strip().split("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [row[0].replace(" ", "_") for row in rows] == list(surfaces) == list(FOUND)
    for row, found in zip(rows, FOUND.values(), strict=True):
        patchcore = found["patchcore"]
        assert row[1:] == [
            short(found["image_auroc"]),
            short(found["aupro"]),
            f"{100 * found['false_alarm_rate_got']:.1f} %",
            f"{100 * found['escape_rate']:.0f} %",
            short(patchcore["blocks 10+15"]),
            short(max(patchcore.values())),
        ]
        assert found["held_out_images"] == 30


@pytest.mark.parametrize("surface", FOUND)
def test_a_surface_is_drawn_from_its_seed_alone(
    surface: str, surfaces: dict[str, Callable[..., Any]]
) -> None:
    (pixels, part), (again, _), (other, _) = (
        surfaces[surface](np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert np.array_equal(pixels, again)
    assert not np.array_equal(pixels, other)
    assert np.mean((pixels < 0) | (pixels > 255)) < 0.02, "glints alone are clipped"
    assert part is None or (part.shape == pixels.shape[:2] and 0.1 < part.mean() < 0.9)
