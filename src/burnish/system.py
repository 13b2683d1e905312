"""What Windows does otherwise: locks, syncs, writing at a place, drives, quotes."""

from __future__ import annotations

import os
import shlex
import subprocess
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import IO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_writing = threading.Lock()


@contextmanager
def folder_lock(folder: Path) -> Iterator[bool]:
    """Hold a folder's lock, which ends with the process; yields False if another one has it.

    On Windows, where folders have none, it is a file beside. Where the file system knows no locks
    nobody is kept out.
    """
    if fcntl is None:
        beside = folder.absolute()
        with file_lock(beside.with_name(f".{beside.name}.lock"), wait=False) as ours:
            yield ours
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        yield _lock(handle, fcntl.LOCK_EX)
    finally:
        os.close(handle)  # releases the lock, as the end of the process would


@contextmanager
def file_lock(path: Path, wait: bool) -> Iterator[bool]:
    """Hold the lock that a file of its own stands for; yields whether it could be had.

    The locks of a process that dies are released.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def mark_in_use(file: IO[bytes]) -> None:
    """Share a file's lock until the file is closed; on Windows that it is open is enough."""
    if fcntl is not None:
        _lock(file.fileno(), fcntl.LOCK_SH)


def in_use(path: Path) -> bool:
    """Whether somebody has marked a file as in use; False if it is not there."""
    try:
        if fcntl is None:  # an open file cannot be renamed
            aside = path.with_name(f"{path.name}.free")
            os.replace(path, aside)
            os.replace(aside, path)
            return False
        with open(path, "rb") as file:
            return not _lock(file.fileno(), fcntl.LOCK_EX)
    except FileNotFoundError:
        return False
    except OSError:
        return fcntl is None


def _lock(handle: int, kind: int) -> bool:
    """Whether nobody else has the lock: it is ours then, if there are any."""
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network file systems have no locks
        pass
    return True


def sync_file(path: Path) -> None:
    """Make what was written to a file survive a power cut."""
    # Windows syncs only what may be written to.
    with open(path, "r+b" if fcntl is None else "rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power cut; Windows opens no folders."""
    if fcntl is None:
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def open_to_write_at(path: Path) -> int:
    """Open a file for `write_at`; the caller closes it with `os.close`."""
    return os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))


def write_at(file: int, data: memoryview, offset: int) -> None:
    """Write all of `data` at a place of an open file, from any thread."""
    while data:
        if hasattr(os, "pwrite"):
            written = os.pwrite(file, data, offset)
        else:
            with _writing:
                os.lseek(file, offset, os.SEEK_SET)
                written = os.write(file, data)
        data, offset = data[written:], offset + written


def size_on_disk(path: Path) -> int:
    """Bytes that a file takes on the disk, holes left out where the system tells; 0 without it."""
    with suppress(FileNotFoundError):
        status = path.stat()
        return getattr(status, "st_blocks", -(-status.st_size // 512)) * 512
    return 0


def quoted(path: Path) -> str:
    """A path as one word of a command to be copied: cmd of Windows knows no single quotes."""
    return shlex.quote(str(path)) if fcntl is not None else subprocess.list2cmdline([str(path)])


def common_folder(folders: Iterable[PurePath]) -> PurePath | None:
    """The deepest folder that all of them, absolute and at least one, are or lie below; None if
    there is none, as on two drives of Windows, where `os.path.commonpath` raises an error."""
    first, *others = set(folders)
    for folder in (first, *first.parents):
        if all(other.is_relative_to(folder) for other in others):
            return folder
    return None
