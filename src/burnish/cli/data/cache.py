"""`burnish data cache`: what decoded images are kept, and a way to be rid of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from burnish.images.cache.room import Entry


def cache(
    clear: Annotated[
        bool, typer.Option("--clear", help="Remove every entry that no process is using.")
    ] = False,
) -> None:
    """Show the cache of decoded images that training reads from.

    It shows the folder, the limit and every entry, the one used last on top.
    BURNISH_CACHE sets the folder (default ~/.cache/burnish), BURNISH_CACHE_GB
    the limit (default 20). What was not used for longest goes first.
    """
    from burnish.cli.console import Console
    from burnish.images.cache.room import GB, cache_limit, cache_root, entries, remove

    console, root, limit = Console(), cache_root(), cache_limit()
    found = entries(root)
    taken = sum(entry.size for entry in found)
    if clear:
        freed = [entry.size for entry in found if remove(root, entry.folder)]
        kept = len(found) - len(freed)
        print(
            f"removed {_count(len(freed))} ({sum(freed) / 1e6:,.1f} MB) from {root}"
            + (f"; {_count(kept)} in use kept" if kept else "")
        )
        return
    print(f"{root}: {_count(len(found))}, {taken / GB:.2f} of {limit / GB:g} GB")
    if found:
        console.print(_table(found), highlight=False)


def _table(found: list[Entry]) -> Table:
    from datetime import datetime

    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("files", "MB", "last used", "folder"):
        table.add_column(
            column, justify="right" if column in ("files", "MB") else "left", overflow="fold"
        )
    for entry in reversed(found):
        used = datetime.fromtimestamp(entry.last_used).strftime("%Y-%m-%d %H:%M")
        files = "-" if entry.files is None else f"{entry.files:,}"
        table.add_row(
            files,
            f"{entry.size / 1e6:,.1f}",
            "in use" if entry.in_use else used,
            escape(entry.data or "(not finished; the next training on it goes on from here)"),
        )
    return table


def _count(number: int) -> str:
    return f"{number} entr{'y' if number == 1 else 'ies'}"
