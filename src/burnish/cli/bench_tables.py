"""The tables of `burnish bench`, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from burnish.bench.record import (
        Against,
        Bench,
        FormatFigures,
        InspectionFigures,
        Machine,
        Products,
        TrainingFigures,
    )

BAR = 30  # characters of a whole


def bench_tables(found: Bench) -> Iterator[Table]:
    """What was measured, one table each."""
    yield _machine(found.machine, found)
    if found.training is not None:
        yield _parts(found.training)
        yield _training(found.training, found.machine)
    if found.inspection is not None:
        yield _stages(found.inspection)
        yield _inspection(found.inspection)
    if found.naive is not None:
        yield _against(found.naive)
    if found.models:
        yield _models(found.models)


def _facts() -> Table:
    from rich.table import Table

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _figures(title: str, *columns: str) -> Table:
    from rich.table import Table

    table = Table(title=title, box=None, padding=(0, 2, 0, 0), title_justify="left")
    table.add_column(columns[0], overflow="fold", min_width=12)
    for column in columns[1:]:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _machine(m: Machine, found: Bench) -> Table:
    table = _facts()
    table.add_row("machine", m.hardware)
    if found.preset:
        changes = "".join(f", {k}={v}" for k, v in found.changes.items())
        table.add_row("preset", f"{found.preset}{changes}; training in {m.precision}")
    table.add_row("images", found.data)
    return table


def _parts(t: TrainingFigures) -> Table:
    table = _figures("training, one step", "part", "ms", "share")
    table.add_column("")
    whole = sum(t.parts_ms.values())
    for name, ms in t.parts_ms.items():
        share = ms / whole
        table.add_row(name, f"{ms:.1f}", f"{100 * share:.0f} %", "█" * round(BAR * share))
    table.add_row("[bold]step", f"[bold]{whole:.1f}")
    if t.replayed:
        table.add_row("[bold]replayed as a CUDA graph", f"[bold]{t.step_ms:.1f}")
    return table


def _training(t: TrainingFigures, machine: Machine) -> Table:
    table = _facts()
    channels, height, width = t.input
    table.add_row(
        "batch",
        f"{t.batch} images of {width} x {height} px, {channels} channel"
        f"{'s' if channels > 1 else ''}; {t.steps} steps timed",
    )
    table.add_row("step", f"p50 {t.step_ms_p50:.1f} ms, p99 {t.step_ms_p99:.1f} ms")
    table.add_row("speed", f"{t.images_per_second:.1f} images/s")
    of = "process" if machine.device == "cpu" else "GPU"
    table.add_row("peak memory", f"{t.peak_memory_mib:,.0f} MiB ({of})")
    _products(table, t.products, "step")
    return table


def _products(table: Table, p: Products, unit: str) -> None:
    giga = 1e9
    table.add_row("counted", f"{p.flops / giga:.1f} GFLOP a {unit}")
    table.add_row(
        "reached",
        f"{p.reached / giga:,.0f} GFLOP/s: {100 * p.share:.0f} % of this machine's matrix-multiply "
        f"peak ({p.square_peak / giga:,.0f}), {100 * p.share_of_products:.0f} % of what the "
        f"{unit}'s own products reach alone ({p.products_peak / giga:,.0f})",
    )


def _stages(i: InspectionFigures) -> Table:
    table = _figures("inspection, one image from its file", "stage", "p50 ms", "p99 ms")
    for name, ms in i.stages_ms.items():
        mark = "[bold]" if name == "total" else ""
        table.add_row(f"{mark}{name}", f"{mark}{ms.p50:.2f}", f"{mark}{ms.p99:.2f}")
    return table


def _inspection(i: InspectionFigures) -> Table:
    table = _facts()
    height, width = i.source_size
    table.add_row("images", f"{i.images} judged, of {width} x {height} px")
    table.add_row("speed", f"{i.images_per_second:.1f} images/s, one at a time")
    one, best = i.batches[1], i.batches[i.best_batch]
    gain = "batching gives nothing here" if best < 1.05 * one else f"{best / one:.2f} times batch 1"
    rates = ", ".join(f"{size}: {rate:.1f}" for size, rate in i.batches.items())
    table.add_row("by batch", f"{rates} (images/s of inference alone)")
    ms = i.best_batch_ms
    table.add_row(
        "best batch",
        f"{i.best_batch}: {gain}; inference p50 {ms.p50:.1f} ms, p99 {ms.p99:.1f} ms a batch, "
        f"{ms.p50 / i.best_batch:.2f} ms an image. burnish scores one at a time, so that the other "
        "images of a batch never change a score",
    )
    table.add_row("peak memory", f"{i.peak_memory_mib:,.0f} MiB")
    _products(table, i.products, "inference")
    return table


def _against(a: Against) -> Table:
    table = _figures(
        "against the plain version, in turns",
        "",
        "burnish ms",
        "plain ms",
        "speedup",
        "largest difference",
    )
    table.add_row(
        "training step",
        f"{a.train_ms:.1f}",
        f"{a.train_naive_ms:.1f}",
        f"{a.train_speedup:.2f}x",
        f"{a.train_difference:.1e} of a loss",
    )
    table.add_row(
        "inspection",
        f"{a.inspect_ms:.2f}",
        f"{a.inspect_naive_ms:.2f}",
        f"{a.inspect_speedup:.2f}x",
        f"{a.inspect_difference:.1e} of a score, {a.verdicts_differ} verdicts",
    )
    return table


def _models(models: list[FormatFigures]) -> Table:
    table = _figures(
        f"models side by side, {models[0].images} images in turns",
        "model",
        "on",
        "MiB",
        "p50 ms",
        "p99 ms",
        "AUROC",
        "score\ndiffers by",
        "verdicts\ndiffer",
    )
    for m in models:
        path = Path(m.path)
        table.add_row(
            str(Path(path.parent.name) / path.name),
            m.device,
            f"{m.size_mib:.1f}",
            f"{m.ms.p50:.2f}",
            f"{m.ms.p99:.2f}",
            "n/a" if m.image_auroc is None else f"{m.image_auroc:.4f}",
            f"{m.score_difference:.2g}",
            str(m.verdicts_differ),
        )
    return table
