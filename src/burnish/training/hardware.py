"""The precision that this machine trains fastest in, and whether its cores are free."""

from __future__ import annotations

import time
from functools import lru_cache
from pathlib import Path

import torch

from burnish.settings import Settings

PAYS = 1.5  # times as fast bfloat16 must be; where the processor is built for it, it is 2 to 8
SIDE, ROUNDS = 512, 20  # of the matrices raced, in turns; about 0.1 s in all


@lru_cache
def bfloat16_pays(accelerator: str) -> bool:
    """Whether bfloat16 is faster than float32 here.

    A CUDA device that supports it is trusted. A CPU is measured: AVX512-BF16 without AMX can be
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
    """Shortest time, s, of many products of two square matrices of side 512 on the CPU, per dtype.

    The dtypes take turns, so that other load on the machine slows all of them alike.
    """
    pairs = {kind: torch.ones(2, SIDE, SIDE, dtype=kind) for kind in kinds}
    times: dict[torch.dtype, list[float]] = {kind: [] for kind in kinds}
    with torch.inference_mode():
        for _ in range(ROUNDS + 1):
            for kind, (left, right) in pairs.items():
                start = time.perf_counter()
                torch.mm(left, right)
                times[kind].append(time.perf_counter() - start)
    return [min(times[kind][1:]) for kind in kinds]  # the first call sets up


def cores_taken(stat: Path = Path("/proc/stat"), seconds: float = 0.2) -> tuple[float, int] | None:
    """How many cores other programs keep busy while this one sleeps, and how many there are; None
    if the system does not say (Linux does)."""

    def ticks() -> tuple[int, int, int]:
        lines = stat.read_text().splitlines()
        spent = list(map(int, lines[0].split()[1:9]))
        return spent[3] + spent[4], sum(spent), sum(line[:3] == "cpu" for line in lines) - 1

    try:
        idle, total, _ = ticks()
        time.sleep(seconds)
        idle_after, total_after, cores = ticks()
    except (OSError, ValueError, IndexError):
        return None
    return cores * (1 - (idle_after - idle) / max(1, total_after - total)), cores


def crowded(accelerator: str) -> list[str]:
    """A note if a CPU is to train and has fewer free cores than threads, else none.

    Threads wait for each other after every product, so that all wait for the one without a core: a
    step may take ten times as long, while a single thread would lose next to nothing.
    """
    threads = torch.get_num_threads()
    elsewhere = accelerator not in ("auto", "cpu") or torch.cuda.is_available()
    found = None if threads == 1 or elsewhere else cores_taken()
    if found is None or found[1] - found[0] > threads - 0.5:
        return []
    return [
        f"other programs keep about {found[0]:.1f} of {found[1]} cores busy: {threads} threads "
        "that wait for each other may then be several times slower than fewer "
        "(OMP_NUM_THREADS=1 before the command sets their number; weights are then rounded "
        "otherwise)"
    ]


def other_threads(before: int | None, device: torch.device) -> list[str]:
    """A note if a run on a CPU is resumed with another number of threads, else none.

    Args:
        before: threads so far; None if unknown, as for older checkpoints.
    """
    now = torch.get_num_threads()
    if device.type != "cpu" or before in (None, now):
        return []
    many = "1 thread" if before == 1 else f"{before} threads"
    return [
        f"trained with {many} so far, now {now}: the weights will not be those of an unbroken run "
        f"(OMP_NUM_THREADS={before} before the command keeps their number)"
    ]


def resolve_precision(settings: Settings) -> Settings:
    """Replace precision "auto" by what it means on this machine, so that a run never changes it."""
    if settings.precision != "auto":
        return settings
    found = "bfloat16" if bfloat16_pays(settings.accelerator) else "float32"
    return settings.model_copy(update={"precision": found})


def training_precision(settings: Settings) -> str:
    """Lightning Fabric's name of the precision: weights stay float32, bfloat16 is autocast."""
    resolved = resolve_precision(settings).precision
    return "bf16-mixed" if resolved == "bfloat16" else "32-true"
