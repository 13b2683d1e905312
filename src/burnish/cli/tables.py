"""The tables of an evaluation, for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from burnish.evaluation.record import Evaluation


def number(value: float | None, digits: int = 3) -> str:
    """`.912`-like text; "n/a" for None."""
    return "n/a" if value is None else f"{value:.{digits}f}"


def percent(value: float | None) -> str:
    return "n/a" if value is None else f"{100 * value:.1f} %"


def overall(e: Evaluation) -> Table:
    """The figures of the whole test set."""
    from rich.table import Table

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    alarms = f"{percent(e.false_alarm_rate_got)} got, {percent(e.false_alarm_rate_wanted)} wanted"
    rows = {
        "images": f"{e.n_good} good, {e.n_defect} defective",
        "image AUROC": number(e.image_auroc),
        "average precision": number(e.average_precision),
        "F1 at the calibrated threshold": f"{number(e.f1)}  (precision {number(e.precision)}, "
        f"recall {number(e.recall)})",
        "best F1 (threshold chosen on test data, display only)": number(e.best_f1),
        "F1 of calling everything defective": number(e.all_positive_f1),
        "false alarms": f"{alarms} ({e.false_alarms} of {e.n_good})",
        "escapes (missed defects)": f"{percent(e.escape_rate)} ({e.missed} of {e.n_defect})",
        "ms per image": f"{e.ms_per_image:.1f}",
    }
    for name, value in rows.items():
        table.add_row(f"[bold]{name}", value)
    return table


def by_kind(e: Evaluation) -> Table:
    """One row a kind of image."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("defect", "images", "caught", "image AUROC", "median score"):
        table.add_column(column, justify="left" if column == "defect" else "right")
    for kind in e.kinds:
        caught = f"{kind.caught} ({percent(kind.recall)})"
        score = f"{kind.median_score:.4g}"
        table.add_row(kind.kind, str(kind.images), caught, number(kind.image_auroc), score)
    return table
