"""The table of a curve, from cells that are finished and cells that are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from burnish.studies.cells import Dataset
from burnish.studies.curve import curve_report
from burnish.studies.file import load_study


def finished(seed: int, auroc: float) -> Any:
    points = [
        {"image_auroc": value, "best_f1": value, "scores": [[0.1, False], [0.2, True]], "epoch": n}
        for n, value in ((1, 0.5), (2, auroc))
    ]
    result = {"dataset": "metal", "points": points, "commits": ["abc"], "hardware": "a CPU"}
    figures = {"unreadable": 0, "n_good": 1, "n_defect": 1}
    result |= {"torch": "2", "precision": "32-true", "threads": 1, "figures": figures}
    return SimpleNamespace(dataset="metal", seed=seed, result=lambda: result)


def test_a_mean_over_seeds_waits_for_all_of_them(study_file: Callable[..., Path]) -> None:
    study = load_study(
        study_file(
            ("paper_says", 'kind = "curve"\npaper_says'), ("steps = 40, ", ""),
            ("seeds = [0]", "seeds = [0, 1]\npoints = [1, 2]"), rows='[[row]]\nlabel = "it"\n',
        )
    )  # fmt: skip
    scale, sets = study.scale("micro"), [Dataset("metal", "", Path("metal"), "")]
    missing: Any = SimpleNamespace(dataset="metal", seed=1, result=lambda: None)

    def table(*cells: Any) -> tuple[tuple[str, ...], ...]:
        return curve_report(study, scale, sets, [0, 1], cells, [], {}).tables[0].rows

    assert table(finished(0, 0.7), finished(1, 0.9))[1] == ("2", "0.800 ± 0.141", "0.800 ± 0.141")
    assert table(finished(0, 0.7), missing)[1] == ("2", "–", "–")
