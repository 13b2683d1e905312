"""The exception for everything that a user can mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BurnishError(Exception):
    """Something the user can mend: the message says what was found, where, and what to do.

    The command line prints the message alone and exits with code 2.
    """


class BrokenModel(BurnishError):
    """A score that is no finite number: no verdict may be made of it, as NaN exceeds no threshold.

    `Detector.inspect` raises it, for all that build on results.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """`" Did you mean 'x'?"` for the known name closest to `name`, or `""` when none is near."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean '{close[0]}'?" if close else ""
