"""Which precision this machine trains fastest in."""

from __future__ import annotations

import torch

from burnish.settings import Settings


def has_fast_bfloat16(accelerator: str) -> bool:
    """Whether the device multiplies bfloat16 matrices in hardware (AVX512-BF16, AMX, CUDA)."""
    if accelerator in ("auto", "cuda") and torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if accelerator == "mps" or (accelerator == "auto" and torch.backends.mps.is_available()):
        return False
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def training_precision(settings: Settings) -> str:
    """Lightning Fabric's name of the precision: weights stay float32, bfloat16 is autocast."""
    if settings.precision == "float32":
        return "32-true"
    if settings.precision == "bfloat16" or has_fast_bfloat16(settings.accelerator):
        return "bf16-mixed"
    return "32-true"
