"""Checkpoints: everything a run needs to resume bit for bit, in one safetensors file.

All randomness is drawn from (seed, step) or (seed, epoch), so no generator state needs saving.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.optim import Optimizer

from burnish.errors import BurnishError
from burnish.files import save_tensors

FORMAT = 1
CHECKPOINT = "checkpoint.safetensors"


@dataclass
class Progress:
    """Where a run stands.

    Attributes:
        step: optimiser steps done.
        seconds: training time spent, over all sittings.
        sums: loss terms summed over the steps of the epoch under way.
        rows: one dict of mean loss terms per finished epoch.
        threads: CPU threads of the last step, which rounding depends on; None: not known.
    """

    step: int = 0
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    rows: list[dict[str, float]] = field(default_factory=list)
    threads: int | None = None

    def row(self, steps_per_epoch: int) -> dict[str, float]:
        """The epoch of the last step: the mean of each loss term in it so far."""
        epoch = (self.step - 1) // steps_per_epoch + 1
        steps = self.step - (epoch - 1) * steps_per_epoch
        means = {name: total / steps for name, total in self.sums.items()}
        return {"epoch": epoch, "step": self.step, "seconds": self.seconds, **means}


def save_state(
    path: Path,
    networks: Mapping[str, nn.Module],
    optimizers: Mapping[str, Optimizer],
    progress: Progress,
    identity: Mapping[str, Any],
) -> None:
    """Write weights, optimiser moments, progress and the run's identity in one step.

    Raises:
        BurnishError: a weight is not finite (the file on disk stays as it was), or the folder
            cannot be written to.
    """
    tensors: dict[str, Tensor] = {}
    for name, network in networks.items():
        for key, value in network.state_dict().items():
            tensors[f"{name}/{key}"] = value.detach().cpu().contiguous()
    for name, optimizer in optimizers.items():
        for index, moments in optimizer.state_dict()["state"].items():
            for key, value in moments.items():
                tensors[f"{name}/{index}/{key}"] = torch.as_tensor(value).cpu().contiguous()
    for key, value in tensors.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise BurnishError(
                f"training diverged: {key} is not finite at step {progress.step}. "
                "Train again with --overwrite and a lower learning_rate"
            )
    done = asdict(progress)
    threads = done.pop("threads")
    header = {"format": FORMAT, "progress": done, "threads": threads, **identity}
    save_tensors(path, tensors, {"burnish-state": json.dumps(header)})


def load_state(
    path: Path, networks: Mapping[str, nn.Module], optimizers: Mapping[str, Optimizer]
) -> Progress:
    """Put a saved state back into networks and optimisers of the same shape.

    Raises:
        BurnishError: as `read_header`, or the tensors are not those of these networks.
    """
    header = read_header(path)
    with safe_open(path, "pt") as file:
        # Copied: the optimisers would keep the file's own pages, and Windows replaces no such file.
        names = file.keys()
        tensors = {name: file.get_tensor(name).clone() for name in names}
    try:
        progress = Progress(**header["progress"], threads=header.get("threads"))
        for name, network in networks.items():
            own = {k.split("/", 1)[1]: v for k, v in tensors.items() if k.startswith(f"{name}/")}
            network.load_state_dict(own)
        for name, optimizer in optimizers.items():
            groups = optimizer.state_dict()["param_groups"]
            moments = _moments_of(name, optimizer, tensors)
            optimizer.load_state_dict({"state": moments, "param_groups": groups})
    except (RuntimeError, ValueError, KeyError, IndexError, TypeError) as error:
        raise _damaged(path) from error
    return progress


def _moments_of(
    name: str, optimizer: Optimizer, tensors: Mapping[str, Tensor]
) -> dict[int, dict[str, Tensor]]:
    """The saved moments of an optimiser, by number of the parameter and name.

    Raises:
        ValueError, IndexError: they are not those of its parameters.
    """
    parameters = [one for group in optimizer.param_groups for one in group["params"]]
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith(f"{name}/"):
            _, index, moment = key.split("/")
            moments.setdefault(int(index), {})[moment] = value
    for number, found in moments.items():
        shape = parameters[number].shape
        if {k: v.shape for k, v in found.items()} != {
            "step": torch.Size(), "exp_avg": shape, "exp_avg_sq": shape
        }:  # fmt: skip
            raise ValueError(f"moments of parameter {number}")
    return moments


def read_header(path: Path) -> dict[str, Any]:
    """The JSON part of a checkpoint: format, progress, settings, fingerprint of the data.

    Raises:
        BurnishError: not a burnish checkpoint, damaged, or of a newer format.
    """
    try:
        with safe_open(path, "pt") as file:
            header = dict(json.loads((file.metadata() or {})["burnish-state"]))
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, RecursionError) as error:
        raise _damaged(path) from error
    if header.get("format") != FORMAT:
        raise BurnishError(
            f"{path} has checkpoint format {header.get('format')}; this burnish reads {FORMAT}: "
            "use the burnish that wrote it, or remove it to start anew"
        )
    progress = header.get("progress")
    if not isinstance(header.get("settings", {}), dict) or not (
        isinstance(progress, dict)
        and isinstance(progress.get("step"), int)
        and isinstance(progress.get("seconds"), int | float)
    ):
        raise _damaged(path)
    return header


def _damaged(path: Path) -> BurnishError:
    return BurnishError(
        f"{path} is not a burnish checkpoint, or it is damaged: remove it to start anew"
    )
