"""Building a cache entry: decode every file once, straight into the file of pixels.

    pixels-N.bin   every image at its final place
    journal        what is in there for certain: the plan's digest, then a record a line

The journal follows the pixels to the disk, and the index, written last, makes them count. So a
build that was killed goes on where it was, and ends with the same bytes as one that was not.
"""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from burnish.errors import BurnishError
from burnish.images.cache_index import (
    INDEX,
    Index,
    Record,
    confirmed,
    read_content,
    write_index,
)
from burnish.images.cache_plan import THREADS, Earlier, Plan, Recipe, make_plan, read
from burnish.images.cache_room import locked, make_room
from burnish.images.reader import prepare

JOURNAL, PIXELS = "journal", "pixels-*.bin"
FLUSH_SECONDS = 1.0  # between flushes: what a killed build may have to do again

OnProgress = Callable[[int, int], None]


def build(
    root: Path,
    key: str,
    paths: Sequence[str],
    recipe: Recipe,
    earlier: Earlier | None,
    on_progress: OnProgress | None,
) -> None:
    """Make an entry's pixels and index; to be called with the entry's lock held.

    Raises:
        BurnishError: the images do not fit, or will not do.
        OSError: the disk is full or fails; then nothing is left of the attempt.
    """
    folder = root / key
    folder.mkdir(exist_ok=True)
    anew = earlier is None and not (folder / JOURNAL).exists()
    work = _Build(folder, make_plan(paths, recipe, hold=anew), earlier)
    work.resume()
    work.discard(*([earlier.name, INDEX] if earlier else []))
    try:
        with locked(root, "room"):
            kept = earlier.pixels.nbytes if earlier else 0
            if not make_room(root, key, work.plan.size, work.written(), kept, work.plan.summary):
                work.earlier = None
                work.discard()
            work.reserve()
        work.decode(on_progress)
        work.finish()
    except OSError:
        work.give_up()
        raise


class _Build:
    """One build: the files of it, and the records that are finished."""

    def __init__(self, folder: Path, plan: Plan, earlier: Earlier | None) -> None:
        self.folder, self.plan, self.earlier = folder, plan, earlier
        self.done: dict[int, Record] = {}
        self.pixels = folder / f"pixels-{1 + max(map(_number, folder.glob(PIXELS)), default=0)}.bin"
        self.journal = folder / JOURNAL

    def resume(self) -> None:
        """Take over what an earlier build of the same plan has finished, if its files still hold
        the same content."""
        try:
            first, *lines = self.journal.read_text().splitlines()
            digest, name = json.loads(first)
            pixels = self.folder / name
            live = self.earlier is not None and name == self.earlier.name
            if digest != self.plan.digest or live or pixels.stat().st_size != self.plan.size:
                return
        except (OSError, ValueError):
            return
        self.pixels = pixels
        found = {}
        for line in lines:
            try:
                number, row = json.loads(line)
                found[number] = Record.from_row(row)
            except (ValueError, TypeError):
                break  # the line that was being written
        with ThreadPoolExecutor(THREADS) as pool:
            checked = pool.map(confirmed, found.values())
            self.done = {i: r for i, r in zip(found, checked, strict=True) if r is not None}

    def discard(self, *keep: str) -> None:
        """Remove all files of other states than this build, but for those named."""
        for path in (self.folder / INDEX, *self.folder.glob(PIXELS)):
            if path.name not in (self.pixels.name, *keep):
                path.unlink(missing_ok=True)

    def written(self) -> int:
        """Bytes of the pixels that are on the disk already."""
        return self.pixels.stat().st_blocks * 512 if self.pixels.exists() else 0

    def reserve(self) -> None:
        """Bring the file of pixels to its size (others count that), and begin the journal."""
        with open(self.pixels, "ab") as file:
            file.truncate(self.plan.size)
        head = json.dumps([self.plan.digest, self.pixels.name])
        self.journal.write_text("\n".join([head, *map(_line, self.done.items())]) + "\n")

    def decode(self, on_progress: OnProgress | None) -> None:
        """Decode what is missing; at most a second of work is not in the journal."""
        todo = [i for i in range(len(self.plan.records)) if i not in self.done]
        total = len(self.plan.records)
        fresh: dict[int, Record] = {}
        flushed = time.monotonic()
        file = os.open(self.pixels, os.O_RDWR)
        pool = ThreadPoolExecutor(self.plan.threads)
        try:
            for number, record in _in_order(pool, lambda i: self._one(i, file), todo):
                self.done[number] = fresh[number] = record
                if on_progress is not None:
                    on_progress(len(self.done), total)
                if time.monotonic() - flushed > FLUSH_SECONDS:
                    self._flush(file, fresh)
                    fresh, flushed = {}, time.monotonic()
            os.fsync(file)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            with suppress(OSError):
                self._flush(file, fresh)
            raise
        finally:
            pool.shutdown()
            os.close(file)

    def _flush(self, file: int, fresh: dict[int, Record]) -> None:
        os.fsync(file)
        with open(self.journal, "a") as journal:
            journal.writelines(_line(item) + "\n" for item in fresh.items())
            journal.flush()
            os.fsync(journal.fileno())

    def _one(self, number: int, file: int) -> Record:
        record = self.plan.records[number]
        if record.shape is None:
            return self._unread(record, record.error)
        decoded = self.plan.held.pop(number, None)
        if decoded is None and self.earlier is not None:
            copied = self.earlier.find(record, self.plan.layout)
            if copied is not None:
                _write(file, copied[0], record.offset)
                return copied[1]
        if decoded is None:
            try:
                header, decoded = read(record.path, lambda header: True)
            except BurnishError as error:
                return self._unread(record, str(error))
            if decoded is None or (header.height, header.width) != record.source:
                # No content is noted: so it will be looked at again.
                return replace(record, shape=None, error=f"{record.path} changed while it was read")
        _write(file, prepare(decoded.image, *record.shape), record.offset)
        return record.having(decoded.content, is_grey(decoded.image))

    @staticmethod
    def _unread(record: Record, error: str) -> Record:
        record = replace(record, shape=None, error=error)
        try:
            return record.having(read_content(record.path), is_grey=False)
        except OSError:
            return record

    def finish(self) -> None:
        """Make it count; what was there before goes."""
        records = [self.done[i] for i in range(len(self.plan.records))]
        write_index(self.folder, Index(self.plan.layout, self.pixels.name, self.plan.size, records))
        self.journal.unlink(missing_ok=True)
        self.discard(INDEX)

    def give_up(self) -> None:
        for path in (self.journal, self.pixels):
            with suppress(OSError):
                path.unlink()


def is_grey(image: NDArray[np.uint8]) -> bool:
    """Whether HxW or HxWx3 has R = G = B everywhere; ends at the first rows that have not."""
    if image.ndim == 2:
        return True
    for top in range(0, len(image), 64):
        red, green, blue = (image[top : top + 64, :, channel] for channel in range(3))
        if not (np.array_equal(red, green) and np.array_equal(green, blue)):
            return False
    return True


def _number(path: Path) -> int:
    digits = path.stem.partition("-")[2]
    return int(digits) if digits.isdecimal() else 0


def _line(item: tuple[int, Record]) -> str:
    return json.dumps([item[0], item[1].row()])


def _write(file: int, pixels: NDArray[np.uint8], offset: int) -> None:
    data = np.ascontiguousarray(pixels).reshape(-1).data
    while data:
        written = os.pwrite(file, data, offset)
        data, offset = data[written:], offset + written


def _in_order(
    pool: ThreadPoolExecutor, work: Callable[[int], Record], todo: Sequence[int]
) -> Iterator[tuple[int, Record]]:
    """Like `map`, with a bounded number of tasks waiting."""
    waiting: deque[tuple[int, Future[Record]]] = deque()
    for number in todo:
        waiting.append((number, pool.submit(work, number)))
        if len(waiting) > 4 * THREADS:
            first, future = waiting.popleft()
            yield first, future.result()
    for number, future in waiting:
        yield number, future.result()
