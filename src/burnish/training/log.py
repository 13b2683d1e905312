"""Loss terms per epoch: a CSV always, TensorBoard if it is installed."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from burnish.files import atomic_write
from burnish.training.step import LOSS_TERMS


class LossLog:
    """Writes `losses.csv` whole after every epoch, so that it is never half a line."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "losses.csv"
        self.board = _tensorboard(folder / "tensorboard")

    def write(self, rows: list[dict[str, float]]) -> None:
        """`rows`: every finished epoch's mean terms so far, the newest last."""
        columns = ["epoch", "step", "seconds", *[n for n in LOSS_TERMS if n in rows[-1]]]
        text = io.StringIO()
        table = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)
        atomic_write(self.path, text.getvalue())
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
