"""Before anything is decoded: where every image of a cache entry will lie, from headers alone."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from burnish.errors import BurnishError
from burnish.images.cache_index import Layout, Record
from burnish.images.reader import Header, read_header

THREADS = 8
DECODING = 1 << 30  # bytes that all threads together may need for decoding
PER_PIXEL = 10  # bytes that decoding takes: Pillow's RGB has 4, and two copies follow


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
        same = old and old.shape == record.shape and old.content == record.content
        if old is None or old.shape is None or not same or layout != self.layout:
            return None
        pixels = self.pixels[old.offset : old.offset + math.prod(old.shape)]
        return pixels, replace(record, is_grey=old.is_grey)


@dataclass(frozen=True)
class Plan:
    """Where everything goes; records hold path, offset, shape and what the header says."""

    layout: Layout
    records: list[Record]
    size: int
    threads: int

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


def make_plan(paths: Sequence[str], recipe: Recipe) -> Plan:
    """Look at every header, and give every image its place."""

    def look(path: str) -> Header | str:
        try:
            return read_header(path)
        except BurnishError as error:
            return str(error)

    with ThreadPoolExecutor(THREADS) as pool:
        looks = list(pool.map(look, paths))
    headers = [look for look in looks if not isinstance(look, str)]
    layout = recipe.layout(headers) if headers else Layout(1, None)
    records, offset = [], 0
    for path, header in zip(paths, looks, strict=True):
        if isinstance(header, str):
            records.append(Record(path, error=header))
            continue
        source = header.height, header.width
        shape = (layout.channels, *(layout.size or source))
        records.append(Record(path, offset=offset, shape=shape, source=source, notes=header.notes))
        offset += math.prod(shape)
    largest = max((header.height * header.width for header in headers), default=1)
    threads = max(1, min(THREADS, DECODING // (PER_PIXEL * largest)))
    return Plan(layout, records, offset, threads)
