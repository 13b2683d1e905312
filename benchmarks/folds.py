"""What cross-validation (`folds`) gives few good parts, beside a hold-out: `small` with both.

    python benchmarks/folds.py rail screw --parts 20 0 --data DATA --work WORK

Trains on that many parts of DATA/SET, drawn at random (few_parts.py; 0: all), with a hold-out and
in FOLDS folds, and judges the set's test images. Thresholds for every wanted rate are of one model.
A finished run in WORK is not trained again; benchmarks/folds.json keeps all. `python
benchmarks/folds.py` alone prints the table of docs/calibration.md.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from burnish import Detector
from burnish.bench.machine import hardware
from burnish.detection.calibration import promised_rate
from burnish.detection.run_folder import fold_folder
from burnish.evaluation.evaluate import evaluate
from burnish.files import atomic_write
from burnish.images.dataset import GOOD, find_test_images
from few_parts import keep
from real import commit, log_line

OUT = Path(__file__).with_suffix(".json")
FOLDS = 5
RATES = (0.01, 0.05, 0.1)
KEY = ("dataset", "parts", "seed", "folds")


def measure(name: str, parts: int, seed: int, folds: int, data: Path, work: Path) -> dict[str, Any]:
    """Train on some of the parts, or all, and test on the set's own test images."""
    subset = data / name
    if parts:
        subset = work / f"{name}-{parts}-{seed}"
        if not subset.exists():
            keep(data / name, parts, seed, subset)
    run = work / f"{name}-{parts}-{seed}-folds-{folds}"
    if not (run / "commit.txt").exists():
        atomic_write(run / "commit.txt", commit())
    detector = Detector.train(
        subset, "small", run, resume=True, seed=seed, folds=folds, on_stage=log_line([0])
    )
    found = evaluate(detector, subset)
    bad = np.array([row.is_defect for row in found.images])
    scores = np.array([row.score for row in found.images])
    calibration = detector.card.calibration
    counted = calibration.parts or len(calibration.scores)
    rates = []
    for rate in RATES:
        threshold = calibration.with_false_alarms(rate).threshold
        called = scores > threshold
        rates.append(
            {
                "wanted": rate,
                "promised": promised_rate(counted, rate),
                "false_alarms": float(called[~bad].mean()),
                "escapes": float((~called)[bad].mean()),
            }
        )
    return {
        "command": f"python benchmarks/folds.py {name} --parts {parts} --seeds {seed} "
        "--data DATA --work WORK",
        "machine": hardware("cpu", torch.get_num_threads()),
        "commit": (run / "commit.txt").read_text().strip(),
        "dataset": name, "parts": parts, "seed": seed, "folds": folds,
        "training_images": detector.card.data["training_images"],
        "calibration_images": len(calibration.scores),
        "calibration_parts": counted,
        "image_auroc": found.image_auroc,
        "equalised_image_auroc": found.equalised and found.equalised.image_auroc,
        "rates": rates,
        **medians(run, folds, subset),
    }  # fmt: skip


def medians(run: Path, folds: int, subset: Path) -> dict[str, Any]:
    """Median score of the good test images, by the model and by the network of each fold: whether
    a threshold of the ones fits the other."""
    paths = [image.path for image in find_test_images(subset) if image.kind == GOOD]
    folders = [run, *(fold_folder(run, fold) for fold in range(folds))]
    found = [
        float(np.median([detector.inspect(path).score for path in paths]))
        for detector in map(Detector.load, folders)
    ]
    return {"median_good_score": found[0], "median_good_score_of_folds": found[1:]}


def table(runs: list[dict[str, Any]]) -> list[str]:
    """Rows in Markdown; the promise, false alarms and escapes for each wanted rate."""
    head = ["set", "good parts", "draw", "threshold from", "images learnt from", "image AUROC"]
    head += [f"{100 * rate:.0f} % wanted: best, got, escapes" for rate in RATES]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for run in runs:
        source = f"{run['calibration_parts']} parts in {run['folds']} folds"
        if not run["folds"]:
            source = f"{run['calibration_parts']} held-out parts"
        cells = [run["dataset"], str(run["parts"] or "all"), str(run["seed"]), source]
        cells += [str(run["training_images"]), f"{run['image_auroc']:.3f}".lstrip("0")]
        cells += [
            ", ".join(f"{100 * r[key]:.0f}" for key in ("promised", "false_alarms", "escapes"))
            for r in run["rates"]
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sets", nargs="*", help="folders of --data")
    parser.add_argument("--parts", type=int, nargs="+", default=[20])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--data", type=Path, default=Path("/tmp/real"))
    parser.add_argument("--work", type=Path, help="subsets and runs go here; needed with sets")
    given = parser.parse_args()
    if given.sets and given.work is None:
        parser.error("sets go with --work")
    runs = json.loads(OUT.read_text()) if OUT.exists() else []
    for name, parts, seed, folds in (
        (name, parts, seed, folds)
        for name in given.sets
        for parts in given.parts
        for seed in given.seeds
        for folds in (0, FOLDS)
    ):
        run = measure(name, parts, seed, folds, given.data, given.work)
        runs = [r for r in runs if [r[f] for f in KEY] != [run[f] for f in KEY]]
        runs = sorted([*runs, run], key=lambda r: [r[f] for f in KEY])
        atomic_write(OUT, json.dumps(runs, indent=1) + "\n")
        print(f"{[run[f] for f in KEY]}: image AUROC {run['image_auroc']:.3f}", flush=True)
    print("\n".join(table(runs)))


if __name__ == "__main__":
    main()
