"""How often good images are flagged as unlike the training images, and changed ones too.

    python benchmarks/out_of_range.py --data DATA [kolektor magnetic_tile rail screw]

DATA holds prepared sets (see benchmarks/real.py). Twenty splits by part of each training set: the
ranges come from four fifths; flagged are the rest, the test images, and good ones under changes.
No model takes part; images are prepared at 128 px as preset `small` does. Writes
benchmarks/out_of_range.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from burnish.detection.ranges import find_unlike, learn_ranges, prepared_statistics
from burnish.evaluation.stress import CHANGES, Change
from burnish.images.dataset import find_test_images, find_training_images
from burnish.images.parts import parts_of, split_by_part
from burnish.images.reader import prepare, read_image

OUT = Path(__file__).with_suffix(".json")
SETS = ("kolektor", "magnetic_tile", "rail", "screw")
SPLITS, SIDE = 20, 128
NAMES = ("brightness", "contrast", "blur", "noise")


def statistics(path: Path, change: Change | None = None) -> dict[str, float]:
    image = read_image(path)
    if change is not None:
        image = change.apply(image, 0)
    return prepared_statistics(prepare(image, 1, SIDE, SIDE))


def measure(folder: Path) -> dict[str, float]:
    paths = find_training_images(folder)
    parts = parts_of(paths, "", folder)
    train = [statistics(path) for path in paths]
    test = find_test_images(folder)
    good = [image.path for image in test if not image.is_defect]
    groups = {
        "test good": [statistics(path) for path in good],
        "test defective": [statistics(image.path) for image in test if image.is_defect],
    }
    for change in (c for c in CHANGES if c.name in NAMES):
        name = f"good, {change.name} {change.strength}"
        groups[name] = [statistics(path, change) for path in good]
    rates: dict[str, list[float]] = {"held-out good": []} | {name: [] for name in groups}
    for seed in range(SPLITS):
        learnt, held = split_by_part(parts, 0.2, seed)
        ranges = learn_ranges(train[i] for i in learnt)
        for name, images in ({"held-out good": [train[i] for i in held]} | groups).items():
            rates[name].append(float(np.mean([bool(find_unlike(i, ranges)) for i in images])))
    return {name: round(float(np.mean(found)), 4) for name, found in rates.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sets", nargs="*", default=SETS)
    parser.add_argument("--data", type=Path, required=True)
    given = parser.parse_args()
    found = {}
    for name in given.sets:
        found[name] = measure(given.data / name)
        print(name, json.dumps(found[name], indent=1), flush=True)
    record = {"command": "python benchmarks/out_of_range.py --data DATA", "share_flagged": found}
    OUT.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
