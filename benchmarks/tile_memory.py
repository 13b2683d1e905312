"""Peak memory and time of inspecting 1, 12 and 48 megapixels by tiles, with burnish and exports.

    python benchmarks/tile_memory.py [--preset small] [--tile 256] [--threads 1]

Each runs in a process of its own; the model is trained for one step (its speed and memory do not
depend on what it learnt). Writes benchmarks/tile_memory.json.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from burnish import Detector
from burnish.bench.machine import hardware
from burnish.export.graph import TOLERANCE
from burnish.export.metadata import describe
from burnish.export.write import to_onnx, trace, write_onnx, write_openvino, write_torch
from burnish.images.synthetic.surfaces import make_surface

SIZES = {"1 MP": (1024, 1024), "12 MP": (3072, 4096), "48 MP": (6144, 8192)}
OUT = Path(__file__).with_suffix(".json")


def peak_mib() -> float:
    """Highest resident memory of this process, MiB (ru_maxrss would count the parent's too)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure(model: str, picture: str, threads: int) -> dict[str, float]:
    """Inspect one picture in this fresh process."""
    torch.set_num_threads(threads)
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
        "score": result.score,
    }


def write_all(detector: Detector, folder: Path) -> dict[str, str]:
    """The model's files, by what runs them. The gate of `burnish export` is left out here."""
    assert detector.path is not None
    record = describe(detector.model, detector.path, "float32", TOLERANCE, {})
    program = trace(detector.model)
    proto = to_onnx(program)
    write_onnx(proto, record, folder / "model.onnx")
    write_openvino(proto, record, folder / "model.xml")
    write_torch(program, record, folder / "model.pt2")
    exports = {"onnx": "model.onnx", "openvino": "model.xml", "torch-export": "model.pt2"}
    return {"burnish": str(detector.path)} | {k: str(folder / v) for k, v in exports.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--preset", default="small")
    parser.add_argument("--tile", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    rows: dict[str, dict[str, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rng = np.random.default_rng(0)
        (folder / "good").mkdir()
        for index in range(12):
            part = make_surface("rolled", (given.tile, given.tile), rng)
            Image.fromarray(part).save(folder / "good" / f"{index}.png")
        detector = Detector.train(
            folder / "good", given.preset, folder / "run", steps=1, tile=given.tile
        )
        models = write_all(detector, folder)
        for label, size in SIZES.items():
            Image.fromarray(rng.integers(90, 160, size, dtype=np.uint8)).save(folder / "part.bmp")
            for kind, model in models.items():
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    found = pool.apply(measure, (model, str(folder / "part.bmp"), given.threads))
                rows.setdefault(label, {})[kind] = found
                print(label, kind, found, flush=True)
    record = {
        "command": f"python benchmarks/tile_memory.py --preset {given.preset} "
        f"--tile {given.tile} --threads {given.threads}",
        "machine": hardware("cpu", given.threads),
        "sizes": rows,
    }
    OUT.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
