"""What is measured on a GPU at the paper's scale, one command, step by step.

    python benchmarks/gpu.py --out FOLDER [STEP ...]

Every step is a process of its own and writes FOLDER/STEP.json; one that is there is not run again,
so that a lease which ends in between loses one step. `--out` keeps logs too. Aims (H200): training
10 times the plain version and 40 % of the measured bfloat16 peak at a suitable batch; 500 epochs of
350 images in 10 minutes at the paper's batch of 8; inspection of one image in 5 ms.

Run so far, on an H200: bench_8 and bench_256_compiled (gpu_paper_*.json), and gpu_steps.py. On a
machine that installs nothing, carry wheels of what is missing there (lightning-fabric, pydantic,
pydantic-core, imagehash, PyWavelets, ...) and name their folder in PYTHONPATH, with src. A lease of
half an hour holds bench_8 (one minute), bench_256_compiled (two) and one training of 500 epochs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from burnish.files import atomic_write

BENCH = ("bench", "--seconds", "5", "--json", "{json}")
BATCHES = (8, 64, 256)
IMAGES, EPOCHS = 350, 500
TRAIN = ("train", "{data}", "--preset", "{preset}", "--out", "{run}", "--resume")
HELD_OUT = 8  # so that all the rest are trained on


def steps() -> dict[str, tuple[str, ...]]:
    """Step -> arguments of burnish, in the order in which they matter."""
    paper = (*BENCH, "--preset", "{preset}")
    found = {"doctor": ("doctor", "--json")}
    found["bench_8"] = (*paper, "--against", "naive")
    found["bench_256_compiled"] = (*paper, "--set", "batch=256", "--set", "compiled=true")
    for batch in BATCHES:
        found[f"train_{EPOCHS}_epochs_{batch}"] = (
            *TRAIN, "--set", f"batch={batch}", "--set", f"holdout={HELD_OUT / (IMAGES + HELD_OUT)}"
        )  # fmt: skip
    found["bench_64"] = (*paper, "--set", "batch=64")
    found["bench_small"] = (*BENCH, "--preset", "small", "--against", "naive")
    return found


def run(name: str, words: tuple[str, ...], out: Path, preset: str, limit: float) -> bool:
    """Whether the step is done; what it printed is in STEP.log."""
    log_file, record_file, folder = out / f"{name}.log", out / f"{name}.json", out / "runs" / name
    places = {"preset": preset, "json": record_file, "data": out / "data", "run": folder}
    command = [sys.executable, "-m", "burnish.cli.main"]
    command += [word.format(**places) for word in words]
    start = time.monotonic()
    with log_file.open("a") as log:
        try:
            done = subprocess.run(command, stdout=log, stderr=log, timeout=limit)
        except subprocess.TimeoutExpired:
            print(f"{name}: not done in {limit:.0f} s; called again it goes on", flush=True)
            return False
    seconds = time.monotonic() - start
    print(f"{name}: exit code {done.returncode}, {seconds:.0f} s", flush=True)
    if done.returncode == 0 and not record_file.exists():
        record: dict[str, object] = {"command": " ".join(words).replace("{preset}", preset)}
        record["seconds"] = round(seconds, 1)
        record |= trained(folder) if words[0] == "train" else {"printed": log_file.read_text()}
        atomic_write(record_file, json.dumps(record, indent=1) + "\n")
    return done.returncode == 0


def trained(folder: Path) -> dict[str, object]:
    """What the model says of its training; its seconds go on over interruptions."""
    from burnish import Detector

    card = Detector.load(folder, "cpu").card
    return {"training": card.training, "batch": card.settings.batch, "aim_s": 600,
            "images": card.data["training_images"]}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("steps", nargs="*", metavar="STEP", help=", ".join(steps()))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", default="paper", help="another one to try the script itself")
    parser.add_argument("--limit", type=float, default=540, help="seconds a step may take")
    given = parser.parse_args()
    if wrong := set(given.steps) - set(steps()):
        parser.error(f"no step {sorted(wrong)}; there are: {', '.join(steps())}")
    given.out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("BURNISH_CACHE", str(given.out / "cache"))
    synth = ("data", "synth", "{data}", "--size", "256x256", "--train", str(IMAGES + HELD_OUT))
    wanted = {"synth": synth} | {name: steps()[name] for name in given.steps or steps()}
    missing = [name for name in wanted if not (given.out / f"{name}.json").exists()]
    done = [run(name, wanted[name], given.out, given.preset, given.limit) for name in missing]
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main())
