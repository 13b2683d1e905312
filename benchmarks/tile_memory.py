"""Peak memory and time of inspecting 1, 12 and 48 megapixels by tiles.

    python benchmarks/tile_memory.py [--preset small] [--tile 128]

Each size runs in a process of its own; the model is trained for one step (its speed and memory do
not depend on what it learnt). Writes benchmarks/tile_memory.json.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

SIZES = {"1 MP": (1024, 1024), "12 MP": (3072, 4096), "48 MP": (6144, 8192)}
OUT = Path(__file__).with_suffix(".json")


def peak_mib() -> float:
    """Highest resident memory of this process, MiB (ru_maxrss would count the parent's too)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure(model: str, picture: str) -> dict[str, float]:
    """Inspect one picture in this fresh process."""
    from burnish import Detector

    detector = Detector.load(model)
    warm = np.random.default_rng(0).integers(90, 160, (300, 300), dtype=np.uint8)
    detector.inspect(warm)
    before = peak_mib()
    start = time.perf_counter()
    result = detector.inspect(picture)
    seconds = time.perf_counter() - start
    held = result.image.nbytes + result.anomaly_map.nbytes + result.reconstruction.nbytes
    return {
        "peak_mib": round(peak_mib()),
        "before_mib": round(before),
        "result_mib": round(held / 2**20),
        "seconds": round(seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--preset", default="small")
    parser.add_argument("--tile", type=int, default=128)
    given = parser.parse_args()
    rows = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        from burnish import Detector
        from burnish.images.synthetic.surfaces import make_surface

        rng = np.random.default_rng(0)
        (folder / "good").mkdir()
        for index in range(12):
            part = make_surface("rolled", (given.tile, given.tile), rng)
            Image.fromarray(part).save(folder / "good" / f"{index}.png")
        detector = Detector.train(
            folder / "good", given.preset, folder / "run", steps=1, tile=given.tile
        )
        model = str(detector.path)
        for label, size in SIZES.items():
            Image.fromarray(rng.integers(90, 160, size, dtype=np.uint8)).save(folder / "part.bmp")
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                rows[label] = pool.apply(measure, (model, str(folder / "part.bmp")))
            print(label, rows[label], flush=True)
    record = {
        "command": f"python benchmarks/tile_memory.py --preset {given.preset} --tile {given.tile}",
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, {platform.platform()}",
        "sizes": rows,
    }
    OUT.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
