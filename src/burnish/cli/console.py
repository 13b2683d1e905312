"""The terminal that tables, sentences and progress are printed on."""

from __future__ import annotations

from collections.abc import Iterable

from rich import console
from rich.segment import Segment

from burnish.files import visible


class Console(console.Console):
    """Rich's, but no text that is printed can command the terminal: see `visible`.

    Names of files, folders and settings come from outside; rich lets their escape sequences pass.
    """

    def render(
        self, renderable: console.RenderableType, options: console.ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """The parts of what is printed; its own commands, as of progress bars, stay."""
        for text, style, control in super().render(renderable, options):
            yield Segment(
                text if control else "\n".join(map(visible, text.split("\n"))), style, control
            )
