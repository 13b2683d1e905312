"""Progress of a study: a bar for all and one for each running cell, or a line an event."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from burnish.cli.progress import clock

if TYPE_CHECKING:
    from rich.progress import TaskID

    from burnish.cli.console import Console
    from burnish.studies.run import News


@contextmanager
def study_progress(console: Console, count: int) -> Iterator[Callable[[News], None]]:
    """Yield the `on_news` function for `run_study`; it may be called from several threads."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
    from rich.text import Text

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TextColumn("{task.fields[note]}"),
    )
    lock, begun, ended = threading.Lock(), {}, 0
    tasks: dict[str, TaskID] = {}
    start = time.monotonic()
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        overall = bar.add_task("study", total=max(count, 1), note="")

        def say(text: str) -> None:
            console.print(Text(text), highlight=False, soft_wrap=True)

        def on_news(news: News) -> None:
            nonlocal ended
            with lock:
                if news.stage == "begun":
                    begun[news.title] = time.monotonic()
                    tasks[news.title] = bar.add_task(news.title, total=1.0, note="")
                    say(f"begun: {news.title}")
                elif news.stage == "note":
                    say(f"note: {news.title}: {news.problem}")
                elif news.stage in ("finished", "failed"):
                    ended += 1
                    bar.remove_task(tasks.pop(news.title))
                    left = (time.monotonic() - start) / ended * (count - ended)
                    note = f"{clock(left)} left" if ended < count else ""
                    bar.update(overall, completed=ended, note=note)
                    took = clock(time.monotonic() - begun[news.title])
                    tail = f": {news.problem}" if news.problem else f" in {took}"
                    say(
                        f"{news.stage} {ended} of {count}: {news.title}{tail}"
                        f"{f'; {note}' if note else ''}"
                    )
                else:
                    bar.update(tasks[news.title], completed=news.done, note=news.stage)

        yield on_news
