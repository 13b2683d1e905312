"""Images as a camera or another program puts them into folders."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from burnish.errors import BurnishError
from burnish.images.dataset import expand_paths

PAUSE = 0.2  # s between looks
SETTLED = 2.0  # s that a file has not been written to, after which it is whole


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
    changes.

    A folder that cannot be listed is given as a problem, once until it can be again; its images are
    then not given a second time.

    Args:
        pause: between two looks.

    Raises:
        BurnishError: a folder is not there, or no longer.
    """
    given: dict[Path, tuple[int, int]] = {}
    before: dict[Path, tuple[int, int]] = {}
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
            whole = before.get(path) == stamp or time.time() - stamp[0] / 1e9 > SETTLED
            if whole and given.get(path) != stamp:
                given[path] = stamp
                yield path
        before = now
        pause()


def _stamps(
    folders: Sequence[str | Path],
) -> tuple[dict[Path, tuple[int, int]], dict[str, str]]:
    """Time of writing, ns, and size of every image file; why folders cannot be listed."""
    unlisted: dict[str, str] = {}

    def shut(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):  # taken away meanwhile
            unlisted[str(error.filename)] = f"{error.filename} cannot be listed: {error.strerror}"

    for folder in folders:
        if not os.path.isdir(folder):
            raise BurnishError(f"no such folder: {folder}")
    found = {}
    for path in expand_paths(folders, shut)[0]:
        try:
            status = os.stat(path)
        except FileNotFoundError:  # taken away meanwhile
            continue
        except OSError:  # given once, so that whoever reads it tells why it cannot be read
            found[path] = (0, 0)
            continue
        found[path] = (status.st_mtime_ns, status.st_size)
    return found, unlisted
