"""End in an orderly way on SIGTERM, so that context managers clean up."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_asked: list[int] = []  # exit codes for the signals received


@contextmanager
def clean_end() -> Iterator[None]:
    """Inside, SIGTERM raises `SystemExit` with code 143. Main thread only."""

    def end(number: int, frame: object) -> None:
        _asked.append(128 + number)
        check_end()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _asked.clear()
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        try:
            check_end()
        finally:
            _asked.clear()


def check_end() -> None:
    """Exit if SIGTERM was received: a library may have swallowed the exception (torch's tracing
    does, once in many runs)."""
    if _asked:
        sys.exit(_asked[0])
