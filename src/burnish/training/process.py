"""The process of a training run: devices, signals, determinism."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from lightning_fabric import Fabric

from burnish.errors import BurnishError
from burnish.settings import Settings
from burnish.training.hardware import training_precision


def is_worker() -> bool:
    """Whether this is a helper process that Fabric started for another device (DDP)."""
    return int(os.environ.get("LOCAL_RANK", "0")) > 0


def launch(settings: Settings, batch: int) -> Fabric:
    """Fabric on the devices of `settings`, its processes started.

    Raises:
        BurnishError: no such devices, or `batch` does not divide among them.
    """
    s = settings
    if batch % s.devices:
        most = f" (all there is to learn from; {s.batch} was asked for)" if batch < s.batch else ""
        raise BurnishError(
            f"batch {batch}{most} does not divide among {s.devices} devices: "
            "choose another, or fewer devices"
        )
    for name in ("lightning_fabric", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # cuBLAS is deterministic only with a fixed workspace.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    precision: Any = training_precision(s)
    strategy = "ddp" if s.devices > 1 else "auto"
    try:
        fabric = Fabric(
            accelerator=s.accelerator, devices=s.devices, precision=precision, strategy=strategy
        )
        fabric.launch()
    except (RuntimeError, ValueError) as error:
        raise BurnishError(
            f"cannot train on {s.devices} x {s.accelerator}: {error}. "
            "`burnish doctor` shows what this machine has"
        ) from error
    return fabric


@contextmanager
def stop_on_signals(stop: threading.Event) -> Iterator[None]:
    """SIGINT and SIGTERM set `stop`; a second one acts as it did before. Main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for kind, handler in before.items():
            signal.signal(kind, handler)

    def on_signal(kind: int, frame: object) -> None:
        stop.set()
        restore()

    for kind in before:
        signal.signal(kind, on_signal)
    try:
        yield
    finally:
        restore()


@contextmanager
def float32_by_default() -> Iterator[None]:
    """Make and train networks in float32 and with gradients, whatever the caller has set as torch's
    default or has switched off: a notebook that looks at pictures needs none."""
    before, kept = torch.get_default_dtype(), torch.is_autocast_cache_enabled()
    torch.set_default_dtype(torch.float32)
    try:
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
            for kind in ("cpu", "cuda"):
                if torch.is_autocast_enabled(kind):
                    stack.enter_context(torch.autocast(kind, enabled=False))
                    # Within the caller's autocast, ours would keep the weights of the first step.
                    torch.set_autocast_cache_enabled(False)
            yield
    finally:
        torch.set_default_dtype(before)
        torch.set_autocast_cache_enabled(kept)


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Use deterministic kernels on a GPU; a CPU's already are, for a fixed number of threads."""
    if device.type != "cuda":
        yield
        return
    before = torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    filled = memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    memory.fill_uninitialized_memory = False  # would be a third of all kernels, for nothing here
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warned)
        memory.fill_uninitialized_memory = filled
