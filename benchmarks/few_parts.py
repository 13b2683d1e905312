"""How many good parts are enough? `small` trained on fewer of them, tested on the same images.

    python benchmarks/few_parts.py rail screw --parts 10 20 40 --seeds 0 1 --data DATA --work WORK

Each seed draws which parts of DATA/SET are kept (the smaller draw is in the larger one), and is the
seed of training. A finished run in WORK is not trained again; benchmarks/few_parts.json keeps all.
`python benchmarks/few_parts.py` alone prints the table of means; its rows of all parts are those
of docs/results.json.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from burnish import Detector
from burnish.bench.machine import hardware
from burnish.evaluation.evaluate import evaluate
from burnish.files import atomic_write
from burnish.images.dataset import find_training_images
from burnish.images.manifest import read_manifest, write_manifest
from burnish.images.parts import parts_of
from real import RESULTS, commit, log_line

OUT = Path(__file__).with_suffix(".json")
FIGURES = ("image_auroc", "false_alarm_rate_got", "escape_rate")


def keep(data: Path, parts: int, seed: int, out: Path) -> None:
    """Write `out`: the set at `data` with that many of its training parts, as links."""
    images = find_training_images(data)
    of = parts_of(images, "", data)
    names = sorted(set(of))
    kept = {names[n] for n in np.random.default_rng(seed).permutation(len(names))[:parts]}
    if len(kept) < parts:
        raise SystemExit(f"{data} has no more than {len(names)} parts to train on")
    (out / "train" / "good").mkdir(parents=True)
    for image, part in zip(images, of, strict=True):
        if part in kept:
            (out / "train" / "good" / image.name).symlink_to(image.absolute())
    for folder in ("test", "ground_truth"):
        (out / folder).symlink_to((data / folder).absolute())
    rows = read_manifest(data) or ()
    write_manifest(out, [row for row in rows if (out / row.path).exists()])


def measure(name: str, parts: int, seed: int, data: Path, work: Path) -> dict[str, Any]:
    """Train on some of the parts and test on the set's own test images."""
    subset = work / f"{name}-{parts}-{seed}"
    run = subset.with_name(f"{subset.name}-run")
    if not subset.exists():
        keep(data / name, parts, seed, subset)
    if not (run / "commit.txt").exists():
        atomic_write(run / "commit.txt", commit())
    detector = Detector.train(subset, "small", run, resume=True, seed=seed, on_stage=log_line([0]))
    found = evaluate(detector, subset)
    equalised, pixels = found.equalised, found.pixels
    calibration = detector.card.calibration
    return {
        "command": f"python benchmarks/few_parts.py {name} --parts {parts} --seeds {seed} "
        "--data DATA --work WORK",
        "machine": hardware("cpu", torch.get_num_threads()),
        "commit": (run / "commit.txt").read_text().strip(),
        "dataset": name, "parts": parts, "seed": seed,
        "training_images": detector.card.data["training_images"],
        "held_out_images": len(calibration.scores),
        "held_out_parts": calibration.parts or len(calibration.scores),
        "equalised_image_auroc": equalised and equalised.image_auroc,
        "pixel_aupro": pixels and pixels.overall.aupro,
        **{figure: getattr(found, figure) for figure in FIGURES},
    }  # fmt: skip


def table(runs: list[dict[str, Any]]) -> list[str]:
    """Rows in Markdown: means over draws for each set and number of parts, all of them last."""
    groups: dict[tuple[str, float], list[dict[str, Any]]] = defaultdict(list)
    for run in runs:
        groups[run["dataset"], run["parts"]].append(run)
    sets = {run["dataset"] for run in runs}
    for entry in json.loads(RESULTS.read_text()):
        if entry["dataset"] in sets and entry["preset"] == "small" and not entry["changes"]:
            groups[entry["dataset"], np.inf].append(entry)
    head = ["set", "good parts", "draws", "images learnt from", "image AUROC", "light equalised",
            "AUPRO", "false alarms", "escapes"]  # fmt: skip
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for (name, parts), found in sorted(groups.items()):
        shown = [f"{np.mean([run[key] for run in found]):.3f}".lstrip("0")
                 for key in ("image_auroc", "equalised_image_auroc", "pixel_aupro")]  # fmt: skip
        shown += [f"{100 * np.mean([run[key] for run in found]):.0f} %"
                  for key in ("false_alarm_rate_got", "escape_rate")]  # fmt: skip
        learnt = f"{np.mean([run['training_images'] for run in found]):.0f}"
        count = "all" if np.isinf(parts) else str(parts)
        lines.append(f"| {' | '.join([name, count, str(len(found)), learnt, *shown])} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sets", nargs="*", help="folders of --data")
    parser.add_argument("--parts", type=int, nargs="+", default=[10, 20, 40])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--data", type=Path, default=Path("/tmp/real"))
    parser.add_argument("--work", type=Path, help="subsets and runs go here; needed with sets")
    given = parser.parse_args()
    if given.sets and given.work is None:
        parser.error("sets go with --work")
    runs = json.loads(OUT.read_text()) if OUT.exists() else []
    for name in given.sets:
        for parts in given.parts:
            for seed in given.seeds:
                run = measure(name, parts, seed, given.data, given.work)
                key = [run[field] for field in ("dataset", "parts", "seed")]
                runs = [r for r in runs if [r[f] for f in ("dataset", "parts", "seed")] != key]
                runs = sorted([*runs, run], key=lambda r: (r["dataset"], r["parts"], r["seed"]))
                atomic_write(OUT, json.dumps(runs, indent=1) + "\n")
                print(f"{key}: image AUROC {run['image_auroc']:.3f}", flush=True)
    print("\n".join(table(runs)))


if __name__ == "__main__":
    main()
