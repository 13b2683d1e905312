"""The report's figures: ROC, precision-recall, score distribution, training curves."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve

from burnish.evaluation import metrics
from burnish.evaluation.drawing import (
    DASHED,
    DEFECT,
    GOOD,
    GRID,
    INK,
    LINE_COLOURS,
    PAPER,
    Drawing,
    canvas,
    drawn,
    figure_of,
    label_ends,
    percent_axis,
    shorten,
    styled,
)
from burnish.evaluation.record import Evaluation

MANY = 2000  # from so many points on they are drawn as pixels: in SVG each takes 100 bytes
Curve = tuple[NDArray[np.float64], NDArray[np.float64]]
SQUARE = 4.6  # inches
NAME_WIDTH = 0.36  # of the operating point's name, as a share of the axes


def roc(evaluation: Evaluation) -> Drawing | None:
    """ROC curve with the operating point (calibrated threshold) marked; None for one class."""
    points = metrics.roc_points(*labelled_scores(evaluation))
    if points is None or evaluation.recall is None or evaluation.false_alarm_rate_got is None:
        return None
    with styled():
        figure, axes = canvas(SQUARE)
        axes.plot([0, 1], [0, 1], color=GRID, linewidth=1, linestyle=DASHED)
        axes.plot(*points, color=INK, linewidth=2, solid_joinstyle="miter")
        _mark(axes, evaluation.false_alarm_rate_got, evaluation.recall)
        axes.text(
            0.97,
            0.05,
            f"AUROC {evaluation.image_auroc:.3f}",
            ha="right",
            transform=axes.transAxes,
            fontsize=13,
        )
        unit_square(axes, "good parts called defective", "defective parts caught")
        return drawn(figure)


def precision_recall(evaluation: Evaluation) -> Drawing | None:
    """Precision over recall with the operating point marked; None for one class.

    In steps, as average precision is summed (scikit-learn's definition, no interpolation). The
    dashed line is what guessing gives: the share of defective images.
    """
    scores, defect = labelled_scores(evaluation)
    if defect.all() or not defect.any():
        return None
    precision, recall, _ = precision_recall_curve(defect, scores)
    with styled():
        figure, axes = canvas(SQUARE)
        axes.axhline(float(defect.mean()), color=GRID, linewidth=1, linestyle=DASHED)
        axes.plot(recall, precision, color=INK, linewidth=2, drawstyle="steps-post")
        if evaluation.recall is not None and evaluation.precision is not None:
            _mark(axes, evaluation.recall, evaluation.precision, (recall, precision))
        axes.text(
            0.03,
            0.05,
            f"average precision {evaluation.average_precision:.3f}",
            transform=axes.transAxes,
            fontsize=13,
        )
        unit_square(axes, "defective parts caught (recall)", "truly defective of those called so")
        return drawn(figure)


def unit_square(axes: Axes, xlabel: str, ylabel: str) -> None:
    """Two shares from 0 to 1, in per cent, at one scale."""
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel=xlabel, ylabel=ylabel, aspect="equal")
    percent_axis(axes, "x")
    percent_axis(axes, "y")


def score_distribution(evaluation: Evaluation) -> Drawing:
    """Scores of good and defective images: a histogram over one row of points a kind.

    The axis is logarithmic when all scores are positive and spread over more than 30 : 1.
    """
    scores, defect = labelled_scores(evaluation)
    kind_of = np.array([row.kind for row in evaluation.images])
    groups = [
        (row.kind, scores[defect & (kind_of == row.kind)], DEFECT, "D")
        for row in reversed(evaluation.kinds)
    ]
    if evaluation.n_good:
        groups.append(("good", scores[~defect], GOOD, "o"))
    with styled():
        figure = figure_of(2.6 + 0.36 * len(groups))
        heights = [1.6, 0.3 + 0.36 * len(groups)]
        above, below = figure.subplots(2, sharex=True, height_ratios=heights)
        if _spreads_widely(np.append(scores, evaluation.threshold)):
            below.set_xscale("log")
            # Plain numbers at 1, 2 and 5; the default, powers of ten, overlaps.
            below.xaxis.set_major_locator(LogLocator(10, (1.0, 2.0, 5.0)))
            below.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            below.xaxis.set_minor_formatter(NullFormatter())
        _histogram(above, scores, defect, log=below.get_xscale() == "log")
        _strips(below, groups)
        for axes in (above, below):
            axes.axvline(evaluation.threshold, color=INK, linewidth=1.2, linestyle=DASHED)
        above.annotate(
            f"threshold {evaluation.threshold:.4g}",
            (evaluation.threshold, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            annotation_clip=False,
        )
        return drawn(figure, below, above)


def training_curves(losses: Path) -> Drawing | None:
    """Every loss term of a run's `losses.csv` against the step, logarithmic.

    Returns:
        None when the file is not there, is not such a table, or has one line only.
    """
    steps, terms = read_losses(losses)
    if len(steps) < 2 or not terms:
        return None
    with styled():
        figure, axes = canvas(3.6)
        shown = dict(zip(list(terms)[: len(LINE_COLOURS)], LINE_COLOURS, strict=False))
        for name, colour in shown.items():
            axes.plot(steps, terms[name], color=colour, linewidth=1.5)
        axes.set_yscale("log")
        axes.set(xlabel="step", ylabel="loss, mean of an epoch")
        axes.set_xlim(0, steps[-1])
        low, high = np.log(axes.get_ylim())
        ends = [float(np.log(terms[name][-1]) - low) / (high - low) for name in shown]
        label_ends(axes, list(shown), ends, list(shown.values()))
        return drawn(figure)


def why_no_curves(losses: Path | None) -> str:
    """Why `training_curves` gives None, as the end of a sentence.

    Args:
        losses: None for a model that has no folder.
    """
    if losses is None or not losses.exists():
        return "there is no losses.csv beside the model"
    steps, terms = read_losses(losses)
    if len(steps) == 1 and terms:
        return "losses.csv holds one epoch only, and a curve needs two"
    return "losses.csv beside the model holds no losses that can be drawn"


def read_losses(path: Path) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """Steps and loss terms of a `losses.csv`; both empty when it is missing or no such table."""
    nothing: tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]] = (np.empty(0), {})
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        columns = {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
        steps = columns.pop("step")
    except (OSError, ValueError, TypeError, KeyError, IndexError):
        return nothing
    terms = {name: values for name, values in columns.items() if name not in ("epoch", "seconds")}
    return steps, {n: v for n, v in terms.items() if np.isfinite(v).all() and (v > 0).all()}


def labelled_scores(evaluation: Evaluation) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Raw scores (N,) and which of them are of defective images (N,)."""
    rows = evaluation.images
    return np.array([row.score for row in rows]), np.array([row.is_defect for row in rows])


def _mark(axes: Axes, x: float, y: float, falling: Curve | None = None) -> None:
    """Mark the operating point, with its name on the side where it fits inside the axes.

    Args:
        falling: x and y, each (N,), of a falling curve: the name goes below it.
    """
    axes.plot(x, y, "o", color=DEFECT, markersize=9, markeredgecolor=PAPER, clip_on=False, zorder=5)
    left, low = x > 0.6, y < 0.07  # below and right of a rising curve; above the axis at its foot
    top = max(y, 0.01)
    if falling is not None and not low:
        across = (falling[0] - x) * (-1 if left else 1)
        under = falling[1][(across >= 0) & (across < NAME_WIDTH)]
        top = min(y, max(float(under.min(initial=y)), 0.2))  # above the line of text at the foot
    axes.annotate(
        "at the threshold",
        (x, top),
        xytext=(-12 if left else 10, 0 if low else -4),
        textcoords="offset points",
        ha="right" if left else "left",
        va="bottom" if low else "top",
        color=DEFECT,
    )


def _spreads_widely(values: NDArray[np.float64]) -> bool:
    return bool(values.min() > 0 and values.max() / values.min() > 30)


def _histogram(
    axes: Axes, scores: NDArray[np.float64], defect: NDArray[np.bool_], log: bool
) -> None:
    edges = np.histogram_bin_edges(np.log10(scores) if log else scores, bins=30)
    bins = 10**edges if log else edges
    # Widened a little, or rounding would leave out the ends.
    bins[[0, -1]] = min(bins[0], scores.min()), max(bins[-1], scores.max())
    for values, colour in ((scores[~defect], GOOD), (scores[defect], DEFECT)):
        if len(values):
            axes.hist(values, bins.tolist(), color=colour, histtype="stepfilled", alpha=0.4)
            axes.hist(values, bins.tolist(), color=colour, histtype="step", linewidth=1.2)
    axes.set_ylabel("images")
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.spines[["top", "right"]].set_visible(False)


def _strips(axes: Axes, groups: Sequence[tuple[str, NDArray[np.float64], str, str]]) -> None:
    rng = np.random.default_rng(0)  # jitter only, so that equal scores do not hide each other
    for row, (_, values, colour, marker) in enumerate(groups):
        y = row + rng.uniform(-0.25, 0.25, len(values))
        size = 22 if len(values) <= 50 else 10
        axes.scatter(
            values,
            y,
            s=size,
            c=colour,
            marker=marker,
            alpha=0.6,
            linewidths=0,
            rasterized=len(values) > MANY,
        )
        axes.plot([np.median(values)] * 2, [row - 0.36, row + 0.36], color=INK, linewidth=1.6)
    axes.set_yticks(range(len(groups)), [f"{shorten(name)} ({len(v)})" for name, v, _, _ in groups])
    axes.set(ylim=(-0.6, len(groups) - 0.4), xlabel="image score (short line: median)")
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
