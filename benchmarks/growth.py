"""How time grows: with the number of images, with the side of the model's input, and with depth.

    python benchmarks/growth.py [--threads 1] [--seconds 6]

Preset small on square images of 256 px in float32, one thing changed at a time: ms per training
step and image, ms of inference for one image (networks, textures, lines and all, learnt from 8
views of noise, which gives one factor of texture, not 16) and FLOPs. A side twice as long has four
times the tokens and sixteen times the pairs that attention looks at. The rows by number of images,
which ought to be equal, are measured in turns.
Writes benchmarks/growth.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from burnish.bench.flops import count_step
from burnish.bench.inspection import count_inspection
from burnish.configuration import make_settings
from burnish.detection.learning import learn_all
from burnish.detection.scorer import Scorer
from burnish.detection.view import View, to_tensor
from burnish.method.generator import Generator, InputShape
from burnish.settings import Settings
from burnish.training.allocator import freed_memory_kept
from burnish.training.loop import Trainer
from burnish.training.samples import Samples

OUT = Path(__file__).with_suffix(".json")
CPU = torch.device("cpu")
COUNTS = (100, 1000, 10_000)
SIDES = (128, 256, 512, 1024)
DEPTHS = (1, 2, 3, 6, 12)
BATCH = 1  # for the sides and depths: more turns in the same time
LONG = 12.0  # s
LEARNT = 8  # views


class Noise:
    """`count` images out of one block of memory."""

    def __init__(self, count: int, side: int) -> None:
        rng = np.random.default_rng(0)
        self.count, self.side = count, side
        self.pool = rng.integers(90, 160, side * side + count, dtype=np.uint8)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> np.ndarray:
        part = self.pool[index : index + self.side**2]
        return part.reshape(1, self.side, self.side)


class Row:
    """One setting: its trainer and scorer, and the times seen so far."""

    def __init__(self, settings: Settings, count: int, folder: Path) -> None:
        self.settings, side = settings, settings.sides[0]
        self.shape = InputShape(1, side, side)
        self.images = Noise(count, side)
        self.trainer = Trainer(settings, Samples(self.images, list(range(count))), folder, {})
        self.scorer = Scorer(Generator(settings, self.shape), settings, CPU)
        learn_all(self.scorer, lambda: (View(self.images[number]) for number in range(LEARNT)))
        self.step_s: list[float] = []
        self.inspect_s: list[float] = []

    def turn(self) -> None:
        start = time.perf_counter()
        self.trainer.train_step()
        self.step_s.append(time.perf_counter() - start)
        known = self.scorer.references(*self.scorer.units)
        start = time.perf_counter()
        self.scorer.score(View(self.images[0]), *known)
        self.inspect_s.append(time.perf_counter() - start)

    def inspection_flops(self) -> int:
        view = to_tensor(self.images[0][None], CPU)
        return count_inspection(self.scorer, view, *self.scorer.references(*self.scorer.units))

    def figures(self) -> dict[str, Any]:
        batch = self.trainer.batch
        step = 1000 * statistics.median(self.step_s[1:] or self.step_s)
        return {
            "step_ms": round(step, 1),
            "train_ms_an_image": round(step / batch, 1),
            "inference_ms": round(
                1000 * statistics.median(self.inspect_s[1:] or self.inspect_s), 1
            ),
            "tokens": (self.shape.height // self.settings.patch) ** 2,
            "train_gflop_an_image": round(
                count_step(self.settings, self.shape, batch).flops / batch / 1e9, 2
            ),
            "inference_gflop": round(self.inspection_flops() / 1e9, 2),
            "turns": max(1, len(self.step_s) - 1),
        }


def measure(make: dict[str, Callable[[], Row]], seconds: float, in_turns: bool) -> dict[str, Any]:
    """Each row for about `seconds`, one turn more unseen; one that takes a fifth of a minute or
    more counts as it is."""
    found: dict[str, Any] = {}
    groups = [list(make)] if in_turns else [[name] for name in make]
    with freed_memory_kept():  # as in training
        for names in groups:
            rows = {name: make[name]() for name in names}
            start = time.perf_counter()
            for row in rows.values():
                row.turn()
            least = 1 if time.perf_counter() - start > LONG else 4
            while min(
                len(row.step_s) for row in rows.values()
            ) < least or time.perf_counter() - start < seconds * len(rows):
                for row in rows.values():
                    row.turn()
            found |= {name: row.figures() for name, row in rows.items()}
            for name in names:
                print(name, found[name], flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--only", choices=["images", "side", "depth"])
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    found = json.loads(OUT.read_text())["tables"] if OUT.exists() else {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def row(count: int = 16, batch: int = BATCH, **changes: Any) -> Row:
            settings = make_settings(
                "small",
                {"image_size": 256, "align": "none", "precision": "float32", "batch": batch}
                | changes,
            )
            return Row(settings, count, folder)

        tables = {
            "images": {str(n): lambda n=n: row(n, 8) for n in COUNTS},
            "side": {str(n): lambda n=n: row(image_size=n) for n in SIDES},
            "depth": {str(n): lambda n=n: row(depth_encoder=n, depth_decoder=n) for n in DEPTHS},
        }
        for title, make in tables.items():
            if given.only in (None, title):
                print(title)
                found[title] = measure(make, given.seconds, title == "images")
    record = {
        "command": f"python benchmarks/growth.py --threads {given.threads}",
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, {platform.platform()}",
        "tables": found,
    }
    OUT.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
