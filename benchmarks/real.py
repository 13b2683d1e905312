"""Train and test burnish on the real data sets; keep the figures in docs/results.{json,md}.

    burnish data prepare ../shared/data/KolektorSDD.zip /tmp/real/kolektor --train 0.5 \
        --part '(kos3)[89]|kos\\d+'
    burnish data prepare ../shared/data/MagneticTile.zip /tmp/real/magnetic_tile
    burnish data prepare ../shared/data/MagneticTile.zip /tmp/real/magnetic_tile_by_picture \
        --part 'num_(\\d+)'
    burnish data prepare ../shared/data/RailHead.zip /tmp/real/rail --split part --part '\\d{6,}'
    burnish data prepare ../shared/data/screw.zip /tmp/real/screw
    python benchmarks/real.py rail --data /tmp/real --runs /tmp/runs

Each name is a folder in --data. A run folder that holds a finished training is calibrated and
tested, not trained again. A run of the same data set, preset, seed and changes replaces its earlier
entry; every other entry stays. Nothing here chooses anything on test images.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from burnish import BurnishError, Detector
from burnish.configuration import parse_assignments
from burnish.detection.stages import Stage
from burnish.evaluation.evaluate import evaluate
from burnish.evaluation.record import save_json
from burnish.evaluation.report import write_report
from burnish.files import atomic_write

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results.json"
FIGURES = (
    "image_auroc", "average_precision", "f1", "precision", "recall", "best_f1", "all_positive_f1",
    "false_alarm_rate_wanted", "false_alarm_rate_got", "escape_rate", "ms_per_image", "n_good",
    "n_defect",
)  # fmt: skip


def commit() -> str:
    """Short hash of the checkout, with "+" when it has uncommitted changes to the package."""
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    dirty = subprocess.run([*git, "status", "--porcelain", "src"], capture_output=True, text=True)
    return head.stdout.strip() + ("+" if dirty.stdout.strip() else "")


def log_line(last: list[float]) -> Any:
    """An `on_stage` that prints every message, and a line of progress a minute."""

    def on_stage(stage: Stage) -> None:
        if stage.message:
            print(stage.message, flush=True)
        if stage.event and time.monotonic() - last[0] > 60:
            last[0] = time.monotonic()
            losses = {k: round(v, 3) for k, v in stage.event.losses.items()}
            print(f"{100 * stage.done:.0f} % {losses}", flush=True)

    return on_stage


def run(name: str, data: Path, runs: Path, preset: str, seed: int, assignments: list[str]) -> None:
    """Train (unless done), test, and enter the figures."""
    changes = parse_assignments(assignments) | {"seed": seed}
    folder = runs / "-".join([name, preset, str(seed), *assignments])
    if not (folder / "commit.txt").exists():
        atomic_write(folder / "commit.txt", commit())
    detector = Detector.train(
        data / name, preset, folder, resume=True, on_stage=log_line([0.0]), **changes
    )
    evaluation = evaluate(detector, data / name)
    save_json(evaluation, folder / "evaluation" / "evaluation.json")
    page = write_report(evaluation, detector, data / name, folder / "evaluation" / "report.html")
    training = detector.card.training
    entry = {"dataset": name, "preset": preset, "seed": seed, "changes": assignments}
    entry |= {figure: getattr(evaluation, figure) for figure in FIGURES}
    trivial = evaluation.best_trivial
    equalised, pixels = evaluation.equalised, evaluation.pixels
    entry |= {
        "image_auroc_interval": evaluation.intervals.get("image_auroc"),
        "equalised_image_auroc": equalised and equalised.image_auroc,
        "trivial": trivial and {"label": trivial.label, "auroc": trivial.auroc},
        "pixel_auroc": pixels and pixels.overall.auroc,
        "pixel_aupro": pixels and pixels.overall.aupro,
        "held_out_images": len(detector.card.calibration.scores),
        "training_images": detector.card.data["training_images"],
        "train_seconds": training["seconds"],
        "train_steps": training["steps"],
        "device": training["device"],
        "machine": f"{platform.machine()}, {detector.card.versions['platform']}",
        "torch": detector.card.versions["torch"],
        "commit": (folder / "commit.txt").read_text().strip(),
        "command": " ".join(
            ["python benchmarks/real.py", name, "--preset", preset, "--seed", str(seed)]
            + [f"--set {a}" for a in assignments]
        ),
        "kinds": {k.kind: {"images": k.images, "recall": k.recall, "image_auroc": k.image_auroc}
                  for k in evaluation.kinds},
    }  # fmt: skip
    enter(entry)
    print(f"{name}: image AUROC {evaluation.image_auroc:.3f}; report {page}")


def enter(entry: dict[str, Any]) -> None:
    """Put an entry into results.json and write results.md anew from all of them."""
    entries = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    key = ("dataset", "preset", "seed", "changes")
    entries = [e for e in entries if [e[k] for k in key] != [entry[k] for k in key]] + [entry]
    entries.sort(key=lambda e: [str(e[k]) for k in key])
    atomic_write(RESULTS, json.dumps(entries, indent=1) + "\n")
    write_table(entries)


def write_table(entries: list[dict[str, Any]]) -> None:
    """The tables between the two markers of docs/results.md; the words around them stay."""
    page = RESULTS.with_suffix(".md")
    start, end = "<!-- table: benchmarks/real.py -->", "<!-- end of table -->"
    text = page.read_text() if page.exists() else f"# Results\n\n{start}\n{end}\n"
    before, rest = text.split(start, 1)
    after = rest.split(end, 1)[1]
    filled = "\n".join([start, *tables(entries), "", end])
    atomic_write(page, before + filled + after)


def tables(entries: list[dict[str, Any]]) -> list[str]:
    """Lines of Markdown: for each data set what is the same in all runs, then a row a run."""
    head = ("run", "seed", "AUROC", "95 %, by part", "equalised", "best F1", "false alarms got",
            "escapes", "pixel AUROC", "AUPRO", "ms/image", "commit")  # fmt: skip

    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:.3f}"

    def facts(e: dict[str, Any]) -> str:
        """Of the test images alone."""
        trivial = e.get("trivial")
        best = f"{trivial['auroc']:.3f} ({trivial['label']})" if trivial else "-"
        return (
            f"{e['n_good']} good and {e['n_defect']} defective test images, best trivial {best},\n"
            f"all-positive F1 {number(e['all_positive_f1'])}, "
            f"false alarms wanted {100 * e['false_alarm_rate_wanted']:.0f} %."
        )

    lines = []
    for name in sorted({e["dataset"] for e in entries}):
        runs = [e for e in entries if e["dataset"] == name]
        runs.sort(key=lambda e: (e["preset"] != "small", e["changes"], e["seed"]))
        rows = [
            (
                " ".join([e["preset"], *e["changes"]]), str(e["seed"]),
                number(e["image_auroc"]),
                "-".join(f"{end:.2f}" for end in e.get("image_auroc_interval") or ()),
                number(e.get("equalised_image_auroc")), number(e["best_f1"]),
                f"{100 * e['false_alarm_rate_got']:.1f} %", f"{100 * e['escape_rate']:.0f} %",
                number(e.get("pixel_auroc")), number(e.get("pixel_aupro")),
                f"{e['ms_per_image']:.0f}", e["commit"],
            )
            for e in runs
        ]  # fmt: skip
        about = " ".join(sorted({facts(e) for e in runs}))
        lines += ["", f"### {name}", "", about, ""]
        lines += [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+", metavar="NAME", help="folders in DATA")
    parser.add_argument("--data", type=Path, required=True, help="from `burnish data prepare`")
    parser.add_argument("--runs", type=Path, required=True, help="where run folders go")
    parser.add_argument("--preset", default="small")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="changes")
    given = parser.parse_args()
    try:
        for name in given.names:
            run(name, given.data, given.runs, given.preset, given.seed, given.changes)
    except BurnishError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
