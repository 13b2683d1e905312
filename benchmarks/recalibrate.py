"""A model calibrated anew where light, focus, noise or compression changed: what it gets back.

    python benchmarks/recalibrate.py --data DATA --runs RUNS [rail kolektor ...] [--seed 0]

DATA and RUNS as for benchmarks/real.py, whose finished runs are taken. The held-out good images,
changed, set the new threshold (`Detector.calibrate`); the test images, changed alike, are judged by
the old one and the new one, 5 % false alarms wanted. AUROC does not depend on a threshold: what is
lost there no calibration brings back. Writes benchmarks/recalibrate.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.metrics import roc_auc_score

from burnish import Detector
from burnish.detection.stages import Stage
from burnish.evaluation.stress import CHANGES, Change
from burnish.files import atomic_write
from burnish.images.dataset import find_test_images, find_training_images
from burnish.images.parts import parts_of
from burnish.images.reader import read_image

OUT = Path(__file__).with_suffix(".json")
SETS = ("kolektor", "magnetic_tile", "rail", "screw")
WANTED = 0.05
STRONGEST = [
    change for change in CHANGES
    if (change.name, change.amount)
    in {("brightness", 0.75), ("blur", 0.01), ("noise", 10), ("jpeg", 30)}
]  # fmt: skip


def calibrated(detector: Detector, folder: Path, change: Change) -> Detector:
    """Calibrated on the model's own held-out images, changed."""
    held = set(detector.card.data["held_out"])
    paths = [path for path in find_training_images(folder) if path.name in held]
    parts = parts_of(paths, detector.card.settings.part_pattern, folder)
    names = {part: f"part{number}" for number, part in enumerate(dict.fromkeys(parts))}
    with tempfile.TemporaryDirectory() as place:
        for number, (path, part) in enumerate(zip(paths, parts, strict=True)):
            picture = Image.fromarray(change.apply(read_image(path), number))
            picture.save(Path(place, f"{names[part]}_{number}.png"))
        return detector.calibrate(place, part_pattern=r"part\d+", on_stage=quiet)


def quiet(stage: Stage) -> None:
    """Progress is of no interest here."""


def measure(folder: Path, run: Path) -> list[dict[str, Any]]:
    detector = Detector.load(run).with_false_alarms(WANTED)
    images = find_test_images(folder)
    defect = np.array([image.is_defect for image in images])
    rows = []
    for change in STRONGEST:
        new = calibrated(detector, folder, change)
        scores = np.array(
            [
                detector.inspect(change.apply(read_image(image.path), number)).score
                for number, image in enumerate(images)
            ]
        )
        rows.append(
            {"change": f"{change.name} {change.strength}"}
            | {
                f"{name}_{group}": round(float((scores[chosen] > threshold).mean()), 4)
                for name, threshold in (("old", detector.threshold), ("new", new.threshold))
                for group, chosen in (("false_alarms", ~defect), ("caught", defect))
            }
            | {"image_auroc": round(float(roc_auc_score(defect, scores)), 4)}
        )
        print(run.name, rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sets", nargs="*", default=SETS)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    record = json.loads(OUT.read_text()) if OUT.exists() else {"wanted": WANTED, "runs": {}}
    for name in given.sets:
        run = f"{name}-small-{given.seed}"
        command = (
            f"python benchmarks/recalibrate.py --data DATA --runs RUNS {name} --seed {given.seed}"
        )
        rows = measure(given.data / name, given.runs / run)
        record["runs"][run] = {"command": command, "rows": rows}
        atomic_write(OUT, json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
