"""Which precision this machine trains fastest in."""

from __future__ import annotations

import time
from functools import lru_cache

import torch

from burnish.settings import Settings

PAYS = (
    1.5  # times as fast bfloat16 must multiply; where the processor is built for it, it is 2 to 8
)
SIDE, ROUNDS = 512, 20  # of the matrices raced, in turns; about 0.1 s in all


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
    single, half = matmul_seconds(torch.float32, torch.bfloat16)
    return single >= PAYS * half


def matmul_seconds(*kinds: torch.dtype) -> list[float]:
    """The shortest of many products of two square matrices of side 512, on the CPU, by type.

    In turns, so that a machine busy with other things is so for all types.
    """
    pairs = {kind: torch.ones(2, SIDE, SIDE, dtype=kind) for kind in kinds}
    times: dict[torch.dtype, list[float]] = {kind: [] for kind in kinds}
    with torch.inference_mode():
        for _ in range(ROUNDS + 1):
            for kind, (left, right) in pairs.items():
                start = time.perf_counter()
                torch.mm(left, right)
                times[kind].append(time.perf_counter() - start)
    return [min(times[kind][1:]) for kind in kinds]  # the first one sets up


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
