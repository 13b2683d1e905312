"""AUROC against epoch, as the paper's Figure 9: for display only, never for choosing."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from burnish.studies.cells import Cell, Dataset
from burnish.studies.file import Scale, Study
from burnish.studies.report import Report, Table, origin_facts
from burnish.studies.table import over_seeds, spread
from burnish.studies.words import noted, unused

ONLY_SHOWN = (
    "For display only. The test set tells how the curve ran, it does not choose an epoch: what a "
    "model is worth is its last epoch, fixed beforehand."
)


def curve_report(
    study: Study,
    scale: Scale,
    datasets: Sequence[Dataset],
    seeds: Sequence[int],
    cells: Sequence[Cell],
    problems: Sequence[str],
    facts: Mapping[str, str],
) -> Report:
    """Figure, table and sentences from every curve that is finished."""
    curves: dict[tuple[str, int], dict[str, Any]] = {}
    for cell in cells:
        result = cell.result()
        if result is not None:
            curves[cell.dataset, cell.seed] = result
    done = list(curves.values())
    names = [d.name for d in datasets]
    by_row = {(study.rows[0].label, *key): result for key, result in curves.items()}
    rows = []
    for number, epoch in enumerate(scale.points):
        texts = [str(epoch)]
        for figure in ("image_auroc", "best_f1"):
            for name in names:
                known = [
                    value
                    for seed in seeds
                    if (name, seed) in curves
                    and (value := curves[name, seed]["points"][number][figure]) is not None
                ]
                texts.append(spread(known if len(known) == len(seeds) else None))
        rows.append(tuple(texts))
    head = ("epoch", *(f"AUROC {n}" for n in names), *(f"best F1 {n}" for n in names))
    return Report(
        study=study,
        says=(*unused(done), *noted(by_row), *_sentences(scale, names, seeds, curves)),
        problems=tuple(problems),
        tables=(Table("AUROC and best F1 against epoch", over_seeds(seeds), head, tuple(rows)),),
        facts={**facts, **origin_facts(done)},
        lines=tuple(_lines(curves)),
        figure=_draw(names, seeds, curves) if curves else None,
    )


def _sentences(
    scale: Scale,
    names: Sequence[str],
    seeds: Sequence[int],
    curves: Mapping[tuple[str, int], Mapping[str, Any]],
) -> list[str]:
    told = []
    for name in names:
        for seed in seeds:
            if (name, seed) not in curves:
                told.append(f"{name}, seed {seed}: not run yet.")
                continue
            values = [point["image_auroc"] for point in curves[name, seed]["points"]]
            if None in values:
                told.append(f"{name}, seed {seed}: no AUROC, its test images were of one class.")
                continue
            text = f"{name}, seed {seed}: AUROC {values[-1]:.3f} at the last epoch"
            if len(values) > 1:
                text += (
                    f" ({scale.points[-1]}), {values[0]:.3f} at epoch {scale.points[0]}; between "
                    f"{min(values):.3f} and {max(values):.3f} on the way"
                )
                half = values[len(values) // 2 :]
                text += f", within {max(half) - min(half):.3f} over the last {len(half)} points"
            told.append(f"{text}.")
    return [*told, ONLY_SHOWN]


def _draw(
    names: Sequence[str],
    seeds: Sequence[int],
    curves: Mapping[tuple[str, int], Mapping[str, Any]],
) -> bytes:
    """Left AUROC against epoch, right the ROC curve of the last epoch; a colour a data set."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from burnish.evaluation.drawing import DASHED, FAINT, GRID, LINE_COLOURS, styled
    from burnish.evaluation.metrics import roc_points

    with styled():
        figure = Figure(figsize=(10.4, 4.4), dpi=120, layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        left, right = figure.subplots(1, 2)
        for colour, name in zip(LINE_COLOURS[1:] * len(names), names, strict=False):
            for index, seed in enumerate(s for s in seeds if (name, s) in curves):
                points = curves[name, seed]["points"]
                label = name if index == 0 else None
                if any(p["image_auroc"] is None for p in points):
                    continue
                left.plot(
                    [p["epoch"] for p in points],
                    [p["image_auroc"] for p in points],
                    color=colour,
                    marker="o",
                    markersize=4,
                    label=label,
                )
                scores, defect = zip(*points[-1]["scores"], strict=True)
                roc = roc_points(list(scores), list(defect))
                if roc is not None:
                    right.plot(*roc, color=colour, label=label)
        left.axhline(0.5, color=GRID, linestyle=DASHED, linewidth=1)
        right.plot([0, 1], [0, 1], color=GRID, linestyle=DASHED, linewidth=1)
        left.set(xlabel="epoch", ylabel="image AUROC of the test set", ylim=(None, 1.0))
        right.set(
            xlabel="false-positive rate",
            ylabel="true-positive rate",
            xlim=(0, 1),
            ylim=(0, 1.01),
            aspect="equal",
            title="last epoch",
        )
        left.set_title("for display only, never for choosing", color=FAINT, fontsize=11)
        for axes in (left, right):
            axes.spines[["top", "right"]].set_visible(False)
        if right.get_legend_handles_labels()[0]:
            right.legend(frameon=False, loc="lower right")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        return buffer.getvalue()


def _lines(curves: Mapping[tuple[str, int], Mapping[str, Any]]) -> list[dict[str, Any]]:
    lines = []
    for (name, seed), result in curves.items():
        for point in result["points"]:
            figures = {
                k: v for k, v in point.items() if k not in ("scores", "image_auroc_interval")
            }
            lines.append(
                {"dataset": name, "seed": seed, **figures, "commit": result["commits"][-1]}
            )
    return lines
