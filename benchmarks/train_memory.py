"""Memory of training against the number of images, and over a long run.

    python benchmarks/train_memory.py [--counts 500 10000] [--steps 1000]

Images of 128 x 128 px are made here (noise: what is on them does not matter) and trained on with
preset tiny, each count in a process of its own, for the same number of steps that draw from all of
them. Counted is anonymous memory, the highest of RssAnon in /proc/self/status sampled after every
step: the pixels of the cache are a memory-mapped file, whose pages the kernel drops whenever anyone
needs room, so they are left out (`file_mib` tells them). Writes benchmarks/train_memory.json.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

OUT = Path(__file__).with_suffix(".json")
SIDE = 128


def resident(kind: str) -> float:
    """MiB of this process: RssAnon (its own) or RssFile (pages of mapped files)."""
    return int(Path("/proc/self/status").read_text().split(f"{kind}:")[1].split()[0]) / 1024


def make_images(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index in range(count):
        pixels = rng.integers(90, 160, (SIDE, SIDE), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:05}.bmp")


def measure(folder: str, steps: int) -> dict[str, Any]:
    """Train in this fresh process."""
    from burnish import Detector
    from burnish.detection.stages import Stage

    os.environ["BURNISH_CACHE"] = str(Path(folder) / "cache")
    seen: dict[str, list[float]] = {"read": [], "train": [], "calibrate": []}
    files: list[float] = []

    def on_stage(stage: Stage) -> None:
        name = {"data": "read"}.get(stage.name, stage.name)
        if name in seen and not stage.message:
            seen[name].append(resident("RssAnon"))
            files.append(resident("RssFile"))

    # Held out: few, so that most of the images are drawn from; all statistics are still taken.
    Detector.train(
        Path(folder) / "good", "tiny", Path(folder) / "run", on_stage=on_stage, steps=steps,
        holdout=0.02, epochs=None,
    )  # fmt: skip
    train = seen["train"]
    tenth = max(1, steps // 10)
    return {
        "peak_mib_by_stage": {name: round(max(v)) for name, v in seen.items() if v},
        "file_mib": round(max(files)),
        "train_mib_in_tenths_of_the_run": [
            round(max(train[i : i + tenth])) for i in range(0, len(train), tenth)
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--counts", type=int, nargs="+", default=[500, 10_000])
    parser.add_argument("--steps", type=int, default=1000)
    given = parser.parse_args()
    rows = {}
    for count in given.counts:
        with tempfile.TemporaryDirectory() as folder:
            make_images(Path(folder) / "good", count)
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                rows[str(count)] = pool.apply(measure, (folder, given.steps))
        print(count, rows[str(count)], flush=True)
    counts = " ".join(map(str, given.counts))
    record = {
        "command": f"python benchmarks/train_memory.py --counts {counts} --steps {given.steps}",
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, {platform.platform()}",
        "images": rows,
    }
    OUT.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
