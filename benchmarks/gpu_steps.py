"""A training step of preset paper on a GPU, replayed, by batch, with and without torch.compile.

    python benchmarks/gpu_steps.py [BATCH[:compiled] ...]      # 8 256 8:compiled 256:compiled

Images of noise, 256 x 256 px grey. Times are medians, each step waited for; `warm_seconds` is what
the first six steps take (setting up, compiling, capturing). Shares are of the bfloat16 peak, taken
before. Writes benchmarks/gpu_steps.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from burnish.bench.clock import now
from burnish.bench.flops import count_step
from burnish.bench.machine import hardware
from burnish.bench.memory import peak_mib, reset_peak
from burnish.bench.peak import square_peak
from burnish.configuration import make_settings
from burnish.method.generator import InputShape
from burnish.training.loop import Trainer
from burnish.training.process import deterministic
from burnish.training.samples import Samples

OUT = Path(__file__).with_suffix(".json")
SIDE, WARM_UP, STEPS = 256, 6, 20
CUDA = torch.device("cuda")


def measure(batch: int, compiled: bool, peak: float) -> dict[str, object]:
    settings = make_settings("paper", {"batch": batch, "compiled": compiled, "accelerator": "cuda"})
    size = (max(batch, 64), 1, SIDE, SIDE)
    images = np.random.default_rng(0).integers(0, 255, size, dtype=np.uint8)
    folder = Path(tempfile.mkdtemp())
    trainer = Trainer(settings, Samples(images, range(len(images))), folder, {})
    reset_peak(CUDA)
    with deterministic(CUDA):
        start = now(CUDA)
        for _ in range(WARM_UP):
            trainer.train_step()
        warm = now(CUDA) - start
        times = []
        for _ in range(STEPS):
            start = time.perf_counter()
            trainer.train_step()
            times.append(now(CUDA) - start)
    step = float(np.median(times))
    flops = count_step(settings, InputShape(1, SIDE, SIDE), batch).flops
    return {
        "step_ms": round(1000 * step, 2),
        "warm_seconds": round(warm, 1),
        "share_of_peak": round(flops / step / peak, 3),
        "memory_gib": round(peak_mib(CUDA) / 2**10, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    known = ["8", "256", "8:compiled", "256:compiled"]
    parser.add_argument("steps", nargs="*", metavar="BATCH[:compiled]", default=known)
    given = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("there is no CUDA device here")
    peak = square_peak(CUDA, torch.bfloat16, 0.5)
    record: dict[str, object] = {"command": "python benchmarks/gpu_steps.py"}
    record |= {"machine": hardware("cuda", 1), "torch": torch.__version__}
    record |= {"peak_tflops": round(peak / 1e12, 1), "steps": {}}
    steps: dict[str, object] = {}
    for name in given.steps:
        batch, _, how = name.partition(":")
        steps[name] = measure(int(batch), how == "compiled", peak)
        print(name, steps[name], flush=True)
        OUT.write_text(json.dumps(record | {"steps": steps}, indent=1) + "\n")


if __name__ == "__main__":
    main()
