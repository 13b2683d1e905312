"""Freed memory is kept for the next step instead of being given back and faulted in again.

Training and inspection free and ask for the same blocks of some MB again and again. The GNU C
library at first returns them to the system each time; the pages then come back one fault at a
time, zeroed. It adapts after some ten training steps, so a long training gains little, an
inspection about 8 % (benchmarks/levers.json). Elsewhere (musl, macOS, Windows) nothing is done.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

MIB = 1 << 20
# From <malloc.h>. Blocks above the threshold, at most 32 MiB, are mapped on their own.
TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3
KEPT = {MMAP_THRESHOLD: 32 * MIB, TRIM_THRESHOLD: 1024 * MIB, TOP_PAD: 64 * MIB}
# Where the library's own adaptation would end. Once set, it does not adapt any more.
USUAL = {MMAP_THRESHOLD: 32 * MIB, TRIM_THRESHOLD: 64 * MIB, TOP_PAD: MIB // 8}


def keep_freed_memory() -> None:
    """Keep up to 1 GiB of freed memory until the process ends."""
    library = _glibc()
    if library is not None:
        _set(library, KEPT)


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Keep up to 1 GiB of freed memory; give it back on leaving."""
    library = _glibc()
    if library is None:
        yield
        return
    _set(library, KEPT)
    try:
        yield
    finally:
        _set(library, USUAL)
        library.malloc_trim(0)


def _set(library: ctypes.CDLL, options: dict[int, int]) -> None:
    for option, value in options.items():
        library.mallopt(option, value)


def _glibc() -> ctypes.CDLL | None:
    if platform.libc_ver()[0] != "glibc":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
