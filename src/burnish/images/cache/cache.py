"""Images decoded once: uint8 pixels in a memory-mapped file, kept between runs.

An entry belongs to a list of files and a recipe to prepare them. Opening it builds it if it is
missing and updates it if files have changed, so that its pixels always match the files as they
are now. Memory stays flat, however many images there are.
"""

from __future__ import annotations

import hashlib
import json
import os
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import PIL
from numpy.typing import NDArray

from burnish.errors import BurnishError
from burnish.images.cache.build import OnProgress, build
from burnish.images.cache.index import (
    FORMAT,
    Index,
    Layout,
    Record,
    confirmed,
    read_index,
    unchanged,
    write_index,
)
from burnish.images.cache.plan import THREADS, Earlier, Recipe
from burnish.images.cache.room import ROOT_VARIABLE, cache_root, hold, locked


@dataclass(frozen=True)
class CachedImages:
    """An open entry; it cannot be removed from the disk while this lives.

    Attributes:
        records: one a file, in the order they were asked for.
    """

    layout: Layout
    records: list[Record]
    _pixels: NDArray[np.uint8]
    _held: BinaryIO

    def __post_init__(self) -> None:
        weakref.finalize(self, self._held.close)  # else Python warns of a file left open

    def image(self, index: int) -> NDArray[np.uint8]:
        """Pixels of a readable file, uint8 (C, H, W): a view into the map; do not write to it."""
        record = self.records[index]
        assert record.shape is not None
        channels, height, width = record.shape
        end = record.offset + channels * height * width
        return self._pixels[record.offset : end].reshape(record.shape)


def open_cache(
    paths: Sequence[Path], recipe: Recipe, on_progress: OnProgress | None = None
) -> CachedImages:
    """Open the entry of these files; build what is missing or has changed.

    If another process is building the entry, waits for it. Files that cannot be read raise nothing:
    their records say why.

    Args:
        on_progress: called with (done, all) while images are decoded.

    Raises:
        BurnishError: the images take more than the cache's limit or the disk has, the cache cannot
            be written to, or `recipe.layout` refuses them.
    """
    root, files = cache_root(), [os.path.abspath(path) for path in paths]
    key = _key(files, recipe)
    try:
        with locked(root, key):
            found = _up_to_date(root / key)
            if isinstance(found, CachedImages):
                return found
            build(root, key, files, recipe, found, on_progress)
            index = read_index(root / key)
            if index is None:
                raise BurnishError(f"the cache in {root} is being changed by something else")
            return _opened(root / key, index)
    except OSError as error:
        raise BurnishError(
            f"cannot keep decoded images in {root}: {error.strerror or error}. Make room there, or "
            f"set {ROOT_VARIABLE} to a folder on another disk"
        ) from error


def _key(files: Sequence[str], recipe: Recipe) -> str:
    # Another version of Pillow may decode and resize to slightly different pixels.
    parts = [FORMAT, PIL.__version__, recipe.name, *files]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _up_to_date(folder: Path) -> CachedImages | Earlier | None:
    """The entry if it is complete and current; else what can be reused of it; None if nothing."""
    index = read_index(folder)
    if index is None:
        return None
    suspects = [i for i, record in enumerate(index.records) if not unchanged(record)]
    if suspects:
        with ThreadPoolExecutor(THREADS) as pool:
            checked = list(pool.map(confirmed, [index.records[i] for i in suspects]))
        for i, record in zip(suspects, checked, strict=True):
            if record is None:
                return Earlier(
                    index.pixels,
                    index.layout,
                    _mapped(folder, index),
                    {record.path: record for record in index.records},
                )
            index.records[i] = record
        write_index(folder, index)
    return _opened(folder, index)


def _opened(folder: Path, index: Index) -> CachedImages:
    return CachedImages(index.layout, index.records, _mapped(folder, index), hold(folder))


def _mapped(folder: Path, index: Index) -> NDArray[np.uint8]:
    if index.size == 0:  # nothing to map
        return np.empty(0, dtype=np.uint8)
    # asarray: slices of a memmap cost a microsecond more each, and the map lives on as the base
    return np.asarray(np.memmap(folder / index.pixels, dtype=np.uint8, mode="r"))
