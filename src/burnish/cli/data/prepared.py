"""What `burnish data prepare` and `burnish data stain` say of the folder that they wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from burnish.cli.say import say

if TYPE_CHECKING:
    from rich.table import Table

    from burnish.cli.console import Console
    from burnish.images.preparing.prepare import Prepared

SHOWN = 10  # images left out that are named on the terminal


def status_of(prepared: Prepared) -> str:
    """`OUT prepared`, say, or that nothing was to be done."""
    words = {"already there": "is already there, nothing has changed"}
    return f"{prepared.out} {words.get(prepared.status, prepared.status)}"


def counts_of(prepared: Prepared) -> Table:
    """Images by kind, and parts: one column for training, one for the test."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("", "train", "test"):
        table.add_column(column, justify="right" if column else "left")
    table.add_row("[bold]good", str(prepared.train), str(prepared.test.get("good", 0)))
    for kind, count in prepared.test.items():
        if kind != "good":
            table.add_row(escape(kind), "", str(count))
    table.add_row("[bold]parts", str(prepared.parts["train"]), str(prepared.parts["test"]))
    return table


def say_notes(console: Console, prepared: Prepared, left_out: str, rest: str) -> None:
    """The notes, and the first images that were left out.

    Args:
        left_out: what is said of them after their number.
        rest: where the others are named.
    """
    for note in prepared.notes:
        say(console, f"- {note}")
    if prepared.left_out:
        say(console, f"- {len(prepared.left_out)} images {left_out}:")
        for name, why in list(prepared.left_out.items())[:SHOWN]:
            say(console, f"    {name}: {why}")
        if len(prepared.left_out) > SHOWN:
            say(console, f"    and {len(prepared.left_out) - SHOWN} more{rest}")
