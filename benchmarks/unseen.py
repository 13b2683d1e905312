"""Surfaces that no setting was chosen on: `small` beside PatchCore on parts drawn by rules.

    python benchmarks/unseen.py [perforated gear ...] --work WORK [--strength 0.6]

Writes WORK/SURFACE in MVTec AD layout (150 good images to train on, 40 good ones and 64 with a
drawn defect to test on, each of a part of its own), trains in WORK/SURFACE-run, and keeps the
figures in benchmarks/unseen.json. A finished run is not trained again.
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
from burnish.evaluation.evaluate import evaluate
from burnish.files import atomic_write
from burnish.images.png import save_png
from burnish.images.synthetic.defects import STAINS, draw_defect
from patchcore import measure as patchcore
from real import commit, log_line
from unseen_surfaces import SURFACES

OUT = Path(__file__).with_suffix(".json")
TRAIN, GOOD, EACH = 150, 40, 8  # images; of each kind of defect
FIGURES = ("image_auroc", "false_alarm_rate_got", "escape_rate")


def draw(surface: str, strength: float, out: Path) -> None:
    """Write the set: every image is of a part of its own, made from its place in the set."""
    places = [("train", "good", n) for n in range(TRAIN)] + [
        ("test", "good", n) for n in range(GOOD)
    ]
    places += [("test", kind, n) for kind in STAINS for n in range(EACH)]
    for place, (split, kind, n) in enumerate(places):
        rng = np.random.default_rng([place, *surface.encode()])
        pixels, part = SURFACES[surface](rng)
        image = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
        if kind != "good":
            image, mask = draw_defect(image, kind, rng, strength, allowed=part)
            save_png(out / "ground_truth" / kind / f"{n:03d}_mask.png", mask.astype(np.uint8) * 255)
        save_png(out / split / kind / f"{n:03d}.png", image)


def measure(surface: str, strength: float, work: Path) -> dict[str, Any]:
    """Train on the good images, and test beside PatchCore."""
    data = work / surface
    run = work / f"{surface}-run"
    if not (data / "test").exists():
        draw(surface, strength, data)
    if not (run / "commit.txt").exists():
        atomic_write(run / "commit.txt", commit())
    detector = Detector.train(data, "small", run, resume=True, seed=0, on_stage=log_line([0]))
    found = evaluate(detector, data)
    pixels, calibration = found.pixels, detector.card.calibration
    return {
        "command": f"python benchmarks/unseen.py {surface} --work WORK --strength {strength:g}",
        "machine": hardware("cpu", torch.get_num_threads()),
        "commit": (run / "commit.txt").read_text().strip(),
        "held_out_images": len(calibration.scores),
        "aupro": pixels and pixels.overall.aupro,
        "kinds": {one.kind: one.image_auroc for one in found.kinds},
        "patchcore": {
            name: one["image_auroc"]
            for name, one in patchcore(data, 0).items()
            if name.startswith("blocks")
        },
        **{figure: getattr(found, figure) for figure in FIGURES},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("surfaces", nargs="*", default=list(SURFACES))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--strength", type=float, default=0.6)
    given = parser.parse_args()
    record = json.loads(OUT.read_text()) if OUT.exists() else {}
    for surface in given.surfaces:
        record[surface] = measure(surface, given.strength, given.work)
        print(surface, json.dumps(record[surface], indent=1), flush=True)
        atomic_write(OUT, json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
