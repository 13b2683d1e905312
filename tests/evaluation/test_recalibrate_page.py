"""docs/calibration.md says what benchmarks/recalibrate.json holds."""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_table_is_of_the_committed_figures() -> None:
    record = json.loads((ROOT / "benchmarks/recalibrate.json").read_text("utf-8"))
    page = (ROOT / "docs/calibration.md").read_text("utf-8")
    for run, found in record["runs"].items():
        for row in found["rows"]:
            shares = [row[f"{name}_{group}"] for group in ("false_alarms", "caught")
                      for name in ("old", "new")]  # fmt: skip
            cells = [
                run.split("-")[0],
                row["change"],
                *(f"{100 * share:.1f} %" for share in shares),
            ]
            assert f"| {' | '.join(cells)} | {row['image_auroc']:.3f} |" in page
    assert len(record["runs"]) == page.count("| blur sigma 1 % of the side |") == 2
