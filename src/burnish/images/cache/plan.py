"""The plan of a cache entry: where every image will lie, before any of them is decoded."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from burnish.errors import BurnishError
from burnish.images.cache.index import Layout, Record, read_content
from burnish.images.reader import Header, read_header
from burnish.sampling import some_of

THREADS = min(8, 2 * (os.cpu_count() or 1))  # more would wait for the GIL, not for the disk
RECORD = 300  # bytes of a record in JSON, without its path
SAMPLE = 32  # headers that a guess is based on
SMALL = 1 << 20  # pixels; beside decoding a larger image, reading its header costs nothing


class Recipe(Protocol):
    """How images are prepared for the cache."""

    @property
    def name(self) -> str:
        """Part of the key: same name, same pixels."""
        ...

    def layout(self, headers: Sequence[Header]) -> Layout:
        """Channels and size for images with these headers (one at least, in any order).

        Raises:
            BurnishError: such images cannot be used.
        """
        ...

    def pixels(
        self, picture: Image.Image, channels: int, height: int, width: int
    ) -> NDArray[np.uint8]:
        """uint8 (channels, height, width) of a picture of mode L or RGB."""
        ...


@dataclass(frozen=True)
class Earlier:
    """An older state of the entry, whose pixels can be reused where path and content match.

    Attributes:
        name: of its file of pixels.
        pixels: uint8 (bytes,), all of that file.
    """

    name: str
    layout: Layout
    pixels: NDArray[np.uint8]
    records: dict[str, Record]

    def find(self, record: Record, layout: Layout) -> tuple[NDArray[np.uint8], Record] | None:
        """Flat pixels for a record of a new plan, and the completed record; None if it has none."""
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
        return pixels, replace(old.having(content), offset=record.offset)


@dataclass(frozen=True)
class Plan:
    """Where everything goes.

    Attributes:
        records: path, offset and shape, or the error.
        size: bytes of all pixels.
        is_guess: whether the layout comes from some of the headers only.
    """

    layout: Layout
    records: list[Record]
    size: int
    is_guess: bool

    @property
    def digest(self) -> str:
        """SHA-256 of all places; a guess that proves right has that of the full plan."""
        own = self.layout.size is None
        places = [(r.path, r.offset, r.shape if own else None) for r in self.records]
        return hashlib.sha256(json.dumps([self.layout, places]).encode()).hexdigest()

    @property
    def need(self) -> int:
        """About how many bytes the entry takes on the disk, with index and journal."""
        return self.size + 2 * sum(RECORD + len(record.path) for record in self.records)

    @property
    def summary(self) -> str:
        """Number, colour and size of the images, for messages."""
        size = self.layout.size
        many = "of their own size" if size is None else f"of {size[1]} x {size[0]} px"
        colour = "grey" if self.layout.channels < 3 else "RGB"
        return f"{len(self.records)} {colour} images {many}"


def make_plan(paths: Sequence[str], recipe: Recipe, may_guess: bool) -> Plan:
    """Read the headers, and assign every image its place.

    Args:
        may_guess: allows to guess the layout of small images of one size from some of their
            headers: opening every file twice would take a good part of the time of decoding.
    """
    if may_guess and len(paths) > 2 * SAMPLE:
        sample = _headers(_looks(some_of(paths, SAMPLE)))
        if sample and fmean(header.height * header.width for header in sample) < SMALL:
            layout = recipe.layout(sample)
            if layout.size is not None:
                return _fixed(layout, paths, [""] * len(paths), is_guess=True)
    looks = _looks(paths)
    errors = [look if isinstance(look, str) else "" for look in looks]
    headers = _headers(looks)
    layout = recipe.layout(headers) if headers else Layout(1, (0, 0))
    if layout.size is not None:
        return _fixed(layout, paths, errors, is_guess=False)
    records, offset = [], 0
    for path, look in zip(paths, looks, strict=True):
        if isinstance(look, str):
            records.append(Record(path, error=look))
            continue
        shape = layout.channels, look.height, look.width
        records.append(Record(path, offset=offset, shape=shape))
        offset += math.prod(shape)
    return Plan(layout, records, offset, is_guess=False)


def _fixed(layout: Layout, paths: Sequence[str], errors: Sequence[str], is_guess: bool) -> Plan:
    """One size for all; unreadable files get a place too, so that a guess keeps its offsets."""
    assert layout.size is not None
    shape = layout.channels, *layout.size
    size = math.prod(shape)
    records = [
        Record(path, offset=i * size, shape=None if error else shape, error=error)
        for i, (path, error) in enumerate(zip(paths, errors, strict=True))
    ]
    return Plan(layout, records, len(paths) * size, is_guess)


def _looks(paths: Sequence[str]) -> list[Header | str]:
    def look(path: str) -> Header | str:
        try:
            return read_header(path)
        except BurnishError as error:
            return str(error)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(look, paths))


def _headers(looks: Sequence[Header | str]) -> list[Header]:
    return [look for look in looks if not isinstance(look, str)]
