"""End in an orderly way on SIGTERM and SIGHUP, so that context managers clean up."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# SIGHUP, which Windows lacks, comes when the terminal is closed.
SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]

_asked: list[int] = []  # exit codes for the signals received


@contextmanager
def clean_end() -> Iterator[None]:
    """Inside, SIGTERM raises `SystemExit` with code 143, SIGHUP with 129. Main thread only.

    One that is ignored, as SIGHUP under nohup, stays so.
    """

    def end(number: int, frame: object) -> None:
        _asked.append(128 + number)
        check_end()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _asked.clear()
    before = {kind: signal.getsignal(kind) for kind in SIGNALS}
    before = {kind: handler for kind, handler in before.items() if handler != signal.SIG_IGN}
    for kind in before:
        signal.signal(kind, end)
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
        try:
            check_end()
        finally:
            _asked.clear()


def check_end() -> None:
    """Exit if a signal was received: a library may have swallowed the exception (torch's tracing
    does, once in many runs)."""
    if _asked:
        sys.exit(_asked[0])
