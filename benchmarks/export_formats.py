"""Size, parity, AUROC and time of an exported model in every format, beside the model itself.

    python benchmarks/export_formats.py prepare rail=RUN kolektor=RUN --out FOLDER
    python benchmarks/export_formats.py time rail=RUN kolektor=RUN --out FOLDER

`prepare` exports through the gate and keeps what it says, with the AUROC of the model's whole test
set; `time` inspects the same images with all formats in turns (image 1 with each, image 2 with
each, ...) and gives medians, with one thread and with two in a process each. Every step adds to
benchmarks/export_formats.json, or to --json, and then writes the tables of docs/export.md anew.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from importlib import metadata as packages
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from burnish.export.parity import Difference

OUT = Path(__file__).with_suffix(".json")
PAGE = Path(__file__).resolve().parent.parent / "docs" / "export.md"
FORMATS = {
    "onnx": ("onnx", False),
    "openvino": ("openvino", False),
    "torch-export": ("torch-export", False),
    "onnx int8": ("onnx", True),
    "openvino int8": ("openvino", True),
}
SUFFIXES = {"onnx": ".onnx", "openvino": ".xml", "torch-export": ".pt2"}
ROUNDS = 40


def file_of(folder: Path, model: str, label: str) -> Path:
    to, int8 = FORMATS[label]
    return folder / model / f"model{'.int8' if int8 else ''}{SUFFIXES[to]}"


def prepare(runs: dict[str, Path], folder: Path, found: dict[str, Any], file: Path) -> None:
    from burnish.errors import BurnishError
    from burnish.export.export import export_model

    for name, run in runs.items():
        rows = found["models"].setdefault(name, {}).setdefault("formats", {})
        rows.setdefault("torch", {})["bytes"] = (run / "model.safetensors").stat().st_size
        for label, (to, int8) in FORMATS.items():
            row = rows.setdefault(label, {})
            try:
                made = export_model(run, to, file_of(folder, name, label), int8=int8)  # type: ignore[arg-type]
                row |= {"bytes": made.bytes, "parity": made.parity.to_dict()}
                row["auroc"] = auroc(made.parity.images, "exported_score")
                rows["torch"]["auroc"] = auroc(made.parity.images, "score")
                row.pop("refused", None)
            except BurnishError as error:
                row.clear()
                row["refused"] = str(error).splitlines()[0]
            print(name, label, row, flush=True)
            file.write_text(json.dumps(found, indent=1) + "\n")


def auroc(images: Sequence[Difference], which: str) -> float:
    """Of the test images that the gate compared."""
    from sklearn.metrics import roc_auc_score

    tested = [image for image in images if image.path.parent.parent.name == "test"]
    truth = [image.path.parent.name != "good" for image in tested]
    return round(roc_auc_score(truth, [getattr(image, which) for image in tested]), 5)


def measure(run: Path, name: str, folder: Path) -> dict[str, float]:
    """Median ms an image, all formats in turns, in this process."""
    import numpy as np
    import torch

    from burnish import Detector
    from burnish.images.dataset import find_test_images
    from burnish.images.reader import read_image

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    model = Detector.load(run)
    paths = [image.path for image in find_test_images(model.card.data["folder"])]
    images = [read_image(path) for path in paths[:: max(1, len(paths) // ROUNDS)]][:ROUNDS]
    judges = {"torch": model}
    for label in FORMATS:
        file = file_of(folder, name, label)
        if file.exists():
            judges[label] = Detector.load(file)
    for judge in judges.values():
        for image in images[:3]:
            judge.inspect(image)
    times: dict[str, list[float]] = {label: [] for label in judges}
    for image in images:
        for label, judge in judges.items():
            start = time.perf_counter()
            judge.inspect(image)
            times[label].append(1000 * (time.perf_counter() - start))
    return {label: round(float(np.median(values)), 2) for label, values in times.items()}


def parity_table(found: dict[str, Any]) -> list[str]:
    """Lines of Markdown: what the gate said, or why it refused."""
    lines = [
        "| model | format | size, MB | AUROC | largest score difference, of the threshold "
        "| allowed | largest map difference | verdicts that differ |",
        "|" + " --- |" * 8,
    ]
    for name, model in found["models"].items():
        for label, row in model["formats"].items():
            if label == "torch":
                own = f"{row['bytes'] / 1e6:.1f} | {row['auroc']:.3f}"
                lines.append(f"| {name} | burnish itself | {own} | | | | |")
            elif "refused" in row:
                lines.append(f"| {name} | {label} | refused | | | | | |")
            else:
                p = row["parity"]
                share = p["largest_score_difference"] / p["threshold"]
                lines.append(
                    f"| {name} | {label} | {row['bytes'] / 1e6:.1f} | {row['auroc']:.3f} "
                    f"| {100 * share:.2g} % | {100 * p['score_tolerance'] / p['threshold']:.2g} % "
                    f"| {p['largest_map_difference']:.2g} | {p['verdicts_that_differ']} |"
                )
    return lines


def time_table(found: dict[str, Any]) -> list[str]:
    """Lines of Markdown: milliseconds an image, one thread and two."""
    labels = [label for label in ("torch", *FORMATS) if any(
        "ms_1_threads" in model["formats"].get(label, {}) for model in found["models"].values()
    )]  # fmt: skip
    heads = ["burnish itself" if label == "torch" else label for label in labels]
    lines = [f"| model | {' | '.join(heads)} |", "|" + " --- |" * (1 + len(labels))]
    for name, model in found["models"].items():
        cells = []
        for label in labels:
            row = model["formats"].get(label, {})
            times = [row.get(f"ms_{threads}_threads") for threads in (1, 2)]
            cells.append("-" if None in times else ", ".join(f"{ms:.0f}" for ms in times))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def write_page(found: dict[str, Any]) -> None:
    """Both tables into docs/export.md, each between its two markers."""
    from burnish.files import atomic_write

    text = PAGE.read_text()
    for name, lines in (("parity", parity_table(found)), ("times", time_table(found))):
        start, end = f"<!-- {name}: benchmarks/export_formats.py -->", f"<!-- end of {name} -->"
        before, rest = text.split(start, 1)
        text = before + "\n".join([start, "", *lines, "", end]) + rest.split(end, 1)[1]
    atomic_write(PAGE, text)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("step", choices=["prepare", "time", "measure"])
    parser.add_argument("runs", nargs="+", metavar="NAME=RUN")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--json", type=Path, default=OUT, help="the file that is added to")
    given = parser.parse_args()
    runs = {name: Path(run) for name, _, run in (text.partition("=") for text in given.runs)}
    if given.step == "measure":
        ((name, run),) = runs.items()
        print(json.dumps(measure(run, name, given.out)))
        return
    found = json.loads(given.json.read_text()) if given.json.exists() else {"models": {}}
    found["command"] = (
        f"python benchmarks/export_formats.py STEP {' '.join(given.runs)} --out FOLDER "
        f"--json benchmarks/{given.json.name}"
    )
    from burnish.bench.machine import hardware

    found["machine"] = f"{hardware('cpu', os.cpu_count() or 1)}; {platform.platform()}"
    found["versions"] = {"python": platform.python_version()} | {
        package: packages.version(package)
        for package in ("torch", "onnx", "onnxruntime", "openvino", "pillow")
    }
    if given.step == "time":
        for name, run in runs.items():
            for threads in (1, 2):
                done = subprocess.run(
                    [sys.executable, __file__, "measure", f"{name}={run}", "--out", str(given.out)],
                    env=os.environ | {"OMP_NUM_THREADS": str(threads)},
                    capture_output=True, text=True, check=True,
                )  # fmt: skip
                for label, ms in json.loads(done.stdout.splitlines()[-1]).items():
                    row = found["models"][name]["formats"][label]
                    row[f"ms_{threads}_threads"] = ms
                    print(name, threads, label, ms, flush=True)
    else:
        prepare(runs, given.out, found, given.json)
    given.json.write_text(json.dumps(found, indent=1) + "\n")
    if given.json == OUT:
        write_page(found)


if __name__ == "__main__":
    main()
