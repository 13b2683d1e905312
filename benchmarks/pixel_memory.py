"""Memory, time and exactness of pixel metrics, which count pixels in bins image by image.

    python benchmarks/pixel_memory.py [--images 1000]

Three processes of their own: `counter` takes ready anomaly maps of 1024 x 1024; `large` maps of
12 megapixels; `evaluate` is `burnish.evaluation.evaluate.evaluate` on files of 1024 x 1024 with a
trained model (preset tiny, one step: speed and memory do not depend on what it learnt). `exact`
compares with scikit-learn on all pixels at once. Writes benchmarks/pixel_memory.json.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

OUT = Path(__file__).with_suffix(".json")
SIDE, DISTINCT = 1024, 20


def resident_mib() -> float:
    """Resident memory of this process now, MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def a_map(rng: np.random.Generator, height: int, width: int) -> tuple[Any, Any]:
    """A noisy map with a warm flaw, and the flaw's mask (two in three images)."""
    values = rng.standard_normal((height, width), np.float32)
    mask: NDArray[np.bool_] | None = None
    if rng.random() < 2 / 3:
        mask = np.zeros((height, width), bool)
        top, left = rng.integers(0, height - 60), rng.integers(0, width - 200)
        mask[top : top + 60, left : left + 200] = True
        values[mask] += np.float32(1.5)
    return values, mask


def count(images: int, height: int, width: int) -> dict[str, Any]:
    """The counter alone, on fresh maps."""
    from burnish.evaluation.pixels import PixelCounter

    rng, counter = np.random.default_rng(0), PixelCounter(2.3, 5.0)
    resident, seconds = [round(resident_mib())], 0.0
    for number in range(images):
        values, mask = a_map(rng, height, width)
        start = time.process_time()
        counter.add("good" if mask is None else "flaw", str(number), values, mask)
        seconds += time.process_time() - start
        del values, mask
        if (number + 1) % max(1, images // 10) == 0:
            resident.append(round(resident_mib()))
    start = time.process_time()
    intervals = counter.intervals()
    return {
        "images": images,
        "size": [height, width],
        "resident_mib": resident,
        "peak_mib": round(peak_mib()),
        "cpu_ms_an_image": round(1000 * seconds / images, 1),
        "cpu_seconds_intervals": round(time.process_time() - start, 1),
        "metrics": counter.overall().model_dump(),
        "intervals": intervals,
    }


def exact(images: int) -> dict[str, Any]:
    """The same maps through scikit-learn, all pixels at once."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    from burnish.evaluation.pixels import PixelCounter

    rng, counter = np.random.default_rng(0), PixelCounter(2.3, 5.0)
    scores, truth = [], []
    for number in range(images):
        values, mask = a_map(rng, SIDE, SIDE)
        counter.add("good" if mask is None else "flaw", str(number), values, mask)
        scores.append(values.ravel())
        truth.append(np.zeros(values.size, bool) if mask is None else mask.ravel())
    score, marked, found = np.concatenate(scores), np.concatenate(truth), counter.overall()
    assert found.auroc is not None
    assert found.average_precision is not None
    return {
        "images": images,
        "auroc_off_by": abs(found.auroc - float(roc_auc_score(marked, score))),
        "auroc_error_stated": counter.auroc_error(),
        "average_precision_off_by": abs(
            found.average_precision - float(average_precision_score(marked, score))
        ),
    }


def whole(folder: str, images: int) -> dict[str, Any]:
    """`evaluate` on a folder of files."""
    from burnish import Detector
    from burnish.evaluation.evaluate import evaluate

    detector = Detector.load(f"{folder}/run")
    resident = [round(resident_mib())]

    def on_image(done: int, _: int) -> None:
        if done % max(1, images // 10) == 0:
            resident.append(round(resident_mib()))

    start = time.process_time()
    found = evaluate(detector, f"{folder}/data", on_image, equalised=False)
    assert found.pixels is not None
    return {
        "images": len(found.images),
        "size": [SIDE, SIDE],
        "resident_mib": resident,
        "peak_mib": round(peak_mib()),
        "cpu_ms_an_image": round(1000 * (time.process_time() - start) / images, 1),
    }


def make_files(folder: Path, images: int) -> None:
    """A model, and `images` test files that are links to `DISTINCT` pictures."""
    from PIL import Image

    from burnish import Detector
    from burnish.images.synthetic.surfaces import make_surface

    rng = np.random.default_rng(0)
    (folder / "data/train/good").mkdir(parents=True)
    for index in range(12):
        part = make_surface("rolled", (256, 256), rng)
        Image.fromarray(part).save(folder / f"data/train/good/{index}.png")
    Detector.train(folder / "data", "tiny", folder / "run", steps=1)
    for kind, share in (("good", 3), ("flaw", 3 / 2)):
        (folder / "data/test" / kind).mkdir(parents=True)
        (folder / "data/ground_truth" / kind).mkdir(parents=True)
        for index in range(DISTINCT // 2):
            part = make_surface("rolled", (SIDE, SIDE), rng)
            mask = np.zeros((SIDE, SIDE), np.uint8)
            if kind == "flaw":
                part[300:360, 100:300] //= 3
                mask[300:360, 100:300] = 255
            Image.fromarray(part).save(folder / f"{kind}{index}.png")
            Image.fromarray(mask).save(folder / f"{kind}{index}_mask.png")
        for number in range(round(images / share)):
            index = number % (DISTINCT // 2)
            test, truth = folder / "data/test" / kind, folder / "data/ground_truth" / kind
            (test / f"{number}.png").symlink_to(folder / f"{kind}{index}.png")
            if kind == "flaw":
                (truth / f"{number}_mask.png").symlink_to(folder / f"{kind}{index}_mask.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=1000)
    given = parser.parse_args()
    runs: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        spawn = multiprocessing.get_context("spawn")
        jobs: list[tuple[str, Any, tuple[Any, ...]]] = [
            ("exact", exact, (8,)),
            ("counter", count, (given.images, SIDE, SIDE)),
            ("large", count, (max(1, given.images // 20), 3000, 4000)),
            ("evaluate", whole, (name, given.images)),
        ]
        for label, job, arguments in jobs:
            if label == "evaluate":
                make_files(Path(name), given.images)
            with spawn.Pool(1) as pool:
                runs[label] = pool.apply(job, arguments)
            print(label, json.dumps(runs[label]), flush=True)
    record = {
        "command": f"python benchmarks/pixel_memory.py --images {given.images}",
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, {platform.platform()}",
        "note": "times are CPU seconds: other work ran on the machine",
        **runs,
    }
    OUT.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
