"""Some of many, drawn at random and evenly: names in order show views or cameras in turns, so that
every second or fourth of them may be of one kind alone, and lots or series one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


def draw(total: int, count: int, seed: int = 0) -> NDArray[np.int64]:
    """`count` of the numbers below `total` in random order, each once; all if they are fewer.

    One of each of `count` runs of neighbours (stratified sampling): names in order show series and
    lots one after the other too, and each gives its share.
    """
    rng = np.random.default_rng((seed, 3))
    count = min(count, total)
    edges = np.arange(count + 1) * total // max(1, count)
    return rng.permutation(rng.integers(edges[:-1], edges[1:]))


def some_of(items: Sequence[T], count: int, seed: int = 0) -> list[T]:
    """`count` items, drawn at random, in the order they lie in; all if they are fewer."""
    return [items[number] for number in np.sort(draw(len(items), count, seed))]
