"""Before anything is decoded: where every image of a cache entry will lie, from headers alone."""

from __future__ import annotations

import hashlib
import json
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from burnish.errors import BurnishError
from burnish.images.cache_index import Content, Layout, Record, read_content
from burnish.images.reader import Header, read_once

THREADS = 8
DECODING = 1 << 30  # bytes that all threads together may need for decoding
PER_PIXEL = 10  # bytes that decoding takes: Pillow's RGB has 4, and two copies follow
HOLD = 1 << 28  # bytes of decoded images that may wait for the plan
SMALL = 1 << 22  # pixels; beside decoding a larger image its header costs nothing


class Recipe(Protocol):
    """How images come into the cache."""

    @property
    def name(self) -> str:
        """Part of the key: same name, same pixels."""
        ...

    def layout(self, headers: Sequence[Header]) -> Layout:
        """Channels and size for images with these headers (one at least).

        Raises:
            BurnishError: such images will not do.
        """
        ...


@dataclass(frozen=True)
class Earlier:
    """What an older state of the entry still offers: pixels, by path and content.

    Attributes:
        name: of its file of pixels.
        pixels: uint8 (bytes,), all of that file.
    """

    name: str
    layout: Layout
    pixels: NDArray[np.uint8]
    records: dict[str, Record]

    def find(self, record: Record, layout: Layout) -> tuple[NDArray[np.uint8], Record] | None:
        """Flat pixels for a record of a new plan, and the record completed; None: decode it."""
        old = self.records.get(record.path)
        if layout != self.layout or old is None or old.shape is None or old.shape != record.shape:
            return None
        try:
            content = read_content(record.path)
        except OSError:
            return None
        if content.sha256 != old.content:
            return None
        pixels = self.pixels[old.offset : old.offset + math.prod(old.shape)]
        return pixels, record.having(content, old.is_grey)


class Decoded(NamedTuple):
    """A file's content and its pixels, uint8 HxW or HxWx3."""

    content: Content
    image: NDArray[np.uint8]


@dataclass(frozen=True)
class Plan:
    """Where everything goes.

    Attributes:
        records: path, offset, shape and what the header says; or the error.
        size: bytes of all pixels.
        threads: how many may decode at once without taking too much memory.
        held: images that are decoded already, by number.
    """

    layout: Layout
    records: list[Record]
    size: int
    threads: int
    held: dict[int, Decoded]

    @property
    def digest(self) -> str:
        """Same plan, same digest."""
        places = [(r.path, r.offset, r.shape) for r in self.records]
        return hashlib.sha256(json.dumps([self.layout, places]).encode()).hexdigest()

    @property
    def summary(self) -> str:
        """For messages."""
        count = sum(record.shape is not None for record in self.records)
        size = self.layout.size
        many = "of their own size" if size is None else f"of {size[1]} x {size[0]} px"
        return f"{count} {'grey' if self.layout.channels == 1 else 'RGB'} images {many}"


def make_plan(paths: Sequence[str], recipe: Recipe, hold: bool) -> Plan:
    """Look at every header, and give every image its place.

    Args:
        hold: whether to decode small images on the way, as long as `HOLD` bytes last: opening them
            a second time would take a good part of the time that decoding takes.
    """
    budget = _Budget(HOLD if hold else 0)

    def look(path: str) -> tuple[Header, Decoded | None] | str:
        try:
            return read(path, budget.take)
        except BurnishError as error:
            return str(error)

    with ThreadPoolExecutor(THREADS) as pool:
        looks = list(pool.map(look, paths))
    headers = [look[0] for look in looks if not isinstance(look, str)]
    layout = recipe.layout(headers) if headers else Layout(1, None)
    records, held, offset = [], {}, 0
    for number, (path, found) in enumerate(zip(paths, looks, strict=True)):
        if isinstance(found, str):
            records.append(Record(path, error=found))
            continue
        header, decoded = found
        source = header.height, header.width
        shape = (layout.channels, *(layout.size or source))
        records.append(Record(path, offset=offset, shape=shape, source=source, notes=header.notes))
        offset += math.prod(shape)
        if decoded is not None:
            held[number] = decoded
    largest = max((header.height * header.width for header in headers), default=1)
    threads = max(1, min(THREADS, DECODING // (PER_PIXEL * largest)))
    return Plan(layout, records, offset, threads, held)


def read(path: str, wanted: Callable[[Header], bool]) -> tuple[Header, Decoded | None]:
    """Header of a file, and pixels where they are wanted.

    Raises:
        BurnishError: it cannot be read.
    """
    now = time.time_ns()
    header, status, sha256, image = read_once(Path(path), wanted)
    return header, None if image is None else Decoded(Content.of(sha256, status, now), image)


class _Budget:
    """Bytes that decoded images may take until they are written; threads share it."""

    def __init__(self, left: int) -> None:
        self._left, self._lock = left, threading.Lock()

    def take(self, header: Header) -> bool:
        pixels = header.height * header.width
        needed = pixels * (1 if header.is_grey else 3)
        with self._lock:
            if pixels > SMALL or needed > self._left:
                return False
            self._left -= needed
            return True
