"""The scores behind docs/results.md, as one picture: good parts beside every kind of defect.

    python benchmarks/distributions.py --runs /tmp/runs --out docs/images/scores.png

Reads the evaluation.json that benchmarks/real.py left in RUNS/SET-small-0. Pictures of the parts
themselves stay out of the project (licences of the sets): RUNS/SET-small-0/evaluation/report.html
shows every miss.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from burnish.evaluation.drawing import DEFECT, FAINT, GOOD, INK, drawn, figure_of, shorten, styled
from burnish.files import atomic_write

SETS = ("rail", "kolektor", "magnetic_tile", "screw")
MOST = 2.2  # scores beyond so many thresholds are drawn at the edge


def draw(runs: Path, out: Path) -> None:
    """One panel a set: a dot an image, in shares of the threshold."""
    rng = np.random.default_rng(0)
    with styled():
        figure = figure_of(3.2, 11.0)
        for axes, name in zip(figure.subplots(1, len(SETS), sharey=True), SETS, strict=True):
            file = runs / f"{name}-small-0" / "evaluation" / "evaluation.json"
            found = json.loads(file.read_text("utf-8"))
            images = found["images"]
            kinds = ["good", *sorted({i["kind"] for i in images if i["is_defect"]})]
            for place, kind in enumerate(kinds):
                scores = np.array([i["score"] for i in images if i["kind"] == kind])
                shares = np.clip(scores / found["threshold"], 0, MOST)
                spread = place + rng.uniform(-0.28, 0.28, len(shares))
                axes.plot(spread, shares, ".", markersize=3, alpha=0.6,
                          color=DEFECT if place else GOOD)  # fmt: skip
                axes.hlines(np.median(shares), place - 0.35, place + 0.35, color=INK, linewidth=1.6)
            axes.axhline(1, color=FAINT, linewidth=1, linestyle="--")
            axes.set_xticks(range(len(kinds)), [shorten(k, 18) for k in kinds], rotation=35,
                            ha="right", fontsize=8)  # fmt: skip
            axes.set_title(f"{name}, seed 0, AUROC {found['image_auroc']:.3f}", fontsize=10)
            axes.spines[["top", "right"]].set_visible(False)
        axes.set_yticks([0, 0.5, 1, 1.5, MOST], ["0", "0.5", "1", "1.5", f"≥ {MOST:g}"])
        figure.axes[0].set_ylabel("score / threshold")
        atomic_write(out, drawn(figure).png)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("docs/images/scores.png"))
    arguments = parser.parse_args()
    draw(arguments.runs, arguments.out)


if __name__ == "__main__":
    main()
