"""Images per second: first pass into the cache and reading from it, against plain Pillow.

    OMP_NUM_THREADS=1 python benchmarks/read_speed.py

Plain is what one would write: open, convert, resize with the same filter, to an array. All take
turns in each round and see the same files, which the operating system holds in memory by then; the
ratios are medians over rounds. Ours does more on its first pass (checks, hash, pixels and index
onto the disk, fsync) and is to reach 0.9 of plain with two workers. From the cache, 20 times plain
is wanted, the check whether files have changed included; read as training does, in shuffled
batches of 8. The machine may be shared, so processor time is given beside wall time.

Writes read_speed.json beside this file. Without ../shared/data its images are synthetic.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from PIL import Image

from burnish.configuration import make_settings
from burnish.files import atomic_write
from burnish.images.cache import build as cache_build
from burnish.images.cache import plan as cache_plan
from burnish.images.store import ImageStore, load_store
from burnish.images.synthetic.surfaces import make_surface
from burnish.settings import Settings

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
OUT = Path(__file__).with_suffix(".json")
BATCH = 8


def files_of(archive: Path, folder: Path, keep: Callable[[Path], bool]) -> list[Path]:
    """Unpack an archive of ours, and list the images in it."""
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
    return sorted(path for path in folder.rglob("*.*") if path.is_file() and keep(path))


def synthetic(folder: Path, count: int, size: tuple[int, int], suffix: str) -> list[Path]:
    """Procedural metal, as grey files."""
    folder.mkdir(parents=True)
    texture = make_surface("rolled", (512, 512), np.random.default_rng(0))
    tiled = np.tile(texture, (size[0] // 512 + 1, size[1] // 512 + 1))[: size[0], : size[1]]
    paths = []
    for number in range(count):
        paths.append(folder / f"{number:04d}{suffix}")
        Image.fromarray(np.roll(tiled, 37 * number, axis=1)).save(paths[-1])
    return paths


def plain(paths: Sequence[Path], size: tuple[int, int], workers: int) -> None:
    """The same pixels by Pillow alone."""
    height, width = size

    def read(path: Path) -> np.ndarray:
        with Image.open(path) as image:
            grey = image.convert("L")
            return np.asarray(grey.resize((width, height), Image.Resampling.BILINEAR))

    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(read, paths):
            pass


def gather(store: ImageStore, seed: int) -> int:
    """One epoch of shuffled batches, each copied together as training does; checks sum of bytes."""
    order, total = np.random.default_rng(seed).permutation(len(store)), 0
    for start in range(0, len(order), BATCH):
        batch = np.stack([store[int(i)] for i in order[start : start + BATCH]])
        total += int(batch[0, 0, 0, 0])
    return total


def measure(
    paths: list[Path], settings: Settings, rounds: int, workers: int, cache: Path
) -> dict[str, float]:
    """All ways of reading, turn by turn."""
    cache_plan.THREADS = cache_build.THREADS = workers
    os.environ["BURNISH_CACHE"] = str(cache)
    size = load_store(paths, settings, 1)[0].shape[1:]
    walls: dict[str, list[float]] = {}
    processor: dict[str, list[float]] = {}

    def clock(name: str, work: Callable[..., Any], *arguments: object) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        result = work(*arguments)
        walls.setdefault(name, []).append(time.perf_counter() - wall)
        processor.setdefault(name, []).append(time.process_time() - cpu)
        return result

    for number in range(rounds):
        shutil.rmtree(cache)
        clock("plain_one_worker", plain, paths, size, 1)
        clock("plain", plain, paths, size, workers)
        clock("first_pass", load_store, paths, settings, 1)
        load_store(paths, settings, 1)  # hashes once more what was younger than 2 s when read
        store = clock("open", load_store, paths, settings, 1)
        clock("gather", gather, store, number)
        for values in (walls, processor):
            both = values["open"][-1] + values["gather"][-1]
            values.setdefault("open_and_gather", []).append(both)

    def ratio(values: dict[str, list[float]], above: str, below: str) -> float:
        pairs = zip(values[above], values[below], strict=True)
        return round(statistics.median(a / b for a, b in pairs), 2)

    speed = {f"{name}_per_s": round(len(paths) / min(walls[name])) for name in walls}
    return {
        "images": len(paths),
        "height": size[0],
        "width": size[1],
        **speed,
        "open_ms": round(1000 * min(walls["open"]), 1),
        "first_pass_of_plain": ratio(walls, "plain", "first_pass"),
        "first_pass_of_plain_processor": ratio(processor, "plain", "first_pass"),
        "first_pass_of_plain_one_worker": ratio(walls, "plain_one_worker", "first_pass"),
        "cached_of_plain": ratio(walls, "plain", "open_and_gather"),
        "cached_of_plain_processor": ratio(processor, "plain", "open_and_gather"),
        "cached_without_check_of_plain": ratio(walls, "plain", "gather"),
    }


def machine() -> dict[str, object]:
    """What the figures are of."""
    model = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), model)
    return {
        "name": platform.node(),
        "processor": model,
        "cores": os.cpu_count(),
        "load": [round(value, 1) for value in os.getloadavg()],
        "python": platform.python_version(),
        "pillow": PIL.__version__,
        "numpy": np.__version__,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--temp", help="folder for images and cache (default: the system's)")
    options = parser.parse_args()
    settings = make_settings("small", {"aspect": "keep", "image_size": 128})
    results: dict[str, object] = {"command": " ".join(sys.argv), "before": machine()}
    with tempfile.TemporaryDirectory(dir=options.temp) as temp:
        folder = Path(temp)
        sets: dict[str, Callable[[], list[Path]]] = {
            "synthetic 256x640 jpg": lambda: synthetic(folder / "s", 400, (640, 256), ".jpg"),
            "synthetic 2000x3000 jpg": lambda: synthetic(folder / "l", 24, (2000, 3000), ".jpg"),
        }
        if SHARED.is_dir():
            sets |= {
                "KolektorSDD": lambda: files_of(
                    SHARED / "KolektorSDD.zip", folder / "k", lambda p: p.suffix == ".jpg"
                ),
                "screw": lambda: files_of(
                    SHARED / "screw.zip", folder / "w", lambda p: "ground_truth" not in p.parts
                ),
            }
        for name, make in sets.items():
            found = measure(make(), settings, options.rounds, options.workers, folder / "cache")
            results[name] = found
            print(f"{name}: " + ", ".join(f"{k} {v:g}" for k, v in found.items()), flush=True)
    results["after"] = machine()
    atomic_write(OUT, json.dumps(results, indent=1) + "\n")
    print(f"{results['after']}\nwritten to {OUT}")


if __name__ == "__main__":
    main()
