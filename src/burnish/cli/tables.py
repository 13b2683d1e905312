"""The tables of an evaluation, for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from burnish.evaluation.pages import number
from burnish.evaluation.summary import percent

if TYPE_CHECKING:
    from rich.table import Table

    from burnish.evaluation.record import Evaluation, Interval

TRIVIAL_SHOWN = 5


def between(interval: Interval | None) -> str:
    """` [.871 to .943]`, or nothing."""
    return "" if interval is None else f" [{interval[0]:.3f} to {interval[1]:.3f}]"


def between_rates(interval: Interval | None) -> str:
    """` [1.1 to 10.1 %]`, or nothing."""
    return "" if interval is None else f" [{100 * interval[0]:.1f} to {100 * interval[1]:.1f} %]"


def overall(e: Evaluation) -> Table:
    """The figures of the whole test set; brackets hold 95 % intervals."""
    sure = e.intervals
    got, wanted = percent(e.false_alarm_rate_got), percent(e.false_alarm_rate_wanted)
    rows = {
        "images": f"{e.n_good} good, {e.n_defect} defective, of {e.n_parts} parts",
        "image AUROC": number(e.image_auroc) + between(sure.get("image_auroc")),
        "average precision": number(e.average_precision) + between(sure.get("average_precision")),
        "F1 at the calibrated threshold": f"{number(e.f1)}{between(sure.get('f1'))}  "
        f"(precision {number(e.precision)}, recall {number(e.recall)})",
        "best F1 (threshold chosen on test data, display only)": number(e.best_f1),
        "F1 of calling everything defective": number(e.all_positive_f1),
        "false alarms": f"{got}{between_rates(e.false_alarm_interval)} got, {wanted} wanted "
        f"({e.false_alarms} of {e.n_good})",
        "escapes (missed defects)": f"{percent(e.escape_rate)}"
        f"{between_rates(sure.get('escape_rate'))} ({e.missed} of {e.n_defect})",
    }
    if e.escapes_at:
        at = [f"{percent(x.escape_rate)} at {100 * x.false_alarm_rate:g} %" for x in e.escapes_at]
        name = "escapes at other false-alarm rates (display only)"
        rows[name] = ", ".join(at)
    return _facts(rows | _beside(e) | _of_pixels(e) | {"ms per image": f"{e.ms_per_image:.1f}"})


def _beside(e: Evaluation) -> dict[str, str]:
    """Rows to compare the image-level result with."""
    rows = {}
    if e.best_trivial is not None:
        best = e.best_trivial
        side = "higher" if best.higher_in_defects else "lower"
        rows["best trivial statistic"] = (
            f"AUROC {number(best.auroc)}: {best.label}, {side} in defects"
        )
    if e.equalised is not None:
        again = e.equalised
        rows["brightness and contrast equalised"] = (
            f"AUROC {number(again.image_auroc)}, false alarms {percent(again.false_alarm_rate)}, "
            f"escapes {percent(again.escape_rate)}"
        )
    if e.out_of_range:
        good = sum(not row.is_defect for row in e.out_of_range)
        rows["unlike the training images"] = (
            f"{good} of {e.n_good} good, {len(e.out_of_range) - good} of {e.n_defect} defective"
        )
    return rows


def _of_pixels(e: Evaluation) -> dict[str, str]:
    if e.pixels is None:
        return {"pixel level": f"n/a: {e.not_available.get('pixels', 'not asked for')}"}
    found, sure = e.pixels.overall, e.pixels.intervals
    left_out = [
        f"{count} {what}"
        for count, what in (
            (e.pixels.n_without_mask, "without a mask"),
            (len(e.pixels.mask_problems), "with a mask that cannot be used"),
        )
        if count
    ]
    out = f"; left out: {', '.join(left_out)}" if left_out else ""
    return {
        "pixel AUROC": number(found.auroc) + between(sure.get("auroc")),
        "pixel average precision": number(found.average_precision)
        + between(sure.get("average_precision"))
        + f"  (guessing {number(found.defect_share)})",
        f"AUPRO to {100 * e.pixels.aupro_limit:g} % false positives": number(found.aupro)
        + between(sure.get("aupro")),
        "pixel best F1 (display only)": number(found.best_f1),
        "masks": f"{found.components} regions in {found.images} images{out}",
    }


def by_kind(e: Evaluation) -> Table:
    """One row a kind of defect, against all good images."""
    # Headings in two lines: the cells then fit into 80 columns.
    columns = ["defect", "images", "caught", "image\nAUROC", "95 %", "median\nscore"]
    rows = []
    for kind in e.kinds:
        caught = f"{kind.caught} ({100 * kind.recall:.0f} %)"
        sure = kind.intervals.get("image_auroc")
        span = "n/a" if sure is None else f"{sure[0]:.2f}-{sure[1]:.2f}"
        row = [kind.kind, str(kind.images), caught, number(kind.image_auroc), span]
        row.append(f"{kind.median_score:.4g}")
        if e.pixels is not None:
            pixels = kind.pixels
            row += (
                ["n/a"] * 3
                if pixels is None
                else [number(pixels.auroc), number(pixels.average_precision), number(pixels.aupro)]
            )
        rows.append(row)
    if e.pixels is not None:
        columns += ["pixel\nAUROC", "pixel\nAP", "AUPRO"]
    return _table(columns, rows)


def trivial(e: Evaluation) -> Table:
    """What the strongest trivial statistics reach by themselves."""
    rows = [
        [
            f"{row.label} (does not count)" if row.follows_pixels else row.label,
            number(row.auroc),
            f"{row.median_good:.4g}",
            f"{row.median_defect:.4g}",
        ]
        for row in e.trivial[:TRIVIAL_SHOWN]
    ]
    return _table(["trivial statistic", "AUROC", "median good", "median defective"], rows)


def stress(e: Evaluation) -> Table:
    """The result on changed test images, at the same threshold."""
    rows = [
        [
            f"{row.change} {row.strength}",
            number(row.image_auroc),
            f"{percent(row.false_alarm_rate)} ({row.false_alarms} of {row.n_good})",
            f"{percent(row.escape_rate)} ({row.missed} of {row.n_defect})",
            percent(row.out_of_range),
        ]
        for row in e.stress
    ]
    return _table(["images", "AUROC", "false alarms", "escapes", "flagged unlike training"], rows)


def _facts(rows: dict[str, str]) -> Table:
    from rich.table import Table

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in rows.items():
        table.add_row(f"[bold]{_plain(name)}", _plain(value))
    return table


def _table(columns: list[str], rows: list[list[str]]) -> Table:
    """The first column to the left, the others to the right."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for place, column in enumerate(columns):
        table.add_column(
            column, justify="left" if place == 0 else "right", no_wrap=place == 0, overflow="fold"
        )
    for row in rows:
        table.add_row(*map(_plain, row))
    return table


def _plain(text: str) -> str:
    """Escape text for rich: brackets in it are not markup."""
    from rich.markup import escape

    return escape(text)
