"""The hardware that a figure was measured on."""

from __future__ import annotations

import platform
from pathlib import Path


def hardware(device: str, threads: int) -> str:
    """The name of the GPU, or of the processor with the number of threads."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(0)
    return f"{_processor()}, {threads} thread{'s' if threads > 1 else ''}"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except (OSError, UnicodeDecodeError):
        pass
    return platform.processor() or platform.machine()
