"""The cache's folder: where it lies, which entries it holds, how it stays within its limit.

    <root>/<key>/            one entry: index.json, pixels, and while building a journal
    <root>/locks/<key>.lock  held by whoever opens, builds or removes the entry

An entry's file `used` holds a shared lock as long as the pixels are mapped, and its mtime is the
time of the last use. An entry in use is never removed.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from burnish.errors import BurnishError
from burnish.images.cache.index import read_index
from burnish.system import file_lock, in_use, mark_in_use

ROOT_VARIABLE, LIMIT_VARIABLE = "BURNISH_CACHE", "BURNISH_CACHE_GB"
DEFAULT_LIMIT = 20.0  # GB
GB = 1_000_000_000
USED = "used"
KEY = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Entry:
    """One entry on disk.

    Attributes:
        size: bytes, those reserved by an unfinished build included.
        last_used: seconds since the epoch.
        files: number of source files; None while it is not finished.
        data: folder that all of them lie in; "" while it is not finished.
    """

    folder: Path
    size: int
    last_used: float
    files: int | None
    data: str
    in_use: bool


def cache_root() -> Path:
    """Folder of the cache: `BURNISH_CACHE`, else `$XDG_CACHE_HOME/burnish`, else
    `~/.cache/burnish`.

    Raises:
        BurnishError: none of them is known.
    """
    if chosen := os.environ.get(ROOT_VARIABLE):
        return Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")  # must be absolute to count, says the standard
    if base and os.path.isabs(base):
        return Path(base) / "burnish"
    try:
        return Path.home() / ".cache" / "burnish"
    except RuntimeError as error:  # a user without a name, as containers have
        raise BurnishError(
            f"there is no home folder for decoded images: set {ROOT_VARIABLE} to a folder"
        ) from error


def cache_limit() -> int:
    """Most bytes the cache may take: `BURNISH_CACHE_GB` times 10^9, else 20 GB.

    Raises:
        BurnishError: the variable is no positive number.
    """
    text = os.environ.get(LIMIT_VARIABLE) or str(DEFAULT_LIMIT)
    try:
        limit = float(text)
        if not 0 < limit < 1e9:
            raise ValueError
    except ValueError:
        raise BurnishError(
            f"{LIMIT_VARIABLE} is {text!r}; a number of gigabytes above 0 is wanted, as in "
            f"{LIMIT_VARIABLE}=20"
        ) from None
    return round(limit * GB)


@contextmanager
def locked(root: Path, name: str, wait: bool = True) -> Iterator[bool]:
    """Hold the lock `name` (an entry's key, or "room"); yields whether it could be had."""
    folder = root / "locks"
    root.mkdir(mode=0o700, parents=True, exist_ok=True)  # it holds copies of the user's images
    folder.mkdir(exist_ok=True)
    with file_lock(folder / f"{name}.lock", wait) as mine:
        yield mine


def hold(folder: Path) -> BinaryIO:
    """Mark an entry as used now, and as in use until the returned file is closed."""
    file = open(folder / USED, "ab")  # noqa: SIM115 - the caller closes it
    os.utime(folder / USED)
    mark_in_use(file)
    return file


def entries(root: Path) -> list[Entry]:
    """All entries, the least recently used first.

    Raises:
        BurnishError: the folder cannot be looked into.
    """
    found = []
    try:
        for folder in root.iterdir():
            if KEY.fullmatch(folder.name) and folder.is_dir():  # all else is the user's own
                found.append(_entry(folder))
    except FileNotFoundError:
        pass
    except OSError as error:
        raise BurnishError(
            f"cannot look into the cache {root}: {error.strerror}; {ROOT_VARIABLE} sets its folder"
        ) from error
    return sorted(found, key=lambda entry: entry.last_used)


def usage(folder: Path) -> int:
    """Bytes of a folder's files, including those that a build has reserved and not written yet."""
    total = 0
    with suppress(FileNotFoundError):
        for item in os.scandir(folder):
            with suppress(FileNotFoundError):
                total += item.stat(follow_symlinks=False).st_size
    return total


def remove(root: Path, folder: Path) -> bool:
    """Remove an entry; returns False, and leaves it, if it is in use or being built."""
    try:
        with locked(root, folder.name, wait=False) as mine:
            if not mine or in_use(folder / USED):
                return False
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        return False
    return not folder.exists()


def make_room(root: Path, key: str, need: int, written: int, kept: int, what: str) -> bool:
    """Make sure that `need` bytes fit: remove the least recently used entries until they do.

    The caller holds the locks of the entry and of "room" until the bytes are reserved.

    Args:
        written: how many of them are on the disk already.
        kept: bytes of the entry's earlier state, worth keeping until the new one is there.
        what: what needs the room, for messages, as "348 images of 256 x 640 px".

    Returns:
        Whether they fit beside the earlier state; if not, that must be removed first.

    Raises:
        BurnishError: they cannot fit.
    """
    limit = cache_limit()
    if need > limit:
        raise BurnishError(
            f"{what} take {_gb(need)} in the cache, which may take {_gb(limit)}: set "
            f"{LIMIT_VARIABLE} to {_at_least(need)} or more, or make them fewer or smaller"
        )
    others = [entry for entry in entries(root) if entry.folder.name != key]

    def fits(beside: int) -> bool:
        taken = sum(entry.size for entry in others)
        there = shutil.disk_usage(root).free + written + kept - beside
        return taken + beside + need <= limit and need <= there

    for beside in sorted({kept, 0}, reverse=True):
        for entry in list(others):
            if not fits(beside) and remove(root, entry.folder):
                others.remove(entry)
        if fits(beside):
            return beside == kept
    if (taken := sum(entry.size for entry in others)) + need > limit:
        raise BurnishError(
            f"{what} take {_gb(need)} in the cache, which may take {_gb(limit)}, and {_gb(taken)} "
            f"of it are in use: set {LIMIT_VARIABLE} to {_at_least(need + taken)} or more, or wait"
        )
    raise BurnishError(
        f"{what} take {_gb(need)} in the cache, and the disk of {root} has "
        f"{_gb(shutil.disk_usage(root).free)} left: make room, or set {ROOT_VARIABLE} to a folder "
        "on another disk"
    )


def _entry(folder: Path) -> Entry:
    index = read_index(folder)
    last_used = time.time()  # if another process is just making or removing it
    for path in (folder, folder / USED):
        with suppress(FileNotFoundError):
            last_used = path.stat().st_mtime
    files, data = None, ""
    if index is not None:
        files = len(index.records)
        data = os.path.commonpath([os.path.dirname(record.path) for record in index.records])
    return Entry(folder, usage(folder), last_used, files, data, in_use(folder / USED))


def _gb(size: int) -> str:
    return f"{size / GB:.1f} GB" if size >= GB / 10 else f"{size / 1e6:.1f} MB"


def _at_least(size: int) -> str:
    """`size` in GB, rounded up, as a value for `LIMIT_VARIABLE`."""
    return f"{1.01 * size / GB:.3g}" if size < GB else f"{-(-size // GB)}"
