"""The index of a cache entry: what is known of each image, and whether a file is still the same.

An entry's `index.json` holds one record a file and a checksum over all of them.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from burnish.files import atomic_write
from burnish.images.reader import MAX_BYTES

FORMAT = 2  # raise it when the same files should give other pixels or another index
INDEX = "index.json"
SETTLED_NS = 2_000_000_000  # clocks tick: a file changed this recently may change again unseen


class Stamp(NamedTuple):
    """Changes whenever a file does; ctime does so even if size and mtime were restored."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, found: os.stat_result) -> Stamp:
        return cls(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


class Layout(NamedTuple):
    """What all images of an entry have in common.

    Attributes:
        channels: 1 or 3, and one more if a recipe adds it.
        size: (height, width) they are resized to, px; None: each keeps its own.
    """

    channels: int
    size: tuple[int, int] | None


@dataclass(frozen=True)
class Record:
    """One file of an entry.

    Attributes:
        path: absolute.
        stamp: when it was read; None where there was no such file.
        settled: whether any later change must show in the stamp, see `SETTLED_NS`.
        content: SHA-256 in hex; "" where it could not be read at all.
        offset: of its pixels, bytes.
        shape: (C, h, w) of its pixels; None where there are none.
        source: (height, width) of the file's own image; None where it is no image.
        is_grey: whether every pixel has R = G = B.
        notes: what reading it leaves out, as sentences about "it".
        error: why it cannot be read; "" where it can.
    """

    path: str
    stamp: Stamp | None = None
    settled: bool = False
    content: str = ""
    offset: int = 0
    shape: tuple[int, int, int] | None = None
    source: tuple[int, int] | None = None
    is_grey: bool = False
    notes: tuple[str, ...] = ()
    error: str = ""

    def having(self, content: Content) -> Record:
        """The record of a file whose content has been read."""
        return replace(self, stamp=content.stamp, settled=content.settled, content=content.sha256)

    def row(self) -> list[Any]:
        """As a JSON list; `from_row` is the inverse."""
        return list(vars(self).values())

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Record:
        path, stamp, settled, content, offset, shape, source, is_grey, notes, error = row
        return cls(
            path,
            None if stamp is None else Stamp(*stamp),
            settled,
            content,
            offset,
            None if shape is None else tuple(shape),
            None if source is None else tuple(source),
            is_grey,
            tuple(notes),
            error,
        )


@dataclass(frozen=True)
class Index:
    """A whole entry.

    Attributes:
        pixels: name of the file with all pixels, beside the index.
        size: bytes of that file.
    """

    layout: Layout
    pixels: str
    size: int
    records: list[Record]


def write_index(folder: Path, index: Index) -> None:
    """Replace the index in one step.

    Raises:
        BurnishError: it cannot be written.
    """
    rows = json.dumps([record.row() for record in index.records])
    head = {"format": FORMAT, "layout": index.layout, "pixels": index.pixels, "size": index.size}
    digest = hashlib.sha256(json.dumps(head).encode() + rows.encode()).hexdigest()
    atomic_write(folder / INDEX, f"{json.dumps(head)}\n{digest}\n{rows}\n")


def read_index(folder: Path) -> Index | None:
    """The index of an entry; None where there is none, or it or its pixels are not whole."""
    try:
        head, digest, rows = (folder / INDEX).read_bytes().splitlines()
        if hashlib.sha256(head + rows).hexdigest().encode() != digest:
            return None
        fields = json.loads(head)
        if fields["format"] != FORMAT:
            return None
        channels, size = fields["layout"]
        index = Index(
            Layout(channels, None if size is None else (size[0], size[1])),
            fields["pixels"],
            fields["size"],
            [Record.from_row(row) for row in json.loads(rows)],
        )
        whole = (folder / index.pixels).stat().st_size == index.size
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return index if whole else None


class Content(NamedTuple):
    """A file's content as it was read: SHA-256 in hex, and see `Record`."""

    sha256: str
    stamp: Stamp
    settled: bool

    @classmethod
    def of(cls, sha256: str, found: os.stat_result, read_ns: int) -> Content:
        """Content of a file with this status, that was read at `read_ns` since the epoch."""
        return cls(sha256, Stamp.of(found), found.st_ctime_ns < read_ns - SETTLED_NS)


def read_content(path: str) -> Content:
    """Hash a file.

    Raises:
        OSError: it cannot be read, or is larger than any image that is read.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe would wait for ever
        raise OSError("it is no file")
    now = time.time_ns()
    with open(path, "rb") as file:
        found = os.fstat(file.fileno())
        if found.st_size > MAX_BYTES:
            raise OSError("it is larger than any that is read")
        return Content.of(hashlib.file_digest(file, "sha256").hexdigest(), found, now)


def unchanged(record: Record) -> bool:
    """Whether a file's stamp alone proves that it is as recorded."""
    try:
        now = Stamp.of(os.stat(record.path))
    except FileNotFoundError:
        return record.stamp is None
    except OSError:
        return False
    return record.settled and bool(record.content) and now == record.stamp


def confirmed(record: Record) -> Record | None:
    """The record if the content is still the same, with a new stamp if need be; else None."""
    if unchanged(record):
        return record
    try:
        content = read_content(record.path)
    except FileNotFoundError:
        return None
    except OSError:
        return None if record.content else record  # still as unreadable as it was
    if content.sha256 != record.content:
        return None
    return record.having(content)
