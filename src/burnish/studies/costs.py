"""The tables of a study of cost: seconds a step in turns, FLOPs and tokens, beside the paper."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.studies.cells import Dataset, read_result
from burnish.studies.file import Row, Scale, Study, changes_of, settings_of
from burnish.studies.report import Report, Table, origin_facts
from burnish.studies.run import Task
from burnish.studies.words import MINUS

RESULT = "cost.json"
PAPER_EPOCHS = 500
RESAMPLES = 2000


def task_of(study: Study, scale: Scale, dataset: Dataset, seed: int, out: Path) -> Task:
    """The task of timing both rows on a data set; see `burnish.studies.cost.measure`."""
    settings = [settings_of(scale, row, seed).model_dump(mode="json") for row in study.rows]
    key = json.dumps([settings, dataset.fingerprint, scale.threads, scale.turns, scale.turn_steps])
    digest = hashlib.sha256(key.encode()).hexdigest()[:10]
    folder = out / "cells" / f"{dataset.name}-{scale.preset}-cost-seed{seed}-{digest}"
    values = {
        "kind": "cost",
        "folder": str(folder),
        "data": str(dataset.path),
        "dataset": dataset.name,
        "preset": scale.preset,
        "rows": [
            {
                "label": row.label,
                "changes": changes_of(scale, row, seed),
                "paper_changes": row.settings,
            }
            for row in study.rows
        ],
        "turns": scale.turns,
        "turn_steps": scale.turn_steps,
        "threads": scale.threads,
    }
    return Task(
        f"{dataset.name}, {' and '.join(r.label for r in study.rows)} in turns",
        folder,
        scale.threads,
        values,
    )


def is_finished(task: Task) -> bool:
    return (task.folder / RESULT).is_file()


def ratio(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> tuple[float, float, float]:
    """Median over turns of the two times' ratio, less 1, and its 95 % interval.

    Args:
        ours, theirs: seconds a step, (turns,) each, turn by turn.
    """
    ratios = ours / theirs
    draws = np.random.default_rng(0).integers(len(ratios), size=(RESAMPLES, len(ratios)))
    low, high = np.percentile(np.median(ratios[draws], axis=1), [2.5, 97.5])
    return float(np.median(ratios) - 1), float(low - 1), float(high - 1)


def cost_report(
    study: Study,
    scale: Scale,
    datasets: Sequence[Dataset],
    tasks: Sequence[Task],
    problems: Sequence[str],
    facts: Mapping[str, str],
) -> Report:
    """Tables and sentences from every data set that was measured."""
    results = {}
    for dataset, task in zip(datasets, tasks, strict=True):
        result = read_result(task.folder / RESULT)
        if result is not None:
            results[dataset.name] = result
    says = [_measured(study, d, results[d.name]) for d in datasets if d.name in results]
    if results:
        says.append(_counted(study, next(iter(results.values()))))
    return Report(
        study=study,
        says=tuple(says) or ("Nothing is measured yet.",),
        problems=tuple(problems),
        tables=(_time_table(study, datasets, results), _count_table(study, results)),
        facts={
            **facts,
            "turns": f"{scale.turns} of {scale.turn_steps} steps a row, the rows taking turns",
            **origin_facts(results.values()),
        },
        lines=tuple(_lines(study, datasets, results)),
    )


def _rows_of(study: Study, result: Mapping[str, Any]) -> tuple[Row, dict, Row, dict]:
    """The row that is compared and its reference, each with its measurements."""
    for index, row in enumerate(study.rows):
        reference = study.reference_of(row)
        if reference is not None:
            return row, result["rows"][index], reference, result["rows"][1 - index]
    return study.rows[1], result["rows"][1], study.rows[0], result["rows"][0]


def _measured(study: Study, dataset: Dataset, result: Mapping[str, Any]) -> str:
    row, ours, reference, theirs = _rows_of(study, result)
    change, low, high = ratio(
        np.array(ours["seconds_per_step"]), np.array(theirs["seconds_per_step"])
    )
    text = (
        f"{row.label} against {reference.label} on {dataset.name}: {share(change)} time a step "
        f"(95 %: {share(low)} to {share(high)})"
    )
    name = dataset.paper_name
    if name in row.paper_minutes and name in reference.paper_minutes:
        paper = row.paper_minutes[name] / reference.paper_minutes[name] - 1
        text += f"; the paper has {share(paper)} on its {name}"
    if high < 0:
        return f"{text}. It pays here."
    if low > 0:
        return f"{text}. It does not pay here: it costs more than it saves."
    return f"{text}. No difference shown."


def _counted(study: Study, result: Mapping[str, Any]) -> str:
    row, ours, reference, theirs = _rows_of(study, result)
    parts = []
    for key, where in (("step", "at this scale"), ("paper_step", "at the paper's size")):
        total = ours[key]["flops"] / theirs[key]["flops"] - 1
        own, other = ours[key]["discriminator_flops"], theirs[key]["discriminator_flops"]
        part = f" ({share(own / other - 1)} of the discriminator's)" if other else ""
        parts.append(f"{share(total)} {where}{part}")
    return (
        f"Counted, {row.label} changes the FLOPs of a training step against {reference.label} by "
        f"{' and '.join(parts)}: where arithmetic takes the time, merging can gain no more."
    )


def share(value: float) -> str:
    """A share as per cent, always with its sign."""
    text = f"{100 * abs(value):.1f} %"
    if text == "0.0 %":
        return "±0.0 %"
    return f"{'+' if value > 0 else MINUS}{text}"


def _time_table(
    study: Study, datasets: Sequence[Dataset], results: Mapping[str, Mapping[str, Any]]
) -> Table:
    head = ["data set", "setting", "ms a step", "steps an epoch", f"{PAPER_EPOCHS} epochs here"]
    named = any(row.paper_minutes for row in study.rows)
    rows = []
    for dataset in datasets:
        result = results.get(dataset.name)
        for index, row in enumerate(study.rows):
            texts = [dataset.name, row.label]
            if result is None:
                texts += ["not run", "", ""]
            else:
                measured = result["rows"][index]
                step = float(np.median(measured["seconds_per_step"]))
                total = step * measured["steps_per_epoch"] * PAPER_EPOCHS
                texts += [f"{1000 * step:.1f}", str(measured["steps_per_epoch"]), hours(total / 60)]
            minutes = row.paper_minutes.get(dataset.paper_name)
            texts += [hours(minutes) if minutes else "–"] if named else []
            rows.append(tuple(texts))
    head += ["paper: training time"] if named else []
    note = "Medians over the turns. The time of 500 epochs is worked out from them, not run."
    of_paper = frozenset({5}) if named else frozenset()
    return Table("Training time", note, tuple(head), tuple(rows), of_paper)


def hours(minutes: float) -> str:
    """293 -> "4 h 53 min"."""
    return (
        f"{int(minutes // 60)} h {int(minutes % 60)} min"
        if minutes >= 60
        else (f"{minutes:.0f} min")
    )


def _count_table(study: Study, results: Mapping[str, Mapping[str, Any]]) -> Table:
    head = (
        "size",
        "setting",
        "GFLOPs a step",
        "of these the discriminator",
        "tokens in its blocks",
    )
    rows = []
    sizes = [(f"{name}, this scale", result, "step") for name, result in results.items()]
    sizes += [("the paper's size", result, "paper_step") for result in results.values()][:1]
    for size, result, key in sizes:
        for index, row in enumerate(study.rows):
            step = result["rows"][index][key]
            tokens = step["tokens"]
            rows.append(
                (
                    size,
                    row.label,
                    f"{step['flops'] / 1e9:.2f}",
                    f"{step['discriminator_flops'] / 1e9:.2f}",
                    f"{tokens[0]} to {tokens[-1]} in {len(tokens) - 1} blocks" if tokens else "–",
                )
            )
    note = (
        "Forward and backward, both halves of a mask pair, matrix products and convolutions; "
        "counted, the same on every machine."
    )
    return Table("FLOPs and tokens", note, head, tuple(rows))


def _lines(
    study: Study, datasets: Sequence[Dataset], results: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    lines = []
    for dataset in datasets:
        for index, row in enumerate(study.rows):
            line: dict[str, Any] = {"setting": row.label, "dataset": dataset.name}
            result = results.get(dataset.name)
            if result is not None:
                measured = result["rows"][index]
                seconds = np.array(measured["seconds_per_step"])
                low, middle, high = np.percentile(seconds, [25, 50, 75])
                step = measured["step"]
                line |= {
                    "seconds_per_step": float(middle),
                    "quartile_low": float(low),
                    "quartile_high": float(high),
                    "turns": len(seconds),
                    "steps_per_epoch": measured["steps_per_epoch"],
                    "flops": step["flops"],
                    "discriminator_flops": step["discriminator_flops"],
                    "tokens": " ".join(map(str, step["tokens"])),
                    "paper_size_flops": measured["paper_step"]["flops"],
                    "paper_size_discriminator_flops": measured["paper_step"]["discriminator_flops"],
                    "hardware": result["hardware"],
                    "commit": result["commits"][-1],
                }
            line["paper_minutes"] = row.paper_minutes.get(dataset.paper_name, "")
            lines.append(line)
    return lines
