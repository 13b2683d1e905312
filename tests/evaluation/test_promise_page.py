"""docs/calibration.md, results.md and accuracy.md say what benchmarks/promise.json holds."""

from __future__ import annotations

import importlib
import json
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from statistics import mean
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from burnish.detection.calibration import above, conformal_threshold, part_weights, promised_rate

ROOT = Path(__file__).resolve().parents[2]
RECORD: dict[str, Any] = json.loads((ROOT / "benchmarks" / "promise.json").read_text("utf-8"))
NAMES = {"rail": "rail", "KolektorSDD": "kolektor", "Magnetic Tile, by series": "magnetic_tile",
         "screw": "screw"}  # fmt: skip
README = {"rail": "rail heads", "KolektorSDD": "KolektorSDD", "screw": "screws, at any angle",
          "Magnetic Tile, by series": "magnetic tiles, new to it"}  # fmt: skip


@pytest.fixture
def promise(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("promise")


@lru_cache(maxsize=1)
def table(promise: ModuleType) -> list[str]:
    return list(promise.table(RECORD))


def test_the_table_is_of_the_committed_scores(promise: ModuleType) -> None:
    lines = table(promise)
    assert "\n".join(lines) in (ROOT / "docs" / "calibration.md").read_text("utf-8")
    assert len(lines) == 2 + len(promise.SETS) * len(promise.WANTED)


def test_drawn_anew_the_promise_is_kept_by_parts_and_not_by_images(promise: ModuleType) -> None:
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in table(promise)[2:]]
    share = [[float(cell.removesuffix("%")) for cell in row[3:]] for row in cells]
    assert all(drawn <= promised for _, promised, _, drawn, _, _ in share)
    assert all(got <= promised for wanted, promised, got, *_ in share if wanted <= 5)
    assert any(images > promised for _, promised, _, _, _, images in share)
    got, _ = promise.rates(RECORD["runs"]["magnetic_tile-0"], 0.2, True)
    text = (ROOT / "docs" / "calibration.md").read_text("utf-8")
    assert f"{100 * got:.0f} % for 20 %" in text
    said = " ".join(text.split())
    rows = {(row[0], numbers[0]): numbers for row, numbers in zip(cells, share, strict=True)}
    _, promised, *_, images = rows["rail", 5]
    assert f"rail ({images} % where {promised} % are promised)" in said
    assert f"Magnetic Tile ({rows['magnetic_tile', 10][-1]} % for 10 %)" in said
    _, promised, *_, got_by_images, _ = rows["magnetic_tile", 5]
    assert f"(by images {got_by_images} % for {promised} % on Magnetic Tile)" in said


def test_drawn_anew_no_scores_could_break_the_promise(promise: ModuleType) -> None:
    """So that column is no test, and the page says so: here every test part is called defective."""
    run = dict(RECORD["runs"]["rail-0"])
    run["test_good"] = {part: [1000.0] * len(s) for part, s in run["test_good"].items()}
    for wanted in promise.WANTED:
        got, drawn = promise.rates(run, wanted, True)
        assert got == 1
        assert drawn <= promised_rate(len(run["held_out"]), wanted)
    text = " ".join((ROOT / "docs" / "calibration.md").read_text("utf-8").split())
    assert "this mean keeps the promise whatever the scores are" in text


def shares_above(parts: list[list[float]], held: int, order: NDArray[np.intp]) -> list[float]:
    """Share of the other parts, and of their images, above the threshold at 20 % that the first
    `held` of an order set."""
    setting = [parts[n] for n in order[:held]]
    weights = part_weights([n for n, part in enumerate(setting) for _ in part])
    limit = above(conformal_threshold([s for part in setting for s in part], 0.2, weights))
    rest = [np.array(parts[n]) > limit for n in order[held:]]
    return [mean(float(each.mean()) for each in rest), float(np.concatenate(rest).mean())]


@pytest.mark.slow
def test_what_was_got_at_20_beside_draws_of_the_parts() -> None:
    said = " ".join((ROOT / "docs" / "calibration.md").read_text("utf-8").split())
    found = {}
    for name in ("magnetic_tile", "screw"):
        rng, got, drawn = np.random.default_rng(0), [], []
        for split in range(4):
            run = RECORD["runs"][f"{name}-{split}"]
            held, parts = len(run["held_out"]), [*run["held_out"].values()]
            parts += run["test_good"].values()
            got.append(shares_above(parts, held, np.arange(len(parts))))
            drawn.append([shares_above(parts, held, rng.permutation(len(parts)))
                          for _ in range(1500)])  # fmt: skip
        found[name] = np.mean(got, axis=0), np.mean(drawn, axis=0)
    (by_part, by_image), draws = found["magnetic_tile"]
    assert f"Its {100 * by_image:.1f} % ({100 * by_part:.1f} % if every part counts once)" in said
    middle, spread = 100 * draws[:, 0].mean(), 100 * draws[:, 0].std()
    assert f"draws give {middle:.1f} % with a standard deviation of {spread:.1f}" in said
    assert round(100 * float(np.mean(draws[:, 0] >= by_part - 1e-12))) == 1
    assert "and 1 of 100 as much" in said
    assert found["screw"][0].max() < 0.2


@pytest.mark.parametrize("by_part", [True, False])
@pytest.mark.parametrize("wanted", [0.2, 0.4, 0.5, 0.7])
def test_rates_by_a_slow_obvious_count(
    promise: ModuleType, monkeypatch: pytest.MonkeyPatch, wanted: float, by_part: bool
) -> None:
    """Every pair of five parts sets the threshold once; scores are far from the margin."""
    run = {
        "held_out": {"a": [1.0, 3.0, 5.0, 8.0], "b": [2.0]},
        "test_good": {"c": [2.5, 9.0], "d": [2.9, 2.95, 9.5], "e": [1.5]},
    }
    every = [*run["held_out"].values(), *run["test_good"].values()]

    def limit(*held: list[float]) -> float:
        """The lowest score with enough parts, or images, at or below it, else the highest."""
        scores = sorted(s for part in held for s in part)
        for score in scores:
            below = [[s <= score for s in part] for part in held]
            if by_part and sum(map(mean, below)) >= (len(held) + 1) * (1 - wanted) - 1e-9:
                return 1.001 * score
            if not by_part and sum(map(sum, below)) >= (len(scores) + 1) * (1 - wanted) - 1e-9:
                return 1.001 * score
        return 1.001 * scores[-1]

    monkeypatch.setattr(promise, "DRAWS", 4000)
    got, drawn = promise.rates(run, wanted, by_part)
    tested = [s for part in run["test_good"].values() for s in part]
    assert got == pytest.approx(mean(s > limit(*every[:2]) for s in tested))
    shares = [
        mean(mean(s > limit(every[i], every[j]) for s in part) for part in every
             if part is not every[i] and part is not every[j])
        for i, j in combinations(range(5), 2)
    ]  # fmt: skip
    assert drawn == pytest.approx(mean(shares), abs=0.02)


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
        names = [f"{NAMES[name]}-{split}" for split in range(4)]
        if name != "screw":  # whose split 0 is one of ours, as all are; the others' is the set's
            names[0] = NAMES[name]
        drawn = [other[each] for each in names]
        theirs = [draw["0"]["blocks 10+15"]["image_auroc"] for draw in drawn]
        assert yardstick[0] == ", ".join(f"{value:.3f}".lstrip("0") for value in theirs)
        assert yardstick[1] == f"{mean(theirs):.3f}".lstrip("0")
        deepest.append(mean(draw["0"]["blocks 15"]["image_auroc"] for draw in drawn))
        assert deepest[-1] < mean(found)
        readme = (ROOT / "README.md").read_text("utf-8")
        row = next(line for line in readme.splitlines() if line.startswith(f"| {README[name]} |"))
        assert row.split("|")[3].strip() == average
    shown = ", ".join(f"{value:.3f}".lstrip("0") for value in deepest[:-1])
    last = f"{deepest[-1]:.3f}".lstrip("0")
    assert f"(15: {shown} and {last})" in " ".join(text.split())
