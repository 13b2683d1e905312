"""Curves of several runs laid over each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve

from burnish.evaluation import metrics
from burnish.evaluation.compare import Run
from burnish.evaluation.drawing import (
    DASHED,
    GRID,
    LINE_COLOURS,
    PAPER,
    Drawing,
    canvas,
    drawn,
    shorten,
    styled,
)
from burnish.evaluation.figures import SQUARE, labelled_scores, unit_square
from burnish.evaluation.pages import number

STROKES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (5, 1.5, 1.2, 1.5)))  # 28 lines told apart
LEGEND_LINE = 0.24  # inches


def roc_curves(runs: Sequence[Run]) -> Drawing | None:
    """All runs' ROC curves with their operating points; None when no run has both classes."""
    with styled():
        figure, axes = canvas(SQUARE + LEGEND_LINE * len(runs))
        axes.plot([0, 1], [0, 1], color=GRID, linewidth=1, linestyle=DASHED)
        for place, run in enumerate(runs):
            e = run.evaluation
            points = metrics.roc_points(*labelled_scores(e))
            if points is not None:
                here = (e.false_alarm_rate_got, e.recall)
                _curve(axes, place, run, *points, here, f"AUROC {number(e.image_auroc)}", "default")
        return _finished(figure, axes, "good parts called defective", "defective parts caught")


def pr_curves(runs: Sequence[Run]) -> Drawing | None:
    """All runs' precision-recall curves, likewise."""
    with styled():
        figure, axes = canvas(SQUARE + LEGEND_LINE * len(runs))
        for place, run in enumerate(runs):
            e = run.evaluation
            scores, defect = labelled_scores(e)
            if defect.any() and not defect.all():
                precision, recall, _ = precision_recall_curve(defect, scores)
                here, said = (e.recall, e.precision), f"AP {number(e.average_precision)}"
                _curve(axes, place, run, recall, precision, here, said, "steps-post")
        return _finished(
            figure, axes, "defective parts caught (recall)", "truly defective of those called so"
        )


def _curve(
    axes: Axes,
    place: int,
    run: Run,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    here: tuple[float | None, float | None],
    said: str,
    drawstyle: Any,
) -> None:
    colour = LINE_COLOURS[place % len(LINE_COLOURS)]
    stroke = STROKES[place // len(LINE_COLOURS) % len(STROKES)]
    axes.plot(
        x,
        y,
        color=colour,
        linestyle=stroke,
        linewidth=1.8,
        drawstyle=drawstyle,
        # A label that begins with "_" would be left out of the legend.
        label=f" {shorten(run.name, 30)}   {said}",
    )
    if here[0] is not None and here[1] is not None:
        axes.plot(
            here[0],
            here[1],
            "o",
            color=colour,
            markersize=8,
            markeredgecolor=PAPER,
            clip_on=False,
            zorder=5,
        )


def _finished(figure: Figure, axes: Axes, x: str, y: str) -> Drawing | None:
    handles, _ = axes.get_legend_handles_labels()
    if not handles:
        return None
    unit_square(axes, x, y)
    axes.legend(frameon=False, fontsize=10, loc="upper left", bbox_to_anchor=(-0.02, -0.16))
    return drawn(figure)
