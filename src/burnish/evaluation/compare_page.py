"""A comparison as files: one HTML page, a CSV line a run, JSON, and the curves as PNG."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from burnish.evaluation.compare import (
    Line,
    Run,
    TestedOn,
    by_test_set,
    differing_settings,
    lines,
    over_seeds_of,
)
from burnish.evaluation.compare_figures import pr_curves, roc_curves
from burnish.evaluation.compare_training import (
    FACTS,
    same_training_data,
    training_facts,
    training_warning,
)
from burnish.evaluation.pages import duration, interval, number, plain, render
from burnish.evaluation.report_files import write_figures
from burnish.evaluation.seeds import OverSeeds, same_masks
from burnish.evaluation.summary import percent
from burnish.files import atomic_write, printable
from burnish.tables import csv_text

OTHER_MASKS = (
    "Not all of these runs were measured with the same masks: their pixel figures cannot be "
    "compared."
)


def write_comparison(runs: Sequence[Run], out: str | Path) -> Path:
    """Write compare.html, compare.csv, compare.json and figures/*.png into the folder `out`.

    Returns:
        The page, which is written last.

    Raises:
        BurnishError: `out` cannot be written.
    """
    folder, sets = Path(out), by_test_set(runs)
    drawings = {"compare_roc": roc_curves(runs), "compare_precision_recall": pr_curves(runs)}
    table, over = lines(runs), over_seeds_of(runs)
    page = render(
        "compare.html.j2",
        runs=runs,
        sets=sets,
        warnings=warnings(runs),
        learnt_from=training_facts(runs),
        settings={k: [plain(v) for v in row] for k, row in differing_settings(runs).items()},
        unknown_settings=[run.name for run in runs if not run.evaluation.model.settings],
        table=[_shown(line, len(sets) == 1, over) for line in table],
        over_seeds=bool(over),
        set_of=[next(s.number for s in sets if run.name in s.runs) for run in runs],
        figures=drawings,
        training=[duration(run.evaluation.model.training_seconds) for run in runs],
    )
    write_figures(folder, drawings)
    rows = csv_lines(runs)
    atomic_write(folder / "compare.csv", csv_text(rows[0], rows))
    atomic_write(folder / "compare.json", json.dumps(as_json(runs), indent=1) + "\n")
    atomic_write(folder / "compare.html", page)
    return folder / "compare.html"


def warnings(runs: Sequence[Run]) -> list[str]:
    """Warnings about comparing these runs, as sentences."""
    masks = "" if same_masks([run.evaluation for run in runs]) else OTHER_MASKS
    return [said for said in (_warning(by_test_set(runs)), masks, training_warning(runs)) if said]


def _warning(sets: Sequence[TestedOn]) -> str:
    """A warning if the runs were not tested on the same images, else ""."""
    if len(sets) < 2:
        return ""
    groups = "; ".join(f"{', '.join(s.runs)} on test set {s.number} ({s.data})" for s in sets)
    return printable(
        f"These runs were tested on {len(sets)} different test sets: {groups}. "
        "Figures of different test sets say nothing about which model is better."
    )


def as_json(runs: Sequence[Run]) -> dict[str, Any]:
    """The whole comparison, JSON-ready."""
    sets, table = by_test_set(runs), lines(runs)
    return {
        "runs": [
            {
                "name": run.name,
                "evaluation": printable(str(run.path)),
                "model": run.evaluation.model.path,
                "preset": run.evaluation.model.preset,
                **{key: getattr(run.evaluation.model, key) for key in FACTS},
                "data": run.evaluation.data,
                "test_set": next(s.number for s in sets if run.name in s.runs),
                "n_good": run.evaluation.n_good,
                "n_defect": run.evaluation.n_defect,
                **{line.key: line.values[place] for line in table},
                "intervals": {
                    line.key: line.intervals[place]
                    for line in table
                    if line.intervals[place] is not None
                },
                "best_trivial": next((n[place] for n in (x.notes for x in table) if n), "") or None,
            }
            for place, run in enumerate(runs)
        ],
        "same_test_set": len(sets) == 1,
        "same_training_data": same_training_data(runs),
        "over_seeds": {key: asdict(value) for key, value in over_seeds_of(runs).items()},
        "differing_settings": differing_settings(runs),
    }


def csv_lines(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """One line a run: raw figures, empty where not available, and the settings that differ."""
    table, differing = lines(runs), differing_settings(runs)
    rows = []
    for place, entry in enumerate(as_json(runs)["runs"]):
        row = {k: v for k, v in entry.items() if k != "intervals"}
        for line in table:
            if any(line.intervals):
                low, high = line.intervals[place] or (None, None)
                row |= {f"{line.key}_low_95": low, f"{line.key}_high_95": high}
        rows.append(row | {f"set {k}": plain(values[place]) for k, values in differing.items()})
    return rows


def text_of(line: Line, place: int) -> str:
    """One cell's value for people; "n/a" without."""
    value = line.values[place]
    if line.form == "percent":
        return percent(value)
    if line.form == "ms":
        return "n/a" if value is None else f"{number(value, 1)} ms"
    if line.form == "difference":
        return "" if value is None else f"{value:+.3f}"
    return number(value)


def mean_of(line: Line, over: Mapping[str, OverSeeds]) -> str:
    """ "0.812 ± 0.014" over seeds; "" without."""
    found = over.get(line.key)
    if found is None:
        return ""
    if line.form == "percent":
        mean, spread = percent(found.mean), percent(found.deviation)
        return f"{mean.removesuffix(' %')} ± {spread}"
    digits, unit = (1, " ms") if line.form == "ms" else (3, "")
    return f"{number(found.mean, digits)} ± {number(found.deviation, digits)}{unit}"


def range_of(line: Line, place: int) -> str:
    """One cell's 95 % interval for people; "" without."""
    pair = line.intervals[place]
    if pair is None:
        return ""
    if line.form == "percent":
        return f"{percent(pair[0]).removesuffix(' %')} to {percent(pair[1])}"
    if line.form == "difference":
        return f"{pair[0]:+.3f} to {pair[1]:+.3f}"
    return interval(pair)


def _shown(line: Line, comparable: bool, over: Mapping[str, OverSeeds]) -> dict[str, Any]:
    leaders = line.leaders if comparable and not over else frozenset()  # of seeds, none is better
    places = range(len(line.values))
    return {
        "name": line.name,
        "mean": mean_of(line, over),
        "cells": [
            {
                "text": text_of(line, place),
                "range": range_of(line, place),
                "note": line.notes[place] if line.notes else "",
                "leads": place in leaders,
            }
            for place in places
        ],
    }
