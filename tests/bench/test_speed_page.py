"""docs/speed.md says what the committed measurements say."""

from __future__ import annotations

import json
from csv import DictReader
from pathlib import Path
from statistics import mean
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "speed.md").read_text("utf-8")
FLOWING = " ".join(TEXT.split())


def record(name: str) -> Any:
    return json.loads((ROOT / "benchmarks" / f"{name}.json").read_text("utf-8"))


def rows(first: str) -> dict[str, list[str]]:
    """The cells of the table whose heading starts with `first`, by the first cell of a row."""
    lines = TEXT[TEXT.index(f"| {first}") :].split("\n\n")[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    return {row[0]: row[1:] for row in cells}


def seconds(ms: float) -> str:
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.1f} s"


def test_growth() -> None:
    tables = record("growth")["tables"]
    shown = rows("changed")
    names = {"images": "{} images", "side": "side {} px", "depth": "depth {0} + 1 + {0}"}
    assert len(shown) == sum(len(table) for table in tables.values())
    for title, table in tables.items():
        for value, row in table.items():
            assert shown[names[title].format(value)] == [
                str(row["tokens"]),
                f"{row['train_gflop_an_image']:.1f}",
                seconds(row["train_ms_an_image"]),
                f"{row['inference_gflop']:.1f}",
                seconds(row["inference_ms"]),
            ]


def test_calibration() -> None:
    before, after = (record("calibration")[commit] for commit in ("941428f", "3ad13ab"))
    costs, memory = (
        [[f"{of[side][key]:.{digits}f}".lstrip("0") for side in ("256", "512")]
         for of in (before, after)]
        for key, digits in (("cpu_s_a_view", 2), ("peak_mib", 0))
    )  # fmt: skip
    was, now = costs
    assert f"{now[0]} s of one core a view at 256 px and {now[1]} s at 512 px" in FLOWING
    assert "and {} and {} MiB".format(*memory[1]) in FLOWING
    log = (ROOT / "benchmarks" / "README.md").read_text("utf-8")
    assert f"{was[0]} to {now[0]} s a view at 256 px, {was[1]} to {now[1]} at 512" in log
    spent = [f"{before} to {after}" for before, after in zip(*memory, strict=True)]
    assert f"{spent[0]} and {spent[1]} MiB" in log


def against_the_aims(bench: dict[str, Any], digits: int = 0) -> list[str]:
    """Threads, ratios to the plain version and share of the peak, as the table of aims has them."""
    naive, share = bench["naive"], bench["training"]["products"]["share"]
    ratios = [f"{naive[f'{what}_speedup']:.2f}" for what in ("train", "inspect")]
    return [str(bench["machine"]["threads"]), *ratios, f"{100 * share:.{digits}f} %"]


def aims() -> list[list[str]]:
    """The rows of the table of aims on CPUs."""
    lines = TEXT[TEXT.index("| machine | trains in") :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_a_machine_with_amx() -> None:
    bench, other = record("bench_small_amx_2_threads"), record("bench_small_bf16_2_threads")
    assert (bench["machine"]["threads"], bench["machine"]["precision"]) == (2, "bfloat16")
    naive, made = bench["naive"], bench["training"]["products"]
    assert naive["verdicts_differ"] == 0
    shown = {row[1]: row[2:] for row in aims() if row[0] == "Intel Xeon with AMX"}
    *ratios, share = against_the_aims(bench)
    peak = f"{share} of {made['square_peak'] / 1e9:.0f} GFLOP/s"
    assert shown["bfloat16"] == [*ratios, peak]
    beside = other["training"]["products"]
    large, own = (made[peak] / beside[peak] for peak in ("square_peak", "products_peak"))
    assert f"a large matrix product is {large:.1f} times as fast there" in FLOWING
    assert f"those of a step of `small` {own:.1f} times" in FLOWING
    single = record("bench_small_amx_float32_2_threads")
    assert single["machine"]["precision"] == "float32"
    *ratios, share = against_the_aims(single)
    peak = f"{share} of {single['training']['products']['square_peak'] / 1e9:.0f} GFLOP/s"
    assert shown["float32"] == [*ratios, peak]


def test_figures_of_two_cores_are_the_recorded_ones() -> None:
    names = ("1_thread", "2_threads", "bf16_1_thread", "bf16_2_threads")
    found = {n: record(f"bench_small_{n}") for n in names}
    assert len({b["machine"]["hardware"].split(",")[0] for b in found.values()}) == 1
    for name, bench in found.items():
        assert bench["machine"]["threads"] == int(name.split("_")[-2])
        assert bench["machine"]["precision"] == ("bfloat16" if "bf16" in name else "float32")
    shown = rows("figure")

    def each(value: Any) -> list[str]:
        return [value(bench) for bench in found.values()]

    assert shown["training step"] == each(lambda b: f"{b['training']['step_ms']:.0f} ms")
    assert shown["training, of the peak"] == each(
        lambda b: f"{100 * b['training']['products']['share']:.0f} %"
    )
    assert shown["training, of its own products"] == each(
        lambda b: f"{100 * b['training']['products']['share_of_products']:.0f} %"
    )
    assert shown["inspection from the file, p50"] == each(
        lambda b: f"{b['inspection']['stages_ms']['total']['p50']:.0f} ms"
    )
    assert shown["inspection from the file, p99"] == each(
        lambda b: f"{b['inspection']['stages_ms']['total']['p99']:.0f} ms"
    )
    assert shown["inference, of the peak"] == each(
        lambda b: f"{100 * b['inspection']['products']['share']:.0f} %"
    )
    assert shown["training against the plain version"] == each(
        lambda b: f"{b['naive']['train_speedup']:.2f}x"
    )
    assert shown["inspection against the plain version"] == each(
        lambda b: f"{b['naive']['inspect_speedup']:.2f}x"
    )
    assert all(b["naive"]["verdicts_differ"] == 0 for b in found.values())
    single, both = record("bench_small_float32_2_threads"), found["bf16_2_threads"]
    assert single["machine"]["precision"] == "float32"
    peaks = [bench["training"]["products"]["square_peak"] for bench in (both, single)]
    assert f"bfloat16 to multiply {peaks[0] / peaks[1]:.1f} times as fast" in FLOWING
    assert [row[2:] for row in aims() if row[0] != "Intel Xeon with AMX"] == [
        against_the_aims(both),
        against_the_aims(found["bf16_1_thread"]),
        against_the_aims(single),
        against_the_aims(found["2_threads"], 1),
        against_the_aims(found["1_thread"]),
    ]
    faster = single["training"]["step_ms"] / both["training"]["step_ms"]
    assert f"a step is {faster:.1f} times as fast again" in FLOWING
    share = 100 * both["training"]["products"]["share"]
    high = f"at {share:.0f} % of a peak that is {peaks[0] / peaks[1]:.1f} times as high"
    assert high in FLOWING


def test_figures_of_a_gpu_are_the_recorded_ones() -> None:
    found = [record("gpu_paper_8"), record("gpu_paper_256_compiled")]
    assert {b["machine"]["hardware"] for b in found} == {"NVIDIA H200"}
    training, inspection = ([b[part] for b in found] for part in ("training", "inspection"))
    assert [t["batch"] for t in training] == [8, 256]
    assert found[1]["changes"] == {"batch": 256, "compiled": True}
    table = rows("figure | batch 8")

    def each(parts: list[Any], value: Any) -> list[str]:
        return [value(part) for part in parts]

    launched = each(training, lambda t: f"{sum(t['parts_ms'].values()):.0f} ms")
    assert table["training step, launched part by part"] == launched
    assert table["training step, replayed"] == each(training, lambda t: f"{t['step_ms']:.1f} ms")
    assert table["training, images a second"] == each(
        training, lambda t: f"{t['images_per_second']:.0f}"
    )
    assert table["training, of the peak"] == each(
        training, lambda t: f"{100 * t['products']['share']:.0f} %"
    )
    assert table["training, of its own products"] == each(
        training, lambda t: f"{100 * t['products']['share_of_products']:.0f} %"
    )
    assert table["GPU memory"] == each(training, lambda t: f"{t['peak_memory_mib'] / 1024:.1f} GiB")
    for row, stage in (("inspection from the file, p50", "total"),
                       ("inference alone, p50", "inference")):  # fmt: skip
        assert table[row] == each(
            inspection, lambda i, s=stage: f"{i['stages_ms'][s]['p50']:.1f} ms"
        )
    assert table["inference at the best batch, images a second"] == each(
        inspection, lambda i: f"{i['batches'][str(i['best_batch'])]:.0f}"
    )
    naive = found[0]["naive"]
    assert table["training against the plain version"][0] == f"{naive['train_speedup']:.1f}x"
    assert table["inspection against the plain version"][0] == f"{naive['inspect_speedup']:.1f}x"
    assert naive["verdicts_differ"] == 0
    minutes = 350 // 8 * 500 * training[0]["step_ms"] / 60_000
    assert f"come to {minutes:.1f} minutes" in FLOWING
    large = 350 * 500 / training[1]["images_per_second"] / 60
    assert (
        f"in batches of 256, compiled, come to {large:.1f} minutes, in {350 * 500 // 256}"
        in FLOWING
    )
    steps = record("gpu_steps")["steps"]
    gains = [steps[b]["step_ms"] / steps[f"{b}:compiled"]["step_ms"] for b in ("256", "8")]
    assert (
        f"then {gains[0]:.2f} times as fast at batch 256 and {gains[1]:.2f} at batch 8" in FLOWING
    )
    assert f"{steps['256:compiled']['warm_seconds']:.0f} s before the first steps" in FLOWING
    runs = json.loads((ROOT / "docs" / "results.json").read_text("utf-8"))
    run = next(r for r in runs if r["preset"] == "paper" and not r["changes"])
    took = run["train_seconds"]
    assert f"the {run['train_steps']} steps that are 500 epochs" in FLOWING
    assert f"took {took:.0f} s" in FLOWING
    assert f"which is {took / run['train_steps'] * 21_500 / 60:.1f} minutes for 350" in FLOWING


def test_cold_start() -> None:
    table = record("cold_start")["rows"]
    assert f"**{table['burnish inspect']['median_s']:.1f} s**" in FLOWING
    assert f"takes {table['import torch']['median_s']:.1f} s" in FLOWING


def test_memory_of_training_is_the_recorded_one() -> None:
    for count, row in record("train_memory")["images"].items():
        assert f"{int(count):,} images: {row['peak_mib_by_stage']['train']} MiB" in FLOWING


def test_token_merging() -> None:
    curve = record("tome_curve")
    with (ROOT / "docs" / "studies" / "merging-small.csv").open(encoding="utf-8") as file:
        runs = [(row["setting"].split()[2], float(row["image_auroc"])) for row in DictReader(file)]
    d, shown = curve["discriminator"], rows("r |")
    assert len(shown) == len(d["small"]) == len(d["paper"])
    for small, paper, step in zip(d["small"], d["paper"], d["whole_step_small"], strict=True):
        reached = [auroc for rate, auroc in runs if rate == str(small["r"])]
        assert shown[str(small["r"])] == [
            *merged(small), share(step["against_r0"]),
            share(mean(reached), 3) if reached else "-", *merged(paper),
        ]  # fmt: skip
    sizes = {"small": "ms of D's {:.0f} at `small`", "paper": "of {:.0f} at the paper's size"}
    for name, words in sizes.items():
        spent = [row["merging_ms"] for row in d[name][1:]]
        whole = words.format(d[name][0]["ms"])
        assert f"{min(spent):.1f} to {max(spent):.1f} {whole}" in FLOWING


def test_token_merging_in_the_generator() -> None:
    *measured, _ = record("tome_curve")["generator"]["rows"]  # the last merges no more than before
    shown = rows("r in the generator")
    assert len(shown) == len(measured)
    for row in measured:
        costs = [share(row[key]) for key in ("gflop", "time_against_r0")]
        left = str(row["tokens"][1])
        assert shown[str(row["r"])] == [left, *costs, share(row["image_auroc"], 3)]


def share(value: float, digits: int = 2) -> str:
    return f"{value:.{digits}f}".lstrip("0")


def merged(row: dict[str, Any]) -> list[str]:
    shares = [share(row[f"{what}_against_r0"]) for what in ("flops", "time")]
    return [str(row["tokens"][-1]), *shares]
