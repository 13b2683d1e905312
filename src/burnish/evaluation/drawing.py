"""Shared parts of the reports' figures: style, canvas, and rendering as SVG and PNG.

Uses matplotlib without pyplot, which would keep figures alive in a global registry. Colours are
Okabe & Ito's, told apart by colour-blind readers; good and defective differ in shape too.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

GOOD, DEFECT = "#0072b2", "#d55e00"
INK, FAINT, GRID, PAPER = "#333333", "#8a8a8a", "#cccccc", "#ffffff"
LINE_COLOURS = (INK, GOOD, DEFECT, "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
DASHED = (0, (4, 3))
WIDTH = 5.4  # inches of a figure that fills half a page
DPI = 160
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
    "svg.hashsalt": "burnish",  # same numbers, same bytes
}
# For dark screens; the page sets the same, and a picture in a page follows the reader's choice.
DARK = {INK: "#d5dae1", FAINT: "#7d8794", GRID: "#4a525d", PAPER: "#14181d",
        GOOD: "#3f9fdc", DEFECT: "#f07f33"}  # fmt: skip


@dataclass(frozen=True)
class Box:
    """Position and data range of a figure's axes, for what a page draws over them.

    Attributes:
        left, top, width, height: shares of the figure's width and height.
        x, y: (low, high) in data units; `log_x`: x is logarithmic.
    """

    left: float
    top: float
    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]
    log_x: bool


@dataclass(frozen=True)
class Drawing:
    """One figure, for a page (`uri`) and for a file (`png`)."""

    svg: str
    png: bytes
    box: Box

    @property
    def uri(self) -> str:
        """The SVG as a data URI: as an image, its ids cannot clash and no script in it can run."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg.encode()).decode("ascii")


def styled() -> AbstractContextManager[None]:
    """The style of every figure, as a context.

    A `matplotlibrc` has no say, which matplotlib takes from the current folder too, where the data
    may lie: it can have LaTeX run, and reports fail.
    """
    return style.context(["default", STYLE])


def figure_of(height: float, width: float = WIDTH) -> Figure:
    """An empty figure, sizes in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def canvas(height: float) -> tuple[Figure, Axes]:
    """A figure with one pair of axes, open at the top and right; `height` in inches."""
    figure = figure_of(height)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def drawn(figure: Figure, *framed: Axes) -> Drawing:
    """Render a figure; `framed` are the axes whose common frame becomes `Drawing.box`."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # keep one layout for both formats
    png, svg = io.BytesIO(), io.StringIO()
    figure.savefig(png, format="png", dpi=DPI, facecolor="white")
    figure.savefig(svg, format="svg", transparent=True, metadata={"Date": None})
    frames = [axes.get_position() for axes in framed or figure.axes]
    left, right = min(f.x0 for f in frames), max(f.x1 for f in frames)
    low, high = min(f.y0 for f in frames), max(f.y1 for f in frames)
    axes = (framed or figure.axes)[0]
    (x0, x1), (y0, y1) = axes.get_xlim(), axes.get_ylim()
    box = Box(
        left=float(left),
        top=float(1 - high),
        width=float(right - left),
        height=float(high - low),
        x=(float(x0), float(x1)),
        y=(float(y0), float(y1)),
        log_x=axes.get_xscale() == "log",
    )
    return Drawing(_themed(svg.getvalue()), png.getvalue(), box)


def percent_axis(axes: Axes, name: str) -> None:
    """Shares from 0 to 1 written as percentages; `name` is "x" or "y"."""
    set_ticks = axes.set_xticks if name == "x" else axes.set_yticks
    set_ticks([0, 0.25, 0.5, 0.75, 1], ["0", "25 %", "50 %", "75 %", "100 %"])


def shorten(name: str, length: int = 22) -> str:
    """Cut a name so that it fits beside an axis; escapes `$`, which would start a formula."""
    name = name if len(name) <= length else name[: length - 1] + "…"
    return name.replace("$", r"\$")


def label_ends(
    axes: Axes, names: Sequence[str], heights: Sequence[float], colours: Sequence[str]
) -> None:
    """Name lines at their right ends (`heights`: shares of the axes), where they do not overlap."""
    ends = sorted(zip(heights, names, colours, strict=True))
    placed = spread([height for height, _, _ in ends], 0.075)
    for y, (_, name, colour) in zip(placed, ends, strict=True):
        axes.text(1.02, y, name, color=colour, va="center", transform=axes.transAxes)


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Ascending heights in [0, 1], moved until neighbours are `gap` apart and none is above 1."""
    placed: list[float] = []
    for y in heights:
        placed.append(max(y, placed[-1] + gap) if placed else y)
    for i in reversed(range(len(placed))):
        placed[i] = min(placed[i], placed[i + 1] - gap if i + 1 < len(placed) else 1.0)
    return placed


def _themed(svg: str) -> str:
    """Let the colours follow the reader's light or dark screen; paper is always light."""
    light, dark = "", ""
    for number, (colour, darker) in enumerate(DARK.items()):
        svg = svg.replace(colour, f"var(--c{number})")
        light += f"--c{number}:{colour};"
        dark += f"--c{number}:{darker};"
    rule = (
        f"<style>svg{{{light}}}"
        f"@media screen and (prefers-color-scheme:dark){{svg{{{dark}}}}}</style>"
    )
    head, opening, rest = svg.partition("<svg ")
    attributes, close, body = rest.partition(">")
    return head + opening + attributes + close + rule + body
