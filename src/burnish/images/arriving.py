"""Images as a camera or another program puts them into folders."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from burnish.images.dataset import expand_paths

PAUSE = 0.2  # s between looks

Stamp = tuple[int, int]  # time of writing, ns; size, bytes


class Problem(NamedTuple):
    """Why a source (a file, folder or glob) gives no image, as a sentence."""

    source: str
    message: str


def arriving(
    folders: Sequence[str | Path], pause: Callable[[], None] = lambda: time.sleep(PAUSE)
) -> Iterator[Path | Problem]:
    """Image files in the folders and below, oldest first; then those that come, without end.

    A file is given when it has not changed from one look to the next, so that none is read while it
    is written, and again whenever it was written anew. Looked for, as network drives tell of no
    changes. How old a file is says nothing: their clock may be behind.

    A folder that cannot be listed, or one of `folders` that is not there, as a network drive now
    and then, is given as a problem, once until it can be again; its images are then not given a
    second time.

    Args:
        pause: between two looks.
    """
    given: dict[Path, Stamp] = {}
    before: dict[Path, Stamp] = {}
    shut: set[str] = set()
    while True:
        now, unlisted = _stamps(folders)
        for folder in sorted(unlisted.keys() - shut):
            yield Problem(folder, unlisted[folder])
        shut = set(unlisted)
        given = {
            path: stamp for path, stamp in given.items()
            if path in now or not shut.isdisjoint(map(str, path.parents))
        }  # fmt: skip
        for path, stamp in sorted(now.items(), key=lambda item: item[1]):
            # Again, as those before it took their time: it may be gone, or be written anew.
            if before.get(path) == stamp != given.get(path) and _stamp(path) == stamp:
                given[path] = stamp
                yield path
        before = now
        pause()


def _stamps(folders: Sequence[str | Path]) -> tuple[dict[Path, Stamp], dict[str, str]]:
    """The stamp of every image file; why folders cannot be listed."""
    unlisted: dict[str, str] = {}

    def shut(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):  # taken away meanwhile
            unlisted[str(error.filename)] = f"{error.filename} cannot be listed: {error.strerror}"

    there = []
    for folder in folders:
        if os.path.isdir(folder):
            there.append(folder)
        else:
            unlisted[str(Path(folder))] = f"no such folder: {folder}"
    found = {}
    for path in expand_paths(there, shut)[0]:
        stamp = _stamp(path)
        if stamp is not None:
            found[path] = stamp
    return found, unlisted


def _stamp(path: Path) -> Stamp | None:
    """Of a file; None if it was taken away."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    except OSError:  # given once, so that whoever reads it tells why it cannot be read
        return 0, 0
    return status.st_mtime_ns, status.st_size
