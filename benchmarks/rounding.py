"""How far a network's paintings in float32 lie from those in float64: what its exports can repeat.

    python benchmarks/rounding.py RUN=FOLDER [RUN=FOLDER ...] [--images 40]

RUN is a trained model, FOLDER a prepared set, of which test images are painted, spread evenly over
their list. Differences are of pixels in [-1, 1]. A network whose own float32 is far from float64
paints otherwise in every other runtime too. Writes benchmarks/rounding.json; runs not named stay.
"""

from __future__ import annotations

import argparse
import copy
import json
from pathlib import Path

import numpy as np
import torch

from burnish import Detector
from burnish.detection.view import to_tensor
from burnish.files import atomic_write
from burnish.images.dataset import find_test_images
from burnish.images.reader import read_image
from burnish.method.reconstruction import reconstruct, reconstruct_levelled

OUT = Path(__file__).with_suffix(".json")


@torch.inference_mode()
def measure(run: Path, folder: Path, images: int) -> dict[str, float]:
    detector = Detector.load(run, device="cpu")
    scorer = detector.scorer.scorer
    paint = reconstruct_levelled if detector.card.settings.level_light else reconstruct
    double = copy.deepcopy(scorer.generator).double()
    paths = [image.path for image in find_test_images(folder)]
    every = np.unique(np.linspace(0, len(paths) - 1, min(images, len(paths))).round().astype(int))
    largest, means = [], []
    for index in every:
        view = to_tensor(detector.prepare(read_image(paths[index]))[0][None], scorer.device)
        apart = paint(scorer.generator, view, scorer.masks).double()
        apart = (apart - paint(double, view.double(), scorer.masks)).abs()
        largest.append(apart.max().item())
        means.append(apart.mean().item())
    return {
        "images": len(every),
        "largest": max(largest),
        "median of largest": float(np.median(largest)),
        "mean": float(np.mean(means)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pairs", nargs="+", metavar="RUN=FOLDER")
    parser.add_argument("--images", type=int, default=40)
    given = parser.parse_args()
    record = json.loads(OUT.read_text()) if OUT.exists() else {"apart": {}}
    for pair in given.pairs:
        run, folder = (Path(side) for side in pair.split("=", 1))
        record["apart"][run.name] = measure(run, folder, given.images)
        print(run.name, json.dumps(record["apart"][run.name]), flush=True)
        atomic_write(OUT, json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
