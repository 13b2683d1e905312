"""Which precision this machine trains fastest in."""

from __future__ import annotations

import time
from functools import lru_cache

import torch

from burnish.settings import Settings

PAYS = 1.2  # times as fast bfloat16 must multiply, or its lower precision buys nothing
SIDE, ROUNDS = 768, 5  # of the matrices raced; about 50 ms in all


@lru_cache
def bfloat16_pays(accelerator: str) -> bool:
    """Whether bfloat16 is faster than float32 here.

    A CUDA device that has it is believed. A processor is measured: AVX512-BF16 without AMX can be
    half as fast as float32 (seen on a Xeon whose AMX the virtual machine hides).
    """
    if accelerator in ("auto", "cuda") and torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if accelerator == "mps" or (accelerator == "auto" and torch.backends.mps.is_available()):
        return False
    if not (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()):
        return False
    return matmul_seconds(torch.float32) >= PAYS * matmul_seconds(torch.bfloat16)


def matmul_seconds(kind: torch.dtype) -> float:
    """The shortest of a few products of two square matrices of side 768, on the CPU."""
    left, right = torch.ones(SIDE, SIDE, dtype=kind), torch.ones(SIDE, SIDE, dtype=kind)
    times = []
    with torch.inference_mode():
        for _ in range(ROUNDS + 1):
            start = time.perf_counter()
            torch.mm(left, right)
            times.append(time.perf_counter() - start)
    return min(times[1:])  # the first one sets up


def resolve_precision(settings: Settings) -> Settings:
    """`precision` auto replaced by what it means on this machine: a run must not change later."""
    if settings.precision != "auto":
        return settings
    found = "bfloat16" if bfloat16_pays(settings.accelerator) else "float32"
    return settings.model_copy(update={"precision": found})


def training_precision(settings: Settings) -> str:
    """Lightning Fabric's name of the precision: weights stay float32, bfloat16 is autocast."""
    resolved = resolve_precision(settings).precision
    return "bf16-mixed" if resolved == "bfloat16" else "32-true"
