"""Time `burnish data prepare` on each archive of ../shared/data; keep it in prepare_speed.json.

    python benchmarks/prepare_speed.py [--data ../shared/data] [--times 3]

Each archive goes into an empty folder, in a process of its own that has imported everything before
the clock starts. `seconds_second_run` is a second run into the same folder, which changes nothing.
On a machine that is busy otherwise, `cpu_seconds` says more than `seconds`.
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
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "prepare_speed.json"
ARCHIVES = ("KolektorSDD.zip", "MagneticTile.zip", "RailHead.zip", "screw.zip")
CLOCKED = """
import json, sys, time
import burnish.images.preparing.prepare as p
from burnish.images.manifest import read_manifest
seconds, cpu = [], []
for _ in range(2):
    start, start_cpu = time.perf_counter(), time.process_time()
    prepared = p.prepare(sys.argv[1], sys.argv[2])
    seconds.append(time.perf_counter() - start)
    cpu.append(time.process_time() - start_cpu)
print(json.dumps({"first": seconds[0], "second": seconds[1], "cpu": cpu[0],
                  "status": prepared.status, "written": len(read_manifest(prepared.out)),
                  "masks": prepared.masks}))
"""


def cpu() -> str:
    """The processor's name, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def time_archive(archive: Path, times: int) -> dict[str, object]:
    """Median of `times` runs."""
    runs = []
    for _ in range(times):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-c", CLOCKED, str(archive), f"{folder}/out"]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
        runs.append(json.loads(done.stdout))
        assert runs[-1]["status"] == "already there"
    first = statistics.median(run["first"] for run in runs)
    images = runs[0]["written"]
    return {
        "archive": archive.name,
        "megabytes": round(archive.stat().st_size / 1e6, 1),
        "images_written": images,
        "masks_written": runs[0]["masks"],
        "seconds": round(first, 2),
        "cpu_seconds": round(statistics.median(run["cpu"] for run in runs), 2),
        "images_per_second": round(images / first),
        "seconds_second_run": round(statistics.median(run["second"] for run in runs), 2),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--times", type=int, default=3, help="runs of each; the median counts")
    given = parser.parse_args()
    results = []
    for name in ARCHIVES:
        if not (given.data / name).exists():
            print(f"error: {given.data / name} is not there", file=sys.stderr)
            return 2
        results.append(time_archive(given.data / name, given.times))
        print(results[-1], flush=True)
    machine = {
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "load_average_at_the_end": round(os.getloadavg()[0], 1),
    }
    RESULTS.write_text(json.dumps({"machine": machine, "results": results}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
