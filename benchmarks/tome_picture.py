"""The curves of Token Merging in docs/speed.md, from what tome_curve.py measured.

python benchmarks/tome_picture.py
"""

from __future__ import annotations

import json
from pathlib import Path

from burnish.evaluation.drawing import DEFECT, FAINT, GOOD, drawn, figure_of, styled
from burnish.files import atomic_write

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs" / "images" / "token_merging.png"
PLACES = {"small": "D of small, 65 tokens", "paper": "D at the paper's size, 257 tokens"}


def main() -> None:
    record = json.loads((ROOT / "benchmarks" / "tome_curve.json").read_text("utf-8"))
    with styled():
        figure = figure_of(3.0, 11.0)
        panels = figure.subplots(1, 3)
        for axes, (name, title) in zip(panels, PLACES.items(), strict=False):
            rows = record["discriminator"][name]
            rates = [row["r"] for row in rows]
            axes.plot(rates, [row["time_against_r0"] for row in rows], "o-", color=DEFECT)
            axes.plot(rates, [row["flops_against_r0"] for row in rows], "s--", color=GOOD)
            axes.axhline(1, color=FAINT, linewidth=1)
            axes.legend(["time", "FLOPs"], frameon=False)
            axes.set(title=title, xlabel="r", ylim=(0.5, 1.1))
            axes.set_xticks(rates[2:], [str(rate) for rate in rates[2:]])
        panels[0].set_ylabel("share of r = 0")
        rows = record["generator"]["rows"][:-1]  # the last is the one before it: no more to merge
        left = [row["tokens"][1] for row in rows]
        panels[2].plot(left, [row["time_against_r0"] for row in rows], "o-", color=DEFECT)
        panels[2].plot(left, [row["image_auroc"] for row in rows], "^:", color=GOOD)
        panels[2].axhline(1, color=FAINT, linewidth=1)
        panels[2].legend(["time of an inspection", "image AUROC, rail"], frameon=False)
        panels[2].set(title="generator of small, 32 tokens", xlabel="tokens left", ylim=(0.7, 1.1))
        panels[2].invert_xaxis()
        for axes in panels:
            axes.title.set_fontsize(10)
            axes.spines[["top", "right"]].set_visible(False)
        atomic_write(OUT, drawn(figure).png)


if __name__ == "__main__":
    main()
