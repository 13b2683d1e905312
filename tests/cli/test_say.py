"""Sentences on the terminal."""

from __future__ import annotations

import io

from rich.table import Table

from burnish.cli.console import Console
from burnish.cli.say import say

HOSTILE = "\x1b]0;title\x07\x1b[2K\x9b1m\u202egnp.\r\n"


def test_names_of_files_are_printed_as_they_are() -> None:
    stream = io.StringIO()
    text = "lot [red]7[/red] :smile: " + "long " * 60 + "end.png"
    say(Console(file=stream, force_terminal=True, width=40), text)
    assert stream.getvalue() == text + "\n"


def test_no_name_commands_the_terminal() -> None:
    """A name may hold what clears a line, sets the title or turns the direction of writing."""
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=200, color_system=None)
    say(console, f"a{HOSTILE}b")
    assert stream.getvalue() == "a\\x1b]0;title\\x07\\x1b[2K\\x9b1m\\u202egnp.\\r\\nb\n"
    table = Table(HOSTILE)
    table.add_row(f"kind {HOSTILE}")
    console.file = shown = io.StringIO()
    console.print(table)
    text = shown.getvalue()
    assert "kind" in text
    assert set(text) - {"\n"} == {c for c in text if c.isprintable()}


def test_colours_stay() -> None:
    stream = io.StringIO()
    Console(file=stream, force_terminal=True, color_system="standard").print("[red]bad[/red]")
    assert stream.getvalue() == "\x1b[31mbad\x1b[0m\n"
