"""The report's figures as SVG text: ROC, score distribution, training curves.

matplotlib without pyplot: no window, no figure kept alive behind the caller's back. Colours are
Okabe & Ito's, told apart by colour-blind readers; good and defective differ in shape too.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from burnish.evaluation import metrics
from burnish.evaluation.record import Evaluation

GOOD, DEFECT = "#0072B2", "#D55E00"
TERM_COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK, FAINT = "#333333", "#8a8a8a"
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "svg.hashsalt": "burnish",  # the same numbers give the same bytes
}
MANY = 2000  # points that are drawn as pixels, or the page grows by 100 bytes each
WIDTH = 5.4  # inches of a figure that fills half a page


def roc(evaluation: Evaluation) -> str | None:
    """ROC curve with the operating point (calibrated threshold) marked.

    Returns:
        SVG text; None when only one class is there.
    """
    scores, defect = _scores(evaluation)
    points = metrics.roc_points(scores, defect)
    if points is None or evaluation.recall is None or evaluation.false_alarm_rate_got is None:
        return None
    with rc_context(STYLE):
        figure, axes = _canvas(4.6)
        axes.plot([0, 1], [0, 1], color="#cccccc", linewidth=1, linestyle=(0, (4, 3)))
        axes.plot(*points, color=INK, linewidth=2, solid_joinstyle="miter")
        here = (evaluation.false_alarm_rate_got, evaluation.recall)
        axes.plot(*here, "o", color=DEFECT, markersize=9, markeredgecolor="white", clip_on=False,
                  zorder=5)  # fmt: skip
        left, low = here[0] > 0.55, here[1] < 0.15
        axes.annotate(
            "at the threshold",
            here,
            xytext=(-12 if left else 12, 8 if low else -14),
            textcoords="offset points",
            ha="right" if left else "left",
            va="bottom" if low else "top",
            color=DEFECT,
        )
        axes.text(0.97, 0.05, f"AUROC {evaluation.image_auroc:.3f}", ha="right",
                  transform=axes.transAxes, fontsize=13)  # fmt: skip
        axes.set(
            xlim=(0, 1), ylim=(0, 1.02), xlabel="good parts called defective",
            ylabel="defective parts caught", aspect="equal",
        )  # fmt: skip
        ticks = [0, 0.25, 0.5, 0.75, 1]
        labels = ["0", "25 %", "50 %", "75 %", "100 %"]
        axes.set_xticks(ticks, labels)
        axes.set_yticks(ticks, labels)
        return _svg(figure)


def score_distribution(evaluation: Evaluation) -> str:
    """Scores of good and defective images: a histogram over one row of points a kind; SVG text.

    The axis is logarithmic when all scores are positive and spread over more than 30 : 1.
    """
    scores, defect = _scores(evaluation)
    kind_of = np.array([row.kind for row in evaluation.images])
    groups = [(row.kind, scores[defect & (kind_of == row.kind)], DEFECT, "D")
              for row in reversed(evaluation.kinds)]  # fmt: skip
    if evaluation.n_good:
        groups.append(("good", scores[~defect], GOOD, "o"))
    with rc_context(STYLE):
        figure = _figure(2.6 + 0.42 * len(groups))
        heights = [1.6, 0.3 + 0.42 * len(groups)]
        above, below = figure.subplots(2, sharex=True, height_ratios=heights)
        if _spreads_widely(np.append(scores, evaluation.threshold)):
            below.set_xscale("log")
        _histogram(above, scores, defect, log=below.get_xscale() == "log")
        _strips(below, groups)
        for axes in (above, below):
            axes.axvline(evaluation.threshold, color=INK, linewidth=1.2, linestyle=(0, (4, 3)))
        above.annotate(
            f"threshold {evaluation.threshold:.4g}",
            (evaluation.threshold, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            annotation_clip=False,
        )
        return _svg(figure)


def training_curves(losses: Path) -> str | None:
    """Every loss term of a run's `losses.csv` against the step, logarithmic.

    Returns:
        SVG text; None when the file is not there, is not such a table, or has one line only.
    """
    steps, terms = read_losses(losses)
    if len(steps) < 2 or not terms:
        return None
    with rc_context(STYLE):
        figure, axes = _canvas(3.6)
        for (_, values), colour in zip(terms.items(), TERM_COLOURS, strict=False):
            axes.plot(steps, values, color=colour, linewidth=1.5)
        axes.set_yscale("log")
        axes.set(xlabel="step", ylabel="loss, mean of an epoch")
        axes.set_xlim(0, steps[-1])
        _label_ends(axes, terms)
        return _svg(figure)


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


def shorten(name: str, length: int = 22) -> str:
    """A name that fits beside an axis; `$` would start a formula."""
    name = name if len(name) <= length else name[: length - 1] + "…"
    return name.replace("$", r"\$")


def _scores(evaluation: Evaluation) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    rows = evaluation.images
    return np.array([row.score for row in rows]), np.array([row.is_defect for row in rows])


def _spreads_widely(values: NDArray[np.float64]) -> bool:
    return bool(values.min() > 0 and values.max() / values.min() > 30)


def _histogram(
    axes: Axes, scores: NDArray[np.float64], defect: NDArray[np.bool_], log: bool
) -> None:
    edges = np.histogram_bin_edges(np.log10(scores) if log else scores, bins=30)
    bins = (10**edges if log else edges).tolist()
    for values, colour in ((scores[~defect], GOOD), (scores[defect], DEFECT)):
        if len(values):
            axes.hist(values, bins, color=colour, histtype="stepfilled", alpha=0.4)
            axes.hist(values, bins, color=colour, histtype="step", linewidth=1.2)
    axes.set_ylabel("images")
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.spines[["top", "right"]].set_visible(False)


def _strips(axes: Axes, groups: Sequence[tuple[str, NDArray[np.float64], str, str]]) -> None:
    rng = np.random.default_rng(0)  # jitter only, so that equal scores do not hide each other
    for row, (_, values, colour, marker) in enumerate(groups):
        y = row + rng.uniform(-0.25, 0.25, len(values))
        size = 22 if len(values) <= 50 else 10
        axes.scatter(
            values, y, s=size, c=colour, marker=marker, alpha=0.6, linewidths=0,
            rasterized=len(values) > MANY,
        )  # fmt: skip
        axes.plot([np.median(values)] * 2, [row - 0.36, row + 0.36], color=INK, linewidth=1.6)
    axes.set_yticks(range(len(groups)), [f"{shorten(name)} ({len(v)})" for name, v, _, _ in groups])
    axes.set(ylim=(-0.6, len(groups) - 0.4), xlabel="image score (short line: median)")
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _figure(height: float) -> Figure:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasSVG(figure)
    return figure


def _canvas(height: float) -> tuple[Figure, Axes]:
    figure = _figure(height)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    return text.getvalue()


def _label_ends(axes: Axes, terms: dict[str, NDArray[np.float64]]) -> None:
    """Name each line at its right end, pushed apart where they would overlap."""
    low, high = np.log(axes.get_ylim())
    ends = [
        (float(np.log(values[-1]) - low) / (high - low), name, colour)
        for (name, values), colour in zip(terms.items(), TERM_COLOURS, strict=False)
    ]
    ends.sort()
    heights = spread([y for y, _, _ in ends], 0.075)
    for y, (_, name, colour) in zip(heights, ends, strict=True):
        axes.text(1.02, y, name, color=colour, va="center", transform=axes.transAxes)


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Ascending heights in [0, 1], moved until neighbours are `gap` apart and none is above 1."""
    placed: list[float] = []
    for y in heights:
        placed.append(max(y, placed[-1] + gap) if placed else y)
    for i in reversed(range(len(placed))):
        placed[i] = min(placed[i], placed[i + 1] - gap if i + 1 < len(placed) else 1.0)
    return placed
