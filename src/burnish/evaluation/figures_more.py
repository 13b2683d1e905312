"""Figures of the report's further sections: error maps, and changed light and focus."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from burnish.evaluation.drawing import (
    DASHED,
    DEFECT,
    FAINT,
    GOOD,
    GRID,
    INK,
    Drawing,
    canvas,
    drawn,
    label_ends,
    percent_axis,
    shorten,
    styled,
)
from burnish.evaluation.record import StressRow
from burnish.evaluation.scales import ScaleRow

SCALE_HEIGHT, NAME_HEIGHT = 3.6, 0.7  # inches: of the figure, and more for long names
MANY_KINDS = 8  # more lines than these cannot be told apart


def scale_scores(scales: Sequence[ScaleRow]) -> Drawing | None:
    """Each scale's scores on good and defective images: median and quartiles; None without."""
    if not scales:
        return None
    with styled():
        figure, axes = canvas(SCALE_HEIGHT + NAME_HEIGHT * _is_textured(scales))
        for colour, marker, label, shift in (
            (GOOD, "o", "good", -0.12),
            (DEFECT, "D", "defective", 0.12),
        ):
            found = [row.good if label == "good" else row.defect for row in scales]
            places = [place + shift for place, row in enumerate(found) if row is not None]
            lows, middles, highs = (
                zip(*(row for row in found if row), strict=True) if places else ((), (), ())
            )
            axes.vlines(places, lows, highs, color=colour, linewidth=4, alpha=0.45)
            axes.plot(places, middles, marker, color=colour, label=label)
        _legend_above(axes)
        axes.set_ylabel("score of this map alone")
        _scale_axis(axes, scales)
        return drawn(figure)


def scale_auroc(scales: Sequence[ScaleRow], fused_auroc: float | None) -> Drawing | None:
    """AUROC of each scale alone: all defects (thick) and by kind (thin); the fused score dashed.

    Returns:
        None without scales, or for a test set of one class.
    """
    values = [row.image_auroc for row in scales if row.image_auroc is not None]
    if not values or fused_auroc is None:
        return None
    with styled():
        figure, axes = canvas(SCALE_HEIGHT + NAME_HEIGHT * _is_textured(scales))
        lines = {kind: [row.by_kind[kind] or 0.0 for row in scales] for kind in scales[0].by_kind}
        if not 1 < len(lines) <= MANY_KINDS:
            lines = {}
        for line in lines.values():
            axes.plot(line, "o-", color=FAINT, linewidth=1, markersize=3)
        axes.axhline(fused_auroc, color=INK, linewidth=1.2, linestyle=DASHED)
        axes.plot(values, "D-", color=DEFECT, linewidth=2)
        _scale_axis(axes, scales)
        axes.set_ylabel("AUROC of this map alone")
        low, high = axes.get_ylim()
        ends = {shorten(kind, 16): (line[-1], FAINT) for kind, line in lines.items()}
        ends |= {"all kinds": (values[-1], DEFECT), "fused": (fused_auroc, INK)}
        heights = [(value - low) / (high - low) for value, _ in ends.values()]
        label_ends(axes, list(ends), heights, [colour for _, colour in ends.values()])
        return drawn(figure)


def stress_figure(rows: Sequence[StressRow]) -> Drawing | None:
    """False alarms and escapes at the same threshold under every change; None without rows."""
    if not rows:
        return None
    with styled():
        figure, axes = canvas(1.1 + 0.27 * len(rows))
        for place, row in enumerate(rows):
            axes.axhline(place, color=GRID, linewidth=0.6, zorder=0)
            for rate, marker, colour, label in (
                (row.escape_rate, "D", DEFECT, "escapes"),
                (row.false_alarm_rate, "o", GOOD, "false alarms"),
            ):
                if rate is not None:
                    axes.plot(
                        rate,
                        place,
                        marker,
                        color=colour,
                        markersize=6,
                        clip_on=False,
                        label=label if place == 0 else None,
                    )
        names = [stress_name(row) for row in rows]
        axes.set_yticks(range(len(rows)), names, fontsize=10)
        axes.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.7))
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        percent_axis(axes, "x")
        _legend_above(axes)
        return drawn(figure)


def _legend_above(axes: Axes) -> None:
    axes.legend(
        frameon=False,
        ncols=2,
        fontsize=10,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        borderaxespad=0.2,
    )


def _is_textured(scales: Sequence[ScaleRow]) -> bool:
    """Whether there are further maps beside the mask scales: many, with long names."""
    return any(" " in row.name.removesuffix(" px") for row in scales)


def _scale_axis(axes: Axes, scales: Sequence[ScaleRow]) -> None:
    textured = _is_textured(scales)
    axes.set_xticks(range(len(scales)), [row.name for row in scales])
    if textured:
        axes.tick_params(axis="x", labelsize=9)
        for label in axes.get_xticklabels():
            label.set(rotation=50, ha="right", rotation_mode="anchor")
    below = "side of the mask's blocks" + ", then texture and lines" * textured
    axes.set(xlim=(-0.4, len(scales) - 0.6), xlabel=below)


def stress_name(row: StressRow) -> str:
    """ "brightness -25 %", say; "unchanged" for the images as they are."""
    return "unchanged" if row.change == "none" else f"{row.change} {row.strength}"
