"""Is the false-alarm promise kept? Several splits of each set, a model trained on each.

    python benchmarks/promise.py rail kolektor magnetic_tile screw --splits 0 1 2 3 \
        --archives ../shared/data --work WORK

Every split draws anew which parts are learnt from, held out and tested (`burnish data prepare
--seed`, `train --set seed`, the same number; screw too, whose own test images show another light).
A finished run in WORK is not trained again. benchmarks/promise.json keeps the scores of all good
images that no model learnt from, part by part, so that any rule can be tried on them:
`python benchmarks/promise.py` alone prints what was wanted, promised and got, by calibration that
counts parts (burnish's) and that counts images. What was got on the test images is the test: drawn
anew, a rule that counts parts keeps the promise whatever the scores are.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from burnish import Detector
from burnish.bench.machine import hardware
from burnish.detection.calibration import MARGIN, conformal_threshold, part_weights, promised_rate
from burnish.files import atomic_write
from burnish.images.dataset import find_test_images, find_training_images
from burnish.images.parts import parts_of
from burnish.images.reader import read_image
from real import commit, log_line

OUT = Path(__file__).with_suffix(".json")
WANTED = (0.01, 0.05, 0.1, 0.2)
DRAWS = 2000  # of which unseen parts set the threshold
SETS = {
    "rail": ["RailHead.zip", "--split", "part", "--part", r"\d{6,}"],
    "kolektor": ["KolektorSDD.zip", "--train", "0.5", "--part", r"(kos3)[89]|kos\d+"],
    "magnetic_tile": ["MagneticTile.zip"],
    "screw": ["screw.zip", "--split", "part"],
}
Scores = dict[str, list[float]]  # of the good images of every part


def measure(name: str, split: int, archives: Path, work: Path) -> dict[str, Any]:
    """Prepare, train and score one split."""
    data, run = work / f"{name}-{split}", work / f"{name}-{split}-run"
    if not data.exists():
        archive, *options = SETS[name]
        command = [sys.executable, "-m", "burnish.cli.main", "data", "prepare"]
        subprocess.run([*command, str(archives / archive), str(data), *options, "--seed",
                        str(split)], check=True)  # fmt: skip
    if not (run / "commit.txt").exists():
        atomic_write(run / "commit.txt", commit())
    detector = Detector.train(data, "small", run, resume=True, seed=split, on_stage=log_line([0]))
    pattern, held = detector.card.settings.part_pattern, set(detector.card.data["held_out"])

    def by_part(paths: Sequence[Path]) -> Scores:
        found = defaultdict(list)
        for path, part in zip(paths, parts_of(paths, pattern, data), strict=True):
            found[part].append(round(detector.inspect(read_image(path)).score, 4))
        return dict(sorted(found.items()))

    test = find_test_images(data)
    good, bad = (by_part([i.path for i in test if i.is_defect is kind]) for kind in (False, True))
    scores = [[score for part in group.values() for score in part] for group in (good, bad)]
    truth = [False] * len(scores[0]) + [True] * len(scores[1])
    return {
        "command": f"python benchmarks/promise.py {name} --splits {split} --archives "
        "../shared/data --work WORK",
        "machine": hardware("cpu", torch.get_num_threads()),
        "commit": (run / "commit.txt").read_text().strip(),
        "training_images": detector.card.data["training_images"],
        "train_seconds": round(detector.card.training["seconds"], 1),
        "defects": len(scores[1]),
        "image_auroc": round(float(roc_auc_score(truth, scores[0] + scores[1])), 4),
        "held_out": by_part([p for p in find_training_images(data) if p.name in held]),
        "test_good": good,
    }


def rates(run: dict[str, Any], wanted: float, by_part: bool) -> tuple[float, float]:
    """Share of good test images above the threshold that the held-out parts set; and the average
    over `DRAWS` draws of which of all unseen parts set it: of images of a part, then over parts.

    Args:
        by_part: as burnish sets it; or as if every image were a part.
    """
    parts = [*run["held_out"].values(), *run["test_good"].values()]
    scores = np.concatenate(parts)
    number = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    weights = np.array(part_weights(number.tolist()))

    def alarms(setting: NDArray[np.intp]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which images are of other parts than those that set the threshold, which are above."""
        sets = np.isin(number, setting)
        counted = weights[sets].tolist() if by_part else None
        limit = conformal_threshold(scores[sets].tolist(), wanted, counted)
        return ~sets, scores > limit + MARGIN * abs(limit)

    held, rng = len(run["held_out"]), np.random.default_rng(0)
    others, above = alarms(np.arange(held))
    got, drawn = float(above[others].mean()), []
    for _ in range(DRAWS):
        others, above = alarms(rng.permutation(len(parts))[:held])
        drawn.append((above * weights)[others].sum() / (len(parts) - held))
    return got, float(np.mean(drawn))


def table(record: dict[str, Any]) -> list[str]:
    """Rows in Markdown, a set and a wanted rate each, means over its splits."""
    head = ["set", "splits", "held-out parts", "wanted", "promised", "got", "drawn anew",
            "counting images: got", "counting images: drawn anew"]  # fmt: skip
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for name in SETS:
        runs = [run for key, run in record["runs"].items() if key.rsplit("-", 1)[0] == name]
        counts = [len(run["held_out"]) for run in runs]
        for wanted in WANTED if runs else ():
            promised = np.mean([promised_rate(count, wanted) for count in counts])
            got = [np.mean([rates(run, wanted, rule) for run in runs], axis=0)
                   for rule in (True, False)]  # fmt: skip
            shares = [wanted, promised, *got[0], *got[1]]
            held = " to ".join(map(str, sorted({min(counts), max(counts)})))
            cells = [name, str(len(runs)), held,
                     *(f"{100 * share:.1f} %" for share in shares)]  # fmt: skip
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sets", nargs="*", help=f"any of {', '.join(SETS)}")
    parser.add_argument("--splits", type=int, nargs="+", default=[0])
    parser.add_argument("--archives", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, help="data and runs go here; needed with sets")
    given = parser.parse_args()
    if given.sets and (not set(given.sets) <= set(SETS) or given.work is None):
        parser.error(f"sets are any of {', '.join(SETS)}, and go with --work")
    record = json.loads(OUT.read_text()) if OUT.exists() else {"runs": {}}
    for name in given.sets:
        for split in given.splits:
            record["runs"][f"{name}-{split}"] = measure(name, split, given.archives, given.work)
            atomic_write(OUT, json.dumps(record) + "\n")
    print("\n".join(table(record)))


if __name__ == "__main__":
    main()
