"""Building a cache entry: decode every file once, straight into the file of pixels.

    pixels-N.bin   every image at its final place
    journal        which images are certainly there: the plan's digest, then one record per line

The journal follows the pixels to the disk, and the index, written last, makes them count. So a
build that was killed goes on where it was, and ends with the same bytes as one that was not.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from burnish.errors import BurnishError
from burnish.images.cache.index import (
    INDEX,
    Content,
    Index,
    Record,
    confirmed,
    read_content,
    write_index,
)
from burnish.images.cache.plan import THREADS, Earlier, Plan, Recipe, make_plan
from burnish.images.cache.room import locked, make_room
from burnish.images.reader import Header, read_once
from burnish.images.statistics import has_colour
from burnish.system import open_to_write_at, size_on_disk, write_at

JOURNAL, PIXELS = "journal", "pixels-*.bin"
FLUSH_SECONDS = 1.0  # between flushes: the most work a killed build has to repeat

TASK = 1 << 22  # bytes of pixels that one task makes, about
DECODING = 1 << 30  # bytes that all threads together may use for decoding
PER_PIXEL = 10  # bytes that decoding takes: Pillow's RGB has 4, and two copies follow

OnProgress = Callable[[int, int], None]
Prepare = Callable[[Image.Image, int, int, int], NDArray[np.uint8]]


def build(
    root: Path,
    key: str,
    paths: Sequence[str],
    recipe: Recipe,
    earlier: Earlier | None,
    on_progress: OnProgress | None,
) -> None:
    """Write an entry's pixels and index. The caller holds the entry's lock.

    Raises:
        BurnishError: the images exceed the cache's limit, or the recipe refuses them.
        OSError: the disk is full or fails; then nothing is left of the attempt.
    """
    folder = root / key
    folder.mkdir(exist_ok=True)
    guess = earlier is None and not (folder / JOURNAL).exists()
    while True:
        work = _Build(folder, make_plan(paths, recipe, guess), earlier, recipe.pixels)
        work.resume()
        work.discard(*([earlier.name, INDEX] if earlier else []))
        try:
            with locked(root, "room"):
                kept, need = earlier.pixels.nbytes if earlier else 0, work.plan.need
                written = size_on_disk(work.pixels)
                if not make_room(root, key, need, written, kept, work.plan.summary):
                    earlier = work.earlier = None
                    work.discard()
                work.reserve()
            work.decode(on_progress)
            if work.guessed_right(recipe):
                work.finish()
                return
        except OSError:
            work.give_up()
            raise
        work.give_up()
        guess = False


class _Build:
    """One build: the files of it, and the records that are finished."""

    def __init__(self, folder: Path, plan: Plan, earlier: Earlier | None, prepare: Prepare) -> None:
        self.folder, self.plan, self.earlier, self.prepare = folder, plan, earlier, prepare
        self.done: dict[int, Record] = {}
        self.headers: list[Header] = []  # of all that was decoded, in any order
        self.gate = _Gate()
        self.pixels = folder / f"pixels-{1 + max(map(_number, folder.glob(PIXELS)), default=0)}.bin"
        self.journal = folder / JOURNAL

    def resume(self) -> None:
        """Take over the images that an earlier build of the same plan finished, if the files hold
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
        """Remove all files that do not belong to this build, except those named."""
        for path in (self.folder / INDEX, *self.folder.glob(PIXELS)):
            if path.name not in (self.pixels.name, *keep):
                path.unlink(missing_ok=True)

    def reserve(self) -> None:
        """Give the pixels' file its full size, which `room.usage` counts, and begin the journal."""
        with open(self.pixels, "ab") as file:
            file.truncate(self.plan.size)
        head = json.dumps([self.plan.digest, self.pixels.name])
        self.journal.write_text("\n".join([head, *map(_line, self.done.items())]) + "\n")

    def decode(self, on_progress: OnProgress | None) -> None:
        """Decode what is missing; the journal lags by at most a second of work."""
        total = len(self.plan.records)
        todo = [i for i in range(total) if i not in self.done]
        fresh: dict[int, Record] = {}
        flushed = time.monotonic()
        file = open_to_write_at(self.pixels)
        pool = ThreadPoolExecutor(THREADS)
        try:
            for some in self._in_order(pool, file, todo):
                self.done |= some
                fresh |= some
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

    def _in_order(
        self, pool: ThreadPoolExecutor, file: int, todo: Sequence[int]
    ) -> Iterator[dict[int, Record]]:
        """Decode on several threads, few tasks waiting at a time; yields finished records."""
        # Small images share a task: handing each over would cost as much as decoding it.
        each = self.plan.size // max(1, len(self.plan.records))
        many = max(1, min(16, TASK // max(1, each)))
        waiting: deque[Future[dict[int, Record]]] = deque()
        for start in range(0, len(todo), many):
            some = todo[start : start + many]
            waiting.append(pool.submit(lambda some: {i: self._one(i, file) for i in some}, some))
            if len(waiting) > 4 * THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

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
        copied = self.earlier.find(record, self.plan.layout) if self.earlier else None
        if copied is not None:
            _write(file, copied[0], record.offset)
            return copied[1]
        now = time.time_ns()
        with self.gate.room() as ask:
            try:
                reading = read_once(record.path, ask)
            except BurnishError as error:
                return self._unread(record, str(error))
            header = reading.header
            source = header.height, header.width
            if self.plan.layout.size is None and source != record.shape[1:]:
                # Without a content hash it will be looked at again.
                return replace(record, shape=None, error=f"{record.path} changed while it was read")
            _write(file, self.prepare(reading.image, *record.shape), record.offset)
        self.headers.append(header)
        content = Content.of(reading.sha256, reading.status, now)
        return Record(
            record.path, content.stamp, content.settled, content.sha256, record.offset,
            record.shape, source, is_grey(reading.image), header.notes,
        )  # fmt: skip

    @staticmethod
    def _unread(record: Record, error: str) -> Record:
        record = replace(record, shape=None, error=error)
        try:
            return record.having(read_content(record.path))
        except OSError:
            return record

    def guessed_right(self, recipe: Recipe) -> bool:
        """Whether all headers lead to the layout that was guessed from a sample of them."""
        if not self.plan.is_guess or not self.headers:
            return True
        return recipe.layout(self.headers) == self.plan.layout

    def finish(self) -> None:
        """Write the index, which makes the entry valid, and remove the earlier state."""
        records = [self.done[i] for i in range(len(self.plan.records))]
        write_index(self.folder, Index(self.plan.layout, self.pixels.name, self.plan.size, records))
        self.journal.unlink(missing_ok=True)
        self.discard(INDEX)

    def give_up(self) -> None:
        for path in (self.journal, self.pixels):
            with suppress(OSError):
                path.unlink()


def is_grey(image: Image.Image) -> bool:
    """Whether a picture of mode L or RGB has R = G = B everywhere; stops where it does not."""
    tops = () if image.mode == "L" else range(0, image.height, 64)
    bands = (image.crop((0, top, image.width, min(top + 64, image.height))) for top in tops)
    return not any(has_colour(np.asarray(band)) for band in bands)


def _number(path: Path) -> int:
    digits = path.stem.partition("-")[2]
    return int(digits) if digits.isdecimal() else 0


def _line(item: tuple[int, Record]) -> str:
    return json.dumps([item[0], item[1].row()])


def _write(file: int, pixels: NDArray[np.uint8], offset: int) -> None:
    write_at(file, np.ascontiguousarray(pixels).reshape(-1).data, offset)


class _Gate:
    """Limits the memory of all decoding threads together; one image is always let through."""

    def __init__(self) -> None:
        self._used, self._changed = 0, threading.Condition()

    @contextmanager
    def room(self) -> Iterator[Callable[[Header], None]]:
        """Yield a function to call once an image's header is known: it waits for room, which is
        given back on leaving."""
        taken = 0

        def ask(header: Header) -> None:
            nonlocal taken
            needed = header.height * header.width * PER_PIXEL
            with self._changed:
                self._changed.wait_for(lambda: not self._used or self._used + needed <= DECODING)
                self._used += needed
            taken = needed

        try:
            yield ask
        finally:
            with self._changed:
                self._used -= taken
                self._changed.notify_all()
