"""Verdicts on good parts when the lamp ages: false alarms under 10 and 25 % less and more light.

    python benchmarks/lamp.py --data DATA --runs RUNS [rail kolektor ...] [--seeds 0 1 2]

DATA and RUNS as for benchmarks/real.py, whose finished runs are taken. Two groups a run: the
held-out good images that the threshold comes from, where the unchanged ones give what was wanted by
construction, and the good test images. Writes benchmarks/lamp.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from burnish import Detector
from burnish.evaluation.stress import brightness
from burnish.files import atomic_write
from burnish.images.dataset import find_test_images, find_training_images
from burnish.images.reader import read_image

OUT = Path(__file__).with_suffix(".json")
SETS = ("kolektor", "magnetic_tile", "rail", "screw")
LIGHT, WANTED = (0.75, 0.9, 1.0, 1.1, 1.25), (0.01, 0.05)


def measure(folder: Path, run: Path) -> dict[str, Any]:
    detector = Detector.load(run)
    held = set(detector.card.data["held_out"])
    groups = {
        "held-out good": [path for path in find_training_images(folder) if path.name in held],
        "test good": [i.path for i in find_test_images(folder) if not i.is_defect],
    }
    thresholds = {wanted: detector.with_false_alarms(wanted).threshold for wanted in WANTED}
    found: dict[str, Any] = {"held-out parts": detector.card.data["held_out_parts"]}
    for group, paths in groups.items():
        scores: dict[float, list[float]] = {factor: [] for factor in LIGHT}
        for path in paths:
            image = read_image(path)
            for factor in LIGHT:
                scores[factor].append(detector.inspect(brightness(image, factor)).score)
        found[group] = {"images": len(paths)} | {
            f"wanted {wanted:.0%}": {
                f"light x {factor}": round(float(np.mean(np.array(those) > threshold)), 4)
                for factor, those in scores.items()
            }
            for wanted, threshold in thresholds.items()
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sets", nargs="*", default=SETS)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--preset", default="small")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    given = parser.parse_args()
    record = json.loads(OUT.read_text()) if OUT.exists() else {"false_alarms": {}}
    for name in given.sets:
        for seed in given.seeds:
            run = f"{name}-{given.preset}-{seed}"
            command = f"python benchmarks/lamp.py --data DATA --runs RUNS {name} --seeds {seed}"
            found = measure(given.data / name, given.runs / run)
            record["false_alarms"][run] = {"command": command} | found
            print(run, json.dumps(record["false_alarms"][run], indent=1), flush=True)
            atomic_write(OUT, json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
