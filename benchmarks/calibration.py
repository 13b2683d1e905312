"""What calibration costs: seconds of one core and memory, by the model's side.

    python benchmarks/calibration.py [--sides 256 512] [--views 64] [--package CHECKOUT/src]

Preset small, an untrained network, random views, four a part; `learn_all` alone, as that is nearly
all of calibration. Time is the process's own CPU time, on one thread, memory the most that it held.
--package takes burnish from another checkout, to compare two states of the code: each has a row of
its own, by commit, in benchmarks/calibration.json. A process a side.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

OUT = Path(__file__).with_suffix(".json")
SOURCE = Path(__file__).resolve().parent.parent / "src"


def measure(side: int, views: int) -> dict[str, float]:
    import numpy as np
    import torch

    from burnish.configuration import make_settings
    from burnish.detection.learning import learn_all
    from burnish.detection.scorer import Scorer
    from burnish.detection.view import View
    from burnish.method.generator import Generator, InputShape

    torch.set_num_threads(1)
    settings = make_settings("small", {"image_size": side, "aspect": "square"})
    scorer = Scorer(Generator(settings, InputShape(1, side, side)), settings, torch.device("cpu"))
    images = np.random.default_rng(0).integers(0, 256, (8, 1, side, side), dtype=np.uint8)
    start = time.process_time()
    learn_all(scorer, lambda: (View(images[n % 8], part=str(n // 4)) for n in range(views)))
    return {
        "views": views,
        "cpu_s_a_view": round((time.process_time() - start) / views, 4),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sides", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--views", type=int, default=64)
    parser.add_argument("--package", type=Path, default=SOURCE)
    parser.add_argument("--here", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        print(json.dumps(measure(given.here, given.views)))
        return
    record = json.loads(OUT.read_text()) if OUT.exists() else {}
    git = ["git", "-C", str(given.package), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    row = record.setdefault(commit, {})
    for side in given.sides:
        command = [sys.executable, __file__, "--here", str(side), "--views", str(given.views)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True,
            env=os.environ | {"PYTHONPATH": str(given.package), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        row[str(side)] = json.loads(done.stdout)
        print(commit, side, row[str(side)], flush=True)
    OUT.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
