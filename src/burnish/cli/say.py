"""Sentences on the terminal that may hold file names or other text from outside burnish."""

from __future__ import annotations

from typing import TYPE_CHECKING

from burnish.files import visible

if TYPE_CHECKING:
    from burnish.cli.console import Console


def say(console: Console, text: str) -> None:
    """Print `text` as one line, however long: no markup, no colours, no wrapping, no commands.

    Scripts read these lines, and neither brackets nor :colons: in a file name are markup.
    """
    console.print(visible(text), highlight=False, markup=False, emoji=False, soft_wrap=True)
