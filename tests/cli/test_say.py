"""Sentences on the terminal."""

from __future__ import annotations

import io

from rich.console import Console

from burnish.cli.say import say


def test_names_of_files_are_printed_as_they_are() -> None:
    stream = io.StringIO()
    text = "lot [red]7[/red] :smile: " + "long " * 60 + "end.png"
    say(Console(file=stream, force_terminal=True, width=40), text)
    assert stream.getvalue() == text + "\n"
