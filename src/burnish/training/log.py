"""Loss terms per epoch: a CSV always, TensorBoard if it is installed."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from burnish.files import atomic_write
from burnish.tables import csv_text
from burnish.training.step import LOSS_TERMS

LOSSES, BOARD = "losses.csv", "tensorboard"


def forget_losses(folder: Path) -> None:
    """Remove the logs of an earlier run from its folder."""
    (folder / LOSSES).unlink(missing_ok=True)
    for events in (folder / BOARD).glob("events.out.tfevents.*"):
        events.unlink()


class LossLog:
    """Rewrites `losses.csv` after every epoch, so that it never ends in half a line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def board(self) -> Any:
        """Opened at the first row: until then the folder may belong to another run."""
        return _tensorboard(self.folder / BOARD)

    def write(self, rows: list[dict[str, float]]) -> None:
        """Write `rows`, the mean loss terms of every epoch so far, the newest last."""
        columns = ["epoch", "step", "seconds", *[n for n in LOSS_TERMS if n in rows[-1]]]
        lines = ({n: row[n] for n in columns if n in row} for row in rows)
        atomic_write(self.folder / LOSSES, csv_text(columns, lines))
        if self.board is not None:
            for name in columns[3:]:
                self.board.add_scalar(f"loss/{name}", rows[-1][name], int(rows[-1]["step"]))
            self.board.flush()


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder))
