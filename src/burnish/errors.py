"""The exception for everything that a user can mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BurnishError(Exception):
    """Something the user can mend: the message says what was found, where, and what to do.

    The command line prints the message alone and exits with code 2.
    """


class BrokenModel(BurnishError):
    """A score that is no number: no verdict must be made of it, as it exceeds no threshold."""


def nearest(name: str, known: Iterable[str]) -> str:
    """`" Did you mean 'x'?"` for the known name closest to `name`, or `""` when none is near."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" Did you mean '{close[0]}'?" if close else ""
