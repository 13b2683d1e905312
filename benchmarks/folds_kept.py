"""Is the wanted rate of false alarms kept by `folds`, and by a hold-out? Many draws, quick models.

    python benchmarks/folds_kept.py rail screw --draws 12 --data DATA

Of the good images that DATA/SET trains on, each draw learns from the parts it draws at random
(PARTS), with a hold-out and in folds, and judges images of the other parts: a share of them is
called defective. `small` at 64 px and for 100 steps, so that many draws can be paid for; the rate
is what counts here, not what is found. benchmarks/folds_kept.json keeps every draw, and called
again it goes on from there.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from burnish import Detector
from burnish.bench.machine import hardware
from burnish.detection.calibration import promised_rate
from burnish.files import atomic_write
from burnish.images.dataset import find_training_images
from burnish.images.parts import parts_of
from burnish.sampling import some_of
from few_parts import keep
from real import commit

OUT = Path(__file__).with_suffix(".json")
PARTS = 30
JUDGED = 120  # images
FOLDS = 5
RATES = (0.05, 0.1, 0.2)
QUICK = {"steps": 100, "warmup": 10, "image_size": 64, "patch": 16, "mask_blocks": (16, 32)}


def draw(data: Path, seed: int, folder: Path) -> dict[str, Any]:
    """The rates of one draw, by hold-out and by folds; every part that is judged counts once."""
    keep(data, PARTS, seed, folder / "set")
    images = find_training_images(data)
    of = dict(zip(images, parts_of(images, "", data), strict=True))
    learnt = {path.resolve() for path in find_training_images(folder / "set")}
    judged = some_of([path for path in images if path.resolve() not in learnt], JUDGED, seed)
    found: dict[str, Any] = {"judged_images": len(judged)}
    for name, folds in (("holdout", 0), ("folds", FOLDS)):
        detector = Detector.train(
            folder / "set", "small", folder / name, seed=seed, folds=folds,
            on_stage=lambda stage: None, **QUICK,
        )  # fmt: skip
        scores: dict[str, list[float]] = {}
        for path in judged:
            scores.setdefault(of[path], []).append(detector.inspect(path).score)
        calibration = detector.card.calibration
        counted = calibration.parts or len(calibration.scores)
        found[name] = {
            "calibration_parts": counted,
            "promised": [promised_rate(counted, rate) for rate in RATES],
            "got": [rate_of(scores, calibration.with_false_alarms(rate).threshold)
                    for rate in RATES],
        }  # fmt: skip
    return found


def rate_of(scores: dict[str, list[float]], threshold: float) -> float:
    """The mean over parts of the share of a part's images above the threshold."""
    return float(np.mean([np.mean(np.array(each) > threshold) for each in scores.values()]))


def table(record: dict[str, Any]) -> list[str]:
    """Rows in Markdown: means over draws, and the standard error of the mean of what was got."""
    head = ["set", "draws", "threshold from", *(f"{100 * rate:.0f} % wanted" for rate in RATES)]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for name, draws in record["sets"].items():
        for way in ("holdout", "folds"):
            promised, got = (np.array([d[way][key] for d in draws]) for key in ("promised", "got"))
            error = got.std(axis=0, ddof=1) / len(draws) ** 0.5
            parts = sorted({d[way]["calibration_parts"] for d in draws})
            source = f"{FOLDS} folds" if way == "folds" else "hold-out"
            spread = f"{parts[0]} to {parts[-1]}" if len(parts) > 1 else str(parts[0])
            cells = [name, str(len(draws)), f"{source}, {spread} parts"]
            cells += [
                f"{100 * p:.1f} %: {100 * g:.1f} ± {100 * e:.1f} %"
                for p, g, e in zip(promised.mean(axis=0), got.mean(axis=0), error, strict=True)
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sets", nargs="*", help="folders of --data")
    parser.add_argument("--draws", type=int, default=12)
    parser.add_argument("--data", type=Path, default=Path("/tmp/real"))
    given = parser.parse_args()
    record = json.loads(OUT.read_text()) if OUT.exists() else {"sets": {}}
    for name in given.sets:
        draws: list[dict[str, Any]] = record["sets"].get(name, [])
        for seed in range(len(draws), given.draws):
            with tempfile.TemporaryDirectory() as scratch:
                draws.append({"seed": seed, **draw(given.data / name, seed, Path(scratch))})
            print(name, draws[-1], flush=True)
            record["sets"][name] = draws
            record |= {
                "command": "python benchmarks/folds_kept.py rail screw --data DATA",
                "parts": PARTS, "rates": RATES, "settings": QUICK, "commit": commit(),
                "machine": hardware("cpu", torch.get_num_threads()),
            }  # fmt: skip
            atomic_write(OUT, json.dumps(record, indent=1) + "\n")
    print("\n".join(table(record)))


if __name__ == "__main__":
    main()
