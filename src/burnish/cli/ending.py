"""Asked to end by SIGTERM, what cleans up behind itself does so."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_asked: list[int] = []  # exit codes of those who asked


@contextmanager
def clean_end() -> Iterator[None]:
    """Inside, SIGTERM ends what runs there with exit code 143. Main thread only."""

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
    """End if that was asked for: a library may have swallowed it on its way out (torch's tracing,
    once in many runs)."""
    if _asked:
        sys.exit(_asked[0])
