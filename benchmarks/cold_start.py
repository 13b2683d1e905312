"""How long the first verdict takes: `burnish inspect MODEL IMAGE` in a fresh process, start-up and
exit included, several times over.

    python benchmarks/cold_start.py [--runs 9] [--threads 2] [--model MODEL --image IMAGE]

Without --model one of preset small is made, trained for one step (what it learnt does not matter).
The files lie in the page cache, as after a first run. `python -c "import torch"` is timed in turns
with it: that part is not ours. Writes benchmarks/cold_start.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OUT = Path(__file__).with_suffix(".json")
BURNISH = Path(sys.executable).parent / "burnish"


def seconds(*command: str) -> float:
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    return time.perf_counter() - start


def make_model(folder: Path) -> tuple[str, str]:
    from burnish import Detector
    from burnish.images.synthetic.synth import write_dataset

    write_dataset(folder / "data", train=24, good=1, defects=1, size=(256, 256))
    detector = Detector.train(folder / "data", "small", folder / "run", steps=1)
    return str(detector.path), str(next((folder / "data" / "test" / "good").iterdir()))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--model")
    parser.add_argument("--image")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(given.threads)
    with tempfile.TemporaryDirectory() as name:
        model, image = given.model, given.image
        if model is None:
            model, image = make_model(Path(name))
        commands = {
            "burnish inspect": (str(BURNISH), "inspect", model, image),
            "import torch": (sys.executable, "-c", "import torch"),
            "burnish --help": (str(BURNISH), "--help"),
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(given.runs + 1):
            for name, command in commands.items():
                times[name].append(seconds(*command))
    rows = {
        name: {
            "median_s": round(statistics.median(spent[1:]), 2),
            "least_s": round(min(spent[1:]), 2),
            "most_s": round(max(spent[1:]), 2),
        }
        for name, spent in times.items()
    }
    record = {
        "command": f"python benchmarks/cold_start.py --runs {given.runs} --threads {given.threads}",
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, {platform.platform()}",
        "rows": rows,
    }
    print(json.dumps(rows, indent=1))
    OUT.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
